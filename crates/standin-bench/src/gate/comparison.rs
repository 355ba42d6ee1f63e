//! A figure compared with a number.

use standin_measure::{Estimate, Outcome};

use super::Subject;
use super::figure::{AttackFigure, Quantity, digits};

/// `figure < number`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) quantity: Quantity,
    /// The end of the interval asked for; the bad one if none is.
    pub(super) end: Option<End>,
    pub(super) relation: Relation,
    pub(super) bound: f64,
    /// Where it begins in the expression, from 1.
    pub(super) column: usize,
}

/// What of an estimate is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Value,
    Low,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A figure as it was tested.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) holds: bool,
    pub(super) text: String,
}

impl End {
    pub(super) const ALL: &[(&str, Self)] = &[("value", Self::Value), ("low", Self::Low), ("high", Self::High)];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, end)| *end)
    }

    fn of(self, estimate: &Estimate) -> f64 {
        match self {
            Self::Value => estimate.value,
            Self::Low => estimate.low,
            Self::High => estimate.high,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Value => "its value",
            Self::Low => "its lower end",
            Self::High => "its upper end",
        }
    }
}

impl Relation {
    fn opposite(self) -> Self {
        match self {
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Self::Less => figure < bound,
            Self::LessOrEqual => figure <= bound,
            Self::Greater => figure > bound,
            Self::GreaterOrEqual => figure >= bound,
        }
    }

    fn bad_end(self) -> End {
        match self {
            Self::Less | Self::LessOrEqual => End::High,
            Self::Greater | Self::GreaterOrEqual => End::Low,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Comparison {
    /// Whether every figure of the subject meets the comparison, or its opposite if `negated`; adds each as it was
    /// tested.
    pub(super) fn test(&self, subject: Subject<'_>, negated: bool, figures: &mut Vec<Figure>) -> bool {
        let relation = if negated { self.relation.opposite() } else { self.relation };
        let end = self.end.unwrap_or(relation.bad_end());
        let mut found = self.quantity.find(subject);
        if found.is_empty() {
            let text = format!("{} was not measured", self.quantity.name());
            figures.push(Figure { holds: false, text });
            return false;
        }
        if let Quantity::Attack { name: None, figure, .. } = &self.quantity {
            found = strongest(found, *figure, end);
        }
        let tested = found.into_iter().map(|(label, outcome)| self.figure(&label, &outcome, relation, end));
        let before = figures.len();
        figures.extend(tested);
        figures[before..].iter().all(|figure| figure.holds)
    }

    fn figure(&self, label: &str, outcome: &Outcome, relation: Relation, end: End) -> Figure {
        let estimate = match outcome {
            Outcome::Measured(estimate) => estimate,
            Outcome::NotMeasurable(reason) => {
                return Figure { holds: false, text: format!("{label} is not measurable: {reason}") };
            }
        };
        let tested = end.of(estimate);
        let holds = relation.holds(tested, self.bound);
        let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(digits);
        let (symbol, bound) = (relation.symbol(), self.bound);
        let shown = apart(tested, bound);
        let is = if holds { "is" } else { "is not" };
        let text = if estimate.low == estimate.high {
            format!("{label} = {value}, which {is} {symbol} {bound}")
        } else {
            format!("{label} = {value} [{low}, {high}]; {} {shown} {is} {symbol} {bound}", end.in_words())
        };
        Figure { holds, text }
    }
}

/// The figure that shows the most leakage, or those that are not measurable: one of them might.
fn strongest(found: Vec<(String, Outcome)>, figure: AttackFigure, end: End) -> Vec<(String, Outcome)> {
    let (measured, unknown): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, found)| found.estimate().is_some());
    let tested = |outcome: &Outcome| outcome.estimate().map_or(f64::NAN, |estimate| end.of(estimate));
    // A small p-value shows more than a large one; of all other figures the large ones do.
    let leak = |outcome: &Outcome| if figure == AttackFigure::PValue { -tested(outcome) } else { tested(outcome) };
    if unknown.is_empty() {
        measured.into_iter().max_by(|(_, a), (_, b)| leak(a).total_cmp(&leak(b))).into_iter().collect()
    } else {
        unknown
    }
}

/// The same, or all digits where four do not tell the value from the bound.
fn apart(value: f64, bound: f64) -> String {
    let short = digits(value);
    if value != bound && short.parse() == Ok(bound) { value.to_string() } else { short }
}
