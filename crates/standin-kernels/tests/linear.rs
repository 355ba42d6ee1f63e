//! Linear maps and embeddings against plain sums in double precision.

mod drawn;

use drawn::{Numbers, apart, on_threads};
use standin_kernels::{Embedding, Linear, Units};

fn squared_rows(rows: &[f64], width: usize) -> Vec<f64> {
    rows.chunks(width).map(|row| row.iter().map(|number| number * number).sum()).collect()
}

#[test]
fn a_linear_map_and_its_gradients_are_the_plain_sums() {
    let mut numbers = Numbers::new(3);
    let mut geometries = vec![
        (64, 1, 300, 10),
        (1, 1, 5, 3),
        (3, 7, 20, 33),
        (5, 60, 40, 30),
        (4, 3, 900, 48),
        (2, 130, 17, 16),
        (70, 1, 1, 1),
        (9, 2, 100, 1),
    ];
    for _ in 0..60 {
        let mut draw = |most| numbers.between(1, most);
        geometries.push((draw(9), draw(20), draw(60), draw(60)));
    }
    for (batch, positions, inputs, outputs) in geometries {
        let layer = Linear { batch, positions, inputs, outputs };
        let rows = batch * positions;
        let x = numbers.normal(rows * inputs);
        let output_gradient = numbers.normal(rows * outputs);
        let (weight, bias) = (numbers.normal(inputs * outputs), numbers.normal(outputs));
        let factors = numbers.normal(batch);
        // Two thirds of the units have samples, some two.
        let units = Units::new((0..batch).map(|sample| (sample * 2 / 3) as u32).collect(), batch);
        let mut y: Vec<f64> = (0..rows * outputs).map(|at| f64::from(bias[at % outputs])).collect();
        let mut input_gradient = vec![0.0; x.len()];
        let mut weighted = vec![0.0; weight.len()];
        let mut of_units = vec![0.0; units.len() * weight.len()];
        for row in 0..rows {
            let sample = row / positions;
            for input in 0..inputs {
                for output in 0..outputs {
                    let (number, gradient) =
                        (f64::from(x[row * inputs + input]), f64::from(output_gradient[row * outputs + output]));
                    let at = input * outputs + output;
                    y[row * outputs + output] += number * f64::from(weight[at]);
                    input_gradient[row * inputs + input] += gradient * f64::from(weight[at]);
                    weighted[at] += number * gradient * f64::from(factors[sample]);
                    of_units[units.of_sample()[sample] as usize * weight.len() + at] += number * gradient;
                }
            }
        }
        let close = |found: &[f32], expected: &[f64], what: &str| {
            let apart = apart(found, expected);
            assert!(apart < 2e-6, "{what} of {layer:?}: {apart}");
        };
        close(&layer.forward(&x, &weight, Some(&bias)), &y, "output");
        close(&layer.input_gradient(&output_gradient, &weight), &input_gradient, "input gradient");
        close(&layer.weight_gradient(&x, &output_gradient, Some(&factors)), &weighted, "weighted gradient");
        close(&layer.unit_gradients(&x, &output_gradient, &units), &of_units, "unit gradients");
        let norms = layer.unit_squared_norms(&x, &output_gradient, &units);
        for (found, expected) in norms.iter().zip(squared_rows(&of_units, weight.len())) {
            assert!((found - expected).abs() <= 1e-5 * expected, "norm of {layer:?}: {found} for {expected}");
        }
    }
}

#[test]
fn entries_looked_up_twice_by_a_unit_add_up() {
    let mut numbers = Numbers::new(4);
    for _ in 0..20 {
        let (batch, positions) = (numbers.between(1, 12), numbers.between(1, 9));
        let (entries, width) = (numbers.between(1, 10), numbers.between(1, 40));
        let table = Embedding { batch, positions, entries, width };
        let indices: Vec<u32> = (0..batch * positions).map(|_| numbers.between(0, entries - 1) as u32).collect();
        let output_gradient = numbers.normal(batch * positions * width);
        let factors = numbers.normal(batch);
        let units = Units::new((0..batch).map(|sample| (sample / 2) as u32).collect(), batch);
        let mut weighted = vec![0.0; entries * width];
        let mut of_units = vec![0.0; units.len() * entries * width];
        for (row, &index) in indices.iter().enumerate() {
            let unit = units.of_sample()[row / positions] as usize;
            for column in 0..width {
                let gradient = f64::from(output_gradient[row * width + column]);
                weighted[index as usize * width + column] += gradient * f64::from(factors[row / positions]);
                of_units[(unit * entries + index as usize) * width + column] += gradient;
            }
        }
        assert!(apart(&table.weight_gradient(&indices, &output_gradient, Some(&factors)), &weighted) < 1e-6);
        assert!(apart(&table.unit_gradients(&indices, &output_gradient, &units), &of_units) < 1e-6);
        let norms = table.unit_squared_norms(&indices, &output_gradient, &units);
        for (found, expected) in norms.iter().zip(squared_rows(&of_units, entries * width)) {
            assert!((found - expected).abs() <= 1e-6 * expected, "norm of {table:?}: {found} for {expected}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_sum_of_a_linear_map() {
    let mut numbers = Numbers::new(10);
    let layer = Linear { batch: 24, positions: 9, inputs: 300, outputs: 130 };
    let (x, output_gradient) = (numbers.normal(24 * 9 * 300), numbers.normal(24 * 9 * 130));
    let weight = numbers.normal(300 * 130);
    let all = || {
        (
            layer.forward(&x, &weight, None),
            layer.input_gradient(&output_gradient, &weight),
            layer.weight_gradient(&x, &output_gradient, None),
            layer.unit_gradients(&x, &output_gradient, &Units::each(24)),
            layer.unit_squared_norms(&x, &output_gradient, &Units::each(24)),
        )
    };
    assert!(on_threads(1, all) == on_threads(2, all));
}
