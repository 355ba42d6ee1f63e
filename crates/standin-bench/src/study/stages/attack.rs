mod classifier;
mod generator;
mod images;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{ATTACKS, Access, Family, Target};
use standin_data::{Progress, Seed};

use super::embed::draw;
use super::{BoxedError, Members};
use crate::stage::{Inputs, StageId};
use crate::summary::AttackRow;

pub use classifier::AttackClassifier;
pub use generator::AttackGenerator;
pub use images::{AttackImages, Embedded};

/// What all attack stages share.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
            per_seed: Vec::new(),
            p_value: evaluation.p_value,
            corrected_p_value: evaluation.p_value,
            balanced_accuracy: evaluation.balanced_accuracy,
            true_positive_rates: evaluation.true_positive_rates.into_iter().map(Into::into).collect(),
            roc: evaluation.roc,
            epsilon_lower: Some(standin_attack::epsilon_lower(members, non_members, self.delta, seed)?),
        })
    }
}

/// The protocol of an attack that uses no shadows, even where there are some.
fn without_shadows(access: Access, stamp: &str) -> String {
    if access == Access::Images { stamp.to_owned() } else { "no shadows".to_owned() }
}

/// One shadow: which images it was trained on, and the model its pipeline ended with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
