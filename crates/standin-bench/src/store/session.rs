use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{Error, LOCKS, RECORD, Record, Result, STORE_LOCK, Store, TEMPORARY, outputs, write_synced};
use crate::stage::{Stage, StageId};

/// The right to compute in a store: while it lives, nobody prunes, so inputs stay where they are.
#[derive(Debug)]
pub struct Session<'a> {
    store: &'a Store,
    /// Locked until it is dropped.
    _shared: File,
}

/// What became of the wish to compute a stage.
#[derive(Debug)]
pub enum Claim {
    /// It is finished.
    Finished(Box<Record>),
    /// It is the caller's to compute.
    Mine(Work),
    /// Another process or thread computes it at this moment.
    Busy,
}

/// A stage being computed. Dropping it instead of [`Work::finish`]ing it discards what was written.
#[derive(Debug)]
pub struct Work {
    // Fields are dropped in order: the folder is gone before another process can claim the stage.
    out: TempDir,
    _alone: File,
    folder: PathBuf,
    root: PathBuf,
}

/// What a computation took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Duration of the computation.
    pub wall: Duration,
    /// Threads it was granted.
    pub threads: usize,
    /// Most memory that the computation held at once, where known.
    pub peak_memory_bytes: Option<u64>,
}

impl Store {
    /// Begins to compute in the store. Leftovers of killed processes are removed if no other session is open; waits while
    /// another process prunes.
    ///
    /// # Errors
    /// If the store cannot be locked or written.
    pub fn session(&self) -> Result<Session<'_>> {
        let lock = self.lock_file(STORE_LOCK)?;
        if try_lock(&lock, &self.root)? {
            self.sweep()?;
            lock.unlock().map_err(Error::io("unlocking", &self.root))?;
        }
        lock.lock_shared().map_err(Error::io("locking", &self.root))?;
        Ok(Session { store: self, _shared: lock })
    }

    /// As [`Store::session`], but removes nothing: for one of many processes on several machines, whose file system may
    /// not show the locks of one to another.
    ///
    /// # Errors
    /// If the store cannot be locked or written.
    pub fn join(&self) -> Result<Session<'_>> {
        let lock = self.lock_file(STORE_LOCK)?;
        lock.lock_shared().map_err(Error::io("locking", &self.root))?;
        Ok(Session { store: self, _shared: lock })
    }

    /// The store held alone, or an error if a session is open.
    pub(super) fn alone(&self) -> Result<File> {
        let lock = self.lock_file(STORE_LOCK)?;
        if try_lock(&lock, &self.root)? { Ok(lock) } else { Err(Error::InUse { path: self.root.clone() }) }
    }

    /// Removes what killed processes left. Only for who holds the store alone: then nothing there is at work.
    pub(super) fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root).map_err(Error::io("reading", &self.root))? {
            let entry = entry.map_err(Error::io("reading", &self.root))?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(Error::io("removing", &path))?;
            }
        }
        let locks = self.root.join(LOCKS);
        for entry in fs::read_dir(&locks).map_err(Error::io("reading", &locks))? {
            let entry = entry.map_err(Error::io("reading", &locks))?;
            if entry.file_name() != STORE_LOCK {
                fs::remove_file(entry.path()).map_err(Error::io("removing", &entry.path()))?;
            }
        }
        Ok(())
    }
}

impl Session<'_> {
    /// The store.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Asks for a stage: it is finished, or computed by another at this moment, or the caller's to compute.
    ///
    /// # Errors
    /// If the stage is there but damaged, or the store cannot be read, locked or written.
    pub fn claim(&self, id: StageId) -> Result<Claim> {
        self.claim_with(id, try_lock)
    }

    /// As [`Session::claim`], but waits for whoever computes the stage; never [`Claim::Busy`].
    ///
    /// # Errors
    /// As [`Session::claim`].
    pub fn claim_or_wait(&self, id: StageId) -> Result<Claim> {
        self.claim_with(id, |lock, root| lock.lock().map_err(Error::io("locking", root)).map(|()| true))
    }

    fn claim_with(&self, id: StageId, acquire: impl FnOnce(&File, &Path) -> Result<bool>) -> Result<Claim> {
        if let Some(record) = self.store.finished(id)? {
            return Ok(Claim::Finished(Box::new(record)));
        }
        let lock = self.store.lock_file(&id.to_string())?;
        if !acquire(&lock, &self.store.root)? {
            return Ok(Claim::Busy);
        }
        // Whoever held the lock before may have finished the stage.
        if let Some(record) = self.store.finished(id)? {
            return Ok(Claim::Finished(Box::new(record)));
        }
        let out = tempfile::Builder::new()
            .prefix(&format!("{TEMPORARY}{id}-"))
            .tempdir_in(&self.store.root)
            .map_err(Error::io("creating a folder in", &self.store.root))?;
        Ok(Claim::Mine(Work { out, _alone: lock, folder: self.store.folder(id), root: self.store.root.clone() }))
    }
}

impl Work {
    /// The empty folder the stage writes into.
    pub fn out(&self) -> &Path {
        self.out.path()
    }

    /// Puts every output on the disk, records it, and gives the folder its final name.
    ///
    /// # Errors
    /// If an output is no plain file or has the record's name, or the disk does not take it; nothing is kept then.
    pub fn finish(self, stage: &dyn Stage, cost: Cost) -> Result<Record> {
        let path = self.out().join(RECORD);
        if path.symlink_metadata().is_ok() {
            return Err(Error::InvalidOutput { path, found: "the name is taken by the store's own record".to_owned() });
        }
        let record = Record {
            kind: stage.kind().to_owned(),
            name: stage.name(),
            code_version: stage.code_version(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            finished_unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            wall_seconds: cost.wall.as_secs_f64(),
            threads: cost.threads,
            workload: Some(stage.workload()),
            peak_memory_bytes: cost.peak_memory_bytes,
            inputs: stage.inputs(),
            configuration: stage.configuration(),
            outputs: outputs::secure(self.out())?,
        };
        write_synced(&path, &record.to_toml())?;
        outputs::sync_folder(self.out())?;
        fs::rename(self.out(), &self.folder).map_err(Error::io("creating", &self.folder))?;
        // The folder has moved away: there is nothing left to clean, and nobody may mistake a new one for it.
        let _moved = self.out.keep();
        outputs::sync_folder(&self.root)?;
        Ok(record)
    }
}

/// Whether a lock was free and now is the caller's.
fn try_lock(lock: &File, root: &Path) -> Result<bool> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("locking", root)(error)),
    }
}
