use standin_data::ImageSet;
use standin_privacy::NoiseSource;

use crate::generator::training_labels;
use crate::mean_embedding::ClassSums;
use crate::moments::decoder_options::DecoderOptions;
use crate::moments::features::Features;
use crate::network::{Card, TrainedNetwork};
use crate::{Error, Fit, Protection, Result, Trained};

/// What [`DpMerf`](crate::DpMerf), [`DpNtk`](crate::DpNtk) and [`DpMepf`](crate::DpMepf) do: one noisy release of class-wise mean
/// features, and a decoder that learns it. They differ in their features.
pub(crate) struct OneShot<'a> {
    pub(crate) family: &'static str,
    pub(crate) features: &'a dyn Features,
    pub(crate) decoder: &'a DecoderOptions,
    /// All options of the family, for its card.
    pub(crate) options: toml::Table,
}

impl OneShot<'_> {
    /// # Errors
    /// If the training set, the protection or the work folder cannot be used, or training diverges.
    pub(crate) fn fit(self, train: &ImageSet, run: &Fit<'_>) -> Result<Box<dyn Trained>> {
        let Self { family, features, decoder, options } = self;
        let Protection { target, noise, .. } = run.image_protection(family)?;
        run.refuse_public(family)?;
        let (seed, shape) = (run.seed, train.shape());
        let labels = training_labels(family, train)?;
        if train.len() > features.most_images() {
            let most = features.most_images();
            let found = format!("it has {} images, and sums are exact for {most} at most", train.len());
            let remedy = "give a part of them".to_owned();
            return Err(Error::Training { family, set: train.describe(), found, remedy });
        }
        let budget = target.budget(train.len())?;
        let release = run.once(family, || {
            let noise = NoiseSource::of(*noise, seed)?;
            ClassSums::of(train, labels, features, run.progress).release(train.len(), budget, noise)
        })?;
        let architecture = decoder.architecture(labels.classes.len(), shape);
        let trained = decoder.fit(run, family, &architecture, features, &release)?;
        let card = Card::private(family, train, labels, seed, options, architecture, release.guarantee);
        Ok(Box::new(TrainedNetwork::new(trained, card.with_shares(release.shares))))
    }
}
