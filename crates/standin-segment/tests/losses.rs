//! Loss terms against NumPy (`fixtures/make_losses.py`), and their gradients against differences.

use serde::Deserialize;
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, burn, gradient};
use standin_segment::losses::{
    Answer, Maps, certain_difference, contrast, cross_entropy, dice, entropy, mutual_consistency, squared_difference,
};
use standin_segment::network::Contrasted;

/// Values in single precision against double precision, over a handful of voxels.
const TOLERANCE: f64 = 2e-5;

const MAPS: Maps = Maps { samples: 4, classes: 2, voxels: 6 };
const LABELLED: usize = 2;

#[derive(Deserialize)]
struct Fixture {
    logits: [Vec<f32>; 3],
    labels: Vec<u8>,
    dice: f64,
    cross_entropy: f64,
    sharpened: Vec<f64>,
    consistency: f64,
    entropy: Vec<f64>,
    threshold: f64,
    certain: f64,
    mean_squared: f64,
    foreground: Vec<f32>,
    background: Vec<f32>,
    pull_foreground: f64,
    pull_background: f64,
    push: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/losses.json")).unwrap()
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < TOLERANCE * expected.abs().max(1.0), "{what} is {found} and not {expected}");
}

fn probabilities(fixture: &Fixture) -> [Vec<f32>; 3] {
    [0, 1, 2].map(|decoder| MAPS.softmax(&fixture.logits[decoder], 1.0))
}

#[test]
fn supervised_terms_equal_numpy() {
    let fixture = fixture();
    let p = &probabilities(&fixture)[0];
    let maps = MAPS.first(LABELLED);
    let mut ignored = vec![0.0; maps.len()];
    let p = &p[..maps.len()];
    close(dice(maps, p, &fixture.labels, 1.0, &mut ignored), fixture.dice, "dice");
    close(cross_entropy(maps, p, &fixture.labels, 1.0, &mut ignored), fixture.cross_entropy, "cross-entropy");
    close(dice(maps, p, &fixture.labels, 0.5, &mut ignored), fixture.dice / 2.0, "half of dice");
}

#[test]
fn sharpening_is_a_softmax_at_a_lower_temperature() {
    let fixture = fixture();
    for (found, expected) in MAPS.softmax(&fixture.logits[0], 0.1).iter().zip(&fixture.sharpened) {
        close(f64::from(*found), *expected, "a sharpened probability");
    }
}

#[test]
fn consistency_equals_numpy() {
    let fixture = fixture();
    let p = probabilities(&fixture);
    let sharpened: Vec<Vec<f32>> = fixture.logits.iter().map(|logits| MAPS.softmax(logits, 0.1)).collect();
    let mut gradients = vec![vec![0.0; MAPS.len()]; 3];
    let p: Vec<&[f32]> = p.iter().map(Vec::as_slice).collect();
    let mut into: Vec<&mut [f32]> = gradients.iter_mut().map(Vec::as_mut_slice).collect();
    close(mutual_consistency(&p, &sharpened, 1.0, &mut into), fixture.consistency, "consistency");
}

#[test]
fn the_teachers_terms_equal_numpy() {
    let fixture = fixture();
    let p = probabilities(&fixture);
    let maps = Maps { samples: MAPS.samples - LABELLED, ..MAPS };
    let unlabelled = |decoder: usize| &p[decoder][MAPS.first(LABELLED).len()..];
    let mean: Vec<f32> = (0..maps.len()).map(|at| (0..3).map(|of| unlabelled(of)[at]).sum::<f32>() / 3.0).collect();
    let uncertainty = entropy(maps, &mean);
    for (found, expected) in uncertainty.iter().zip(&fixture.entropy) {
        close(f64::from(*found), *expected, "an entropy");
    }
    let mut ignored = vec![0.0; maps.len()];
    let pair = (unlabelled(0), unlabelled(1));
    // Half a rounding above, so that the median itself is on the same side in both precisions.
    let certain = certain_difference(maps, pair, (&uncertainty, fixture.threshold - 1e-6), 1.0, &mut ignored);
    close(certain, fixture.certain, "the difference where it is certain");
    close(squared_difference(pair.0, pair.1, 1.0, &mut ignored), fixture.mean_squared, "the squared difference");
}

