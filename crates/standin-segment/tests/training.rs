//! Whole trainings on tiny volumes: every method, both numbers of dimensions, resumption, selection, and prediction on the
//! grid of the file.

use std::path::{Path, PathBuf};

use standin_data::{Progress, Seed, Silent};
use standin_nn::{Every, values};
use standin_segment::network::Architecture;
use standin_segment::{
    Cohort, Division, Examples, Grid, IntensityVolume, LabelVolume, Labelled, METHODS, Model, Preprocessing, Selection,
    Settings, Sliding, Trained, Training, Unlabelled, evaluate_only, method,
};

const SHAPE: [usize; 3] = [20, 18, 17];

/// A bright box of label 7 on a dark ground with a pattern instead of noise.
fn write_case(folder: &Path, at: usize) {
    let begin = [4 + at % 3, 3 + at % 4, 4 + at % 2];
    let (mut voxels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..SHAPE.iter().product::<usize>() {
        let place = [index % SHAPE[0], index / SHAPE[0] % SHAPE[1], index / (SHAPE[0] * SHAPE[1])];
        let inside = (0..3).all(|axis| (begin[axis]..begin[axis] + 8).contains(&place[axis]));
        voxels.push(if inside { 90.0 } else { 20.0 } + ((index + at) * 31 % 17) as f32);
        labels.push(if inside { 7 } else { 0 });
    }
    let affine = [[-1.0, 0.0, 0.0, 5.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.25, 9.0]];
    let grid = Grid::new(SHAPE, affine).unwrap();
    IntensityVolume::new(grid.clone(), voxels).unwrap().write(&folder.join(format!("c{at}-image.nii.gz"))).unwrap();
    LabelVolume::new(grid, labels).unwrap().write(&folder.join(format!("c{at}-label.nii.gz"))).unwrap();
}

fn volumes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    (0..6).for_each(|at| write_case(folder.path(), at));
    folder
}

fn settings(more: &str) -> Settings {
    let text = format!("width = 4\npatch = [16, 16, 16]\nsteps = 4\npasses = 2\nvalidate_every = 2\n{more}");
    Settings::read(&toml::from_str(&text).unwrap()).unwrap()
}

fn cohort(folder: &Path, validation: bool) -> Cohort {
    let division = Division {
        labelled: Labelled::First(3),
        unlabelled: Unlabelled::Rest,
        test: vec!["c5".into()],
        fold: None,
        validation,
        seed: Seed::new(1),
    };
    Cohort::divide(folder, folder, &division, &Silent).unwrap()
}

fn training(name: &str, settings: Settings) -> Training {
    Training { method: method(name).unwrap(), settings, selection: Selection::Last, seed: Seed::new(5) }
}

fn run(training: &Training, folder: &Path) -> Trained {
    let cohort = cohort(folder, training.selection == Selection::Validation);
    let examples = Examples::read(&cohort, &training.settings, &Silent).unwrap();
    training.run(&examples, &cohort, None, &Silent).unwrap()
}

fn weights(model: &Model) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let bytes = std::fs::read(Model::path(folder.path())).unwrap();
    bytes.into_iter().map(f32::from).collect()
}

#[test]
fn every_method_trains_on_volumes_and_on_slices() {
    let folder = volumes();
    for method in METHODS {
        for more in ["", "dimensions = 2\npatch = [16, 16, 1]\nbatch = 4\nlabelled_per_batch = 2"] {
            let more = if more.is_empty() { String::new() } else { more.to_owned() };
            let text = format!(
                "width = 4\nsteps = 2\npasses = 1\n{}",
                if more.is_empty() { "patch = [16, 16, 16]" } else { &more }
            );
            let settings = Settings::read(&toml::from_str(&text).unwrap()).unwrap();
            let trained = run(&training(method.name, settings), folder.path());
            assert!(trained.history.losses.iter().all(|loss| loss.is_finite()), "{}", method.name);
            assert_eq!(trained.model.description.labels, [0, 7]);
        }
    }
}

