//! What whoever holds the weights of a generator can compute, beside samples: the ground that attacks on generators stand on.

use rayon::prelude::*;
use standin_data::{ImageSet, Shape};
use standin_nn::DeviceChoice;
use standin_nn::tensor::{Tensor, TensorData, activation};

use crate::{Error, Result};

/// A network that takes noise off images, for x = y + σ · noise with the values of an image y in [−1, 1].
pub trait Denoise: Send + Sync {
    /// Values of the plane that an image lies on.
    fn volume(&self) -> usize;

    /// The planes of images, one after the other.
    ///
    /// # Errors
    /// If they are of another shape than those it was trained on.
    fn planes(&self, images: &ImageSet) -> Result<Vec<f32>>;

    /// The noise that the network sees in planes of one noise level σ > 0, (x − D(x; σ)) / σ, for a class each.
    fn noise(&self, planes: &[f32], sigma: f64, classes: &[u32]) -> Vec<f32>;
}

/// A network that draws an image from standard normal latent values in one pass.
pub trait Decode: Send + Sync {
    /// Latent values of an image.
    fn latent(&self) -> usize;

    /// Whether its pixels are probabilities, so that an image has a likelihood given its latent values.
    fn has_likelihood(&self) -> bool;

    /// How badly the images drawn from latents (`classes.len() × latent`) fit the given images (`classes.len() × pixels`,
    /// values in [0, 1]), and the slope of each misfit along its latents.
    ///
    /// # Panics
    /// If the lengths differ, or a likelihood is asked for where there is none.
    fn misfit(&self, kind: Misfit, latents: &[f32], images: &[f32], classes: &[u32]) -> Misfits;

    /// The networks of a mixture, any of which may have drawn an image, each as a decoder of its own; none where it is one network.
    /// The misfit of the whole is that of the part that fits best.
    fn parts(&self) -> Vec<&dyn Decode> {
        Vec::new()
    }
}

/// A discriminator that was trained against a generator, and kept.
pub trait Discriminate: Send + Sync {
    /// One score for each image and its class: the higher, the more it is taken for a training image.
    ///
    /// # Errors
    /// If the images are of another shape than those it was trained on.
    fn scores(&self, images: &ImageSet, classes: &[u32]) -> Result<Vec<f64>>;
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The sum of squared differences of values.
    SquaredError,
    /// Minus the logarithm of the likelihood in nats, values being probabilities: the sum of their cross-entropies.
    CrossEntropy,
}

/// Misfits of images, and where they fall.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfits {
    /// One for each image.
    pub values: Vec<f64>,
    /// The slope of each along its latents, row by row.
    pub slopes: Vec<f32>,
}

/// Images compared at a time.
const COMPARED: usize = 128;

/// A decoder that is one function of latents and classes, on the device where slopes are computed.
pub(crate) struct Pass<F> {
    /// Latent values of an image.
    pub(crate) latent: usize,
    /// Whether what it draws are logits of probabilities.
    pub(crate) logits: bool,
    /// The function, from `n × latent` and n classes to `n × pixels`: values in [0, 1], or their logits.
    pub(crate) draw: F,
}

impl<F: Fn(Tensor<2>, &[u32]) -> Tensor<2> + Send + Sync> Decode for Pass<F> {
    fn latent(&self) -> usize {
        self.latent
    }

    fn has_likelihood(&self) -> bool {
        self.logits
    }

    fn misfit(&self, kind: Misfit, latents: &[f32], images: &[f32], classes: &[u32]) -> Misfits {
        let fits = latents.len() == classes.len() * self.latent && images.len().is_multiple_of(classes.len());
        assert!(fits, "one row of latents and of pixels for each class");
        assert!(self.logits || kind == Misfit::SquaredError, "these pixels are no probabilities");
        let pixels = images.len() / classes.len();
        let blocks = latents.par_chunks(COMPARED * self.latent).zip(images.par_chunks(COMPARED * pixels));
        let of_block = |((latents, images), classes): ((&[f32], &[f32]), &[u32])| {
            let device = DeviceChoice::chosen().training();
            let matrix = |values: &[f32], width: usize| {
                Tensor::<2>::from_data(TensorData::new(values.to_vec(), [classes.len(), width]), &device)
            };
            let (latents, images) = (matrix(latents, self.latent).require_grad(), matrix(images, pixels));
            let drawn = (self.draw)(latents.clone(), classes);
            let values = match (kind, self.logits) {
                (Misfit::SquaredError, false) => (drawn - images).square(),
                (Misfit::SquaredError, true) => (activation::sigmoid(drawn) - images).square(),
                // max(x, 0) − x y + ln(1 + e^−|x|), which neither overflows nor cancels.
                (Misfit::CrossEntropy, _) => {
                    drawn.clone().clamp_min(0.0) - drawn.clone() * images + (-drawn.abs()).exp().log1p()
                }
            };
            let values = values.sum_dim(1);
            let mut gradients = values.clone().sum().backward();
            let slopes = match latents.grad_remove(&mut gradients) {
                Some(slopes) => slopes.into_data().iter::<f32>().collect(),
                None => vec![0.0; latents.shape().num_elements()],
            };
            (values.into_data().iter::<f32>().map(f64::from).collect::<Vec<f64>>(), slopes)
        };
        let parts: Vec<_> = blocks.zip(classes.par_chunks(COMPARED)).map(of_block).collect();
        let (values, slopes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Misfits { values: values.concat(), slopes: slopes.concat() }
    }
}

/// A mixture of networks of equally many latent values, without a likelihood.
pub(crate) struct Mixed<'a> {
    /// At least one.
    pub(crate) parts: Vec<Box<dyn Decode + 'a>>,
}

impl Decode for Mixed<'_> {
    fn latent(&self) -> usize {
        self.parts[0].latent()
    }

    fn has_likelihood(&self) -> bool {
        false
    }

    fn misfit(&self, kind: Misfit, latents: &[f32], images: &[f32], classes: &[u32]) -> Misfits {
        let mut best = self.parts[0].misfit(kind, latents, images, classes);
        for part in &self.parts[1..] {
            let found = part.misfit(kind, latents, images, classes);
            let rows = best.slopes.chunks_exact_mut(self.latent()).zip(found.slopes.chunks_exact(self.latent()));
            for ((value, found), (slope, along)) in best.values.iter_mut().zip(found.values).zip(rows) {
                if found < *value {
                    *value = found;
                    slope.copy_from_slice(along);
                }
            }
        }
        best
    }

    fn parts(&self) -> Vec<&dyn Decode> {
        self.parts.iter().map(|part| part.as_ref() as &dyn Decode).collect()
    }
}

/// Checks that images are of the shape that a generator was trained on.
pub(crate) fn same_shape(images: &ImageSet, expected: Shape) -> Result<()> {
    if images.shape() == expected {
        return Ok(());
    }
    let found = format!("{} has images of {}", images.describe(), images.shape());
    Err(Error::request(found, format!("the generator was trained on {expected}; give images of that shape")))
}
