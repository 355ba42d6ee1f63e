//! Audits with canaries in studies: what leaks is found, what is promised holds, and what cannot be is refused.

use std::path::Path;

use standin_bench::executor::{LocalExecutor, Quiet};
use standin_bench::planned::Planned;
use standin_bench::store::Store;
use standin_bench::study::{Study, StudyError, plan};
use standin_bench::summary::{CanaryRow, Summary};
use standin_data::Silent;

const REST: &str = "name = \"canaries\"\nseeds = [1]\n[data]\nsource = \"digits\"\ntrain = 600\nholdout = 300\n\
                    [measures]\nencoders = []\n";

fn study(text: &str) -> Result<Study, StudyError> {
    Study::parse(&format!("{REST}{text}"), Path::new("canaries.toml"))
}

/// Runs a study to its summary.
fn run(text: &str, folder: &Path) -> Summary {
    let study = study(text).unwrap();
    let plan = plan(&study, study.import(Path::new("unused"), &Silent).unwrap()).unwrap();
    let store = Store::open(folder.to_path_buf()).unwrap();
    let executor = LocalExecutor::default();
    let left = || Planned::of(&plan.graph, &store, executor.threads).left().count();
    assert_eq!(left(), plan.graph.len());
    let outcome = executor.run(&plan.graph, &store, &Quiet).unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(left(), 0);
    serde_json::from_slice(&std::fs::read(store.folder(plan.summary).join("summary.json")).unwrap()).unwrap()
}

fn audit<'a>(summary: &'a Summary, release: &str, kind: &str) -> &'a CanaryRow {
    let release = summary.releases.iter().find(|found| found.name == release).unwrap();
    release.canaries.iter().find(|audit| audit.kind == kind).unwrap()
}

/// The noise is secret, as a user would have it: the promise holds for every outcome of it.
#[test]
fn what_is_learnt_by_heart_is_found_and_what_is_promised_holds() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[classifier]]\nname = \"cnn\"\nsettings = { fewest_steps = 600, weight_decay = 0.0 }\n\
                [[classifier]]\nname = \"private\"\nfamily = \"cnn\"\n\
                settings = { epochs = 20.0, batch_size = 200, privacy = { epsilon = 2.0 } }\n\
                [[released_classifier]]\nname = \"plain\"\nclassifier = \"cnn\"\n\
                [[released_classifier]]\nname = \"prediction\"\nclassifier = \"cnn\"\noutputs = \"prediction\"\n\
                [[released_classifier]]\nname = \"dp-sgd\"\nclassifier = \"private\"\n\
                [[canaries]]\nkind = \"mislabelled\"\ncount = 200\nruns = 4\n\
                [[canaries]]\nkind = \"natural\"\ncount = 200\nreleases = [\"plain\"]\n";
    let summary = run(text, folder.path());
    let [plain, hidden, private] = ["plain", "prediction", "dp-sgd"].map(|name| audit(&summary, name, "mislabelled"));
    assert!(plain.auc.low > 0.95 && plain.epsilon_lower.epsilon > 2.0, "{plain:?}");
    assert_eq!((plain.runs, plain.guessed_runs, plain.members + plain.non_members), (4, 2, 400));
    assert!(plain.epsilon_claimed.is_none() && !plain.refutes());
    // A wrong label that was learnt is predicted, so that hiding the rest hides little.
    assert!(hidden.auc.value < plain.auc.value && hidden.auc.low > 0.7, "{hidden:?}");
    let claimed = private.epsilon_claimed.unwrap();
    assert!((1.9..=2.0).contains(&claimed) && !private.refutes(), "{private:?}");
    let natural = audit(&summary, "plain", "natural");
    assert_eq!((natural.runs, natural.guessed_runs), (1, 1));
    assert!(natural.auc.value < plain.auc.low - 0.2, "{natural:?}");
    assert_eq!(summary.releases[2].canaries.len(), 1, "natural canaries are for one release");
}

#[test]
fn images_and_weights_of_a_generator_are_audited_with_canaries_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[generator]]\nname = \"vae\"\nfamily = \"vae\"\nsettings = { least_steps = 800 }\n\
                [[released_generator]]\nname = \"weights\"\ngenerator = \"vae\"\n\
                [[classifier]]\nname = \"logistic\"\n\
                [[canaries]]\nkind = \"noise\"\ncount = 60\n\
                [[canaries]]\nkind = \"foreign\"\nsource = \"digits\"\ncount = 60\n";
    let summary = run(text, folder.path());
    for kind in ["noise", "foreign"] {
        let (images, weights) = (audit(&summary, "vae", kind), audit(&summary, "weights", kind));
        assert!(images.score.contains("nearest released image") && weights.score == "latent-search");
        assert_eq!((images.canaries, images.members + images.non_members), (60, 60));
    }
    // Images with any label are remembered well enough by 800 steps on 600 images.
    assert!(audit(&summary, "weights", "foreign").auc.low > 0.5, "{:?}", audit(&summary, "weights", "foreign"));
}

#[test]
fn canaries_that_cannot_be_are_refused() {
    let released = "[[released_classifier]]\nname = \"plain\"\nclassifier = \"cnn\"\n[[canaries]]\n";
    for (canaries, words) in [
        ("kind = \"mislabeled\"", "mislabelled"),
        ("kind = \"natural\"\ncount = 3", "canaries.count = 3"),
        ("kind = \"natural\"\nruns = 0", "canaries.runs = 0"),
        ("kind = \"natural\"\nsource = \"digits\"", "only foreign ones come from elsewhere"),
        ("kind = \"foreign\"", "source = \"SOURCE\""),
        ("kind = \"natural\"\nreleases = [\"plane\"]", "did you mean \"plain\""),
        ("kind = \"natural\"\n[[canaries]]\nkind = \"natural\"", "two kinds of [[canaries]]"),
    ] {
        let error = study(&format!("{released}{canaries}\n")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let many = study(&format!("{released}kind = \"natural\"\ncount = 601\n")).unwrap();
    let error = plan(&many, many.import(Path::new("unused"), &Silent).unwrap()).err().unwrap().to_string();
    assert!(error.contains("601 of 600"), "{error}");
    let outputs = "[[released_classifier]]\nname = \"plain\"\nclassifier = \"cnn\"\noutputs = { decimals = 9 }\n";
    assert!(study(outputs).unwrap_err().to_string().contains("1 to 6 decimals"));
}
