use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_attack::{Canaries, CanaryAudit, CanaryRun, GeneratorTarget, Need, Target, attack, scaled_confidences};
use standin_classify::Outputs;
use standin_data::{ImageSet, Labels, Progress, Seed, Silent};
use standin_encode::nearest;
use standin_generate::{SampleRequest, Trained};
use standin_privacy::{Adjacency, Guarantee};

use super::{BoxedError, on_device, read_json, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::configuration::CanaryKind;
use crate::summary::CanaryRow;

/// Puts canaries in the place of training images, those that their coins let take part. Outputs: `train`, the set to train on; `questions`,
/// all canaries; `coins.json`, whether each takes part; `holdout`, where the split has one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// The training images.
    pub split: StageId,
    /// What canaries are.
    pub kind: CanaryKind,
    /// The stage that took in the images of another set that are canaries.
    pub foreign: Option<StageId>,
    /// How many there are.
    pub count: usize,
    /// Seed of which they are, the same for all runs, and of all coins.
    pub seed: Seed,
    /// Whose coins.
    pub run: usize,
}

impl Plant {
    fn canaries(&self, train: &ImageSet, inputs: &Inputs) -> Result<Canaries, BoxedError> {
        let canaries = match (self.kind, self.foreign) {
            (CanaryKind::Foreign, Some(foreign)) => {
                let others = ImageSet::open(&inputs.folder(foreign)?.join("images"))?;
                Canaries::foreign(train, &others, self.count, self.seed)
            }
            (CanaryKind::Natural, _) => Canaries::natural(train, self.count, self.seed),
            (CanaryKind::Noise, _) => Canaries::noise(train, self.count, self.seed),
            // The study's check has found that foreign ones have a source.
            (CanaryKind::Mislabelled | CanaryKind::Foreign, _) => Canaries::mislabelled(train, self.count, self.seed),
        }?;
        Ok(canaries.with_coins(self.seed.derive(&format!("coins of run {}", self.run))))
    }
}

impl Stage for Plant {
    fn kind(&self) -> &'static str {
        "plant"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "kind": self.kind, "count": self.count, "seed": self.seed.value(), "run": self.run })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.split].into_iter().chain(self.foreign).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let split = inputs.folder(self.split)?;
        let train = ImageSet::open(&split.join("train"))?;
        let canaries = self.canaries(&train, inputs)?;
        canaries.plant(&train)?.save(&out.join("train"))?;
        canaries.questions(&train)?.save(&out.join("questions"))?;
        if split.join("holdout").exists() {
            ImageSet::open(&split.join("holdout"))?.save(&out.join("holdout"))?;
        }
        write_json(&out.join("coins.json"), &canaries.included)
    }

    fn name(&self) -> String {
        format!("{} canaries, run {}", self.kind, self.run)
    }
}

/// What a pipeline with canaries ended in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Ending {
    /// Released images.
    Images(StageId),
    /// A released classifier, and the images it was trained on where they are synthetic.
    Classifier {
        /// The classifier.
        classify: StageId,
        /// The images.
        sample: Option<StageId>,
        /// What it answers with.
        outputs: Outputs,
    },
    /// A released generator.
    Generator(StageId),
}

/// One pipeline trained with canaries.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanariedRun {
    /// The [`Plant`].
    pub plant: StageId,
    /// What came out.
    pub ending: Ending,
}

/// Asks what pipelines with canaries released about the coins of these. Output: `canaries.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCanaries {
    /// The pipelines, with the same canaries and coins of their own.
    pub runs: Vec<CanariedRun>,
    /// What canaries are.
    pub kind: CanaryKind,
    /// δ of the lower bound on ε where the runs carry no guarantee.
    pub delta: f64,
    /// Seed of everything drawn at random.
    pub seed: Seed,
    /// Which release this is, for people.
    pub label: String,
}

impl Ending {
    fn stages(self) -> Vec<StageId> {
        match self {
            Self::Images(stage) | Self::Generator(stage) => vec![stage],
            Self::Classifier { classify, sample, .. } => [classify].into_iter().chain(sample).collect(),
        }
    }

    /// What is shown of a classifier's answers.
    fn outputs(self) -> Outputs {
        match self {
            Self::Classifier { outputs, .. } => outputs,
            Self::Images(_) | Self::Generator(_) => Outputs::Logits,
        }
    }

    /// What the run promises about the private images.
    fn guarantee(self, inputs: &Inputs) -> Result<Option<Guarantee>, BoxedError> {
        match self {
            Self::Images(sample) | Self::Classifier { sample: Some(sample), .. } => {
                read_json(&inputs.folder(sample)?.join("guarantee.json"))
            }
            Self::Classifier { classify, sample: None, .. } => {
                Ok(standin_classify::load(inputs.folder(classify)?)?.guarantee().cloned())
            }
            Self::Generator(stage) => Ok(standin_generate::load(inputs.folder(stage)?)?.guarantee().cloned()),
        }
    }

