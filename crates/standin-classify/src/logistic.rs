use std::path::Path;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_privacy::Guarantee;

use crate::classifier::{Saved, require_classes, require_shape};
use crate::lbfgs::minimise;
use crate::standardise::Standardisation;
use crate::{Classifier, Error, Logits, Result, TrainedClassifier};

/// Images whose part of the loss one task computes: fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 512;

/// Multinomial logistic regression on pixels standardised with the training set's means and deviations.
///
/// Minimises the mean cross-entropy plus ‖W‖² / (2 · `inverse_penalty` · n), biases free: scikit-learn's
/// `LogisticRegression(C=inverse_penalty)` after its `StandardScaler`. The problem is convex; the result depends on the
/// data alone. Time is linear in images × pixels × classes × iterations, memory in pixels × classes: images are
/// standardised as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logistic {
    /// C: the larger, the weaker the penalty on weights; above 0.
    pub inverse_penalty: f64,
    /// The largest entry of the gradient of the mean loss at which training ends; above 0.
    pub tolerance: f64,
    /// Most iterations of L-BFGS; at least 1.
    pub iterations: usize,
}

impl Default for Logistic {
    /// C = 1, tolerance 10⁻⁴, at most 100 iterations, as scikit-learn.
    fn default() -> Self {
        Self { inverse_penalty: 1.0, tolerance: 1e-4, iterations: 100 }
    }
}

impl Logistic {
    /// The same configuration, its values checked.
    ///
    /// # Errors
    /// Names the first value outside its range.
    pub fn checked(self) -> Result<Self> {
        let above_zero = |value: f64| value.is_finite() && value > 0.0;
        let (key, found) = if !above_zero(self.inverse_penalty) {
            ("inverse_penalty", self.inverse_penalty)
        } else if !above_zero(self.tolerance) {
            ("tolerance", self.tolerance)
        } else if self.iterations == 0 {
            ("iterations", 0.0)
        } else {
            return Ok(self);
        };
        let reason = format!("`{key}` is {found}; it must be above 0");
        Err(Error::Configuration { classifier: "logistic", reason })
    }

    /// As [`Classifier::fit`], with the concrete type.
    ///
    /// # Errors
    /// As [`Classifier::fit`].
    pub fn train(&self, train: &ImageSet, progress: &dyn Progress) -> Result<TrainedLogistic> {
        let labels = require_classes(train)?;
        let classes = labels.classes.len();
        let standardisation = Standardisation::per_pixel(train);
        let pixels = train.shape().volume();
        let n = train.len() as f64;
        let penalty = 1.0 / (self.inverse_penalty * n);
        let function = |parameters: &[f64]| {
            let starts: Vec<usize> = (0..train.len()).step_by(ROWS).collect();
            let parts: Vec<(f64, Vec<f64>)> = starts
                .into_par_iter()
                .map(|start| {
                    let rows = start..(start + ROWS).min(train.len());
                    let x = standardised(train, rows.clone(), &standardisation);
                    cross_entropy(&x, &labels.values[rows], parameters, pixels, classes)
                })
                .collect();
            let weights = &parameters[..pixels * classes];
            let mut value = 0.5 * penalty * weights.iter().map(|weight| weight * weight).sum::<f64>();
            let mut gradient: Vec<f64> = weights.iter().map(|weight| penalty * weight).collect();
            gradient.resize(parameters.len(), 0.0);
            for (part, own) in parts {
                value += part / n;
                gradient.iter_mut().zip(own).for_each(|(sum, own)| *sum += own / n);
            }
            (value, gradient)
        };
        progress.begin("logistic regression", self.iterations as u64);
        let start = vec![0.0; (pixels + 1) * classes];
        let minimum = minimise(function, start, self.tolerance, self.iterations, |value| {
            progress.advance(1);
            progress.status(&format!("loss {value:.4}"));
        });
        progress.end();
        if !minimum.converged {
            progress.warn(&format!(
                "logistic regression stopped after {} iterations before its tolerance of {:e}; raise `iterations`",
                minimum.iterations, self.tolerance
            ));
        }
        Ok(TrainedLogistic {
            shape: train.shape(),
            classes: labels.classes.clone(),
            standardisation,
            parameters: minimum.point,
        })
    }
}

