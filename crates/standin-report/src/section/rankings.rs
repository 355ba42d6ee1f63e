use askama::Template;
use standin_bench::ranking::unequal_sizes;
use standin_bench::summary::{Place, Ranking, Summary};

use crate::cell::Cell;
use crate::number::{Style, fixed, plain};
use crate::plot::forest::{Forest, Row as ForestRow};
use crate::words;

/// Which set is better by each measure: ranks in one table, values in one plot for each ranking.
#[derive(Template)]
#[template(path = "rankings.html")]
pub(super) struct Section<'a> {
    releases: Vec<&'a str>,
    rows: Vec<Row<'a>>,
    /// One row a release, in the place of the columns, where there are many.
    turned: Vec<(&'a str, Vec<Cell>)>,
    protocols: Vec<&'a str>,
    panels: Vec<(String, String)>,
    sizes: Option<String>,
}

struct Row<'a> {
    measure: &'a str,
    /// What of the measure, the classifier or the attack: encoder, accuracy or AUC.
    what: &'a str,
    against: &'a str,
    better: String,
    /// Number of the protocol below the table, from 1.
    protocol: usize,
    cells: Vec<Cell>,
    /// Who comes first, and who may.
    leaders: String,
}

impl<'a> Section<'a> {
    /// None where nothing is ranked.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        let sizes = unequal_sizes(&summary.releases);
        if summary.rankings.is_empty() && sizes.is_none() {
            return None;
        }
        let places = || summary.rankings.iter().flat_map(|ranking| &ranking.places);
        let ranked = |name: &str| places().any(|place| place.release == name);
        let names = summary.releases.iter().map(|release| release.name.as_str());
        let releases: Vec<&str> = names.filter(|name| ranked(name)).collect();
        let mut protocols: Vec<&str> = Vec::new();
        for ranking in &summary.rankings {
            if !protocols.contains(&ranking.stamp.as_str()) {
                protocols.push(&ranking.stamp);
            }
        }
        let rows = summary.rankings.iter().map(|ranking| Row {
            measure: &ranking.measure,
            what: words::ranked_by(ranking),
            against: if ranking.against.is_empty() { "–" } else { &ranking.against },
            better: words::better(&ranking.better),
            protocol: 1 + protocols.iter().position(|stamp| *stamp == ranking.stamp).unwrap_or(0),
            cells: releases.iter().map(|release| cell(ranking, release)).collect(),
            leaders: leaders(ranking),
        });
        let mut rows: Vec<Row<'a>> = rows.collect();
        let mut turned: Vec<(&str, Vec<Cell>)> = Vec::new();
        if releases.len() > MOST_COLUMNS {
            turned = releases.iter().map(|release| (*release, Vec::new())).collect();
            for row in &mut rows {
                turned.iter_mut().zip(row.cells.drain(..)).for_each(|((_, cells), cell)| cells.push(cell));
            }
        }
        let panels = summary.rankings.iter().enumerate().map(|(index, ranking)| panel(index, ranking));
        let panels = panels.collect();
        Some(Self { releases, rows, turned, protocols, panels, sizes })
    }
}

/// Sets that stand beside each other; more stand below each other.
const MOST_COLUMNS: usize = 8;

/// Sets named among those that may be first.
const NAMED: usize = 5;

/// Dots in one plot: of more sets the best are drawn.
const DRAWN: usize = 20;

/// The best set, and the others that chance leaves the first rank to.
fn leaders(ranking: &Ranking) -> String {
    let Some((first, others)) = ranking.places.split_first() else { return String::new() };
    let may: Vec<&str> =
        others.iter().filter(|place| place.rank_interval.0 == 1).map(|place| place.release.as_str()).collect();
    let first = format!("{} (best {})", first.release, words::chance(first.best));
    match may.len() {
        0 => format!("{first}; no other may be"),
        few if few <= NAMED => format!("{first}; perhaps {}", words::listed(&may)),
        many => format!("{first}; perhaps {} and {} others", may[..NAMED].join(", "), many - NAMED),
    }
}

fn cell(ranking: &Ranking, release: &str) -> Cell {
    let Some(place) = ranking.places.iter().find(|place| place.release == release) else { return Cell::empty() };
    let Place { rank, rank_interval: (best, worst), .. } = place;
    let others = (ranking.places.len() - 1).max(1) as f64;
    let cell = Cell {
        text: plain(*rank),
        interval: format!("[{best}, {worst}]"),
        value: rank.to_string(),
        basis: format!("{} of {} sets", Style::Adaptive.full(&place.estimate), ranking.places.len()),
        class: "number".into(),
        ..Cell::default()
    };
    cell.with_remark(format!("best {}", words::chance(place.best))).with_heat(1.0 - (rank - 1.0) / others)
}

fn panel(index: usize, ranking: &Ranking) -> (String, String) {
    let title = words::ranking(ranking);
    let rows = ranking.places.iter().take(DRAWN).map(|place| ForestRow {
        name: &place.release,
        estimate: &place.estimate,
        filled: place.rank_interval.0 == 1,
    });
    let reference = ranking.better.parse().ok();
    let x_title = format!("{} is better", words::better(&ranking.better));
    let forest = Forest { rows: rows.collect(), reference, domain: None, x_title: &x_title, style: Style::Adaptive };
    let first = ranking.places.first().map_or(String::new(), |place| {
        format!("; first is {}, the best with a chance of {} %", place.release, fixed(100.0 * place.best, 0))
    });
    let description = format!("{} sets with 95 % intervals, the best on top{first}.", ranking.places.len());
    let shown = match ranking.places.len() {
        all if all > DRAWN => format!("{title}: the best {DRAWN} of {all}"),
        _ => title.clone(),
    };
    (shown, forest.draw(&format!("ranking-{index}"), &title, &description, 340.0))
}
