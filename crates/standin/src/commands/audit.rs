//! `standin audit`: any synthetic images, made by any tool, against the real ones.

mod identities;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use standin_bench::study::{Attacks, Classifier, Data, GivenImages, Measures, Protocols, Side, Study, StudyImages};
use standin_data::{ExportFormat, ImageSet, Parts, Source, export};
use standin_measure::{Convention, MEASURES};

use super::Context;
use super::audit_results::results;
use super::data::ImportArguments;
use super::measure::{defaults, measure_names, require_encoder};
use super::run_study::{Finished, Folders};
use crate::failure::{Failure, Status};

/// Images per side that enter measures and attacks where no limit is given: their cost grows with its square.
const LIMIT: usize = 10_000;

/// Measures of an audit besides those of a study.
const ON_COPYING: [&str; 3] = ["copying-z", "nearest-ratio", "identical-matches"];

/// Audit synthetic images made by any tool: fidelity, variety, copying, membership, utility
///
/// Give the real images the generator was trained on and the synthetic ones; every figure comes with a 95 % interval.
/// With --holdout, real images of the same population that the generator never saw, it is also measured whether training
/// images were copied and whether an attacker can tell who was in the training set. With labels, classifiers are trained
/// on the synthetic images and tested on real ones.
///
/// Images are named SET[@PART][@COLUMN=VALUE]…: a folder or file in any form `standin data import` reads, or a public
/// set's name; a part of it; and only the images with that value in a column.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin audit --train scans/ --synthetic fakes/
  standin audit --train scans/ --holdout unseen/ --synthetic fakes/ --gate 'attack.strongest.auc < 0.6'
  standin audit --train faces@kind=real --synthetic gan=faces@kind=synthetic --encoder onnx:inception.onnx#fid-inception
  standin audit --train a/ --holdout b/ --synthetic low=c/ --synthetic high=d/    several sets, ranked
  standin audit --train a/ --holdout b/ --synthetic c/ --filter-copies clean/     write the set without its copies

Exit status: 0 done, 1 a gate failed, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// The real images that the generator was trained on
    #[arg(long, value_name = "IMAGES")]
    train: String,

    /// Synthetic images; several sets are compared, each under the name before `=`
    #[arg(long, required = true, value_name = "[NAME=]IMAGES")]
    synthetic: Vec<String>,

    /// Real images of the same population that it did not see [default: the set's part `holdout`, if it has one]
    #[arg(long, value_name = "IMAGES")]
    holdout: Option<String>,

    /// Real images on which utility is measured [default: the set's part `test`, else the holdout]
    #[arg(long, value_name = "IMAGES")]
    test: Option<String>,

    /// Encoders whose features are compared, also onnx:FILE[#PRESET] [default: pixels, scattering]
    #[arg(long = "encoder", value_name = "NAME", value_delimiter = ',')]
    encoders: Vec<String>,

    /// Measures to take, or `all` [default: twelve of them; see `standin list measures`]
    #[arg(long = "measure", value_name = "NAME", value_delimiter = ',')]
    measures: Vec<String>,

    /// The tool whose precision, recall, density and coverage are wanted: prdc, torch-fidelity, dpimagebench
    #[arg(long, value_name = "TOOL")]
    convention: Option<Convention>,

    /// Attacks to run [default: every one on images]
    #[arg(long = "attack", value_name = "NAME", value_delimiter = ',')]
    attacks: Vec<String>,

    /// Classifiers that measure utility, where there are labels [default: cnn, logistic]
    #[arg(long = "classifier", value_name = "NAME", value_delimiter = ',')]
    classifiers: Vec<String>,

    /// Train no classifier
    #[arg(long, conflicts_with_all = ["classifiers", "augmented", "groups"])]
    no_utility: bool,

    /// Also train on real and synthetic images together
    #[arg(long)]
    augmented: bool,

    /// Columns of the test images by whose values accuracy is told apart
    #[arg(long = "group", value_name = "COLUMN", value_delimiter = ',')]
    groups: Vec<String>,

    /// Column of the real images whose values (patients, identities) belong together
    #[arg(long, value_name = "COLUMN")]
    identity: Option<String>,

    /// Ask about identities, all images of one person or patient together: which of them do synthetic images show? Needs an encoder
    /// that recognises them, and --identity or class folders
    #[arg(long, value_enum, value_name = "UNIT", conflicts_with_all = STUDY_ONLY)]
    unit: Option<Unit>,

    /// With --unit identity: make the real images on the page unrecognisable
    #[arg(long, requires = "unit")]
    redact: bool,

    /// A condition on the figures, tested at the bad end of its interval; the exit status is 1 if it fails
    #[arg(long = "gate", value_name = "EXPRESSION")]
    gates: Vec<String>,

    /// At most so many images a side enter measures and attacks, drawn at random
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,

    /// Pairs in the gallery of near copies
    #[arg(long, value_name = "N", default_value_t = Measures::default().near_copies)]
    near_copies: usize,

    /// Share of holdout images that may be taken for copies
    #[arg(long, value_name = "SHARE", default_value_t = Measures::default().false_match_rate)]
    false_match_rate: f64,

    /// Write the synthetic images without the copies among them, and a table of those left out
    #[arg(long, value_name = "DIR")]
    filter_copies: Option<PathBuf>,

    /// Trainings of each classifier, with different seeds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    repetitions: u64,

    /// Seed of everything drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// The name of the audit, and of the folder its report goes to
    #[arg(long, value_name = "NAME", default_value = "audit")]
    name: String,

    /// Print the audit as a study file for `standin bench`, and run nothing
    #[arg(long)]
    show: bool,

    #[command(flatten)]
    folders: Folders,

    #[command(flatten)]
    import: ImportArguments,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Unit {
    /// Persons, patients, plates: all images of one together.
    Identity,
}

