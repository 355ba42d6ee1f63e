//! `standin segment evaluate`.

use std::path::PathBuf;

use clap::Subcommand;
use standin_measure::Outcome;
use standin_segment::{Evaluation, LabelScores, evaluate};

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Score segmentations of volumes
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Score predicted label volumes against references: overlap and surface distances
    Evaluate(Evaluate),
}

/// Folders of NIfTI label volumes, matched by file name; label 0 is background
#[derive(Debug, clap::Args)]
struct Evaluate {
    /// Folder of predicted label volumes (.nii, .nii.gz)
    #[arg(long, value_name = "DIR")]
    predictions: PathBuf,

    /// Folder of reference label volumes with the same names
    #[arg(long, value_name = "DIR")]
    references: PathBuf,

    /// Add a table with a row for each volume and label; JSON always has them
    #[arg(long)]
    per_volume: bool,
}

impl Arguments {
    /// Runs the task.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self.task {
            Task::Evaluate(evaluate) => evaluate.run(context),
        }
    }
}

impl Evaluate {
    fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let progress = context.terminal.progress("segment");
        let evaluation = evaluate(&self.predictions, &self.references, &progress)?;
        context.output.print(&evaluation, || {
            let mut text = if self.per_volume { per_volume(&evaluation) + "\n\n" } else { String::new() };
            text += &summary(&evaluation);
            text
        })?;
        Ok(Status::Done)
    }
}

/// The table of means, and what its reader must know.
fn summary(evaluation: &Evaluation) -> String {
    let header = [
        ("label", Align::Right),
        ("volumes", Align::Right),
        ("Dice", Align::Left),
        ("Jaccard", Align::Left),
        ("ASD mm", Align::Left),
        ("ASSD mm", Align::Left),
        ("95HD mm", Align::Left),
        ("without distance", Align::Right),
    ];
    let mean = |outcome: &Outcome| outcome.estimate().map_or("–".to_owned(), |estimate| format!("{estimate:.3}"));
    let rows = evaluation.labels.iter().map(|label| {
        vec![
            label.label.to_string(),
            format!("{} of {}", label.scored, label.scored + label.absent),
            mean(&label.dice),
            mean(&label.jaccard),
            mean(&label.average_surface_distance),
            mean(&label.average_symmetric_surface_distance),
            mean(&label.hausdorff_95),
            label.without_distance.to_string(),
        ]
    });
    let mut text = table(&header, rows);
    text += "\n\nMeans over volumes with 95 % intervals (Student t).\n\
             ASD: from the surface of the prediction to that of the reference; ASSD and 95HD: both ways.\n";
    if evaluation.labels.iter().any(|label| label.absent > 0) {
        text += "Volumes where neither prediction nor reference has a label are not scored for it.\n";
    }
    if evaluation.labels.iter().any(|label| label.without_distance > 0) {
        text += "Without distance: only one of prediction and reference has the label. Dice and Jaccard are 0; the mean \
                 distances leave these volumes out and so look better than the predictions are.\n";
    }
    if evaluation.labels.iter().any(|label| label.dice.estimate().is_none() || label.hausdorff_95.estimate().is_none())
    {
        text += "–: fewer than two volumes have the score, so there is no interval; --per-volume shows them.\n";
    }
    text
}

fn per_volume(evaluation: &Evaluation) -> String {
    let header = [
        ("volume", Align::Left),
        ("label", Align::Right),
        ("predicted voxels", Align::Right),
        ("reference voxels", Align::Right),
        ("Dice", Align::Right),
        ("Jaccard", Align::Right),
        ("ASD mm", Align::Right),
        ("ASSD mm", Align::Right),
        ("95HD mm", Align::Right),
    ];
    let row = |name: &str, scores: &LabelScores| {
        let distance = |millimetres: Option<f64>| millimetres.map_or("–".to_owned(), |value| format!("{value:.3}"));
        vec![
            name.to_owned(),
            scores.label.to_string(),
            scores.voxels.predicted.to_string(),
            scores.voxels.reference.to_string(),
            format!("{:.3}", scores.dice),
            format!("{:.3}", scores.jaccard),
            distance(scores.surface.map(|surface| surface.average)),
            distance(scores.surface.map(|surface| surface.average_symmetric)),
            distance(scores.surface.map(|surface| surface.hausdorff_95)),
        ]
    };
    let rows =
        evaluation.volumes.iter().flat_map(|volume| volume.labels.iter().map(|scores| row(&volume.name, scores)));
    table(&header, rows)
}
