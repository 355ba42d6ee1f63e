//! Normalisations, activations and channel sums against plain formulas in double precision.

mod drawn;

use drawn::{Numbers, apart, on_threads};
use standin_kernels::{
    Activation, LayerNormalisation, Normalisation, Units, add, channel_sums, relu, relu_backward, silu, silu_backward,
    squared_norms, unit_channel_sums, weighted_sum,
};

fn activated(activation: Activation, z: f64) -> (f64, f64) {
    let sigmoid = 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Identity => (z, 1.0),
        Activation::Relu => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
        Activation::Silu => (z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid))),
    }
}

struct Plain {
    y: Vec<f64>,
    input_gradient: Vec<f64>,
    of_scale: Vec<f64>,
    of_shift: Vec<f64>,
}

/// Normalises blocks of `numbers`; `place(index)` is the entry of scale and shift, `sum(index)` that of their gradients.
fn plain(
    (x, output_gradient): (&[f32], &[f32]),
    (scale, shift): (&[f32], &[f32]),
    (numbers, epsilon, activation): (usize, f32, Activation),
    sums: usize,
    place: impl Fn(usize) -> usize,
    sum: impl Fn(usize) -> usize,
) -> Plain {
    let mut result = Plain {
        y: vec![0.0; x.len()],
        input_gradient: vec![0.0; x.len()],
        of_scale: vec![0.0; sums],
        of_shift: vec![0.0; sums],
    };
    for start in (0..x.len()).step_by(numbers) {
        let of = |at: usize| f64::from(x[at]);
        let block = start..start + numbers;
        let mean = block.clone().map(of).sum::<f64>() / numbers as f64;
        let variance = block.clone().map(|at| (of(at) - mean).powi(2)).sum::<f64>() / numbers as f64;
        let deviation = (variance + f64::from(epsilon)).sqrt();
        let normalised = |at: usize| (of(at) - mean) / deviation;
        let mut scaled = Vec::new();
        for at in block.clone() {
            let (scale, shift) = (f64::from(scale[place(at)]), f64::from(shift[place(at)]));
            let (value, slope) = activated(activation, scale * normalised(at) + shift);
            result.y[at] = value;
            let gradient = slope * f64::from(output_gradient[at]);
            result.of_scale[sum(at)] += gradient * normalised(at);
            result.of_shift[sum(at)] += gradient;
            scaled.push(scale * gradient);
        }
        let first = scaled.iter().sum::<f64>() / numbers as f64;
        let second =
            scaled.iter().zip(block.clone()).map(|(scaled, at)| scaled * normalised(at)).sum::<f64>() / numbers as f64;
        for (scaled, at) in scaled.iter().zip(block) {
            result.input_gradient[at] = (scaled - first - normalised(at) * second) / deviation;
        }
    }
    result
}

fn close(found: &[f32], expected: &[f64], what: &str) {
    let apart = apart(found, expected);
    assert!(apart < 3e-6, "{what}: {apart}");
}

#[test]
fn group_normalisation_and_its_activation_are_the_plain_formulas_each_way() {
    let mut numbers = Numbers::new(5);
    let activations = [Activation::Identity, Activation::Relu, Activation::Silu];
    let mut geometries = vec![(4, 32, 784, 8), (3, 24, 49, 3), (2, 16, 1, 4), (5, 6, 17, 6), (2, 10, 33, 1)];
    for _ in 0..57 {
        let groups = numbers.between(1, 5);
        let channels = groups * numbers.between(1, 6);
        geometries.push((numbers.between(1, 5), channels, numbers.between(2, 80), groups));
    }
    for (index, (batch, channels, positions, groups)) in geometries.into_iter().enumerate() {
        let activation = activations[index % 3];
        let layer = Normalisation { batch, channels, positions, groups, epsilon: 1e-5, activation };
        let x: Vec<f32> = numbers.normal(batch * channels * positions).iter().map(|v| 2.0 * v + 0.5).collect();
        let output_gradient = numbers.normal(x.len());
        let (scale, shift) = (numbers.normal(channels), numbers.normal(channels));
        let expected = plain(
            (&x, &output_gradient),
            (&scale, &shift),
            (channels / groups * positions, layer.epsilon, activation),
            batch * channels,
            |at| at / positions % channels,
            |at| at / positions,
        );
        let (y, statistics) = layer.forward(&x, &scale, &shift);
        let (input_gradient, of_scale, of_shift) = layer.backward(&x, &scale, &shift, &statistics, &output_gradient);
        close(&y, &expected.y, &format!("output of {layer:?}"));
        close(&input_gradient, &expected.input_gradient, &format!("input gradient of {layer:?}"));
        close(&of_scale, &expected.of_scale, &format!("gradient of the scale of {layer:?}"));
        close(&of_shift, &expected.of_shift, &format!("gradient of the shift of {layer:?}"));
    }
}

#[test]
fn layer_normalisation_sums_the_gradients_of_a_sample_over_its_rows() {
    let mut numbers = Numbers::new(6);
    for _ in 0..60 {
        let (samples, rows_per_sample) = (numbers.between(1, 6), numbers.between(1, 6));
        let rows = samples * rows_per_sample;
        let width = numbers.between(2, 90);
        let layer = LayerNormalisation { rows, width, epsilon: 1e-5 };
        let x = numbers.normal(rows * width);
        let output_gradient = numbers.normal(rows * width);
        let (scale, shift) = (numbers.normal(width), numbers.normal(width));
        let expected = plain(
            (&x, &output_gradient),
            (&scale, &shift),
            (width, layer.epsilon, Activation::Identity),
            samples * width,
            |at| at % width,
            |at| at / (rows_per_sample * width) * width + at % width,
        );
        let (y, statistics) = layer.forward(&x, &scale, &shift);
        let (input_gradient, of_scale, of_shift) =
            layer.backward(&x, &scale, &statistics, &output_gradient, rows_per_sample);
        close(&y, &expected.y, &format!("output of {layer:?}"));
        close(&input_gradient, &expected.input_gradient, &format!("input gradient of {layer:?}"));
        close(&of_scale, &expected.of_scale, &format!("gradient of the scale of {layer:?}"));
        close(&of_shift, &expected.of_shift, &format!("gradient of the shift of {layer:?}"));
    }
}

