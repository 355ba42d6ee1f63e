use std::fs;
use std::thread;
use std::time::Duration;

use standin_bench::graph::Graph;
use standin_bench::stage::StageId;
use standin_bench::store::{Error, Problem, Prune, Store};
use standin_data::Silent;

use crate::writer::{diamond, ends, run, temporaries};

fn finished_diamond() -> (tempfile::TempDir, Store, Graph) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("runs")).unwrap();
    let graph = diamond(|_| Ok(()));
    run(&graph, &store, 2);
    (folder, store, graph)
}

fn id(graph: &Graph, name: &str) -> StageId {
    graph.nodes().iter().find(|node| node.stage().name() == name).unwrap().id()
}

#[test]
fn a_sound_store_verifies() {
    let (_folder, store, _) = finished_diamond();
    let verification = store.verify(&Silent).unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings);
    assert_eq!((verification.stages, verification.files), (4, 8));
    assert!(verification.bytes > 4 * 40_000);
}

#[test]
fn what_is_kept_for_a_cluster_is_no_stage_and_no_leftover() {
    let (_folder, store, _) = finished_diamond();
    let plan = store.root().join(".slurm/study-01234567/plan.json");
    fs::create_dir_all(plan.parent().unwrap()).unwrap();
    fs::write(&plan, "{}").unwrap();
    assert_eq!(store.list().unwrap().len(), 4);
    assert!(store.verify(&Silent).unwrap().is_sound());
    drop(store.session().unwrap());
    store.prune(&Prune::AllBut(Default::default()), false).unwrap();
    assert_eq!((store.list().unwrap().len(), plan.exists()), (0, true));
}

#[test]
fn verification_names_every_damaged_file() {
    let (_folder, store, graph) = finished_diamond();
    let file = |name: &str, path: &str| store.folder(id(&graph, name)).join(path);

    let flipped = file("prepare", "values.bin");
    let mut bytes = fs::read(&flipped).unwrap();
    bytes[12_345] ^= 1;
    fs::write(&flipped, bytes).unwrap();
    fs::write(file("left", "values.bin"), "short").unwrap();
    fs::remove_file(file("left", "deep/sum.json")).unwrap();
    fs::write(file("right", "extra.txt"), "").unwrap();
    let record = fs::read_to_string(file("join", "stage.toml")).unwrap();
    assert!(record.contains("\"seed\": 7"), "{record}");
    fs::write(file("join", "stage.toml"), record.replace("\"seed\": 7", "\"seed\": 8")).unwrap();

    let mut found: Vec<_> = store.verify(&Silent).unwrap().findings.into_iter().map(|f| (f.path, f.problem)).collect();
    let mut expected = vec![
        (flipped, Problem::Content),
        (file("left", "values.bin"), Problem::Size { recorded: 40_000, found: 5 }),
        (file("left", "deep/sum.json"), Problem::Missing),
        (file("right", "extra.txt"), Problem::Unrecorded),
        (file("join", "stage.toml"), Problem::Identity),
    ];
    found.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected);
}

#[test]
fn an_unreadable_record_is_found_and_does_not_hide_the_others() {
    let (_folder, store, graph) = finished_diamond();
    let (left, right) = (id(&graph, "left"), id(&graph, "right"));
    fs::write(store.folder(left).join("stage.toml"), "kind = ").unwrap();
    fs::remove_file(store.folder(right).join("stage.toml")).unwrap();

    let list = store.list().unwrap();
    assert_eq!(list.len(), 4);
    assert_eq!(list.iter().filter(|entry| entry.record.is_err()).count(), 2);
    let verification = store.verify(&Silent).unwrap();
    assert_eq!(verification.findings.len(), 2);
    assert!(verification.findings.iter().all(|finding| matches!(finding.problem, Problem::Unreadable(_))));
    assert_eq!(ends(&run(&graph, &store, 1)), "AFFA");
}

#[test]
fn a_stage_is_found_by_the_first_digits() {
    let (_folder, store, graph) = finished_diamond();
    let left = id(&graph, "left");
    let (found, record) = store.show(&left.short()).unwrap();
    assert_eq!((found, record.name.as_str(), record.id()), (left, "left", left));
    assert_eq!(record.inputs, [id(&graph, "prepare")]);
    assert_eq!(record.bytes(), 40_000 + fs::metadata(store.folder(left).join("deep/sum.json")).unwrap().len());

    assert!(matches!(store.find(""), Err(Error::AmbiguousStage { matching, .. }) if matching.len() == 4));
    assert!(matches!(store.show("no digits"), Err(Error::UnknownStage { .. })));
}

