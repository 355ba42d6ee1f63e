use rayon::prelude::*;
use standin_data::Seed;

use crate::classifier::{ClassifierTarget, Shadow, probabilities};
use crate::evaluation::evaluate;
use crate::{Attack, Error, Result, Target};

/// The robust membership inference attack (Zarifzadeh, Liu & Shokri 2024), which makes do with few shadows.
///
/// The probability that the target gives a candidate's label is divided by what it would be on average:
///
/// - online: p(x) = (mean over shadows with x + mean over shadows without x)/2;
/// - offline: p(x) = ((1 + a) · mean over shadows without x + (1 − a))/2, where a tells how much training on a candidate raises
///   its probability (section 3 there). It is the one of 0, 0.1, …, 1 with which the attack works best on the shadows, each of at
///   most eight of them attacked with the help of the others; 0.3 where that cannot be done, because there is only one or none has a
///   candidate.
///
/// The published score is the share of population images z with ratio(x)/ratio(z) ≥ γ. The images z and γ are the same for all
/// candidates, so that share grows with ratio(x) and says nothing about the order of candidates that the ratio does not: the
/// score here is ln ratio(x), which needs no population.
///
/// Time and memory: O(candidates · shadows) on top of the shadows themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rmia {
    /// With shadows that have the candidate and shadows that do not.
    Online,
    /// With shadows that do not have it.
    Offline,
}

/// Shadows that are attacked to choose a.
const PRACTICE: usize = 8;

/// Candidates of each that are, evenly spaced: an AUC of so many is known to a hundredth.
const PRACTISED: usize = 10_000;

/// The a where no shadow can be attacked.
const UNTUNED: f64 = 0.3;

impl Attack for Rmia {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.classifier()?;
        let of_target = probabilities(target.logits(), target.labels());
        let of_shadow = |shadow: &Shadow<'_>| probabilities(shadow.logits, target.labels());
        let of_shadows: Vec<Vec<f64>> = target.shadows().iter().map(of_shadow).collect();
        let answers = Answers { target, of_shadows: &of_shadows };
        match self {
            Self::Online => answers.online(&of_target),
            Self::Offline => answers.offline(&of_target),
        }
    }
}

/// Numbers that are worked on at a time: a few such blocks stay in the first cache.
const BLOCK: usize = 1024;

/// What is known of the shadows.
struct Answers<'a> {
    target: &'a ClassifierTarget<'a>,
    /// The probability that each gives each candidate's label.
    of_shadows: &'a [Vec<f64>],
}

