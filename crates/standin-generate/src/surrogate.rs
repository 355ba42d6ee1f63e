use standin_nn::loss::per_example;
use standin_nn::tensor::{Device, Tensor, TensorData};

/// A single value equal to `loss` whose gradient with respect to `x` is `gradient`, one value per value of `x`.
///
/// It carries a gradient that was computed outside the tensor library into its backward pass, exactly: the value is
/// ⟨x, gradient⟩ plus a constant.
///
/// # Panics
/// If there is not one gradient per value.
pub(crate) fn with_gradient(x: Tensor<2>, gradient: Vec<f32>, loss: f64, device: &Device) -> Tensor<1> {
    let shape = x.dims();
    let product = per_example(x * Tensor::from_data(TensorData::new(gradient, shape), device)).sum();
    let constant = product.clone().detach();
    product - constant + loss
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;
    use standin_nn::layer::Linear;
    use standin_nn::{DeviceChoice, gradient};

    use super::*;

    #[test]
    fn has_the_loss_as_value_and_passes_the_gradient_on() {
        let device = DeviceChoice::chosen().training();
        let layer = Linear::new(1, 2, Seed::new(1), &device);
        let input = Tensor::<2>::from_data([[2.0], [3.0]], &device);
        let loss = with_gradient(layer.forward(input), vec![1.0, 10.0, -1.0, 5.0], 7.5, &device);
        assert!((loss.clone().into_scalar::<f32>() - 7.5).abs() < 1e-5);
        // Weight: 2·(1, 10) + 3·(−1, 5); bias: (1, 10) + (−1, 5).
        assert_eq!(gradient(&layer, &loss), [-1.0, 35.0, 0.0, 15.0]);
    }
}
