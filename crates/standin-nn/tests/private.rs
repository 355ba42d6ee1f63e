//! Private training: each part of a step as the mechanism defines it, and nothing that the ledger does not know.

use std::cell::RefCell;

use burn::tensor::Device;
use standin_data::{Seed, Silent};
use standin_nn::layer::{Linear, silu};
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{
    Batch, Checkpoints, Clipping, DeviceChoice, Error, Every, Module, Optimization, Optimizer, Privacy, PrivateBatch,
    PrivatePlan, PrivateTrainer, Records, Result, Trainer, burn, fit_private, gradient, initial, loss, values,
};
use standin_privacy::{Adjacency, Budget, Event, Ledger, NoiseOrigin, NoiseSource, Unit};

/// The processor, or what `STANDIN_TEST_DEVICE` names.
fn device() -> Device {
    let name = std::env::var("STANDIN_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    name.parse::<DeviceChoice>().unwrap().training()
}

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    out: Linear,
}

fn network() -> Network {
    let seed = Seed::new(3);
    Network { hidden: Linear::new(4, 6, seed.derive("hidden"), &device()), out: Linear::new(6, 2, seed, &device()) }
}

const EXAMPLES: usize = 60;

/// The examples at `indices`: drawn inputs of four values, with targets of two.
fn examples(indices: &[usize]) -> (Tensor<2>, Tensor<2>) {
    let draw = |purpose: &str, width: usize| {
        let rows = indices.iter().flat_map(|&index| {
            let seed = Seed::new(index as u64).derive(purpose);
            initial::normal([width], 1.0, seed, &device()).into_data().iter::<f32>().collect::<Vec<_>>()
        });
        Tensor::from_data(TensorData::new(rows.collect::<Vec<f32>>(), [indices.len(), width]), &device())
    };
    (draw("input", 4), draw("target", 2))
}

fn row_losses(model: &Network, indices: &[usize]) -> Tensor<1> {
    let (x, target) = examples(indices);
    loss::squared_error(model.out.forward(silu(model.hidden.forward(x))), target)
}

fn losses(model: &Network, batch: &PrivateBatch<'_>) -> Result<Tensor<1>> {
    Ok(row_losses(model, batch.indices))
}

fn budget(epsilon: f64) -> Budget {
    Budget { epsilon, delta: 1e-3 }
}

fn privacy() -> Privacy {
    Privacy { noise: NoiseOrigin::Reproducible, ..Privacy::new(20, 30) }
}

fn plan<'a>(privacy: &'a Privacy, epsilon: f64, records: &'a Records) -> PrivatePlan<'a> {
    PrivatePlan { privacy, budget: budget(epsilon), records, before: None, seed: Seed::new(1) }
}

/// Plain gradient descent, so that a step shows the gradient.
fn descent() -> Optimization {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    Optimization { optimizer, learning_rate: 1.0, ..Optimization::default() }
}

fn batch(step: usize) -> Batch<'static> {
    let seed = Seed::new(50).derive(&format!("step {step}"));
    Batch { step, steps: 30, epoch: 0, steps_per_epoch: 3, indices: &[], seed }
}

fn ledger(records: &Records) -> Ledger {
    Ledger::new(records.unit().clone(), Adjacency::AddRemove, NoiseOrigin::Reproducible)
}

fn trainer(privacy: &Privacy, records: &Records) -> PrivateTrainer<Network> {
    PrivateTrainer::new(network(), &descent(), privacy, budget(2.0), records, ledger(records)).unwrap()
}

/// The gradient that one step of descent at rate 1 went down.
fn stepped(privacy: &Privacy, records: &Records) -> Vec<f64> {
    let mut trainer = trainer(privacy, records);
    trainer.step(&batch(0), losses).unwrap();
    let (before, after) = (values(&network()), values(trainer.model()));
    before.iter().zip(after).map(|(&before, after)| f64::from(before) - f64::from(after)).collect()
}

fn patients() -> Records {
    use standin_data::{Column, ImageSet, Shape};
    let set = ImageSet::new(Shape { channels: 1, height: 1, width: 1 }, vec![0; EXAMPLES]).unwrap();
    let values = (0..EXAMPLES).map(|image| format!("patient {}", image % 20)).collect();
    Records::grouped(&set.with_column(Column { name: "patient".into(), values }).unwrap(), "patient").unwrap()
}

/// The mechanism written out: the units the noise source samples, one at a time, clipped, summed, noised.
fn written_out(privacy: &Privacy, records: &Records, bound: f64) -> Vec<f64> {
    let mut noise = NoiseSource::reproducible(batch(0).seed);
    let rate = privacy.batch_size as f64 / records.units() as f64;
    let sampled = noise.sample(rate, records.units()).unwrap();
    assert!(sampled.len() > 5);
    let model = network();
    let mut sum = vec![0f64; values(&model).len()];
    for unit in sampled {
        let gradient = gradient(&model, &row_losses(&model, records.members(unit)).mean());
        let norm = gradient.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let factor = (bound / norm).min(1.0);
        sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += factor * f64::from(value));
    }
    let multiplier = trainer(privacy, records).noise_multiplier();
    noise.add_gaussian(multiplier * bound, &mut sum).unwrap();
    sum.into_iter().map(|value| value / privacy.batch_size as f64).collect()
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let error = norm(&mut found.iter().zip(expected).map(|(found, expected)| found - expected));
    let relative = error / norm(&mut expected.iter().copied());
    assert!(relative < tolerance, "off by {relative:e}");
}

