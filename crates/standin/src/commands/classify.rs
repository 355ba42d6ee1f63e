//! `standin classify`: one classifier, trained or loaded, evaluated with intervals, and its answers.

use std::path::{Path, PathBuf};

use standin_classify::{Answers, TrainedClassifier, family, load};
use standin_data::{Column, ImageSet, Seed};

use super::Context;
use super::classify_results::{Classified, Evaluation, Training, write_predictions};
use super::data::ImportArguments;
use super::images::{Reader, Sides};
use super::privacy_options::PrivacyOptions;
use super::replace::refuse_to_replace;
use super::setting::Setting;
use crate::failure::{Failure, Status};

/// Train a classifier, with or without differential privacy, or load one; evaluate it and keep its answers
///
/// Accuracy comes with 95 % intervals: overall, for each class, and for each value of a column. With --privacy-epsilon the
/// classifier is trained by DP-SGD and carries a guarantee about its training images, which is saved with it. Settings
/// are those of a study's [classifier.settings]; docs/classifiers.md names them.
///
/// Images are named SET[@PART][@COLUMN=VALUE]…: a folder or file in any form `standin data import` reads, or a public
/// set's name; a part of it; and only the images with that value in a column.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin classify --train scans@train --test scans@test --out cnn/
  standin classify --train fakes/ --test real/ --classifier resnet-9 --set epochs=10 --set augmentation.flip=true
  standin classify --train fashion-mnist@train --test fashion-mnist@test --classifier scattering-logistic --privacy-epsilon 3
  standin classify --train scans/ --test more/ --privacy-epsilon 8 --privacy-unit patient --out private/
  standin classify --load cnn/ --test other/ --group site --predictions answers.csv

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// Labelled images to train on
    #[arg(long, value_name = "IMAGES", required_unless_present = "load")]
    train: Option<String>,

    /// A folder that an earlier run wrote with --out: evaluate that classifier, train none
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["train", "classifier", "settings", "seed", "out", "privacy_epsilon"]
    )]
    load: Option<PathBuf>,

    /// Images to ask about, labelled for an evaluation [default: the part `test` of the training set, if it has one]
    #[arg(long, value_name = "IMAGES", required_unless_present = "train")]
    test: Option<String>,

    /// A name of `standin list classifiers`
    #[arg(long, value_name = "NAME", default_value = "cnn")]
    classifier: String,

    /// A setting that differs from its default, such as epochs=10 or schedule.name=step; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,

    #[command(flatten)]
    privacy: PrivacyOptions,

    /// Columns of the test images by whose values accuracy is told apart
    #[arg(long = "group", value_name = "COLUMN", value_delimiter = ',')]
    groups: Vec<String>,

    /// Seed of initial weights and order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Keep the classifier in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write a table with the prediction and the probabilities for each test image
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,

    /// Replace what an earlier run wrote
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    import: ImportArguments,
}

/// There would be no result.
#[derive(Debug, thiserror::Error)]
#[error("neither --test nor --out: the classifier would be trained and forgotten; give one of them")]
struct NoUse;

/// Options about test images without test images.
#[derive(Debug, thiserror::Error)]
#[error("{option} without test images; give --test")]
struct NoTest {
    option: &'static str,
}

/// The test images cannot tell right from wrong.
#[derive(Debug, thiserror::Error)]
#[error(
    "{set} has no labels, so nothing can be evaluated; give labelled images, or --predictions FILE.csv for the answers"
)]
struct NoLabels {
    set: String,
}

/// A column by which accuracy was to be told apart is not there.
#[derive(Debug, thiserror::Error)]
#[error("--group {column}: {set} has no such column; it has {known}")]
struct NoColumn {
    column: String,
    set: String,
    known: String,
}

