//! `standin privacy audit`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_privacy::lower_bound::{
    Guesses, LowerBound, Rates, from_rates, gaussian_from_rates, gaussian_one_run, one_run, over_shares,
};

use super::Context;
use super::privacy::Missing;
use super::privacy_scores::read_scores;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// A lower bound on ε from what an attack achieved
///
/// A bound above the ε that was claimed proves that what ran is not what was accounted for, up to the error probability:
/// with --claimed, that is exit status 1. A bound below it proves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin privacy audit --true-positives 900 --positives 1000 --false-positives 30 --negatives 1000 --delta 1e-5
  standin privacy audit --canaries 1000 --guesses 100 --correct 95 --delta 1e-5 --claimed 2
  standin privacy audit --scores canaries.csv --delta 1e-5       columns score and member (0 or 1)

Rates come from a threshold fixed before these trials, whose runs are independent. Guesses come from one run, in which
every canary was put in or left out by its own fair coin.")]
pub struct Audit {
    /// Members taken for members
    #[arg(long, value_name = "N", requires_all = ["positives", "false_positives", "negatives"])]
    true_positives: Option<u64>,

    /// Members tried
    #[arg(long, value_name = "N", requires = "true_positives")]
    positives: Option<u64>,

    /// Non-members taken for members
    #[arg(long, value_name = "N", requires = "true_positives")]
    false_positives: Option<u64>,

    /// Non-members tried
    #[arg(long, value_name = "N", requires = "true_positives")]
    negatives: Option<u64>,

    /// Canaries of one run, each put in or left out by a fair coin
    #[arg(long, value_name = "M", requires_all = ["guesses", "correct"], conflicts_with = "true_positives")]
    canaries: Option<u64>,

    /// Canaries about which a guess was made
    #[arg(long, value_name = "R", requires = "canaries")]
    guesses: Option<u64>,

    /// Guesses that were right
    #[arg(long, value_name = "V", requires = "canaries")]
    correct: Option<u64>,

    /// Scores of one run's canaries, higher for members: CSV or Parquet with columns score and member (0/1, true/false)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["true_positives", "canaries"])]
    scores: Option<PathBuf>,

    /// Failure probability of the guarantee that is audited
    #[arg(long, value_name = "D")]
    delta: f64,

    /// Probability with which a bound holds
    #[arg(long, value_name = "C", default_value_t = 0.95)]
    confidence: f64,

    /// The ε that is claimed: exit status 1 if a bound that needs no assumption exceeds it
    #[arg(long, value_name = "E")]
    claimed: Option<f64>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Audited {
    /// Holds for any (ε, δ)-private mechanism.
    bound: LowerBound,
    /// Holds for mechanisms whose trade-off between errors is Gaussian.
    gaussian: Option<LowerBound>,
    claimed: Option<f64>,
    /// Whether `bound` is above the claim.
    refuted: bool,
    /// What was counted, in words.
    evidence: String,
}

impl Audit {
    /// Bounds and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let (bound, gaussian, evidence) = if let Some(path) = &self.scores {
            self.of_scores(path)?
        } else if let (Some(canaries), Some(guesses), Some(correct)) = (self.canaries, self.guesses, self.correct) {
            let guesses = Guesses { canaries, guesses, correct };
            let gaussian = self.if_gaussian(|| gaussian_one_run(guesses, self.delta, self.confidence))?;
            (one_run(guesses, self.delta, self.confidence)?, gaussian, described(guesses))
        } else if let (Some(true_positives), Some(positives), Some(false_positives), Some(negatives)) =
            (self.true_positives, self.positives, self.false_positives, self.negatives)
        {
            let rates = Rates { true_positives, positives, false_positives, negatives };
            let evidence = format!(
                "{true_positives} of {positives} members and {false_positives} of {negatives} others taken for members"
            );
            let gaussian = self.if_gaussian(|| gaussian_from_rates(rates, self.delta, self.confidence))?;
            (from_rates(rates, self.delta, self.confidence)?, gaussian, evidence)
        } else {
            let reason = "what did the attack achieve? Rates (--true-positives, --positives, --false-positives, \
                          --negatives), guesses (--canaries, --guesses, --correct) or --scores FILE";
            return Err(Missing { option: "--canaries", reason }.into());
        };
        let refuted = self.claimed.is_some_and(|claimed| bound.epsilon > claimed);
        let audited = Audited { bound, gaussian, claimed: self.claimed, refuted, evidence };
        context.output.print(&audited, || audited.text())?;
        Ok(if refuted { Status::GateFailed } else { Status::Done })
    }

    /// A bound that assumes a Gaussian trade-off, at a δ above 0; at 0 no Gaussian has a finite ε.
    fn if_gaussian(
        &self,
        bound: impl FnOnce() -> standin_privacy::Result<LowerBound>,
    ) -> Result<Option<LowerBound>, Failure> {
        Ok(if self.delta > 0.0 { Some(bound()?) } else { None })
    }

    /// The best of guesses about several shares of the canaries, the error probability divided among them.
    fn of_scores(&self, path: &Path) -> Result<(LowerBound, Option<LowerBound>, String), Failure> {
        let (members, others) = read_scores(path)?;
        let (bound, guesses) = over_shares(&members, &others, self.delta, self.confidence, one_run)?;
        let gaussian =
            self.if_gaussian(|| Ok(over_shares(&members, &others, self.delta, self.confidence, gaussian_one_run)?.0))?;
        Ok((bound, gaussian, described(guesses)))
    }
}

fn described(Guesses { canaries, guesses, correct }: Guesses) -> String {
    format!("{correct} of {guesses} guesses about {canaries} canaries right")
}

impl Audited {
    fn text(&self) -> String {
        let header = [("ε is at least", Align::Right), ("holds for", Align::Left), ("method", Align::Left)];
        let row = |bound: &LowerBound, mechanisms: &str| {
            vec![format!("{:.4}", bound.epsilon), mechanisms.to_owned(), bound.method.clone()]
        };
        let mut rows = vec![row(&self.bound, "any mechanism")];
        rows.extend(self.gaussian.as_ref().map(|bound| row(bound, "Gaussian trade-offs")));
        let mut text = format!(
            "{}: {} % lower bounds at δ = {:e}\n\n{}\n\n",
            self.evidence,
            100.0 * self.bound.confidence,
            self.bound.delta,
            table(&header, rows)
        );
        text += &match self.claimed {
            Some(claimed) if self.refuted => {
                format!("REFUTED: ε = {claimed} is claimed, and at least {:.4} was shown.\n", self.bound.epsilon)
            }
            Some(claimed) => format!("Not refuted: ε = {claimed} is claimed. A lower bound below it proves nothing.\n"),
            None => "A lower bound below a claimed ε proves nothing; one above it refutes it.\n".to_owned(),
        };
        text
    }
}
