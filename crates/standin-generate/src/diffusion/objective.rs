//! What the network is trained for: EDM's loss (Karras et al. 2022, equation 8), one value per row.
//!
//! EDM weighs the squared error of D against the image y by λ = (σ² + σ_data²) / (σ σ_data)² = c_out⁻². As D = c_skip x +
//! c_out F, that is the plain squared error of F against (y − c_skip x) / c_out, which is computed beside the input, before
//! the network.

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use standin_data::{ImageSet, Seed};
use standin_nn::layer::indices;
use standin_nn::loss;
use standin_nn::tensor::{Device, Tensor, TensorData};

use super::canvas::Canvas;
use super::low_rank::Adapters;
use super::precondition::{Preconditioning, noise_features};
use super::unet::{Shown, UNet, UNetSizes};

/// The distribution of noise levels in training: ln σ is normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoiseLaw {
    /// Mean of ln σ.
    pub(crate) mean: f64,
    /// Standard deviation of ln σ.
    pub(crate) deviation: f64,
    /// Probability that a row's class is left out.
    pub(crate) label_drop: f64,
}

/// The planes that a diffusion model learns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Planes<'a> {
    /// Images with values in [−1, 1].
    Images(&'a ImageSet, Canvas),
    /// Codes of images, one row each.
    Codes(&'a [f32]),
}

impl Planes<'_> {
    fn clean(&self, index: usize, volume: usize) -> Vec<f32> {
        match *self {
            Self::Images(set, canvas) => canvas.symmetric(set.image(index)),
            Self::Codes(rows) => rows[index * volume..(index + 1) * volume].to_vec(),
        }
    }
}

/// The groups of planes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupLabels<'a> {
    /// One for each plane; the number of groups for none.
    pub(crate) values: &'a [u32],
    /// Probability that a row's group is left out.
    pub(crate) drop: f64,
}

/// Everything a loss is computed from but the network and the noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objective<'a> {
    pub(crate) planes: Planes<'a>,
    /// The class of each plane; the number of classes for none.
    pub(crate) labels: &'a [u32],
    /// Of what group each plane is, for a network that is told.
    pub(crate) groups: Option<GroupLabels<'a>>,
    pub(crate) sizes: &'a UNetSizes,
    pub(crate) scaling: Preconditioning,
    pub(crate) law: NoiseLaw,
}

/// One row of a batch: what the network is given, and what it should answer.
struct Row {
    input: Vec<f32>,
    target: Vec<f32>,
    features: Vec<f32>,
    class: u32,
    group: u32,
}

