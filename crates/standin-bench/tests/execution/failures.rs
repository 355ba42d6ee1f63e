use std::fs;
use std::num::NonZero;
use std::path::Path;

use standin_bench::executor::{End, Failure, LocalExecutor, Quiet};
use standin_bench::graph::Graph;
use standin_bench::stage::{StageId, StageResult};
use standin_bench::store::{Error, Store};

use crate::writer::{Writer, ends, run, temporaries};

/// `bad` → `lost` → `lost too`, and `good` → `good too`.
fn two_chains(middle: impl Fn(&Path) -> StageResult + Send + Sync + 'static) -> Graph {
    let mut graph = Graph::new();
    let bad = graph.add(Writer::new("bad", &[]).with_middle(middle)).unwrap();
    let lost = graph.add(Writer::new("lost", &[bad])).unwrap();
    graph.add(Writer::new("lost too", &[lost])).unwrap();
    let good = graph.add(Writer::new("good", &[])).unwrap();
    graph.add(Writer::new("good too", &[good])).unwrap();
    graph
}

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("runs")).unwrap();
    (folder, store)
}

/// Runs the chains with a `bad` stage that does this in its middle, and returns why it failed.
fn failure(middle: impl Fn(&Path) -> StageResult + Send + Sync + 'static) -> Failure {
    let (_folder, store) = open();
    let execution = run(&two_chains(middle), &store, 1);
    assert_eq!(ends(&execution), "FSSCC");
    assert!(temporaries(&store).is_empty());
    assert_eq!(store.ids().unwrap().len(), 2);
    assert!(store.verify(&standin_data::Silent).unwrap().is_sound());
    match execution.stages.into_iter().next().unwrap().end {
        End::Failed(failure) => failure,
        end => panic!("{end:?}"),
    }
}

#[test]
fn a_failed_stage_does_not_stop_independent_ones() {
    let failure = failure(|_| Err("the data is not separable".into()));
    assert_eq!(failure.to_string(), "the data is not separable");
}

#[test]
fn a_stage_error_keeps_its_type() {
    let failure = failure(|out| Ok(fs::write(out.join("no/such/folder"), "x")?));
    let Failure::Stage(error) = failure else { panic!("{failure}") };
    assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_panic_is_contained() {
    let failure = failure(|_| panic!("index {} is out of range", 3));
    assert!(matches!(&failure, Failure::Panicked(message) if message == "index 3 is out of range"), "{failure}");
}

#[test]
fn a_panic_in_a_parallel_iterator_is_contained() {
    use rayon::prelude::*;
    let failure = failure(|_| {
        (0..100).into_par_iter().for_each(|i| assert!(i < 99, "too far"));
        Ok(())
    });
    assert!(matches!(&failure, Failure::Panicked(message) if message == "too far"), "{failure}");
}

#[test]
fn an_output_cannot_take_the_place_of_the_record() {
    let failure = failure(|out| Ok(fs::write(out.join("stage.toml"), "kind = 'forged'")?));
    assert!(matches!(failure, Failure::Store(Error::InvalidOutput { .. })), "{failure}");
}

#[test]
#[cfg(unix)]
fn a_link_is_no_output() {
    let failure = failure(|out| Ok(std::os::unix::fs::symlink("/etc/hostname", out.join("link"))?));
    assert!(
        matches!(&failure, Failure::Store(Error::InvalidOutput { path, .. }) if path.ends_with("link")),
        "{failure}"
    );
}

#[test]
fn reading_an_undeclared_stage_is_an_error() {
    use standin_bench::stage::Inputs;
    let id = StageId::from_parts("write", 1, &serde_json::json!({}), &[]);
    let error = Inputs::default().folder(id).unwrap_err();
    assert!(error.to_string().contains(&id.to_string()));
}

#[test]
fn skipped_stages_name_the_failed_one() {
    let (_folder, store) = open();
    let execution = run(&two_chains(|_| Err("no".into())), &store, 2);
    let bad = execution.stages[0].id;
    for lost in &execution.stages[1..3] {
        assert!(matches!(lost.end, End::Skipped(id) if id == bad));
    }
    let failed: Vec<_> = execution.failures().map(|(stage, failure)| (stage.id, failure.to_string())).collect();
    assert_eq!(failed, [(bad, "no".to_owned())]);
    assert!(!execution.is_complete());
}

#[test]
fn nothing_is_begun_after_a_failure_unless_asked_to_keep_going() {
    let (_folder, store) = open();
    let executor = LocalExecutor { threads: NonZero::<usize>::MIN, keep_going: false, memory: None };
    let execution = executor.run(&two_chains(|_| Err("no".into())), &store, &Quiet).unwrap();
    assert_eq!(ends(&execution), "FSSNN");
}

#[test]
fn the_next_attempt_computes_only_what_is_missing() {
    let (_folder, store) = open();
    assert_eq!(ends(&run(&two_chains(|_| Err("no".into())), &store, 1)), "FSSCC");
    assert_eq!(ends(&run(&two_chains(|_| Ok(())), &store, 1)), "CCCAA");
}

#[test]
fn a_damaged_result_is_neither_used_nor_overwritten() {
    let (_folder, store) = open();
    let mut graph = two_chains(|_| Ok(()));
    run(&graph, &store, 1);
    let (bad, lost) = (graph.nodes()[0].id(), graph.nodes()[1].id());
    let values = store.folder(bad).join("values.bin");
    fs::write(&values, "short").unwrap();

    graph.add(Writer::new("new", &[bad])).unwrap();
    graph.add(Writer::new("new too", &[lost])).unwrap();
    let execution = run(&graph, &store, 1);
    assert_eq!(ends(&execution), "FAAAASC");
    let text = execution.failures().next().unwrap().1.to_string();
    assert!(text.contains(&bad.to_string()) && text.contains("values.bin has 5 bytes instead of 40000"), "{text}");
    assert_eq!(fs::read(&values).unwrap(), b"short");
}