#[test]
fn the_same_seed_trains_the_same_network() {
    let folder = volumes();
    let of = |seed: u64| {
        let training = Training { seed: Seed::new(seed), ..training("fba-net-plus", settings("")) };
        weights(&run(&training, folder.path()).model)
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

/// Ends a training after some steps, as a killed process does, by a panic in its progress.
struct Killer {
    after: u64,
    seen: std::sync::atomic::AtomicU64,
}

impl Progress for Killer {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, steps: u64) {
        let seen = self.seen.fetch_add(steps, std::sync::atomic::Ordering::Relaxed) + steps;
        assert!(seen < self.after, "killed");
    }
    fn status(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}

#[test]
fn a_killed_training_resumes_to_the_same_network() {
    let folder = volumes();
    for (name, selection) in
        [("fba-net-plus", Selection::Last), ("ua-mt", Selection::Last), ("v-net", Selection::Validation)]
    {
        let training = Training { selection, ..training(name, settings("")) };
        let whole = run(&training, folder.path());
        let cohort = cohort(folder.path(), selection == Selection::Validation);
        let examples = Examples::read(&cohort, &training.settings, &Silent).unwrap();
        let out = tempfile::tempdir().unwrap();
        let checkpoints = training.checkpoints(out.path(), Every::Steps(1), &examples);
        let killer = Killer { after: 4, seen: 0.into() };
        let attempt = std::panic::AssertUnwindSafe(|| {
            training.run(&examples, &cohort, Some(&checkpoints), &killer).map(|_| ()).unwrap();
        });
        assert!(std::panic::catch_unwind(attempt).is_err() && checkpoints.path().exists());
        let resumed = training.run(&examples, &cohort, Some(&checkpoints), &Silent).unwrap();
        assert_eq!(weights(&resumed.model), weights(&whole.model), "{name}");
        assert_eq!((resumed.history, resumed.validation), (whole.history, whole.validation), "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let folder = volumes();
    let cohort = cohort(folder.path(), false);
    let first = training("v-net", settings(""));
    let examples = Examples::read(&cohort, &first.settings, &Silent).unwrap();
    let out = tempfile::tempdir().unwrap();
    let checkpoints = first.checkpoints(out.path(), Every::Steps(1), &examples);
    first.run(&examples, &cohort, Some(&checkpoints), &Silent).unwrap();
    let other = training("v-net", settings("ramp = 0.5"));
    let checkpoints = other.checkpoints(out.path(), Every::Steps(1), &examples);
    let message = other.run(&examples, &cohort, Some(&checkpoints), &Silent).unwrap_err().to_string();
    assert!(message.contains("checkpoint.safetensors") && message.contains("another configuration"), "{message}");
}

/// Sixty steps find a bright box well; predictions lie on the grid of the file, whatever was done to it before.
#[test]
fn predictions_find_the_box_on_the_grid_of_the_file() {
    let folder = volumes();
    for more in ["", "[preprocessing]\nspacing = [1.25, 1.25, 1.25]"] {
        let descent = "optimizer = { name = \"sgd\" }\nlearning_rate = 0.05";
        let text = format!("width = 4\npatch = [16, 16, 16]\nsteps = 60\nbatch = 2\n{descent}\n{more}");
        let settings = Settings::read(&toml::from_str(&text).unwrap()).unwrap();
        let trained = run(&training("v-net", settings), folder.path());
        let out = tempfile::tempdir().unwrap();
        trained.model.save(out.path()).unwrap();
        let model = Model::load(out.path()).unwrap();
        assert_eq!(model.description, trained.model.description);
        let image = folder.path().join("c5-image.nii.gz");
        let labels = model.predict(&image, &Sliding { stride: [4, 8, 2] }, &Silent).unwrap();
        assert!(labels.grid().matches(IntensityVolume::read(&image).unwrap().grid()));
        let predicted = tempfile::tempdir().unwrap();
        labels.write(&predicted.path().join("c5.nii.gz")).unwrap();
        let only = ["c5".to_owned()];
        let evaluation = evaluate_only(predicted.path(), folder.path(), Some(&only), &Silent).unwrap();
        let scores = &evaluation.volumes[0].labels[0];
        assert!(scores.label == 7 && scores.dice > 0.8, "{more}: Dice {}", scores.dice);
    }
}

#[test]
fn a_damaged_or_foreign_model_is_refused() {
    let folder = volumes();
    let model = run(&training("v-net", settings("")), folder.path()).model;
    let out = tempfile::tempdir().unwrap();
    let refused = |what: &str| {
        let message = Model::load(out.path()).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    };
    refused("holds no trained network");
    model.save(out.path()).unwrap();
    let [weights, description]: [PathBuf; 2] = [Model::path(out.path()), out.path().join("model.toml")];
    let whole = (std::fs::read(&weights).unwrap(), std::fs::read_to_string(&description).unwrap());
    let mut bytes = whole.0.clone();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    refused("digest");
    std::fs::write(&weights, &whole.0).unwrap();
    std::fs::write(&description, whole.1.replace("width = 4", "width = 8")).unwrap();
    refused("model.safetensors");
    std::fs::write(&description, whole.1.replace("classes = 2", "classes = 3")).unwrap();
    refused("as many labels as classes");
    std::fs::write(&description, "format = \"standin weights 1\"\ndigest = \"\"\narchitecture = { inputs = 3 }\n")
        .unwrap();
    refused("model.toml");
}

#[test]
fn images_and_labels_that_do_not_fit_are_refused() {
    let folder = volumes();
    let grid = Grid::new(SHAPE, [[-1.0, 0.0, 0.0, 8.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.25, 9.0]]).unwrap();
    let labels = LabelVolume::read(&folder.path().join("c0-label.nii.gz")).unwrap().into_voxels();
    LabelVolume::new(grid, labels).unwrap().write(&folder.path().join("c0-label.nii.gz")).unwrap();
    let message = Examples::read(&cohort(folder.path(), false), &settings(""), &Silent).unwrap_err().to_string();
    assert!(message.contains("c0-label") && message.contains("grid of their image"), "{message}");
}

#[test]
fn an_untrained_network_differs_by_seed_alone() {
    let device = standin_nn::DeviceChoice::Cpu.inference();
    let architecture = Architecture {
        dimensions: 3,
        width: 4,
        classes: 2,
        decoders: method("fba-net-plus").unwrap().decoders.to_vec(),
    };
    let of = |seed: u64| values(&architecture.build(Seed::new(seed), &device));
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert_eq!(Preprocessing::default(), Settings::default().preprocessing);
}
