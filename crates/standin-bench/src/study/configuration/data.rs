use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use standin_data::{Amount, ImportOptions};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

/// The real images and their division.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A built-in data set's name, or a file or folder (relative to the study file); see [`standin_data::Source`].
    pub source: String,
    /// Images each generator and classifier is trained on, a number or a share; all that holdout and test leave if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Amount>,
    /// Images of the same population that nothing is trained on: a number, a share, the name of a part, or a source of their own.
    /// 0 only where all releases are given images: nothing can be said about what they leak then.
    pub holdout: Side,
    /// Images on which utility is measured: a number, a share, the name of a part, a source of their own, or what train
    /// and holdout leave if absent. It may be the holdout's part.
    #[serde(default, skip_serializing_if = "Side::is_rest")]
    pub test: Side,
    /// Seed of the division into test and the rest; the study's seeds divide the rest into train and holdout.
    #[serde(default)]
    pub split_seed: u64,
    /// Attribute column whose values (patients, identities) are never on two sides.
    #[serde(default)]
    pub group: Option<String>,
    /// Leave out training and holdout images that equal another one pixel by pixel: what is there several times is remembered first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deduplicate: bool,
    /// How files are read: label column, size, channels; the defaults change nothing.
    #[serde(default)]
    pub import: ImportOptions,
    /// For a public data set: a folder that holds its files already, so that nothing is downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

/// Where the images of a side come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Side {
    /// So many, drawn by stratified sampling.
    Count(usize),
    /// This share of the images that are divided, 0 to 1, drawn alike.
    Share(f64),
    /// The part of the data set with this name: the division its makers published.
    Part(String),
    /// Other files.
    Source {
        /// As `data.source`.
        source: String,
    },
    /// What train and holdout leave.
    #[default]
    Rest,
}

impl Side {
    fn is_rest(&self) -> bool {
        *self == Self::Rest
    }
}

impl Data {
    /// Turns shares of `images` images into numbers, rounded down.
    pub(in crate::study) fn count_of(&mut self, images: usize) {
        self.train = self.train.map(|train| Amount::Count(train.of(images)));
        for side in [&mut self.holdout, &mut self.test] {
            if let Side::Share(share) = *side {
                *side = Side::Count(Amount::Share(share).of(images));
            }
        }
    }
}

/// How the private generators get their noise, and δ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// `secret`: from the operating system, the guarantee holds, repetitions differ. `reproducible`: from the study's
    /// seeds, for benchmarks on public data; everything made with it is stamped "not private".
    pub noise: NoiseOrigin,
    /// δ of every private generator: a number, or `"auto"` for 1/(N ln N).
    pub delta: Delta,
    /// Whose presence is protected: `"image"`, or `{ group = "patient" }` for all images that share a value in that column,
    /// which generators trained by clipped gradients can protect.
    pub unit: Unit,
    /// Accept a δ of 1/N or more, which allows a whole record to be published.
    pub allow_large_delta: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { noise: NoiseOrigin::Secret, delta: Delta::Auto, unit: Unit::Image, allow_large_delta: false }
    }
}

impl Privacy {
    /// What a private generator with this ε is asked for.
    pub fn target(&self, epsilon: f64) -> PrivacyTarget {
        PrivacyTarget { epsilon, delta: self.delta, allow_large_delta: self.allow_large_delta }
    }
}
