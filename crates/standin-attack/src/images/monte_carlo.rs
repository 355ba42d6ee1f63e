use faer::Mat;
use rayon::prelude::*;
use standin_encode::{Boundary, Embedding, Stamp, count_within, nearest, squared_distance};
use standin_measure::Moments;

use crate::images::components::{Components, Scale};
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
    /// Take distances along the leading principal components of the released images alone, at most so many (40 in the paper).
    pub components: Option<usize>,
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
    fn of(self, candidates: &Embedding, released: &Embedding) -> Result<f64> {
        match self {
            Self::MedianNearest => Ok(median(nearest(candidates, released, 1, false)?.at_rank(1))),
            Self::Quantile(quantile) if quantile > 0.0 && quantile <= 1.0 => {
                let (left, right) = (spaced(candidates), spaced(released));
                let mut squared: Vec<f64> = left
                    .par_iter()
                    .flat_map_iter(|&row| {
                        let candidate = candidates.row(row);
                        right.iter().map(move |&other| squared_distance(candidate, released.row(other)))
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
        let Some(most) = self.components else { return self.shares(target.candidates(), target.synthetic()) };
        let moments = Moments::of(target.synthetic())?;
        let d = moments.mean().len();
        let covariance = Mat::from_fn(d, d, |i, j| moments.covariance()[i * d + j]);
        let components = Components::leading(moments.mean().to_vec(), &covariance, most, Scale::Kept)?;
        let stamp = Stamp::new("components", format!("{} of {}", components.len(), target.synthetic().stamp()));
        let along = |set: &Embedding| {
            let coordinates = components.coordinates(set).into_iter().map(|value| value as f32).collect();
            Embedding::new(coordinates, components.len(), stamp.clone())
        };
        self.shares(&along(target.candidates())?, &along(target.synthetic())?)
    }
}

impl MonteCarlo {
    /// The share of released images near each candidate.
    fn shares(&self, candidates: &Embedding, released: &Embedding) -> Result<Vec<f64>> {
        let radii = vec![self.radius.of(candidates, released)?; released.rows()];
        let counts = count_within(candidates, released, &radii, Boundary::Closed)?;
        Ok(counts.into_iter().map(|count| count as f64 / released.rows() as f64).collect())
    }
}

/// Evenly spaced rows, at most [`QUANTILE_ROWS`].
fn spaced(set: &Embedding) -> Vec<usize> {
    let count = set.rows().min(QUANTILE_ROWS);
    (0..count).map(|at| at * set.rows() / count).collect()
}
