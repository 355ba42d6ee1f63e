//! `standin segment evaluate`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_data::Progress;
use standin_measure::Outcome;
use standin_report::{Document as _, Segmentation, SegmentationRun, VolumePictures};
use standin_segment::{
    Evaluation, LabelScores, Overlay, PairedScore, Role, compare, evaluate_only, read_list, volumes,
};

use super::super::Context;
use super::super::replace::refuse_to_replace;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Folders of NIfTI label volumes, matched by file name; label 0 is background
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin segment evaluate --predictions predicted/ --references labels/
  standin segment evaluate --predictions predicted/ --references labels/ --volumes test.txt --images scans/ --out report/
  standin segment evaluate --predictions a-1/ a-2/ a-3/ --against b-1/ b-2/ b-3/ --references labels/ --volumes test.txt

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Evaluate {
    /// Folder of predicted label volumes (.nii, .nii.gz); several for runs that differ in their seed
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    predictions: Vec<PathBuf>,

    /// Folder of reference label volumes with the same names
    #[arg(long, value_name = "DIR")]
    references: PathBuf,

    /// Folders of other predictions of the same volumes to compare with, volume by volume
    #[arg(long, value_name = "DIR", num_args = 1..)]
    against: Vec<PathBuf>,

    /// Only the volumes named in this text file, a name a line
    #[arg(long, value_name = "FILE")]
    volumes: Option<PathBuf>,

    /// Add a table with a row for each volume and label; JSON always has them
    #[arg(long)]
    per_volume: bool,

    /// Write a page with the tables and pictures of the contours into this folder, as report.html, .json and .md
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Folder of the images under the labels, for the pictures; without it contours are drawn on black
    #[arg(long, value_name = "DIR", requires = "out")]
    images: Option<PathBuf>,

    /// Replace a report that an earlier run wrote
    #[arg(long)]
    force: bool,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Document<'a> {
    One(&'a Evaluation),
    Several { runs: Vec<Run<'a>>, against: Vec<Run<'a>>, comparison: &'a [PairedScore] },
}

/// One folder of predictions.
#[derive(Debug, Serialize)]
struct Run<'a> {
    predictions: &'a Path,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

impl Evaluate {
    /// Scores, writes the report and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        refuse_to_replace(&self.out, self.force)?;
        let progress = context.terminal.progress("segment");
        let only = self.volumes.as_deref().map(read_list).transpose()?;
        let all = |folders: &[PathBuf]| -> Result<Vec<Evaluation>, Failure> {
            let of = |folder: &PathBuf| evaluate_only(folder, &self.references, only.as_deref(), &progress);
            Ok(folders.iter().map(of).collect::<Result<_, _>>()?)
        };
        let (runs, against) = (all(&self.predictions)?, all(&self.against)?);
        let comparison = if against.is_empty() { Vec::new() } else { compare(&runs, &against) };
        let document = match (&runs[..], &against[..]) {
            ([evaluation], []) => Document::One(evaluation),
            _ => Document::Several {
                runs: named(&self.predictions, &runs),
                against: named(&self.against, &against),
                comparison: &comparison,
            },
        };
        if let Some(out) = &self.out {
            self.report(out, (&runs, &against), &comparison, &progress)?;
        }
        context.output.print(&document, || self.text(&runs, &against, &comparison))?;
        Ok(Status::Done)
    }

    /// Writes the page.
    fn report(
        &self,
        out: &Path,
        (runs, against): (&[Evaluation], &[Evaluation]),
        comparison: &[PairedScore],
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let named = |folders: &[PathBuf], evaluations: &[Evaluation]| -> Vec<SegmentationRun> {
            let pairs = folders.iter().zip(evaluations);
            let run = |(folder, evaluation): (&PathBuf, &Evaluation)| SegmentationRun {
                name: folder.display().to_string(),
                evaluation: evaluation.clone(),
            };
            pairs.map(run).collect()
        };
        let references = volumes(&self.references, Role::Label, progress)?;
        let predictions = volumes(&self.predictions[0], Role::Label, progress)?;
        let images = self.images.as_deref().map(|folder| volumes(folder, Role::Image, progress)).transpose()?;
        let mut pictures = Vec::new();
        for volume in &runs[0].volumes {
            let (Some(prediction), Some(reference)) = (predictions.get(&volume.name), references.get(&volume.name))
            else {
                continue;
            };
            let image = images.as_ref().and_then(|images| images.get(&volume.name));
            if let (None, Some(folder)) = (image, &self.images) {
                progress.warn(&format!(
                    "{}: has no image of {}; its contours are on black",
                    folder.display(),
                    volume.name
                ));
            }
            let overlays = Overlay::read(image.map(PathBuf::as_path), prediction, reference)?;
            pictures.push(VolumePictures { name: volume.name.clone(), overlays });
        }
        let (runs, against) = (named(&self.predictions, runs), named(&self.against, against));
        let references = self.references.display().to_string();
        let page = Segmentation::new(references, runs, against, comparison.to_vec(), pictures);
        page.write(out, self.force)?;
        Ok(())
    }

    fn text(&self, runs: &[Evaluation], against: &[Evaluation], comparison: &[PairedScore]) -> String {
        let folders = self.predictions.iter().chain(&self.against);
        let several = runs.len() + against.len() > 1;
        let mut text = String::new();
        for (folder, evaluation) in folders.zip(runs.iter().chain(against)) {
            if several {
                text += &format!("{}\n\n", folder.display());
            }
            if self.per_volume {
                text += &(per_volume(evaluation) + "\n\n");
            }
            text += &summary(evaluation);
            if several {
                text += "\n";
            }
        }
        if !comparison.is_empty() {
            text += &compared(comparison, runs.len(), against.len());
        }
        text
    }
}

fn named<'a>(folders: &'a [PathBuf], evaluations: &'a [Evaluation]) -> Vec<Run<'a>> {
    let run = |(predictions, evaluation): (&'a PathBuf, &'a Evaluation)| Run { predictions, evaluation };
    folders.iter().zip(evaluations).map(run).collect()
}

/// The table of differences.
fn compared(comparison: &[PairedScore], runs: usize, against: usize) -> String {
    let header = [
        ("label", Align::Right),
        ("score", Align::Left),
        ("predictions", Align::Right),
        ("against", Align::Right),
        ("difference", Align::Left),
        ("better in", Align::Left),
        ("p (t)", Align::Right),
        ("p (Wilcoxon)", Align::Right),
    ];
    let p = |value: Option<f64>| value.map_or("–".to_owned(), |p| format!("{p:.2e}"));
    let rows = comparison.iter().map(|score| {
        let n = score.difference.estimate().map_or(1, |estimate| estimate.n);
        vec![
            score.label.to_string(),
            score.score.clone(),
            format!("{:.4}", score.first),
            format!("{:.4}", score.second),
            score.difference.estimate().map_or("–".to_owned(), |estimate| {
                format!("{:+.4} [{:+.4}, {:+.4}]", estimate.value, estimate.low, estimate.high)
            }),
            format!("{} of {n}, worse in {}", score.better[0], score.better[1]),
            p(score.p_value),
            p(score.wilcoxon_p_value),
        ]
    });
    format!(
        "{}\n\nPaired by volume, with 95 % intervals (Student t); scores of a volume are means over {runs} and {against} \
         runs. Two-sided p-values of the paired t-test and of Wilcoxon's signed-rank test.\n",
        table(&header, rows)
    )
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
