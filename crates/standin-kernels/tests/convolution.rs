//! Convolutions against plain sums in double precision.

mod drawn;

use drawn::{Numbers, apart, on_threads};
use standin_kernels::{Convolution, Units};

/// Sums in double precision, in the order of the definition.
struct Plain {
    output: Vec<f64>,
    input_gradient: Vec<f64>,
    unit_gradients: Vec<f64>,
}

/// Calls `product(sample, output channel, output position, input index, weight index)` for every product.
fn each_product(geometry: &Convolution, mut product: impl FnMut(usize, usize, usize, usize, usize)) {
    let Convolution { batch, inputs, outputs, groups, size, kernel, stride, padding, dilation } = *geometry;
    let output = geometry.output();
    let index = |at: [usize; 3], size: [usize; 3]| (at[0] * size[1] + at[1]) * size[2] + at[2];
    let volume = |size: [usize; 3]| size.iter().product::<usize>();
    let every = |size: [usize; 3]| {
        (0..size[0]).flat_map(move |a| (0..size[1]).flat_map(move |b| (0..size[2]).map(move |c| [a, b, c])))
    };
    let (from, to) = (inputs / groups, outputs / groups);
    for sample in 0..batch {
        for channel in 0..outputs {
            for position in every(output) {
                for tap in every(kernel) {
                    let seen: [isize; 3] = std::array::from_fn(|axis| {
                        (position[axis] * stride[axis] + tap[axis] * dilation[axis]) as isize - padding[axis] as isize
                    });
                    if (0..3).any(|axis| seen[axis] < 0 || seen[axis] >= size[axis] as isize) {
                        continue;
                    }
                    let seen = index(seen.map(|at| at as usize), size);
                    for within in 0..from {
                        let input = (sample * inputs + channel / to * from + within) * volume(size) + seen;
                        let weight = (channel * from + within) * volume(kernel) + index(tap, kernel);
                        let at = (sample * outputs + channel) * volume(output) + index(position, output);
                        product(sample, channel, at, input, weight);
                    }
                }
            }
        }
    }
}

fn plain(
    geometry: &Convolution,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    output_gradient: &[f32],
    units: &Units,
) -> Plain {
    let positions: usize = geometry.output().iter().product();
    let mut output: Vec<f64> =
        (0..output_gradient.len()).map(|at| f64::from(bias[at / positions % geometry.outputs])).collect();
    let mut input_gradient = vec![0.0; x.len()];
    let mut unit_gradients = vec![0.0; units.len() * weight.len()];
    each_product(geometry, |sample, _, out, input, tap| {
        let (number, gradient) = (f64::from(x[input]), f64::from(output_gradient[out]));
        output[out] += number * f64::from(weight[tap]);
        input_gradient[input] += gradient * f64::from(weight[tap]);
        unit_gradients[units.of_sample()[sample] as usize * weight.len() + tap] += number * gradient;
    });
    Plain { output, input_gradient, unit_gradients }
}

fn geometries() -> Vec<Convolution> {
    let planar = Convolution::planar;
    let with = |geometry: Convolution, change: fn(&mut Convolution)| {
        let mut geometry = geometry;
        change(&mut geometry);
        geometry
    };
    let mut geometries = vec![
        planar(3, [1, 16], [28, 28], 3, 1, 1),
        planar(2, [16, 33], [14, 14], 3, 1, 1),
        planar(2, [32, 64], [15, 13], 3, 2, 1),
        planar(2, [5, 7], [11, 9], 5, 2, 2),
        planar(3, [40, 20], [12, 10], 1, 1, 0),
        planar(3, [40, 20], [12, 10], 1, 2, 0),
        planar(9, [64, 48], [4, 4], 3, 1, 1),
        planar(17, [100, 24], [2, 2], 3, 1, 1),
        // A stride past the kernel; padding past it; one position; an image of one pixel; more taps than pixels.
        planar(2, [6, 9], [9, 11], 2, 3, 0),
        planar(2, [6, 32], [9, 11], 1, 4, 3),
        planar(2, [3, 17], [5, 6], 2, 1, 4),
        planar(4, [30, 12], [5, 5], 5, 1, 0),
        planar(5, [20, 10], [1, 1], 1, 1, 0),
        planar(5, [20, 10], [1, 1], 3, 1, 1),
        planar(3, [64, 1], [12, 12], 3, 1, 1),
        planar(3, [3, 3], [12, 12], 3, 1, 1),
        planar(2, [130, 40], [7, 7], 3, 1, 1),
        // Larger than a work buffer: cut into bands.
        planar(1, [24, 16], [120, 64], 3, 1, 1),
        planar(1, [24, 16], [121, 65], 3, 2, 1),
        planar(1, [20, 2], [150, 70], 5, 1, 0),
        with(planar(2, [12, 12], [10, 10], 3, 1, 1), |g| g.groups = 12),
        with(planar(2, [12, 24], [10, 10], 3, 2, 1), |g| g.groups = 12),
        with(planar(2, [32, 64], [8, 8], 3, 1, 1), |g| g.groups = 2),
        with(planar(2, [12, 20], [9, 9], 3, 2, 2), |g| (g.groups, g.dilation) = (4, [1, 2, 2])),
        with(planar(2, [10, 20], [16, 13], 3, 2, 2), |g| g.dilation = [1, 3, 2]),
        with(planar(2, [10, 20], [16, 13], 3, 1, 2), |g| (g.kernel, g.stride) = ([1, 5, 2], [1, 3, 2])),
        // One axis.
        with(planar(3, [8, 16], [1, 50], 1, 1, 0), |g| (g.kernel, g.padding) = ([1, 1, 5], [0, 0, 2])),
        with(planar(3, [8, 20], [1, 51], 1, 1, 0), |g| (g.kernel, g.stride) = ([1, 1, 4], [1, 1, 3])),
        // Three.
        with(planar(2, [5, 18], [6, 7], 3, 1, 1), |g| (g.size[0], g.kernel[0], g.padding[0]) = (5, 3, 1)),
        with(planar(2, [16, 6], [8, 9], 3, 2, 1), |g| (g.size[0], g.kernel[0], g.stride[0]) = (6, 2, 2)),
        with(planar(1, [16, 16], [24, 25], 3, 1, 1), |g| (g.size[0], g.kernel[0], g.padding[0]) = (20, 3, 1)),
    ];
    let mut numbers = Numbers::new(2);
    while geometries.len() < 90 {
        let mut draw = |least: usize, most: usize| numbers.between(least, most);
        let groups = draw(1, 3);
        let mut triple = |least: usize, most: usize| [draw(least, most), draw(least, most), draw(least, most)];
        let (size, kernel) = (triple(1, 8), triple(1, 4));
        let (stride, padding, dilation) = (triple(1, 3), triple(0, 3), triple(1, 2));
        let geometry = Convolution {
            batch: draw(1, 5),
            inputs: groups * draw(1, 12),
            outputs: groups * draw(1, 20),
            groups,
            size,
            kernel,
            stride,
            padding,
            dilation,
        };
        if geometry.output().iter().all(|&length| length > 0) {
            geometries.push(geometry);
        }
    }
    geometries
}

