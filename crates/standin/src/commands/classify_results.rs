//! What `standin classify` found, and how it is shown.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use standin_classify::{Answers, Logits};
use standin_data::{Column, ImageSet, Shape};
use standin_measure::{Estimate, Outcome};
use standin_privacy::Guarantee;

use crate::failure::Failure;
use crate::output::{Align, table};

/// A classifier and what it did.
#[derive(Debug, Serialize)]
pub struct Classified<'a> {
    /// How it was trained; none for one that was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// What is promised about its training images.
    pub guarantee: Option<&'a Guarantee>,
    /// Class names.
    pub classes: &'a [String],
    /// What it answered about labelled test images.
    pub evaluation: Option<Evaluation>,
    /// Where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<&'a Path>,
    /// Where its answers were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predictions: Option<&'a Path>,
}

/// How a classifier was trained.
#[derive(Debug, Serialize)]
pub struct Training {
    /// The registered name.
    pub classifier: String,
    /// Every setting, defaults included.
    pub settings: toml::Table,
    /// Seed of initial weights and order.
    pub seed: u64,
    /// The training images, in words.
    pub set: String,
    /// Number of training images.
    pub images: usize,
    /// Their shape.
    pub shape: Shape,
}

/// How right a classifier was.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// The test images, in words.
    set: String,
    images: usize,
    accuracy: Estimate,
    balanced_accuracy: Estimate,
    /// In the order of the class names.
    classes: Vec<Part>,
    /// By column.
    groups: BTreeMap<String, Vec<Part>>,
}

/// Some of the test images.
#[derive(Debug, Serialize)]
struct Part {
    /// The class, or the value of a column.
    name: String,
    images: usize,
    accuracy: Outcome,
}

impl Evaluation {
    /// Of the answers about a test set, by class and by the values of columns.
    pub fn of(answers: &Answers, test: &ImageSet, classes: &[String], columns: &[&Column]) -> Self {
        let mut images = vec![0; classes.len()];
        answers.labels.iter().for_each(|&label| images[label as usize] += 1);
        let parts = classes.iter().zip(images).zip(answers.per_class());
        let groups = columns.iter().map(|column| {
            let parts = answers.per_group(column).into_iter();
            let parts = parts.map(|part| Part { name: part.group, images: part.n, accuracy: part.outcome });
            (column.name.clone(), parts.collect())
        });
        Self {
            set: test.describe(),
            images: test.len(),
            accuracy: answers.accuracy(),
            balanced_accuracy: answers.balanced_accuracy(),
            classes: parts.map(|((name, images), accuracy)| Part { name: name.clone(), images, accuracy }).collect(),
            groups: groups.collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "accuracy           {:.4}\nbalanced accuracy  {:.4}\n({} images of {}, 95 % intervals)\n\n",
            self.accuracy, self.balanced_accuracy, self.images, self.set
        );
        text += &parts("class", &self.classes);
        for (column, groups) in &self.groups {
            text += &format!("\n\n{}", parts(column, groups));
        }
        text
    }
}

/// A table of parts of the test images.
fn parts(what: &str, parts: &[Part]) -> String {
    let header =
        [(what, Align::Left), ("images", Align::Right), ("accuracy", Align::Right), ("95 % interval", Align::Left)];
    let rows = parts.iter().map(|part| {
        let (value, interval) = match &part.accuracy {
            Outcome::Measured(e) => (format!("{:.4}", e.value), format!("[{:.4}, {:.4}]", e.low, e.high)),
            Outcome::NotMeasurable(reason) => ("–".to_owned(), reason.clone()),
        };
        vec![part.name.clone(), part.images.to_string(), value, interval]
    });
    table(&header, rows)
}

impl Classified<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(Training { classifier, set, images, shape, seed, .. }) = &self.training {
            text += &format!("{classifier}, trained on {images} images of {shape} ({set}) with seed {seed}\n");
        }
        text += &match self.guarantee {
            Some(guarantee) => format!("{}\n\n", guarantee.statement()),
            None => "No guarantee: what the classifier tells about single training images is not bounded.\n\n".into(),
        };
        if let Some(evaluation) = &self.evaluation {
            text += &evaluation.text();
            text += "\n\n";
        }
        if let Some(path) = self.predictions {
            text += &format!("Answers written to {}.\n", path.display());
        }
        if let Some(folder) = self.saved {
            text += &format!("Classifier kept in {}.\n", folder.display());
        }
        text
    }
}

/// Writes one row for each image: its place in the set, the name of its file and its class where they are known, the
/// prediction, and the probability of each class.
pub fn write_predictions(path: &Path, classes: &[String], logits: &Logits, images: &ImageSet) -> Result<(), Failure> {
    const FILE_NAME: &str = "file_name";
    let names: Vec<&str> = images.labels().map(|labels| labels.names().collect()).unwrap_or_default();
    let files = images.column(FILE_NAME);
    let mut table = csv::Writer::from_path(path)?;
    let head = ["image"].into_iter().chain(files.map(|_| FILE_NAME)).chain((!names.is_empty()).then_some("label"));
    let probabilities = classes.iter().map(|class| format!("p({class})"));
    table.write_record(head.map(str::to_owned).chain(["prediction".to_owned()]).chain(probabilities))?;
    let predictions = logits.predictions();
    for (index, row) in logits.probabilities().chunks_exact(classes.len()).enumerate() {
        let known = files.map(|column| column.values[index].as_str()).into_iter().chain(names.get(index).copied());
        let known = known.chain([classes[predictions[index] as usize].as_str()]).map(str::to_owned);
        let row = row.iter().map(|probability| format!("{probability:.6}"));
        table.write_record([index.to_string()].into_iter().chain(known).chain(row))?;
    }
    Ok(table.flush()?)
}
