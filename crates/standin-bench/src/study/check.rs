//! What is checked about a study before anything is read or trained.

use std::collections::BTreeSet;
use std::path::Path;

use standin_attack::{Access, Family, Need};
use standin_data::Amount;
use standin_generate::PublicImages;

use super::configuration::{CanaryKind, Data, Generator, PlantedCanaries, Side, Slurm, Study};
use super::encoders;
use super::refusal::{Refusal, distinct, known, refusal, require};
use crate::gate::{GateError, GateExpression, KnownFigures};

/// Checks that all parts of a study can work together.
pub(super) fn check(study: &Study) -> Result<(), Refusal> {
    let plain = !study.name.is_empty() && study.name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    require(plain, || format!("name = \"{}\"", study.name), "a study's name consists of letters, digits, - _ and .")?;
    let distinct = study.seeds.iter().collect::<BTreeSet<_>>().len() == study.seeds.len();
    require(
        distinct && !study.seeds.is_empty(),
        || format!("seeds = {:?}", study.seeds),
        "give one or more seeds, each once",
    )?;
    check_sides(study)?;
    check_classifiers(study)?;
    study.generators.iter().try_for_each(|generator| check_generator(study, generator))?;
    check_releases(study)?;
    check_measures_and_attacks(study)?;
    check_canaries(study)?;
    check_gates(study)?;
    study.slurm.as_ref().map_or(Ok(()), Slurm::check)
}

/// Whether everything that could be released was made elsewhere.
fn only_given(study: &Study) -> bool {
    study.generators.is_empty() && study.released_classifiers.is_empty()
}

fn check_sides(study: &Study) -> Result<(), Refusal> {
    let Data { train, holdout, test, .. } = &study.data;
    let enough = "a study needs at least two images on every side";
    let share = |key: &str, share: f64| {
        let found = || format!("data.{key} = {share}");
        require(share > 0.0 && share < 1.0, found, "give a share above 0 and below 1, or a number of images")
    };
    match train {
        Some(Amount::Count(train)) => require(*train >= 2, || format!("data.train = {train}"), enough)?,
        Some(Amount::Share(of)) => share("train", *of)?,
        None => {}
    }
    if let Side::Share(of) = test {
        share("test", *of)?;
    }
    match holdout {
        Side::Count(0) if only_given(study) => Ok(()),
        Side::Count(count) if !study.images.is_empty() && *count > 0 => Err(refusal(
            format!("data.holdout = {count} with [[images]] made elsewhere"),
            "images drawn at random may be some that their generator saw: name a part or { source = … } that it did not",
        )),
        Side::Share(of) if !study.images.is_empty() => Err(refusal(
            format!("data.holdout = {of} with [[images]] made elsewhere"),
            "images drawn at random may be some that their generator saw: name a part or { source = … } that it did not",
        )),
        Side::Count(count) => require(*count >= 2, || format!("data.holdout = {count}"), enough),
        Side::Share(of) => share("holdout", *of),
        Side::Part(_) | Side::Source { .. } => Ok(()),
        Side::Rest => Err(refusal("data.holdout is missing", "give a number, the name of a part, or { source = … }")),
    }
}

/// What begins the name of an encoder in a file.
const FILE: &str = "onnx:";

/// What to do about settings that are refused.
const SETTINGS: &str = "docs/generators.md and docs/classifiers.md name the settings of each family";

fn check_classifiers(study: &Study) -> Result<(), Refusal> {
    require(
        !study.classifiers.is_empty() || only_given(study),
        || "classifier = []".into(),
        "utility needs at least one [[classifier]]",
    )?;
    require(
        study.classifiers.first().is_none_or(|classifier| classifier.utility),
        || "the first classifier has utility = false".into(),
        "the verdict rests on the first: put one before it that measures utility",
    )?;
    distinct("classifiers", study.classifiers.iter().map(|classifier| classifier.name.as_str()))?;
    for classifier in &study.classifiers {
        known("classifier family", classifier.family(), standin_classify::CLASSIFIERS.iter().map(|f| f.name))?;
        standin_classify::family(classifier.family())
            .and_then(|family| (family.build)(&classifier.settings))
            .map_err(|error| refusal(format!("classifier \"{}\": {error}", classifier.name), SETTINGS))?;
    }
    Ok(())
}

