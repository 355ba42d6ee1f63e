//! Where finished stages live on disk.
//!
//! ```text
//! runs/
//!   store.toml             marks the folder as a store and names the layout's version
//!   <digest>/              a finished stage, named by its identity
//!     stage.toml           what it is, what it was made from, cost, and the digest of every output
//!     …                    its outputs
//!   .tmp-<digest>-<random>/  a stage at work, or what a killed one left
//!   .locks/                empty files that processes lock
//!   .logs/                 what stages said that failed
//!   .slurm/                studies handed to a cluster: see `executor::slurm`
//! ```
//!
//! A stage is finished exactly when its folder has its final name. It gets that name by one atomic rename, after every
//! file is on the disk; until then nothing reads it. Processes that share the folder coordinate by advisory file locks,
//! which the operating system releases when a process dies:
//!
//! - Whoever computes in a store holds it *shared* ([`Store::session`]).
//! - Whoever computes a stage holds that stage *alone*; others wait and then find it finished.
//! - Whoever removes something ([`Store::prune`], and the sweep of leftovers when a session begins) holds the store
//!   *alone*. So a leftover is removed only when no living process can be at work on it.

mod error;
mod outputs;
mod prune;
mod record;
mod session;
mod verify;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::{Error, Result};
pub use prune::{Prune, Pruned, PrunedStage};
pub use record::{Output, Record};
pub use session::{Claim, Cost, Session, Work};
pub use verify::{Finding, Problem, Verification};

use crate::stage::StageId;

/// The layout's version, written into the marker.
pub const FORMAT: u32 = 1;

const MARKER: &str = "store.toml";
const RECORD: &str = "stage.toml";
const LOCKS: &str = ".locks";
const LOGS: &str = ".logs";
const STORE_LOCK: &str = "store";
const TEMPORARY: &str = ".tmp-";

/// A folder of finished stages.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A finished stage in a listing.
#[derive(Debug)]
pub struct Entry {
    /// The stage's identity.
    pub id: StageId,
    /// What is recorded about it, or why that cannot be read.
    pub record: Result<Record>,
}

#[derive(Serialize)]
struct Marker {
    format: u32,
    /// For people who find the folder.
    about: String,
}

