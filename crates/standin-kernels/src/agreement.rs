//! Every instruction set on the same numbers.

use crate::activation::{Activation, Relu, Silu};
use crate::attention::Attention;
use crate::elementwise::{Gradient, Value, each};
use crate::instructions::Instructions;
use crate::layer_normalisation::LayerNormalisation;
use crate::linear::Linear;
use crate::normalisation::Normalisation;
use crate::units::Units;

/// Numbers between -1 and 1 that look drawn.
pub(crate) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| (((at + seed) * 7919 % 10_007) as f32).mul_add(2e-4, -1.0)).collect()
}

fn apart(found: &[f32], expected: &[f32]) -> f64 {
    let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>();
    let difference = square(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (difference / square(&mut expected.iter().map(|number| f64::from(*number)))).sqrt()
}

/// Those that fuse multiplication and addition agree bit for bit, the portable code to its second rounding.
pub(crate) fn every_instruction_set_agrees(what: &str, with: impl Fn(Instructions) -> Vec<Vec<f32>>) {
    let all: Vec<_> = Instructions::available().map(|instructions| (instructions, with(instructions))).collect();
    for (first, second) in all.iter().zip(&all[1..]) {
        if matches!(second.0, Instructions::Scalar(_)) {
            for (found, expected) in first.1.iter().zip(&second.1) {
                let apart = apart(found, expected);
                assert!(apart < 1e-6, "{:?} and {:?} are {apart} apart for {what}", first.0, second.0);
            }
        } else {
            assert!(first.1 == second.1, "{:?} and {:?} differ for {what}", first.0, second.0);
        }
    }
}

#[test]
fn every_instruction_set_maps_and_normalises_alike() {
    for (batch, positions, inputs, outputs) in [(3, 7, 50, 20), (20, 1, 33, 70), (2, 40, 30, 9)] {
        let layer = Linear { batch, positions, inputs, outputs };
        let (x, gradient) = (numbers(batch * positions * inputs, 1), numbers(batch * positions * outputs, 2));
        let (weight, bias) = (numbers(inputs * outputs, 3), numbers(outputs, 4));
        let units = Units::each(batch);
        every_instruction_set_agrees(&format!("{layer:?}"), |instructions| {
            let norms = layer.unit_squared_norms_on(instructions, &x, &gradient, &units);
            vec![
                layer.forward_on(instructions, &x, &weight, Some(&bias)),
                layer.input_gradient_on(instructions, &gradient, &weight),
                layer.weight_gradient_on(instructions, &x, &gradient, None),
                layer.unit_gradients_on(instructions, &x, &gradient, &units),
                norms.iter().map(|&norm| norm as f32).collect(),
            ]
        });
    }
    for (activation, positions) in [(Activation::Identity, 49), (Activation::Relu, 3), (Activation::Silu, 70)] {
        let layer = Normalisation { batch: 3, channels: 12, positions, groups: 4, epsilon: 1e-5, activation };
        let (x, gradient) = (numbers(3 * 12 * positions, 1), numbers(3 * 12 * positions, 2));
        let (scale, shift) = (numbers(12, 3), numbers(12, 4));
        every_instruction_set_agrees(&format!("{layer:?}"), |instructions| {
            let (y, statistics) = layer.forward_on(instructions, &x, &scale, &shift);
            let back = layer.backward_on(instructions, &x, &scale, &shift, &statistics, &gradient);
            vec![y, statistics, back.0, back.1, back.2]
        });
    }
    let layer = LayerNormalisation { rows: 6, width: 45, epsilon: 1e-5 };
    let (x, gradient) = (numbers(6 * 45, 1), numbers(6 * 45, 2));
    let (scale, shift) = (numbers(45, 3), numbers(45, 4));
    every_instruction_set_agrees("layer normalisation", |instructions| {
        let (y, statistics) = layer.forward_on(instructions, &x, &scale, &shift);
        let back = layer.backward_on(instructions, &x, &scale, &statistics, &gradient, 2);
        vec![y, statistics, back.0, back.1, back.2]
    });
    let layer = Attention { batch: 2, positions: 21, heads: 2, size: 19 };
    let (x, gradient) = (numbers(2 * 21 * 3 * 38, 1), numbers(2 * 21 * 38, 2));
    every_instruction_set_agrees("attention", |instructions| {
        let (y, logarithms) = layer.forward_on(instructions, &x);
        let back = layer.backward_on(instructions, &x, &logarithms, &gradient);
        vec![y, logarithms, back]
    });
    let z: Vec<f32> = numbers(1000, 5).iter().map(|number| 20.0 * number).collect();
    every_instruction_set_agrees("activations", |instructions| {
        vec![
            each::<Value<Silu>>(instructions, &z, &z),
            each::<Gradient<Silu>>(instructions, &z, &z),
            each::<Value<Relu>>(instructions, &z, &z),
            each::<Gradient<Relu>>(instructions, &z, &z),
        ]
    });
}