fn check_generator(study: &Study, generator: &Generator) -> Result<(), Refusal> {
    let Generator { name, family, epsilon, public, settings, sampling, released: _ } = generator;
    known("generator family", family, standin_generate::GENERATORS.iter().map(|f| f.name))?;
    let about = |error: &dyn std::fmt::Display| format!("generator \"{name}\": {error}");
    let family = standin_generate::family(family).map_err(|error| refusal(about(&error), SETTINGS))?;
    (family.build)(settings).map_err(|error| refusal(about(&error), SETTINGS))?;
    let request = sampling.request(sampling.count.unwrap_or(1));
    request.check().map_err(|error| refusal(about(&error), "see docs/studies.md"))?;
    check_sampling(study, generator)?;
    match (family.public, public) {
        (PublicImages::Needed, None) => {
            let found = format!("generator \"{name}\" of the family {} has no public images", family.name);
            return Err(refusal(found, "name a set that needs no protection: public = \"SOURCE\""));
        }
        (PublicImages::Unused, Some(source)) => {
            let found = format!("generator \"{name}\" has public = \"{source}\", and {} learns from none", family.name);
            return Err(refusal(found, "remove it"));
        }
        _ => {}
    }
    match (family.private, *epsilon) {
        (true, None) => Err(refusal(
            format!("generator \"{name}\" of the private family {} has no epsilon", family.name),
            "add, for example, epsilon = 1.0",
        )),
        (false, Some(epsilon)) => Err(refusal(
            format!("generator \"{name}\" has epsilon = {epsilon}, but {} gives no guarantee", family.name),
            "remove epsilon, or choose a private family (`standin list generators`)",
        )),
        // What shares come to is known with the images; the plan checks it.
        (true, Some(epsilon)) => match study.data.train.map(|train| match train {
            Amount::Count(train) => study.privacy.target(epsilon).budget(train).map(drop),
            Amount::Share(_) => Ok(()),
        }) {
            None => Err(refusal(
                format!("data.train is missing, and generator \"{name}\" is private"),
                "give the number of training images, which δ depends on",
            )),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(refusal(
                about(&error),
                "choose epsilon above 0, and in [privacy] leave delta out for 1/(N ln N) or insist with \
                 allow_large_delta = true",
            )),
        },
        (false, None) => Ok(()),
    }
}

/// What decides which images of a generator are released.
fn check_sampling(study: &Study, generator: &Generator) -> Result<(), Refusal> {
    let Generator { name, sampling, .. } = generator;
    let about = |setting: &str, value: f64| format!("generator \"{name}\": sampling.{setting} = {value}");
    let share = |setting: &str, value: f64| {
        require(value > 0.0 && value < 1.0, || about(setting, value), "give a number above 0 and below 1")
    };
    require(sampling.count != Some(0), || about("count", 0.0), "give at least 1 image")?;
    require(
        sampling.surplus.is_finite() && sampling.surplus >= 1.0,
        || about("surplus", sampling.surplus),
        "give at least 1: the images drawn for each that is released",
    )?;
    require(
        sampling.perturbation.is_finite() && sampling.perturbation >= 0.0,
        || about("perturbation", sampling.perturbation),
        "give a standard deviation of at least 0, in steps of 0 to 255",
    )?;
    if let Some(confidence) = &sampling.confidence {
        share("confidence.at_least", confidence.at_least)?;
        if let Some(classifier) = &confidence.classifier {
            known("classifier", classifier, study.classifiers.iter().map(|c| c.name.as_str()))?;
        }
    }
    if let Some(likeness) = &sampling.likeness {
        let value = likeness.at_least;
        require(
            value.is_finite() && value > 0.0,
            || about("likeness.at_least", value),
            "give a number above 0; 1 is usual",
        )?;
    }
    if let Some(no_copies) = &sampling.no_copies {
        share("no_copies.false_match_rate", no_copies.false_match_rate)?;
        require(
            study.data.holdout != Side::Count(0),
            || format!("generator \"{name}\": sampling.no_copies without a holdout"),
            "how near is too near is learnt from real images that were not trained on: give data.holdout",
        )?;
    }
    let likeness = sampling.likeness.iter().map(|likeness| &likeness.encoder);
    let copies = sampling.no_copies.iter().map(|no_copies| &no_copies.encoder);
    for encoder in likeness.chain(copies) {
        match encoder {
            Some(encoder) if !encoder.starts_with(FILE) => known("encoder", encoder, encoders::names())?,
            None => require(
                !study.measures.encoders.is_empty(),
                || format!("generator \"{name}\": a filter names no encoder, and measures.encoders = []"),
                "name one: encoder = \"pixels\"",
            )?,
            Some(_) => {}
        }
    }
    require(
        generator.epsilon.is_none() || !sampling.looks_at_private_images(),
        || format!("generator \"{name}\" is private, and its sampling filters by looking at private images"),
        "no guarantee covers that: remove confidence, likeness and no_copies, or epsilon",
    )
}

