//! The page, section by section in the order a steward reads: verdict, questions, trade-off, rankings, utility,
//! correlations, attacks, canaries, measures, copies, pictures, guarantees, appendix. Each section is a view of the summary and a
//! template of the same name, and one with nothing to show is left out.

mod appendix;
mod attacks;
mod canaries;
mod copies;
mod correlations;
mod gates;
mod guarantees;
mod measures;
mod pictures;
mod questions;
mod rankings;
mod trade_off;
mod utility;
mod verdict;

use askama::Template;
use standin_bench::leakage::contradictions;
use standin_bench::summary::Summary;

pub(crate) use gates::Gates;

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

/// A page with its sections: a report, or a comparison of two.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    name: &'a str,
    title: String,
    version: &'a str,
    facts: String,
    sections: Vec<Placed>,
}

/// A section on the page.
pub(crate) struct Placed {
    anchor: &'static str,
    /// What the navigation calls it.
    name: &'static str,
    pub(crate) html: String,
}

/// The whole page, one HTML document.
pub(crate) fn page(content: &Content<'_>) -> String {
    let summary = content.summary;
    let found = contradictions(&summary.releases);
    let before = [
        placed("questions", "Questions", questions::Section::new(summary)),
        placed("trade-off", "Trade-off", trade_off::Section::new(summary)),
        placed("rankings", "Comparison", rankings::Section::new(summary)),
        placed("utility", "Utility", utility::Section::new(summary)),
        placed("correlations", "Correlations", correlations::Section::new(summary)),
        placed("attacks", "Attacks", Some(attacks::Section::new(summary))),
        placed("canaries", "Canaries", canaries::Section::new(summary)),
        placed("measures", "Measures", Some(measures::Section::new(summary))),
        placed("copies", "Copies", copies::Section::new(summary)),
    ];
    let after = [
        placed("guarantees", "Guarantees", guarantees::Section::new(summary)),
        placed("appendix", "Appendix", Some(appendix::Section::new(content))),
    ];
    let unwarned = placed("verdict", "Verdict", Some(verdict::Section::new(summary, &found, 0)));
    // Pictures take what the text leaves of the page.
    let text = [&unwarned].into_iter().chain(&before).chain(&after).flatten().map(|placed| placed.html.len()).sum();
    let pictures = pictures::Section::new(content, text);
    let verdict = match pictures.training_pictures {
        0 => unwarned,
        shown => placed("verdict", "Verdict", Some(verdict::Section::new(summary, &found, shown))),
    };
    let pictures = placed("pictures", "Samples", pictures.any().then_some(pictures));
    let sections = [verdict].into_iter().chain(before).chain([pictures]).chain(after);
    let title = format!("{}: can synthetic images stand in?", summary.name);
    document(&summary.name, title, &summary.version, facts(summary), sections.flatten().collect())
}

/// One HTML document of these sections.
pub(crate) fn document(name: &str, title: String, version: &str, facts: String, sections: Vec<Placed>) -> String {
    rendered(&Page {
        style: include_str!("../../templates/style.css"),
        script: include_str!("../../templates/script.js"),
        name,
        title,
        version,
        facts,
        sections,
    })
}

/// A section in its place, if there is one.
pub(crate) fn placed(anchor: &'static str, name: &'static str, section: Option<impl Template>) -> Option<Placed> {
    section.map(|section| Placed { anchor, name, html: rendered(&section) })
}

/// The images behind the run, in one line.
fn facts(summary: &Summary) -> String {
    let data = &summary.data;
    let mut sides = vec![format!("{} private training images", count(data.train))];
    for (images, name) in [(data.holdout, "holdout"), (data.test, "test")] {
        if images > 0 {
            sides.push(format!("{} {name}", count(images)));
        }
    }
    let repetitions = match summary.seeds.len() {
        0 => String::new(),
        1 => "; 1 repetition".into(),
        n => format!("; {n} repetitions"),
    };
    format!("{}: {}{repetitions}", data.source, sides.join(", "))
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("no template calls anything that fails, and writing to a string cannot fail")
}
