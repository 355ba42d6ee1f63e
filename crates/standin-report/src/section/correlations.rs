use askama::Template;
use standin_bench::summary::{Correlations, Summary};
use standin_measure::Outcome;

use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, fixed};
use crate::plot::CorrelationMatrix;
use crate::plot::forest::{Forest, Row as ForestRow};

/// How well each measure foretells utility over the sets compared, and how the measures go together.
#[derive(Template)]
#[template(path = "correlations.html")]
pub(super) struct Section<'a> {
    found: &'a Correlations,
    wide: String,
    narrow: String,
    rows: Vec<(&'a str, Cell)>,
    map: String,
    matrix: Vec<(&'a str, Vec<Cell>)>,
    /// Figures whose interval leaves 0 out, of all.
    shown: (usize, usize),
    notes: Vec<Note>,
    methods: String,
}

impl<'a> Section<'a> {
    /// None where too few sets were compared.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        let found = summary.correlations.as_ref()?;
        let mut notes = Notes::new("correlations");
        // What stands first is the utility itself.
        let mut order: Vec<usize> = (1..found.names.len()).collect();
        let strength = |index: &usize| found.with_utility[*index].estimate().map_or(-1.0, |rho| rho.value.abs());
        order.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        let rows = order
            .iter()
            .map(|&index| {
                let cell = Cell::outcome(&found.with_utility[index], Style::Correlation, &mut notes);
                (found.names[index].as_str(), cell)
            })
            .collect();
        let plotted = order.iter().filter_map(|&index| {
            let estimate = found.with_utility[index].estimate()?;
            let filled = excludes_zero(&found.with_utility[index]);
            Some(ForestRow { name: &found.names[index], estimate, filled })
        });
        let forest = Forest {
            rows: plotted.collect(),
            reference: Some(0.0),
            domain: Some((-1.0, 1.0)),
            x_title: "Rank correlation with utility",
            style: Style::Correlation,
        };
        let title = format!("Rank correlation of each figure with the {}", found.utility);
        let description =
            "From −1 to 1 with 95 % intervals, the strongest on top. The table below has the same numbers.";
        let map = CorrelationMatrix { names: &found.names, values: &found.matrix };
        let matrix = found.names.iter().zip(&found.matrix).map(|(name, values)| {
            let cells = values.iter().map(|value| bare(*value)).collect();
            (name.as_str(), cells)
        });
        Some(Self {
            found,
            wide: forest.draw("correlations-wide", &title, description, 760.0),
            narrow: forest.draw("correlations-narrow", &title, description, 340.0),
            rows,
            map: map.draw(
                "correlation-map",
                "Rank correlations of all figures with each other",
                "Blue is positive, orange negative; the deeper the stronger. The table below has the same numbers.",
            ),
            matrix: matrix.collect(),
            shown: (found.with_utility.iter().skip(1).filter(|rho| excludes_zero(rho)).count(), order.len()),
            notes: notes.list(),
            methods: notes.methods(),
        })
    }
}

/// A correlation of the matrix, whose intervals the summary does not have.
fn bare(value: Option<f64>) -> Cell {
    let Some(value) = value else { return Cell::empty() };
    Cell { text: fixed(value, 2), value: value.to_string(), class: "number".into(), ..Cell::default() }
}

/// Whether the interval leaves 0 out.
fn excludes_zero(outcome: &Outcome) -> bool {
    outcome.estimate().is_some_and(|estimate| estimate.low > 0.0 || estimate.high < 0.0)
}
