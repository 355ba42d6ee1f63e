//! Every instruction set, and both ways to a norm, on the same numbers.

use super::Convolution;
use super::ghost::Ghost;
use super::gradient::Gradient;
use crate::agreement::{every_instruction_set_agrees, numbers};
use crate::instructions::Instructions;
use crate::units::Units;

fn geometries() -> Vec<Convolution> {
    let planar = Convolution::planar;
    let mut depthwise = planar(3, [12, 12], [9, 10], 3, 2, 1);
    depthwise.groups = 12;
    let mut grouped = planar(4, [32, 48], [6, 7], 3, 1, 2);
    (grouped.groups, grouped.dilation) = (2, [1, 2, 1]);
    let mut volume = planar(2, [10, 34], [5, 6], 3, 2, 1);
    (volume.size[0], volume.kernel[0], volume.stride[0], volume.padding[0]) = (5, 2, 2, 1);
    vec![
        planar(3, [1, 16], [28, 28], 3, 1, 1),
        planar(5, [64, 70], [8, 8], 3, 1, 1),
        planar(5, [70, 64], [9, 7], 3, 2, 1),
        planar(9, [100, 40], [4, 4], 3, 1, 1),
        planar(3, [40, 3], [12, 12], 3, 1, 1),
        planar(4, [24, 33], [11, 10], 1, 2, 0),
        planar(2, [20, 20], [7, 9], 2, 3, 3),
        depthwise,
        grouped,
        volume,
    ]
}

#[test]
fn every_instruction_set_gives_the_same_sums() {
    for geometry in geometries() {
        let size = |axes: [usize; 3]| axes.iter().product::<usize>();
        let x = numbers(geometry.batch * geometry.inputs * size(geometry.size), 1);
        let output_gradient = numbers(geometry.batch * geometry.outputs * size(geometry.output()), 2);
        let (weight, bias) = (numbers(geometry.weights(), 3), numbers(geometry.outputs, 4));
        let units = Units::each(geometry.batch);
        let with = |instructions| {
            let norms = geometry.unit_squared_norms_on(instructions, &x, &output_gradient, &units);
            vec![
                geometry.forward_on(instructions, &x, &weight, Some(&bias)),
                geometry.input_gradient_on(instructions, &output_gradient, &weight),
                geometry.weight_gradient_on(instructions, &x, &output_gradient, None),
                geometry.unit_gradients_on(instructions, &x, &output_gradient, &units),
                norms.iter().map(|&norm| norm as f32).collect(),
            ]
        };
        every_instruction_set_agrees(&format!("{geometry:?}"), with);
    }
}

#[test]
fn norms_from_pairs_of_positions_are_those_of_the_gradients() {
    let instructions = Instructions::best();
    for geometry in geometries() {
        let size = |axes: [usize; 3]| axes.iter().product::<usize>();
        let x = numbers(geometry.batch * geometry.inputs * size(geometry.size), 1);
        let output_gradient = numbers(geometry.batch * geometry.outputs * size(geometry.output()), 2);
        // All of the batch but the last sample in one unit.
        let units = Units::new((0..geometry.batch).map(|at| u32::from(at + 1 == geometry.batch)).collect(), 2);
        let gradients = geometry.unit_gradients_on(instructions, &x, &output_gradient, &units);
        let gradient = Gradient::new(&geometry);
        let mut ghost = Ghost::default();
        for (unit, row) in gradients.chunks(geometry.weights()).enumerate() {
            let expected: f64 = row.iter().map(|&number| f64::from(number).powi(2)).sum();
            let samples = units.members(unit);
            let of_group = |group| {
                let numbers = (&x[..], &output_gradient[..]);
                gradient.squared_norm_of_pairs(instructions, numbers, samples, group, &mut ghost)
            };
            let found: f64 = (0..geometry.groups).map(of_group).sum();
            assert!((found - expected).abs() <= 1e-5 * expected, "{found} for {expected}, {geometry:?}");
        }
    }
}
