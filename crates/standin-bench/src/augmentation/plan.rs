//! From an augmentation study to its graph of stages.

use standin_data::{ImageSet, Seed};
use standin_generate::TranslationRequest;

use super::arms::Arm;
use super::configuration::{AugmentationStudy, MinorityGenerator, Scenario};
use super::images::AugmentationImages;
use super::stages::{
    Accept, Branch, Examine, Judge, Knowledge, MINORITY, Prepare, Question, Repetition, SIDE, Scarce, Summarise,
    TrainArm, Trained, Translate, TryStrengths, generator_settings,
};
use super::summary::Skipped;
use crate::graph::{Graph, UnknownInput};
use crate::stage::{StageId, Workload};
use crate::study::stages::{Generate, Take, training};
use crate::study::{Classifier, Generator, GeneratorSampling, PlanError};

/// A study's stages, and the one that gathers what they find.
pub struct AugmentationPlan {
    /// All stages.
    pub graph: Graph,
    /// The last one: its folder holds `augmentation.json`.
    pub summary: StageId,
    /// The accepted images of the minority of each scenario, with the first seed, by its name.
    pub accepted: Vec<(String, StageId)>,
}

/// Plans a study on imported images.
///
/// # Errors
/// If the images cannot be divided as the study says.
pub fn plan(study: &AugmentationStudy, images: AugmentationImages) -> Result<AugmentationPlan, PlanError> {
    let AugmentationImages { images, test, public, warnings } = images;
    let source = images.describe();
    let prepare = Prepare::new(images, test, study.data.clone());
    // Everything that can be wrong with the data is found before hours of training.
    let (pool, _, prepared) = prepare.divide()?;
    let majority: usize = prepared.pool.iter().map(|of_class| of_class[0]).sum();
    let majority = study.data.majority_limit.map_or(majority, |limit| limit.min(majority));
    let minority: Vec<usize> = prepared.pool.iter().map(|of_class| of_class[1]).collect();
    if let Some(epsilon) = study.generator.epsilon {
        study.privacy.target(epsilon).budget(majority)?;
    }
    let public = public.map(|public| public_sides(public, study)).transpose()?;
    let known_publicly = public.as_ref().is_some_and(|public| {
        public.column(SIDE).is_some_and(|column| column.values.iter().any(|value| value == MINORITY))
    });
    let mut graph = Graph::new();
    let expect = "every stage is added after those it reads, which only this function adds";
    let taken = public.map(|public| graph.add(Take::new(public, "public images")).expect(expect));
    let prepare = graph.add(prepare).expect(expect);
    let planner = Planner {
        study,
        graph,
        prepare,
        public: taken,
        known_publicly,
        majority,
        minority,
        values: pool.shape().volume(),
        classes: prepared.classes.len(),
    };
    Ok(planner.all(source, warnings).expect(expect))
}

/// Public images with their side as the real ones have it; those of neither stay without.
fn public_sides(public: ImageSet, study: &AugmentationStudy) -> Result<ImageSet, standin_data::Error> {
    let side = |value: &String| match (study.data.minority.contains(value), study.data.majority.contains(value)) {
        (true, _) => MINORITY.to_owned(),
        (false, true) => super::stages::MAJORITY.to_owned(),
        _ => String::new(),
    };
    let values = match public.column(&study.data.group) {
        Some(column) => column.values.iter().map(side).collect(),
        None => vec![String::new(); public.len()],
    };
    public.with_column(standin_data::Column { name: SIDE.into(), values })
}

struct Planner<'a> {
    study: &'a AugmentationStudy,
    graph: Graph,
    prepare: StageId,
    public: Option<StageId>,
    known_publicly: bool,
    /// Training images of the majority.
    majority: usize,
    /// Images of the minority of each class that there are to train on.
    minority: Vec<usize>,
    values: usize,
    classes: usize,
}

