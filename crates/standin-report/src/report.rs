use std::io::Write as _;
use std::path::{Path, PathBuf};

use standin_bench::summary::{AttackRow, SCHEMA, Summary};

use crate::picture::Pictures;
use crate::section::{Content, page};
use crate::timing::Timing;
use crate::{Error, Result};
use crate::{leakage, markdown};

/// The name of a study's summary in its folder.
const SUMMARY: &str = "summary.json";

/// A study's summary with its pictures, checked and ready to print.
#[derive(Clone, Debug)]
pub struct Report {
    summary: Summary,
    timings: Vec<Timing>,
    pictures: Pictures,
    training_pictures: bool,
}

impl Report {
    /// Reads `summary.json` and the pictures it names from the folder of a finished study.
    ///
    /// # Errors
    /// If a file cannot be read; if the summary is of another schema, is damaged, or contradicts its own
    /// documentation (a verdict for each release, one accuracy for each seed and class, ROC curves that rise from (0, 0)
    /// to (1, 1), rankings of releases, a square matrix of correlations, as many quantiles on either side); or if a picture is missing, not a PNG file, or outside the folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(SUMMARY);
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::invalid(
                &path,
                "there is no such file",
                "give the folder of a finished study, which has a summary.json in it",
            ),
            _ => Error::io("reading", &path)(source),
        })?;
        let summary = parse(&path, &bytes)?;
        check(&path, &summary)?;
        let pictures = Pictures::load(folder, &summary)?;
        Ok(Self { summary, timings: Vec::new(), pictures, training_pictures: true })
    }

    /// Adds what each stage cost, in the order it is to be listed.
    #[must_use]
    pub fn with_timings(self, timings: Vec<Timing>) -> Self {
        Self { timings, ..self }
    }

    /// Leaves the private training images out of the near-copy gallery, for a page that is to be passed on.
    #[must_use]
    pub fn without_training_pictures(self) -> Self {
        Self { training_pictures: false, ..self }
    }

    /// What attacks demonstrate beyond what a guarantee allows, each in a sentence: where there is any, the run has
    /// failed, because the mechanism, the accountant or the attack is wrong.
    pub fn contradictions(&self) -> Vec<String> {
        leakage::contradictions(&self.summary).failures
    }

    /// The summary behind the report.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// One HTML document that needs nothing else, below 10 MB: pictures beyond that are named instead of shown.
    pub fn html(&self) -> String {
        page(&Content {
            summary: &self.summary,
            timings: &self.timings,
            pictures: &self.pictures,
            training_pictures: self.training_pictures,
        })
    }

    /// Verdict, gates, the tables of the page that compare releases, and the warnings as Markdown (GitHub's dialect).
    pub fn markdown(&self) -> String {
        markdown::document(&self.summary)
    }

    /// The summary as JSON, on one line.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string(&self.summary)
            .expect("a summary has string keys only and writing to a string cannot fail");
        text.push('\n');
        text
    }

    /// Writes `report.html`, `report.json` and `report.md` into `out`, which is made if it is not there. Each file
    /// appears whole or not at all. Returns their paths in that order.
    ///
    /// # Errors
    /// If one of the files is already there and `force` is not set, in which case none is written; or if the system
    /// refuses.
    pub fn write(&self, out: &Path, force: bool) -> Result<[PathBuf; 3]> {
        std::fs::create_dir_all(out).map_err(Error::io("making the folder", out))?;
        let paths = ["report.html", "report.json", "report.md"].map(|name| out.join(name));
        if let Some(path) = paths.iter().find(|path| !force && path.exists()) {
            return Err(Error::Exists { path: path.clone() });
        }
        for (path, text) in paths.iter().zip([self.html(), self.json(), self.markdown()]) {
            write_whole(out, path, &text, force)?;
        }
        Ok(paths)
    }
}

/// Writes under another name and moves the file into place when it is complete.
fn write_whole(folder: &Path, path: &Path, text: &str, force: bool) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(Error::io("writing", path))?;
    file.write_all(text.as_bytes()).map_err(Error::io("writing", path))?;
    file.as_file().sync_all().map_err(Error::io("writing", path))?;
    let placed = if force { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|failure| match failure.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
        _ => Error::io("writing", path)(failure.error),
    })?;
    Ok(())
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Summary> {
    let again = "copy the study's folder again, or run the study again";
    let document: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(path, format!("this is not a JSON document ({error})"), again))?;
    match document.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(Error::invalid(
                path,
                format!("its schema is \"{other}\", and this program reads \"{SCHEMA}\""),
                "use the version of the program that ran the study, or run the study again with this one",
            ));
        }
        None => {
            return Err(Error::invalid(
                path,
                format!("it names no schema, so no study has written it; expected \"{SCHEMA}\""),
                "give the folder of a finished study",
            ));
        }
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(path, format!("it does not follow {SCHEMA} ({error})"), again))
}

/// Checks what the schema says in words and its types do not.
fn check(path: &Path, summary: &Summary) -> Result<()> {
    let damaged = |found: String| Error::invalid(path, found, "copy the study's folder again, or run the study again");
    let names: Vec<_> = summary.releases.iter().map(|release| &release.name).collect();
    let judged: Vec<_> = summary.verdict.releases.iter().map(|verdict| &verdict.name).collect();
    if names != judged {
        return Err(damaged(format!("its verdict is on {judged:?}, but its releases are {names:?}")));
    }
    for release in &summary.releases {
        for utility in &release.utility {
            let of = format!("the utility of {} with {}", release.name, utility.classifier);
            let (found, expected) = (utility.per_class.len(), summary.data.classes.len());
            if found != expected {
                return Err(damaged(format!("{of} has {found} class accuracies for {expected} classes")));
            }
            let (found, expected) = (utility.per_seed.len(), summary.seeds.len());
            if found != expected {
                return Err(damaged(format!("{of} has {found} accuracies for {expected} seeds")));
            }
        }
        if let Some(scores) = &release.scores {
            let (synthetic, holdout) = (scores.synthetic_quantiles.len(), scores.holdout_quantiles.len());
            if holdout > 0 && holdout != synthetic {
                return Err(damaged(format!(
                    "the scores of {} have {synthetic} quantiles of synthetic and {holdout} of holdout images",
                    release.name
                )));
            }
        }
        if let Some(attack) = release.attacks.iter().find(|attack| !is_roc(attack)) {
            return Err(damaged(format!(
                "the ROC curve of {} on {} does not rise from (0, 0) to (1, 1)",
                attack.attack, release.name
            )));
        }
    }
    for ranking in &summary.rankings {
        if let Some(place) = ranking.places.iter().find(|place| !names.contains(&&place.release)) {
            return Err(damaged(format!(
                "its ranking by {} has a place for \"{}\", which is not among its releases",
                ranking.measure, place.release
            )));
        }
    }
    if let Some(found) = &summary.correlations {
        let named = found.names.len();
        let square = found.matrix.len() == named && found.matrix.iter().all(|row| row.len() == named);
        if named == 0 || !square || found.with_utility.len() != named {
            return Err(damaged(format!("its correlations of {named} names are not one for each pair of names")));
        }
    }
    Ok(())
}

fn is_roc(attack: &AttackRow) -> bool {
    let roc = &attack.roc;
    roc.first() == Some(&(0.0, 0.0))
        && roc.last() == Some(&(1.0, 1.0))
        && roc.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
}
