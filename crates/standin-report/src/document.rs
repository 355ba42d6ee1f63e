use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// What is reported, for people, for a pull request and for scripts.
pub trait Document {
    /// What its files are called, before `.html`, `.json` and `.md`.
    const NAME: &'static str = "report";

    /// One HTML document that needs nothing else, below 10 MB: pictures beyond that are named or left out.
    fn html(&self) -> String;

    /// The same in brief as Markdown (GitHub's dialect).
    fn markdown(&self) -> String;

    /// The figures as JSON, on one line.
    fn json(&self) -> String;

    /// Writes all three into `out`, which is made if it is not there: the page, the figures, the Markdown. Each file appears
    /// whole or not at all. Returns their paths in that order.
    ///
    /// # Errors
    /// If one of the files is already there and `force` is not set, in which case none is written; or if the system
    /// refuses.
    fn write(&self, out: &Path, force: bool) -> Result<[PathBuf; 3]> {
        std::fs::create_dir_all(out).map_err(Error::io("making the folder", out))?;
        let paths = paths::<Self>(out);
        if let Some(path) = paths.iter().find(|path| !force && path.exists()) {
            return Err(Error::Exists { path: path.clone() });
        }
        for (path, text) in paths.iter().zip([self.html(), self.json(), self.markdown()]) {
            write_whole(out, path, &text, force)?;
        }
        Ok(paths)
    }

    /// Whether `out` holds exactly what [`Document::write`] would write.
    fn is_written(&self, out: &Path) -> bool {
        let holds = |(path, text): (&PathBuf, String)| std::fs::read_to_string(path).is_ok_and(|found| found == text);
        paths::<Self>(out).iter().zip([self.html(), self.json(), self.markdown()]).all(holds)
    }
}

fn paths<D: Document + ?Sized>(out: &Path) -> [PathBuf; 3] {
    ["html", "json", "md"].map(|ending| out.join(D::NAME).with_extension(ending))
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