#[test]
fn the_contrast_equals_numpy() {
    let fixture = fixture();
    let device = DeviceChoice::Cpu.inference();
    let vectors = |values: &[f32]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [MAPS.samples, values.len() / MAPS.samples]), &device)
    };
    let contrasted = Contrasted { foreground: vectors(&fixture.foreground), background: vectors(&fixture.background) };
    let found = f64::from(contrast(contrasted).into_scalar::<f32>());
    close(found, fixture.pull_foreground + fixture.pull_background + fixture.push, "the contrast");
}

#[derive(Module, Debug)]
struct Logits {
    values: burn::module::Param<Tensor<5>>,
}

/// What all slice terms give together, as a function of the logits of one decoder.
fn all_terms(answer: &mut Answer, fixture: &Fixture) -> f64 {
    let maps = answer.maps();
    let first = maps.first(LABELLED);
    let targets = maps.softmax(&fixture.logits[1], 1.0);
    let uncertainty = entropy(maps, &targets);
    let (p, gradient) = answer.parts();
    let mut value = dice(first, &p[..first.len()], &fixture.labels, 0.5, &mut gradient[..first.len()]);
    value += cross_entropy(first, &p[..first.len()], &fixture.labels, 0.5, &mut gradient[..first.len()]);
    value += mutual_consistency(&[p], std::slice::from_ref(&targets), 1.0, &mut [&mut *gradient]);
    value += squared_difference(p, &targets, 0.7, gradient);
    value + certain_difference(maps, (p, &targets), (&uncertainty, 0.4), 0.3, gradient)
}

/// The gradient that reaches the network against central differences of the value, at every logit.
#[test]
fn gradients_equal_differences() {
    let fixture = fixture();
    let device = DeviceChoice::Cpu.training();
    let answer_of = |logits: &[f32]| {
        let tensor = Tensor::<5>::from_data(TensorData::new(logits.to_vec(), [4, 2, 1, 2, 3]), &device);
        let module = Logits { values: burn::module::Param::from_tensor(tensor) };
        (Answer::new(module.values.val()), module)
    };
    let logits = &fixture.logits[0];
    let (mut answer, module) = answer_of(logits);
    let value = all_terms(&mut answer, &fixture);
    let loss = answer.loss(value);
    close(f64::from(loss.clone().into_scalar::<f32>()), value, "the loss");
    let found = gradient(&module, &loss);
    let step = 1e-2;
    for at in 0..logits.len() {
        let moved = |by: f32| {
            let mut logits = logits.clone();
            logits[at] += by;
            all_terms(&mut answer_of(&logits).0, &fixture)
        };
        let expected = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        assert!((f64::from(found[at]) - expected).abs() < 2e-4, "{at}: {} and not {expected}", found[at]);
    }
}

/// With many classes the softmax and every term work likewise.
#[test]
fn three_classes_are_probabilities() {
    let maps = Maps { samples: 1, classes: 3, voxels: 2 };
    let p = maps.softmax(&[1.0, 0.0, 2.0, 0.0, 0.5, 900.0], 1.0);
    let partition = 1f64.exp() + 2f64.exp() + 0.5f64.exp();
    close(f64::from(p[0]), 1f64.exp() / partition, "a probability");
    assert!(p.iter().all(|value| value.is_finite()) && (p[1] + p[3] + p[5] - 1.0).abs() < 1e-6 && p[5] == 1.0);
    let mut ignored = vec![0.0; 6];
    let perfect = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    assert!(dice(maps, &perfect, &[1, 0], 1.0, &mut ignored) < 0.51, "class 2 is in neither and costs nothing");
}
