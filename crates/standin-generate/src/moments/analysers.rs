use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::burn::module::Param;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, PixelRange, burn};

use crate::Control;
use crate::network::{Chunk, Network};

/// The sizes of [`Analysers`] and what they need beside their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Architecture {
    /// Shape of an image.
    pub shape: Shape,
    /// The weight of each component, a list for each class; each adds up to 1.
    pub components: Vec<Vec<f64>>,
    /// Factors of a component.
    pub factors: usize,
    /// The share of the deviation that the factors leave unexplained which texture puts back.
    pub texture: f64,
    /// The largest standard deviation of the white noise on an image, values in [0, 1].
    pub grain: f64,
}

impl Architecture {
    fn total(&self) -> usize {
        self.components.iter().map(Vec::len).sum()
    }

    /// The component of a class in which a uniform value in [0, 1) falls, as an index among those of all classes.
    fn component(&self, class: usize, uniform: f64) -> usize {
        let first: usize = self.components[..class].iter().map(Vec::len).sum();
        let weights = &self.components[class];
        let mut below = 0.0;
        let found = weights.iter().position(|weight| {
            below += weight;
            uniform < below
        });
        first + found.unwrap_or(weights.len() - 1)
    }
}

/// A mixture of factor analysers for each class (Ghahramani & Hinton 1996): an image is a component's mean, plus its
/// loadings times standard normal factors, plus noise of the class's own deviation in each pixel.
#[derive(Module, Debug)]
pub(crate) struct Analysers {
    /// Components × pixels.
    means: Param<Tensor<2>>,
    /// Components × factors × pixels.
    loadings: Param<Tensor<3>>,
    /// Deviation in each pixel that the factors leave unexplained, classes × pixels.
    unexplained: Param<Tensor<2>>,
}

/// The weights of [`Analysers`] as plain values.
#[derive(Debug)]
pub(crate) struct Weights {
    pub means: Vec<f32>,
    pub loadings: Vec<f32>,
    pub unexplained: Vec<f32>,
}

impl Analysers {
    pub(crate) fn with(architecture: &Architecture, weights: Weights, device: &Device) -> Self {
        let (pixels, total) = (architecture.shape.volume(), architecture.total());
        let Weights { means, loadings, unexplained } = weights;
        let classes = architecture.components.len();
        let loadings = TensorData::new(loadings, [total, architecture.factors, pixels]);
        Self {
            means: Param::from_tensor(Tensor::from_data(TensorData::new(means, [total, pixels]), device)),
            loadings: Param::from_tensor(Tensor::from_data(loadings, device)),
            unexplained: Param::from_tensor(Tensor::from_data(TensorData::new(unexplained, [classes, pixels]), device)),
        }
    }
}

impl Network for Analysers {
    type Architecture = Architecture;

    const CONTROLS: &'static [Control] = &[Control::Temperature];

    const CHUNK: usize = 512;

    fn new(architecture: &Architecture, _: Seed, device: &Device) -> Self {
        let (pixels, total) = (architecture.shape.volume(), architecture.total());
        let weights = Weights {
            means: vec![0.0; total * pixels],
            loadings: vec![0.0; total * architecture.factors * pixels],
            unexplained: vec![0.0; architecture.components.len() * pixels],
        };
        Self::with(architecture, weights, device)
    }

