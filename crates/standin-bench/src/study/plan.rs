//! From a study to its graph of stages.

mod canaries;
mod classifiers;
mod generators;
mod images;
mod sampling;

use std::collections::HashMap;

use standin_data::{ImageSet, Labels, Seed};

use super::configuration::{Classifier, Generator, GivenImages, Side, Study};
use super::encoders::trainable;
use super::images::StudyImages;
use super::stages::{
    ChosenEncoder, Classify, Divide, Draw, Embed, FitEncoder, Images, Split, Summarise, Take, TrainingSet,
};
use crate::graph::{Graph, UnknownInput};
use crate::stage::{StageId, Workload};

/// A study's stages, and the one that gathers what they find.
pub struct Plan {
    /// All stages.
    pub graph: Graph,
    /// The last one: its folder holds `summary.json`.
    pub summary: StageId,
    /// For each release of images the stage whose folder holds its single images' scores and `copies.json`.
    pub scores: Vec<(String, StageId)>,
}

/// Why a study cannot be carried out on its images.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The images do not allow it.
    #[error(transparent)]
    Images(#[from] standin_data::Error),
    /// An encoder cannot be had.
    #[error(transparent)]
    Encoder(#[from] standin_encode::Error),
    /// There are too few of them for the guarantee that is asked for.
    #[error(transparent)]
    Privacy(#[from] standin_privacy::Error),
}

/// Plans a study on imported images.
///
/// # Errors
/// If the division does not work out: sizes that do not fit, unknown parts or columns, a holdout that overlaps train; or
/// if an encoder's file cannot be read.
pub fn plan(study: &Study, images: StudyImages) -> Result<Plan, PlanError> {
    let StudyImages { real, data, given, public, foreign } = images;
    let source = real
        .iter()
        .next()
        .map_or((String::new(), None), |(_, set)| (set.provenance().source.clone(), set.provenance().licence.clone()));
    let classified = !study.classifiers.is_empty();
    let holdout = match (&data.holdout, &data.test) {
        (Side::Count(0), _) => Holdout::None,
        (Side::Part(holdout), Side::Part(test)) if holdout == test => Holdout::IsTest,
        (Side::Part(_), _) => Holdout::Fixed,
        _ => Holdout::Drawn,
    };
    let drawn = if let Side::Count(count) = &data.holdout { *count } else { 0 };
    let divide = Divide::new(real, data, classified);
    // Everything that can be wrong with the data is found before hours of training.
    let (pool, test, holdout_from) = divide.divide()?;
    if classified {
        for set in [&pool, &test] {
            let labels = set.require_labels("a study with classifiers")?;
            if classes_present(labels) < 2 {
                let found = format!("{} has images of one class only", set.describe());
                return Err(
                    standin_data::Error::inconsistent(found, "classification needs at least two classes").into()
                );
            }
        }
        for column in &study.utility.groups {
            if test.column(column).is_none() {
                let columns = test.columns().iter().map(|column| column.name.as_str());
                return Err(standin_data::Error::unknown("column of the test images", column, columns).into());
            }
        }
    }
    let train = holdout_from.unwrap_or(pool.len() - drawn);
    for epsilon in study.generators.iter().filter_map(|generator| generator.epsilon) {
        study.privacy.target(epsilon).budget(train)?;
    }
    for canaries in &study.canaries {
        if canaries.count > train {
            let found = format!("canaries.count = {} of {train} training images", canaries.count);
            return Err(standin_data::Error::inconsistent(found, "give no more canaries than training images").into());
        }
    }
    let sizes = Sizes { train, holdout: pool.len() - train, test: test.len(), values: pool.shape().volume() };
    drop((pool, test));
    let encoders = study.measures.encoders.iter().chain(&study.attacks.encoders);
    let mut weights = HashMap::new();
    for name in encoders.filter(|name| trainable(name).is_none()) {
        weights.extend(standin_encode::encoder(name)?.weights().map(|digest| (name.clone(), digest)));
    }
    let mut graph = Graph::new();
    let mut taken = HashMap::new();
    for (generator, public) in study.generators.iter().zip(public) {
        let Some(public) = public else { continue };
        let stage = graph.add(Take::new(public, &format!("public images for {}", generator.name)));
        taken.insert(generator.name.clone(), stage.expect("a stage that reads no other can be added"));
    }
    let foreign = foreign.into_iter().map(|set| {
        set.map(|set| graph.add(Take::new(set, "canaries from elsewhere")).expect("it reads no other stage"))
    });
    let foreign = foreign.collect();
    let mut planner = Planner { study, graph, holdout, sizes, weights, public: taken, foreign, scores: Vec::new() };
    let summary = planner
        .all(divide, source, given)
        .expect("every stage is added after those it reads, which only this function adds");
    Ok(Plan { graph: planner.graph, summary, scores: planner.scores })
}

fn classes_present(labels: &Labels) -> usize {
    labels.counts().into_iter().filter(|&count| count > 0).count()
}

struct Planner<'a> {
    study: &'a Study,
    graph: Graph,
    holdout: Holdout,
    sizes: Sizes,
    /// Digests of the weights of encoders in files.
    weights: HashMap<String, String>,
    /// The stage that took in the public images of a generator, by its name.
    public: HashMap<String, StageId>,
    /// The stage that took in the images that are canaries, for each kind of canary.
    foreign: Vec<Option<StageId>>,
    scores: Vec<(String, StageId)>,
}

/// What is known of the real images before any stage has run.
struct Sizes {
    /// Training images.
    train: usize,
    /// Holdout images.
    holdout: usize,
    /// Test images.
    test: usize,
    /// Values of each image.
    values: usize,
}

/// Where holdout images come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holdout {
    /// There are none.
    None,
    /// Every repetition draws them.
    Drawn,
    /// They are given once for all.
    Fixed,
    /// They are given, and the test images too.
    IsTest,
}

