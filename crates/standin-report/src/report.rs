use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_bench::leakage::contradictions;
use standin_bench::summary::Summary;

use crate::picture::Pictures;
use crate::section::{Content, page};
use crate::timing::Timing;
use crate::{Error, Result, markdown, reading};

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
        let summary = reading::summary(&path)?;
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
        contradictions(&self.summary.releases).failures
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
        json_line(&self.summary)
    }

    /// Writes `report.html`, `report.json` and `report.md` into `out`, which is made if it is not there. Each file
    /// appears whole or not at all. Returns their paths in that order.
    ///
    /// # Errors
    /// If one of the files is already there and `force` is not set, in which case none is written; or if the system
    /// refuses.
    pub fn write(&self, out: &Path, force: bool) -> Result<[PathBuf; 3]> {
        let texts = [self.html(), self.json(), self.markdown()];
        write_all(out, ["report.html", "report.json", "report.md"], texts, force)
    }
}

/// A document as JSON, on one line.
///
/// # Panics
/// Never for documents of this crate: their maps have string keys, and writing to a string cannot fail.
pub(crate) fn json_line(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string(document).expect("documents have string keys");
    text.push('\n');
    text
}

/// Writes texts into files of these names, all or, where one is in the way and `force` is not set, none.
pub(crate) fn write_all<const N: usize>(
    out: &Path,
    names: [&str; N],
    texts: [String; N],
    force: bool,
) -> Result<[PathBuf; N]> {
    std::fs::create_dir_all(out).map_err(Error::io("making the folder", out))?;
    let paths = names.map(|name| out.join(name));
    if let Some(path) = paths.iter().find(|path| !force && path.exists()) {
        return Err(Error::Exists { path: path.clone() });
    }
    for (path, text) in paths.iter().zip(texts) {
        write_whole(out, path, &text, force)?;
    }
    Ok(paths)
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