/// Options that have no meaning where identities are asked about.
const STUDY_ONLY: [&str; 15] = [
    "test",
    "measures",
    "convention",
    "attacks",
    "classifiers",
    "no_utility",
    "augmented",
    "groups",
    "limit",
    "filter_copies",
    "repetitions",
    "show",
    "runs",
    "fail_fast",
    "memory",
];

impl Arguments {
    /// Runs the audit, writes the report, prints the tables.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        if self.unit == Some(Unit::Identity) {
            return self.run_identities(context);
        }
        let (filter, show) = (self.filter_copies.clone(), self.show);
        let asked = !self.classifiers.is_empty();
        let (mut study, folders) = self.into_study()?;
        check_before_reading(&study)?;
        if let Some(target) = filter.as_ref().filter(|target| target.exists() && !folders.force) {
            return Err(Exists { target: target.clone() }.into());
        }
        let mut images = study.import(context.cache, &context.terminal.progress(""))?;
        find_sides(&mut study, &mut images);
        if filter.is_some() && images.data.holdout == Side::Count(0) {
            return Err(NoThreshold.into());
        }
        if !asked
            && !study.classifiers.is_empty()
            && let Some(reason) = without_utility(&images)
        {
            context.terminal.note(&format!("{reason}: usefulness is not measured"));
            study.classifiers.clear();
        }
        if study.classifiers.is_empty() {
            // Only training differs between repetitions of an audit.
            study.seeds.truncate(1);
        }
        study.check(Path::new(ORIGIN))?;
        if show {
            context.output.print(&study, || study.to_toml())?;
            return Ok(Status::Done);
        }
        let sets = images.given.clone();
        let finished = folders.run(&study, images, context)?;
        context.output.print(finished.summary(), || results(finished.summary()))?;
        if let Some(target) = &filter {
            for (given, set) in study.images.iter().zip(&sets) {
                let target = if sets.len() == 1 { target.clone() } else { target.join(&given.name) };
                filter_copies(&finished, &given.name, set, &target, folders.force, context)?;
            }
        }
        Ok(finished.status(context))
    }

    fn into_study(self) -> Result<(Study, Folders), Failure> {
        let options = self.import.options();
        let mut names = BTreeSet::new();
        let images = self
            .synthetic
            .iter()
            .map(|text| {
                let (name, source) = named(text);
                let source = Source::parse(source)?;
                let name = name.map_or_else(|| source.name(), str::to_owned);
                let mut unique = name.clone();
                let mut number = 2;
                while !names.insert(unique.clone()) {
                    unique = format!("{name}-{number}");
                    number += 1;
                }
                Ok(GivenImages { name: unique, source: source.to_string(), import: None })
            })
            .collect::<Result<Vec<_>, standin_data::Error>>()?;
        let side = |text: Option<String>, otherwise: Side| match text {
            Some(source) => Side::Source { source },
            None => otherwise,
        };
        let measures = Measures::default();
        let names = match self.measures.as_slice() {
            [] => defaults(measures.names.iter().map(String::as_str).chain(ON_COPYING), self.convention),
            [all] if all == "all" => MEASURES.iter().map(|family| family.name.to_owned()).collect(),
            _ => self.measures,
        };
        let encoders = if self.encoders.is_empty() { measures.encoders } else { self.encoders };
        for encoder in &encoders {
            require_encoder(&names, encoder)?;
        }
        let classifiers = match (self.no_utility, self.classifiers.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => vec!["cnn".to_owned(), "logistic".to_owned()],
            (false, false) => self.classifiers,
        };
        let study = Study {
            name: self.name,
            seeds: (0..self.repetitions).map(|repetition| self.seed + repetition).collect(),
            data: Data {
                source: self.train,
                train: None,
                holdout: side(self.holdout, Side::Count(0)),
                test: side(self.test, Side::Rest),
                split_seed: self.seed,
                group: self.identity,
                deduplicate: false,
                import: options,
                from: None,
            },
            privacy: Default::default(),
            generators: Vec::new(),
            images,
            sampling: Default::default(),
            classifiers: classifiers.into_iter().map(Classifier::from).collect(),
            released_classifiers: Vec::new(),
            released_generators: Vec::new(),
            utility: Protocols { real_on_synthetic: true, augmented: self.augmented, groups: self.groups },
            measures: Measures {
                encoders: encoders.clone(),
                names: measure_names(&names, self.convention)?,
                limit: self.limit,
                near_copies: self.near_copies,
                false_match_rate: self.false_match_rate,
            },
            attacks: Attacks { names: self.attacks, encoders, limit: self.limit, ..Attacks::default() },
            canaries: Vec::new(),
            thresholds: Default::default(),
            gates: self.gates,
            matrix: None,
            slurm: None,
        };
        Ok((study, self.folders))
    }
}

