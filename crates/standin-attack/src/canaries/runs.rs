//! What several trainings with the same canaries and other coins give away.

use standin_data::Seed;
use standin_privacy::lower_bound::{Guesses, LowerBound, one_run, over_shares};

use crate::median::median;
use crate::{Error, Evaluation, Result, evaluate};

/// The canaries of one run: a score each, higher for members, and whether each took part.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryRun {
    /// A score for each canary, finite.
    pub scores: Vec<f64>,
    /// Whether each took part in this run: the outcome of a fair coin, tossed for this canary and this run alone.
    pub included: Vec<bool>,
}

/// What the runs give away.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryAudit {
    /// Runs whose coins were guessed; the runs before them showed how each canary looks.
    pub guessed: usize,
    /// How well those that took part and those that did not are told apart, over all canaries of the guessed runs. Intervals take
    /// them as independent.
    pub evaluation: Evaluation,
    /// Guesses behind the bound.
    pub guesses: Guesses,
    /// ε is at least this, for adding or removing one image, at 95 %.
    pub bound: LowerBound,
}

/// From so many runs on, the first half of them shows how each canary looks.
const RUNS_TO_LEARN: usize = 4;

const CONFIDENCE: f64 = 0.95;

impl CanaryAudit {
    /// Audits runs with the same canaries, each of which took part by a coin of its own.
    ///
    /// Scores are taken relative to the median of their run. With four runs or more, the first half of them is not guessed about: it shows
    /// how high each canary scores whether or not it takes part, and that is subtracted in the others, shrunk to what is more than chance
    /// (an additive model, as LiRA makes its Gaussians per example).
    ///
    /// The bound is that of one run (Steinke, Nasr & Jagielski 2023, Theorem 5.2) for all guessed runs together. It holds: runs that do not
    /// see each other's coins are one mechanism on the canaries of all of them, private with the ε and δ of each, because every coin enters one
    /// run alone; and the runs that were learnt from are independent of the coins that are guessed. With one run it is the published audit; with
    /// one canary and many runs it is the classical one over many trainings.
    ///
    /// # Errors
    /// If there is no run, the runs have different numbers of canaries, a score is no number, or all canaries fell on one side.
    pub fn of(runs: &[CanaryRun], delta: f64, seed: Seed) -> Result<Self> {
        let Some(first) = runs.first() else { return Err(Error::Empty { what: "runs with canaries" }) };
        let expected = first.scores.len();
        for (run, CanaryRun { scores, included }) in runs.iter().enumerate() {
            for (what, found) in [("scores", scores.len()), ("coins", included.len())] {
                if found != expected || found == 0 {
                    return Err(Error::Length { what: format!("{what} of run {run}"), found, expected });
                }
            }
        }
        let relative: Vec<CanaryRun> = runs.iter().map(relative_to_median).collect();
        let learnt = if runs.len() >= RUNS_TO_LEARN { runs.len() / 2 } else { 0 };
        let (known, guessed) = relative.split_at(learnt);
        let expected = if known.is_empty() { vec![0.0; expected] } else { difficulty(known) };
        let (mut members, mut others) = (Vec::new(), Vec::new());
        for run in guessed {
            for ((score, expected), &included) in run.scores.iter().zip(&expected).zip(&run.included) {
                if included { &mut members } else { &mut others }.push(score - expected);
            }
        }
        let evaluation = evaluate(&members, &others, seed)?;
        let (bound, guesses) = over_shares(&members, &others, delta, CONFIDENCE, one_run)?;
        Ok(Self { guessed: guessed.len(), evaluation, guesses, bound })
    }
}

fn relative_to_median(run: &CanaryRun) -> CanaryRun {
    let middle = median(run.scores.clone());
    CanaryRun { scores: run.scores.iter().map(|score| score - middle).collect(), included: run.included.clone() }
}

