use std::fs;

use standin_bench::store::Store;

use crate::writer::{diamond, ends, outputs, run, temporaries};

#[test]
fn finished_stages_are_not_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let first = run(&diamond(|_| Ok(())), &store, 1);
    assert_eq!(ends(&first), "CCCC");
    assert_eq!(first.seconds_saved(), 0.0);

    let again = run(&diamond(|name| Err(format!("{name} ran again").into())), &store, 1);
    assert_eq!(ends(&again), "AAAA");
    assert!(again.is_complete());
    let spent: f64 = first.stages.iter().map(|stage| stage.end.record().unwrap().wall_seconds).sum();
    assert_eq!(again.seconds_saved(), spent);
}

#[test]
fn half_written_stages_are_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("runs")).unwrap();
    let graph = diamond(|_| Ok(()));
    run(&graph, &store, 1);
    let sound = outputs(&store);
    let id = graph.nodes()[1].id();

    // Everything is there, record included, and only the name is not final.
    let half_written = store.root().join(format!(".tmp-{id}-x"));
    fs::rename(store.folder(id), &half_written).unwrap();
    fs::write(half_written.join("values.bin"), "wrong").unwrap();

    assert!(store.finished(id).unwrap().is_none());
    assert!(store.find(&id.to_string()).is_err());
    assert_eq!(store.list().unwrap().len(), 3);
    assert_eq!(ends(&run(&graph, &store, 1)), "ACAA");
    assert_eq!(outputs(&store), sound);
}

#[test]
fn leftovers_are_removed_only_when_nobody_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let other = Store::open(folder.path()).unwrap();
    let at_work = other.session().unwrap();
    fs::create_dir(store.root().join(".tmp-maybe-alive")).unwrap();

    drop(store.session().unwrap());
    assert_eq!(temporaries(&store), [".tmp-maybe-alive"]);
    drop(at_work);
    drop(store.session().unwrap());
    assert!(temporaries(&store).is_empty());
}

#[test]
fn two_computations_differ_in_nothing_but_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let stores = ["a", "b"].map(|name| Store::open(folder.path().join(name)).unwrap());
    for store in &stores {
        run(&diamond(|_| Ok(())), store, 2);
    }
    let [a, b] = &stores;
    assert_eq!(outputs(a), outputs(b));
    for id in a.ids().unwrap() {
        let (mut first, second) = (a.record(id).unwrap().unwrap(), b.record(id).unwrap().unwrap());
        first.wall_seconds = second.wall_seconds;
        first.finished_unix_seconds = second.finished_unix_seconds;
        first.peak_memory_bytes = second.peak_memory_bytes;
        first.threads = second.threads;
        assert_eq!(first, second);
    }
}
