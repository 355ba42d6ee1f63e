//! A training: which patches a step sees, what it learns from them, and which network is kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use standin_data::{Error as DataError, Progress, Seed};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{
    Batch, Checkpoints, DeviceChoice, Every, History, Learner, OptimizerState, Plan, Result as NetworkResult, Trainer,
    TrainerState, shapes, train, values, with_values,
};

use crate::methods::{Method, Step};
use crate::network::{Architecture, Contrast, Segmenter, VNet};
use crate::patches::Example;
use crate::predict::{Sliding, classes_of};
use crate::preprocess::read_image;
use crate::{Case, Cohort, Description, Error, LabelVolume, Model, Result, Selection, Settings, overlaps};

/// More classes than any atlas has, and few enough that a mask is not an image by mistake.
const MOST_CLASSES: usize = 200;

/// How a network is to be trained.
#[derive(Clone, Debug)]
pub struct Training {
    /// The method.
    pub method: &'static Method,
    /// Its settings.
    pub settings: Settings,
    /// Which network is kept.
    pub selection: Selection,
    /// The seed of everything random.
    pub seed: Seed,
}

/// A trained network and how it came about.
#[derive(Debug)]
pub struct Trained {
    /// The network.
    pub model: Model,
    /// The loss of each step.
    pub history: History,
    /// Mean Dice on the validation volumes, by step.
    pub validation: Vec<(usize, f64)>,
}

/// The volumes of a cohort as the network sees them.
#[derive(Debug)]
pub struct Examples {
    labels: Vec<u32>,
    labelled: Vec<Example>,
    unlabelled: Vec<Example>,
    validation: Vec<Example>,
    digest: String,
}

impl Examples {
    /// Reads and prepares every volume that is learnt from or chosen by.
    ///
    /// # Errors
    /// If a volume cannot be read or prepared, an image and its labels lie on different grids, or no volume has a label.
    pub fn read(cohort: &Cohort, settings: &Settings, progress: &dyn Progress) -> Result<Self> {
        let with_labels = || cohort.labelled.iter().chain(&cohort.validation);
        let total = cohort.labelled.len() + cohort.validation.len() + cohort.unlabelled.len();
        progress.begin("reading", total as u64);
        let mut known = BTreeSet::from([0]);
        for case in &cohort.labelled {
            known.extend(read_labels(case)?.voxels().iter().copied());
        }
        let labels: Vec<u32> = known.into_iter().collect();
        let folder = cohort.labelled.first().and_then(|case| case.labels.clone()).unwrap_or_default();
        if labels.len() < 2 {
            let remedy = "give label volumes in which what is to be found is not 0";
            return Err(DataError::invalid(&folder, "and the other labels learnt from hold 0 alone", remedy).into());
        }
        if labels.len() > MOST_CLASSES {
            let found = format!("and the other labels learnt from hold {} different values", labels.len());
            return Err(DataError::invalid(&folder, found, "give label volumes, not images").into());
        }
        let mut hasher = blake3::Hasher::new_derive_key("standin segmentation examples 1");
        let mut prepared = Vec::with_capacity(total);
        for case in with_labels().chain(&cohort.unlabelled) {
            let example = read(case, settings, &labels, progress)?;
            hasher.update(case.name.as_bytes());
            hasher.update(&example.image.voxels.iter().flat_map(|voxel| voxel.to_le_bytes()).collect::<Vec<u8>>());
            hasher.update(example.classes.as_deref().unwrap_or_default());
            prepared.push(example);
            progress.advance(1);
        }
        progress.end();
        let unlabelled = prepared.split_off(cohort.labelled.len() + cohort.validation.len());
        let validation = prepared.split_off(cohort.labelled.len());
        let digest = hasher.finalize().to_hex().to_string();
        Ok(Self { labels, labelled: prepared, unlabelled, validation, digest })
    }

