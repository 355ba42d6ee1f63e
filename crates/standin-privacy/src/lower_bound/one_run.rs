use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::LowerBound;
use super::binomial::masses;
use crate::error::{fraction, probability};
use crate::{Error, Result, gaussian};

/// No mechanism that leaks more is told apart from one without any privacy.
const MOST: f64 = 60.0;

/// What an attacker guessed about the canaries of one training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guesses {
    /// Canaries, each put in or left out by a fair coin of its own.
    pub canaries: u64,
    /// Canaries about which a guess was made; the attacker may abstain.
    pub guesses: u64,
    /// Guesses that were right.
    pub correct: u64,
}

impl Guesses {
    fn check(self) -> Result<()> {
        let Self { canaries, guesses, correct } = self;
        if guesses > canaries || guesses == 0 {
            return Err(Error::Counts { part: "guesses", parts: guesses, whole: "canaries", of: canaries });
        }
        if correct > guesses {
            return Err(Error::Counts { part: "correct", parts: correct, whole: "guesses", of: guesses });
        }
        Ok(())
    }
}

/// The largest ε refuted by guesses about one run, for any (ε, `delta`)-private mechanism (Steinke, Nasr & Jagielski 2023,
/// "Privacy auditing with one (1) training run", Theorem 5.2).
///
/// The number of right guesses W among r made about m canaries is bounded by P(W ≥ v) ≤ f(v) + 2 m δ
/// max_(i ≥ 1) (f(v − i) − f(v))/i, where f(v) = P(Binomial(r, e^ε/(1 + e^ε)) ≥ v). ε is refuted if this is at most
/// 1 − `confidence`.
///
/// Cost: O(r) a value of ε, of which 50 are tried.
///
/// # Errors
/// If there are no guesses or more than canaries, or more right ones than guesses; if `delta` is not in [0, 1) or
/// `confidence` not in (0, 1).
pub fn one_run(guesses: Guesses, delta: f64, confidence: f64) -> Result<LowerBound> {
    guesses.check()?;
    fraction("delta", delta)?;
    probability("confidence", confidence)?;
    let refuted = |epsilon: f64| p_value(guesses, epsilon, delta) <= 1.0 - confidence;
    let method = "one run (Steinke, Nasr & Jagielski 2023)".into();
    Ok(LowerBound { epsilon: largest(refuted), delta, confidence, method })
}

/// The largest ε refuted by guesses about one run if the mechanism's trade-off between errors is that of a Gaussian
/// (Mahloujifar, Melis & Chaudhuri 2024, "Auditing f-differential privacy in one run", Algorithm 3 with two answers).
///
/// # Errors
/// As for [`one_run`], and if `delta` is 0, at which no Gaussian has a finite ε.
pub fn gaussian_one_run(guesses: Guesses, delta: f64, confidence: f64) -> Result<LowerBound> {
    guesses.check()?;
    probability("delta", delta)?;
    probability("confidence", confidence)?;
    let mu = largest(|mu| refutes_gaussian(guesses, mu, 1.0 - confidence));
    let epsilon = if mu > 0.0 { gaussian::epsilon(1.0, mu, delta)? } else { 0.0 };
    let method = format!("one run, if the trade-off is Gaussian (Mahloujifar, Melis & Chaudhuri 2024; μ ≥ {mu:.3})");
    Ok(LowerBound { epsilon, delta, confidence, method })
}

/// The shares of canaries for which guesses are made when scores are given: [`guesses_at`] each of them, and dividing the
/// error probability by their number, costs little and spares choosing.
pub const SHARES: [f64; 5] = [0.02, 0.05, 0.1, 0.3, 1.0];

/// Guesses from an attack's scores: of `share` of all canaries, the half with the largest scores are guessed to be
/// members and the half with the smallest not to be. Ties are broken against the attacker.
///
/// # Errors
/// If there are no scores, a score is not a number, or `share` is not in (0, 1].
pub fn guesses_at(share: f64, member_scores: &[f64], non_member_scores: &[f64]) -> Result<Guesses> {
    crate::error::rate("share", share)?;
    let mut scored: Vec<(f64, bool)> = member_scores.iter().map(|&score| (score, true)).collect();
    scored.extend(non_member_scores.iter().map(|&score| (score, false)));
    if let Some((score, _)) = scored.iter().find(|(score, _)| score.is_nan()) {
        return Err(Error::OutOfRange { parameter: "score", value: *score, expected: "a number" });
    }
    let canaries = scored.len();
    let half = (((share * canaries as f64) / 2.0).round() as usize).clamp(1, (canaries / 2).max(1));
    if canaries < 2 {
        return Err(Error::Counts { part: "guesses", parts: 2, whole: "canaries", of: canaries as u64 });
    }
    // Largest first; among equals non-members come first where members are guessed, and last where they are not.
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let members = scored[..half].iter().filter(|(_, member)| *member).count();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let non_members = scored[..half].iter().filter(|(_, member)| !*member).count();
    Ok(Guesses { canaries: canaries as u64, guesses: 2 * half as u64, correct: (members + non_members) as u64 })
}