/// How messages about the study behind an audit name it.
const ORIGIN: &str = "audit";

/// Checks all that can be checked before images are read: the set itself may bring a holdout.
fn check_before_reading(study: &Study) -> Result<(), Failure> {
    let mut study = study.clone();
    if study.data.holdout == Side::Count(0) {
        study.data.holdout = Side::Part("holdout".into());
    }
    Ok(study.check(Path::new(ORIGIN))?)
}

/// `NAME=IMAGES`, unless the whole is a path or the `=` belongs to a condition on a column.
fn named(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, source)) if !Path::new(text).exists() && !name.is_empty() && !name.contains(['@', '/']) => {
            (Some(name), source)
        }
        _ => (None, text),
    }
}

/// Takes the sides that the training images' own set has, where none were given; what is held out is the test set of a
/// set that has none.
fn find_sides(study: &mut Study, images: &mut StudyImages) {
    let own = |name: &str| images.real.find(name).map(|_| Side::Part(name.to_owned()));
    if images.data.holdout == Side::Count(0)
        && let Some(holdout) = own("holdout")
    {
        study.data.holdout = holdout.clone();
        images.data.holdout = holdout;
    }
    if images.data.test == Side::Rest {
        let held_out = matches!(images.data.holdout, Side::Part(_)).then(|| images.data.holdout.clone());
        if let Some(test) = own("test").or(held_out) {
            study.data.test = test.clone();
            images.data.test = test;
        }
    }
}

/// Why no classifier can be trained and tested, if so.
fn without_utility(images: &StudyImages) -> Option<&'static str> {
    if images.real.iter().any(|(_, set)| set.labels().is_none()) {
        return Some("the real images have no labels");
    }
    if images.given.iter().all(|set| set.labels().is_none()) {
        return Some("no synthetic set has labels");
    }
    (images.data.test == Side::Rest).then_some("there are neither test nor holdout images")
}

/// The folder for the filtered images is taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: already exists; choose another folder for --filter-copies, or --force to replace an earlier export", target.display())]
struct Exists {
    target: PathBuf,
}
/// There is nothing to tell copies by.
#[derive(Debug, thiserror::Error)]
#[error(
    "--filter-copies without --holdout: how near is too near is learnt from real images that were not trained on; give --holdout"
)]
struct NoThreshold;

/// Writes a set without the images that are nearer to a training image than chance allows, and a table of those.
fn filter_copies(
    finished: &Finished,
    name: &str,
    set: &ImageSet,
    target: &Path,
    force: bool,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let copies = finished.copies(name)?;
    let dropped: BTreeSet<usize> = copies.iter().map(|copy| copy.synthetic).collect();
    let kept: Vec<usize> = (0..set.len()).filter(|image| !dropped.contains(image)).collect();
    let mut provenance = set.provenance().clone();
    // Which images remain was decided by looking at the private ones: no post-processing, so no guarantee covers it.
    provenance.guarantee = provenance.guarantee.map(|guarantee| {
        format!(
            "none: images near to training images were left out, which the generator's own ({guarantee}) does not cover"
        )
    });
    let clean = set.select(&kept).with_provenance(provenance);
    let exported = export(&Parts::undivided(clean), target, ExportFormat::ClassFolders, force)?;
    let mut table = csv::Writer::from_path(target.join("left-out.csv"))?;
    table.write_record(["image", "file_name", "nearest_training_image", "distance", "p_value"])?;
    for copy in &copies {
        let file = set.column("file_name").map_or("", |column| &column.values[copy.synthetic]);
        table.write_record([
            &copy.synthetic.to_string(),
            file,
            &copy.train.to_string(),
            &copy.distance.to_string(),
            &copy.p_value.to_string(),
        ])?;
    }
    table.flush()?;
    context.terminal.note(&format!(
        "{name}: {} images written to {}, {} left out as copies of training images (left-out.csv)",
        exported.images,
        target.display(),
        copies.len()
    ));
    Ok(())
}
