use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rayon::prelude::*;
use standin_data::Progress;

use super::{Error, RECORD, Result, Store, outputs};
use crate::stage::StageId;

/// What a check of a whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Stages checked.
    pub stages: usize,
    /// Outputs read.
    pub files: usize,
    /// Their total size.
    pub bytes: u64,
    /// Everything that is not as recorded, by stage and file.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Whether everything is as it was when it finished.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Something in a store that is not as it was when its stage finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stage.
    pub stage: StageId,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

/// What is wrong with a file or folder of a finished stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A recorded output is not there.
    Missing,
    /// An output has another size.
    Size {
        /// Recorded size in bytes.
        recorded: u64,
        /// Present size in bytes.
        found: u64,
    },
    /// An output of the recorded size has another content.
    Content,
    /// A file is there that the stage did not leave.
    Unrecorded,
    /// What is recorded has another identity than the folder's name.
    Identity,
    /// The record or an output cannot be read.
    Unreadable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the output is missing"),
            Self::Size { recorded, found } => write!(f, "the output has {found} bytes instead of {recorded}"),
            Self::Content => f.write_str("the output's content has changed"),
            Self::Unrecorded => f.write_str("the stage did not leave this file"),
            Self::Identity => f.write_str("what is recorded is another stage than the folder's name says"),
            Self::Unreadable(error) => f.write_str(error),
        }
    }
}

impl Store {
    /// Reads and hashes every output of every stage. Costs the time to read the store once.
    ///
    /// # Errors
    /// If the store's folder cannot be read; what is wrong inside it is in the result.
    pub fn verify(&self, progress: &dyn Progress) -> Result<Verification> {
        let ids = self.ids()?;
        progress.begin("verify", ids.len() as u64);
        let stages: Vec<_> = ids
            .into_par_iter()
            .map(|id| {
                let checked = self.verify_stage(id);
                progress.advance(1);
                checked
            })
            .collect();
        progress.end();
        Ok(stages.into_iter().fold(Verification::default(), |mut whole, stage| {
            whole.stages += stage.stages;
            whole.files += stage.files;
            whole.bytes += stage.bytes;
            whole.findings.extend(stage.findings);
            whole
        }))
    }

    /// Reads and hashes every output of one stage; a stage that is not there has nothing to check.
    pub fn verify_stage(&self, id: StageId) -> Verification {
        let folder = self.folder(id);
        let finding = |path, problem| Finding { stage: id, path, problem };
        let unreadable = |error: Error| Verification {
            stages: 1,
            findings: vec![finding(folder.clone(), Problem::Unreadable(error.to_string()))],
            ..Verification::default()
        };
        let record = match self.record(id) {
            Ok(Some(record)) => record,
            Ok(None) => return Verification::default(),
            Err(error) => return unreadable(error),
        };
        let mut present: BTreeMap<_, _> = match outputs::content(&folder) {
            Ok(content) => content.files.into_iter().map(|file| (file.name.clone(), file)).collect(),
            Err(error) => return unreadable(error),
        };
        present.remove(RECORD);

        let mut result = Verification { stages: 1, ..Verification::default() };
        if record.id() != id {
            result.findings.push(finding(folder.join(RECORD), Problem::Identity));
        }
        for output in &record.outputs {
            let problem = match present.remove(&output.path) {
                None => Some(Problem::Missing),
                Some(file) if file.bytes != output.bytes => {
                    Some(Problem::Size { recorded: output.bytes, found: file.bytes })
                }
                Some(file) => {
                    result.files += 1;
                    result.bytes += file.bytes;
                    match outputs::digest(&file.path) {
                        Ok(digest) if digest == output.blake3 => None,
                        Ok(_) => Some(Problem::Content),
                        Err(error) => Some(Problem::Unreadable(error.to_string())),
                    }
                }
            };
            result.findings.extend(problem.map(|problem| finding(folder.join(&output.path), problem)));
        }
        result.findings.extend(present.into_values().map(|file| finding(file.path, Problem::Unrecorded)));
        result
    }
}
