use askama::Template;
use standin_bench::summary::Summary;

use super::Content;
use crate::glossary::{TERMS, Term};
use crate::number::{count, duration, memory, plain, rate};
use crate::timing::Timing;

/// How to read the page, the data, the configuration, what it cost, and the terms.
#[derive(Template)]
#[template(path = "appendix.html")]
pub(super) struct Section<'a> {
    data: Vec<(&'static str, String)>,
    versions: Vec<(&'static str, String)>,
    configuration: &'a str,
    kinds: Vec<Kind<'a>>,
    timings: Vec<TimingRow<'a>>,
    stages: usize,
    total: String,
    terms: &'static [Term],
}

struct TimingRow<'a> {
    timing: &'a Timing,
    duration: String,
    memory: String,
}

/// All stages of one kind.
struct Kind<'a> {
    stage: &'a str,
    number: usize,
    seconds: f64,
    duration: String,
    longest: f64,
    longest_text: String,
    mebibytes: Option<f64>,
    memory: String,
}

/// Single stages listed: of more the longest.
const LISTED: usize = 200;

impl<'a> Section<'a> {
    pub(super) fn new(content: &Content<'a>) -> Self {
        Self {
            data: data(content.summary),
            versions: versions(content.summary),
            configuration: &content.summary.configuration,
            kinds: kinds(content.timings),
            timings: longest(content.timings),
            stages: content.timings.len(),
            total: duration(content.timings.iter().map(|timing| timing.seconds).sum()),
            terms: TERMS,
        }
    }
}

/// What the stages of each kind cost together, in the order of first appearance.
fn kinds(timings: &[Timing]) -> Vec<Kind<'_>> {
    let mut found: Vec<(&str, Vec<&Timing>)> = Vec::new();
    for timing in timings {
        match found.iter_mut().find(|(stage, _)| *stage == timing.stage) {
            Some((_, stages)) => stages.push(timing),
            None => found.push((&timing.stage, vec![timing])),
        }
    }
    let kind = |(stage, stages): (_, Vec<&Timing>)| {
        let seconds = stages.iter().map(|timing| timing.seconds).sum();
        let longest = stages.iter().map(|timing| timing.seconds).fold(0.0, f64::max);
        let mebibytes = stages.iter().filter_map(|timing| timing.mebibytes).max_by(f64::total_cmp);
        Kind {
            stage,
            number: stages.len(),
            seconds,
            duration: duration(seconds),
            longest,
            longest_text: duration(longest),
            mebibytes,
            memory: mebibytes.map_or("–".into(), memory),
        }
    };
    found.into_iter().map(kind).collect()
}

/// The single stages, all of few in their order, or the longest of many.
fn longest(timings: &[Timing]) -> Vec<TimingRow<'_>> {
    let mut listed: Vec<&Timing> = timings.iter().collect();
    if listed.len() > LISTED {
        listed.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        listed.truncate(LISTED);
    }
    let row = |timing: &'_ Timing| (duration(timing.seconds), timing.mebibytes.map_or("–".into(), memory));
    listed
        .into_iter()
        .map(|timing| {
            let (duration, memory) = row(timing);
            TimingRow { timing, duration, memory }
        })
        .collect()
}

fn data(summary: &Summary) -> Vec<(&'static str, String)> {
    let data = &summary.data;
    let mut facts = vec![
        ("Source", data.source.clone()),
        ("Licence", data.licence.clone().unwrap_or_else(|| "not stated".into())),
        ("Shape", format!("{} (channels × height × width)", data.shape)),
        ("Training images", count(data.train)),
        ("Holdout images", count(data.holdout)),
        ("Test images", count(data.test)),
        ("Exact duplicates across the split", count(data.duplicates_across_split)),
        ("Kept on one side", data.grouped_by.clone().unwrap_or_else(|| "single images; no grouping".into())),
    ];
    for release in &summary.releases {
        if let Some(source) = &release.source {
            facts.push(("Synthetic set", format!("{}: {source}", release.name)));
        }
    }
    if !data.classes.is_empty() {
        facts.push(("Classes", format!("{}: {}", data.classes.len(), data.classes.join(", "))));
    }
    facts
}

fn versions(summary: &Summary) -> Vec<(&'static str, String)> {
    let seeds: Vec<String> = summary.seeds.iter().map(u64::to_string).collect();
    vec![
        ("standin", summary.version.clone()),
        ("Schema", summary.schema.clone()),
        ("Seeds", seeds.join(", ")),
        ("Smallest replacement ratio", rate(summary.thresholds.replacement_ratio)),
        ("Largest attack AUC", plain(summary.thresholds.attack_auc)),
        ("Largest TPR at 1 % FPR", rate(summary.thresholds.attack_tpr_at_1_percent)),
        ("Largest AUC of canaries", plain(summary.thresholds.canary_auc)),
    ]
}
