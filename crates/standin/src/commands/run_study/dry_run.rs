//! What a study would do and cost, in words and tables.

use std::time::Duration;

use standin_bench::planned::Planned;
use standin_bench::stage::StageId;

use crate::output::{Align, table};
use crate::terminal::duration;

/// What there is to do, in a line: the trainings and other stages, and what they may cost.
pub(super) fn to_do(expected: &Planned) -> String {
    let list: Vec<String> = expected
        .kinds()
        .iter()
        .filter(|kind| kind.left() > 0)
        .map(|kind| format!("{} × {}", kind.left(), kind.kind))
        .collect();
    format!("to do: {}{}", list.join(", "), costs(expected))
}

/// What that may cost, in words that follow a list.
fn costs(expected: &Planned) -> String {
    let mut text = String::new();
    let (left, unknown) = (expected.left().count(), expected.unknown());
    if unknown < left {
        text += &format!("; about {} on {} threads", spoken(expected.seconds()), expected.threads);
        if expected.bytes() > 0 {
            text += &format!(" and up to {}", memory(expected.bytes()));
        }
        if expected.scaled() > 0 {
            text += &format!(", {} of them by the sizes of others", expected.scaled());
        }
    }
    if unknown > 0 {
        text += &format!("; of {unknown} stages nothing like them is known");
    }
    text
}

/// The graph, as a table of its kinds of stages.
pub fn plan_table(expected: &Planned) -> String {
    let header = [
        ("what", Align::Left),
        ("stages", Align::Right),
        ("finished", Align::Right),
        ("to do", Align::Right),
        ("time of one core", Align::Right),
        ("memory of one", Align::Right),
        ("of unknown cost", Align::Right),
        ("reads", Align::Left),
    ];
    let rows = expected.kinds().into_iter().map(|kind| {
        let dash = || "–".to_owned();
        let numbers = [kind.stages, kind.finished, kind.left()].map(|number| number.to_string());
        let seconds = if kind.core_seconds > 0.0 { spoken(kind.core_seconds) } else { dash() };
        let after = if kind.after.is_empty() { dash() } else { kind.after.join(", ") };
        [kind.kind.to_owned()]
            .into_iter()
            .chain(numbers)
            .chain([seconds, kind.bytes.map_or_else(dash, memory), kind.unknown.to_string(), after])
            .collect()
    });
    let left = expected.left().count();
    let finished = expected.stages.len() - left;
    let total = format!("{} stages, {finished} in the store, {left} to do{}", expected.stages.len(), costs(expected));
    format!("{}\n\n{total}\n", table(&header, rows))
}

/// Every stage of the graph in a line.
pub fn stage_table(expected: &Planned) -> String {
    let header = [
        ("stage", Align::Left),
        ("kind", Align::Left),
        ("name", Align::Left),
        ("reads", Align::Left),
        ("finished", Align::Left),
        ("time of one core", Align::Right),
        ("memory", Align::Right),
    ];
    let rows = expected.stages.iter().map(|stage| {
        let dash = || "–".to_owned();
        let mut reads: Vec<String> = stage.inputs.iter().take(3).map(StageId::short).collect();
        if stage.inputs.len() > reads.len() {
            reads.push(format!("and {} more", stage.inputs.len() - reads.len()));
        }
        vec![
            stage.id.short(),
            stage.kind.to_owned(),
            stage.name.clone(),
            if reads.is_empty() { dash() } else { reads.join(" ") },
            if stage.finished { "yes" } else { "no" }.to_owned(),
            stage.expected.map_or_else(dash, |expected| spoken(expected.core_seconds)),
            stage.expected.and_then(|expected| expected.bytes).map_or_else(dash, memory),
        ]
    });
    table(&header, rows)
}

fn memory(bytes: u64) -> String {
    match bytes as f64 / f64::from(1 << 20) {
        small if small < 1000.0 => format!("{small:.0} MiB"),
        large => format!("{:.1} GiB", large / 1024.0),
    }
}

fn spoken(seconds: f64) -> String {
    duration(Duration::from_secs_f64(seconds))
}
