use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::{DeviceChoice, load_weights, read_architecture, save_weights};

use crate::network::{Architecture, VNet};
use crate::{CohortNames, Error, Result, Settings};

/// Everything about a trained network but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The method's name.
    pub method: String,
    /// The seed of everything random.
    pub seed: Seed,
    /// The label of each class, background first.
    pub labels: Vec<u32>,
    /// The step whose weights these are, from 1.
    pub selected_step: usize,
    /// How it was chosen.
    pub selection: Selection,
    /// The network.
    pub network: Architecture,
    /// How it was trained.
    pub settings: Settings,
    /// What it was trained on.
    pub volumes: CohortNames,
}

/// Which of the networks that a training passes through is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The last.
    #[default]
    Last,
    /// The one with the best mean Dice on volumes set aside from those with labels. Never on those held out.
    Validation,
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is.
    pub description: Description,
    pub(crate) network: VNet,
}

const REMEDY: &str = "give the folder that `standin segment train --out` wrote, unchanged; or train again";

impl Model {
    /// The file of weights in a model's folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("model.safetensors")
    }

    /// Writes weights and description into a folder, which must exist.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        Ok(save_weights(&Self::path(folder), &self.network, &self.description)?)
    }

    /// Reads what [`Model::save`] wrote.
    ///
    /// # Errors
    /// If the folder holds no model, or one that was changed or damaged.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = Self::path(folder);
        if !path.exists() {
            let found = if folder.join("checkpoint.safetensors").exists() {
                "holds a training that is not finished"
            } else {
                "holds no trained network (model.safetensors)"
            };
            return Err(Error::model(folder, found, REMEDY));
        }
        let description: Description = read_architecture(&path)?;
        let network = &description.network;
        let contradiction = match () {
            () if network.classes != description.labels.len() => Some("as many labels as classes"),
            () if network.decoders.is_empty() => Some("a decoder"),
            () if network.dimensions != description.settings.dimensions => Some("one number of dimensions"),
            () if network.width == 0 || network.width > 1024 => Some("a width from 1 to 1024"),
            () => description.settings.check().err().map(|_| "settings within their ranges"),
        };
        if let Some(missing) = contradiction {
            let found = format!("contradicts itself: a network has {missing}");
            return Err(Error::model(&path.with_extension("toml"), found, REMEDY));
        }
        let network = network.build(Seed::new(0), &DeviceChoice::chosen().inference());
        let network = load_weights(&path, network)?;
        Ok(Self { description, network })
    }
}
