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
    timings: Vec<TimingRow<'a>>,
    total: String,
    terms: &'static [Term],
}

struct TimingRow<'a> {
    timing: &'a Timing,
    duration: String,
    memory: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(content: &Content<'a>) -> Self {
        let timings = content.timings.iter().map(|timing| TimingRow {
            timing,
            duration: duration(timing.seconds),
            memory: timing.mebibytes.map_or("–".into(), memory),
        });
        Self {
            data: data(content.summary),
            versions: versions(content.summary),
            configuration: &content.summary.configuration,
            timings: timings.collect(),
            total: duration(content.timings.iter().map(|timing| timing.seconds).sum()),
            terms: TERMS,
        }
    }
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