#[test]
fn a_folder_with_other_content_becomes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::NotAStore { .. }));
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn looking_at_a_store_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("runs");
    assert!(matches!(Store::open_existing(&root), Err(Error::NotAStore { .. })));
    assert!(!root.exists());
    Store::open(&root).unwrap();
    Store::open_existing(&root).unwrap();
}

#[test]
fn a_store_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    fs::write(folder.path().join("store.toml"), "format = 2\nlayout = 'new'\n").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::Format { found: 2, .. })));
    fs::write(folder.path().join("store.toml"), "anything").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(Error::NotAStore { .. })));
}

#[test]
fn a_new_store_may_be_opened_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("runs");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| drop(Store::open(&root).unwrap().session().unwrap()));
        }
    });
    assert!(temporaries(&Store::open_existing(&root).unwrap()).is_empty());
}

#[test]
fn pruning_keeps_what_a_kept_stage_was_made_from() {
    let (_folder, store, graph) = finished_diamond();
    let [prepare, left, right, join] = ["prepare", "left", "right", "join"].map(|name| id(&graph, name));
    let pruned = |what, dry_run| -> Vec<_> {
        store.prune(&what, dry_run).unwrap().stages.into_iter().map(|stage| stage.id).collect()
    };
    let sorted = |mut ids: Vec<StageId>| {
        ids.sort();
        ids
    };

    assert!(pruned(Prune::AllBut([join].into()), false).is_empty());
    assert!(pruned(Prune::OlderThan(Duration::from_secs(3600)), false).is_empty());
    assert_eq!(pruned(Prune::AllBut([left].into()), true), sorted(vec![right, join]));
    assert_eq!(store.ids().unwrap().len(), 4);
    assert_eq!(pruned(Prune::AllBut([left].into()), false), sorted(vec![right, join]));
    assert_eq!(store.ids().unwrap(), sorted(vec![prepare, left]));
    assert_eq!(pruned(Prune::Only([prepare].into()), false), [prepare]);
    assert_eq!(ends(&run(&graph, &store, 1)), "CACC");
}

#[test]
fn age_decides_unless_a_younger_stage_needs_it() {
    let (_folder, store, graph) = finished_diamond();
    for name in ["prepare", "left"] {
        let path = store.folder(id(&graph, name)).join("stage.toml");
        let aged: String = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| if line.starts_with("finished_unix_seconds") { "finished_unix_seconds = 1" } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        fs::write(path, aged).unwrap();
    }
    let old = Prune::OlderThan(Duration::from_secs(3600));
    assert!(store.prune(&old, true).unwrap().stages.is_empty());
    store.prune(&Prune::Only([id(&graph, "join")].into()), false).unwrap();
    let pruned = store.prune(&old, false).unwrap();
    assert_eq!(pruned.stages.iter().map(|stage| stage.id).collect::<Vec<_>>(), [id(&graph, "left")]);
    assert!(pruned.bytes() > 40_000);
}

#[test]
fn an_interrupted_prune_leaves_no_stage_with_files_missing() {
    let (_folder, store, graph) = finished_diamond();
    let left = id(&graph, "left");
    // What is left of a stage when the process dies between taking its name and removing its files.
    let unnamed = store.root().join(format!(".tmp-{left}-pruned"));
    fs::create_dir(&unnamed).unwrap();
    fs::write(unnamed.join("values.bin"), "").unwrap();
    store.prune(&Prune::Only([left].into()), false).unwrap();
    assert!(temporaries(&store).is_empty());
    assert!(store.finished(left).unwrap().is_none());
    assert_eq!(ends(&run(&graph, &store, 1)), "ACAA");
}

#[test]
fn what_a_kept_stage_was_made_from_must_be_known() {
    let (_folder, store, graph) = finished_diamond();
    let join = id(&graph, "join");
    fs::write(store.folder(join).join("stage.toml"), "").unwrap();
    assert!(matches!(store.prune(&Prune::AllBut([join].into()), false), Err(Error::Damaged { .. })));
    assert_eq!(store.ids().unwrap().len(), 4);
    assert_eq!(store.prune(&Prune::Only([join].into()), false).unwrap().stages.len(), 1);
}