impl Store {
    /// Opens the store in a folder; a missing or empty folder becomes one.
    ///
    /// # Errors
    /// If the folder holds something else, has a layout this program does not know, or cannot be read or written.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { root: root.into() };
        if !store.has_marker()? {
            store.create()?;
        }
        store.check_marker()?;
        Ok(store)
    }

    /// Opens the store in a folder and changes nothing.
    ///
    /// # Errors
    /// As [`Store::open`], and if the folder is missing or empty.
    pub fn open_existing(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { root: root.into() };
        if !store.has_marker()? {
            let found = if store.root.exists() { "the folder has no store.toml" } else { "there is no such folder" };
            return Err(Error::NotAStore { path: store.root, found: found.to_owned() });
        }
        store.check_marker()?;
        Ok(store)
    }

    fn has_marker(&self) -> Result<bool> {
        let path = self.root.join(MARKER);
        path.try_exists().map_err(Error::io("reading", &path))
    }

    fn create(&self) -> Result<()> {
        if self.root.exists() {
            self.refuse_foreign_content()?;
        }
        let locks = self.root.join(LOCKS);
        fs::create_dir_all(&locks).map_err(Error::io("creating", &locks))?;
        let lock = self.lock_file(STORE_LOCK)?;
        lock.lock().map_err(Error::io("locking", &locks))?;
        if self.has_marker()? {
            // Another process made the store in the meantime.
            return Ok(());
        }
        let marker = Marker { format: FORMAT, about: "results of standin; `standin runs list` shows them".to_owned() };
        let text = toml::to_string(&marker).expect("a number and a string can be written as TOML");
        let draft = self.root.join(format!("{TEMPORARY}{MARKER}"));
        write_synced(&draft, &text)?;
        let path = self.root.join(MARKER);
        fs::rename(&draft, &path).map_err(Error::io("creating", &path))?;
        outputs::sync_folder(&self.root)
    }

    /// A folder that is not empty becomes no store: the results would mix with what is there. What a process that is
    /// making the store at this moment has written is not foreign.
    fn refuse_foreign_content(&self) -> Result<()> {
        let entries = fs::read_dir(&self.root).map_err(Error::io("reading", &self.root))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("reading", &self.root))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name != LOCKS && name != MARKER && !name.starts_with(TEMPORARY) {
                let found = format!("the folder holds \"{name}\" and has no store.toml");
                return Err(Error::NotAStore { path: self.root.clone(), found });
            }
        }
        Ok(())
    }

    fn check_marker(&self) -> Result<()> {
        let path = self.root.join(MARKER);
        let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        // Only the version is read first, so that a later layout is named as such whatever else its marker says.
        let format = text
            .parse::<toml::Table>()
            .ok()
            .and_then(|table| table.get("format")?.as_integer())
            .ok_or_else(|| Error::NotAStore { path: path.clone(), found: "it names no format".to_owned() })?;
        if format != i64::from(FORMAT) {
            return Err(Error::Format { path, found: format, supported: FORMAT });
        }
        Ok(())
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a stage's folder is once it is finished.
    pub fn folder(&self, id: StageId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Where a stage that failed leaves what it said, until it succeeds.
    pub fn log(&self, id: StageId) -> PathBuf {
        self.root.join(LOGS).join(format!("{id}.log"))
    }

    /// What is recorded about a stage; `None` if it is not finished.
    ///
    /// # Errors
    /// If the stage's folder is there but its record is missing or cannot be read.
    pub fn record(&self, id: StageId) -> Result<Option<Record>> {
        let folder = self.folder(id);
        let path = folder.join(RECORD);
        // A folder that appears or disappears between two looks is no damaged one: hence the second look at each.
        for _ in 0..2 {
            match fs::read_to_string(&path) {
                Ok(text) => return Record::from_toml(&text, &folder).map(Some),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("reading", &path)(error)),
                Err(_) if !folder.exists() => return Ok(None),
                Err(_) => {}
            }
        }
        Err(Error::Damaged { path: folder, found: "stage.toml is missing".to_owned() })
    }

    /// What is recorded about a stage, if it is finished and every output is there with its recorded size.
    ///
    /// Reads no output: [`Store::verify`] does.
    ///
    /// # Errors
    /// If the stage is there but damaged.
    pub fn finished(&self, id: StageId) -> Result<Option<Record>> {
        let Some(record) = self.record(id)? else { return Ok(None) };
        let folder = self.folder(id);
        for output in &record.outputs {
            let found = match fs::metadata(folder.join(&output.path)) {
                Ok(metadata) if metadata.len() == output.bytes => continue,
                Ok(metadata) => format!("has {} bytes instead of {}", metadata.len(), output.bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => "is missing".to_owned(),
                Err(error) => return Err(Error::io("reading", &folder.join(&output.path))(error)),
            };
            return Err(Error::Damaged { path: folder, found: format!("the output {} {found}", output.path) });
        }
        Ok(Some(record))
    }

    /// The stages that are in the store, by identity.
    ///
    /// # Errors
    /// If the store's folder cannot be read.
    pub fn ids(&self) -> Result<Vec<StageId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(Error::io("reading", &self.root))? {
            let entry = entry.map_err(Error::io("reading", &self.root))?;
            ids.extend(entry.file_name().to_str().and_then(|name| name.parse::<StageId>().ok()));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The stages that are in the store, oldest first; those whose record cannot be read come before the others.
    ///
    /// # Errors
    /// If the store's folder cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for id in self.ids()? {
            match self.record(id) {
                Ok(Some(record)) => entries.push(Entry { id, record: Ok(record) }),
                // Removed since the folder was read.
                Ok(None) => {}
                Err(error) => entries.push(Entry { id, record: Err(error) }),
            }
        }
        entries.sort_by_key(|entry| entry.record.as_ref().ok().map(|record| record.finished_unix_seconds));
        Ok(entries)
    }

    /// The one stage whose digest begins with these digits.
    ///
    /// # Errors
    /// If there is none or there are several.
    pub fn find(&self, prefix: &str) -> Result<StageId> {
        let matching: Vec<_> = self.ids()?.into_iter().filter(|id| id.to_string().starts_with(prefix)).collect();
        match matching.as_slice() {
            [id] => Ok(*id),
            [] => Err(Error::UnknownStage { path: self.root.clone(), prefix: prefix.to_owned() }),
            _ => Err(Error::AmbiguousStage { path: self.root.clone(), prefix: prefix.to_owned(), matching }),
        }
    }

    /// What is recorded about the one stage whose digest begins with these digits.
    ///
    /// # Errors
    /// If there is none, there are several, or its record cannot be read.
    pub fn show(&self, prefix: &str) -> Result<(StageId, Record)> {
        let id = self.find(prefix)?;
        match self.record(id)? {
            Some(record) => Ok((id, record)),
            None => Err(Error::UnknownStage { path: self.root.clone(), prefix: prefix.to_owned() }),
        }
    }

    /// The file that is locked under a name.
    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.root.join(LOCKS).join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
        }
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("opening the lock", &path))
    }
}

/// Writes a small file and waits until it is on the disk.
fn write_synced(path: &Path, text: &str) -> Result<()> {
    let mut file = File::create(path).map_err(Error::io("creating", path))?;
    file.write_all(text.as_bytes()).map_err(Error::io("writing", path))?;
    file.sync_all().map_err(Error::io("syncing", path))
}