impl Classifier for Logistic {
    fn fit(&self, train: &ImageSet, _: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>> {
        Ok(Box::new(self.train(train, progress)?))
    }

    fn options(&self) -> toml::Table {
        toml::Table::try_from(self).expect("settings are numbers")
    }
}

/// Standardised pixels, row-major, `rows × pixels`.
fn standardised(images: &ImageSet, rows: std::ops::Range<usize>, by: &Standardisation) -> Vec<f64> {
    let scale: Vec<f64> = by.deviation.iter().map(|deviation| 1.0 / deviation).collect();
    let mut values = Vec::with_capacity(rows.len() * scale.len());
    for index in rows {
        let pairs = by.mean.iter().zip(&scale);
        values.extend(
            images.image(index).iter().zip(pairs).map(|(&pixel, (mean, scale))| (f64::from(pixel) - mean) * scale),
        );
    }
    values
}

/// X W + b, `rows × classes`; `parameters` are W (`pixels × classes`, row-major) and then b.
fn linear(x: &[f64], parameters: &[f64], pixels: usize, classes: usize) -> Vec<f64> {
    let rows = x.len() / pixels;
    let (weights, biases) = parameters.split_at(pixels * classes);
    let mut logits: Vec<f64> = biases.iter().copied().cycle().take(rows * classes).collect();
    matmul(
        MatMut::from_row_major_slice_mut(&mut logits, rows, classes),
        Accum::Add,
        MatRef::from_row_major_slice(x, rows, pixels),
        MatRef::from_row_major_slice(weights, pixels, classes),
        1.0,
        Par::Seq,
    );
    logits
}

/// Sum of −ln softmax at the labels over some images, and its gradient with respect to the parameters: Xᵀ (P − Y) and the
/// column sums of P − Y (Bishop 2006, equation 4.109).
fn cross_entropy(x: &[f64], labels: &[u32], parameters: &[f64], pixels: usize, classes: usize) -> (f64, Vec<f64>) {
    let mut residuals = linear(x, parameters, pixels, classes);
    let mut value = 0.0;
    let mut gradient = vec![0.0; parameters.len()];
    let (of_weights, of_biases) = gradient.split_at_mut(pixels * classes);
    for (row, &label) in residuals.chunks_exact_mut(classes).zip(labels) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = row[label as usize];
        row.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
        let total: f64 = row.iter().sum();
        value += total.ln() + largest - own;
        row.iter_mut().for_each(|probability| *probability /= total);
        row[label as usize] -= 1.0;
        of_biases.iter_mut().zip(row).for_each(|(sum, residual)| *sum += *residual);
    }
    let rows = labels.len();
    matmul(
        MatMut::from_row_major_slice_mut(of_weights, pixels, classes),
        Accum::Replace,
        MatRef::from_row_major_slice(x, rows, pixels).transpose(),
        MatRef::from_row_major_slice(&residuals, rows, classes),
        1.0,
        Par::Seq,
    );
    (value, gradient)
}

/// A fitted [`Logistic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedLogistic {
    shape: Shape,
    classes: Vec<String>,
    standardisation: Standardisation,
    /// Weights, `pixels × classes` row-major, then biases.
    parameters: Vec<f64>,
}

impl TrainedLogistic {
    /// The name of the file in the folder.
    const FILE: &str = "logistic.toml";

    /// Reads what [`TrainedClassifier::save`] wrote.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        let trained: Self = toml::from_str(&text).map_err(|error| Error::damaged(&path, error.message()))?;
        let pixels = trained.shape.volume();
        let expected = (pixels + 1) * trained.classes.len();
        let lengths = [&trained.standardisation.mean, &trained.standardisation.deviation].map(Vec::len);
        if trained.parameters.len() != expected || lengths != [pixels; 2] || expected == 0 {
            let found = format!("{} parameters where {expected} belong", trained.parameters.len());
            return Err(Error::damaged(&path, found));
        }
        Ok(trained)
    }
}

impl TrainedClassifier for TrainedLogistic {
    fn logits(&self, images: &ImageSet) -> Result<Logits> {
        require_shape(images, self.shape)?;
        let starts: Vec<usize> = (0..images.len()).step_by(ROWS).collect();
        let values = starts
            .into_par_iter()
            .flat_map_iter(|start| {
                let rows = start..(start + ROWS).min(images.len());
                let x = standardised(images, rows, &self.standardisation);
                linear(&x, &self.parameters, self.shape.volume(), self.classes.len())
            })
            .map(|logit| logit as f32)
            .collect();
        Ok(Logits::new(values, self.classes.len()))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn guarantee(&self) -> Option<&Guarantee> {
        None
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(Self::FILE);
        let text = toml::to_string(self).map_err(|error| Error::damaged(&path, error.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io("writing", &path))?;
        Saved::new("logistic", None, String::new).write(folder)
    }
}
