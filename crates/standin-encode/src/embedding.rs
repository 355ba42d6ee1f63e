use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::hamming::hamming_distance;
use crate::screen::squared_distance;
use crate::{Error, Result};

/// How features were made. Numbers computed under different stamps are never put in one ranking.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// The encoder's registered name.
    pub encoder: String,
    /// BLAKE3 digest of its weights, for an encoder that has any.
    pub weights: Option<String>,
    /// Everything else that changes the features: sizes, ranges, resize rule, parameters.
    pub preprocessing: String,
    /// How two rows compare.
    #[serde(default)]
    pub metric: Metric,
}

/// How far two rows of features are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The Euclidean distance.
    #[default]
    Euclidean,
    /// The number of places in which two rows of codes differ. Codes are whole numbers from 0 to 65 535.
    Hamming,
}

impl Metric {
    /// The distance of two rows, in double precision: exactly 0 for equal rows, the same for (a, b) and (b, a).
    pub fn distance(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            Self::Euclidean => squared_distance(a, b).sqrt(),
            Self::Hamming => hamming_distance(a, b) as f64,
        }
    }
}

impl Stamp {
    /// The stamp of an encoder without weights whose features compare by Euclidean distance.
    pub fn new(encoder: impl Into<String>, preprocessing: impl Into<String>) -> Self {
        Self { encoder: encoder.into(), weights: None, preprocessing: preprocessing.into(), metric: Metric::Euclidean }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.encoder, self.preprocessing)?;
        if let Some(digest) = &self.weights {
            write!(f, " weights {}", &digest[..digest.len().min(12)])?;
        }
        match self.metric {
            Metric::Euclidean => Ok(()),
            Metric::Hamming => f.write_str(" Hamming distance"),
        }
    }
}

/// Features of a set of images: one row of finite f32 values per image, with the stamp of their protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    values: Vec<f32>,
    dimension: usize,
    stamp: Stamp,
}

impl Embedding {
    /// Features from row-major values, `rows × dimension`.
    ///
    /// # Errors
    /// If the values do not fill whole rows, one of them is not finite, or the stamp's metric is the Hamming distance and
    /// one of them is no whole number from 0 to 65 535.
    pub fn new(values: Vec<f32>, dimension: usize, stamp: Stamp) -> Result<Self> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(Error::Ragged { values: values.len(), dimension });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                what: stamp.to_string(),
                row: at / dimension,
                column: at % dimension,
                value: values[at],
            });
        }
        let is_code = |value: f32| (0.0..=65_535.0).contains(&value) && value.fract() == 0.0;
        if stamp.metric == Metric::Hamming
            && let Some(at) = values.iter().position(|&value| !is_code(value))
        {
            return Err(Error::NotACode {
                what: stamp.to_string(),
                row: at / dimension,
                column: at % dimension,
                value: values[at],
            });
        }
        Ok(Self { values, dimension, stamp })
    }

    /// Number of images.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Features per image.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The features of one image.
    ///
    /// # Panics
    /// If `index` is not below [`Embedding::rows`].
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dimension..(index + 1) * self.dimension]
    }

    /// How the features were made.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The rows at `indices`, in that order; an index may repeat.
    ///
    /// # Panics
    /// If an index is not below [`Embedding::rows`].
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|&index| self.row(index)).copied().collect();
        Self { values, dimension: self.dimension, stamp: self.stamp.clone() }
    }

    /// The rows of this embedding followed by those of another.
    ///
    /// # Errors
    /// If their stamps or dimensions differ.
    pub fn concat(&self, other: &Self) -> Result<Self> {
        self.require_same_protocol(other)?;
        let values = [self.values(), other.values()].concat();
        Ok(Self { values, dimension: self.dimension, stamp: self.stamp.clone() })
    }

    /// The same directions with every row of length 1, so that the squared distance of two rows is 2 − 2·cosine; and whether
    /// any length was off by more than 10⁻³ before. In place.
    ///
    /// # Errors
    /// If a row is all zero and so has no direction, or the stamp's metric is not Euclidean.
    pub fn into_directions(mut self) -> Result<(Self, bool)> {
        if self.stamp.metric != Metric::Euclidean {
            return Err(Error::NoDirection { what: self.stamp.to_string(), row: None });
        }
        let lengths: Vec<f64> = self
            .values
            .par_chunks_mut(self.dimension)
            .map(|row| {
                let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
                row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
                length
            })
            .collect();
        if let Some(row) = lengths.iter().position(|&length| length == 0.0) {
            return Err(Error::NoDirection { what: self.stamp.to_string(), row: Some(row) });
        }
        Ok((self, lengths.iter().any(|length| (length - 1.0).abs() > 1e-3)))
    }

    /// Checks that both embeddings may enter one computation.
    ///
    /// # Errors
    /// If their stamps or dimensions differ.
    pub fn require_same_protocol(&self, other: &Self) -> Result<()> {
        if self.stamp == other.stamp && self.dimension == other.dimension {
            return Ok(());
        }
        let name = |e: &Self| format!("{} × {}", e.stamp, e.dimension);
        Err(Error::Protocol { left: name(self), right: name(other) })
    }
}
