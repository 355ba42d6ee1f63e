//! What attacks found.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use standin_attack::{Evaluation, Family, RateAt};
use standin_measure::{Estimate, Outcome};

use super::given::Candidates;
use crate::failure::Failure;
use crate::output::{Align, table};

/// The chance of any false alarm that is accepted.
const ALPHA: f64 = 0.05;

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Attacked {
    /// What was attacked.
    pub release: String,
    pub members: usize,
    pub non_members: usize,
    /// Non-members left out because a member is the same.
    pub duplicates: usize,
    /// Share of candidates whose nearest other is of their own side, before any release is looked at: ½ where both sides are
    /// of one population.
    pub population: Estimate,
    pub delta: f64,
    pub attacks: Vec<Row>,
    /// Attacks on this release whose needs are not met.
    pub left_out: Vec<LeftOut>,
}

/// One attack.
#[derive(Debug, Serialize)]
pub struct Row {
    pub attack: &'static str,
    pub p_value: f64,
    /// Corrected for the number of attacks (Holm 1979).
    pub corrected_p_value: f64,
    #[serde(flatten)]
    pub evaluation: Evaluation,
    pub epsilon_lower: Outcome,
}

#[derive(Debug, Serialize)]
pub struct LeftOut {
    pub attack: &'static str,
    pub needs: String,
}

/// One row a candidate: its side, its place there, and what each attack says.
pub fn write_scores(
    path: &Path,
    families: &[&Family],
    scores: &[Vec<f64>],
    candidates: &Candidates,
) -> Result<(), Failure> {
    let mut table = csv::Writer::from_path(path)?;
    table.write_record(["member", "index"].into_iter().chain(families.iter().map(|family| family.name)))?;
    let places = (0..candidates.members.rows()).map(|at| ("1", at)).chain(candidates.kept.iter().map(|&at| ("0", at)));
    for (row, (side, place)) in places.enumerate() {
        let scores = scores.iter().map(|scores| scores[row].to_string());
        table.write_record([side.to_owned(), place.to_string()].into_iter().chain(scores))?;
    }
    table.flush()?;
    Ok(())
}

impl Attacked {
    /// For people.
    pub fn table(&self) -> String {
        let header = [
            ("attack", Align::Left),
            ("AUC", Align::Right),
            ("95 % interval", Align::Left),
            ("p", Align::Right),
            ("corrected p", Align::Right),
            ("TPR at 1 % FPR", Align::Right),
            ("at 0.1 %", Align::Right),
            ("ε at least", Align::Right),
        ];
        let rows = self.attacks.iter().map(|row| {
            let rate = |wanted: f64| {
                let found = row.evaluation.true_positive_rates.iter();
                let at = found.clone().find(|RateAt { false_positive_rate, .. }| *false_positive_rate == wanted);
                figure(at.map(|rate| &rate.outcome))
            };
            let auc = &row.evaluation.auc;
            vec![
                row.attack.to_owned(),
                format!("{:.3}", auc.value),
                format!("[{:.3}, {:.3}]", auc.low, auc.high),
                probability(row.p_value),
                probability(row.corrected_p_value),
                rate(0.01),
                rate(0.001),
                figure(Some(&row.epsilon_lower)),
            ]
        });
        let mut text = table(&header, rows);
        let Self { release, members, non_members, delta, .. } = self;
        let _ = write!(text, "\n\n{release}: {members} members, {non_members} non-members, δ = {delta:.2e}\n");
        if self.duplicates > 0 {
            let _ = writeln!(text, "{} non-members are the same as a member and were left out.", self.duplicates);
        }
        let found = self.attacks.iter().min_by(|a, b| a.corrected_p_value.total_cmp(&b.corrected_p_value));
        let verdict = match found {
            Some(row) if row.corrected_p_value <= ALPHA => format!(
                "The release tells members from non-members: {} at a corrected p of {}.",
                row.attack,
                probability(row.corrected_p_value)
            ),
            _ => format!(
                "No attack tells members from non-members at a corrected p of {ALPHA}; that is a statement about these attacks, and \
                 no proof of privacy."
            ),
        };
        let _ = writeln!(text, "{verdict}");
        let _ = writeln!(
            text,
            "This holds if, but for training, members and non-members are exchangeable: drawn from one population in one way."
        );
        for LeftOut { attack, needs } in &self.left_out {
            let _ = writeln!(text, "Left out: {attack}, which needs {needs}.");
        }
        text
    }
}

fn figure(outcome: Option<&Outcome>) -> String {
    outcome.and_then(Outcome::estimate).map_or_else(|| "–".to_owned(), |estimate| format!("{:.3}", estimate.value))
}

fn probability(p: f64) -> String {
    if p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
