//! What is attacked, and who is asked about.

use standin_attack::{Access, GeneratorTarget, Need};
use standin_classify::TrainedClassifier;
use standin_data::ImageSet;
use standin_encode::{Embedding, Metric, nearest};
use standin_generate::Trained;

use super::{Arguments, Refused};
use crate::commands::images::{Reader, Seen};
use crate::failure::Failure;

/// What is attacked.
pub enum Release {
    Images(Box<Released>),
    Classifier(Box<dyn TrainedClassifier>),
    Generator(Box<dyn Trained>),
}

/// Released images, and what an attacker has beside them.
pub struct Released {
    pub synthetic: Seen,
    pub reference: Option<Seen>,
}

impl Release {
    pub fn read(arguments: &Arguments, reader: &Reader<'_>) -> Result<Self, Failure> {
        Ok(match (&arguments.classifier, &arguments.generator) {
            (Some(folder), _) => Self::Classifier(standin_classify::load(folder)?),
            (None, Some(folder)) => Self::Generator(standin_generate::load(folder)?),
            (None, None) => {
                let seen = |text: &str| reader.seen(text, &arguments.encoder);
                let synthetic = seen(arguments.synthetic.as_deref().unwrap_or_default())?;
                Self::Images(Box::new(Released {
                    synthetic,
                    reference: arguments.reference.as_deref().map(seen).transpose()?,
                }))
            }
        })
    }

    pub fn access(&self) -> Access {
        match self {
            Self::Images(_) => Access::Images,
            Self::Classifier(_) => Access::Classifier,
            Self::Generator(_) => Access::Generator,
        }
    }

    /// What was given, for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Images(_) => "images",
            Self::Classifier(_) => "a classifier",
            Self::Generator(_) => "a generator",
        }
    }

    /// Whether this release and what is known of the candidates have what an attack needs.
    pub fn meets(&self, need: Need, candidates: &Candidates, shadows: bool) -> bool {
        // Every set that an attack on images sees; attacks on models refuse candidates without images or labels themselves.
        let sets = || -> Option<Vec<&ImageSet>> {
            let Self::Images(released) = self else { return Some(Vec::new()) };
            let given = [Some(&released.synthetic), released.reference.as_ref()].into_iter().flatten();
            let given = given.map(|seen| seen.images.as_ref());
            given.chain(candidates.images.each_ref().map(Option::as_ref)).collect()
        };
        match need {
            Need::Labels => sets().is_none_or(|sets| sets.iter().all(|set| set.labels().is_some())),
            Need::EuclideanFeatures => candidates.members.stamp().metric == Metric::Euclidean,
            Need::Pictures => sets().is_some(),
            Need::Reference => matches!(self, Self::Images(released) if released.reference.is_some()),
            Need::ShadowsOut => shadows,
            Need::ShadowsInAndOut => false,
            Need::Denoiser | Need::Decoder | Need::Likelihood | Need::Discriminator => match self {
                Self::Generator(generator) => GeneratorTarget::holds(generator.as_ref(), need),
                Self::Images(_) | Self::Classifier(_) => false,
            },
        }
    }
}

/// Members and non-members, each once.
pub struct Candidates {
    pub members: Embedding,
    pub non_members: Embedding,
    /// The same as images; none where features were given.
    pub images: [Option<ImageSet>; 2],
    /// The non-members that are kept, among all that were given.
    pub kept: Vec<usize>,
    pub duplicates: usize,
}

impl Candidates {
    pub fn read(arguments: &Arguments, reader: &Reader<'_>) -> Result<Self, Failure> {
        let Seen { features: members, images: inside } = reader.seen(&arguments.members, &arguments.encoder)?;
        let Seen { features: all, images: outside } = reader.seen(&arguments.non_members, &arguments.encoder)?;
        members.require_same_protocol(&all)?;
        let distances = nearest(&all, &members, 1, false)?.at_rank(1);
        let kept: Vec<usize> = (0..all.rows()).filter(|&row| distances[row] > 0.0).collect();
        if kept.is_empty() {
            return Err(Refused::Same { count: all.rows() }.into());
        }
        let duplicates = all.rows() - kept.len();
        let images = [inside, outside.map(|outside| outside.select(&kept))];
        Ok(Self { members, non_members: all.select(&kept), images, kept, duplicates })
    }

    /// The images of members and then of non-members, with labels among the classes that a model knows; without, if it knows none.
    pub fn joint(&self, classes: Option<&[String]>) -> Result<ImageSet, Failure> {
        let side = |images: &Option<ImageSet>| -> Result<ImageSet, Failure> {
            let images = images.as_ref().ok_or(Refused::Features)?;
            let bare = images.clone().without_labels();
            let Some(classes) = classes else { return Ok(bare) };
            Ok(bare.with_labels(images.labels().ok_or(Refused::Labels)?.among(classes)?)?)
        };
        let [members, non_members] = &self.images;
        Ok(side(members)?.concat(&side(non_members)?)?)
    }
}