impl Planner<'_> {
    fn all(mut self, source: String, warnings: Vec<String>) -> Result<AugmentationPlan, UnknownInput> {
        let study = self.study;
        let judge = |planner: &mut Self, question: Question| {
            let backbone = study.backbones[0].clone();
            let images = planner.majority + planner.minority.iter().sum::<usize>();
            let workload = planner.of_classifier(&backbone, images);
            let seed = Seed::new(study.data.split_seed).derive("judge");
            let knowledge = Knowledge::Pool(planner.prepare);
            planner.graph.add(Judge { question, backbone, knowledge, seed, workload })
        };
        let judges = [judge(&mut self, Question::Class)?, judge(&mut self, Question::Side)?];
        let mut branches = Vec::new();
        let mut accepted = Vec::new();
        for scenario in &study.scenarios {
            let mut branch =
                Branch { name: scenario.name.clone(), skipped: self.skipped(scenario), ..Branch::default() };
            for &seed in &study.seeds {
                let repetition = self.repetition(scenario, seed, judges, &mut branch)?;
                if let Some(accept) = repetition.accept.filter(|_| branch.repetitions.is_empty()) {
                    accepted.push((scenario.name.clone(), accept));
                }
                branch.repetitions.push(repetition);
            }
            branches.push(branch);
        }
        let summary = Summarise { study: study.clone(), source, warnings, prepare: self.prepare, branches };
        let summary = self.graph.add(summary)?;
        Ok(AugmentationPlan { graph: self.graph, summary, accepted })
    }

    /// Real images of the minority that a scenario has to train on.
    fn few(&self, scenario: &Scenario) -> usize {
        self.minority.iter().map(|&there| scenario.per_class.unwrap_or(usize::MAX).min(there)).sum()
    }

    /// Whether a generator comes to know the minority.
    fn knows_minority(&self, scenario: &Scenario) -> bool {
        self.few(scenario) > 0 || self.known_publicly
    }

    fn is_run(&self, scenario: &Scenario, arm: Arm) -> bool {
        let has_images = !arm.is_generative() || self.knows_minority(scenario);
        has_images && !(arm.needs_minority() && self.few(scenario) == 0)
    }

    /// The arms that are left out in a scenario, and why.
    fn skipped(&self, scenario: &Scenario) -> Vec<Skipped> {
        let mut skipped = Vec::new();
        for &arm in &self.study.arms {
            if !self.is_run(scenario, arm) {
                let reason = match arm.is_generative() {
                    true => {
                        "there is no image of the minority that a generator could learn it from; public images with the same column of \
                             groups would do"
                    }
                    false => "without a real image of the minority it is the arm \"majority only\"",
                };
                skipped.push(Skipped { backbone: None, arm, reason: reason.into() });
                continue;
            }
            for backbone in &self.study.backbones {
                if arm.settings(backbone, &self.study.classical).is_none() {
                    let reason = format!("{} does not change images as it is trained", backbone.family());
                    skipped.push(Skipped { backbone: Some(backbone.name.clone()), arm, reason });
                }
            }
        }
        skipped
    }

    fn of_classifier(&self, backbone: &Classifier, images: usize) -> Workload {
        let settings = standin_classify::family(backbone.family())
            .and_then(|family| (family.build)(&backbone.settings))
            .map_or_else(|_| backbone.settings.clone(), |classifier| classifier.options());
        Workload {
            method: backbone.family().to_owned(),
            size: training(&settings, images, self.values),
            held: (images * self.values) as f64,
        }
    }

    fn repetition(
        &mut self,
        scenario: &Scenario,
        seed: u64,
        judges: [StageId; 2],
        branch: &mut Branch,
    ) -> Result<Repetition, UnknownInput> {
        let study = self.study;
        let label = format!("{}, seed {seed}", scenario.name);
        let seed = Seed::new(seed);
        let scarce = self.graph.add(Scarce {
            prepare: self.prepare,
            per_class: scenario.per_class,
            majority_limit: study.data.majority_limit,
            seed: seed.derive("draw"),
            label: label.clone(),
        })?;
        let few = self.few(scenario);
        let mut repetition = Repetition { scarce, accept: None, examine: None, trained: Vec::new() };
        let wanted = study.arms.iter().any(|arm| arm.is_generative()) && self.knows_minority(scenario);
        if wanted {
            let images = self.majority + few;
            let generate = self.graph.add(Generate {
                generator: self.generator(),
                privacy: study.privacy.clone(),
                seed: seed.derive("generate"),
                split: scarce,
                public: self.public,
                label: label.clone(),
                images: (images, self.values),
            })?;
            let per_class = study.translation.per_class.unwrap_or(self.majority.div_ceil(self.classes.max(1)));
            let request = study.translation.request(MINORITY, study.translation.strength);
            let translate = self.graph.add(Translate {
                generate,
                scarce,
                request: request.clone(),
                from_noise: study.translation.from_noise,
                per_class: study.translation.per_class,
                seed: seed.derive("translate"),
                label: format!("translate, {label}"),
                workload: self.of_translation(per_class * self.classes, study.translation.strength),
            })?;
            let mut choosers = [None; 2];
            if study.translation.accept {
                // Trained on what there is of both sides, so that it knows something of the minority.
                let arm = if few > 0 { Arm::Oversampled } else { Arm::MajorityOnly };
                let backbone = &study.backbones[0];
                choosers[0] = Some(self.arm(scenario, arm, backbone, &repetition, seed, &label)?);
                if few > 0 {
                    choosers[1] = Some(self.graph.add(Judge {
                        question: Question::Side,
                        backbone: backbone.clone(),
                        knowledge: Knowledge::Train(scarce),
                        seed: seed.derive("chooser"),
                        workload: self.of_classifier(backbone, 2 * self.majority),
                    })?);
                }
            }
            repetition.accept =
                Some(self.graph.add(Accept { translate, scarce, choosers, judges, label: label.clone() })?);
            repetition.examine = Some(self.graph.add(Examine {
                scarce,
                accept: repetition.accept.unwrap_or(translate),
                prepare: self.prepare,
                encoders: study.measures.encoders.clone(),
                names: study.measures.names.iter().map(|name| standin_measure::full_name(name)).collect(),
                limit: study.measures.limit,
                seed: seed.derive("examine"),
                label: label.clone(),
            })?);
            if branch.repetitions.is_empty() && !study.translation.from_noise && !study.translation.strengths.is_empty()
            {
                branch.trial = Some(self.trial(generate, scarce, judges, request, seed, &scenario.name)?);
            }
        }
        for &arm in &study.arms {
            if !self.is_run(scenario, arm) {
                continue;
            }
            for backbone in &study.backbones {
                let Some(settings) = arm.settings(backbone, &study.classical) else { continue };
                let adapted = Classifier { settings, ..backbone.clone() };
                let stage = self.arm(scenario, arm, &adapted, &repetition, seed, &label)?;
                repetition.trained.push(Trained { backbone: backbone.name.clone(), arm, stage });
            }
        }
        Ok(repetition)
    }

    fn arm(
        &mut self,
        scenario: &Scenario,
        arm: Arm,
        backbone: &Classifier,
        repetition: &Repetition,
        seed: Seed,
        label: &str,
    ) -> Result<StageId, UnknownInput> {
        let images = match arm {
            Arm::MajorityOnly | Arm::Synthetic => self.majority,
            Arm::Real => self.majority + self.few(scenario),
            _ => 2 * self.majority,
        };
        self.graph.add(TrainArm {
            arm,
            backbone: backbone.clone(),
            scarce: repetition.scarce,
            accept: repetition.accept.filter(|_| arm.is_generative()),
            prepare: self.prepare,
            seed: seed.derive("classify"),
            label: label.to_owned(),
            workload: self.of_classifier(backbone, images),
        })
    }

    fn trial(
        &mut self,
        generate: StageId,
        scarce: StageId,
        judges: [StageId; 2],
        request: TranslationRequest,
        seed: Seed,
        scenario: &str,
    ) -> Result<StageId, UnknownInput> {
        let translation = &self.study.translation;
        let images = translation.trial.per_class * self.classes;
        let strength = translation.strengths.iter().sum::<f64>();
        self.graph.add(TryStrengths {
            generate,
            scarce,
            judges,
            request: TranslationRequest { strength: 1.0, ..request },
            strengths: translation.strengths.clone(),
            per_class: translation.trial.per_class,
            shown: translation.trial.shown,
            seed: seed.derive("trial"),
            label: scenario.to_owned(),
            workload: self.of_translation(images, strength),
        })
    }

    fn of_translation(&self, images: usize, strength: f64) -> Workload {
        let MinorityGenerator { family, .. } = &self.study.generator;
        let size = images as f64 * self.values as f64 * strength * self.study.translation.steps.unwrap_or(18) as f64;
        Workload { method: family.clone(), size, held: (images * self.values) as f64 }
    }

    /// The study's generator as one that stages train.
    fn generator(&self) -> Generator {
        let MinorityGenerator { family, epsilon, public, settings } = &self.study.generator;
        Generator {
            name: family.clone(),
            family: family.clone(),
            epsilon: *epsilon,
            public: public.clone(),
            // The study's check has made them once.
            settings: generator_settings(&self.study.generator).unwrap_or_else(|_| settings.clone()),
            sampling: GeneratorSampling::default(),
            released: true,
        }
    }
}
