//! `standin segment train`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use standin_data::Seed;
use standin_nn::Every;
use standin_segment::{
    Cohort, CohortNames, Division, Examples, Fold, Labelled, Model, Selection, Settings, Training, Unlabelled, method,
    read_list,
};

use super::super::Context;
use super::super::setting::Setting;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Between two checkpoints.
const CHECKPOINT: Duration = Duration::from_secs(60);

/// Volumes are NIfTI files (.nii, .nii.gz), paired by name: NAME or NAME-image with NAME or NAME-label, in two folders or in
/// one. Volumes of --test and of the held-out fold are learnt from in no way, also not without their labels.
///
/// A training that was interrupted continues when the same command is given again, to the same result.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin segment train --images scans/ --labels labels/ --labelled 8 --out model/
  standin segment train --images scans/ --labels labels/ --labelled labelled.txt --test test.txt --method ua-mt --out model/
  standin segment train --images scans/ --labels labels/ --labelled 20 --folds 5 --fold 0 --method v-net --out fold-0/
  standin segment train --images scans/ --labels labels/ --labelled 8 --extra-labelled drawn/,drawn-labels/ --out model/
  standin segment train --images scans/ --labels labels/ --labelled 8 --set dimensions=2 --set width=16 --out slices/

Settings of --set and their defaults are in docs/segmentation.md; methods in `standin list segmenters`.
Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Train {
    /// Folder of images
    #[arg(long, value_name = "DIR")]
    images: PathBuf,

    /// Folder of label volumes; may be the same
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,

    /// The volumes to learn from with their labels: a text file with a name a line, or how many, the first by name
    #[arg(long, value_name = "FILE|N")]
    labelled: String,

    /// The volumes to learn from without labels: a text file, `rest` for all others, or `none`
    #[arg(long, value_name = "FILE|rest|none", default_value = "rest")]
    unlabelled: String,

    /// A text file with the names of volumes that are held out
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,

    /// Divide the volumes with labels into so many parts and hold one of them out
    #[arg(long, value_name = "K", requires = "fold")]
    folds: Option<usize>,

    /// The part that is held out, from 0
    #[arg(long, value_name = "I", requires = "folds")]
    fold: Option<usize>,

    /// A name of `standin list segmenters`
    #[arg(long, value_name = "NAME", default_value = "fba-net-plus")]
    method: String,

    /// Which network is kept: that of the last step, or the best on a quarter of the volumes with labels, set aside
    #[arg(long, value_enum, default_value_t = Select::Last)]
    select: Select,

    /// A setting that differs from its default, such as steps=2000 or preprocessing.crop_to_body=false; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,

    /// More volumes with labels, such as synthetic ones; may be repeated
    #[arg(long, value_name = "IMAGES,LABELS")]
    extra_labelled: Vec<String>,

    /// A folder of more images without labels, such as synthetic ones; may be repeated
    #[arg(long, value_name = "DIR")]
    extra_unlabelled: Vec<PathBuf>,

    /// Seed of initial weights, patches, noise, and folds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Folder for the network; also keeps what an interrupted training continues from
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Replace a network that an earlier run wrote, or begin anew where one was interrupted
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Select {
    Last,
    Validation,
}

/// A network is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{}: holds a trained network; choose another folder, or --force to replace it", path.display())]
struct Trained {
    path: PathBuf,
}

/// Extra volumes are two folders.
#[derive(Debug, thiserror::Error)]
#[error("--extra-labelled {given}: give the folder of images and that of labels, with a comma between")]
struct TwoFolders {
    given: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    method: &'a str,
    seed: u64,
    labels: &'a [u32],
    volumes: &'a CohortNames,
    settings: &'a Settings,
    steps: usize,
    selected_step: usize,
    /// Mean loss of the last 50 steps.
    loss: f64,
    /// Mean Dice on the validation volumes after so many steps.
    validation: &'a [(usize, f64)],
    seconds: f64,
    out: &'a Path,
}

impl Train {
    /// Trains, saves and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let start = Instant::now();
        if Model::path(&self.out).exists() && !self.force {
            return Err(Trained { path: self.out }.into());
        }
        let mut table = toml::Table::new();
        self.settings.iter().try_for_each(|setting| setting.enter(&mut table))?;
        let selection = match self.select {
            Select::Last => Selection::Last,
            Select::Validation => Selection::Validation,
        };
        let training = Training {
            method: method(&self.method)?,
            settings: Settings::read(&table)?,
            selection,
            seed: Seed::new(self.seed),
        };
        let progress = context.terminal.progress(training.method.name);
        let cohort = self.cohort(&training, &progress)?;
        let examples = Examples::read(&cohort, &training.settings, &progress)?;
        std::fs::create_dir_all(&self.out)?;
        let checkpoints = training.checkpoints(&self.out, Every::Time(CHECKPOINT), &examples);
        if self.force {
            checkpoints.remove()?;
        }
        let names = cohort.names();
        if !names.test.is_empty() {
            std::fs::write(self.out.join("test.txt"), names.test.join("\n") + "\n")?;
        }
        let trained = training.run(&examples, &cohort, Some(&checkpoints), &progress)?;
        trained.model.save(&self.out)?;
        checkpoints.remove()?;
        let losses: String =
            trained.history.losses.iter().enumerate().map(|(at, loss)| format!("{},{loss}\n", at + 1)).collect();
        std::fs::write(self.out.join("losses.csv"), format!("step,loss\n{losses}"))?;
        let result = Outcome {
            method: training.method.name,
            seed: self.seed,
            labels: examples.labels(),
            volumes: &names,
            settings: &training.settings,
            steps: training.settings.steps,
            selected_step: trained.model.description.selected_step,
            loss: trained.history.recent_loss(50),
            validation: &trained.validation,
            seconds: start.elapsed().as_secs_f64(),
            out: &self.out,
        };
        context.output.print(&result, || result.text())?;
        Ok(Status::Done)
    }

    fn cohort(&self, training: &Training, progress: &dyn standin_data::Progress) -> Result<Cohort, Failure> {
        let labelled = match self.labelled.parse::<usize>() {
            Ok(count) => Labelled::First(count),
            Err(_) => Labelled::Named(read_list(Path::new(&self.labelled))?),
        };
        let unlabelled = match self.unlabelled.as_str() {
            _ if !training.method.uses_unlabelled => Unlabelled::Without,
            "rest" => Unlabelled::Rest,
            "none" => Unlabelled::Without,
            path => Unlabelled::Named(read_list(Path::new(path))?),
        };
        let division = Division {
            labelled,
            unlabelled,
            test: self.test.as_deref().map(read_list).transpose()?.unwrap_or_default(),
            fold: self.folds.zip(self.fold).map(|(count, index)| Fold { count, index }),
            validation: training.selection == Selection::Validation,
            seed: training.seed,
        };
        let mut cohort = Cohort::divide(&self.images, &self.labels, &division, progress)?;
        for given in &self.extra_labelled {
            let (images, labels) = given.split_once(',').ok_or_else(|| TwoFolders { given: given.clone() })?;
            cohort.add_labelled(Path::new(images), Path::new(labels), progress)?;
        }
        if training.method.uses_unlabelled {
            for folder in &self.extra_unlabelled {
                cohort.add_unlabelled(folder, progress)?;
            }
        }
        Ok(cohort)
    }
}

impl Outcome<'_> {
    fn text(&self) -> String {
        let labels = self.labels.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let mut rows = vec![
            row("method", self.method.to_owned()),
            row("volumes with labels", self.volumes.labelled.len().to_string()),
            row("volumes without", self.volumes.unlabelled.len().to_string()),
            row("held out", self.volumes.test.len().to_string()),
            row("labels", labels),
            row("steps", self.steps.to_string()),
            row("loss of the last 50", format!("{:.4}", self.loss)),
            row("seconds", format!("{:.0}", self.seconds)),
        ];
        if let Some((_, dice)) = self.validation.iter().find(|(step, _)| *step == self.selected_step) {
            let volumes = self.volumes.validation.len();
            rows.push(row("chosen step", format!("{} (Dice {dice:.3} on {volumes} volumes)", self.selected_step)));
        }
        rows.push(row("network in", self.out.display().to_string()));
        table(&[("training", Align::Left), ("", Align::Left)], rows)
    }
}
