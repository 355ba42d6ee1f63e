//! The pipelines that are trained with canaries, and the audits of what they release.

use standin_classify::Outputs;
use standin_data::Seed;

use super::{Planner, Run};
use crate::graph::UnknownInput;
use crate::stage::StageId;
use crate::study::configuration::{Classifier, Generator};
use crate::study::stages::{AuditCanaries, CanariedRun, Ending, Plant, TrainingSet};

/// What is released in the end.
#[derive(Clone, Copy)]
pub(super) enum Audited<'a> {
    /// Images of a generator.
    Images(&'a Generator),
    /// A classifier trained on images of a generator, or on the private ones, and what it answers with.
    Classifier(&'a Classifier, Option<&'a Generator>, Outputs),
    /// A generator.
    Generator(&'a Generator),
}

impl Planner<'_> {
    /// The audits of one release, one for each kind of canary: its pipeline is trained again in every run. Runs of releases that have a
    /// generator or a classifier in common share its training.
    pub(super) fn audits(
        &mut self,
        division: StageId,
        split: StageId,
        name: &str,
        audited: Audited<'_>,
    ) -> Result<Vec<StageId>, UnknownInput> {
        let study = self.study;
        let seed = Seed::new(study.data.split_seed).derive("canaries");
        let mut audits = Vec::new();
        for (position, canaries) in study.canaries.iter().enumerate() {
            if !canaries.releases.is_empty() && !canaries.releases.iter().any(|release| release == name) {
                continue;
            }
            let mut runs = Vec::new();
            for run in 0..canaries.runs {
                let plant = self.graph.add(Plant {
                    split,
                    kind: canaries.kind,
                    foreign: self.foreign[position],
                    count: canaries.count,
                    seed,
                    run,
                })?;
                let label = format!("{} canaries, run {run}", canaries.kind);
                let seed = seed.derive(&format!("run {run}"));
                let run = Run { division, split: plant, seed, label: &label, attacked: false };
                runs.push(CanariedRun { plant, ending: self.ending(&run, audited)? });
            }
            audits.push(self.graph.add(AuditCanaries {
                runs,
                kind: canaries.kind,
                delta: self.delta(None),
                seed: seed.derive("audit"),
                label: format!("{} canaries in {name}", canaries.kind),
            })?);
        }
        Ok(audits)
    }

    fn ending(&mut self, run: &Run<'_>, audited: Audited<'_>) -> Result<Ending, UnknownInput> {
        Ok(match audited {
            Audited::Images(generator) => Ending::Images(self.sample(run, generator)?),
            Audited::Generator(generator) => Ending::Generator(self.generate(run, generator)?),
            Audited::Classifier(classifier, None, outputs) => {
                let classify =
                    self.classify(run, classifier, TrainingSet::Real(run.split), self.sizes.train, "real")?;
                Ending::Classifier { classify, sample: None, outputs }
            }
            Audited::Classifier(classifier, Some(generator), outputs) => {
                let sample = self.sample(run, generator)?;
                let images = self.study.released_by(generator, self.sizes.train);
                let classify =
                    self.classify(run, classifier, TrainingSet::Synthetic(sample), images, &generator.name)?;
                Ending::Classifier { classify, sample: Some(sample), outputs }
            }
        })
    }
}
