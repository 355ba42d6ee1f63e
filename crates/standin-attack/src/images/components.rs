use faer::{Mat, Side};
use rayon::prelude::*;
use standin_encode::Embedding;

use crate::{Error, Result};

/// Leading principal components: a point, and the directions in which images vary most around it.
pub struct Components {
    mean: Vec<f64>,
    /// One row each.
    directions: Vec<Vec<f64>>,
}

/// Components with less than this share of the first one's variance are not used.
const LEAST_VARIANCE: f64 = 1e-9;

/// How far apart points are along a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As far as the images are.
    Kept,
    /// In deviations.
    One,
}

impl Components {
    /// At most `most` components of a covariance around a mean.
    ///
    /// # Errors
    /// If nothing varies.
    pub fn leading(mean: Vec<f64>, covariance: &Mat<f64>, most: usize, scale: Scale) -> Result<Self> {
        let d = mean.len();
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::Density { reason: "principal components" })?;
        let (values, vectors) = (eigen.S(), eigen.U());
        let largest = values[d - 1];
        if largest <= 0.0 {
            return Err(Error::Density { reason: "principal components of images that are all the same" });
        }
        let direction = |at: usize| {
            let divisor = if scale == Scale::One { values[at].sqrt() } else { 1.0 };
            (0..d).map(|row| vectors[(row, at)] / divisor).collect()
        };
        let leading = (0..d).rev().take(most).take_while(|&at| values[at] > LEAST_VARIANCE * largest);
        let directions = leading.map(direction).collect();
        Ok(Self { mean, directions })
    }

    /// How many there are, at least one.
    pub fn len(&self) -> usize {
        self.directions.len()
    }

    /// Where the images of a set lie along them, one image after the other.
    pub fn coordinates(&self, set: &Embedding) -> Vec<f64> {
        let project = |row: usize| {
            let centred: Vec<f64> =
                set.row(row).iter().zip(&self.mean).map(|(&value, mean)| f64::from(value) - mean).collect();
            let along = move |direction: &Vec<f64>| direction.iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>();
            self.directions.iter().map(along).collect::<Vec<f64>>()
        };
        (0..set.rows()).into_par_iter().flat_map_iter(project).collect()
    }
}