impl Objective<'_> {
    /// The row of one plane: its noise depends on the seed and the row's place alone.
    fn row(&self, place: usize, index: usize, seed: Seed) -> Row {
        let Self { sizes, scaling, law, .. } = self;
        let mut rng = seed.rng();
        rng.set_stream(place as u64);
        let sigma = (law.mean + law.deviation * rng.sample::<f64, _>(StandardNormal)).exp();
        let dropped = rng.random::<f64>() < law.label_drop;
        let mut target = self.planes.clean(index, sizes.channels * sizes.height * sizes.width);
        let mut input = target.clone();
        let (inwards, skip, out) = (scaling.input(sigma) as f32, scaling.skip(sigma) as f32, scaling.out(sigma) as f32);
        for (input, target) in input.iter_mut().zip(&mut target) {
            let noisy = *input + sigma as f32 * rng.sample::<f32, _>(StandardNormal);
            *target = (*target - skip * noisy) / out;
            *input = inwards * noisy;
        }
        let class = if dropped { sizes.classes as u32 } else { self.labels[index] };
        // Drawn last: the noise of a row does not depend on whether there are groups.
        let group = self.groups.map_or(
            0,
            |GroupLabels { values, drop }| {
                if rng.random::<f64>() < drop { sizes.groups as u32 } else { values[index] }
            },
        );
        Row { input, target, features: noise_features(sigma, sizes.base_width), class, group }
    }

    /// The mean squared error over the values of each row's plane, weighted by λ(σ): `rows.len()` values. An untrained
    /// network, which gives 0, has a loss of 1 where the data have the standard deviation that was said.
    pub(crate) fn losses(
        &self,
        network: &UNet,
        adapters: Option<&Adapters>,
        rows: &[usize],
        seed: Seed,
        device: &Device,
    ) -> Tensor<1> {
        let UNetSizes { channels, height, width, base_width, .. } = *self.sizes;
        let made: Vec<Row> = rows.par_iter().enumerate().map(|(place, &index)| self.row(place, index, seed)).collect();
        let joined = |part: fn(&Row) -> &Vec<f32>| made.iter().flat_map(part).copied().collect::<Vec<f32>>();
        let n = rows.len();
        let plane = |values| Tensor::<4>::from_data(TensorData::new(values, [n, channels, height, width]), device);
        let (input, target) = (plane(joined(|row| &row.input)), plane(joined(|row| &row.target)));
        let features = TensorData::new(joined(|row| &row.features), [n, base_width]);
        let classes = indices(made.iter().map(|row| row.class), device);
        let groups = self.groups.map(|_| indices(made.iter().map(|row| row.group), device));
        let shown = Shown { classes, groups };
        let output = network.forward(input, Tensor::from_data(features, device), shown, adapters);
        loss::squared_error(output, target) / (channels * height * width) as f64
    }
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;

    use super::*;

    fn objective<'a>(codes: &'a [f32], labels: &'a [u32], sizes: &'a UNetSizes) -> Objective<'a> {
        let law = NoiseLaw { mean: -1.2, deviation: 1.2, label_drop: 0.25 };
        let scaling = Preconditioning { data_deviation: 0.5 };
        Objective { planes: Planes::Codes(codes), labels, groups: None, sizes, scaling, law }
    }

    #[test]
    fn rows_are_noised_images_with_their_targets() {
        let sizes = UNetSizes::small_for_tests();
        let volume = sizes.channels * sizes.height * sizes.width;
        let clean: Vec<f32> = (0..volume).map(|at| (at as f32 / 9.0).sin() * 0.7).collect();
        let objective = objective(&clean, &[1], &sizes);
        let scaling = objective.scaling;
        let (mut logarithms, mut dropped) = (Vec::new(), 0);
        for place in 0..4000 {
            let row = objective.row(place, 0, Seed::new(3));
            // ln σ is what the slowest cosine and sine say.
            let half = sizes.base_width / 2;
            let logarithm = f64::from(row.features[half].atan2(row.features[0])) * 16.0;
            let sigma = logarithm.exp();
            let noisy = f64::from(row.input[5]) / scaling.input(sigma);
            let expected = (f64::from(clean[5]) - scaling.skip(sigma) * noisy) / scaling.out(sigma);
            assert!((f64::from(row.target[5]) - expected).abs() < 1e-3, "{} for {expected}", row.target[5]);
            logarithms.push(logarithm);
            dropped += usize::from(row.class == 2);
        }
        let mean = logarithms.iter().sum::<f64>() / 4000.0;
        let deviation = (logarithms.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        // Four standard errors.
        assert!((mean + 1.2).abs() < 0.08 && (deviation - 1.2).abs() < 0.06, "{mean} {deviation}");
        assert!((dropped as f64 / 4000.0 - 0.25).abs() < 0.03, "{dropped}");
    }

    /// A network that gives 0 has the mean square of the target as loss, whose expectation is 1 for data of σ_data.
    #[test]
    fn an_untrained_network_has_loss_one() {
        let device = DeviceChoice::chosen().inference();
        let sizes = UNetSizes::small_for_tests();
        let volume = sizes.channels * sizes.height * sizes.width;
        let mut rng = Seed::new(1).rng();
        let codes: Vec<f32> = (0..64 * volume).map(|_| 0.5 * rng.sample::<f32, _>(StandardNormal)).collect();
        let labels = vec![0; 64];
        let objective = objective(&codes, &labels, &sizes);
        let network = UNet::new(&sizes, Seed::new(2), &device);
        let rows: Vec<usize> = (0..64).collect();
        let losses: Vec<f32> =
            objective.losses(&network, None, &rows, Seed::new(5), &device).into_data().iter().collect();
        let mean = losses.iter().sum::<f32>() / 64.0;
        assert!(losses.len() == 64 && (mean - 1.0).abs() < 0.1, "{mean}");
    }
}