#[test]
fn every_geometry_gives_the_plain_sums_whatever_the_number_of_threads() {
    let mut numbers = Numbers::new(1);
    for geometry in geometries() {
        let positions = |size: [usize; 3]| size.iter().product::<usize>();
        let x = numbers.normal(geometry.batch * geometry.inputs * positions(geometry.size));
        let output_gradient = numbers.normal(geometry.batch * geometry.outputs * positions(geometry.output()));
        let weights = geometry.outputs * geometry.inputs / geometry.groups * positions(geometry.kernel);
        let (weight, bias) = (numbers.normal(weights), numbers.normal(geometry.outputs));
        let units = Units::new((0..geometry.batch).map(|sample| (sample * 2 / 3) as u32).collect(), geometry.batch);
        let expected = plain(&geometry, &x, &weight, &bias, &output_gradient, &units);
        let factors = numbers.normal(geometry.batch);
        let each = Units::each(geometry.batch);
        let of_samples = plain(&geometry, &x, &weight, &bias, &output_gradient, &each).unit_gradients;
        let mut weighted = vec![0.0; weights];
        let mut total = vec![0.0; weights];
        for (gradient, &factor) in of_samples.chunks(weights).zip(&factors) {
            for ((weighted, total), number) in weighted.iter_mut().zip(&mut total).zip(gradient) {
                *weighted += number * f64::from(factor);
                *total += number;
            }
        }
        let norms: Vec<f64> =
            expected.unit_gradients.chunks(weights).map(|row| row.iter().map(|v| v * v).sum()).collect();

        let all = || {
            (
                geometry.forward(&x, &weight, Some(&bias)),
                geometry.input_gradient(&output_gradient, &weight),
                geometry.weight_gradient(&x, &output_gradient, None),
                geometry.weight_gradient(&x, &output_gradient, Some(&factors)),
                geometry.unit_gradients(&x, &output_gradient, &units),
                geometry.unit_squared_norms(&x, &output_gradient, &units),
            )
        };
        let found = on_threads(1, all);
        assert!(
            apart(&found.0, &expected.output) < 2e-6,
            "output of {geometry:?}: {}",
            apart(&found.0, &expected.output)
        );
        let apart_by = apart(&found.1, &expected.input_gradient);
        assert!(apart_by < 2e-6, "input gradient of {geometry:?}: {apart_by}");
        assert!(apart(&found.2, &total) < 2e-6, "weight gradient of {geometry:?}: {}", apart(&found.2, &total));
        assert!(apart(&found.3, &weighted) < 2e-6, "weighted gradient of {geometry:?}");
        assert!(apart(&found.4, &expected.unit_gradients) < 2e-6, "unit gradients of {geometry:?}");
        for (found, norm) in found.5.iter().zip(&norms) {
            assert!((found - norm).abs() <= 5e-6 * norm, "squared norm of {geometry:?}: {found} for {norm}");
        }
        assert!(found == on_threads(2, all), "threads change the sums of {geometry:?}");
    }
}
