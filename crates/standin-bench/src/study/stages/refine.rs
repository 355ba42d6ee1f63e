use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Labels, Progress, Seed};
use standin_generate::perturbed;
use standin_measure::{near_copies, realism};
use standin_privacy::Guarantee;

use super::classify::Predictions;
use super::embed::read_embedding;
use super::{BoxedError, read_json, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};

/// A condition that an image must meet to be released, with what tells.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Filter {
    /// A classifier gives the image's own label at least this probability.
    Confident {
        /// Its answers about the sample.
        answers: StageId,
        /// The probability.
        at_least: f64,
    },
    /// Realism among the private images.
    Lifelike {
        /// Embedded private images.
        train: StageId,
        /// The embedded sample.
        sample: StageId,
        /// The least realism.
        at_least: f64,
    },
    /// Not nearer to a private image than holdout images are, but for a share of them.
    NoCopy {
        /// Embedded private images.
        train: StageId,
        /// Embedded holdout images.
        holdout: StageId,
        /// The embedded sample.
        sample: StageId,
        /// The share.
        false_match_rate: f64,
    },
}

impl Filter {
    fn inputs(self) -> Vec<StageId> {
        match self {
            Self::Confident { answers, .. } => vec![answers],
            Self::Lifelike { train, sample, .. } => vec![train, sample],
            Self::NoCopy { train, holdout, sample, .. } => vec![train, holdout, sample],
        }
    }

    fn configuration(self) -> Value {
        match self {
            Self::Confident { at_least, .. } => json!({ "confident": at_least }),
            Self::Lifelike { at_least, .. } => json!({ "lifelike": at_least }),
            Self::NoCopy { false_match_rate, .. } => json!({ "no copy": false_match_rate }),
        }
    }

    /// What it does, for the provenance of what is left.
    fn words(self) -> String {
        match self {
            Self::Confident { at_least, .. } => format!("a classifier gives their label at least {at_least}"),
            Self::Lifelike { at_least, .. } => format!("their realism is at least {at_least}"),
            Self::NoCopy { false_match_rate, .. } => {
                format!("they are no nearer to a training image than all but {false_match_rate} of the holdout")
            }
        }
    }

    /// Whether each image meets it.
    fn kept(self, labels: &Labels, inputs: &Inputs) -> Result<Vec<bool>, BoxedError> {
        let read = |stage| -> Result<_, BoxedError> { Ok(read_embedding(inputs.folder(stage)?)?.0) };
        Ok(match self {
            Self::Confident { answers, at_least } => {
                let logits = Predictions::read(&inputs.folder(answers)?.join("sample.npy"))?;
                let probabilities = logits.probabilities();
                let rows = probabilities.chunks_exact(logits.classes()).zip(&labels.values);
                rows.map(|(row, &label)| row[label as usize] >= at_least).collect()
            }
            Self::Lifelike { train, sample, at_least } => {
                realism(&read(sample)?, &read(train)?)?.into_iter().map(|realism| realism >= at_least).collect()
            }
            Self::NoCopy { train, holdout, sample, false_match_rate } => {
                let sample = read(sample)?;
                let mut kept = vec![true; sample.rows()];
                for copy in near_copies(&read(train)?, &read(holdout)?, &sample, sample.rows())? {
                    kept[copy.synthetic] = copy.p_value > false_match_rate;
                }
                kept
            }
        })
    }
}

/// Chooses which images of a sample are released, and perturbs them. Outputs: `images`, `guarantee.json` and
/// `refined.json` with how many each filter left.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refine {
    /// The sample.
    pub sample: StageId,
    /// What an image must meet.
    pub filters: Vec<Filter>,
    /// How many images of each class are released at most: as many as the first so many of the sample.
    pub count: usize,
    /// Standard deviation of the noise on each pixel value.
    pub perturbation: f64,
    /// Seed of the noise.
    pub seed: Seed,
    /// Which sample this is, for people.
    pub label: String,
}

impl Stage for Refine {
    fn kind(&self) -> &'static str {
        "refine"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({
            "filters": self.filters.iter().map(|filter| filter.configuration()).collect::<Vec<_>>(),
            "count": self.count,
            "perturbation": self.perturbation,
            "seed": self.seed.value(),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        let filters = self.filters.iter().flat_map(|filter| filter.inputs());
        [self.sample].into_iter().chain(filters).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let folder = inputs.folder(self.sample)?;
        let images = ImageSet::open(&folder.join("images"))?;
        let labels = images.require_labels("choosing among samples")?;
        let mut kept = vec![true; images.len()];
        let mut left = Vec::new();
        for filter in &self.filters {
            let passing = filter.kept(labels, inputs)?;
            kept.iter_mut().zip(passing).for_each(|(kept, passes)| *kept &= passes);
            left.push(json!({ "filter": filter.words(), "left": kept.iter().filter(|&&kept| kept).count() }));
        }
        let chosen = fill(labels, &kept, self.count);
        if chosen.len() < self.count {
            progress.warn(&format!(
                "{}: {} of {} images pass the filters, {} were wanted; raise sampling.surplus",
                self.label,
                chosen.len(),
                images.len(),
                self.count
            ));
        }
        if chosen.is_empty() {
            return Err(Box::new(NothingLeft { label: self.label.clone(), drawn: images.len() }));
        }
        let mut released = images.select(&chosen);
        let mut provenance = images.provenance().clone();
        for filter in &self.filters {
            provenance.source += &format!("; kept where {}", filter.words());
        }
        let mut guarantee: Option<Guarantee> = read_json(&folder.join("guarantee.json"))?;
        if !self.filters.is_empty() {
            // Which images remain was decided by looking at the private ones.
            provenance.guarantee = Some("none: private images decided which images were released".to_owned());
            guarantee = None;
        }
        released = released.with_provenance(provenance);
        if self.perturbation > 0.0 {
            released = perturbed(&released, self.perturbation, self.seed);
        }
        released.save(&out.join("images"))?;
        write_json(&out.join("guarantee.json"), &guarantee)?;
        let refined = json!({ "drawn": images.len(), "filters": left, "released": chosen.len() });
        write_json(&out.join("refined.json"), &refined)
    }

    fn name(&self) -> String {
        self.label.clone()
    }
}

/// No image passed.
#[derive(Debug, thiserror::Error)]
#[error("{label}: none of {drawn} images passes the filters; ask for less, or draw more with sampling.surplus")]
struct NothingLeft {
    label: String,
    drawn: usize,
}

/// The first kept images, of each class at most as many as the first `count` of all hold of it.
fn fill(labels: &Labels, kept: &[bool], count: usize) -> Vec<usize> {
    let mut quotas = vec![0_usize; labels.classes.len()];
    labels.values.iter().take(count).for_each(|&label| quotas[label as usize] += 1);
    let mut take = |&(image, _): &(usize, &u32)| {
        let quota = &mut quotas[labels.values[image] as usize];
        let takes = kept[image] && *quota > 0;
        *quota -= usize::from(takes);
        takes
    };
    labels.values.iter().enumerate().filter(|entry| take(entry)).map(|(image, _)| image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_keep_their_shares_as_far_as_images_are_left() {
        let labels = Labels { values: vec![0, 1, 0, 1, 0, 1, 0, 1], classes: vec!["a".into(), "b".into()] };
        let kept = [false, true, true, true, true, false, true, false];
        assert_eq!(fill(&labels, &kept, 4), [1, 2, 3, 4]);
        assert_eq!(fill(&labels, &kept, 6), [1, 2, 3, 4, 6]);
        assert_eq!(fill(&labels, &[true; 8], 3), [0, 1, 2]);
    }
}
