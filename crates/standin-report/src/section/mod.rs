//! The page, section by section in the order a steward reads: verdict, questions, trade-off, utility, attacks, measures,
//! pictures, guarantees, appendix. Each section is a view of the summary and a template of the same name.

mod appendix;
mod attacks;
mod guarantees;
mod measures;
mod pictures;
mod trade_off;
mod utility;
mod verdict;

use askama::Template;
use standin_bench::summary::{Answer, Summary};

use crate::leakage::contradictions;
use crate::number::count;
use crate::picture::Pictures;
use crate::timing::Timing;

/// Everything the page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) summary: &'a Summary,
    pub(crate) timings: &'a [Timing],
    pub(crate) pictures: &'a Pictures,
    /// Whether private training images may be on the page.
    pub(crate) training_pictures: bool,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    name: &'a str,
    version: &'a str,
    facts: String,
    questions: &'a [Answer],
    verdict: String,
    trade_off: String,
    utility: String,
    attacks: String,
    measures: String,
    pictures: String,
    guarantees: String,
    appendix: String,
}

/// The whole page, one HTML document.
pub(crate) fn page(content: &Content<'_>) -> String {
    let summary = content.summary;
    let data = &summary.data;
    let found = contradictions(summary);
    let pictures = pictures::Section::new(content);
    rendered(&Page {
        style: include_str!("../../templates/style.css"),
        script: include_str!("../../templates/script.js"),
        name: &summary.name,
        version: &summary.version,
        facts: format!(
            "{}: {} private training images, {} holdout, {} test; {} repetition{}",
            data.source,
            count(data.train),
            count(data.holdout),
            count(data.test),
            summary.seeds.len(),
            if summary.seeds.len() == 1 { "" } else { "s" },
        ),
        questions: &summary.questions,
        verdict: rendered(&verdict::Section::new(summary, &found, pictures.training_pictures)),
        trade_off: rendered(&trade_off::Section::new(summary)),
        utility: rendered(&utility::Section::new(summary)),
        attacks: rendered(&attacks::Section::new(summary)),
        measures: rendered(&measures::Section::new(summary)),
        pictures: rendered(&pictures),
        guarantees: rendered(&guarantees::Section::new(summary)),
        appendix: rendered(&appendix::Section::new(content)),
    })
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("no template calls anything that fails, and writing to a string cannot fail")
}
