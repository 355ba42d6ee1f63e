use rayon::prelude::*;
use standin_encode::{Boundary, Embedding, count_within, nearest, squared_distance};

use crate::images::ImagesTarget;
use crate::median::median;
use crate::{Attack, Error, Result, Target};

/// Rows of either set from which the quantile of distances is taken.
const QUANTILE_ROWS: usize = 2000;

/// Monte Carlo integration (Hilprecht, Härterich & Bernau 2019, arXiv 1906.03006): a generator has more mass around its members.
///
/// The score is the share of released images within distance ε of the candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonteCarlo {
    /// How ε is chosen.
    pub radius: Radius,
}

/// How the Monte Carlo attack chooses ε, the same for all candidates and without knowing who is a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Radius {
    /// The median over the candidates of the distance to the nearest released image (the paper's median heuristic): at
    /// least half of the candidates score above 0.
    MedianNearest,
    /// This quantile, in (0, 1], of all distances between candidates and released images (the percentile heuristic;
    /// 0.001 and 0.01 in the paper). Of more than 2000 candidates or released images, 2000 evenly spaced rows are used.
    Quantile(f64),
}

impl Radius {
    fn of(self, target: &ImagesTarget<'_>) -> Result<f64> {
        match self {
            Self::MedianNearest => Ok(median(nearest(target.candidates(), target.synthetic(), 1, false)?.at_rank(1))),
            Self::Quantile(quantile) if quantile > 0.0 && quantile <= 1.0 => {
                let (left, right) = (spaced(target.candidates()), spaced(target.synthetic()));
                let mut squared: Vec<f64> = left
                    .par_iter()
                    .flat_map_iter(|&row| {
                        let candidate = target.candidates().row(row);
                        right.iter().map(move |&other| squared_distance(candidate, target.synthetic().row(other)))
                    })
                    .collect();
                let rank = (quantile * squared.len() as f64).ceil() as usize;
                let (_, at, _) = squared.select_nth_unstable_by(rank.max(1) - 1, f64::total_cmp);
                Ok(at.sqrt())
            }
            Self::Quantile(quantile) => Err(Error::Quantile { quantile }),
        }
    }
}

impl Attack for MonteCarlo {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.images()?;
        let released = target.synthetic().rows();
        let radii = vec![self.radius.of(target)?; released];
        let counts = count_within(target.candidates(), target.synthetic(), &radii, Boundary::Closed)?;
        Ok(counts.into_iter().map(|count| count as f64 / released as f64).collect())
    }
}

/// Evenly spaced rows, at most [`QUANTILE_ROWS`].
fn spaced(set: &Embedding) -> Vec<usize> {
    let count = set.rows().min(QUANTILE_ROWS);
    (0..count).map(|at| at * set.rows() / count).collect()
}