    fn check(architecture: &Architecture) -> Result<(), &'static str> {
        let Architecture { components, factors, texture, grain, .. } = architecture;
        if *factors == 0 || components.is_empty() || components.iter().any(Vec::is_empty) {
            return Err("a class has no component, or components have no factor");
        }
        let adds_up = |weights: &Vec<f64>| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        if !components.iter().all(adds_up) || components.iter().flatten().any(|&weight| weight < 0.0) {
            return Err("the weights of a class's components do not add up to 1");
        }
        if ![texture, grain].iter().all(|value| value.is_finite() && **value >= 0.0) {
            return Err("texture or grain is negative or no number");
        }
        Ok(())
    }

    fn shape(architecture: &Architecture) -> Shape {
        architecture.shape
    }

    fn classes(architecture: &Architecture) -> usize {
        architecture.components.len()
    }

    fn draw(&self, architecture: &Architecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let Architecture { shape, factors, texture, grain, .. } = architecture;
        let pixels = shape.volume();
        let plain = |values: TensorData| values.iter::<f32>().collect::<Vec<_>>();
        let means = plain(self.means.val().into_data());
        let loadings = plain(self.loadings.val().into_data());
        let unexplained = plain(self.unexplained.val().into_data());

        let temperature = chunk.request.temperature as f32;
        let choices = chunk.values("component", 2);
        let factor_values = chunk.values("factors", *factors);
        let white = chunk.values("texture", pixels);
        let grains = chunk.values("grain", pixels);
        let strengths = chunk.values("strength of the grain", 2);
        let mut images = Vec::with_capacity(chunk.labels.len() * pixels);
        for (index, &label) in chunk.labels.iter().enumerate() {
            let class = label as usize;
            let component = architecture.component(class, uniform(&choices[2 * index..][..2]));
            let mut image = means[component * pixels..][..pixels].to_vec();
            let rows = loadings[component * factors * pixels..][..factors * pixels].chunks_exact(pixels);
            for (factor, row) in factor_values[index * factors..][..*factors].iter().zip(rows) {
                let factor = temperature * factor;
                image.iter_mut().zip(row).for_each(|(value, loading)| *value += factor * loading);
            }
            let smooth = smoothed(&white[index * pixels..][..pixels], *shape);
            let deviations = &unexplained[class * pixels..][..pixels];
            let scale = temperature * *texture as f32;
            for ((value, deviation), smooth) in image.iter_mut().zip(deviations).zip(&smooth) {
                *value += scale * deviation * smooth;
            }
            let strength = temperature * (*grain * uniform(&strengths[2 * index..][..2])) as f32;
            image.iter_mut().zip(&grains[index * pixels..]).for_each(|(value, grain)| *value += strength * grain);
            images.extend(image);
        }
        let dimensions = [chunk.labels.len(), shape.channels, shape.height, shape.width];
        (Tensor::from_data(TensorData::new(images, dimensions), &chunk.device()), PixelRange::Unit)
    }
}

/// A uniform value in [0, 1) from two standard normal ones: half their squared norm is exponential (Box & Muller 1958).
fn uniform(normal: &[f32]) -> f64 {
    -(-0.5 * normal.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>()).exp_m1()
}

/// Weights of a Gaussian of standard deviation 0.8 pixels, the neighbours that matter; their squares add up to 1, so that
/// white noise keeps its variance.
fn kernel() -> [f32; 7] {
    let weight = |at: usize| (-(at as f32 - 3.0).powi(2) / (2.0 * 0.8 * 0.8)).exp();
    let weights: [f32; 7] = std::array::from_fn(weight);
    let norm = weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
    weights.map(|weight| weight / norm)
}

/// White noise with neighbouring pixels correlated, of variance 1 away from the border: a plane outside is 0.
fn smoothed(white: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { height, width, .. } = shape;
    let weights = kernel();
    let window = |at: usize, length: usize| {
        (0..7).filter_map(move |k| (at + k).checked_sub(3).filter(|&to| to < length).map(|to| (k, to)))
    };
    let mut smooth = Vec::with_capacity(white.len());
    for plane in white.chunks_exact(height * width) {
        let mut across = vec![0.0; plane.len()];
        for (row, into) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
            for (x, value) in into.iter_mut().enumerate() {
                *value = window(x, width).map(|(k, from)| weights[k] * row[from]).sum();
            }
        }
        for y in 0..height {
            smooth.extend(
                (0..width)
                    .map(|x| window(y, height).map(|(k, from)| weights[k] * across[from * width + x]).sum::<f32>()),
            );
        }
    }
    smooth
}