    /// A score for each canary, the higher the more likely it took part, and how it was computed.
    fn scores(self, inputs: &Inputs, questions: &ImageSet, seed: Seed) -> Result<(Vec<f64>, String), BoxedError> {
        match self {
            Self::Images(sample) => {
                Ok((nearness(questions, &ImageSet::open(&inputs.folder(sample)?.join("images"))?)?, NEARNESS.into()))
            }
            Self::Classifier { classify, outputs, .. } => {
                let classifier = standin_classify::load(inputs.folder(classify)?)?;
                let labels = questions.require_labels("asking about canaries")?.among(classifier.classes())?;
                let logits = outputs.shown(&classifier.logits(questions)?);
                let logits = standin_attack::Logits::new(logits.values(), logits.classes())?;
                Ok((scaled_confidences(logits, &labels.values), "scaled confidence of its label".into()))
            }
            Self::Generator(stage) => {
                of_generator(standin_generate::load(inputs.folder(stage)?)?.as_ref(), questions, seed)
            }
        }
    }
}

const NEARNESS: &str = "nearness of the nearest released image of its label, in pixels";

/// Images drawn from a generator that no attack sees into.
const DRAWN: usize = 10_000;

/// Attacks that look into a generator, the first that can is used.
const WITH_WEIGHTS: [(&str, Need); 2] = [("diffusion-loss", Need::Denoiser), ("latent-search", Need::Decoder)];

fn of_generator(generator: &dyn Trained, questions: &ImageSet, seed: Seed) -> Result<(Vec<f64>, String), BoxedError> {
    let Some((name, _)) = WITH_WEIGHTS.iter().find(|(_, need)| GeneratorTarget::holds(generator, *need)) else {
        let drawn = generator.sample(&SampleRequest::new(DRAWN), seed, &Silent)?;
        return Ok((nearness(questions, &drawn)?, format!("{NEARNESS}, of {DRAWN}")));
    };
    let labels = questions.require_labels("asking about canaries")?.among(generator.description().classes)?;
    let questions = questions.clone().without_labels().with_labels(labels)?;
    let target = Target::Generator(GeneratorTarget::new(generator, &questions, &[], seed)?);
    Ok((attack(name)?.build().score(&target)?, (*name).to_owned()))
}

/// Minus the squared distance of each canary to the nearest of the released images of its label; of all, where none has it.
fn nearness(questions: &ImageSet, released: &ImageSet) -> Result<Vec<f64>, BoxedError> {
    let pixels = standin_encode::encoder("pixels")?;
    let (asked, released_pixels) = (pixels.encode(questions, &Silent)?, pixels.encode(released, &Silent)?);
    let labels = questions.require_labels("asking about canaries")?;
    let asked_by_class = labels.by_class();
    let released_labels: Labels = released.require_labels("an audit with canaries")?.among(&labels.classes)?;
    let mut scores = vec![0.0; questions.len()];
    for (canaries, images) in asked_by_class.iter().zip(released_labels.by_class()) {
        if canaries.is_empty() {
            continue;
        }
        let base = if images.is_empty() { released_pixels.clone() } else { released_pixels.select(&images) };
        let distances = nearest(&asked.select(canaries), &base, 1, false)?.at_rank(1);
        canaries.iter().zip(distances).for_each(|(&canary, distance)| scores[canary] = -distance * distance);
    }
    Ok(scores)
}

impl Stage for AuditCanaries {
    fn kind(&self) -> &'static str {
        "audit-canaries"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        let outputs = self.runs.first().map(|run| run.ending.outputs());
        on_device(json!({ "kind": self.kind, "delta": self.delta, "seed": self.seed.value(), "outputs": outputs }))
    }

    fn inputs(&self) -> Vec<StageId> {
        self.runs.iter().flat_map(|run| [run.plant].into_iter().chain(run.ending.stages())).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        progress.begin("runs with canaries", self.runs.len() as u64);
        let mut runs = Vec::new();
        let mut guarantees = Vec::new();
        let mut score = String::new();
        for CanariedRun { plant, ending } in &self.runs {
            let plant = inputs.folder(*plant)?;
            let questions = ImageSet::open(&plant.join("questions"))?;
            let (scores, how) = ending.scores(inputs, &questions, self.seed.derive("scores"))?;
            score = how;
            guarantees.extend(ending.guarantee(inputs)?);
            runs.push(CanaryRun { scores, included: read_json(&plant.join("coins.json"))? });
            progress.advance(1);
        }
        progress.end();
        let largest = |part: fn(&Guarantee) -> f64| guarantees.iter().map(part).reduce(f64::max);
        let delta = largest(|guarantee| guarantee.delta).unwrap_or(self.delta);
        let CanaryAudit { guessed, evaluation, guesses, bound } = CanaryAudit::of(&runs, delta, self.seed)?;
        // A canary takes part or does not, and nothing takes its place.
        let comparable = !guarantees.is_empty()
            && guarantees.len() == runs.len()
            && guarantees.iter().all(|guarantee| guarantee.adjacency == Adjacency::AddRemove);
        let row = CanaryRow {
            kind: self.kind.to_string(),
            canaries: runs[0].scores.len(),
            runs: runs.len(),
            guessed_runs: guessed,
            score,
            members: evaluation.members,
            non_members: evaluation.non_members,
            auc: evaluation.auc,
            p_value: evaluation.p_value,
            true_positive_rates: evaluation.true_positive_rates.into_iter().map(Into::into).collect(),
            guesses: guesses.guesses,
            right_guesses: guesses.correct,
            epsilon_lower: bound,
            epsilon_claimed: if comparable { largest(|guarantee| guarantee.epsilon) } else { None },
        };
        write_json(&out.join("canaries.json"), &row)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        2
    }
}