    /// The labels that are learnt, background first.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

fn read_labels(case: &Case) -> Result<LabelVolume> {
    let path = case.labels.as_deref().unwrap_or(&case.image);
    Ok(LabelVolume::read(path)?)
}

fn read(case: &Case, settings: &Settings, labels: &[u32], progress: &dyn Progress) -> Result<Example> {
    let (image, grid) = read_image(&settings.preprocessing, &case.image, progress)?;
    let Some(path) = &case.labels else { return Ok(Example { image, classes: None }) };
    let volume = LabelVolume::read(path)?;
    if !volume.grid().matches(&grid) {
        return Err(DataError::invalid(
            path,
            format!("has {}, but its image {} has {grid}", volume.grid(), case.image.display()),
            "give labels on the grid of their image",
        )
        .into());
    }
    let (classes, lost) = settings.preprocessing.prepare_labels(&volume, path, labels, &image)?;
    if lost > 0 {
        progress.warn(&format!(
            "{}: {lost} voxels with a label lie outside of the body found in the image and are not learnt; if they matter, \
             set preprocessing.crop_to_body=false",
            path.display()
        ));
    }
    Ok(Example { image, classes: Some(classes) })
}

impl Training {
    /// Trains on prepared volumes. With `checkpoints` it continues from the last one, if there is any, to the same result.
    ///
    /// # Errors
    /// If there are too few volumes for the method or the selection; if training diverges, or a checkpoint cannot be
    /// written, read, or is of another training.
    pub fn run(
        &self,
        examples: &Examples,
        cohort: &Cohort,
        checkpoints: Option<&Checkpoints>,
        progress: &dyn Progress,
    ) -> Result<Trained> {
        self.settings.check()?;
        if self.method.uses_unlabelled && examples.unlabelled.is_empty() {
            progress.warn(&format!(
                "{} learns from volumes without labels, and there are none: it learns from those with labels alone",
                self.method.name
            ));
        }
        if self.selection == Selection::Validation && examples.validation.is_empty() {
            return Err(Error::setting("select", "validation", "no volume was set aside; divide with validation"));
        }
        let network = Architecture {
            dimensions: self.settings.dimensions,
            width: self.settings.width,
            classes: examples.labels.len(),
            decoders: self.method.decoders.to_vec(),
        };
        let device = DeviceChoice::chosen().training();
        let segmenter = self.segmenter(&network, &device);
        let optimization = self.settings.optimization(self.method.has_teacher);
        let mut learning = Learning {
            training: self,
            examples,
            trainer: Trainer::new(segmenter, &optimization)?,
            device,
            selected: None,
            progress,
        };
        let plan =
            Plan::steps(examples.labelled.len(), self.settings.batch, self.settings.steps, self.seed.derive("order"));
        let history = train(&mut learning, &plan, checkpoints, progress)?;
        let finished = learning.trainer.finished().network;
        let (network_values, selected_step, validation) = match learning.selected {
            Some(Selected { record, values }) => (with_values(finished, &values), record.step, record.curve),
            None => (finished, self.settings.steps, Vec::new()),
        };
        let description = Description {
            method: self.method.name.to_owned(),
            seed: self.seed,
            labels: examples.labels.clone(),
            selected_step,
            selection: self.selection,
            network,
            settings: self.settings.clone(),
            volumes: cohort.names(),
        };
        Ok(Trained { model: Model { description, network: network_values }, history, validation })
    }

    /// Checkpoints of this very training in a folder.
    pub fn checkpoints(&self, folder: &std::path::Path, every: Every, examples: &Examples) -> Checkpoints {
        let settings = toml::to_string(&self.settings).unwrap_or_default();
        let [name, selection] = [self.method.name.to_owned(), format!("{:?}", self.selection)];
        let configuration = [name, selection, self.seed.value().to_string(), settings, examples.digest.clone()];
        Checkpoints::new(folder, every, configuration.join("\n"))
    }

    fn segmenter(&self, network: &Architecture, device: &Device) -> Segmenter {
        let seed = self.seed.derive("weights");
        let heads = if self.method.contrasts { network.decoders.len() } else { 0 };
        let contrast = |at: usize| {
            let seed = seed.derive(&format!("contrast {at}"));
            Contrast::new(network.classes, self.settings.patch_shape(), seed, device)
        };
        Segmenter { network: network.build(seed, device), contrasts: (0..heads).map(contrast).collect() }
    }
}

/// The best network so far by validation.
#[derive(Clone, Debug)]
struct Selected {
    record: Record,
    values: Vec<f32>,
}

/// What a checkpoint keeps of it beside the weights.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    step: usize,
    dice: f64,
    curve: Vec<(usize, f64)>,
}

struct Learning<'a> {
    training: &'a Training,
    examples: &'a Examples,
    trainer: Trainer<Segmenter>,
    device: Device,
    selected: Option<Selected>,
    progress: &'a dyn Progress,
}

/// `count` of `n` volumes for a step: all of them in turn, in an order of their own each time around.
fn in_turn(seed: Seed, n: usize, step: usize, count: usize) -> Vec<usize> {
    let plan = Plan::steps(n, 1, n, seed);
    let mut round = (usize::MAX, Vec::new());
    (step * count..(step + 1) * count)
        .map(|at| {
            if round.0 != at / n {
                round = (at / n, plan.permutation(at / n));
            }
            round.1[at % n]
        })
        .collect()
}