#[cfg(test)]
mod tests {
    use standin_data::{ImageSet, Seed};
    use standin_nn::DeviceChoice;

    use super::*;
    use crate::SampleRequest;
    use crate::network::draw;

    const SHAPE: Shape = Shape { channels: 1, height: 4, width: 5 };

    fn architecture() -> Architecture {
        Architecture {
            shape: SHAPE,
            components: vec![vec![0.25, 0.75], vec![1.0]],
            factors: 2,
            texture: 0.0,
            grain: 0.0,
        }
    }

    /// The first factor moves the first pixel of the first component, and nothing else moves.
    fn analysers() -> Analysers {
        let mut loadings = vec![0.0; 3 * 2 * 20];
        loadings[0] = 0.1;
        let means = [0.2, 0.5, 0.8].iter().flat_map(|&mean| vec![mean; 20]).collect();
        let weights = Weights { means, loadings, unexplained: vec![0.1; 40] };
        Analysers::with(&architecture(), weights, &DeviceChoice::chosen().inference())
    }

    fn drawn(architecture: &Architecture, request: &SampleRequest, class: u32) -> ImageSet {
        draw(&analysers(), architecture, request, &[class].repeat(request.count), Seed::new(3)).unwrap()
    }

    #[test]
    fn components_come_as_often_as_their_weights_say_and_factors_move_them() {
        let images = drawn(&architecture(), &SampleRequest::new(4000), 0);
        let of_first: Vec<&[u8]> = (0..4000).map(|i| images.image(i)).filter(|image| image[1] == 51).collect();
        // A standard error is 27.
        assert!((900..1100).contains(&of_first.len()), "{}", of_first.len());
        let mean = of_first.iter().map(|image| f64::from(image[0])).sum::<f64>() / of_first.len() as f64;
        let square = of_first.iter().map(|image| (f64::from(image[0]) - mean).powi(2)).sum::<f64>();
        let deviation = (square / of_first.len() as f64).sqrt();
        assert!((mean - 51.0).abs() < 3.0 && (deviation - 25.5).abs() < 2.0, "{mean} {deviation}");
        assert!(drawn(&architecture(), &SampleRequest::new(9), 1).pixels().iter().all(|&value| value == 204));
    }

    #[test]
    fn at_temperature_0_an_image_is_its_components_mean() {
        let request = SampleRequest::new(50).with_temperature(0.0);
        let images = drawn(&Architecture { texture: 1.0, grain: 0.2, ..architecture() }, &request, 0);
        assert!(images.pixels().iter().all(|&value| value == 51 || value == 128));
    }

    #[test]
    fn texture_has_the_deviation_it_is_given_and_joins_neighbours() {
        let shape = Shape { channels: 1, height: 40, width: 40 };
        let mut rng = Seed::new(1).rng();
        let white: Vec<f32> = (0..1600).map(|_| rand::RngExt::sample(&mut rng, rand_distr::StandardNormal)).collect();
        let smooth = smoothed(&white, shape);
        let inner = |shift: usize| {
            let at = (4..35).flat_map(|y| (4..35).map(move |x| y * 40 + x));
            at.map(|at| f64::from(smooth[at] * smooth[at + shift])).sum::<f64>() / 961.0
        };
        // exp(−1/(4·0.8²)) = 0.68 between neighbours.
        assert!((inner(0) - 1.0).abs() < 0.2 && (inner(1) / inner(0) - 0.68).abs() < 0.1, "{} {}", inner(0), inner(1));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Analysers::check(&architecture()).is_ok());
        for broken in [
            Architecture { factors: 0, ..architecture() },
            Architecture { components: vec![vec![], vec![1.0]], ..architecture() },
            Architecture { components: vec![vec![0.5], vec![1.0]], ..architecture() },
            Architecture { components: vec![vec![f64::NAN], vec![1.0]], ..architecture() },
            Architecture { grain: -1.0, ..architecture() },
        ] {
            assert!(Analysers::check(&broken).is_err(), "{broken:?}");
        }
    }
}