/// Steps of 1 lose what f32 leaves of parameters of order 1, and the noise carries a margin of 1e-5.
#[test]
fn a_step_is_the_noised_sum_of_clipped_gradients_over_the_expected_batch() {
    for records in [Records::each(EXAMPLES), patients()] {
        let privacy = Privacy { batch_size: records.units() / 3, ..privacy() };
        for bound in [0.5, 100.0] {
            let privacy = Privacy { clipping: Clipping::Flat { bound }, ..privacy.clone() };
            close(&stepped(&privacy, &records), &written_out(&privacy, &records, bound), 3e-5);
        }
    }
}

#[test]
fn rows_per_pass_and_equal_copies_change_nothing() {
    for records in [Records::each(EXAMPLES), patients()] {
        let whole = stepped(&Privacy { physical_batch: 1000, ..privacy() }, &records);
        for physical_batch in [1, 7] {
            close(&stepped(&Privacy { physical_batch, ..privacy() }, &records), &whole, 1e-6);
        }
        close(&stepped(&Privacy { multiplicity: 3, ..privacy() }, &records), &whole, 1e-6);
    }
}

#[test]
fn the_ledger_holds_each_step_as_it_ran_and_the_guarantee_keeps_the_budget() {
    let records = Records::each(EXAMPLES);
    let fitted = fit_private(network(), &descent(), plan(&privacy(), 2.0, &records), None, &Silent, losses).unwrap();
    assert_eq!(fitted.history.losses.len(), 30);
    let guarantee = fitted.guarantee;
    assert!(guarantee.epsilon <= 2.0 && guarantee.epsilon > 1.99, "{}", guarantee.epsilon);
    assert_eq!((guarantee.delta, guarantee.unit.clone(), guarantee.holds()), (1e-3, Unit::Image, false));
    assert!(guarantee.not_covered.iter().any(|part| part.contains("losses")));

    let mut trainer = trainer(&privacy(), &records);
    for step in 0..5 {
        trainer.step(&batch(step), losses).unwrap();
    }
    let event =
        Event::PoissonSubsampledGaussian { sampling_rate: 20.0 / 60.0, noise_multiplier: trainer.noise_multiplier() };
    assert_eq!(trainer.ledger().events(), [(event, 5)]);
}

#[test]
fn what_was_spent_before_counts() {
    let records = Records::each(EXAMPLES);
    let alone = trainer(&privacy(), &records).noise_multiplier();
    let mut before = ledger(&records);
    before.record(Event::Gaussian { noise_multiplier: 4.0 }, 1).unwrap();
    let trainer = PrivateTrainer::new(network(), &descent(), &privacy(), budget(2.0), &records, before).unwrap();
    assert!(trainer.noise_multiplier() > 1.02 * alone);
}

/// A ledger of other noise or other units would put a claim on the result that nothing here kept.
#[test]
fn a_ledger_of_other_noise_or_units_is_refused() {
    let records = Records::each(EXAMPLES);
    for before in [
        Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Secret),
        Ledger::new(Unit::Group("patient".into()), Adjacency::AddRemove, NoiseOrigin::Reproducible),
    ] {
        let error = PrivateTrainer::new(network(), &descent(), &privacy(), budget(2.0), &records, before).unwrap_err();
        assert!(matches!(error, Error::OtherLedger { .. }), "{error}");
    }
}

#[test]
fn a_killed_training_continues_to_the_bit_with_its_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::each(EXAMPLES);
    let adaptive = Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, count_noise: 0.5 };
    let privacy = Privacy { clipping: adaptive, ..privacy() };
    let optimization = Optimization { average_decay: Some(0.9), ..Optimization::default() };
    let run = |checkpoints: Option<&Checkpoints>, fail_at: usize| {
        fit_private(network(), &optimization, plan(&privacy, 2.0, &records), checkpoints, &Silent, |model, batch| {
            match batch.step {
                step if step == fail_at => Err(Error::Losses { found: 0, rows: 0 }),
                _ => losses(model, batch),
            }
        })
    };
    let whole = run(None, usize::MAX).unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Every::Steps(4), "test");
    run(Some(&checkpoints), 13).unwrap_err();
    let resumed = run(Some(&checkpoints), usize::MAX).unwrap();
    assert_eq!(values(&resumed.model), values(&whole.model));
    assert_eq!((resumed.history, resumed.guarantee), (whole.history, whole.guarantee));
}

