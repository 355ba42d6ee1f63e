//! The page, section by section in the order a steward reads: verdict, questions, trade-off, rankings, utility,
//! correlations, attacks, canaries, measures, copies, pictures, guarantees, appendix. Each section is a view of the summary and a
//! template of the same name, and one with nothing to show is left out.

mod appendix;
mod attacks;
mod canaries;
mod copies;
mod correlations;
mod guarantees;
mod measures;
mod pictures;
mod rankings;
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
    sections: Vec<Placed>,
}

/// A section on the page.
struct Placed {
    anchor: &'static str,
    /// What the navigation calls it.
    name: &'static str,
    html: String,
}

#[derive(Template)]
#[template(path = "questions.html")]
struct Questions<'a> {
    questions: &'a [Answer],
}

/// The whole page, one HTML document.
pub(crate) fn page(content: &Content<'_>) -> String {
    let summary = content.summary;
    let found = contradictions(summary);
    let pictures = pictures::Section::new(content);
    let questions = (!summary.questions.is_empty()).then_some(Questions { questions: &summary.questions });
    let verdict = verdict::Section::new(summary, &found, pictures.training_pictures);
    let sections = [
        placed("verdict", "Verdict", Some(verdict)),
        placed("questions", "Questions", questions),
        placed("trade-off", "Trade-off", trade_off::Section::new(summary)),
        placed("rankings", "Comparison", rankings::Section::new(summary)),
        placed("utility", "Utility", utility::Section::new(summary)),
        placed("correlations", "Correlations", correlations::Section::new(summary)),
        placed("attacks", "Attacks", Some(attacks::Section::new(summary))),
        placed("canaries", "Canaries", canaries::Section::new(summary)),
        placed("measures", "Measures", Some(measures::Section::new(summary))),
        placed("copies", "Copies", copies::Section::new(summary)),
        placed("pictures", "Samples", pictures.any().then_some(pictures)),
        placed("guarantees", "Guarantees", guarantees::Section::new(summary)),
        placed("appendix", "Appendix", Some(appendix::Section::new(content))),
    ];
    rendered(&Page {
        style: include_str!("../../templates/style.css"),
        script: include_str!("../../templates/script.js"),
        name: &summary.name,
        version: &summary.version,
        facts: facts(summary),
        sections: sections.into_iter().flatten().collect(),
    })
}

fn placed(anchor: &'static str, name: &'static str, section: Option<impl Template>) -> Option<Placed> {
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
