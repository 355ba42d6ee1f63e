//! `standin attack`: membership inference on released images, a released classifier or a released generator, without a study.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_attack::{
    ATTACKS, Access, ClassifierTarget, Evaluation, Family, GeneratorShadow, GeneratorTarget, ImagesTarget, Logits,
    Need, Pictures, RateAt, Shadow, Target, attack, epsilon_lower, evaluate, holm, population,
};
use standin_classify::{Outputs, TrainedClassifier};
use standin_data::{ImageSet, Progress, Seed};
use standin_encode::{Embedding, Metric, nearest};
use standin_generate::Trained;
use standin_measure::{Estimate, Outcome};

use super::Context;
use super::data::ImportArguments;
use super::images::{Reader, Seen};
use super::replace::refuse_to_replace;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Ask whether a release gives away who was trained on
///
/// Every attack scores the members and the non-members. If the release says nothing about membership, and both were drawn
/// from one population in one way, their scores are exchangeable: the p-value is the probability that a difference as large
/// arises then, and needs no model, no canaries and no retraining. Beside it stand how well the two are told apart and the
/// ε that this proves.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin attack --synthetic fakes/ --members train/ --non-members holdout/ --reference other/
  standin attack --synthetic fakes.npy --members train.npy --non-members holdout.npy --scores scores.csv
  standin attack --classifier cnn/ --members train/ --non-members holdout/
  standin attack --classifier cnn/ --shadow shadow-1/ --shadow shadow-2/ --members train/ --non-members holdout/
  standin attack --generator edm/ --members train/ --non-members holdout/")]
pub struct Arguments {
    /// Attack these released images, or features of them
    #[arg(long, value_name = "IMAGES|FEATURES", required_unless_present_any = ["classifier", "generator"])]
    synthetic: Option<String>,

    /// Attack this classifier, a folder that `standin classify --out` wrote
    #[arg(long, value_name = "DIR", conflicts_with_all = ["synthetic", "reference"])]
    classifier: Option<PathBuf>,

    /// Attack this generator with its weights, a folder that `standin generate --out` wrote
    #[arg(long, value_name = "DIR", conflicts_with_all = ["synthetic", "classifier", "reference"])]
    generator: Option<PathBuf>,

    /// Images that were trained on, or their features
    #[arg(long, value_name = "IMAGES|FEATURES")]
    members: String,

    /// Images of the same population that were not
    #[arg(long, value_name = "IMAGES|FEATURES")]
    non_members: String,

    /// Real images that are neither, for the attacks that compare with them
    #[arg(long, value_name = "IMAGES|FEATURES")]
    reference: Option<String>,

    /// A classifier or generator trained like the one attacked, on none of the members and non-members; may be repeated
    #[arg(long = "shadow", value_name = "DIR", conflicts_with = "synthetic")]
    shadows: Vec<PathBuf>,

    /// What the classifier answers with: logits, prediction, or a number of decimals that probabilities are rounded to
    #[arg(long, value_name = "logits|prediction|N", default_value = "logits", value_parser = outputs, requires = "classifier")]
    outputs: Outputs,

    /// Attacks to run [default: all that see this release and whose needs are met]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    attacks: Vec<String>,

    /// The encoder of images
    #[arg(long, value_name = "NAME", default_value = "pixels")]
    encoder: String,

    /// δ of the lower bound on ε [default: 1/(N ln N) for N members]
    #[arg(long, value_name = "NUMBER")]
    delta: Option<f64>,

    /// Write a table with the scores of every candidate
    #[arg(long, value_name = "FILE.csv")]
    scores: Option<PathBuf>,

    /// Seed of everything drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Replace a file of this name
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    import: ImportArguments,
}

fn outputs(text: &str) -> Result<Outputs, String> {
    let outputs = match (text, text.parse()) {
        ("logits", _) => Some(Outputs::Logits),
        ("prediction", _) => Some(Outputs::Prediction),
        (_, Ok(decimals)) => Some(Outputs::Decimals(decimals)),
        (_, Err(_)) => None,
    };
    let known = outputs.filter(|outputs| outputs.is_valid());
    known.ok_or_else(|| format!("give logits, prediction, or 1 to {} decimals", Outputs::MOST_DECIMALS))
}

/// The chance of any false alarm that is accepted.
const ALPHA: f64 = 0.05;

/// All that was found.
#[derive(Debug, Serialize)]
struct Attacked {
    /// What was attacked.
    release: String,
    members: usize,
    non_members: usize,
    /// Non-members left out because a member is the same.
    duplicates: usize,
    /// Share of candidates whose nearest other is of their own side, before any release is looked at: ½ where both sides are
    /// of one population.
    population: Estimate,
    delta: f64,
    attacks: Vec<Row>,
    /// Attacks on this release whose needs are not met.
    left_out: Vec<LeftOut>,
}

