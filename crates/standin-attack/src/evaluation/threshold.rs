use rand::seq::SliceRandom;
use standin_data::Seed;
use standin_measure::{Estimate, wilson};

use super::{Tie, ties};

/// The scores of one half of the candidates.
pub(super) struct Half {
    pub members: Vec<f64>,
    pub non_members: Vec<f64>,
}

/// Splits either side at random: the first half is for choosing, the second, the larger by one if need be, for reporting.
/// Both come sorted.
pub(super) fn halves(members: &[f64], non_members: &[f64], seed: Seed) -> (Half, Half) {
    let split = |scores: &[f64], purpose: &str| {
        let mut scores = scores.to_vec();
        // Sorted first, so that the order in which candidates were listed has no influence.
        scores.sort_unstable_by(f64::total_cmp);
        scores.shuffle(&mut seed.derive(purpose).rng());
        let mut report = scores.split_off(scores.len() / 2);
        scores.sort_unstable_by(f64::total_cmp);
        report.sort_unstable_by(f64::total_cmp);
        (scores, report)
    };
    let (choose_members, report_members) = split(members, "members");
    let (choose_non_members, report_non_members) = split(non_members, "non-members");
    (
        Half { members: choose_members, non_members: choose_non_members },
        Half { members: report_members, non_members: report_non_members },
    )
}

impl Half {
    /// How many members and how many non-members score at least `threshold`.
    pub fn at_least(&self, threshold: f64) -> (usize, usize) {
        let count = |scores: &[f64]| scores.len() - scores.partition_point(|&score| score < threshold);
        (count(&self.members), count(&self.non_members))
    }

    /// The threshold with the largest gain, given as a function of the members and the non-members at or above it, and
    /// that gain. Thresholds lie in the middle between neighbouring scores; of equal gains the highest threshold wins.
    pub fn best_threshold(&self, gain: impl Fn(usize, usize) -> f64) -> (f64, f64) {
        let ties = ties(&self.members, &self.non_members);
        let mut best = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut members, mut non_members) = (0, 0);
        for (at, tie) in ties.iter().enumerate().rev() {
            members += tie.members;
            non_members += tie.non_members;
            let gained = gain(members, non_members);
            if gained > best.1 {
                best = (threshold_below(&ties, at), gained);
            }
        }
        best
    }
}

/// A threshold that admits tie `at` and not the one below it, half-way where both are finite.
fn threshold_below(ties: &[Tie], at: usize) -> f64 {
    let here = ties[at].score;
    let Some(below) = at.checked_sub(1).map(|below| ties[below].score) else { return f64::NEG_INFINITY };
    let middle = 0.5 * below + 0.5 * here;
    if middle > below && middle <= here { middle } else { here }
}

/// Balanced accuracy of the best threshold of one half, on the other half.
pub(super) fn balanced_accuracy(members: &[f64], non_members: &[f64], seed: Seed) -> Estimate {
    let (choose, report) = halves(members, non_members, seed);
    let (m, n) = (choose.members.len() as f64, choose.non_members.len() as f64);
    let (threshold, _) = choose.best_threshold(|members, non_members| members as f64 / m - non_members as f64 / n);
    let (true_positives, false_positives) = report.at_least(threshold);
    let sensitivity = wilson(true_positives, report.members.len());
    let specificity = wilson(report.non_members.len() - false_positives, report.non_members.len());
    let value = 0.5 * (sensitivity.value + specificity.value);
    let below = (sensitivity.value - sensitivity.low).hypot(specificity.value - specificity.low);
    let above = (sensitivity.high - sensitivity.value).hypot(specificity.high - specificity.value);
    Estimate {
        value,
        low: (value - 0.5 * below).max(0.0),
        high: (value + 0.5 * above).min(1.0),
        n: report.members.len() + report.non_members.len(),
        method: "threshold chosen on the other half; Wilson intervals of both rates, Newcombe's combination".into(),
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn normal(count: usize, shift: f64, rng: &mut impl rand::Rng) -> Vec<f64> {
        (0..count).map(|_| -> f64 { StandardNormal.sample(rng) }).map(|x| x + shift).collect()
    }

    #[test]
    fn halves_share_no_candidate_and_lose_none() {
        let members: Vec<f64> = (0..11).map(f64::from).collect();
        let non_members: Vec<f64> = (100..106).map(f64::from).collect();
        let (choose, report) = halves(&members, &non_members, Seed::new(1));
        assert_eq!((choose.members.len(), report.members.len()), (5, 6));
        let mut all: Vec<f64> = choose.members.iter().chain(&report.members).copied().collect();
        all.sort_by(f64::total_cmp);
        assert_eq!(all, members);
    }

    #[test]
    fn separated_scores_give_a_threshold_in_the_middle() {
        let half = Half { members: vec![3.0, 4.0], non_members: vec![0.0, 1.0] };
        let (threshold, gain) = half.best_threshold(|members, non_members| members as f64 - non_members as f64);
        assert_eq!((threshold, gain), (2.0, 2.0));
        let infinite = Half { members: vec![f64::INFINITY; 2], non_members: vec![f64::NEG_INFINITY, 1.0] };
        let (threshold, _) = infinite.best_threshold(|members, non_members| members as f64 - non_members as f64);
        assert_eq!(infinite.at_least(threshold), (2, 0));
    }

    /// Two normal distributions d apart have the best balanced accuracy Φ(d/2).
    #[test]
    fn intervals_cover_the_accuracy_of_the_best_threshold_and_of_chance() {
        for (shift, truth) in [(0.0, 0.5), (1.0, 0.691_462_5)] {
            let mut rng = Seed::new(3).rng();
            let covered = (0..500)
                .filter(|&repetition| {
                    let (members, non_members) = (normal(300, shift, &mut rng), normal(300, 0.0, &mut rng));
                    let found = balanced_accuracy(&members, &non_members, Seed::new(repetition));
                    found.low <= truth && truth <= found.high
                })
                .count();
            // 95 % of 500 less four standard errors; the chosen threshold is a little worse than the best.
            assert!(covered >= 455, "{covered} of 500 at {shift}");
        }
    }

    #[test]
    fn choosing_and_reporting_on_the_same_scores_would_be_optimistic() {
        let mut rng = Seed::new(4).rng();
        let (mut same, mut other) = (0.0, 0.0);
        for repetition in 0..200 {
            let (members, non_members) = (normal(30, 0.0, &mut rng), normal(30, 0.0, &mut rng));
            let (choose, _) = halves(&members, &non_members, Seed::new(repetition));
            let (_, gain) = choose.best_threshold(|m, n| (m as f64 - n as f64) / 15.0);
            same += (0.5 + 0.5 * gain) / 200.0;
            other += balanced_accuracy(&members, &non_members, Seed::new(repetition)).value / 200.0;
        }
        assert!(same > 0.58, "{same}");
        assert!((other - 0.5).abs() < 0.02, "{other}");
    }
}
