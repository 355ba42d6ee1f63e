use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{Access, ClassifierTarget, Family, Logits, Shadow, Target};
use standin_classify::Outputs;
use standin_data::{ImageSet, Progress};
use standin_privacy::{Adjacency, Guarantee};

use super::super::classify::Predictions;
use super::super::{BoxedError, Members, write_json};
use super::{Attacked, ShadowRun};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};

/// Membership inference on a released classifier. Output: `attacks.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How much there is to do.
    pub workload: Workload,
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

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
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

    fn workload(&self) -> Workload {
        self.workload.clone()
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
