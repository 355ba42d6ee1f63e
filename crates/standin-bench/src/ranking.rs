//! Sets of synthetic images in the order of each measure, with what chance leaves open, and how well the measures foretell
//! utility.
//!
//! Only numbers of one protocol are ranked together: the stamp of a measure names the encoder, the parameters and the
//! number of images on each side. Sets of different size therefore stand in different rankings, because the expectation
//! of most measures depends on it; [`unequal_sizes`] says so in words.

use rayon::prelude::*;
use standin_data::Seed;
use standin_measure::{Estimate, mid_ranks};

use crate::chance::{CONFIDENCE, DRAWS, draws, two_sided_quantile};
use crate::summary::{Place, Ranking, Release, ReleaseKind};

mod correlation;

pub use correlation::correlations;

/// One ranking for each measure, side of the real images and protocol, for the accuracy that each classifier reaches, and
/// for the AUC of each attack (lower is better), of at least two sets of synthetic images.
///
/// - **Order**: by the value, or by its nearness to the best value where that is a number; equal values share the mean
///   rank, in the order given.
/// - **Ranks that chance leaves possible**: a set may be as good as first after those that are better than it beyond
///   chance, and as bad as last before those that it beats beyond chance. Two sets differ beyond chance where the
///   interval of their difference, made from both their intervals (Zou and Donner 2008, Statistics in Medicine 27, the
///   method of variance estimates recovery), leaves out 0 at a level that holds for all comparisons of one set together
///   (Bonferroni), so the rank interval covers at 95 % or more (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of
///   Economic Studies 91, §3).
/// - **Chance of being the best**: the share of 2000 joint draws in which it is, ties counting for each a part. A draw is
///   normal on either side of the value, as wide as its interval there (split normal).
///
/// Estimates count as independent. They share their real images, which moves them together, so differences are known
/// better than is claimed here: the error is on the wide side.
///
/// The draws of a set depend on its name and the measure alone. Time O(r·s·(s + 2000)) for r rankings of s sets.
pub fn rankings(releases: &[Release]) -> Vec<Ranking> {
    candidates(releases).into_par_iter().filter_map(|candidate| candidate.ranked()).collect()
}

/// In words, that the sets differ in size and are ranked only among equals; none if they do not.
pub fn unequal_sizes(releases: &[Release]) -> Option<String> {
    let mut sizes: Vec<(usize, Vec<&str>)> = Vec::new();
    for release in images(releases) {
        let Some(size) = release.measures.iter().find_map(|row| synthetic_images(&row.stamp)) else { continue };
        match sizes.iter_mut().find(|(known, _)| *known == size) {
            Some((_, names)) => names.push(&release.name),
            None => sizes.push((size, vec![&release.name])),
        }
    }
    sizes.sort_by_key(|(size, _)| *size);
    let (smallest, _) = sizes.first()?;
    let list: Vec<String> = sizes.iter().map(|(size, names)| format!("{} with {size}", names.join(", "))).collect();
    (sizes.len() > 1).then(|| {
        format!(
            "The sets differ in the number of images measured ({}). Most measures depend on it, so sets are ranked only \
             among those of equal size; thin all to {smallest} to rank them together.",
            list.join("; ")
        )
    })
}

/// The number of synthetic images a stamp names.
fn synthetic_images(stamp: &str) -> Option<usize> {
    let part = stamp.split([';', ',']).find_map(|part| part.trim().strip_suffix(" synthetic"))?;
    part.parse().ok()
}

fn images(releases: &[Release]) -> impl Iterator<Item = &Release> {
    releases.iter().filter(|release| release.kind == ReleaseKind::Images)
}

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Better {
    Higher,
    Lower,
    /// As near to this number as possible.
    Near(f64),
}

impl Better {
    fn named(name: &str) -> Option<Self> {
        match name {
            "higher" => Some(Self::Higher),
            "lower" => Some(Self::Lower),
            number => number.parse().ok().filter(|target: &f64| target.is_finite()).map(Self::Near),
        }
    }

    /// A cost: the value turned so that less is better.
    fn cost(self, value: f64) -> f64 {
        match self {
            Self::Higher => -value,
            Self::Lower => value,
            Self::Near(target) => (value - target).abs(),
        }
    }

    /// The cost of an estimate and the interval of that: (low, value, high).
    fn costs(self, estimate: &Estimate) -> (f64, f64, f64) {
        let (low, high) = (self.cost(estimate.low), self.cost(estimate.high));
        let inside = matches!(self, Self::Near(target) if estimate.low <= target && target <= estimate.high);
        let value = self.cost(estimate.value);
        (if inside { 0.0 } else { low.min(high).min(value) }, value, low.max(high).max(value))
    }
}

