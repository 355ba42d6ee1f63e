use std::fs;
use std::thread;

use standin_bench::store::{Claim, Error, Prune, Store};

use crate::writer::{diamond, ends, noted, noted_diamond, run, temporaries};

#[test]
fn executors_in_one_process_compute_each_stage_once() {
    let folder = tempfile::tempdir().unwrap();
    let ends: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let store = Store::open(folder.path().join("runs")).unwrap();
                    ends(&run(&noted_diamond(folder.path()), &store, 1))
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(noted(folder.path()), ["join", "left", "prepare", "right"]);
    let letters = |letter| ends.concat().chars().filter(|&end| end == letter).count();
    assert_eq!((letters('C'), letters('A')), (4, 12), "{ends:?}");
}

#[test]
fn a_claimed_stage_is_busy_until_its_owner_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [0, 1].map(|_| Store::open(folder.path()).unwrap());
    let [first, second] = [0, 1].map(|index: usize| stores[index].session().unwrap());
    let id = diamond(|_| Ok(())).nodes()[0].id();

    let Claim::Mine(work) = first.claim(id).unwrap() else { panic!("a new store has no stage") };
    fs::write(work.out().join("values.bin"), "half").unwrap();
    assert!(matches!(second.claim(id).unwrap(), Claim::Busy));
    drop(work);
    assert!(temporaries(&stores[0]).is_empty());
    assert!(matches!(second.claim(id).unwrap(), Claim::Mine(_)));
}

#[test]
fn nothing_is_pruned_while_somebody_computes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    run(&diamond(|_| Ok(())), &store, 1);
    let everything = Prune::AllBut([].into());

    let session = store.session().unwrap();
    assert!(matches!(store.prune(&everything, false), Err(Error::InUse { .. })));
    assert_eq!(store.prune(&everything, true).unwrap().stages.len(), 4);
    assert_eq!(store.ids().unwrap().len(), 4);
    drop(session);
    assert_eq!(store.prune(&everything, false).unwrap().stages.len(), 4);
    assert!(store.ids().unwrap().is_empty());
}