/// The largest of the bounds that guesses from an attack's scores about each of the [`SHARES`] allow, and those guesses; each bound has its part
/// of the error probability, so that the best one holds with `confidence`. `bound` is [`one_run`] or [`gaussian_one_run`].
///
/// # Errors
/// As for [`guesses_at`] and `bound`.
pub fn over_shares(
    member_scores: &[f64],
    non_member_scores: &[f64],
    delta: f64,
    confidence: f64,
    bound: impl Fn(Guesses, f64, f64) -> Result<LowerBound>,
) -> Result<(LowerBound, Guesses)> {
    let each = 1.0 - (1.0 - confidence) / SHARES.len() as f64;
    let mut best: Option<(LowerBound, Guesses)> = None;
    for share in SHARES {
        let guesses = guesses_at(share, member_scores, non_member_scores)?;
        let bound = bound(guesses, delta, each)?;
        if best.as_ref().is_none_or(|(known, _)| bound.epsilon > known.epsilon) {
            best = Some((bound, guesses));
        }
    }
    let (bound, guesses) = best.expect("there is at least one share");
    let method = format!("{}, best of {} shares of canaries", bound.method, SHARES.len());
    Ok((LowerBound { confidence, method, ..bound }, guesses))
}

/// The largest value in [0, [`MOST`]] for which the monotone `refuted` holds, from below; 0 if it holds nowhere.
fn largest(refuted: impl Fn(f64) -> bool) -> f64 {
    if !refuted(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, MOST);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if refuted(middle) { low = middle } else { high = middle }
    }
    low
}

fn p_value(Guesses { canaries, guesses, correct }: Guesses, epsilon: f64, delta: f64) -> f64 {
    let masses = masses(guesses, epsilon);
    let correct = correct as usize;
    let beyond: f64 = masses[correct..].iter().rev().sum();
    let mut sum = 0.0;
    let mut steepest: f64 = 0.0;
    for (index, mass) in masses[..correct].iter().rev().enumerate() {
        sum += mass;
        steepest = steepest.max(sum / (index + 1) as f64);
    }
    (beyond + 2.0 * canaries as f64 * delta * steepest).min(1.0)
}

