//! A sweep over sampling trains once, and a temperature that cannot be is refused before anything runs.

use std::collections::BTreeMap;
use std::path::Path;

use standin_bench::study::{Study, StudyError, plan};
use standin_data::Silent;

fn study(generators: &str) -> Result<Study, StudyError> {
    let rest = "name = \"sweep\"\nseeds = [1, 2]\n[data]\nsource = \"digits\"\ntrain = 200\nholdout = 200\n";
    Study::parse(&format!("{rest}{generators}"), Path::new("sweep.toml"))
}

/// Stages of each kind.
fn kinds(generators: &str) -> BTreeMap<&'static str, usize> {
    let study = study(generators).unwrap();
    let images = study.import(Path::new("unused"), &Silent).unwrap();
    let mut kinds = BTreeMap::new();
    for node in plan(&study, images).unwrap().graph.nodes() {
        *kinds.entry(node.stage().kind()).or_default() += 1;
    }
    kinds
}

fn generator(name: &str, rest: &str) -> String {
    format!("[[generator]]\nname = \"{name}\"\nfamily = \"vae\"\n{rest}\n")
}

#[test]
fn generators_that_differ_in_sampling_alone_share_their_training() {
    let sweep = ["0.5", "1.0", "2.0"].map(|t| generator(t, &format!("sampling = {{ temperature = {t} }}"))).concat();
    let found = kinds(&sweep);
    assert_eq!((found["generate"], found["sample"]), (2, 6), "one training and three samples a seed");

    let found = kinds(&[generator("short", "settings.latent = 5"), generator("long", "settings.latent = 9")].concat());
    assert_eq!((found["generate"], found["sample"]), (4, 4), "other settings, another training");

    let found = kinds(&[generator("plain", ""), generator("one", "sampling.temperature = 1.0")].concat());
    assert_eq!((found["generate"], found["sample"]), (2, 2), "1 is what no temperature means");
}

#[test]
fn impossible_sampling_is_refused_with_the_generator_named() {
    for (sampling, word) in [("temperature = -1.0", "temperature is -1"), ("temprature = 1.0", "temprature")] {
        let error = study(&generator("bold", &format!("sampling = {{ {sampling} }}"))).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let error = study(&generator("bold", "sampling = { temperature = -1.0 }")).unwrap_err().to_string();
    assert!(error.contains("\"bold\"") && error.contains("at least 0"), "{error}");
}

#[test]
fn a_study_prints_the_temperatures_that_differ_from_one() {
    let parsed = study(&[generator("a", "sampling.temperature = 0.5"), generator("b", "")].concat()).unwrap();
    let printed = parsed.to_toml();
    assert_eq!(printed.matches("temperature").count(), 1, "{printed}");
    assert_eq!(Study::parse(&printed, Path::new("printed")).unwrap(), parsed);
}
