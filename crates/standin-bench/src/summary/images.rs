//! What is shown and said of single synthetic images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scores of single synthetic images, in a table beside the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageScores {
    /// The table, one row per synthetic image; path relative to the summary.
    pub table: String,
    /// The encoder's stamp.
    pub stamp: String,
    /// Images scored.
    pub images: usize,
    /// Share of holdout images that would be taken for copies, by which the threshold was set.
    pub false_match_rate: f64,
    /// Distance to the nearest training image below which a synthetic image counts as a copy; none without a holdout.
    pub threshold: Option<f64>,
    /// Synthetic images below the threshold.
    pub copies: usize,
    /// Copies expected by chance if synthetic images were like holdout images.
    pub expected_copies: f64,
    /// Synthetic images that are as near to a *holdout* image, judged by the distances of training images to these. Nobody
    /// copied the holdout, so a generator of typical images gets as many here, and only more copies than this point to
    /// copying. None without a holdout.
    #[serde(default)]
    pub near_holdout: Option<usize>,
    /// Nearest distances to training images at the quantiles 0, 1/20, …, 1: of synthetic images.
    pub synthetic_quantiles: Vec<f64>,
    /// The same of holdout images; empty without a holdout.
    pub holdout_quantiles: Vec<f64>,
}

/// Pictures of one set of synthetic images (first seed). Every picture is a PNG file beside the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gallery {
    /// A grid of samples, one row per class; path relative to the summary.
    pub grid: String,
    /// The synthetic images nearest to training images, nearest first.
    pub near_copies: Vec<NearCopy>,
    /// How the near copies were searched: the encoder's stamp.
    pub stamp: String,
}

/// A synthetic image beside the training image it resembles most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearCopy {
    /// Index of the synthetic image.
    pub synthetic: usize,
    /// Index of the training image.
    pub train: usize,
    /// Their distance in feature space.
    pub distance: f64,
    /// Conformal p-value (1 + k) / (1 + h): k of the h holdout images compared come at least as near to their nearest
    /// training image. Small means suspicious.
    pub p_value: f64,
    /// The synthetic picture; path relative to the summary.
    pub synthetic_picture: String,
    /// The training picture; path relative to the summary.
    pub train_picture: String,
}