impl Learning<'_> {
    /// Patches with labels, and without.
    fn counts(&self) -> (usize, usize) {
        let settings = &self.training.settings;
        if self.training.method.uses_unlabelled && !self.examples.unlabelled.is_empty() {
            (settings.labelled_per_batch, settings.batch - settings.labelled_per_batch)
        } else {
            (settings.batch, 0)
        }
    }

    fn loss(&self, batch: &Batch<'_>) -> Tensor<1> {
        let settings = &self.training.settings;
        let (labelled, unlabelled) = self.counts();
        let seed = self.training.seed;
        let mut rng = batch.seed.derive("patches").rng();
        let (mut voxels, mut classes) = (Vec::new(), Vec::new());
        for at in in_turn(seed.derive("labelled"), self.examples.labelled.len(), batch.step, labelled) {
            self.examples.labelled[at].patch(settings.patch, &mut rng, &mut voxels, Some(&mut classes));
        }
        if unlabelled > 0 {
            for at in in_turn(seed.derive("unlabelled"), self.examples.unlabelled.len(), batch.step, unlabelled) {
                self.examples.unlabelled[at].patch(settings.patch, &mut rng, &mut voxels, None);
            }
        }
        let [depth, height, width] = settings.patch_shape();
        let shape = [labelled + unlabelled, 1, depth, height, width];
        let images = Tensor::from_data(TensorData::new(voxels.clone(), shape), &self.device);
        let teacher = self.training.method.has_teacher.then(|| self.trainer.finished().network);
        let rise = settings.ramp * settings.steps as f64;
        let step = Step {
            segmenter: self.trainer.model(),
            teacher: teacher.as_ref(),
            images,
            voxels: &voxels,
            classes: &classes,
            labelled,
            settings,
            risen: if rise > 0.0 { batch.step as f64 / rise } else { 1.0 },
            seed: batch.seed,
        };
        (self.training.method.loss)(&step)
    }

    /// Looks at the validation volumes and keeps the network if it is the best so far.
    fn validate(&mut self, steps: usize) {
        let network = self.trainer.finished().network;
        let dice = self.mean_dice(&network);
        self.progress.status(&format!("validation Dice {dice:.4}"));
        let mut curve = self.selected.as_ref().map(|selected| selected.record.curve.clone()).unwrap_or_default();
        curve.push((steps, dice));
        match &mut self.selected {
            Some(selected) if selected.record.dice >= dice => selected.record.curve = curve,
            _ => {
                let record = Record { step: steps, dice, curve };
                self.selected = Some(Selected { record, values: values(&network) });
            }
        }
    }

    /// Mean Dice over the validation volumes and the labels that are in prediction or reference.
    fn mean_dice(&self, network: &VNet) -> f64 {
        let settings = &self.training.settings;
        let sliding = Sliding::half(settings.patch);
        let mut all = Vec::new();
        for example in &self.examples.validation {
            let predicted = classes_of(network, &example.image, settings, &sliding);
            let reference = example.classes.as_deref().unwrap_or_default();
            let wide = |classes: &[u8]| classes.iter().map(|&class| u32::from(class)).collect::<Vec<u32>>();
            all.extend(overlaps(&wide(&predicted), &wide(reference)).values().filter_map(crate::Overlap::dice));
        }
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }
}

/// The name under which a checkpoint keeps the best network so far.
const SELECTED: &str = "selected";

impl Learner for Learning<'_> {
    fn learn(&mut self, batch: &Batch<'_>) -> NetworkResult<f64> {
        let loss = self.loss(batch);
        let value = self.trainer.step(&loss, batch)?;
        let (step, every) = (batch.step + 1, self.training.settings.validate_every);
        if self.training.selection == Selection::Validation && (step.is_multiple_of(every) || step == batch.steps) {
            self.validate(step);
        }
        Ok(value)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        let mut states = vec![("model", self.trainer.state())];
        if let Some(selected) = &self.selected {
            let optimizer = OptimizerState { steps: 0, first: Vec::new(), second: Vec::new() };
            let shapes = shapes(&self.trainer.model().network);
            states.push((SELECTED, TrainerState { shapes, values: selected.values.clone(), optimizer, average: None }));
        }
        states
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> Result<(), String> {
        for (name, state) in states {
            match name.as_str() {
                "model" => self.trainer.restore(state)?,
                SELECTED if state.shapes == shapes(&self.trainer.model().network) => {
                    self.selected = Some(Selected { record: Record::default(), values: state.values });
                }
                other => return Err(format!("it holds a network \"{other}\" that this training does not have")),
            }
        }
        Ok(())
    }

    fn memory(&self) -> Option<String> {
        (self.training.selection == Selection::Validation).then(|| {
            let record = self.selected.as_ref().map(|selected| selected.record.clone()).unwrap_or_default();
            serde_json::to_string(&record).unwrap_or_default()
        })
    }

    fn recall(&mut self, memory: &str) -> Result<(), String> {
        let record: Record =
            serde_json::from_str(memory).map_err(|error| format!("its record is damaged ({error})"))?;
        match &mut self.selected {
            Some(selected) => selected.record = record,
            None if record.curve.is_empty() => {}
            None => return Err("it lacks the network chosen so far".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_volume_has_its_turn() {
        let mut seen: Vec<usize> = (0..5).flat_map(|step| in_turn(Seed::new(1), 10, step, 2)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(in_turn(Seed::new(1), 1, 7, 3), [0, 0, 0]);
        assert_eq!(in_turn(Seed::new(1), 3, 4, 2), in_turn(Seed::new(1), 3, 4, 2));
    }
}
