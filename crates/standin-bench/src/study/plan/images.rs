//! The stages behind a release of images.

use standin_attack::{ATTACKS, Need};
use standin_data::Seed;

use super::canaries::Audited;
use super::{Holdout, Maker, Planner, Run, Sizes};
use crate::graph::UnknownInput;
use crate::stage::{StageId, Workload};
use crate::study::configuration::Classifier;
use crate::study::stages::{
    AnswerOnSample, AttackImages, Attacked, DrawGallery, Embedded, Images, Measure, MeasureImages, ReleasedRun,
    Repetition, ScoreImages, TrainingSet,
};
use crate::summary::ReleaseKind;

impl Planner<'_> {
    /// A release of images: sampled by a generator of the study, or made elsewhere.
    pub(super) fn images(
        &mut self,
        division: StageId,
        splits: &[StageId],
        maker: Maker<'_>,
    ) -> Result<ReleasedRun, UnknownInput> {
        let study = self.study;
        let name = maker.name();
        let classified = match maker {
            Maker::Generator(_) => true,
            Maker::Other { classified, .. } => classified,
        };
        let classifiers = if classified { study.utility_classifiers() } else { Vec::new() };
        let mut repetitions = Vec::new();
        let (mut gallery, mut scores) = (None, None);
        for (&seed, &split) in study.seeds.iter().zip(splits) {
            let label = format!("seed {seed}");
            let run = Run { division, split, seed: Seed::new(seed), label: &label, attacked: false };
            let sample = match maker {
                Maker::Generator(generator) => self.sample(&run, generator)?,
                Maker::Other { take, .. } => take,
            };
            let mut repetition = Repetition { sample: Some(sample), ..Repetition::default() };
            self.utility(&run, maker, sample, &classifiers, &mut repetition)?;
            // The same images on all sides give the same figures again, whatever the seed.
            let again =
                matches!(maker, Maker::Other { .. }) && self.holdout != Holdout::Drawn && !repetitions.is_empty();
            if !again {
                self.measure(&run, maker, sample, &mut repetition, &mut gallery, &mut scores)?;
                self.attack(&run, maker, sample, &mut repetition)?;
            }
            repetitions.push(repetition);
        }
        let audits = match maker {
            Maker::Generator(generator) => self.audits(division, splits[0], name, Audited::Images(generator))?,
            Maker::Other { .. } => Vec::new(),
        };
        Ok(ReleasedRun {
            name: name.to_owned(),
            kind: ReleaseKind::Images,
            generator: match maker {
                Maker::Generator(generator) => Some((generator.name.clone(), generator.family.clone())),
                Maker::Other { .. } => None,
            },
            source: match maker {
                Maker::Generator(_) => None,
                Maker::Other { images, .. } => Some(images.source.clone()),
            },
            classifiers: classifiers.iter().map(|classifier| classifier.name.clone()).collect(),
            repetitions,
            gallery,
            scores,
            audits,
        })
    }

    /// Trains what says how useful one repetition's sample is.
    pub(super) fn utility(
        &mut self,
        run: &Run<'_>,
        maker: Maker<'_>,
        sample: StageId,
        classifiers: &[&Classifier],
        repetition: &mut Repetition,
    ) -> Result<(), UnknownInput> {
        let (name, label) = (maker.name(), run.label);
        for classifier in classifiers {
            repetition.classify.push(self.synthetic(run, classifier, maker, sample)?);
            let real = self.real(run, classifier)?;
            repetition.real.push(real);
            if self.study.utility.real_on_synthetic {
                let label = format!("{} trained on real images, on {name}, {label}", classifier.name);
                repetition.on_sample.push(self.graph.add(AnswerOnSample { classify: real, sample, label })?);
            }
            if self.study.utility.augmented {
                let together = TrainingSet::Augmented { split: run.split, sample };
                let trained_on = format!("real and {name}");
                let images = self.sizes.train + maker.size(self.study, &self.sizes);
                repetition.augmented.push(self.classify(run, classifier, together, images, &trained_on)?);
            }
        }
        Ok(())
    }

    /// Measures one repetition's sample through every encoder; pictures and single images through the first.
    fn measure(
        &mut self,
        run: &Run<'_>,
        maker: Maker<'_>,
        sample: StageId,
        repetition: &mut Repetition,
        gallery: &mut Option<StageId>,
        scores: &mut Option<StageId>,
    ) -> Result<(), UnknownInput> {
        let study = self.study;
        let (name, label, split) = (maker.name(), run.label, run.split);
        let side = |stage, folder| Images { stage, folder };
        let (train_size, holdout_size, size) =
            (self.sizes.train, self.sizes.holdout, maker.size(self.study, &self.sizes));
        if !study.measures.encoders.is_empty() {
            repetition.measures.push(self.graph.add(MeasureImages {
                sample,
                split,
                seed: run.seed.derive("measure"),
                label: format!("mean images of {name}, {label}"),
            })?);
        }
        for encoder in &study.measures.encoders {
            let limit = study.measures.limit;
            let encoder = self.encoder(run, encoder)?;
            let train = self.embed(side(split, "train"), train_size, &encoder, limit, format!("train, {label}"))?;
            let holdout = match self.holdout {
                Holdout::None => None,
                _ => Some(self.embed(
                    side(split, "holdout"),
                    holdout_size,
                    &encoder,
                    limit,
                    format!("holdout, {label}"),
                )?),
            };
            let synthetic = self.embed(side(sample, "images"), size, &encoder, limit, format!("{name}, {label}"))?;
            let pairs = self.pairs(maker, study.measures.limit, study.measures.limit);
            repetition.measures.push(self.graph.add(Measure {
                train,
                holdout,
                synthetic,
                names: study.measures.names.clone(),
                seed: run.seed.derive("measure"),
                label: format!("measures of {name} on {}, {label}", encoder.name),
                workload: pairs,
            })?);
            if gallery.is_none() {
                *gallery = Some(self.graph.add(DrawGallery {
                    sample,
                    split,
                    train,
                    holdout,
                    synthetic,
                    near_copies: study.measures.near_copies,
                    label: format!("gallery of {name}"),
                })?);
                let whole = usize::MAX;
                let train = self.embed(side(split, "train"), train_size, &encoder, whole, format!("train, {label}"))?;
                let holdout = match self.holdout {
                    Holdout::None => None,
                    _ => Some(self.embed(
                        side(split, "holdout"),
                        holdout_size,
                        &encoder,
                        whole,
                        format!("holdout, {label}"),
                    )?),
                };
                let synthetic =
                    self.embed(side(sample, "images"), size, &encoder, whole, format!("{name}, {label}"))?;
                let score = self.graph.add(ScoreImages {
                    train,
                    holdout,
                    synthetic,
                    false_match_rate: study.measures.false_match_rate,
                    label: format!("scores of each image of {name}"),
                    workload: self.pairs(maker, whole, whole),
                })?;
                self.scores.push((name.to_owned(), score));
                *scores = Some(score);
            }
        }
        Ok(())
    }

    /// Attacks one repetition's sample through every encoder, if there is a holdout to compare with.
    pub(super) fn attack(
        &mut self,
        run: &Run<'_>,
        maker: Maker<'_>,
        sample: StageId,
        repetition: &mut Repetition,
    ) -> Result<(), UnknownInput> {
        if self.holdout == Holdout::None {
            return Ok(());
        }
        let study = self.study;
        let (name, label, split) = (maker.name(), run.label, run.split);
        let side = |stage, folder| Images { stage, folder };
        let (train_size, holdout_size, size) =
            (self.sizes.train, self.sizes.holdout, maker.size(self.study, &self.sizes));
        for (position, encoder) in study.attacks.encoders.iter().enumerate() {
            let (limit, whole) = (study.attacks.limit, usize::MAX);
            let encoder = self.encoder(run, encoder)?;
            let mut embed = |images, of, limit, label| -> Result<Embedded, UnknownInput> {
                Ok(Embedded { features: self.embed(images, of, &encoder, limit, label)?, images })
            };
            let train = embed(side(split, "train"), train_size, limit, format!("members, {label}"))?;
            let holdout = embed(side(split, "holdout"), holdout_size, limit, format!("non-members, {label}"))?;
            let synthetic = embed(side(sample, "images"), size, whole, format!("{name}, {label}"))?;
            let reference = match self.sizes.test > 0 && self.holdout != Holdout::IsTest {
                true => {
                    let images = side(run.division, "test");
                    Some(Embedded {
                        features: self.embed(images, self.sizes.test, &encoder, whole, "reference".into())?,
                        images,
                    })
                }
                false => None,
            };
            let generator = match maker {
                Maker::Generator(generator) => Some(generator),
                Maker::Other { .. } => None,
            };
            let pairs = self.pairs(maker, limit, whole);
            repetition.attacks.push(self.graph.add(AttackImages {
                train,
                holdout,
                reference,
                grouped: match (reference, &study.data.group) {
                    (None, Some(group)) => Some((split, group.clone())),
                    _ => None,
                },
                synthetic,
                // What encoders see makes no difference to them.
                pictures: position == 0 && looks_at_pictures(&study.attacks.names),
                attacked: Attacked {
                    names: study.attacks.names.clone(),
                    seed: run.seed.derive("attack"),
                    delta: self.delta(generator),
                    label: format!("attacks on {name} through {}, {label}", encoder.name),
                },
                workload: pairs,
            })?);
        }
        Ok(())
    }

    /// A comparison of every pair of a real and a synthetic image, of so many on each side at most.
    fn pairs(&self, maker: Maker<'_>, real: usize, synthetic: usize) -> Workload {
        let Sizes { train, holdout, values, .. } = self.sizes;
        let (real, synthetic) =
            (train.min(real) + holdout.min(real), maker.size(self.study, &self.sizes).min(synthetic));
        Workload {
            method: String::new(),
            size: real as f64 * synthetic as f64,
            held: ((real + synthetic) * values) as f64,
        }
    }
}

/// Whether attacks are named that train networks on the images.
fn looks_at_pictures(names: &[String]) -> bool {
    ATTACKS.iter().any(|family| family.needs.contains(&Need::Pictures) && names.iter().any(|name| name == family.name))
}
