use serde::{Deserialize, Serialize};
use standin_measure::Outcome;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{Evaluation, LabelScores, mean};

/// One score of two ways of segmenting the same volumes, paired by volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedScore {
    /// The label.
    pub label: u32,
    /// What is compared, such as "Dice".
    pub score: String,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// Mean of the first over the volumes where both have the score.
    pub first: f64,
    /// Mean of the second.
    pub second: f64,
    /// Mean of the differences first − second.
    pub difference: Outcome,
    /// Volumes where the first is better, and where the second is.
    pub better: [usize; 2],
    /// Two-sided p-value of Student's paired t-test; none with fewer than two volumes or without any spread.
    pub p_value: Option<f64>,
    /// Two-sided p-value of Wilcoxon's signed-rank test (exact up to 50 volumes without ties, else normal); none without a
    /// difference.
    pub wilcoxon_p_value: Option<f64>,
}

/// One score of a volume, if it has it.
type Score = fn(&LabelScores) -> Option<f64>;

/// What a comparison looks at: the score's name, and whether more of it is better.
const SCORES: [(&str, bool, Score); 4] = [
    ("Dice", true, |scores| Some(scores.dice)),
    ("Jaccard", true, |scores| Some(scores.jaccard)),
    ("ASD mm", false, |scores| scores.surface.map(|surface| surface.average)),
    ("95HD mm", false, |scores| scores.surface.map(|surface| surface.hausdorff_95)),
];

/// Compares two ways of segmenting the same volumes, each in one or several runs (such as seeds), whose scores are averaged
/// for each volume first: the volumes are the sample, not the runs.
///
/// A volume without distance in any of the runs is left out of distances.
pub fn compare(first: &[Evaluation], second: &[Evaluation]) -> Vec<PairedScore> {
    let mut labels: Vec<u32> =
        first.iter().chain(second).flat_map(|run| run.labels.iter().map(|label| label.label)).collect();
    labels.sort_unstable();
    labels.dedup();
    let mut compared = Vec::new();
    for label in labels {
        for (score, more_is_better, of) in SCORES {
            let volumes = first.iter().take(1).flat_map(|run| run.volumes.iter().map(|volume| volume.name.as_str()));
            let pairs: Vec<(f64, f64)> = volumes
                .filter_map(|name| Some((over_runs(first, name, label, of)?, over_runs(second, name, label, of)?)))
                .collect();
            if !pairs.is_empty() {
                compared.push(paired(label, score, more_is_better, &pairs));
            }
        }
    }
    compared
}

/// The mean over runs of one volume's score; none if a run lacks it.
fn over_runs(runs: &[Evaluation], name: &str, label: u32, of: Score) -> Option<f64> {
    let each: Option<Vec<f64>> = runs
        .iter()
        .map(|run| {
            let volume = run.volumes.iter().find(|volume| volume.name == name)?;
            of(volume.labels.iter().find(|scores| scores.label == label)?)
        })
        .collect();
    let each = each?;
    Some(each.iter().sum::<f64>() / each.len().max(1) as f64)
}

fn paired(label: u32, score: &str, more_is_better: bool, pairs: &[(f64, f64)]) -> PairedScore {
    let n = pairs.len() as f64;
    let differences: Vec<f64> = pairs.iter().map(|(first, second)| first - second).collect();
    let count = |sign: f64| differences.iter().filter(|&&difference| sign * difference > 0.0).count();
    let sign = if more_is_better { 1.0 } else { -1.0 };
    PairedScore {
        label,
        score: score.to_owned(),
        more_is_better,
        first: pairs.iter().map(|pair| pair.0).sum::<f64>() / n,
        second: pairs.iter().map(|pair| pair.1).sum::<f64>() / n,
        difference: mean(&differences, f64::NEG_INFINITY..=f64::INFINITY),
        better: [count(sign), count(-sign)],
        p_value: t_test(&differences),
        wilcoxon_p_value: signed_rank_test(&differences),
    }
}

/// Two-sided p-value that differences have mean 0 (Student 1908).
fn t_test(differences: &[f64]) -> Option<f64> {
    let n = differences.len() as f64;
    if n < 2.0 {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance <= 0.0 {
        return None;
    }
    let t = mean / (variance / n).sqrt();
    let distribution = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    Some(2.0 * distribution.cdf(-t.abs()))
}

/// Volumes up to which the distribution of ranks is counted out.
const EXACT: usize = 50;

/// Two-sided p-value of the signed-rank test (Wilcoxon 1945); differences of 0 are left out.
fn signed_rank_test(differences: &[f64]) -> Option<f64> {
    let mut sizes: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let n = sizes.len();
    if n == 0 {
        return None;
    }
    sizes.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    let (mut positive, mut ties, mut at) = (0.0, 0.0, 0);
    while at < n {
        let equal = sizes[at..].iter().take_while(|size| size.abs() == sizes[at].abs()).count();
        let rank = at as f64 + (equal as f64 + 1.0) / 2.0;
        positive += rank * sizes[at..at + equal].iter().filter(|size| **size > 0.0).count() as f64;
        ties += (equal.pow(3) - equal) as f64;
        at += equal;
    }
    let count = n as f64;
    let total = count * (count + 1.0) / 2.0;
    if ties == 0.0 && n <= EXACT {
        // Subsets of the ranks by their sum: each is as likely as any.
        let sums = n * (n + 1) / 2;
        let mut subsets = vec![0.0; sums + 1];
        subsets[0] = 1.0;
        for rank in 1..=n {
            for sum in (rank..=sums).rev() {
                subsets[sum] += subsets[sum - rank];
            }
        }
        let least = positive.min(total - positive) as usize;
        let tail: f64 = subsets[..=least].iter().sum();
        return Some((2.0 * tail / 2f64.powi(n as i32)).min(1.0));
    }
    let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0;
    let z = (positive - total / 2.0).abs() / variance.sqrt();
    Some(statrs::function::erf::erfc(z / 2f64.sqrt()).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFERENCES: [f64; 8] = [0.012, -0.004, 0.031, 0.008, 0.019, -0.001, 0.027, 0.015];

    /// `scipy.stats.ttest_1samp(d, 0)` and `scipy.stats.wilcoxon(d)`, scipy 1.17.
    #[test]
    fn p_values_equal_scipy() {
        assert!((t_test(&DIFFERENCES).unwrap() - 0.018_323_459_548).abs() < 1e-10, "{:?}", t_test(&DIFFERENCES));
        assert!((signed_rank_test(&DIFFERENCES).unwrap() - 0.039_062_5).abs() < 1e-12);
        // With ties the normal approximation: scipy.stats.wilcoxon(d, correction=False, method="approx").
        let tied = [1.0, 1.0, -1.0, 2.0, 3.0, 3.0, -2.0, 4.0];
        assert!((signed_rank_test(&tied).unwrap() - 0.104_740_216_6).abs() < 1e-9, "{:?}", signed_rank_test(&tied));
    }

    #[test]
    fn nothing_is_tested_where_nothing_differs() {
        assert_eq!((t_test(&[0.0; 5]), signed_rank_test(&[0.0; 5])), (None, None));
        assert_eq!(t_test(&[0.3]), None);
        assert!((signed_rank_test(&[0.3]).unwrap() - 1.0).abs() < 1e-12);
    }
}
