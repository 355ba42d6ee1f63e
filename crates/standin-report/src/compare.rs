//! Two studies side by side: what differs in their configuration, and what became of every release that both have.

mod figures;
mod page;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_bench::study::{SettingDifference, configuration_differences};
use standin_bench::summary::{DataSummary, Release, ReleaseVerdict, Summary};
use standin_measure::{Estimate, Outcome};

use crate::document::{Document, json_line};
use crate::{Result, reading, words};

/// The name and version of the comparison's JSON.
const SCHEMA: &str = "standin.comparison/1";

/// Two studies, A and B, release by release; differences are B less A.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Name and version of this document's schema.
    pub schema: &'static str,
    /// The first study.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Why figures must not be compared, or only with care.
    pub warnings: Vec<String>,
    /// Settings that differ.
    pub configuration: Vec<Setting>,
    /// Releases that both have, in the order of A.
    pub releases: Vec<ComparedRelease>,
    /// Names of releases that only A has.
    pub only_in_a: Vec<String>,
    /// Names of releases that only B has.
    pub only_in_b: Vec<String>,
}

/// One of the two studies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// What the user called it.
    pub label: String,
    /// The study's name.
    pub study: String,
    /// Version of the program that ran it.
    pub version: String,
    /// Seeds of the repetitions.
    pub seeds: Vec<u64>,
    /// The images it ran on.
    pub data: DataSummary,
    /// Its conclusion.
    pub headline: String,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, with those of the tables around it.
    pub setting: String,
    /// Its value in A; none where it is not set.
    pub a: Option<String>,
    /// Its value in B.
    pub b: Option<String>,
}

/// A release that both studies have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRelease {
    /// Its name.
    pub name: String,
    /// What is released, in A and in B.
    pub kind: [&'static str; 2],
    /// The outcome of the thresholds in A and in B.
    pub outcome: [&'static str; 2],
    /// Whether the outcomes differ.
    pub changed: bool,
    /// How sure a place on the Pareto front is.
    pub front: [String; 2],
    /// The ε that is guaranteed.
    pub epsilon: [Option<f64>; 2],
    /// The guarantee in words.
    pub guarantee: [String; 2],
    /// Accuracy, strongest attack, every attack, canaries and measures.
    pub figures: Vec<Figure>,
}

/// One figure of one release in both studies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is, such as "accuracy of cnn".
    pub figure: String,
    /// The protocol both were measured by, where it has one.
    pub protocol: String,
    /// In A; none where it was not asked for.
    pub a: Option<Outcome>,
    /// In B.
    pub b: Option<Outcome>,
    /// B less A; none where one is missing or the two must not be compared.
    pub difference: Option<Estimate>,
    /// Why there is no difference, or what to know about it.
    pub remark: String,
}

impl Figure {
    /// Whether the difference leaves 0 outside of its interval.
    pub fn is_beyond_chance(&self) -> bool {
        self.difference.as_ref().is_some_and(|difference| difference.low > 0.0 || difference.high < 0.0)
    }
}

impl Comparison {
    /// Reads two studies: each a folder with a `summary.json` (a finished study's) or a `report.json` (a report's), or one
    /// such file.
    ///
    /// # Errors
    /// If one cannot be read, is of another schema, or is damaged.
    pub fn load(a: &Path, b: &Path) -> Result<Self> {
        let [of_a, of_b] = [a, b].map(|path| reading::summary(&locate(path)));
        Ok(Self::of((&a.display().to_string(), &of_a?), (&b.display().to_string(), &of_b?)))
    }

    /// Compares two summaries, each with what the user calls it.
    pub fn of((label_a, a): (&str, &Summary), (label_b, b): (&str, &Summary)) -> Self {
        let mut warnings = warnings(a, b);
        let comparable = same_images(&a.data, &b.data);
        let paired = comparable && a.seeds == b.seeds && sizes(&a.data) == sizes(&b.data);
        let judged = |summary: &Summary, name: &str| -> Option<(usize, ReleaseVerdict)> {
            let at = summary.releases.iter().position(|release| release.name == name)?;
            summary.verdict.releases.get(at).map(|verdict| (at, verdict.clone()))
        };
        let mut releases = Vec::new();
        for release in &a.releases {
            let Some(((_, verdict), (at, other))) = judged(a, &release.name).zip(judged(b, &release.name)) else {
                continue;
            };
            let pair = [(release, &verdict), (&b.releases[at], &other)];
            releases.push(compared(pair, figures::Rules { comparable, paired }));
        }
        let other_protocols: usize = releases
            .iter()
            .flat_map(|release| &release.figures)
            .filter(|figure| figure.remark == figures::OTHER)
            .count();
        if other_protocols > 0 {
            warnings.push(format!(
                "{other_protocols} figures were measured by different protocols (encoder, parameters, number of images): they \
                 stand side by side without a difference and must not be compared."
            ));
        }
        let only = |of: &Summary, not: &Summary| -> Vec<String> {
            let missing = |release: &&Release| !not.releases.iter().any(|other| other.name == release.name);
            of.releases.iter().filter(missing).map(|release| release.name.clone()).collect()
        };
        let configuration = match configuration_differences(&b.configuration, &a.configuration) {
            Ok(found) => found.into_iter().map(Setting::from).collect(),
            Err(reason) => {
                warnings.push(format!("The configurations could not be compared: {reason}."));
                Vec::new()
            }
        };
        Self {
            schema: SCHEMA,
            a: side(label_a, a),
            b: side(label_b, b),
            warnings,
            configuration,
            releases,
            only_in_a: only(a, b),
            only_in_b: only(b, a),
        }
    }

