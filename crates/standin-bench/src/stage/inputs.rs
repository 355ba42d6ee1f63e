use std::path::{Path, PathBuf};

use super::StageId;

/// The folders of a stage's finished inputs.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    folders: Vec<(StageId, PathBuf)>,
}

impl Inputs {
    /// Inputs in the order the stage declares them, each with its folder.
    pub fn new(folders: Vec<(StageId, PathBuf)>) -> Self {
        Self { folders }
    }

    /// The folder with the outputs of one input.
    ///
    /// # Errors
    /// If the stage does not declare it in [`Stage::inputs`](super::Stage::inputs).
    pub fn folder(&self, id: StageId) -> Result<&Path, UndeclaredInput> {
        self.iter().find(|(input, _)| *input == id).map(|(_, folder)| folder).ok_or(UndeclaredInput(id))
    }

    /// All inputs with their folders, in the order the stage declares them.
    pub fn iter(&self) -> impl Iterator<Item = (StageId, &Path)> {
        self.folders.iter().map(|(id, folder)| (*id, folder.as_path()))
    }
}

/// A stage asked for the outputs of another that it does not declare as input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stage reads {0} without declaring it: return it from `Stage::inputs`, so that it is part of the identity")]
pub struct UndeclaredInput(pub StageId);
