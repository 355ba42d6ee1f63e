use std::path::Path;

use rand::seq::index;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{Attack, GanLeaks, ImagesTarget, Target};
use standin_data::{ImageSet, Progress, Seed};
use standin_encode::Embedding;
use standin_measure::{Outcome, Sets};

use super::{MAJORITY, MINORITY, SIDE};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::stages::{BoxedError, write_json};
use crate::summary::MeasureRow;

/// Measures the synthetic images against the real ones of the minority, and asks of each side whether its training images can be told
/// from its test images by how near a synthetic one is. Output: `examined.json`.
pub struct Examine {
    /// The real training images.
    pub scarce: StageId,
    /// The synthetic images.
    pub accept: StageId,
    /// Whose test images are the others.
    pub prepare: StageId,
    /// Encoders.
    pub encoders: Vec<String>,
    /// Registered measures.
    pub names: Vec<String>,
    /// At most so many images of each set.
    pub limit: usize,
    /// Seed of everything that draws at random.
    pub seed: Seed,
    /// Which repetition of which scenario, for people.
    pub label: String,
}

/// What was found in the features of one encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examined {
    /// The encoder.
    pub encoder: String,
    /// Measures of the synthetic images against the minority's test images, and its training images where there are some.
    pub measures: Vec<MeasureRow>,
    /// Of the majority and of the minority: how well its training images are told from its test images.
    pub memorised: Vec<Memorised>,
}

/// How well training images of a side are told from test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memorised {
    /// The side.
    pub side: String,
    /// Training images.
    pub members: usize,
    /// Test images.
    pub non_members: usize,
    /// Area under the curve of the attack by distance (Chen et al. 2020, GAN-Leaks), or why it cannot be measured.
    pub auc: Outcome,
    /// One-sided p-value of no leak.
    pub p_value: Option<f64>,
}

fn on_side(set: &ImageSet, side: &str, limit: usize, seed: Seed) -> ImageSet {
    let values = set.column(SIDE).map_or(&[][..], |column| &column.values);
    let images: Vec<usize> =
        (0..set.len()).filter(|&image| values.get(image).is_some_and(|value| value == side)).collect();
    let mut chosen: Vec<usize> = index::sample(&mut seed.rng(), images.len(), images.len().min(limit))
        .into_iter()
        .map(|at| images[at])
        .collect();
    chosen.sort_unstable();
    set.select(&chosen)
}

impl Examine {
    fn memorised(
        &self,
        side: &str,
        synthetic: &Embedding,
        members: &Embedding,
        others: &Embedding,
    ) -> Result<Memorised, BoxedError> {
        let few = members.rows().min(others.rows()) < 10;
        let mut found = Memorised {
            side: side.to_owned(),
            members: members.rows(),
            non_members: others.rows(),
            auc: Outcome::NotMeasurable("fewer than 10 training or test images".into()),
            p_value: None,
        };
        if few {
            return Ok(found);
        }
        let candidates = members.concat(others)?;
        let target = Target::Images(ImagesTarget::new(synthetic, None, &candidates)?);
        let scores = GanLeaks { calibrated: false }.score(&target)?;
        let (of_members, of_others) = scores.split_at(members.rows());
        let evaluation = standin_attack::evaluate(of_members, of_others, self.seed.derive(side))?;
        found.auc = Outcome::Measured(evaluation.auc);
        found.p_value = Some(evaluation.p_value);
        Ok(found)
    }
}

impl Stage for Examine {
    fn kind(&self) -> &'static str {
        "examine"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({
            "encoders": self.encoders, "names": self.names, "limit": self.limit, "seed": self.seed.value(),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.scarce, self.accept, self.prepare]
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let train = ImageSet::open(&inputs.folder(self.scarce)?.join("train"))?;
        let test = ImageSet::open(&inputs.folder(self.prepare)?.join("test"))?;
        let synthetic = ImageSet::open(&inputs.folder(self.accept)?.join("images"))?;
        let synthetic = on_side(&synthetic, MINORITY, self.limit, self.seed.derive("synthetic"));
        let mut examined = Vec::new();
        for name in &self.encoders {
            if synthetic.len() < 10 {
                break;
            }
            let encoder = standin_encode::encoder(name)?;
            let embed = |set: &ImageSet| encoder.encode(set, progress);
            let of_synthetic = embed(&synthetic)?;
            let mut memorised = Vec::new();
            let mut minority = None;
            for side in [MAJORITY, MINORITY] {
                let seed = self.seed.derive(side);
                let members = on_side(&train, side, self.limit, seed.derive("members"));
                let others = on_side(&test, side, self.limit, seed.derive("others"));
                let others = embed(&others)?;
                let members = if members.is_empty() { others.select(&[]) } else { embed(&members)? };
                memorised.push(self.memorised(side, &of_synthetic, &members, &others)?);
                minority = Some((members, others));
            }
            let mut measures = Vec::new();
            if let Some((members, others)) = minority.filter(|(_, others)| others.rows() >= 10) {
                let (train, holdout) = if members.rows() >= 10 { (members, Some(others)) } else { (others, None) };
                let sets = Sets { train: &train, holdout: holdout.as_ref(), synthetic: &of_synthetic };
                let findings = standin_measure::evaluate(&self.names, sets, self.seed.derive("measures"), progress)?;
                measures.extend(findings.into_iter().map(|finding| MeasureRow {
                    measure: finding.measure,
                    aspect: finding.aspect.to_string(),
                    against: finding.against.to_string(),
                    outcome: finding.outcome,
                    reference: finding.reference,
                    better: finding.better,
                    stamp: format!("{}; {}", of_synthetic.stamp(), finding.parameters),
                }));
            }
            examined.push(Examined { encoder: name.clone(), measures, memorised });
        }
        write_json(&out.join("examined.json"), &examined)
    }

    fn name(&self) -> String {
        format!("measures and memorisation, {}", self.label)
    }

    fn weight(&self) -> u64 {
        8
    }
}
