use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{Access, Family, GeneratorShadow, GeneratorTarget, Need, Target};
use standin_data::{ImageSet, Progress};

use super::super::{BoxedError, Members, write_json};
use super::{Attacked, ShadowRun};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};

/// Membership inference on a released generator with its weights. Output: `attacks.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How much there is to do.
    pub workload: Workload,
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

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
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

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}
