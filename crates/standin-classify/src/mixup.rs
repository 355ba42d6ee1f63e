use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::Gamma;
use standin_data::Seed;
use standin_nn::layer::indices;
use standin_nn::tensor::Tensor;

/// One draw of MixUp (Zhang, Cisse, Dauphin and Lopez-Paz 2018, equation 1) for a batch: every image becomes
/// λ · itself + (1 − λ) · its partner, and its target likewise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mixture {
    /// λ ~ Beta(α, α), in [0, 1]; one for the batch, as in the paper's implementation.
    pub(crate) share: f32,
    /// The partner of each image: a permutation of the batch.
    pub(crate) partners: Vec<usize>,
}

impl Mixture {
    /// Draws the mixture of a batch of `images` images for `alpha` above 0.
    pub(crate) fn draw(alpha: f64, images: usize, seed: Seed) -> Self {
        let mut rng = seed.rng();
        // Beta(α, α) is the share of the first of two Gamma(α) draws; the configuration has checked α.
        let gamma = Gamma::new(alpha, 1.0).expect("α is above 0 and finite");
        let (own, other): (f64, f64) = (rng.sample(gamma), rng.sample(gamma));
        // Both draws underflow where α is tiny: the limit of the distribution is then a coin.
        let share = if own + other > 0.0 { own / (own + other) } else { f64::from(u8::from(rng.random::<bool>())) };
        let mut partners: Vec<usize> = (0..images).collect();
        partners.shuffle(&mut rng);
        Self { share: share as f32, partners }
    }

    /// Mixes rows, one per image, with those of their partners.
    pub(crate) fn mix<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let partners = indices(self.partners.iter().map(|&partner| partner as u32), &x.device());
        x.clone() * self.share + x.select(0, partners) * (1.0 - self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beta(α, α) has mean 1/2 and variance 1 / (4 (2α + 1)); tolerances are four standard errors at 4000 draws.
    #[test]
    fn shares_have_the_moments_of_beta() {
        for alpha in [0.2, 1.0, 5.0] {
            let shares: Vec<f64> =
                (0..4000).map(|seed| f64::from(Mixture::draw(alpha, 2, Seed::new(seed)).share)).collect();
            let mean = shares.iter().sum::<f64>() / 4000.0;
            let variance = shares.iter().map(|share| (share - 0.5).powi(2)).sum::<f64>() / 4000.0;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 4.0 * (expected / 4000.0f64).sqrt(), "α = {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.12, "α = {alpha}: variance {variance} for {expected}");
        }
    }

    #[test]
    fn every_image_is_one_partner() {
        let mut partners = Mixture::draw(0.4, 50, Seed::new(1)).partners;
        assert_ne!(partners, (0..50).collect::<Vec<_>>());
        partners.sort_unstable();
        assert_eq!(partners, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn rows_and_partners_are_mixed_by_their_shares() {
        let device = standin_nn::DeviceChoice::Cpu.inference();
        let mixture = Mixture { share: 0.75, partners: vec![2, 0, 1] };
        let mixed = mixture.mix(Tensor::<2>::from_data([[0.0, 4.0], [8.0, 0.0], [1.0, 1.0]], &device));
        let mixed: Vec<f32> = mixed.into_data().iter::<f32>().collect();
        assert_eq!(mixed, [0.25, 3.25, 6.0, 1.0, 2.75, 0.75]);
    }

    #[test]
    fn tiny_alpha_mixes_nothing() {
        for seed in 0..100 {
            let share = Mixture::draw(1e-5, 2, Seed::new(seed)).share;
            assert!((0.0..=1.0).contains(&share) && !(0.001..0.999).contains(&share), "{share}");
        }
    }
}