/// One attack.
#[derive(Debug, Serialize)]
struct Row {
    attack: &'static str,
    p_value: f64,
    /// Corrected for the number of attacks (Holm 1979).
    corrected_p_value: f64,
    #[serde(flatten)]
    evaluation: Evaluation,
    epsilon_lower: Outcome,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    attack: &'static str,
    needs: String,
}

/// What cannot be attacked like this.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{name} attacks {needed}, and {given} were given; choose among {known}")]
    Access { name: String, needed: Access, given: &'static str, known: String },
    #[error("{name} needs {needs}; {remedy}")]
    Needs { name: String, needs: String, remedy: &'static str },
    #[error(
        "attacks on classifiers and generators ask about images; give images as --members and --non-members, and no features"
    )]
    Features,
    #[error(
        "members or non-members have no labels, which attacks on classifiers and generators need; give labelled images"
    )]
    Labels,
    #[error("all {count} non-members are members too, so that there is nothing to compare; give other images")]
    Same { count: usize },
}

/// What is attacked.
enum Release {
    Images(Box<Released>),
    Classifier(Box<dyn TrainedClassifier>),
    Generator(Box<dyn Trained>),
}

/// Released images, and what an attacker has beside them.
struct Released {
    synthetic: Seen,
    reference: Option<Seen>,
}

impl Release {
    fn read(arguments: &Arguments, reader: &Reader<'_>) -> Result<Self, Failure> {
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

    fn access(&self) -> Access {
        match self {
            Self::Images(_) => Access::Images,
            Self::Classifier(_) => Access::Classifier,
            Self::Generator(_) => Access::Generator,
        }
    }

    /// What was given, for people.
    fn words(&self) -> &'static str {
        match self {
            Self::Images(_) => "images",
            Self::Classifier(_) => "a classifier",
            Self::Generator(_) => "a generator",
        }
    }

