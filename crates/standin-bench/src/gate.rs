//! Conditions on the figures of a summary that decide whether a run passes: `fd_holdout < 20`,
//! `attack.gan_leaks.tpr@1% < 0.05 and utility.cnn.accuracy > 0.8`.
//!
//! ```text
//! expression   comparison, joined by `and`, `or`, `not` and parentheses; `not` binds closest, `or` loosest
//! comparison   figure (`<` | `<=` | `>` | `>=`) number, where `5%` is 0.05
//! figure       measure.NAME[.train|.holdout][@ENCODER]          measure. may be left out: coverage_holdout, fd@pixels
//!              attack.NAME|strongest[@ENCODER].auc|balanced_accuracy|tpr@RATE|epsilon_lower|p_value
//!              utility.CLASSIFIER.accuracy|balanced_accuracy|replacement_ratio|real|real_on_synthetic|augmented
//!                                |per_class|per_group
//!              scores.copies|copies_share
//!              identities.leaked|named|auc|p_value|most_alike   in an audit of identities, which has no other figures
//!              each with an optional .value, .low or .high
//! ```
//!
//! Without an ending the bad end of the 95 % interval is tested: the upper one where the figure must be small, the lower
//! one where it must be large. So a gate passes only where chance does not explain that it does. Under `not` a
//! comparison is turned around first, and its bad end with it.
//!
//! A figure may stand for several: both sides of the real images, several encoders, every class. All of them must meet
//! the comparison. A figure that was not measured, or cannot be, meets none. Letter case and the difference between `-`
//! and `_` do not count, and names with other characters go in quotation marks: `utility."resnet.18".accuracy`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use standin_attack::IdentityAudit;

use crate::summary::{Gate, Release, ReleaseKind, Summary};

mod comparison;
mod figure;
mod parse;

use comparison::{Comparison, Figure};

/// A condition on the figures of a summary, parsed.
///
/// ```
/// use standin_bench::gate::GateExpression;
///
/// let gate: GateExpression = "fd_holdout < 20 and not scores.copies > 0".parse()?;
/// assert_eq!(gate.to_string(), "fd_holdout < 20 and not scores.copies > 0");
/// let error = "fd_holdout = 20".parse::<GateExpression>().unwrap_err();
/// assert_eq!(error.column, 12);
/// # Ok::<(), standin_bench::gate::GateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GateExpression {
    source: String,
    condition: Condition,
}

/// Comparisons, joined.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Compare(Comparison),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// What is wrong with a gate, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gate `{expression}`, column {column}: {found}; {remedy}")]
pub struct GateError {
    /// The gate as the user wrote it.
    pub expression: String,
    /// The character it is about, counted from 1.
    pub column: usize,
    /// What was found there.
    pub found: String,
    /// What was expected and what to do.
    pub remedy: String,
}

/// What a run is going to measure, by which the names in a gate are checked before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFigures {
    /// Registered names of the measures.
    pub measures: Vec<String>,
    /// Registered names of the attacks on images.
    pub attacks: Vec<String>,
    /// Names of the classifiers that measure utility.
    pub classifiers: Vec<String>,
    /// Names of the encoders, as their stamps begin.
    pub encoders: Vec<String>,
    /// Whether there are holdout images: without them nothing is compared with `holdout` and no copies are counted.
    pub holdout: bool,
    /// Whether it is identities that are audited: then there are their figures and no others.
    pub identities: bool,
}

/// What a gate is tested on.
#[derive(Clone, Copy)]
enum Subject<'a> {
    /// A release, and the names of the classes.
    Release(&'a Release, &'a [String]),
    Identities(&'a IdentityAudit),
}

impl GateExpression {
    /// Checks that every figure the expression names is one that will be measured.
    ///
    /// # Errors
    /// If one is not: with its column, the nearest known name, and all of them.
    pub fn check(&self, known: &KnownFigures) -> Result<(), GateError> {
        let mut comparisons = Vec::new();
        self.condition.collect(&mut comparisons);
        comparisons.into_iter().try_for_each(|comparison| {
            comparison.quantity.check(known).map_err(|(found, remedy)| GateError {
                expression: self.source.clone(),
                column: comparison.column,
                found,
                remedy,
            })
        })
    }

    /// Tests the condition on every release of synthetic images; it passes where it holds for each. The figures of
    /// releases and comparisons that fail come first.
    pub fn evaluate(&self, summary: &Summary) -> Gate {
        let sets = summary.releases.iter().filter(|release| release.kind == ReleaseKind::Images);
        self.test(sets.map(|release| (release.name.as_str(), Subject::Release(release, &summary.data.classes))))
    }

    /// The same for synthetic sets that were audited for identities, each with its name.
    pub fn evaluate_identities<'a>(&self, sets: impl IntoIterator<Item = (&'a str, &'a IdentityAudit)>) -> Gate {
        self.test(sets.into_iter().map(|(name, audit)| (name, Subject::Identities(audit))))
    }

    fn test<'a>(&self, sets: impl Iterator<Item = (&'a str, Subject<'a>)>) -> Gate {
        let mut lines = BTreeSet::new();
        let mut passed = true;
        let (mut tested, mut order) = (0, 0);
        for (name, subject) in sets {
            tested += 1;
            let mut figures = Vec::new();
            let holds = self.condition.test(subject, false, &mut figures);
            passed &= holds;
            for figure in figures {
                order += 1;
                lines.insert((holds, figure.holds, order, format!("{name}: {}", figure.text)));
            }
        }
        let mut figures: Vec<String> = lines.into_iter().map(|(.., line)| line).collect();
        if tested == 0 {
            passed = false;
            figures.push("there is no set of synthetic images to test it on".into());
        }
        Gate { expression: self.source.clone(), passed, figures }
    }
}

impl fmt::Display for GateExpression {
    /// As the user wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for GateExpression {
    type Err = GateError;

    /// # Errors
    /// If the text is not an expression of the grammar above; names are not checked yet.
    fn from_str(text: &str) -> Result<Self, GateError> {
        let text = text.trim();
        Ok(Self { source: text.into(), condition: parse::condition(text)? })
    }
}

impl Condition {
    fn collect<'a>(&'a self, comparisons: &mut Vec<&'a Comparison>) {
        match self {
            Self::Compare(comparison) => comparisons.push(comparison),
            Self::Not(inner) => inner.collect(comparisons),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(comparisons)),
        }
    }

    /// Whether it holds, or its opposite if `negated`. Negation goes down to the comparisons (De Morgan), so that each
    /// is tested at its own bad end and what is not measured meets neither a comparison nor its opposite.
    fn test(&self, subject: Subject<'_>, negated: bool, figures: &mut Vec<Figure>) -> bool {
        // Every part is tested, so that all figures are reported.
        let mut each =
            |parts: &[Self]| -> Vec<bool> { parts.iter().map(|part| part.test(subject, negated, figures)).collect() };
        match self {
            Self::Compare(comparison) => comparison.test(subject, negated, figures),
            Self::Not(inner) => inner.test(subject, !negated, figures),
            Self::All(parts) if !negated => each(parts).into_iter().all(|holds| holds),
            Self::Any(parts) if negated => each(parts).into_iter().all(|holds| holds),
            Self::All(parts) | Self::Any(parts) => each(parts).into_iter().any(|holds| holds),
        }
    }
}

/// Names are compared in lower case, with `-` for `_`.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests;
