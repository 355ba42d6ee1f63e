//! From a study to its graph of stages.

use standin_data::{Parts, Seed};

use super::configuration::{Classifier, Generator, Study};
use super::stages::{
    AttackClassifier, AttackImages, Attacked, Classify, Divide, Draw, DrawGallery, Embed, Generate, Images, Measure,
    ReleasedRun, Repetition, Sample, ShadowRun, Split, Summarise, TrainingSet,
};
use crate::graph::{Graph, UnknownInput};
use crate::stage::StageId;
use crate::summary::ReleaseKind;

/// A study's stages, and the one that gathers what they find.
pub struct Plan {
    /// All stages.
    pub graph: Graph,
    /// The last one: its folder holds `summary.json`.
    pub summary: StageId,
}

/// Plans a study on imported images.
///
/// # Errors
/// If the division does not work out: sizes that do not fit, unknown parts or columns, a holdout that overlaps train.
pub fn plan(study: &Study, parts: Parts) -> Result<Plan, standin_data::Error> {
    let (source, licence) = parts
        .iter()
        .next()
        .map_or((String::new(), None), |(_, set)| (set.provenance().source.clone(), set.provenance().licence.clone()));
    let divide = Divide::new(parts, study.data.clone());
    // Everything that can be wrong with the data is found before hours of training.
    let (pool, test, _) = divide.divide()?;
    for set in [&pool, &test] {
        let labels = set.require_labels("a study")?;
        let present = labels.by_class().iter().filter(|members| !members.is_empty()).count();
        if present < 2 {
            return Err(standin_data::Error::inconsistent(
                format!("{} has images of {present} class only", set.describe()),
                "classification needs at least two classes",
            ));
        }
    }
    drop((pool, test));
    let mut planner = Planner { study, graph: Graph::new() };
    let summary = planner
        .all(divide, (source, licence))
        .expect("every stage is added after those it reads, which only this function adds");
    Ok(Plan { graph: planner.graph, summary })
}

struct Planner<'a> {
    study: &'a Study,
    graph: Graph,
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