    /// Whether this release and what is known of the candidates have what an attack needs.
    fn meets(&self, need: Need, candidates: &Candidates, shadows: bool) -> bool {
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
struct Candidates {
    members: Embedding,
    non_members: Embedding,
    /// The same as images; none where features were given.
    images: [Option<ImageSet>; 2],
    /// The non-members that are kept, among all that were given.
    kept: Vec<usize>,
    duplicates: usize,
}

impl Candidates {
    fn read(arguments: &Arguments, reader: &Reader<'_>) -> Result<Self, Failure> {
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
    fn joint(&self, classes: Option<&[String]>) -> Result<ImageSet, Failure> {
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

impl Arguments {
    /// Attacks and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        refuse_to_replace(&self.scores, self.force)?;
        let reader = Reader::new(self.import.options(), context);
        let candidates = Candidates::read(&self, &reader)?;
        let release = Release::read(&self, &reader)?;
        let (families, left_out) = self.families(&release, &candidates)?;
        let seed = Seed::new(self.seed);
        let population = population(&candidates.members, &candidates.non_members, seed.derive("population"))?;
        if population.low > 0.5 {
            context.terminal.warn(&format!(
                "members and non-members differ by themselves: {:.3} [{:.3}, {:.3}] of them have their nearest other on their own \
                 side, where 0.5 is expected of one population; an attack may then succeed without any leak",
                population.value, population.low, population.high
            ));
        }
        let count = candidates.members.rows();
        let delta = self.delta.unwrap_or_else(|| 1.0 / (count as f64 * (count as f64).ln().max(1.0)));
        let progress = context.terminal.progress("");
        let scores = match &release {
            Release::Images(released) => self.on_images(&families, &candidates, released, &progress)?,
            Release::Classifier(classifier) => {
                self.on_classifier(classifier.as_ref(), &families, &candidates, &progress)?
            }
            Release::Generator(generator) => {
                self.on_generator(generator.as_ref(), &families, &candidates, &progress)?
            }
        };
        let mut attacks = Vec::new();
        for (family, scores) in families.iter().zip(&scores) {
            let (inside, outside) = scores.split_at(count);
            let seed = seed.derive(family.name);
            let evaluation = evaluate(inside, outside, seed)?;
            let epsilon_lower = epsilon_lower(inside, outside, delta, seed)?;
            let (p_value, corrected_p_value) = (evaluation.p_value, 1.0);
            attacks.push(Row { attack: family.name, p_value, corrected_p_value, evaluation, epsilon_lower });
        }
        let corrected = holm(&attacks.iter().map(|row| row.p_value).collect::<Vec<_>>());
        attacks.iter_mut().zip(corrected).for_each(|(row, corrected)| row.corrected_p_value = corrected);
        if let Some(path) = &self.scores {
            write_scores(path, &families, &scores, &candidates)?;
        }
        let release = match (self.classifier.as_ref().or(self.generator.as_ref()), &self.synthetic) {
            (Some(folder), _) => folder.display().to_string(),
            (None, images) => images.clone().unwrap_or_default(),
        };
        let attacked = Attacked {
            release,
            members: count,
            non_members: candidates.non_members.rows(),
            duplicates: candidates.duplicates,
            population,
            delta,
            attacks,
            left_out,
        };
        context.output.print(&attacked, || attacked.table())?;
        Ok(Status::Done)
    }

    /// The attacks to run, and those on this release whose needs are not met.
    fn families(
        &self,
        release: &Release,
        candidates: &Candidates,
    ) -> Result<(Vec<&'static Family>, Vec<LeftOut>), Failure> {
        let access = release.access();
        let all = || ATTACKS.iter().filter(move |family| family.access == access);
        let unmet = |family: &Family| -> Vec<Need> {
            let met = |need: &Need| release.meets(*need, candidates, !self.shadows.is_empty());
            family.needs.iter().copied().filter(|need| !met(need)).collect()
        };
        let words = |needs: &[Need]| needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        if self.attacks.is_empty() {
            let (families, others) = all().partition::<Vec<_>, _>(|family| unmet(family).is_empty());
            let left_out =
                others.iter().map(|family: &&Family| LeftOut { attack: family.name, needs: words(&unmet(family)) });
            return Ok((families, left_out.collect()));
        }
        let mut families = Vec::new();
        for name in &self.attacks {
            let family = attack(name)?;
            if family.access != access {
                let given = release.words();
                let known = all().map(|family| family.name).collect::<Vec<_>>().join(", ");
                return Err(Refused::Access { name: name.clone(), needed: family.access, given, known }.into());
            }
            let unmet = unmet(family);
            if let Some(need) = unmet.first() {
                let remedy = match need {
                    Need::Reference => "give --reference IMAGES that are neither members nor non-members",
                    Need::ShadowsInAndOut => {
                        "retrain the whole pipeline as shadows: `standin bench` with attacks.shadows"
                    }
                    Need::Pictures => "give images on every side, and no file of features",
                    Need::EuclideanFeatures => "choose another --encoder, such as pixels",
                    Need::Labels => "give labelled images on every side",
                    Need::ShadowsOut => "give --shadow DIR, models trained like this one on other images",
                    Need::Discriminator => "train the generator with keep_discriminator = true, where it has one",
                    Need::Denoiser | Need::Decoder | Need::Likelihood => "choose an attack that this generator allows",
                };
                return Err(Refused::Needs { name: name.clone(), needs: words(&unmet), remedy }.into());
            }
            families.push(family);
        }
        Ok((families, Vec::new()))
    }

    /// The scores of each attack on released images.
    fn on_images(
        &self,
        families: &[&Family],
        candidates: &Candidates,
        released: &Released,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        let Released { synthetic, reference } = released;
        let all = candidates.members.concat(&candidates.non_members)?;
        let features = reference.as_ref().map(|reference| &reference.features);
        let target = ImagesTarget::new(&synthetic.features, features, &all)?;
        let pictured = families.iter().any(|family| family.needs.contains(&Need::Pictures));
        let (Some(images), true) = (&synthetic.images, pictured) else {
            return score(families, &Target::Images(target), progress);
        };
        // Labels are asked for where an attack that needs them runs.
        let labelled = families.iter().any(|family| family.needs.contains(&Need::Labels));
        let classes = images.labels().filter(|_| labelled).map(|labels| labels.classes.as_slice());
        let candidates = candidates.joint(classes)?;
        let reference = reference.as_ref().and_then(|reference| reference.images.as_ref());
        let pictures = Pictures { released: images, reference, candidates: &candidates };
        score(families, &Target::Images(target.with_pictures(pictures)?), progress)
    }

    /// The scores of each attack on a classifier.
    fn on_classifier(
        &self,
        classifier: &dyn TrainedClassifier,
        families: &[&Family],
        candidates: &Candidates,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        let classes = classifier.classes();
        let images = candidates.joint(Some(classes))?;
        let labels = &images.require_labels("an attack on a classifier")?.values;
        let answers = |classifier: &dyn TrainedClassifier| -> Result<Vec<f32>, Failure> {
            Ok(self.outputs.shown(&classifier.logits(&images)?).values().to_vec())
        };
        let of_target = answers(classifier)?;
        let mut of_shadows = Vec::new();
        for folder in &self.shadows {
            of_shadows.push((answers(standin_classify::load(folder)?.as_ref())?, vec![false; labels.len()]));
        }
        let shadows = of_shadows
            .iter()
            .map(|(values, member)| Ok(Shadow { logits: Logits::new(values, classes.len())?, member }))
            .collect::<standin_attack::Result<Vec<_>>>()?;
        let logits = Logits::new(&of_target, classes.len())?;
        score(families, &Target::Classifier(ClassifierTarget::new(logits, labels, &shadows)?), progress)
    }

    /// The scores of each attack on a generator.
    fn on_generator(
        &self,
        generator: &dyn Trained,
        families: &[&Family],
        candidates: &Candidates,
        progress: &dyn Progress,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        let images = candidates.joint(Some(generator.description().classes))?;
        let trained = self.shadows.iter().map(|folder| standin_generate::load(folder));
        let trained = trained.collect::<standin_generate::Result<Vec<_>>>()?;
        let outside = vec![false; images.len()];
        let shadows: Vec<GeneratorShadow<'_>> = trained
            .iter()
            .map(|generator| GeneratorShadow { generator: generator.as_ref(), member: &outside })
            .collect();
        let seed = Seed::new(self.seed).derive("generator");
        score(families, &Target::Generator(GeneratorTarget::new(generator, &images, &shadows, seed)?), progress)
    }
}

fn score(families: &[&Family], target: &Target<'_>, progress: &dyn Progress) -> Result<Vec<Vec<f64>>, Failure> {
    progress.begin("attacks", families.len() as u64);
    let mut scores = Vec::new();
    for family in families {
        progress.status(family.name);
        scores.push(family.build().score(target)?);
        progress.advance(1);
    }
    progress.end();
    Ok(scores)
}

/// One row a candidate: its side, its place there, and what each attack says.
fn write_scores(
    path: &Path,
    families: &[&Family],
    scores: &[Vec<f64>],
    candidates: &Candidates,
) -> Result<(), Failure> {
    let mut table = csv::Writer::from_path(path)?;
    table.write_record(["member", "index"].into_iter().chain(families.iter().map(|family| family.name)))?;
    let places = (0..candidates.members.rows()).map(|at| ("1", at)).chain(candidates.kept.iter().map(|&at| ("0", at)));
    for (row, (side, place)) in places.enumerate() {
        let scores = scores.iter().map(|scores| scores[row].to_string());
        table.write_record([side.to_owned(), place.to_string()].into_iter().chain(scores))?;
    }
    table.flush()?;
    Ok(())
}

impl Attacked {
    fn table(&self) -> String {
        let header = [
            ("attack", Align::Left),
            ("AUC", Align::Right),
            ("95 % interval", Align::Left),
            ("p", Align::Right),
            ("corrected p", Align::Right),
            ("TPR at 1 % FPR", Align::Right),
            ("at 0.1 %", Align::Right),
            ("ε at least", Align::Right),
        ];
        let rows = self.attacks.iter().map(|row| {
            let rate = |wanted: f64| {
                let found = row.evaluation.true_positive_rates.iter();
                let at = found.clone().find(|RateAt { false_positive_rate, .. }| *false_positive_rate == wanted);
                figure(at.map(|rate| &rate.outcome))
            };
            let auc = &row.evaluation.auc;
            vec![
                row.attack.to_owned(),
                format!("{:.3}", auc.value),
                format!("[{:.3}, {:.3}]", auc.low, auc.high),
                probability(row.p_value),
                probability(row.corrected_p_value),
                rate(0.01),
                rate(0.001),
                figure(Some(&row.epsilon_lower)),
            ]
        });
        let mut text = table(&header, rows);
        let Self { release, members, non_members, delta, .. } = self;
        let _ = write!(text, "\n\n{release}: {members} members, {non_members} non-members, δ = {delta:.2e}\n");
        if self.duplicates > 0 {
            let _ = writeln!(text, "{} non-members are the same as a member and were left out.", self.duplicates);
        }
        let found = self.attacks.iter().min_by(|a, b| a.corrected_p_value.total_cmp(&b.corrected_p_value));
        let verdict = match found {
            Some(row) if row.corrected_p_value <= ALPHA => format!(
                "The release tells members from non-members: {} at a corrected p of {}.",
                row.attack,
                probability(row.corrected_p_value)
            ),
            _ => format!(
                "No attack tells members from non-members at a corrected p of {ALPHA}; that is a statement about these attacks, and \
                 no proof of privacy."
            ),
        };
        let _ = writeln!(text, "{verdict}");
        let _ = writeln!(
            text,
            "This holds if, but for training, members and non-members are exchangeable: drawn from one population in one way."
        );
        for LeftOut { attack, needs } in &self.left_out {
            let _ = writeln!(text, "Left out: {attack}, which needs {needs}.");
        }
        text
    }
}

fn figure(outcome: Option<&Outcome>) -> String {
    outcome.and_then(Outcome::estimate).map_or_else(|| "–".to_owned(), |estimate| format!("{:.3}", estimate.value))
}

fn probability(p: f64) -> String {
    if p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
