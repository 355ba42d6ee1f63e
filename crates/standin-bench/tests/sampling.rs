//! A sweep over sampling trains once, filters choose what is released, and what cannot be is refused before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use standin_bench::executor::{LocalExecutor, Quiet};
use standin_bench::store::Store;
use standin_bench::study::{Study, StudyError, plan};
use standin_data::{ImageSet, Silent};

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

/// Runs a study of one generator and returns the folder of its only stage of a kind.
fn run(generators: &str, kind: &str, store: &Path) -> PathBuf {
    let rest = "name = \"filters\"\nseeds = [1]\nattacks.shadows = 0\nattacks.encoders = []\nmeasures.encoders = [\"pixels\"]\n\
                [data]\nsource = \"digits\"\ntrain = 600\nholdout = 600\n[[classifier]]\nname = \"logistic\"\n";
    let study = Study::parse(&format!("{rest}{generators}"), Path::new("filters.toml")).unwrap();
    let images = study.import(Path::new("unused"), &Silent).unwrap();
    let plan = plan(&study, images).unwrap();
    let store = Store::open(store.to_path_buf()).unwrap();
    let outcome = LocalExecutor::default().run(&plan.graph, &store, &Quiet).unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    let of_kind: Vec<_> =
        plan.graph.nodes().iter().filter(|node| node.stage().kind() == kind).map(|node| node.id()).collect();
    assert_eq!(of_kind.len(), 1);
    store.folder(of_kind[0])
}

#[test]
fn filters_leave_what_they_promise_and_take_the_guarantee_away() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "settings = { epochs = 2.0, least_steps = 300 }";
    let sampling = "sampling = { count = 200, surplus = 4.0, confidence = { at_least = 0.9 }, \
                    likeness = { at_least = 0.8 }, no_copies = { false_match_rate = 0.05 } }";
    let released = run(&generator("picky", &format!("{settings}\n{sampling}")), "refine", folder.path());
    let images = ImageSet::open(&released.join("images")).unwrap();
    let refined: Value = serde_json::from_slice(&std::fs::read(released.join("refined.json")).unwrap()).unwrap();
    assert_eq!(refined["drawn"], 800);
    let left: Vec<u64> = refined["filters"].as_array().unwrap().iter().map(|f| f["left"].as_u64().unwrap()).collect();
    assert!(left.len() == 3 && left[0] < 800 && left[0] >= left[1] && left[1] >= left[2], "{left:?}");
    assert_eq!(refined["released"], images.len());
    assert!(images.len() > 50 && images.len() <= 200, "{}", images.len());
    assert!(images.labels().unwrap().counts().iter().all(|&count| count <= 20));
    assert!(images.provenance().guarantee.as_deref().unwrap().starts_with("none"));
    assert_eq!(std::fs::read_to_string(released.join("guarantee.json")).unwrap().trim(), "null");
}

#[test]
fn noise_on_pixels_leaves_a_guarantee_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[generator]]\nname = \"noisy\"\nfamily = \"dp-merf\"\nepsilon = 2.0\n\
                settings = { steps = 100, frequencies = 200, frequencies_per_step = 200 }\n\
                sampling = { perturbation = 20.0, balance = \"as_trained\" }\n[privacy]\nnoise = \"reproducible\"\n";
    let released = run(text, "refine", folder.path());
    let guarantee: Value = serde_json::from_slice(&std::fs::read(released.join("guarantee.json")).unwrap()).unwrap();
    assert!((guarantee["epsilon"].as_f64().unwrap() - 2.0).abs() < 1e-6);
    let provenance = ImageSet::open(&released.join("images")).unwrap().provenance().clone();
    assert!(provenance.source.contains("Gaussian noise of 20"), "{}", provenance.source);
}

#[test]
fn filters_that_cannot_be_are_refused() {
    for (rest, word) in [
        ("sampling = { confidence = { at_least = 1.5 } }", "confidence.at_least = 1.5"),
        ("sampling = { surplus = 0.5 }", "surplus = 0.5"),
        ("sampling = { perturbation = -1.0 }", "perturbation = -1"),
        ("sampling = { likeness = { encoder = \"pixel\", at_least = 1.0 } }", "pixel"),
        ("sampling = { guidance = -2.0 }", "guidance is -2"),
        ("public = \"digits\"", "learns from none"),
    ] {
        let error = study(&generator("bold", rest)).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let private = "[[generator]]\nname = \"p\"\nfamily = \"dp-merf\"\nepsilon = 1.0\n\
                   sampling.confidence = { at_least = 0.9 }\n";
    assert!(study(private).unwrap_err().to_string().contains("no guarantee covers that"));
}