/// Whether so many right guesses are too unlikely for a mechanism that is μ-Gaussian differentially private: `right` and
/// `wrong` bound what probability the events of i and more right guesses would need, shared by a canary that was guessed
/// rightly or wrongly, and at 0 they must not need more than there is.
fn refutes_gaussian(Guesses { canaries, guesses, correct }: Guesses, mu: f64, error: f64) -> bool {
    let normal = Normal::standard();
    let inverse = |x: f64| {
        if x <= 0.0 {
            0.0
        } else if x >= 1.0 {
            1.0
        } else {
            normal.cdf(normal.inverse_cdf(x) - mu)
        }
    };
    let share = |count: u64| count as f64 / canaries as f64;
    let (mut right, mut wrong) = (error * share(correct), error * share(guesses - correct));
    for index in (0..correct).rev() {
        let next = wrong.max(inverse(right));
        if next == wrong {
            break;
        }
        right = (right + index as f64 / (guesses - index) as f64 * (next - wrong)).min(1.0);
        wrong = next;
    }
    right + wrong > share(guesses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesses(canaries: u64, guesses: u64, correct: u64) -> Guesses {
        Guesses { canaries, guesses, correct }
    }

    /// `tests/fixtures/lower_bounds.py` says how these were made.
    #[test]
    fn bounds_equal_an_independent_implementation() {
        let mut rows = 0;
        for line in include_str!("../../tests/fixtures/lower_bounds.csv").lines() {
            let Some(numbers) = line.strip_prefix("one_run,") else { continue };
            let n: Vec<f64> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
            let guesses = guesses(n[0] as u64, n[1] as u64, n[2] as u64);
            let plain = one_run(guesses, n[3], n[4]).unwrap().epsilon;
            assert!((plain - n[5]).abs() < 1e-6, "{plain} for {line}");
            if n[3] > 0.0 {
                let gaussian = gaussian_one_run(guesses, n[3], n[4]).unwrap().epsilon;
                assert!((gaussian - n[6]).abs() < 1e-4, "{gaussian} for {line}");
            }
            rows += 1;
        }
        assert!(rows >= 10);
    }

    #[test]
    fn without_delta_the_bound_is_the_binomial_tail() {
        // All of 100 guesses right: q^100 = 0.05 at q = 0.05^(1/100).
        let q = 0.05_f64.powf(0.01);
        let found = one_run(guesses(100, 100, 100), 0.0, 0.95).unwrap().epsilon;
        assert!((found - (q / (1.0 - q)).ln()).abs() < 1e-9, "{found}");
    }

    #[test]
    fn guessing_shows_nothing_and_delta_lowers_the_bound() {
        assert_eq!(one_run(guesses(1000, 1000, 505), 1e-5, 0.95).unwrap().epsilon, 0.0);
        assert_eq!(gaussian_one_run(guesses(1000, 1000, 505), 1e-5, 0.95).unwrap().epsilon, 0.0);
        let bound = |delta| one_run(guesses(1000, 200, 190), delta, 0.95).unwrap().epsilon;
        assert!(
            bound(0.0) > bound(1e-5) && bound(1e-5) > bound(1e-3),
            "{} {} {}",
            bound(0.0),
            bound(1e-5),
            bound(1e-3)
        );
    }

    /// Randomised response tells each bit rightly with probability e^ε/(1 + e^ε): the mechanism for which the bound is
    /// tight.
    #[test]
    fn randomised_response_is_not_overestimated_too_often() {
        use rand::RngExt;
        let epsilon = 1.0_f64;
        let truth = 1.0 / (1.0 + (-epsilon).exp());
        let mut rng = standin_data::Seed::new(7).rng();
        let bounds: Vec<f64> = (0..400)
            .map(|_| {
                let correct = (0..500).filter(|_| rng.random_bool(truth)).count() as u64;
                one_run(guesses(500, 500, correct), 0.0, 0.95).unwrap().epsilon
            })
            .collect();
        let above = bounds.iter().filter(|&&bound| bound > epsilon).count();
        // 5 % of 400 and three standard errors.
        assert!(above <= 33, "{above} of 400 above the truth");
        assert!(bounds.iter().sum::<f64>() / 400.0 > 0.75);
    }

    /// A Gaussian mechanism on each canary alone: μ-private, and its best guesses are the extremes.
    #[test]
    fn a_gaussian_mechanism_is_not_overestimated_too_often() {
        use rand::RngExt;
        use rand_distr::{Distribution, StandardNormal};
        let (mu, canaries) = (1.5_f64, 1000);
        let mut rng = standin_data::Seed::new(8).rng();
        let truth = gaussian::epsilon(1.0, mu, 1e-5).unwrap();
        let mut above = 0;
        let mut sum = 0.0;
        for _ in 0..60 {
            let (mut members, mut others) = (Vec::new(), Vec::new());
            for _ in 0..canaries {
                let noise: f64 = StandardNormal.sample(&mut rng);
                if rng.random_bool(0.5) { members.push(mu + noise) } else { others.push(noise) }
            }
            let bound = gaussian_one_run(guesses_at(0.1, &members, &others).unwrap(), 1e-5, 0.95).unwrap().epsilon;
            above += usize::from(bound > truth);
            sum += bound;
        }
        assert!(above <= 8, "{above} of 60 above {truth}");
        assert!(sum / 60.0 > 0.5 * truth, "{} is far below {truth}", sum / 60.0);
    }

    #[test]
    fn scores_give_guesses_and_ties_help_nobody() {
        let found = guesses_at(0.5, &[5.0, 4.0, 1.0, 3.0], &[0.0, 2.0, 1.0, 3.5]).unwrap();
        assert_eq!(found, guesses(8, 4, 3));
        assert_eq!(guesses_at(1.0, &[1.0; 6], &[1.0; 6]).unwrap(), guesses(12, 12, 0));
        assert!(guesses_at(0.5, &[f64::NAN], &[1.0]).is_err());
        assert!(guesses_at(0.5, &[1.0], &[]).is_err());
    }

    #[test]
    fn impossible_counts_are_named() {
        for (found, name) in [
            (guesses(10, 11, 3), "guesses is 11"),
            (guesses(10, 5, 6), "correct is 6"),
            (guesses(10, 0, 0), "guesses is 0"),
        ] {
            let message = one_run(found, 0.0, 0.95).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
