//! Losses, one value per example, so that the caller chooses between mean, weighted sum and clipping per example.

use burn::tensor::{Device, Tensor, TensorData, activation};

/// Class targets as rows of probabilities, `n × classes`, with label smoothing (Szegedy et al. 2016, section 7): the true
/// class gets 1 − s + s / C, every other s / C.
///
/// # Panics
/// If a label is not below `classes`.
pub fn smoothed_targets(labels: &[u32], classes: usize, smoothing: f64, device: &Device) -> Tensor<2> {
    let rest = (smoothing / classes as f64) as f32;
    let mut values = vec![rest; labels.len() * classes];
    for (row, &label) in values.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] += (1.0 - smoothing) as f32;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device)
}

/// Cross-entropy of `n × classes` logits against `n × classes` target probabilities: n values in nats.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let [n, _] = logits.dims();
    -(activation::log_softmax(logits, 1) * targets).sum_dim(1).reshape([n])
}

/// Binary cross-entropy of logits against targets in [0, 1], summed over all axes but the first: n values in nats.
///
/// Computed as max(x, 0) − x t + ln(1 + e^−|x|), which overflows nowhere.
pub fn binary_cross_entropy<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<1> {
    let positive = activation::relu(logits.clone());
    let softplus = (-logits.clone().abs()).exp().log1p();
    per_example(positive - logits * targets + softplus)
}

/// Squared error, summed over all axes but the first: n values.
pub fn squared_error<const D: usize>(output: Tensor<D>, target: Tensor<D>) -> Tensor<1> {
    per_example((output - target).square())
}

/// Sums all axes but the first.
pub fn per_example<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    let n = values.dims()[0];
    let rest = values.shape().num_elements() / n.max(1);
    values.reshape([n, rest]).sum_dim(1).reshape([n])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;

    fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &DeviceChoice::Cpu.inference())
    }

    fn close(tensor: Tensor<1>, expected: &[f64]) {
        let values = tensor.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(values.len(), expected.len());
        for (&value, &wanted) in values.iter().zip(expected) {
            assert!((f64::from(value) - wanted).abs() < 1e-5 * wanted.abs().max(1.0), "{value} for {wanted}");
        }
    }

    #[test]
    fn cross_entropy_equals_its_formula() {
        let device = DeviceChoice::Cpu.inference();
        let logits = tensor(&[1.0, 2.0, 0.5, 0.0, 0.0, 0.0], [2, 3]);
        let partition = (1f64.exp() + 2f64.exp() + 0.5f64.exp()).ln();
        close(cross_entropy(logits.clone(), smoothed_targets(&[1, 0], 3, 0.0, &device)), &[partition - 2.0, 3f64.ln()]);
        let smooth = partition - (0.7 * 2.0 + 0.1 * (1.0 + 2.0 + 0.5));
        close(cross_entropy(logits, smoothed_targets(&[1, 0], 3, 0.3, &device)), &[smooth, 3f64.ln()]);
    }

    #[test]
    fn binary_cross_entropy_is_finite_for_extreme_logits() {
        let loss = binary_cross_entropy(tensor(&[1000.0, -1000.0, 0.0], [3, 1]), tensor(&[0.0, 0.0, 0.5], [3, 1]));
        close(loss, &[1000.0, 0.0, 2f64.ln()]);
    }

    #[test]
    fn squared_error_sums_within_an_example_only() {
        close(squared_error(tensor(&[1.0, 2.0, 3.0, 4.0], [2, 2]), tensor(&[0.0; 4], [2, 2])), &[5.0, 25.0]);
    }
}