impl Arguments {
    /// Trains or loads, evaluates, writes and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        refuse_to_replace(self.out.iter().chain(&self.predictions), self.force)?;
        let images = Reader::new(self.import.options(), context);
        let (classifier, training, test) = match (&self.load, &self.train) {
            (None, Some(train)) => {
                let untrained = (family(&self.classifier)?.build)(&self.table()?)?;
                let Sides { train, test } = self.sides(train, &images)?;
                let progress = context.terminal.progress(&self.classifier);
                let trained = untrained.fit(&train, Seed::new(self.seed), &progress)?;
                (trained, Some(self.training(untrained.options(), &train)), test)
            }
            // One of the two is required, and clap sees to it.
            (folder, _) => {
                let classifier = load(folder.as_deref().unwrap_or(Path::new(".")))?;
                let test = self.test.as_deref().map(|test| images.read(test)).transpose()?;
                test.iter().try_for_each(|test| self.check_questions(test))?;
                (classifier, None, test)
            }
        };
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder)?;
            classifier.save(folder)?;
        }
        let evaluation = test.map(|test| self.ask(&*classifier, &test)).transpose()?.flatten();
        let result = Classified {
            training,
            guarantee: classifier.guarantee(),
            classes: classifier.classes(),
            evaluation,
            saved: self.out.as_deref(),
            predictions: self.predictions.as_deref(),
        };
        context.output.print(&result, || result.text())?;
        Ok(Status::Done)
    }

    /// The settings of `--set` and of the options about privacy.
    fn table(&self) -> Result<toml::Table, Failure> {
        let mut table = toml::Table::new();
        let privacy = self.privacy.settings();
        self.settings.iter().chain(&privacy).try_for_each(|setting| setting.enter(&mut table))?;
        Ok(table)
    }

    /// The images to train on and to ask about, before anything is trained.
    fn sides(&self, train: &str, images: &Reader<'_>) -> Result<Sides, Failure> {
        let own = images.read_with_test(train)?;
        let test = match &self.test {
            Some(test) => Some(images.read(test)?),
            None => own.test,
        };
        match &test {
            Some(test) => self.check_questions(test)?,
            None if self.out.is_none() => return Err(NoUse.into()),
            None => self.refuse_questions()?,
        }
        Ok(Sides { train: own.train, test })
    }

    fn training(&self, settings: toml::Table, train: &ImageSet) -> Training {
        Training {
            classifier: self.classifier.clone(),
            settings,
            seed: self.seed,
            set: train.describe(),
            images: train.len(),
            shape: train.shape(),
        }
    }

    /// Refuses options about test images where there are none.
    fn refuse_questions(&self) -> Result<(), NoTest> {
        let given = [("--predictions", self.predictions.is_some()), ("--group", !self.groups.is_empty())];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(NoTest { option }),
            None => Ok(()),
        }
    }

    /// Refuses, before anything is trained, what cannot be told of these test images.
    fn check_questions(&self, test: &ImageSet) -> Result<(), Failure> {
        self.columns(test)?;
        if test.labels().is_none() && (self.predictions.is_none() || !self.groups.is_empty()) {
            return Err(NoLabels { set: test.describe() }.into());
        }
        Ok(())
    }

    /// The columns by which accuracy is told apart.
    fn columns<'a>(&self, test: &'a ImageSet) -> Result<Vec<&'a Column>, NoColumn> {
        self.groups.iter().map(|name| column(test, name)).collect()
    }

    /// Asks about the test images: the evaluation if they are labelled, and the table of answers if it is wanted.
    fn ask(&self, classifier: &dyn TrainedClassifier, test: &ImageSet) -> Result<Option<Evaluation>, Failure> {
        // A set in which a class does not occur may not name it.
        let labels = test.labels().map(|labels| labels.among(classifier.classes())).transpose()?;
        let logits = classifier.logits(test)?;
        if let Some(path) = &self.predictions {
            write_predictions(path, classifier.classes(), &logits, test)?;
        }
        let Some(labels) = labels else { return Ok(None) };
        let answers = Answers::from_logits(&logits, &labels);
        Ok(Some(Evaluation::of(&answers, test, classifier.classes(), &self.columns(test)?)))
    }
}

fn column<'a>(test: &'a ImageSet, name: &str) -> Result<&'a Column, NoColumn> {
    test.column(name).ok_or_else(|| {
        let known: Vec<&str> = test.columns().iter().map(|column| column.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        NoColumn { column: name.to_owned(), set: test.describe(), known }
    })
}
