//! A lower bound on ε from the scores of an attack.

use standin_data::Seed;
use standin_measure::{Estimate, Outcome, clopper_pearson_at, wilson};

use super::check;
use super::threshold::{Half, halves};
use crate::{Error, Result};

/// Confidence of the two-sided intervals whose outer ends bound one rate each, at 2.5 % error: 5 % for both.
const CONFIDENCE: f64 = 0.95;

/// The largest ε that an attack demonstrates at 95 % confidence, if every candidate's membership is taken as an
/// independent trial.
///
/// An (ε, δ)-differentially private mechanism keeps every test's power to TPR ≤ e^ε FPR + δ, and, read for
/// non-membership, TNR ≤ e^ε FNR + δ (Kairouz, Oh & Viswanath 2015). So ε ≥ ln((TPR − δ)/FPR) for any threshold, and
/// likewise the other way round. Direction and threshold are chosen on a random half of either side (`seed`), by Wilson
/// bounds; on the other half both rates are bounded by Clopper–Pearson at 97.5 % each, so the choice cannot flatter.
///
/// The estimate's value is the bound, and so are both its ends: the true ε may be any amount larger. It is 0 where
/// nothing was demonstrated.
///
/// What it means: the trials of one run share one model, and they are average members, so this is no audit of a
/// mechanism's worst case; it says what this run gives away about members like these. A bound above the accountant's ε
/// still means that something is wrong.
///
/// Not measurable where even a perfect attack on as few candidates could not demonstrate any ε.
///
/// # Errors
/// As for [`crate::evaluate`], and if `delta` is not in [0, 1).
pub fn epsilon_lower(member_scores: &[f64], non_member_scores: &[f64], delta: f64, seed: Seed) -> Result<Outcome> {
    check(member_scores, non_member_scores)?;
    if !(0.0..1.0).contains(&delta) {
        return Err(Error::Delta { delta });
    }
    let (choose, report) = halves(member_scores, non_member_scores, seed.derive("epsilon"));
    let (m, n) = (report.members.len(), report.non_members.len());
    let perfect = exact_bound((m, m), (0, n), delta).max(exact_bound((n, n), (0, m), delta));
    if perfect <= 0.0 {
        return Ok(Outcome::NotMeasurable(format!(
            "with {m} members and {n} non-members to report on, even a perfect attack proves no ε above 0"
        )));
    }
    let (threshold, direction) = choice(&choose, delta);
    let (positives, false_positives) = report.at_least(threshold);
    let bound = match direction {
        Direction::Membership => exact_bound((positives, m), (false_positives, n), delta),
        Direction::NonMembership => exact_bound((n - false_positives, n), (m - positives, m), delta),
    };
    let bound = bound.max(0.0);
    Ok(Outcome::Measured(Estimate {
        value: bound,
        low: bound,
        high: bound,
        n: m + n,
        method: format!(
            "95 % lower bound by Clopper–Pearson at δ = {delta:.2e}, {direction} threshold chosen on the other half; \
             for average members of one run, candidates treated as independent; at most {perfect:.2} at this n"
        ),
    }))
}

/// What a threshold is used to detect.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    Membership,
    NonMembership,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Membership => "membership",
            Self::NonMembership => "non-membership",
        })
    }
}

/// The threshold and direction that promise most. Wilson bounds stand in for the exact ones, which take long to compute
/// for every threshold; the choice needs no guarantee.
fn choice(half: &Half, delta: f64) -> (f64, Direction) {
    let (m, n) = (half.members.len(), half.non_members.len());
    let bound = |hits: (usize, usize), errors: (usize, usize)| {
        ((wilson(hits.0, hits.1).low - delta).max(f64::MIN_POSITIVE) / wilson(errors.0, errors.1).high).ln()
    };
    let (for_members, gain) = half.best_threshold(|members, non_members| bound((members, m), (non_members, n)));
    let (for_non_members, other) =
        half.best_threshold(|members, non_members| bound((n - non_members, n), (m - members, m)));
    if gain >= other { (for_members, Direction::Membership) } else { (for_non_members, Direction::NonMembership) }
}

/// ln((hit rate − δ)/error rate) with the lower Clopper–Pearson bound of the former and the upper of the latter; each
/// rate is given as (successes, trials). Negative infinity if the hit rate may be as small as δ.
fn exact_bound(hits: (usize, usize), errors: (usize, usize), delta: f64) -> f64 {
    let (hit_rate, _) = clopper_pearson_at(hits.0, hits.1, CONFIDENCE);
    let (_, error_rate) = clopper_pearson_at(errors.0, errors.1, CONFIDENCE);
    if hit_rate <= delta { f64::NEG_INFINITY } else { ((hit_rate - delta) / error_rate).ln() }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn bound(members: &[f64], non_members: &[f64], delta: f64, seed: u64) -> f64 {
        epsilon_lower(members, non_members, delta, Seed::new(seed)).unwrap().estimate().unwrap().value
    }

    /// Randomised response tells the truth with probability e^ε/(1 + e^ε): it is (ε, 0)-private and no more.
    #[test]
    fn randomised_response_is_bounded_tightly_and_from_below() {
        let epsilon = 1.5_f64;
        let truth = epsilon.exp() / (1.0 + epsilon.exp());
        let mut rng = Seed::new(1).rng();
        let mut answers = |count: usize, member: bool| -> Vec<f64> {
            (0..count).map(|_| f64::from(rng.random_bool(truth) == member)).collect()
        };
        let bounds: Vec<f64> =
            (0..200).map(|seed| bound(&answers(1000, true), &answers(1000, false), 0.0, seed)).collect();
        let violations = bounds.iter().filter(|&&bound| bound > epsilon).count();
        // 5 % of 200 plus three standard errors.
        assert!(violations <= 19, "{violations} of 200 above the truth");
        let mean = bounds.iter().sum::<f64>() / 200.0;
        assert!(mean > 1.1, "{mean} is far below {epsilon}");
    }

    #[test]
    fn no_leak_gives_no_bound_too_often() {
        let mut rng = Seed::new(2).rng();
        let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random()).collect() };
        let positive = (0..200).filter(|&seed| bound(&draw(300), &draw(300), 1e-5, seed) > 0.0).count();
        assert!(positive <= 19, "{positive} of 200");
    }

    #[test]
    fn certain_non_members_count_too() {
        // Half of the non-members are recognised without error, no member ever is.
        let members = vec![1.0; 400];
        let non_members: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        assert!(bound(&members, &non_members, 0.0, 3) > 3.0);
        let text = epsilon_lower(&members, &non_members, 0.0, Seed::new(3)).unwrap();
        assert!(text.estimate().unwrap().method.contains("non-membership"));
    }

    #[test]
    fn delta_lowers_the_bound() {
        let members: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 10 == 0))).collect();
        let non_members = vec![0.0; 400];
        let bounds = [0.0, 0.02, 0.5].map(|delta| bound(&members, &non_members, delta, 4));
        assert!(bounds[0] > bounds[1] && bounds[1] > bounds[2] && bounds[2] == 0.0, "{bounds:?}");
    }

    #[test]
    fn too_few_candidates_cannot_prove_anything() {
        let outcome = epsilon_lower(&[1.0; 4], &[0.0; 4], 0.0, Seed::new(5)).unwrap();
        assert!(outcome.to_string().starts_with("not measurable"), "{outcome}");
        let message = epsilon_lower(&[1.0; 4], &[0.0; 4], 1.0, Seed::new(5)).unwrap_err().to_string();
        assert!(message.contains("delta is 1"), "{message}");
    }
}
