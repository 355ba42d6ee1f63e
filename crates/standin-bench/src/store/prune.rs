use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Error, Result, Store, TEMPORARY, outputs};
use crate::stage::StageId;

/// Which finished stages to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune {
    /// All but these and what they were made from, directly or not.
    AllBut(BTreeSet<StageId>),
    /// Those that finished longer ago than this, except what a younger one was made from.
    OlderThan(Duration),
    /// Exactly these, whatever was made from them.
    Only(BTreeSet<StageId>),
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The stages, by identity.
    pub stages: Vec<PrunedStage>,
}

impl Pruned {
    /// Bytes of all stages together.
    pub fn bytes(&self) -> u64 {
        self.stages.iter().map(|stage| stage.bytes).sum()
    }
}

/// One stage that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedStage {
    /// The stage's identity.
    pub id: StageId,
    /// Size of its files in bytes.
    pub bytes: u64,
}

impl Store {
    /// Removes finished stages, and what killed processes left; with `dry_run` only tells which stages.
    ///
    /// A stage first loses its name and then its files, so a prune that is interrupted leaves no stage with files missing.
    ///
    /// # Errors
    /// If a session is open in this or another process, if the record of a stage that is to stay cannot be read (what it
    /// was made from is then unknown), or if a file cannot be removed.
    pub fn prune(&self, what: &Prune, dry_run: bool) -> Result<Pruned> {
        let alone = if dry_run { None } else { Some(self.alone()?) };
        if alone.is_some() {
            self.sweep()?;
        }
        let mut pruned = Pruned::default();
        for id in self.selected(what)? {
            let folder = self.folder(id);
            let bytes = outputs::content(&folder)?.files.iter().map(|file| file.bytes).sum();
            if !dry_run {
                let unnamed = self.root.join(format!("{TEMPORARY}{id}-pruned"));
                fs::rename(&folder, &unnamed).map_err(Error::io("removing", &folder))?;
                fs::remove_dir_all(&unnamed).map_err(Error::io("removing", &unnamed))?;
            }
            pruned.stages.push(PrunedStage { id, bytes });
        }
        Ok(pruned)
    }

    fn selected(&self, what: &Prune) -> Result<Vec<StageId>> {
        let present = self.ids()?;
        let kept = match what {
            Prune::Only(ids) => return Ok(present.into_iter().filter(|id| ids.contains(id)).collect()),
            Prune::AllBut(ids) => present.iter().copied().filter(|id| ids.contains(id)).collect(),
            Prune::OlderThan(age) => self.younger_than(&present, *age)?,
        };
        let kept = self.with_ancestors(kept)?;
        Ok(present.into_iter().filter(|id| !kept.contains(id)).collect())
    }

    fn younger_than(&self, present: &[StageId], age: Duration) -> Result<Vec<StageId>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut younger = Vec::new();
        for &id in present {
            let finished = self.record(id)?.map(|record| record.finished_unix_seconds);
            if finished.is_some_and(|finished| now.saturating_sub(finished) <= age.as_secs()) {
                younger.push(id);
            }
        }
        Ok(younger)
    }

    fn with_ancestors(&self, mut open: Vec<StageId>) -> Result<BTreeSet<StageId>> {
        let mut kept = BTreeSet::new();
        while let Some(id) = open.pop() {
            if kept.insert(id) {
                open.extend(self.record(id)?.into_iter().flat_map(|record| record.inputs));
            }
        }
        Ok(kept)
    }
}
