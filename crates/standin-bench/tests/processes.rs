//! Several processes on one store, and processes that die.
//!
//! Apart from the other tests, because a child process holds copies of its parent's file locks until it runs its own
//! program, and the others look at which locks are free.

#[path = "execution/writer.rs"]
mod writer;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use standin_bench::store::Store;

use writer::{diamond, ends, noted, noted_diamond, outputs, run, temporaries};

const VICTIM: &str = "STANDIN_TEST_KILLED_STORE";
const SHARED: &str = "STANDIN_TEST_SHARED_FOLDER";

#[test]
fn a_killed_study_resumes_to_the_same_bytes() {
    if let Some(root) = env::var_os(VICTIM) {
        let graph = diamond(|name| if name == "left" { std::process::abort() } else { Ok(()) });
        run(&graph, &Store::open(root).unwrap(), 1);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("runs");
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_killed_study_resumes_to_the_same_bytes"])
        .env(VICTIM, &root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());

    let store = Store::open(&root).unwrap();
    let leftovers = temporaries(&store);
    assert_eq!(leftovers.len(), 1);
    assert_eq!(fs::metadata(root.join(&leftovers[0]).join("values.bin")).unwrap().len(), 20_000);
    assert_eq!(store.list().unwrap().len(), 1);

    assert_eq!(ends(&run(&diamond(|_| Ok(())), &store, 2)), "ACCC");
    assert!(temporaries(&store).is_empty());

    let undisturbed = Store::open(folder.path().join("undisturbed")).unwrap();
    run(&diamond(|_| Ok(())), &undisturbed, 2);
    assert_eq!(outputs(&store), outputs(&undisturbed));
    assert_eq!(outputs(&store).len(), 8);
}

#[test]
fn processes_on_one_store_compute_each_stage_once() {
    if let Some(folder) = env::var_os(SHARED) {
        let folder = Path::new(&folder);
        let execution = run(&noted_diamond(folder), &Store::open(folder.join("runs")).unwrap(), 2);
        assert!(execution.is_complete(), "{execution:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "processes_on_one_store_compute_each_stage_once"])
                .env(SHARED, folder.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(noted(folder.path()), ["join", "left", "prepare", "right"]);

    let store = Store::open_existing(folder.path().join("runs")).unwrap();
    assert!(temporaries(&store).is_empty());
    let alone = Store::open(folder.path().join("alone")).unwrap();
    run(&diamond(|_| Ok(())), &alone, 1);
    assert_eq!(outputs(&store), outputs(&alone));
}
