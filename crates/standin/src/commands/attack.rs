//! `standin attack`: membership inference on released images, a released classifier or a released generator, without a study.

mod found;
mod given;

use std::path::PathBuf;

use standin_attack::{
    ATTACKS, Access, ClassifierTarget, Family, GeneratorShadow, GeneratorTarget, ImagesTarget, Logits, Need, Pictures,
    Shadow, Target, attack, epsilon_lower, evaluate, holm, population,
};
use standin_classify::{Outputs, TrainedClassifier};
use standin_data::{Progress, Seed};
use standin_generate::Trained;

use super::Context;
use super::data::ImportArguments;
use super::images::Reader;
use super::replace::refuse_to_replace;
use crate::failure::{Failure, Status};
use found::{Attacked, LeftOut, Row, write_scores};
use given::{Candidates, Release, Released};

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
