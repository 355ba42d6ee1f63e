//! The stages behind a classifier that is a release itself.

use standin_data::Seed;

use super::canaries::Audited;
use super::{Maker, Planner, Run};
use crate::graph::UnknownInput;
use crate::stage::StageId;
use crate::study::configuration::{Classifier, Generator, ReleasedClassifier};
use crate::study::stages::{AttackClassifier, Attacked, Draw, ReleasedRun, Repetition, ShadowRun};
use crate::summary::ReleaseKind;

impl Planner<'_> {
    /// A classifier that is a release itself, with its shadows.
    pub(super) fn classifier(
        &mut self,
        division: StageId,
        splits: &[StageId],
        released: &ReleasedClassifier,
        classifier: &Classifier,
        generator: Option<&Generator>,
    ) -> Result<ReleasedRun, UnknownInput> {
        let (study, name) = (self.study, released.name.as_str());
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
                    (self.synthetic(&run, classifier, Maker::Generator(generator), sample)?, vec![real], Some(sample))
                }
            };
            let attack = self.graph.add(AttackClassifier {
                division,
                split,
                classify,
                on_private: generator.is_none(),
                shadows: shadows.clone(),
                limit: study.attacks.limit,
                outputs: released.outputs,
                attacked: Attacked {
                    names: study.attacks.names.clone(),
                    seed: run.seed.derive("attack"),
                    delta: self.delta(generator),
                    label: format!("attacks on {name}, {label}"),
                },
                workload: self.asked(String::new(), shadows.len(), study.attacks.limit),
            })?;
            repetitions.push(Repetition {
                classify: vec![classify],
                real,
                attacks: vec![attack],
                sample,
                ..Repetition::default()
            });
        }
        Ok(ReleasedRun {
            name: name.to_owned(),
            kind: if generator.is_some() { ReleaseKind::ClassifierOnSynthetic } else { ReleaseKind::ClassifierOnReal },
            generator: generator.map(|generator| (generator.name.clone(), generator.family.clone())),
            source: None,
            classifiers: vec![classifier.name.clone()],
            repetitions,
            gallery: None,
            scores: None,
            audits: self.audits(
                division,
                splits[0],
                name,
                Audited::Classifier(classifier, generator, released.outputs),
            )?,
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
        let split = self.split(division, Draw::Shadow { index, seed: self.study.data.split_seed })?;
        let (seed, label) = self.shadow_seed(index);
        let run = Run { division, split, seed, label: &label, attacked: true };
        let classify = match generator {
            None => self.real(&run, classifier)?,
            Some(generator) => {
                let sample = self.sample(&run, generator)?;
                self.synthetic(&run, classifier, Maker::Generator(generator), sample)?
            }
        };
        Ok(ShadowRun { split, model: classify })
    }
}
