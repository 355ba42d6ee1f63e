use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{Access, Family, ImagesTarget, Need, Pictures, Target};
use standin_data::{ImageSet, Progress};
use standin_encode::{Embedding, Metric};

use super::super::embed::{Images, draw, read_embedding};
use super::super::{BoxedError, write_json};
use super::Attacked;
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};

/// Membership inference from released images. Output: `attacks.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackImages {
    /// Members.
    pub train: Embedded,
    /// Non-members.
    pub holdout: Embedded,
    /// Real images that are neither, which an attacker may own: the test set. Where there is none, a half of the
    /// non-members, drawn at random, takes its place in the attacks that need one.
    pub reference: Option<Embedded>,
    /// The split, and the column of its holdout whose values (patients, identities) are not to be torn apart by that half:
    /// a non-member whose twin is a reference image looks less like a member.
    pub grouped: Option<(StageId, String)>,
    /// Synthetic images.
    pub synthetic: Embedded,
    /// Whether attacks run that look at the images themselves, and train networks on them.
    pub pictures: bool,
    /// Attacks, seed, δ.
    pub attacked: Attacked,
    /// How much there is to do.
    pub workload: Workload,
}

/// Images, and the stage that embedded some of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// The features.
    pub features: StageId,
    /// The images.
    pub images: Images,
}

/// What an [`Embedded`] holds.
struct Side {
    features: Embedding,
    /// Which of the images each row is.
    rows: Vec<usize>,
    images: Images,
}

impl Embedded {
    fn read(self, inputs: &Inputs) -> Result<Side, BoxedError> {
        let (features, rows) = read_embedding(inputs.folder(self.features)?)?;
        Ok(Side { features, rows, images: self.images })
    }
}

impl Side {
    fn select(&self, chosen: &[usize]) -> Self {
        let rows = chosen.iter().map(|&row| self.rows[row]).collect();
        Self { features: self.features.select(chosen), rows, images: self.images }
    }

    fn pictures(&self, inputs: &Inputs) -> Result<ImageSet, BoxedError> {
        let Images { stage, folder } = self.images;
        Ok(ImageSet::open(&inputs.folder(stage)?.join(folder))?.select(&self.rows))
    }
}

impl Stage for AttackImages {
    fn kind(&self) -> &'static str {
        "attack-images"
    }

    fn code_version(&self) -> u32 {
        6
    }

    fn configuration(&self) -> Value {
        json!({
            "names": self.attacked.names,
            "seed": self.attacked.seed.value(),
            "delta": self.attacked.delta,
            "group": self.grouped.as_ref().map(|(_, column)| column),
            "pictures": self.pictures,
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        let sides = || [self.train, self.holdout, self.synthetic].into_iter().chain(self.reference);
        let pictures = sides().filter(|_| self.pictures).map(|side| side.images.stage);
        let split = self.grouped.iter().map(|(split, _)| *split);
        sides().map(|side| side.features).chain(split).chain(pictures).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let read = |side: Embedded| side.read(inputs);
        let (train, holdout, synthetic) = (read(self.train)?, read(self.holdout)?, read(self.synthetic)?);
        let stamp = synthetic.features.stamp().to_string();
        let euclidean = synthetic.features.stamp().metric == Metric::Euclidean;
        let labelled = self.pictures && synthetic.pictures(inputs)?.labels().is_some();
        let (calibrated, plain): (Vec<&Family>, Vec<&Family>) = self
            .attacked
            .wanted(Access::Images)
            .filter(|family| euclidean || !family.needs.contains(&Need::EuclideanFeatures))
            .filter(|family| self.pictures || !family.needs.contains(&Need::Pictures))
            .filter(|family| labelled || !family.needs.contains(&Need::Labels))
            .partition(|family| family.needs.contains(&Need::Reference));
        let attack = |families: &[&'static Family], others: &Side, reference: Option<&Side>, stamp: &str| {
            let candidates = train.features.concat(&others.features)?;
            let target = ImagesTarget::new(&synthetic.features, reference.map(|side| &side.features), &candidates)?;
            let members = train.features.rows();
            if !families.iter().any(|family| family.needs.contains(&Need::Pictures)) {
                return self.attacked.run(families, &Target::Images(target), members, stamp, progress);
            }
            let released = synthetic.pictures(inputs)?;
            let candidates = train.pictures(inputs)?.concat(&others.pictures(inputs)?)?;
            let reference = reference.map(|side| side.pictures(inputs)).transpose()?;
            let pictures = Pictures { released: &released, reference: reference.as_ref(), candidates: &candidates };
            let target = Target::Images(target.with_pictures(pictures)?);
            self.attacked.run(families, &target, members, stamp, progress)
        };
        let mut rows = attack(&plain, &holdout, None, &stamp)?;
        if !calibrated.is_empty() {
            rows.extend(match self.reference {
                Some(reference) => attack(&calibrated, &holdout, Some(&read(reference)?), &stamp)?,
                None => {
                    let (half, others) = self.halves(inputs)?;
                    let stamp = format!("{stamp}; half of the holdout as reference");
                    attack(&calibrated, &holdout.select(&others), Some(&holdout.select(&half)), &stamp)?
                }
            });
        }
        write_json(&out.join("attacks.json"), &rows)
    }

    fn name(&self) -> String {
        self.attacked.label.clone()
    }

    fn weight(&self) -> u64 {
        4
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}

impl AttackImages {
    /// Two halves of the embedded holdout, whole groups together.
    fn halves(&self, inputs: &Inputs) -> Result<(Vec<usize>, Vec<usize>), BoxedError> {
        let (_, rows) = read_embedding(inputs.folder(self.holdout.features)?)?;
        let seed = self.attacked.seed.derive("reference");
        let group_of: Vec<String> = match &self.grouped {
            Some((split, name)) => {
                let holdout = ImageSet::open(&inputs.folder(*split)?.join("holdout"))?;
                let known = holdout.columns().iter().map(|column| column.name.as_str());
                let column =
                    holdout.column(name).ok_or_else(|| standin_data::Error::unknown("grouping column", name, known))?;
                rows.iter().map(|&row| column.values[row].clone()).collect()
            }
            None => rows.iter().map(ToString::to_string).collect(),
        };
        let mut groups: Vec<&String> = group_of.iter().collect();
        groups.sort_unstable();
        groups.dedup();
        let chosen: BTreeSet<&String> =
            draw(groups.len(), groups.len() / 2, seed).into_iter().map(|group| groups[group]).collect();
        Ok((0..rows.len()).partition(|&row| chosen.contains(&group_of[row])))
    }
}