#[test]
fn a_mean_far_from_zero_costs_no_more_than_its_rounding() {
    let mut numbers = Numbers::new(7);
    let x: Vec<f32> = numbers.normal(4 * 500).iter().map(|v| v + 1000.0).collect();
    let activation = Activation::Identity;
    let layer = Normalisation { batch: 1, channels: 4, positions: 500, groups: 1, epsilon: 0.0, activation };
    let (scale, shift) = (vec![1.0; 4], vec![0.0; 4]);
    let expected = plain((&x, &x), (&scale, &shift), (2000, 0.0, activation), 4, |at| at / 500 % 4, |at| at / 500);
    let (y, _) = layer.forward(&x, &scale, &shift);
    // Half a unit in the last place of the mean, 3e-5 of the deviation.
    let apart = apart(&y, &expected.y);
    assert!(apart < 4e-5, "{apart}");
}

#[test]
fn activations_are_the_plain_formulas_from_one_end_to_the_other() {
    let z: Vec<f32> = (-80_000..80_000).map(|at| at as f32 * 1.1e-3).collect();
    let output_gradient = vec![1.0; z.len()];
    for (activation, value, slope) in [
        (Activation::Silu, silu(&z), silu_backward(&z, &output_gradient)),
        (Activation::Relu, relu(&z), relu_backward(&z, &output_gradient)),
    ] {
        for ((&z, value), slope) in z.iter().zip(value).zip(slope) {
            let expected = activated(activation, f64::from(z));
            let close = |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 4e-7 * expected.abs() + 1e-6;
            assert!(close(value, expected.0) && close(slope, expected.1), "{activation:?} of {z}: {value}, {slope}");
        }
    }
    assert_eq!(relu(&[-1.0, 0.0, 2.0]), [0.0, 0.0, 2.0]);
    assert!(relu(&[f32::NAN])[0].is_nan() && silu(&[f32::NAN])[0].is_nan());
    assert_eq!(add(&[1.0, 2.0], &[0.5, -2.0]), [1.5, 0.0]);
}

#[test]
fn channel_sums_are_the_plain_sums_weighted_or_by_unit() {
    let mut numbers = Numbers::new(8);
    for (batch, channels, positions) in [(7, 5, 100), (3, 1, 70_000), (4, 9, 1), (0, 3, 5)] {
        let images = numbers.normal(batch * channels * positions);
        let factors = numbers.normal(batch);
        let units = Units::new((0..batch).map(|sample| (sample / 2) as u32).collect(), batch + 1);
        let mut weighted = vec![0.0; channels];
        let mut of_units = vec![0.0; units.len() * channels];
        for (at, number) in images.iter().enumerate() {
            let (sample, channel) = (at / positions / channels, at / positions % channels);
            weighted[channel] += f64::from(*number) * f64::from(factors[sample]);
            of_units[units.of_sample()[sample] as usize * channels + channel] += f64::from(*number);
        }
        close(&channel_sums(&images, batch, channels, positions, Some(&factors)), &weighted, "weighted sums");
        let sums = unit_channel_sums(&images, batch, channels, positions, &units);
        close(&sums, &of_units, "sums of units");
        let norms = squared_norms(&sums, channels);
        for (norm, row) in norms.iter().zip(of_units.chunks(channels)) {
            let expected: f64 = row.iter().map(|number| number * number).sum();
            assert!((norm - expected).abs() <= 1e-5 * expected, "{norm} for {expected}");
        }
    }
}

#[test]
fn a_weighted_sum_is_that_of_the_rows_whatever_their_width() {
    let mut numbers = Numbers::new(9);
    for (count, width) in [(5, 7000), (1, 3), (0, 4), (12, 33)] {
        let (rows, weights) = (numbers.normal(count * width), numbers.normal(count));
        let mut expected = vec![0.0; width];
        for (row, weight) in rows.chunks(width).zip(&weights) {
            for (sum, number) in expected.iter_mut().zip(row) {
                *sum += f64::from(*number) * f64::from(*weight);
            }
        }
        close(&weighted_sum(&rows, width, &weights), &expected, "weighted sum");
    }
}

#[test]
fn the_number_of_threads_changes_no_normalisation() {
    let mut numbers = Numbers::new(11);
    let activation = Activation::Silu;
    let layer = Normalisation { batch: 9, channels: 16, positions: 100, groups: 4, epsilon: 1e-5, activation };
    let (x, output_gradient) = (numbers.normal(9 * 1600), numbers.normal(9 * 1600));
    let (scale, shift) = (numbers.normal(16), numbers.normal(16));
    let all = || {
        let (y, statistics) = layer.forward(&x, &scale, &shift);
        let gradients = layer.backward(&x, &scale, &shift, &statistics, &output_gradient);
        (y, gradients, channel_sums(&x, 9, 16, 100, None), silu(&x.repeat(5)))
    };
    assert!(on_threads(1, all) == on_threads(2, all));
}
