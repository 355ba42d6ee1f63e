use rayon::prelude::*;

use crate::classifier::scaled_confidences;
use crate::median::median;
use crate::{Attack, Error, Result, Target};

/// The smallest deviation of scaled confidences that is believed: the resolution of single-precision logits of ordinary
/// size. Without a floor, shadows that happen to agree would make any answer infinitely surprising.
const SMALLEST_DEVIATION: f64 = 1e-6;

/// The likelihood-ratio attack (Carlini, Chien, Nasr, Song, Terzis & Tramèr 2022).
///
/// For each candidate the scaled confidences φ of the shadows with it, and of those without it, are summarised by
/// Gaussians, each with the median of its side as mean. The score is
///
/// - online: ln N(φ; μ_in, σ_in²) − ln N(φ; μ_out, σ_out²), with φ of the target (Algorithm 1);
/// - offline: (φ − μ_out)/σ_out, the argument of the one-sided distribution function Φ there, which ranks alike and
///   does not saturate at 1.
///
/// Deviations are those of each side, never one side's for the other. Time and memory: O(candidates · shadows) on top
/// of the shadows themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lira {
    /// Which shadows take part.
    pub shadows: Shadows,
    /// How deviations are estimated.
    pub variance: Variance,
}

/// Which shadows take part in LiRA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shadows {
    /// Those with and those without the candidate: the online attack.
    InAndOut,
    /// Those without it alone: the offline attack, whose shadows can be trained before the candidates are known.
    Out,
}

/// How LiRA estimates the deviations of its Gaussians.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// From each candidate's own shadows, at least 2 a side. Noisy below some 64 shadows.
    PerExample,
    /// One deviation for each side, pooled over the candidates: the root of the mean variance *within* a candidate. (The
    /// deviation of all confidences at once would add how unequal the candidates are, which is no uncertainty about one.)
    Fixed,
}

/// The Gaussian of one side for one candidate.
#[derive(Clone, Copy)]
struct Gaussian {
    mean: f64,
    deviation: f64,
}

impl Gaussian {
    fn standardised(self, x: f64) -> f64 {
        (x - self.mean) / self.deviation
    }

    /// The logarithm of the density, up to ln √(2π).
    fn ln_density(self, x: f64) -> f64 {
        -0.5 * self.standardised(x).powi(2) - self.deviation.ln()
    }
}

impl Attack for Lira {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.classifier()?;
        let confidences = |logits| scaled_confidences(logits, target.labels());
        let shadows: Vec<(Vec<f64>, &[bool])> =
            target.shadows().iter().map(|shadow| (confidences(shadow.logits), shadow.member)).collect();
        self.of(&confidences(target.logits()), &shadows)
    }
}

impl Lira {
    /// The score of each candidate from one signal of the target and of each shadow, with the shadow's members. A signal is
    /// about normal and, for members, higher.
    pub(crate) fn of(&self, target: &[f64], shadows: &[(Vec<f64>, &[bool])]) -> Result<Vec<f64>> {
        let out = self.side(target.len(), shadows, false)?;
        let each = target.par_iter().enumerate();
        match self.shadows {
            Shadows::Out => Ok(each.map(|(at, &signal)| out[at].standardised(signal)).collect()),
            Shadows::InAndOut => {
                let within = self.side(target.len(), shadows, true)?;
                Ok(each.map(|(at, &signal)| within[at].ln_density(signal) - out[at].ln_density(signal)).collect())
            }
        }
    }

    /// For every candidate the Gaussian of the shadows that have it (`member`) or do not.
    fn side(&self, candidates: usize, all: &[(Vec<f64>, &[bool])], member: bool) -> Result<Vec<Gaussian>> {
        let side = if member { "in" } else { "out of" };
        let (needed, reason) = match self.variance {
            Variance::PerExample => (2, "a deviation for each candidate"),
            Variance::Fixed => (1, "LiRA"),
        };
        let on_side = |at: usize| all.iter().filter(move |(_, members)| members[at] == member);
        let signals: Vec<Vec<f64>> =
            (0..candidates).into_par_iter().map(|at| on_side(at).map(|(signal, _)| signal[at]).collect()).collect();
        if let Some(candidate) = signals.iter().position(|found| found.len() < needed) {
            let (found, shadows) = (signals[candidate].len(), all.len());
            return Err(Error::Shadows { candidate, side, found, shadows, needed, reason });
        }
        // In the order of the candidates, so that the result does not depend on the number of threads.
        let spreads: Vec<(f64, usize)> = signals.iter().map(|values| spread(values)).collect();
        let fixed = match self.variance {
            Variance::PerExample => None,
            Variance::Fixed => {
                let (squares, freedom) = spreads
                    .iter()
                    .fold((0.0, 0), |(squares, freedom), spread| (squares + spread.0, freedom + spread.1));
                if freedom == 0 {
                    return Err(Error::NoSpread { side });
                }
                Some(squares / freedom as f64)
            }
        };
        let gaussian = |(values, (squares, freedom)): (Vec<f64>, (f64, usize))| {
            let variance = fixed.unwrap_or(squares / freedom as f64);
            Gaussian { mean: median(values), deviation: variance.sqrt().max(SMALLEST_DEVIATION) }
        };
        Ok(signals.into_iter().zip(spreads).map(gaussian).collect())
    }
}

/// The sum of squares about the mean, and its degrees of freedom. `values` is not empty.
fn spread(values: &[f64]) -> (f64, usize) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum(), values.len() - 1)
}
