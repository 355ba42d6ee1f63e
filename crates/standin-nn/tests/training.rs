//! A training resumes to the bit, repeats to the bit, and does not depend on the number of threads.

use standin_data::{Progress, Seed, Silent};
use standin_nn::layer::{Conv2d, ConvTranspose2d, GroupNormSilu, Linear, leaky_relu, relu, upsample_nearest};
use standin_nn::tensor::Tensor;
use standin_nn::{
    Batch, Checkpoints, DeviceChoice, Error, Every, Fitted, Learner, Module, Optimization, Optimizer, Plan, Schedule,
    Trainer, TrainerState, burn, fit, initial, loss, train, values,
};

/// A small autoencoder with every kind of layer in it.
#[derive(Module, Debug)]
struct Autoencoder {
    shrink: Conv2d,
    norm: GroupNormSilu,
    middle: Linear,
    grow: ConvTranspose2d,
    out: Conv2d,
}

impl Autoencoder {
    fn new(seed: Seed) -> Self {
        let device = DeviceChoice::Cpu.training();
        let seed = |name| seed.derive(name);
        Self {
            shrink: Conv2d::new(1, 8, 3, seed("shrink"), &device).with_stride(2).with_padding(1),
            norm: GroupNormSilu::new(2, 8, &device),
            middle: Linear::new(8 * 64, 8 * 16, seed("middle"), &device),
            grow: ConvTranspose2d::new(8, 8, 4, seed("grow"), &device).with_stride(2).with_padding(1),
            out: Conv2d::new(8, 1, 3, seed("out"), &device).with_padding(1),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let n = x.dims()[0];
        let x = self.norm.forward(self.shrink.forward(x)).reshape([n, 8 * 64]);
        let x = relu(self.middle.forward(x)).reshape([n, 8, 4, 4]);
        let x = leaky_relu(self.grow.forward(x), 0.2);
        self.out.forward(upsample_nearest(x, 2))
    }
}

fn optimization() -> Optimization {
    Optimization {
        optimizer: Optimizer::adam(0.01),
        learning_rate: 3e-3,
        schedule: Schedule::cosine(0.1),
        clip_norm: Some(20.0),
        average_decay: Some(0.9),
    }
}

fn plan() -> Plan {
    Plan::epochs(70, 32, 4.0, Seed::new(11))
}

/// Example i is a plane of ones times (i mod 7), seen through the step's noise.
fn objective(model: &Autoencoder, batch: &Batch<'_>) -> standin_nn::Result<Tensor<1>> {
    let device = DeviceChoice::Cpu.training();
    let n = batch.indices.len();
    let level: Vec<f32> = batch.indices.iter().map(|&index| (index % 7) as f32 / 7.0).collect();
    let x = Tensor::<1>::from_data(level.as_slice(), &device).reshape([n, 1, 1, 1]).expand([n, 1, 16, 16]);
    let noise = initial::normal([n, 1, 16, 16], 0.1, batch.seed, &device);
    Ok(loss::squared_error(model.forward(x.clone() + noise), x).mean())
}

fn run(checkpoints: Option<&Checkpoints>, progress: &dyn Progress) -> standin_nn::Result<Fitted<Autoencoder>> {
    fit(Autoencoder::new(Seed::new(3)), &optimization(), &plan(), checkpoints, progress, objective)
}

fn bits(fitted: &Fitted<Autoencoder>) -> (Vec<u32>, Vec<u32>) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    (bits(&values(&fitted.model)), bits(&fitted.history.losses))
}

#[test]
fn training_lowers_the_loss() {
    let fitted = run(None, &Silent).unwrap();
    assert_eq!(fitted.history.losses.len(), 12);
    assert!(fitted.history.recent_loss(3) < 0.7 * f64::from(fitted.history.losses[0]), "{:?}", fitted.history);
}

#[test]
fn results_do_not_depend_on_threads_or_on_trainings_beside_them() {
    let in_pool = |threads: usize| {
        std::thread::spawn(move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&run(None, &Silent).unwrap()))
        })
    };
    let trainings: Vec<_> = [1, 2, 1, 3].map(in_pool).into_iter().map(|thread| thread.join().unwrap()).collect();
    let alone = bits(&run(None, &Silent).unwrap());
    assert!(trainings.iter().all(|training| *training == alone));
}