impl Planner<'_> {
    fn all(&mut self, divide: Divide, source: (String, Option<String>)) -> Result<StageId, UnknownInput> {
        let study = self.study;
        let division = self.graph.add(divide)?;
        let splits = study
            .seeds
            .iter()
            .map(|&seed| self.split(division, Draw::Repetition { seed, train: study.data.train }))
            .collect::<Result<Vec<_>, _>>()?;

        let mut releases = Vec::new();
        for generator in &study.generators {
            releases.push(self.images(division, &splits, generator)?);
        }
        for released in &study.released_classifiers {
            // The study's check has found both names.
            let Some(classifier) = study.classifier(&released.classifier) else { continue };
            let generator = released.generator.as_deref().and_then(|name| study.generator(name));
            releases.push(self.classifier(division, &splits, &released.name, classifier, generator)?);
        }
        self.graph.add(Summarise { study: study.clone(), source, division, split: splits[0], releases })
    }

    fn split(&mut self, division: StageId, draw: Draw) -> Result<StageId, UnknownInput> {
        self.graph.add(Split { division, draw, group: self.study.data.group.clone() })
    }

    fn sample(&mut self, run: &Run<'_>, generator: &Generator) -> Result<StageId, UnknownInput> {
        let generate = self.graph.add(Generate {
            generator: generator.clone(),
            privacy: self.study.privacy.clone(),
            seed: run.seed.derive("generate"),
            split: run.split,
            label: run.label.to_owned(),
        })?;
        self.graph.add(Sample {
            generate,
            count: self.study.sampling.count.unwrap_or(self.study.data.train),
            seed: run.seed.derive("sample"),
            label: format!("sample of {}, {}", generator.name, run.label),
        })
    }

    fn classify(
        &mut self,
        run: &Run<'_>,
        classifier: &Classifier,
        training_set: TrainingSet,
        trained_on: &str,
    ) -> Result<StageId, UnknownInput> {
        self.graph.add(Classify {
            classifier: classifier.clone(),
            training_set,
            division: run.division,
            attacked: run.attacked,
            seed: run.seed.derive("classify"),
            label: format!("{trained_on}, {}", run.label),
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
        self.classify(&run, classifier, TrainingSet::Real(run.split), "real")
    }

    fn synthetic(
        &mut self,
        run: &Run<'_>,
        classifier: &Classifier,
        generator: &Generator,
        sample: StageId,
    ) -> Result<StageId, UnknownInput> {
        let run = Run { attacked: self.is_released(classifier, Some(generator)), ..*run };
        self.classify(&run, classifier, TrainingSet::Synthetic(sample), &generator.name)
    }

    fn embed(&mut self, images: Images, encoder: &str, limit: usize, label: String) -> Result<StageId, UnknownInput> {
        // One draw for all repetitions: what differs between them is the split and the training.
        let seed = Seed::new(self.study.data.split_seed).derive("embed");
        self.graph.add(Embed { images, encoder: encoder.to_owned(), limit, seed, label })
    }

    /// δ at which attacks state ε lower bounds. Exchanging one training image for another takes two steps of adding or
    /// removing one, which an (ε, δ) guarantee bounds with (2ε, (1 + e^ε) δ) (Dwork & Roth 2014, theorem 2.2).
    fn delta(&self, generator: Option<&Generator>) -> f64 {
        // The study's check has asked the same of every private generator; ε does not matter here.
        self.study.privacy.target(1.0).budget(self.study.data.train).map_or(0.0, |budget| {
            let steps = generator.and_then(|generator| generator.epsilon).map_or(1.0, |epsilon| 1.0 + epsilon.exp());
            // Where δ reaches 1 the guarantee excludes nothing, and no attack can contradict it.
            (steps * budget.delta).min(1.0 - 1e-9)
        })
    }

    fn images(
        &mut self,
        division: StageId,
        splits: &[StageId],
        generator: &Generator,
    ) -> Result<ReleasedRun, UnknownInput> {
        let study = self.study;
        let mut repetitions = Vec::new();
        let mut gallery = None;
        for (&seed, &split) in study.seeds.iter().zip(splits) {
            let label = format!("seed {seed}");
            let run = Run { division, split, seed: Seed::new(seed), label: &label, attacked: false };
            let sample = self.sample(&run, generator)?;
            let mut repetition =
                Repetition { classify: vec![], real: vec![], measures: vec![], attacks: vec![], sample: Some(sample) };
            for classifier in &study.classifiers {
                repetition.classify.push(self.synthetic(&run, classifier, generator, sample)?);
                repetition.real.push(self.real(&run, classifier)?);
            }
            let side = |stage, folder| Images { stage, folder };
            for encoder in &study.measures.encoders {
                let limit = study.measures.limit;
                let train = self.embed(side(split, "train"), encoder, limit, format!("train, {label}"))?;
                let holdout = self.embed(side(split, "holdout"), encoder, limit, format!("holdout, {label}"))?;
                let synthetic =
                    self.embed(side(sample, "images"), encoder, limit, format!("{}, {label}", generator.name))?;
                repetition.measures.push(self.graph.add(Measure {
                    train,
                    holdout,
                    synthetic,
                    names: study.measures.names.clone(),
                    seed: run.seed.derive("measure"),
                    label: format!("measures of {} on {encoder}, {label}", generator.name),
                })?);
                if gallery.is_none() {
                    gallery = Some(self.graph.add(DrawGallery {
                        sample,
                        split,
                        train,
                        holdout,
                        synthetic,
                        near_copies: study.measures.near_copies,
                        label: format!("gallery of {}", generator.name),
                    })?);
                }
            }
            for encoder in &study.attacks.encoders {
                let limit = study.attacks.limit;
                let whole = usize::MAX;
                let train = self.embed(side(split, "train"), encoder, limit, format!("members, {label}"))?;
                let holdout = self.embed(side(split, "holdout"), encoder, limit, format!("non-members, {label}"))?;
                let reference = self.embed(side(division, "test"), encoder, whole, "reference".into())?;
                let synthetic =
                    self.embed(side(sample, "images"), encoder, whole, format!("{}, {label}", generator.name))?;
                repetition.attacks.push(self.graph.add(AttackImages {
                    train,
                    holdout,
                    reference,
                    synthetic,
                    attacked: Attacked {
                        names: study.attacks.names.clone(),
                        seed: run.seed.derive("attack"),
                        delta: self.delta(Some(generator)),
                        label: format!("attacks on {} through {encoder}, {label}", generator.name),
                    },
                })?);
            }
            repetitions.push(repetition);
        }
        Ok(ReleasedRun {
            name: generator.name.clone(),
            kind: ReleaseKind::Images,
            generator: Some((generator.name.clone(), generator.family.clone())),
            classifiers: study.classifiers.iter().map(|classifier| classifier.name.clone()).collect(),
            repetitions,
            gallery,
        })
    }

    fn classifier(
        &mut self,
        division: StageId,
        splits: &[StageId],
        name: &str,
        classifier: &Classifier,
        generator: Option<&Generator>,
    ) -> Result<ReleasedRun, UnknownInput> {
        let study = self.study;
        let shadows = (0..study.attacks.shadows)
            .map(|index| self.shadow(division, index, classifier, generator))
            .collect::<Result<Vec<_>, _>>()?;
        let mut repetitions = Vec::new();
        for (&seed, &split) in study.seeds.iter().zip(splits) {
            let label = format!("seed {seed}");
            let run = Run { division, split, seed: Seed::new(seed), label: &label, attacked: true };
            let real = self.real(&run, classifier)?;
            let (classify, real, sample) = match generator {
                None => (real, vec![], None),
                Some(generator) => {
                    let sample = self.sample(&run, generator)?;
                    (self.synthetic(&run, classifier, generator, sample)?, vec![real], Some(sample))
                }
            };
            let attack = self.graph.add(AttackClassifier {
                division,
                split,
                classify,
                shadows: shadows.clone(),
                limit: study.attacks.limit,
                attacked: Attacked {
                    names: study.attacks.names.clone(),
                    seed: run.seed.derive("attack"),
                    delta: self.delta(generator),
                    label: format!("attacks on {name}, {label}"),
                },
            })?;
            repetitions.push(Repetition {
                classify: vec![classify],
                real,
                measures: vec![],
                attacks: vec![attack],
                sample,
            });
        }
        Ok(ReleasedRun {
            name: name.to_owned(),
            kind: if generator.is_some() { ReleaseKind::ClassifierOnSynthetic } else { ReleaseKind::ClassifierOnReal },
            generator: generator.map(|generator| (generator.name.clone(), generator.family.clone())),
            classifiers: vec![classifier.name.clone()],
            repetitions,
            gallery: None,
        })
    }

    /// One shadow: the whole pipeline that led to the classifier, retrained on another half of the pool.
    fn shadow(
        &mut self,
        division: StageId,
        index: usize,
        classifier: &Classifier,
        generator: Option<&Generator>,
    ) -> Result<ShadowRun, UnknownInput> {
        let root = self.study.data.split_seed;
        let split = self.split(division, Draw::Shadow { index, seed: root })?;
        let label = format!("shadow {index}");
        let seed = Seed::new(root).derive(&label);
        let run = Run { division, split, seed, label: &label, attacked: true };
        let classify = match generator {
            None => self.real(&run, classifier)?,
            Some(generator) => {
                let sample = self.sample(&run, generator)?;
                self.synthetic(&run, classifier, generator, sample)?
            }
        };
        Ok(ShadowRun { split, classify })
    }
}
