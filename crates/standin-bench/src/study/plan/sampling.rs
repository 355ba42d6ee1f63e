//! The stages from a generator to the images it releases.

use super::{Planner, Run};
use crate::graph::UnknownInput;
use crate::stage::StageId;
use crate::study::configuration::Generator;
use crate::study::stages::{AnswerOnSample, Filter, Generate, Images, Refine, Sample, settings};

impl Planner<'_> {
    /// Trains a generator.
    pub(super) fn generate(&mut self, run: &Run<'_>, generator: &Generator) -> Result<StageId, UnknownInput> {
        self.graph.add(Generate {
            generator: generator.clone(),
            privacy: self.study.privacy.clone(),
            seed: run.seed.derive("generate"),
            split: run.split,
            public: self.public.get(&generator.name).copied(),
            label: run.label.to_owned(),
            images: (self.sizes.train, self.sizes.values),
        })
    }

    /// Trains a generator and draws what it releases.
    pub(super) fn sample(&mut self, run: &Run<'_>, generator: &Generator) -> Result<StageId, UnknownInput> {
        let generate = self.generate(run, generator)?;
        let sampling = &generator.sampling;
        let count = self.study.released_by(generator, self.sizes.train);
        let filtered = sampling.looks_at_private_images();
        let drawn = if filtered { (count as f64 * sampling.surplus).ceil() as usize } else { count };
        let sample = self.graph.add(Sample {
            generate,
            request: sampling.request(drawn),
            seed: run.seed.derive("sample"),
            label: format!("sample of {}, {}", generator.name, run.label),
            drawn_by: (generator.family.clone(), settings(generator), self.sizes.values),
        })?;
        if !filtered && sampling.perturbation == 0.0 {
            return Ok(sample);
        }
        let filters = self.filters(run, generator, sample)?;
        self.graph.add(Refine {
            sample,
            filters,
            count,
            perturbation: sampling.perturbation,
            seed: run.seed.derive("perturb"),
            label: format!("images released by {}, {}", generator.name, run.label),
        })
    }

    /// The filters of a sample with the stages that tell.
    fn filters(&mut self, run: &Run<'_>, generator: &Generator, sample: StageId) -> Result<Vec<Filter>, UnknownInput> {
        let study = self.study;
        let sampling = &generator.sampling;
        let mut filters = Vec::new();
        if let Some(confidence) = &sampling.confidence {
            let named = confidence.classifier.as_deref().and_then(|name| study.classifier(name));
            // The study's check has found the name, and that there is a classifier.
            if let Some(classifier) = named.or(study.classifiers.first()) {
                let classify = self.real(run, classifier)?;
                let label = format!("{} on the sample of {}, {}", classifier.name, generator.name, run.label);
                let answers = self.graph.add(AnswerOnSample { classify, sample, label })?;
                filters.push(Filter::Confident { answers, at_least: confidence.at_least });
            }
        }
        if let Some(likeness) = &sampling.likeness {
            let [train, sample] = self.embedded(run, generator, sample, likeness.encoder.as_deref())?;
            filters.push(Filter::Lifelike { train, sample, at_least: likeness.at_least });
        }
        if let Some(no_copies) = &sampling.no_copies {
            let encoder = no_copies.encoder.as_deref();
            let [train, embedded] = self.embedded(run, generator, sample, encoder)?;
            let looking = self.looking(encoder).to_owned();
            let encoder = self.encoder(run, &looking)?;
            let images = Images { stage: run.split, folder: "holdout" };
            let holdout =
                self.embed(images, self.sizes.holdout, &encoder, usize::MAX, format!("holdout, {}", run.label))?;
            let false_match_rate = no_copies.false_match_rate;
            filters.push(Filter::NoCopy { train, holdout, sample: embedded, false_match_rate });
        }
        Ok(filters)
    }

    /// The encoder that a filter looks through.
    fn looking<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        // The study's check has found that there is one.
        named.or(self.study.measures.encoders.first().map(String::as_str)).unwrap_or("pixels")
    }

    /// All private images and all of a sample, embedded.
    fn embedded(
        &mut self,
        run: &Run<'_>,
        generator: &Generator,
        sample: StageId,
        named: Option<&str>,
    ) -> Result<[StageId; 2], UnknownInput> {
        let name = self.looking(named).to_owned();
        let encoder = self.encoder(run, &name)?;
        let whole = usize::MAX;
        let train = Images { stage: run.split, folder: "train" };
        let train = self.embed(train, self.sizes.train, &encoder, whole, format!("train, {}", run.label))?;
        let images = Images { stage: sample, folder: "images" };
        let label = format!("sample of {}, {}", generator.name, run.label);
        let drawn =
            (self.study.released_by(generator, self.sizes.train) as f64 * generator.sampling.surplus).ceil() as usize;
        Ok([train, self.embed(images, drawn, &encoder, whole, label)?])
    }
}