/// Who made a set of synthetic images.
#[derive(Clone, Copy)]
enum Maker<'a> {
    /// A generator of the study.
    Generator(&'a Generator),
    /// Another tool; the stage that took the images in.
    Other { images: &'a GivenImages, take: StageId, size: usize, classified: bool },
}

/// The training pipeline of one repetition or shadow.
struct Run<'a> {
    division: StageId,
    split: StageId,
    seed: Seed,
    label: &'a str,
    /// Whether the classifiers' logits on the pool are wanted.
    attacked: bool,
}

impl<'a> Maker<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Generator(generator) => &generator.name,
            Self::Other { images, .. } => &images.name,
        }
    }

    /// Number of images.
    fn size(self, study: &Study, sizes: &Sizes) -> usize {
        match self {
            Self::Generator(generator) => study.released_by(generator, sizes.train),
            Self::Other { size, .. } => size,
        }
    }
}

impl Planner<'_> {
    fn all(
        &mut self,
        divide: Divide,
        source: (String, Option<String>),
        given: Vec<ImageSet>,
    ) -> Result<StageId, UnknownInput> {
        let study = self.study;
        let division = self.graph.add(divide)?;
        let splits = study
            .seeds
            .iter()
            .map(|&seed| self.split(division, Draw::Repetition { seed, train: self.sizes.train }))
            .collect::<Result<Vec<_>, _>>()?;

        let mut releases = Vec::new();
        for generator in study.generators.iter().filter(|generator| generator.released) {
            releases.push(self.images(division, &splits, Maker::Generator(generator))?);
        }
        for (images, set) in study.images.iter().zip(given) {
            // Labels of one class alone teach a classifier nothing.
            let classified = set.labels().is_some_and(|labels| classes_present(labels) > 1);
            let size = set.len();
            let take = self.graph.add(Take::new(set, &images.name))?;
            releases.push(self.images(division, &splits, Maker::Other { images, take, size, classified })?);
        }
        for released in &study.released_classifiers {
            // The study's check has found both names.
            let Some(classifier) = study.classifier(&released.classifier) else { continue };
            let generator = released.generator.as_deref().and_then(|name| study.generator(name));
            releases.push(self.classifier(division, &splits, released, classifier, generator)?);
        }
        for released in &study.released_generators {
            // The study's check has found it.
            let Some(generator) = study.generator(&released.generator) else { continue };
            releases.push(self.generator(division, &splits, &released.name, generator)?);
        }
        // What is found does not depend on where it is computed.
        let study = Study { slurm: None, ..study.clone() };
        self.graph.add(Summarise { study, source, division, split: splits[0], releases })
    }

    fn split(&mut self, division: StageId, draw: Draw) -> Result<StageId, UnknownInput> {
        self.graph.add(Split { division, draw, group: self.study.data.group.clone() })
    }

    fn classify(
        &mut self,
        run: &Run<'_>,
        classifier: &Classifier,
        training_set: TrainingSet,
        images: usize,
        trained_on: &str,
    ) -> Result<StageId, UnknownInput> {
        self.graph.add(Classify {
            classifier: classifier.clone(),
            training_set,
            division: run.division,
            attacked: run.attacked,
            seed: run.seed.derive("classify"),
            label: format!("{trained_on}, {}", run.label),
            images: (images, self.sizes.values),
        })
    }

    /// Whether a classifier trained on this generator's images, or on the private ones, is released itself.
    fn is_released(&self, classifier: &Classifier, generator: Option<&Generator>) -> bool {
        let generator = generator.map(|generator| generator.name.as_str());
        self.study
            .released_classifiers
            .iter()
            .any(|released| released.classifier == classifier.name && released.generator.as_deref() == generator)
    }

    fn real(&mut self, run: &Run<'_>, classifier: &Classifier) -> Result<StageId, UnknownInput> {
        let run = Run { attacked: self.is_released(classifier, None), ..*run };
        self.classify(&run, classifier, TrainingSet::Real(run.split), self.sizes.train, "real")
    }

    fn synthetic(
        &mut self,
        run: &Run<'_>,
        classifier: &Classifier,
        maker: Maker<'_>,
        sample: StageId,
    ) -> Result<StageId, UnknownInput> {
        let attacked = matches!(maker, Maker::Generator(generator) if self.is_released(classifier, Some(generator)));
        let run = Run { attacked, ..*run };
        let images = maker.size(self.study, &self.sizes);
        self.classify(&run, classifier, TrainingSet::Synthetic(sample), images, maker.name())
    }

    /// An encoder ready to use, fitted by a stage of its own if it has to be: on train and holdout together, so that it
    /// knows neither side better.
    fn encoder(&mut self, run: &Run<'_>, name: &str) -> Result<ChosenEncoder, UnknownInput> {
        let seed = Seed::new(self.study.data.split_seed).derive("encoder");
        let fitted = match trainable(name) {
            None => None,
            Some(family) => Some(self.graph.add(FitEncoder { division: run.division, family, seed })?),
        };
        let weights = self.weights.get(name).cloned();
        Ok(ChosenEncoder { name: name.to_owned(), weights, fitted })
    }

    fn embed(
        &mut self,
        images: Images,
        of: usize,
        encoder: &ChosenEncoder,
        limit: usize,
        label: String,
    ) -> Result<StageId, UnknownInput> {
        // A limit that limits nothing is none, so that the stage is the same as without it.
        let limit = if of <= limit { usize::MAX } else { limit };
        let size = (of.min(limit) * self.sizes.values) as f64;
        let workload = Workload { method: encoder.name.clone(), size, held: size };
        // One draw for all repetitions: what differs between them is the split and the training.
        let seed = Seed::new(self.study.data.split_seed).derive("embed");
        self.graph.add(Embed { images, encoder: encoder.clone(), limit, seed, label, workload })
    }

    /// δ at which attacks state ε lower bounds. Exchanging one training image for another takes two steps of adding or
    /// removing one, which an (ε, δ) guarantee bounds with (2ε, (1 + e^ε) δ) (Dwork & Roth 2014, theorem 2.2).
    fn delta(&self, generator: Option<&Generator>) -> f64 {
        // The study's check has asked the same of every private generator; ε does not matter here.
        self.study.privacy.target(1.0).budget(self.sizes.train).map_or(0.0, |budget| {
            let steps = generator.and_then(|generator| generator.epsilon).map_or(1.0, |epsilon| 1.0 + epsilon.exp());
            // Where δ reaches 1 the guarantee excludes nothing, and no attack can contradict it.
            (steps * budget.delta).min(1.0 - 1e-9)
        })
    }
}
