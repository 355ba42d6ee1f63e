//! Attacks that train networks of their own run in studies where they are named, and only there.

use std::path::Path;

use standin_bench::executor::{LocalExecutor, Quiet};
use standin_bench::store::Store;
use standin_bench::study::{Study, plan};
use standin_bench::summary::Summary;
use standin_data::Silent;

/// The attacks on the images of a generator, by name and encoder.
fn attacks(names: &str) -> Vec<(String, String)> {
    let text = format!(
        "name = \"attacks\"\nseeds = [1]\n[data]\nsource = \"digits\"\ntrain = 150\nholdout = 150\ntest = 150\n\
         [measures]\nencoders = []\n[[classifier]]\nname = \"logistic\"\n\
         [[generator]]\nname = \"vae\"\nfamily = \"vae\"\nsettings = {{ epochs = 1.0, least_steps = 100 }}\n\
         [attacks]\nencoders = [\"pixels\", \"scattering\"]\n{names}\n"
    );
    let study = Study::parse(&text, Path::new("attacks.toml")).unwrap();
    let plan = plan(&study, study.import(Path::new("unused"), &Silent).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_path_buf()).unwrap();
    let outcome = LocalExecutor::default().run(&plan.graph, &store, &Quiet).unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    let summary = std::fs::read(store.folder(plan.summary).join("summary.json")).unwrap();
    let summary: Summary = serde_json::from_slice(&summary).unwrap();
    let rows = summary.releases[0].attacks.iter();
    rows.map(|row| (row.attack.clone(), row.stamp.split(' ').next().unwrap_or_default().to_owned())).collect()
}

#[test]
fn attacks_that_train_networks_run_once_where_they_are_named() {
    let found = attacks("names = [\"extraction\", \"logan\", \"auxiliary\"]");
    let count = |name: &str| found.iter().filter(|(attack, _)| attack == name).count();
    assert_eq!((count("extraction"), count("logan"), count("auxiliary")), (2, 1, 1), "{found:?}");
    let unnamed = attacks("");
    assert!(unnamed.iter().all(|(attack, _)| attack != "logan" && attack != "auxiliary"), "{unnamed:?}");
    assert_eq!(unnamed.len(), 14, "seven attacks on features, in two encoders: {unnamed:?}");
}