fn check_releases(study: &Study) -> Result<(), Refusal> {
    let generators = || study.generators.iter().map(|generator| generator.name.as_str());
    let released = study.released_classifiers.iter().map(|released| released.name.as_str());
    let given = study.images.iter().map(|images| images.name.as_str());
    let opened = study.released_generators.iter().map(|released| released.name.as_str());
    let releases: Vec<&str> = generators().chain(given).chain(released).chain(opened).collect();
    require(
        !releases.is_empty(),
        || "no [[generator]], no [[images]] and no [[released_classifier]]".into(),
        "name at least one release",
    )?;
    distinct("releases", releases.into_iter())?;
    for Generator { name, .. } in study.generators.iter().filter(|generator| !generator.released) {
        let trains = study.released_classifiers.iter().any(|release| release.generator.as_ref() == Some(name));
        let opened = study.released_generators.iter().any(|release| release.generator == *name);
        require(
            trains || opened,
            || format!("generator \"{name}\" has released = false, and no released classifier or generator needs it"),
            "release its images, or leave it out",
        )?;
    }
    for release in &study.released_classifiers {
        known("classifier", &release.classifier, study.classifiers.iter().map(|c| c.name.as_str()))?;
        require(
            release.outputs.is_valid(),
            || format!("released classifier \"{}\": outputs = {:?}", release.name, release.outputs),
            "give 1 to 6 decimals, \"prediction\" or \"logits\"",
        )?;
        if let Some(generator) = &release.generator {
            known("generator", generator, generators())?;
        }
    }
    for release in &study.released_generators {
        known("generator", &release.generator, generators())?;
    }
    Ok(())
}

fn check_measures_and_attacks(study: &Study) -> Result<(), Refusal> {
    let (measures, attacks) = (&study.measures, &study.attacks);
    for encoder in measures.encoders.iter().chain(&attacks.encoders) {
        if !encoder.starts_with(FILE) {
            known("encoder", encoder, encoders::names())?;
        }
    }
    require(
        measures.false_match_rate > 0.0 && measures.false_match_rate < 1.0,
        || format!("measures.false_match_rate = {}", measures.false_match_rate),
        "give the share of holdout images that may be taken for copies, such as 0.01",
    )?;
    for measure in &measures.names {
        known("measure", measure, standin_measure::MEASURES.iter().map(|f| f.name))?;
    }
    require(
        attacks.shadows.is_multiple_of(2) && attacks.shadows != 2,
        || format!("attacks.shadows = {}", attacks.shadows),
        "shadows come in complementary pairs, and a spread needs two on each side: give 0 or an even number from 4",
    )?;
    for attack in &attacks.names {
        known("attack", attack, standin_attack::ATTACKS.iter().map(|f| f.name))?;
        let family = |fits: &dyn Fn(&Family) -> bool| {
            standin_attack::ATTACKS.iter().any(|family| family.name == attack && fits(family))
        };
        require(
            !study.released_generators.is_empty() || !family(&|family| family.access == Access::Generator),
            || format!("attack \"{attack}\" without a [[released_generator]]"),
            "it needs the weights of a generator: release one, or leave the attack out",
        )?;
        let shadowed = standin_attack::ATTACKS.iter().any(|f| f.name == attack && f.needs_shadows());
        require(
            attacks.shadows > 0 || !shadowed,
            || format!("attack \"{attack}\" with attacks.shadows = 0"),
            "it needs shadows: give, for example, 16",
        )?;
    }
    for (key, value) in [
        ("measures.limit", measures.limit),
        ("attacks.limit", attacks.limit),
        ("attacks.generator_limit", attacks.generator_limit),
    ] {
        require(value >= 2, || format!("{key} = {value}"), "give at least 2")?;
    }
    Ok(())
}

