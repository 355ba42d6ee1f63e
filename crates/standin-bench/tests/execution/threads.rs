use std::num::NonZero;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use standin_bench::executor::{End, LocalExecutor, Overall, Reporter};
use standin_bench::graph::{Graph, Node};
use standin_bench::store::Store;
use standin_data::{Progress, Silent};

use crate::writer::{Writer, diamond, ends, outputs, run};

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let results = [1, 2, 5].map(|threads| {
        let store = Store::open(folder.path().join(threads.to_string())).unwrap();
        assert_eq!(ends(&run(&diamond(|_| Ok(())), &store, threads)), "CCCC");
        outputs(&store)
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[test]
fn a_stage_ready_alone_gets_all_threads_and_ready_stages_share() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let graph = diamond(move |name| {
        noted.lock().unwrap().push((name.to_owned(), rayon::current_num_threads()));
        Ok(())
    });
    let execution = run(&graph, &store, 5);
    let granted: Vec<_> = execution.stages.iter().map(|stage| stage.end.record().unwrap().threads).collect();
    assert_eq!(granted[0], 5);
    assert_eq!(granted[1..3].iter().sum::<usize>(), 5);
    assert_eq!(granted[3], 5);
    for (name, threads) in seen.lock().unwrap().iter() {
        let stage = execution.stages.iter().position(|stage| stage.name == *name).unwrap();
        assert_eq!(*threads, granted[stage], "{name}");
    }
}

#[test]
fn running_stages_never_use_more_threads_than_granted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut graph = Graph::new();
    for index in 0..12 {
        let (busy, most) = (busy.clone(), most.clone());
        let writer = Writer::new(&index.to_string(), &[]).with_middle(move |_| {
            let threads = rayon::current_num_threads();
            most.fetch_max(busy.fetch_add(threads, SeqCst) + threads, SeqCst);
            thread::sleep(Duration::from_millis(10));
            busy.fetch_sub(threads, SeqCst);
            Ok(())
        });
        graph.add(writer).unwrap();
    }
    assert_eq!(ends(&run(&graph, &store, 3)), "C".repeat(12));
    assert!((2..=3).contains(&most.load(SeqCst)), "{most:?}");
}

#[test]
fn the_longest_chain_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut graph = Graph::new();
    let mut add = |name: &'static str, weight, inputs: &[_]| {
        let order = order.clone();
        let writer = Writer { weight, ..Writer::new(name, inputs) }.with_middle(move |_| {
            order.lock().unwrap().push(name);
            Ok(())
        });
        graph.add(writer).unwrap()
    };
    add("small", 1, &[]);
    let begin = add("begin", 2, &[]);
    add("medium", 5, &[]);
    add("end", 10, &[begin]);
    add("small too", 1, &[]);
    run(&graph, &store, 1);
    assert_eq!(*order.lock().unwrap(), ["begin", "end", "medium", "small", "small too"]);
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Reporter for Log {
    fn planned(&self, graph: &Graph) {
        self.0.lock().unwrap().push(format!("planned {}", graph.len()));
    }
    fn started(&self, node: &Node, threads: usize) -> Box<dyn Progress + '_> {
        self.0.lock().unwrap().push(format!("started {} on {threads}", node.stage().name()));
        Box::new(Silent)
    }
    fn waiting(&self, _: &Node) {}
    fn ended(&self, node: &Node, end: &End, overall: Overall) {
        let end = match end {
            End::Computed(_) => "computed",
            End::Cached(_) => "cached",
            _ => "without result",
        };
        let Overall { stages, of_stages, weight, of_weight } = overall;
        let name = node.stage().name();
        self.0.lock().unwrap().push(format!("{name} {end}: {stages}/{of_stages}, {weight}/{of_weight}"));
    }
}

#[test]
fn the_reporter_hears_of_every_stage_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut graph = Graph::new();
    let first = graph.add(Writer::new("first", &[])).unwrap();
    run(&graph, &store, 1);
    let bad = Writer { weight: 3, ..Writer::new("bad", &[first]) }.with_middle(|_| Err("no".into()));
    let bad = graph.add(bad).unwrap();
    graph.add(Writer::new("lost", &[bad])).unwrap();
    graph.add(Writer::new("good", &[first])).unwrap();

    let log = Log::default();
    let executor = LocalExecutor { threads: NonZero::<usize>::MIN, keep_going: true, memory: None };
    executor.run(&graph, &store, &log).unwrap();
    let expected = [
        "planned 4",
        "first cached: 1/4, 1000/6000",
        "started bad on 1",
        "bad without result: 2/4, 4000/6000",
        "lost without result: 3/4, 5000/6000",
        "started good on 1",
        "good computed: 4/4, 6000/6000",
    ];
    assert_eq!(*log.0.lock().unwrap(), expected);
}
