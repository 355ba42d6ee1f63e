//! The stages behind a generator that is a release itself.

use standin_data::Seed;
use standin_generate::diffusion::OF_IMAGES;

use super::canaries::Audited;
use super::{Holdout, Maker, Planner, Run};
use crate::graph::UnknownInput;
use crate::stage::{StageId, Workload};
use crate::study::configuration::Generator;
use crate::study::stages::{AttackGenerator, Attacked, Draw, ReleasedRun, Repetition, ShadowRun};
use crate::summary::ReleaseKind;

impl Planner<'_> {
    /// A generator that is a release itself, with its shadows. It is as useful as the images drawn from it, and whoever has it
    /// can attack such images, too.
    pub(super) fn generator(
        &mut self,
        division: StageId,
        splits: &[StageId],
        name: &str,
        generator: &Generator,
    ) -> Result<ReleasedRun, UnknownInput> {
        let study = self.study;
        let attacked = self.holdout != Holdout::None;
        // The attacks with shadows are those on diffusion models of images.
        let shadowed = attacked && OF_IMAGES.contains(&generator.family.as_str());
        let shadows = (0..if shadowed { study.attacks.shadows } else { 0 })
            .map(|index| self.generator_shadow(division, index, generator))
            .collect::<Result<Vec<_>, _>>()?;
        let classifiers = study.utility_classifiers();
        let mut repetitions = Vec::new();
        for (&seed, &split) in study.seeds.iter().zip(splits) {
            let label = format!("seed {seed}");
            let run = Run { division, split, seed: Seed::new(seed), label: &label, attacked: false };
            let (generate, sample) = (self.generate(&run, generator)?, self.sample(&run, generator)?);
            let mut repetition = Repetition { generate: Some(generate), sample: Some(sample), ..Repetition::default() };
            self.utility(&run, Maker::Generator(generator), sample, &classifiers, &mut repetition)?;
            if attacked {
                repetition.attacks.push(self.graph.add(AttackGenerator {
                    division,
                    split,
                    generate,
                    shadows: shadows.clone(),
                    limit: study.attacks.generator_limit,
                    attacked: Attacked {
                        names: study.attacks.names.clone(),
                        seed: run.seed.derive("attack"),
                        delta: self.delta(Some(generator)),
                        label: format!("attacks on {name}, {label}"),
                    },
                    workload: self.asked(generator.family.clone(), shadows.len(), study.attacks.generator_limit),
                })?);
                self.attack(&run, Maker::Generator(generator), sample, &mut repetition)?;
            }
            repetitions.push(repetition);
        }
        Ok(ReleasedRun {
            name: name.to_owned(),
            kind: ReleaseKind::Generator,
            generator: Some((generator.name.clone(), generator.family.clone())),
            source: None,
            classifiers: classifiers.iter().map(|classifier| classifier.name.clone()).collect(),
            repetitions,
            gallery: None,
            scores: None,
            audits: self.audits(division, splits[0], name, Audited::Generator(generator))?,
        })
    }

    /// One shadow: the generator, retrained on another half of the pool; the same as behind a shadow classifier.
    fn generator_shadow(
        &mut self,
        division: StageId,
        index: usize,
        generator: &Generator,
    ) -> Result<ShadowRun, UnknownInput> {
        let (run_seed, label) = self.shadow_seed(index);
        let split = self.split(division, Draw::Shadow { index, seed: self.study.data.split_seed })?;
        let run = Run { division, split, seed: run_seed, label: &label, attacked: false };
        Ok(ShadowRun { split, model: self.generate(&run, generator)? })
    }

    /// What an attack has to do that asks a model and its shadows about members and non-members.
    pub(super) fn asked(&self, method: String, shadows: usize, limit: usize) -> Workload {
        let candidates = self.sizes.train.min(limit) + self.sizes.holdout.min(limit);
        Workload { method, size: (candidates * (1 + shadows)) as f64, held: (candidates * self.sizes.values) as f64 }
    }

    /// The seed of a shadow's trainings and its name for people.
    pub(super) fn shadow_seed(&self, index: usize) -> (Seed, String) {
        let label = format!("shadow {index}");
        (Seed::new(self.study.data.split_seed).derive(&label), label)
    }
}