    /// Releases whose outcome at the thresholds differs.
    pub fn changed(&self) -> impl Iterator<Item = &ComparedRelease> {
        self.releases.iter().filter(|release| release.changed)
    }
}

impl Document for Comparison {
    const NAME: &'static str = "comparison";

    fn html(&self) -> String {
        page::page(self)
    }

    fn markdown(&self) -> String {
        text::document(self)
    }

    fn json(&self) -> String {
        json_line(self)
    }
}

impl From<SettingDifference> for Setting {
    fn from(found: SettingDifference) -> Self {
        Self { setting: found.setting, a: found.from, b: found.of }
    }
}

/// The file that a folder keeps its summary in.
fn locate(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_path_buf();
    }
    let [summary, report] = ["summary.json", "report.json"].map(|name| path.join(name));
    if !summary.exists() && report.exists() { report } else { summary }
}

fn side(label: &str, summary: &Summary) -> Side {
    Side {
        label: label.into(),
        study: summary.name.clone(),
        version: summary.version.clone(),
        seeds: summary.seeds.clone(),
        data: summary.data.clone(),
        headline: summary.verdict.headline.clone(),
    }
}

fn sizes(data: &DataSummary) -> [usize; 3] {
    [data.train, data.holdout, data.test]
}

/// Whether figures are about the same kind of images at all.
fn same_images(a: &DataSummary, b: &DataSummary) -> bool {
    a.source == b.source && a.shape == b.shape && a.classes == b.classes
}

fn warnings(a: &Summary, b: &Summary) -> Vec<String> {
    let mut warnings = Vec::new();
    if !same_images(&a.data, &b.data) {
        warnings.push(format!(
            "The studies ran on different images ({}, {}, {} classes, against {}, {}, {} classes): their figures must not be \
             compared, and no differences are formed.",
            a.data.source,
            a.data.shape,
            a.data.classes.len(),
            b.data.source,
            b.data.shape,
            b.data.classes.len(),
        ));
    } else if sizes(&a.data) != sizes(&b.data) {
        let words = |[train, holdout, test]: [usize; 3]| format!("{train} training, {holdout} holdout, {test} test");
        warnings.push(format!(
            "The sides differ in size ({}, against {} images): more training images make releases more useful and attacks \
             weaker, whatever else differs.",
            words(sizes(&a.data)),
            words(sizes(&b.data)),
        ));
    }
    if a.data.grouped_by != b.data.grouped_by {
        warnings.push("The images were not grouped by the same column, so sides and units of privacy differ.".into());
    }
    if a.thresholds != b.thresholds {
        warnings.push("The thresholds differ, so an outcome may change without any figure that does.".into());
    }
    if a.version != b.version {
        warnings.push(format!("The programs differ in version ({}, against {}).", a.version, b.version));
    }
    if a.seeds != b.seeds {
        warnings.push(
            "The seeds differ, so differences rest on independent intervals and are wider than those paired by seed."
                .into(),
        );
    }
    warnings
}

fn compared(
    [(a, verdict_a), (b, verdict_b)]: [(&Release, &ReleaseVerdict); 2],
    rules: figures::Rules,
) -> ComparedRelease {
    let outcome = [words::outcome(a, verdict_a), words::outcome(b, verdict_b)];
    ComparedRelease {
        name: a.name.clone(),
        kind: [words::kind(a.kind), words::kind(b.kind)],
        outcome,
        changed: outcome[0] != outcome[1],
        front: [words::front(verdict_a), words::front(verdict_b)],
        epsilon: [a, b].map(|release| release.guarantee.as_ref().map(|guarantee| guarantee.epsilon)),
        guarantee: [a, b].map(|release| words::guarantee_in_brief(release.guarantee.as_ref())),
        figures: figures::figures(a, b, rules),
    }
}