#[test]
fn a_checkpoint_of_another_guarantee_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), Every::Steps(4), "test");
    let records = Records::each(EXAMPLES);
    let run = |epsilon: f64| {
        let checkpoints = Some(&checkpoints);
        fit_private(network(), &descent(), plan(&privacy(), epsilon, &records), checkpoints, &Silent, losses)
    };
    run(2.0).unwrap();
    let message = run(4.0).unwrap_err().to_string();
    for part in ["ε = 2", "ε = 4", "checkpoint.safetensors", "delete it"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_network_that_mixes_examples_is_refused_before_the_first_step() {
    let steps = RefCell::new(0);
    let records = Records::each(EXAMPLES);
    let error =
        fit_private(network(), &descent(), plan(&privacy(), 2.0, &records), None, &Silent, |model: &Network, batch| {
            *steps.borrow_mut() += 1;
            let (x, target) = examples(batch.indices);
            let normalised = (x.clone() - x.clone().mean_dim(0)) / (x.var(0) + 1e-5).sqrt();
            Ok(loss::squared_error(model.out.forward(silu(model.hidden.forward(normalised))), target))
        })
        .unwrap_err();
    assert!(matches!(error, Error::Mixed { .. }), "{error}");
    assert!(error.to_string().contains("group normalisation"));
    assert_eq!(*steps.borrow(), 2);
}

#[test]
fn a_mean_in_the_place_of_losses_is_refused() {
    let records = Records::each(EXAMPLES);
    let error =
        fit_private(network(), &descent(), plan(&privacy(), 2.0, &records), None, &Silent, |model: &Network, batch| {
            Ok(row_losses(model, batch.indices).mean())
        })
        .unwrap_err();
    assert!(matches!(error, Error::Losses { found: 1, rows: 2 }), "{error}");
}

#[test]
fn settings_that_no_mechanism_has_are_named() {
    let records = Records::each(EXAMPLES);
    let refused = |privacy: Privacy, epsilon: f64| {
        let ledger = ledger(&records);
        PrivateTrainer::new(network(), &descent(), &privacy, budget(epsilon), &records, ledger).unwrap_err().to_string()
    };
    for (privacy, part) in [
        (Privacy { batch_size: 61, ..privacy() }, "61 for 60 units"),
        (Privacy { batch_size: 0, ..privacy() }, "privacy.batch_size"),
        (Privacy { steps: 0, ..privacy() }, "privacy.steps"),
        (Privacy { multiplicity: 0, ..privacy() }, "privacy.multiplicity"),
        (Privacy { clipping: Clipping::Flat { bound: -1.0 }, ..privacy() }, "clipping.bound"),
    ] {
        let message = refused(privacy, 2.0);
        assert!(message.contains(part), "{message}");
    }
}

/// The noise on the mean of squared gradients is known, and taken off: steps are longer where the gradient is small beside
/// the noise. Without noise there is nothing to take off, so the setting is refused.
#[test]
fn adam_corrected_for_noise_takes_other_steps_and_needs_noise() {
    let corrected =
        Optimizer::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, noise_floor: Some(1e-6) };
    let length = |optimizer: Optimizer| {
        let optimization = Optimization { optimizer, learning_rate: 1e-3, ..Optimization::default() };
        let records = Records::each(EXAMPLES);
        let mut trainer =
            PrivateTrainer::new(network(), &optimization, &privacy(), budget(0.5), &records, ledger(&records)).unwrap();
        for step in 0..5 {
            trainer.step(&batch(step), losses).unwrap();
        }
        let moved = values(trainer.model()).into_iter().zip(values(&network()));
        moved.map(|(after, before)| f64::from(after - before).powi(2)).sum::<f64>().sqrt()
    };
    assert!(length(corrected) > 2.0 * length(Optimizer::default()));
    let plain = Optimization { optimizer: corrected, ..Optimization::default() };
    let message = Trainer::new(network(), &plain).unwrap_err().to_string();
    assert!(message.contains("noise_floor") && message.contains("private training"), "{message}");
}

/// Every unit's influence on the noiseless sum is within the bound, whichever way it is clipped.
#[test]
fn adding_a_unit_moves_the_sum_by_at_most_the_bound() {
    use standin_nn::per_sample::{Recording, Units};
    let model = network();
    let indices: Vec<usize> = (0..10).collect();
    for clipping in [
        Clipping::Flat { bound: 0.7 },
        Clipping::Automatic { bound: 0.7, stabiliser: 0.01 },
        Clipping::PerLayer { bound: 0.7 },
        Clipping::Adaptive { initial: 0.7, quantile: 0.5, rate: 0.2, count_noise: 0.5 },
    ] {
        let recording = Recording::new(Units::each(10));
        let of_rows = recording.during(|| row_losses(&model, &indices));
        let gradients = recording.finish(&model, of_rows.sum().backward()).unwrap();
        let factors = clipping.factors(&gradients.squared_norms(), clipping.bound());
        for unit in 0..10 {
            let only: Vec<Vec<f32>> = factors
                .iter()
                .map(|row| row.iter().enumerate().map(|(at, &f)| if at == unit { f } else { 0.0 }).collect())
                .collect();
            let moved = gradients.weighted_sum(&only);
            let length = moved.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            assert!(length <= 0.7 * (1.0 + 1e-5), "{clipping:?}: {length}");
            assert!(length > 0.1, "{clipping:?}: {length}");
        }
    }
}
