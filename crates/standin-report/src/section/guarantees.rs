use askama::Template;
use standin_bench::summary::{Release, Summary};
use standin_privacy::Guarantee;

use crate::fold::{Folded, Prominent};
use crate::leakage::ceiling_in_words;
use crate::number::{plain, power};
use crate::words;

/// What each release promises, what that means for any attack, and what it does not cover.
#[derive(Template)]
#[template(path = "guarantees.html")]
pub(super) struct Section<'a> {
    guarantees: Folded<Entry<'a>>,
    without: String,
}

struct Entry<'a> {
    release: &'a str,
    guarantee: &'a Guarantee,
    epsilon: String,
    delta: String,
    unit: String,
    adjacency: String,
    noise: &'static str,
    ceiling: String,
}

impl<'a> Section<'a> {
    /// None where nothing is released.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        if summary.releases.is_empty() {
            return None;
        }
        let without: Vec<&str> = summary
            .releases
            .iter()
            .filter(|release| release.guarantee.is_none())
            .map(|release| release.name.as_str())
            .collect();
        Some(Self {
            guarantees: Prominent::of(summary)
                .fold(summary.releases.iter().filter_map(|release| Some((release, entry(release)?)))),
            without: if without.is_empty() { String::new() } else { words::listed(&without) },
        })
    }
}

fn entry(release: &Release) -> Option<Entry<'_>> {
    let guarantee = release.guarantee.as_ref()?;
    Some(Entry {
        release: &release.name,
        guarantee,
        epsilon: plain(guarantee.epsilon),
        delta: power(guarantee.delta),
        unit: words::unit(&guarantee.unit),
        adjacency: words::adjacency(guarantee.adjacency, &guarantee.unit),
        noise: words::noise(guarantee.noise),
        ceiling: ceiling_in_words(guarantee),
    })
}