/// Fails at the 8th step, as a killed process would stop there.
fn interrupted(checkpoints: &Checkpoints) {
    let outcome = fit(
        Autoencoder::new(Seed::new(3)),
        &optimization(),
        &plan(),
        Some(checkpoints),
        &Silent,
        |model: &Autoencoder, batch| match batch.step {
            8.. => Err(Error::objective(std::io::Error::other("killed"))),
            _ => objective(model, batch),
        },
    );
    assert!(outcome.is_err());
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Every::Steps(5), "autoencoder");
    interrupted(&checkpoints);
    let mut resumed_from = usize::MAX;
    let resumed = fit(
        // Other initial weights: all that matters must come from the checkpoint.
        Autoencoder::new(Seed::new(4)),
        &optimization(),
        &plan(),
        Some(&checkpoints),
        &Silent,
        |model: &Autoencoder, batch| {
            resumed_from = resumed_from.min(batch.step);
            objective(model, batch)
        },
    );
    assert_eq!(bits(&resumed.unwrap()), bits(&run(None, &Silent).unwrap()));
    assert_eq!(resumed_from, 5);
}

#[test]
fn a_foreign_or_damaged_checkpoint_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Every::Steps(5), "autoencoder");
    interrupted(&checkpoints);
    let other = Checkpoints::new(folder.path(), Every::Steps(5), "another");
    let message = run(Some(&other), &Silent).unwrap_err().to_string();
    assert!(message.contains("checkpoint.safetensors") && message.contains("another configuration"), "{message}");

    let bytes = std::fs::read(checkpoints.path()).unwrap();
    std::fs::write(checkpoints.path(), &bytes[..bytes.len() - 5]).unwrap();
    let message = run(Some(&checkpoints), &Silent).unwrap_err().to_string();
    assert!(message.contains("checkpoint.safetensors") && message.contains("delete it"), "{message}");
    checkpoints.remove().unwrap();
    checkpoints.remove().unwrap();
    assert!(run(Some(&checkpoints), &Silent).is_ok());
}

#[test]
fn divergence_is_an_error_that_says_step_and_remedy() {
    let outcome =
        fit(Autoencoder::new(Seed::new(3)), &optimization(), &plan(), None, &Silent, |model: &Autoencoder, batch| {
            let loss = objective(model, batch)?;
            Ok(if batch.step == 2 { loss * f32::INFINITY } else { loss })
        });
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("step 2") && message.contains("learning rate"), "{message}");
}

/// Two networks against each other, as a generator and its discriminator: each step trains both.
struct Rivals {
    maker: Trainer<Linear>,
    judge: Trainer<Linear>,
    dies_at: usize,
}

impl Rivals {
    fn new(seed: u64, dies_at: usize) -> Self {
        let device = DeviceChoice::Cpu.training();
        let linear = |name, sizes: [usize; 2]| Linear::new(sizes[0], sizes[1], Seed::new(seed).derive(name), &device);
        let maker = Trainer::new(linear("maker", [4, 3]), &optimization()).unwrap();
        let momentum = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        let slow = Optimization { optimizer: momentum, learning_rate: 0.01, ..Optimization::default() };
        Self { maker, judge: Trainer::new(linear("judge", [3, 1]), &slow).unwrap(), dies_at }
    }
}

impl Learner for Rivals {
    fn learn(&mut self, batch: &Batch<'_>) -> standin_nn::Result<f64> {
        if batch.step == self.dies_at {
            return Err(Error::objective(std::io::Error::other("killed")));
        }
        let device = DeviceChoice::Cpu.training();
        let noise = initial::normal([8, 4], 1.0, batch.seed, &device);
        let verdict = |model: &Linear, made: Tensor<2>| model.forward(made);
        let made = self.maker.model().forward(noise.clone()).detach();
        let real = Tensor::<2>::ones([8, 3], &device);
        let judged = (verdict(self.judge.model(), made) - 1.0).square().mean()
            + verdict(self.judge.model(), real).square().mean();
        self.judge.step(&judged, batch)?;
        let fooled = verdict(self.judge.model(), self.maker.model().forward(noise)).square().mean();
        self.maker.step(&fooled, batch)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        vec![("maker", self.maker.state()), ("judge", self.judge.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> Result<(), String> {
        for (name, state) in states {
            match name.as_str() {
                "maker" => self.maker.restore(state)?,
                "judge" => self.judge.restore(state)?,
                _ => return Err(format!("it holds a network `{name}`")),
            }
        }
        Ok(())
    }
}

#[test]
fn two_networks_resume_together() {
    let plan = Plan::steps(8, 8, 20, Seed::new(2));
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Every::Steps(6), "rivals");
    assert!(train(&mut Rivals::new(1, 17), &plan, Some(&checkpoints), &Silent).is_err());
    let mut resumed = Rivals::new(9, usize::MAX);
    train(&mut resumed, &plan, Some(&checkpoints), &Silent).unwrap();
    let mut whole = Rivals::new(1, usize::MAX);
    train(&mut whole, &plan, None, &Silent).unwrap();
    assert_eq!(resumed.maker.state(), whole.maker.state());
    assert_eq!(resumed.judge.state(), whole.judge.state());
}
