use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use standin_attack::{
    ATTACKS, Access, ClassifierTarget, Family, GeneratorShadow, GeneratorTarget, ImagesTarget, Logits, Need, Shadow,
    Target,
};
use standin_classify::Outputs;
use standin_data::{ImageSet, Progress, Seed};
use standin_encode::{Embedding, Metric};
use standin_privacy::{Adjacency, Guarantee};

use super::classify::Predictions;
use super::embed::{draw, read_embedding};
use super::{BoxedError, Members, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::summary::{AttackRow, RateAt};

/// What all attack stages share.
#[derive(Clone, Debug)]
pub struct Attacked {
    /// Registered attacks; all whose access and needs are met if empty.
    pub names: Vec<String>,
    /// Seed of everything that draws at random.
    pub seed: Seed,
    /// δ of the ε lower bound: that of the release's guarantee, or 1/(N ln N).
    pub delta: f64,
    /// Which release and repetition this is, for people.
    pub label: String,
}

impl Attacked {
    /// The attacks that may run with this access.
    fn wanted(&self, access: Access) -> impl Iterator<Item = &'static Family> {
        ATTACKS.iter().filter(move |family| {
            family.access == access && (self.names.is_empty() || self.names.iter().any(|name| name == family.name))
        })
    }

    /// What decides the scores of an attack on a model.
    fn configuration(&self, limit: usize) -> Value {
        json!({ "names": self.names, "seed": self.seed.value(), "delta": self.delta, "limit": limit })
    }

    /// At most `limit` members and so many non-members, members first, and how many these are.
    fn candidates(&self, members: &Members, limit: usize) -> (Vec<usize>, usize) {
        let limited = |side: &[usize], purpose: &str| -> Vec<usize> {
            let rows = draw(side.len(), limit, self.seed.derive(purpose));
            rows.into_iter().map(|row| side[row]).collect()
        };
        let (inside, outside) = (limited(&members.train, "members"), limited(&members.holdout, "non-members"));
        ([inside.as_slice(), &outside].concat(), inside.len())
    }

    /// Runs attacks on the target; the candidates' first `members` rows are the members.
    fn run(
        &self,
        families: &[&'static Family],
        target: &Target<'_>,
        members: usize,
        stamp: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<AttackRow>, BoxedError> {
        progress.begin("attack", families.len() as u64);
        let mut rows = Vec::new();
        for family in families {
            progress.status(family.name);
            let scores = family.build().score(target)?;
            rows.push(self.row(family, stamp, &scores[..members], &scores[members..])?);
            progress.advance(1);
        }
        progress.end();
        Ok(rows)
    }

    fn row(
        &self,
        family: &Family,
        stamp: &str,
        members: &[f64],
        non_members: &[f64],
    ) -> standin_attack::Result<AttackRow> {
        let seed = self.seed.derive(family.name);
        let evaluation = standin_attack::evaluate(members, non_members, seed)?;
        Ok(AttackRow {
            attack: family.name.to_owned(),
            access: family.access.to_string(),
            stamp: if family.needs_shadows() { stamp.to_owned() } else { without_shadows(family.access, stamp) },
            members: evaluation.members,
            non_members: evaluation.non_members,
            auc: evaluation.auc,
            p_value: evaluation.p_value,
            corrected_p_value: evaluation.p_value,
            balanced_accuracy: evaluation.balanced_accuracy,
            true_positive_rates: evaluation
                .true_positive_rates
                .into_iter()
                .map(|rate| RateAt { false_positive_rate: rate.false_positive_rate, outcome: rate.outcome })
                .collect(),
            roc: evaluation.roc,
            epsilon_lower: Some(standin_attack::epsilon_lower(members, non_members, self.delta, seed)?),
        })
    }
}

/// δ for the exchange of one image for another. Two steps of adding or removing one, each (ε, δ)-indistinguishable, make
/// (2ε, (1 + e^ε) δ) (Dwork & Roth 2014, theorem 2.2). Where it reaches 1 the guarantee excludes nothing, and no attack can
/// contradict it.
fn exchange_delta(guarantee: &Guarantee) -> f64 {
    let steps = match guarantee.adjacency {
        Adjacency::AddRemove => 1.0 + guarantee.epsilon.exp(),
        Adjacency::ReplaceOne => 1.0,
    };
    (steps * guarantee.delta).min(1.0 - 1e-9)
}

/// The protocol of an attack that uses no shadows, even where there are some.
fn without_shadows(access: Access, stamp: &str) -> String {
    if access == Access::Images { stamp.to_owned() } else { "no shadows".to_owned() }
}

/// Membership inference from released images. Output: `attacks.json`.
pub struct AttackImages {
    /// Embedded members.
    pub train: StageId,
    /// Embedded non-members.
    pub holdout: StageId,
    /// Embedded real images that are neither, which an attacker may own: the test set. Where there is none, a half of the
    /// non-members, drawn at random, takes its place in the attacks that need one.
    pub reference: Option<StageId>,
    /// The split, and the column of its holdout whose values (patients, identities) are not to be torn apart by that half:
    /// a non-member whose twin is a reference image looks less like a member.
    pub grouped: Option<(StageId, String)>,
    /// Embedded synthetic images.
    pub synthetic: StageId,
    /// Attacks, seed, δ.
    pub attacked: Attacked,
}

impl Stage for AttackImages {
    fn kind(&self) -> &'static str {
        "attack-images"
    }

    fn code_version(&self) -> u32 {
        5
    }

    fn configuration(&self) -> Value {
        json!({
            "names": self.attacked.names,
            "seed": self.attacked.seed.value(),
            "delta": self.attacked.delta,
            "group": self.grouped.as_ref().map(|(_, column)| column),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        let split = self.grouped.iter().map(|(split, _)| *split);
        [self.train, self.holdout, self.synthetic].into_iter().chain(self.reference).chain(split).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let read = |stage| -> Result<_, BoxedError> { Ok(read_embedding(inputs.folder(stage)?)?.0) };
        let (train, holdout, synthetic) = (read(self.train)?, read(self.holdout)?, read(self.synthetic)?);
        let stamp = synthetic.stamp().to_string();
        let euclidean = synthetic.stamp().metric == Metric::Euclidean;
        let (calibrated, plain): (Vec<&Family>, Vec<&Family>) = self
            .attacked
            .wanted(Access::Images)
            .filter(|family| euclidean || !family.needs.contains(&Need::EuclideanFeatures))
            .filter(|family| !family.needs.contains(&Need::Pictures))
            .partition(|family| family.needs.contains(&Need::Reference));
        let attack =
            |families: &[&'static Family], non_members: &Embedding, reference: Option<&Embedding>, stamp: &str| {
                let candidates = train.concat(non_members)?;
                let target = Target::Images(ImagesTarget::new(&synthetic, reference, &candidates)?);
                self.attacked.run(families, &target, train.rows(), stamp, progress)
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
}

impl AttackClassifier {
    /// The attacks, at the δ of the exchange of one image under the target's own guarantee, if it has one.
    fn attacked(&self, inputs: &Inputs) -> Result<Attacked, BoxedError> {
        let mut attacked = self.attacked.clone();
        if self.on_private
            && let Some(guarantee) = standin_classify::load(inputs.folder(self.classify)?)?.guarantee()
        {
            attacked.delta = exchange_delta(guarantee);
        }
        Ok(attacked)
    }
}

impl AttackImages {
    /// Two halves of the embedded holdout, whole groups together.
    fn halves(&self, inputs: &Inputs) -> Result<(Vec<usize>, Vec<usize>), BoxedError> {
        let (_, rows) = read_embedding(inputs.folder(self.holdout)?)?;
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

/// One shadow: which images it was trained on, and the model its pipeline ended with.
#[derive(Clone, Copy, Debug)]
pub struct ShadowRun {
    /// The split.
    pub split: StageId,
    /// The classifier or the generator.
    pub model: StageId,
}

impl ShadowRun {
    /// Whether each candidate was among the images it was trained on.
    fn members(self, inputs: &Inputs, candidates: &[usize]) -> Result<Vec<bool>, BoxedError> {
        let flags = Members::read(inputs.folder(self.split)?)?.flags();
        Ok(candidates.iter().map(|&index| flags[index]).collect())
    }
}

/// Membership inference on a released classifier. Output: `attacks.json`.
pub struct AttackClassifier {
    /// The division, for the labels of the pool.
    pub division: StageId,
    /// The target's split.
    pub split: StageId,
    /// The target.
    pub classify: StageId,
    /// Whether it was trained on the private images themselves, so that a guarantee it carries is about them.
    pub on_private: bool,
    /// Shadow pipelines.
    pub shadows: Vec<ShadowRun>,
    /// At most so many members and so many non-members.
    pub limit: usize,
    /// What the target answers with.
    pub outputs: Outputs,
    /// Attacks, seed, δ.
    pub attacked: Attacked,
}

impl Stage for AttackClassifier {
    fn kind(&self) -> &'static str {
        "attack-classifier"
    }

    fn code_version(&self) -> u32 {
        3
    }

    fn configuration(&self) -> Value {
        let mut configuration = self.attacked.configuration(self.limit);
        configuration["outputs"] = json!(self.outputs);
        configuration
    }

    fn inputs(&self) -> Vec<StageId> {
        let shadows = self.shadows.iter().flat_map(|shadow| [shadow.split, shadow.model]);
        [self.division, self.split, self.classify].into_iter().chain(shadows).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let pool = ImageSet::open(&inputs.folder(self.division)?.join("pool"))?;
        let all_labels = &pool.require_labels("an attack on a classifier")?.values;
        let members = Members::read(inputs.folder(self.split)?)?;
        let (candidates, inside) = self.attacked.candidates(&members, self.limit);
        let labels: Vec<u32> = candidates.iter().map(|&index| all_labels[index]).collect();

        let answers = |stage| -> Result<(Vec<f32>, usize), BoxedError> {
            // Whoever trains shadows makes them answer like the target.
            let logits = self.outputs.shown(&Predictions::read(&inputs.folder(stage)?.join("pool.npy"))?);
            Ok((candidates.iter().flat_map(|&index| logits.row(index)).copied().collect(), logits.classes()))
        };
        let (values, classes) = answers(self.classify)?;
        let shadow_answers = self
            .shadows
            .iter()
            .map(|shadow| {
                let member = shadow.members(inputs, &candidates)?;
                Ok((answers(shadow.model)?.0, member))
            })
            .collect::<Result<Vec<_>, BoxedError>>()?;
        let shadows = shadow_answers
            .iter()
            .map(|(values, member)| Ok(Shadow { logits: Logits::new(values, classes)?, member }))
            .collect::<Result<Vec<_>, standin_attack::Error>>()?;
        let stamp = match shadows.len() {
            0 => "no shadows".to_owned(),
            n => format!("{n} shadow pipelines"),
        };
        let target = Target::Classifier(ClassifierTarget::new(Logits::new(&values, classes)?, &labels, &shadows)?);
        let families: Vec<&Family> = self
            .attacked
            .wanted(Access::Classifier)
            .filter(|family| !shadows.is_empty() || !family.needs_shadows())
            .collect();
        let attacked = self.attacked(inputs)?;
        write_json(&out.join("attacks.json"), &attacked.run(&families, &target, inside, &stamp, progress)?)
    }

    fn name(&self) -> String {
        self.attacked.label.clone()
    }

    fn weight(&self) -> u64 {
        2
    }
}

/// Membership inference on a released generator with its weights. Output: `attacks.json`.
pub struct AttackGenerator {
    /// The division, for the images of the pool.
    pub division: StageId,
    /// The target's split.
    pub split: StageId,
    /// The target.
    pub generate: StageId,
    /// Shadow generators.
    pub shadows: Vec<ShadowRun>,
    /// At most so many members and so many non-members.
    pub limit: usize,
    /// Attacks, seed, δ.
    pub attacked: Attacked,
}

impl Stage for AttackGenerator {
    fn kind(&self) -> &'static str {
        "attack-generator"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        self.attacked.configuration(self.limit)
    }

    fn inputs(&self) -> Vec<StageId> {
        let shadows = self.shadows.iter().flat_map(|shadow| [shadow.split, shadow.model]);
        [self.division, self.split, self.generate].into_iter().chain(shadows).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let pool = ImageSet::open(&inputs.folder(self.division)?.join("pool"))?;
        let members = Members::read(inputs.folder(self.split)?)?;
        let (candidates, inside) = self.attacked.candidates(&members, self.limit);
        let images = pool.select(&candidates);
        let generator = standin_generate::load(inputs.folder(self.generate)?)?;
        let families: Vec<&Family> = self
            .attacked
            .wanted(Access::Generator)
            .filter(|family| {
                family.needs.iter().all(|&need| match need {
                    Need::Labels => true,
                    Need::ShadowsInAndOut | Need::ShadowsOut => !self.shadows.is_empty(),
                    need => GeneratorTarget::holds(generator.as_ref(), need),
                })
            })
            .collect();
        // Shadows are read where an attack uses them.
        let used = if families.iter().any(|family| family.needs_shadows()) { self.shadows.as_slice() } else { &[] };
        let shadows = used
            .iter()
            .map(|shadow| {
                let member = shadow.members(inputs, &candidates)?;
                Ok((standin_generate::load(inputs.folder(shadow.model)?)?, member))
            })
            .collect::<Result<Vec<_>, BoxedError>>()?;
        let shadows: Vec<GeneratorShadow<'_>> = shadows
            .iter()
            .map(|(generator, member)| GeneratorShadow { generator: generator.as_ref(), member })
            .collect();
        let stamp = match shadows.len() {
            0 => "no shadows".to_owned(),
            n => format!("{n} shadow generators"),
        };
        let seed = self.attacked.seed.derive("generator");
        let target = Target::Generator(GeneratorTarget::new(generator.as_ref(), &images, &shadows, seed)?);
        write_json(&out.join("attacks.json"), &self.attacked.run(&families, &target, inside, &stamp, progress)?)
    }

    fn name(&self) -> String {
        self.attacked.label.clone()
    }

    fn weight(&self) -> u64 {
        10
    }
}