/// How much higher each canary scores than the mean one, whether or not it takes part.
fn difficulty(runs: &[CanaryRun]) -> Vec<f64> {
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
        if count > 0 { sum / count as f64 } else { 0.0 }
    };
    let side = |wanted: bool| {
        let all = runs.iter().flat_map(|run| run.scores.iter().zip(&run.included));
        mean(&mut all.filter(|(_, included)| **included == wanted).map(|(score, _)| *score))
    };
    let gain = side(true) - side(false);
    let canaries = runs[0].scores.len();
    let without_gain =
        |canary: usize| runs.iter().map(move |run| run.scores[canary] - if run.included[canary] { gain } else { 0.0 });
    let means: Vec<f64> = (0..canaries).map(|canary| mean(&mut without_gain(canary))).collect();
    let overall = mean(&mut means.iter().copied());
    let between = mean(&mut means.iter().map(|mean| (mean - overall).powi(2)));
    let squares: f64 =
        (0..canaries).map(|canary| without_gain(canary).map(|x| (x - means[canary]).powi(2)).sum::<f64>()).sum();
    let within = squares / (canaries * (runs.len() - 1).max(1)) as f64;
    let kept = if between > 0.0 { (1.0 - within / (runs.len() as f64 * between)).max(0.0) } else { 0.0 };
    means.into_iter().map(|mean| kept * (mean - overall)).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::{Distribution, StandardNormal};
    use standin_privacy::gaussian;

    use super::*;

    /// Runs of a mechanism that adds `gain` to the score of a canary that takes part and noise of deviation 1 to all, where canaries differ
    /// by `spread` among themselves.
    fn runs(count: usize, canaries: usize, gain: f64, spread: f64, seed: Seed) -> Vec<CanaryRun> {
        let mut rng = seed.rng();
        let mut normal = move |deviation: f64| -> f64 {
            let value: f64 = StandardNormal.sample(&mut rng);
            deviation * value
        };
        let of_canary: Vec<f64> = (0..canaries).map(|_| normal(spread)).collect();
        let mut coins = seed.derive("coins").rng();
        (0..count)
            .map(|run| {
                let included: Vec<bool> = (0..canaries).map(|_| coins.random()).collect();
                // What a whole run shifts says nothing about its canaries.
                let score = |(of_canary, &included): (&f64, &bool)| {
                    3.0 * run as f64 + of_canary + if included { gain } else { 0.0 } + normal(1.0)
                };
                CanaryRun { scores: of_canary.iter().zip(&included).map(score).collect(), included }
            })
            .collect()
    }

    #[test]
    fn what_makes_canaries_unequal_is_learnt_from_other_runs() {
        let audited = |count| CanaryAudit::of(&runs(count, 400, 2.0, 5.0, Seed::new(1)), 1e-5, Seed::new(1)).unwrap();
        let (raw, learnt) = (audited(3), audited(12));
        assert_eq!((raw.guessed, learnt.guessed), (3, 6));
        // Φ(2/√2) = 0.921 if all were known of the canaries, Φ(2/√52) = 0.609 if nothing.
        assert!((raw.evaluation.auc.value - 0.609).abs() < 0.05, "{}", raw.evaluation.auc);
        assert!((0.87..0.925).contains(&learnt.evaluation.auc.value), "{}", learnt.evaluation.auc);
        assert!(learnt.bound.epsilon > 1.5 && raw.bound.epsilon < 1.0, "{:?} {:?}", learnt.bound, raw.bound);
    }

    /// Canaries of one mechanism after the other: adding `gain` to a value with noise of deviation 1 is a Gaussian mechanism of
    /// multiplier 1/gain, whose ε is known.
    #[test]
    fn bounds_exceed_the_truth_in_at_most_a_twentieth_of_the_audits() {
        let (gain, delta) = (1.0, 1e-3);
        let truth = gaussian::epsilon(1.0, gain, delta).unwrap();
        let exceeded = |count: usize| {
            let audits = (0..200).map(|repetition| {
                let runs = runs(count, 100, gain, 2.0, Seed::new(repetition));
                CanaryAudit::of(&runs, delta, Seed::new(1)).unwrap().bound.epsilon
            });
            audits.filter(|&bound| bound > truth).count()
        };
        for count in [1, 6] {
            let exceeded = exceeded(count);
            assert!(exceeded <= 10, "{exceeded} of 200 audits of {count} runs above {truth}");
        }
    }

    #[test]
    fn nothing_is_found_where_taking_part_makes_no_difference() {
        for count in [1, 6] {
            let audits: Vec<CanaryAudit> = (0..200)
                .map(|repetition| {
                    CanaryAudit::of(&runs(count, 100, 0.0, 2.0, Seed::new(repetition)), 1e-5, Seed::new(1)).unwrap()
                })
                .collect();
            let covered = audits.iter().filter(|a| a.evaluation.auc.low <= 0.5 && 0.5 <= a.evaluation.auc.high).count();
            // 95 % of 200 is 190, with a standard deviation of 3.1.
            assert!(covered >= 179, "the interval of the AUC holds 0.5 in {covered} of 200 audits of {count} runs");
            let shown = audits.iter().filter(|audit| audit.bound.epsilon > 0.0).count();
            assert!(shown <= 10, "an ε above 0 in {shown} of 200 audits of {count} runs");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let run = |scores: usize, coins: usize| CanaryRun { scores: vec![0.5; scores], included: vec![true; coins] };
        let message = |runs: &[CanaryRun]| CanaryAudit::of(runs, 1e-5, Seed::new(1)).unwrap_err().to_string();
        assert!(message(&[]).contains("no runs with canaries"));
        assert!(message(&[run(3, 3), run(3, 2)]).contains("coins of run 1"));
        assert!(message(&[run(3, 3)]).contains("non-member"), "all canaries took part: {}", message(&[run(3, 3)]));
    }
}
