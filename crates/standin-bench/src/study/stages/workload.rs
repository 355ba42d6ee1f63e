//! How long a training or a sampling takes, up to a factor that each family has of its own.

use standin_generate::{SampleRequest, Solver};
use toml::{Table, Value};

/// Values that pass through a network in training, times the square of its width, from the settings: the sum over every table of them
/// that says how long to train, by `epochs` (with `least_steps` or `fewest_steps`) or by `steps` and `batch_size`; one pass where none does.
pub(crate) fn training(settings: &Table, images: usize, values: usize) -> f64 {
    let mut tables = Vec::new();
    collect(settings, &mut tables);
    let passes: f64 = tables.iter().map(|table| rows(table, images as f64)).sum();
    let rows = if passes > 0.0 { passes } else { images as f64 };
    rows * values as f64 * square_of_width(&tables)
}

/// The same of a sampling: passes of the network for every value.
pub(super) fn sampling(settings: &Table, request: &SampleRequest, values: usize) -> f64 {
    let mut tables = Vec::new();
    collect(settings, &mut tables);
    // Only where each level of noise is a pass is there a number of steps that belongs to no training.
    let levels = number(settings, "steps").filter(|_| !settings.contains_key("batch_size"));
    let levels = request.steps.map(|steps| steps as f64).or(levels).unwrap_or(1.0);
    let passes = match request.solver {
        _ if levels <= 1.0 => 1.0,
        Some(Solver::Ddim) => levels,
        _ => 2.0 * levels - 1.0,
    };
    let (of_class, of_group) = (request.guidance.unwrap_or(1.0), request.group_guidance.unwrap_or(1.0));
    let guided = match request.group {
        None => f64::from(u8::from(of_class != 0.0)) + f64::from(u8::from(of_class != 1.0)),
        Some(_) => {
            [1.0 - of_class, of_class - of_group, of_group].into_iter().filter(|&share| share != 0.0).count() as f64
        }
    };
    request.count as f64 * values as f64 * passes * guided * square_of_width(&tables)
}

fn collect<'a>(table: &'a Table, tables: &mut Vec<&'a Table>) {
    tables.push(table);
    for value in table.values() {
        if let Value::Table(inner) = value {
            collect(inner, tables);
        }
    }
}

fn number(table: &Table, key: &str) -> Option<f64> {
    match table.get(key)? {
        Value::Integer(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

/// Images that a table of settings has pass through, of so many; 0 if it says nothing of it.
fn rows(table: &Table, images: f64) -> f64 {
    let batch = number(table, "batch_size").unwrap_or(1.0);
    let multiplicity = number(table, "multiplicity").unwrap_or(1.0);
    match (number(table, "epochs"), number(table, "steps")) {
        (Some(epochs), _) => {
            let least = number(table, "least_steps").or(number(table, "fewest_steps")).unwrap_or(0.0);
            (epochs * images).max(least * batch) * multiplicity
        }
        (None, Some(steps)) if table.contains_key("batch_size") => steps * batch * multiplicity,
        _ => 0.0,
    }
}

fn square_of_width(tables: &[&Table]) -> f64 {
    tables.iter().filter_map(|table| number(table, "width")).fold(0.0, |sum, width| sum + width * width).max(1.0)
}

#[cfg(test)]
mod tests {
    use standin_generate::Balance;

    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn training_grows_with_passes_images_and_the_square_of_the_width() {
        let settings = table(
            "steps = 18\nnetwork = { width = 48 }\ntraining = { epochs = 5.0, least_steps = 10, batch_size = 64 }",
        );
        let size = training(&settings, 1000, 784);
        assert_eq!(size, 5.0 * 1000.0 * 784.0 * 48.0 * 48.0);
        assert_eq!(training(&settings, 2000, 784), 2.0 * size);
        // Small sets have a least number of steps.
        assert_eq!(training(&settings, 10, 784), 640.0 * 784.0 * 48.0 * 48.0);
    }

    #[test]
    fn private_steps_count_their_batches_and_not_the_images() {
        let settings = table("private = { steps = 300, batch_size = 1024, multiplicity = 4 }");
        assert_eq!(training(&settings, 1000, 1), 300.0 * 1024.0 * 4.0);
        assert_eq!(training(&settings, 9000, 1), training(&settings, 1000, 1));
    }

    #[test]
    fn settings_without_a_training_are_one_pass() {
        assert_eq!(training(&table("components = 5"), 100, 3), 300.0);
    }

    #[test]
    fn sampling_counts_the_passes_of_each_noise_level() {
        let request = |steps, solver, guidance| SampleRequest {
            balance: Balance::Uniform,
            guidance,
            solver,
            steps,
            ..SampleRequest::new(10)
        };
        let settings = table("steps = 18\ntraining = { epochs = 1.0 }");
        assert_eq!(sampling(&settings, &request(None, None, None), 1), 350.0);
        assert_eq!(sampling(&settings, &request(Some(5), Some(Solver::Ddim), Some(2.0)), 1), 100.0);
        assert_eq!(sampling(&table("epochs = 3.0"), &request(None, None, None), 1), 10.0);
    }
}