fn check_canaries(study: &Study) -> Result<(), Refusal> {
    for PlantedCanaries { kind, source, count, runs, releases } in &study.canaries {
        require(
            !only_given(study),
            || "[[canaries]] where all images are made elsewhere".into(),
            "an audit with canaries trains generators and classifiers again: name one, or leave them out",
        )?;
        match (kind, source) {
            (CanaryKind::Foreign, None) => {
                return Err(refusal(
                    "foreign canaries without a source",
                    "name a set of other images: source = \"SOURCE\"",
                ));
            }
            (CanaryKind::Foreign, Some(_)) | (_, None) => {}
            (kind, Some(source)) => {
                let found = format!("{kind} canaries with source = \"{source}\"");
                return Err(refusal(found, "remove it: only foreign ones come from elsewhere"));
            }
        }
        require(
            *count >= 10,
            || format!("canaries.count = {count}"),
            "give at least 10, and some hundred for a bound above 1",
        )?;
        require(*runs >= 1, || format!("canaries.runs = {runs}"), "give at least 1")?;
        let known_releases = audited(study);
        for release in releases {
            known("release that is trained here", release, known_releases.iter().copied())?;
        }
    }
    let kinds: Vec<String> = study.canaries.iter().map(|canaries| canaries.kind.to_string()).collect();
    distinct("kinds of [[canaries]]", kinds.iter().map(String::as_str))
}

/// Names of the releases that can be trained again.
fn audited(study: &Study) -> Vec<&str> {
    let images = study.generators.iter().filter(|generator| generator.released);
    let generators = images.map(|generator| generator.name.as_str());
    let classifiers = study.released_classifiers.iter().map(|released| released.name.as_str());
    generators
        .chain(classifiers)
        .chain(study.released_generators.iter().map(|released| released.name.as_str()))
        .collect()
}

/// What is measured of every set without being asked for.
const OF_IMAGES: [&str; 3] = ["mean-image-size", "mean-image-variety", "class-score"];

fn check_gates(study: &Study) -> Result<(), Refusal> {
    let known = KnownFigures {
        measures: study.measures.names.iter().map(String::as_str).chain(OF_IMAGES).map(str::to_owned).collect(),
        attacks: standin_attack::ATTACKS
            .iter()
            .filter(|family| family.access == Access::Images)
            .filter(|family| match study.attacks.names.as_slice() {
                // Those that train networks run only where they are named.
                [] => !family.needs.contains(&Need::Pictures),
                names => names.iter().any(|name| name == family.name),
            })
            .map(|family| family.name.to_owned())
            .collect(),
        classifiers: study.classifiers.iter().map(|classifier| classifier.name.clone()).collect(),
        encoders: study.measures.encoders.iter().chain(&study.attacks.encoders).map(|name| stamped(name)).collect(),
        holdout: study.data.holdout != Side::Count(0),
        identities: false,
    };
    for gate in &study.gates {
        let expression: GateExpression = gate.parse().map_err(refused)?;
        expression.check(&known).map_err(refused)?;
    }
    Ok(())
}

fn refused(error: GateError) -> Refusal {
    refusal(format!("gate `{}`, column {}: {}", error.expression, error.column, error.found), error.remedy)
}

/// How the stamps of an encoder's features begin: of one in a file only with the file's name.
fn stamped(encoder: &str) -> String {
    match encoder.strip_prefix(FILE) {
        Some(file) => {
            let path = file.split('#').next().unwrap_or(file);
            let name = Path::new(path).file_name().map_or_else(|| path.into(), |name| name.to_string_lossy());
            format!("{FILE}{name}")
        }
        None => encoder.to_owned(),
    }
}