impl Answers<'_> {
    fn online(&self, of_target: &[f64]) -> Result<Vec<f64>> {
        let [within, without] = [self.means(true)?, self.means(false)?];
        let ratio = |((p, within), without): ((&f64, f64), f64)| log_ratio(*p, 0.5 * (within + without));
        Ok(of_target.iter().zip(within).zip(without).map(ratio).collect())
    }

    fn offline(&self, of_target: &[f64]) -> Result<Vec<f64>> {
        let without = self.means(false)?;
        let a = self.tuned()?;
        Ok(of_target.iter().zip(without).map(|(&p, mean)| log_ratio(p, raised(mean, a))).collect())
    }

    /// The mean probability of each candidate over the shadows that have it (`member`) or do not.
    ///
    /// # Errors
    /// If a candidate has no such shadow.
    fn means(&self, member: bool) -> Result<Vec<f64>> {
        let side = if member { "in" } else { "out of" };
        let means = self.some_means(member, None, 0..self.target.labels().len());
        let missing = |candidate| Error::Shadows {
            candidate,
            side,
            found: 0,
            shadows: self.of_shadows.len(),
            needed: 1,
            reason: "RMIA",
        };
        means.into_iter().enumerate().map(|(candidate, mean)| mean.ok_or_else(|| missing(candidate))).collect()
    }

    /// The same for some candidates, leaving out one shadow, and nothing for a candidate without any. Candidates are taken in blocks, and shadow after shadow within a
    /// block: all of them side by side would be more streams of numbers than caches follow.
    fn some_means(
        &self,
        member: bool,
        left_out: Option<usize>,
        candidates: impl Iterator<Item = usize>,
    ) -> Vec<Option<f64>> {
        let candidates: Vec<usize> = candidates.collect();
        let block = |candidates: &[usize]| -> Vec<Option<f64>> {
            let (mut sums, mut counts) = (vec![0.0; candidates.len()], vec![0_u32; candidates.len()]);
            for (index, (Shadow { member: members, .. }, probabilities)) in
                self.target.shadows().iter().zip(self.of_shadows).enumerate()
            {
                if Some(index) == left_out {
                    continue;
                }
                for ((&candidate, sum), count) in candidates.iter().zip(&mut sums).zip(&mut counts) {
                    let counted = members[candidate] == member;
                    *sum += if counted { probabilities[candidate] } else { 0.0 };
                    *count += u32::from(counted);
                }
            }
            sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
        };
        candidates.par_chunks(BLOCK).flat_map_iter(block).collect()
    }

    /// The a that tells members of shadows from their other candidates best, on average over the shadows attacked.
    fn tuned(&self) -> Result<f64> {
        let practice: Vec<Practice> =
            (0..self.of_shadows.len().min(PRACTICE)).filter_map(|shadow| self.practice(shadow)).collect();
        if practice.is_empty() {
            return Ok(UNTUNED);
        }
        let mut best = (0.0, UNTUNED);
        for step in 0..=10 {
            let a = f64::from(step) / 10.0;
            let areas: Vec<f64> = practice.par_iter().map(|shadow| shadow.area(a)).collect::<Result<_>>()?;
            let mean = areas.iter().sum::<f64>() / areas.len() as f64;
            if mean > best.0 {
                best = (mean, a);
            }
        }
        Ok(best.1)
    }

    /// An attack on a shadow with the help of the others, as far as they were trained without its candidates.
    fn practice(&self, shadow: usize) -> Option<Practice> {
        let all = self.target.labels().len();
        let count = all.min(PRACTISED);
        let chosen: Vec<usize> = (0..count).map(|at| at * all / count).collect();
        let without = self.some_means(false, Some(shadow), chosen.iter().copied());
        let member = self.target.shadows()[shadow].member;
        let mut practice = Practice { members: Vec::new(), non_members: Vec::new() };
        for (candidate, mean) in chosen.into_iter().zip(without) {
            let Some(mean) = mean else { continue };
            let side = if member[candidate] { &mut practice.members } else { &mut practice.non_members };
            side.push((self.of_shadows[shadow][candidate], mean));
        }
        (practice.members.len() >= 2 && practice.non_members.len() >= 2).then_some(practice)
    }
}

/// Candidates whose membership is known: the probability that a shadow gave each, and the mean over others without it.
struct Practice {
    members: Vec<(f64, f64)>,
    non_members: Vec<(f64, f64)>,
}

impl Practice {
    /// The AUC with this a.
    fn area(&self, a: f64) -> Result<f64> {
        let scores =
            |side: &[(f64, f64)]| -> Vec<f64> { side.iter().map(|&(p, mean)| log_ratio(p, raised(mean, a))).collect() };
        // The seed is for figures that are not used here.
        Ok(evaluate(&scores(&self.members), &scores(&self.non_members), Seed::new(0))?.auc.value)
    }
}

/// What the probability of a candidate is on average, from its mean over shadows without it.
fn raised(without: f64, a: f64) -> f64 {
    0.5 * ((1.0 + a) * without + (1.0 - a))
}

/// ln(p/q), with probabilities that underflowed taken as the smallest there are.
fn log_ratio(p: f64, q: f64) -> f64 {
    p.max(f64::MIN_POSITIVE).ln() - q.max(f64::MIN_POSITIVE).ln()
}