/// What can be ranked, or held against other figures: one value for each of several sets.
#[derive(Clone, Debug)]
struct Candidate<'a> {
    measure: &'a str,
    against: &'a str,
    stamp: String,
    better: String,
    values: Vec<(&'a str, &'a Estimate)>,
}

/// All figures of the sets, each under one protocol, in the order of first appearance.
fn candidates(releases: &[Release]) -> Vec<Candidate<'_>> {
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    let mut add = |release, (measure, against, stamp, better): (_, _, String, &str), estimate| {
        let same = |known: &Candidate<'_>| known.measure == measure && known.against == against && known.stamp == stamp;
        let known = candidates.iter().position(same).unwrap_or_else(|| {
            candidates.push(Candidate { measure, against, stamp, better: better.into(), values: Vec::new() });
            candidates.len() - 1
        });
        candidates[known].values.push((release, estimate));
    };
    for release in images(releases) {
        for row in &release.measures {
            if let Some(estimate) = row.outcome.estimate() {
                add(&*release.name, (&*row.measure, &*row.against, row.stamp.clone(), &row.better), estimate);
            }
        }
    }
    for release in images(releases) {
        for utility in &release.utility {
            let stamp = format!("accuracy on real test images; {} answers", utility.accuracy.n);
            add(&release.name, (&utility.classifier, "", stamp, "higher"), &utility.accuracy);
        }
    }
    for release in images(releases) {
        for row in &release.attacks {
            let stamp = format!("AUC; {}; {} members, {} non-members", row.stamp, row.members, row.non_members);
            add(&release.name, (&row.attack, "", stamp, "lower"), &row.auc);
        }
    }
    candidates
}

impl Candidate<'_> {
    fn ranked(self) -> Option<Ranking> {
        let better = Better::named(&self.better)?;
        if self.values.len() < 2 {
            return None;
        }
        let costs: Vec<(f64, f64, f64)> = self.values.iter().map(|(_, estimate)| better.costs(estimate)).collect();
        let seed = Seed::new(0).derive(&format!("ranking {} {} {}", self.measure, self.against, self.stamp));
        let named = self.values.iter().map(|(name, estimate)| (seed.derive(name), *estimate));
        let best = chances_of_best(&named.collect::<Vec<_>>(), better);
        let ranks = mid_ranks(&costs.iter().map(|cost| cost.1).collect::<Vec<_>>());
        let mut places: Vec<Place> = self
            .values
            .iter()
            .enumerate()
            .map(|(at, (name, estimate))| Place {
                release: (*name).to_owned(),
                estimate: (*estimate).clone(),
                rank: ranks[at],
                rank_interval: possible_ranks(&costs, at),
                best: best[at],
            })
            .collect();
        places.sort_by(|a, b| a.rank.total_cmp(&b.rank));
        let Self { measure, against, stamp, better, .. } = self;
        Some(Ranking { measure: measure.into(), against: against.into(), stamp, better, places })
    }
}

/// The best and the worst rank of one set that all comparisons with the others leave possible.
fn possible_ranks(costs: &[(f64, f64, f64)], at: usize) -> (usize, usize) {
    let comparisons = (costs.len() - 1).max(1) as f64;
    let widening = two_sided_quantile(1.0 - (1.0 - CONFIDENCE) / comparisons) / two_sided_quantile(CONFIDENCE);
    let surely_less = |(_, less, upper): (f64, f64, f64), (lower, more, _): (f64, f64, f64)| {
        more - less > widening * (upper - less).hypot(more - lower)
    };
    let better = costs.iter().filter(|&&other| surely_less(other, costs[at])).count();
    let worse = costs.iter().filter(|&&other| surely_less(costs[at], other)).count();
    (1 + better, costs.len() - worse)
}

/// The share of joint draws in which each is the best.
fn chances_of_best(estimates: &[(Seed, &Estimate)], better: Better) -> Vec<f64> {
    let drawn: Vec<Vec<f64>> = estimates
        .iter()
        .map(|(seed, estimate)| draws(*seed, estimate).into_iter().map(|draw| better.cost(draw)).collect())
        .collect();
    let mut wins = vec![0.0; estimates.len()];
    for draw in 0..DRAWS {
        let least = drawn.iter().map(|costs| costs[draw]).fold(f64::INFINITY, f64::min);
        let best: Vec<usize> = (0..drawn.len()).filter(|&at| drawn[at][draw] == least).collect();
        best.iter().for_each(|&at| wins[at] += 1.0 / best.len() as f64);
    }
    wins.into_iter().map(|won| won / DRAWS as f64).collect()
}

#[cfg(test)]
mod tests;
