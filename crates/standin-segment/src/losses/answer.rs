use rayon::prelude::*;
use standin_nn::tensor::{Device, Tensor, TensorData};

/// The layout of a batch: `samples × classes × voxels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maps {
    /// Patches.
    pub samples: usize,
    /// Classes, background first.
    pub classes: usize,
    /// Voxels of a patch.
    pub voxels: usize,
}

impl Maps {
    /// Numbers in all.
    pub fn len(&self) -> usize {
        self.samples * self.classes * self.voxels
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a patch.
    pub fn sample(&self) -> usize {
        self.classes * self.voxels
    }

    /// The first samples alone.
    #[must_use]
    pub fn first(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    /// softmax(z/T) over the classes of each voxel. For two classes it equals p^{1/T}/(p^{1/T} + (1 − p)^{1/T}) of the
    /// probabilities p = softmax(z), which is how sharpening is usually written.
    ///
    /// # Panics
    /// If there is not one logit for each place.
    pub fn softmax(&self, logits: &[f32], temperature: f32) -> Vec<f32> {
        assert_eq!(logits.len(), self.len(), "one logit for each sample, class and voxel");
        let mut probabilities = logits.to_vec();
        let inverse = temperature.recip();
        probabilities.par_chunks_mut(self.sample().max(1)).for_each(|sample| {
            if let [class, other] = &mut sample.chunks_mut(self.voxels).collect::<Vec<_>>()[..] {
                for (class, other) in class.iter_mut().zip(other.iter_mut()) {
                    *other = sigmoid((*other - *class) * inverse);
                    *class = 1.0 - *other;
                }
                return;
            }
            for voxel in 0..self.voxels {
                let places = (0..self.classes).map(|class| class * self.voxels + voxel);
                let most = places.clone().map(|place| sample[place]).fold(f32::MIN, f32::max);
                let mut total = 0.0;
                for place in places.clone() {
                    sample[place] = ((sample[place] - most) * inverse).exp();
                    total += sample[place];
                }
                places.for_each(|place| sample[place] /= total);
            }
        });
        probabilities
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// What one decoder says of a batch, and the gradient of the terms so far.
#[derive(Clone, Debug)]
pub struct Answer {
    logits: Tensor<5>,
    values: Vec<f32>,
    maps: Maps,
    probabilities: Vec<f32>,
    /// With respect to the probabilities.
    gradient: Vec<f32>,
}

impl Answer {
    /// Of logits `n × classes × depth × height × width`.
    pub fn new(logits: Tensor<5>) -> Self {
        let [samples, classes, depth, height, width] = logits.dims();
        let maps = Maps { samples, classes, voxels: depth * height * width };
        let values: Vec<f32> = logits.clone().without_autodiff().into_data().iter::<f32>().collect();
        let probabilities = maps.softmax(&values, 1.0);
        Self { gradient: vec![0.0; maps.len()], logits, values, maps, probabilities }
    }

    /// The layout.
    pub fn maps(&self) -> Maps {
        self.maps
    }

    /// The logits, to be differentiated by the tensor library.
    pub fn logits(&self) -> Tensor<5> {
        self.logits.clone()
    }

    /// Probabilities of the classes.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Probabilities nearer to 0 and 1: softmax of the logits over a temperature below 1.
    pub fn sharpened(&self, temperature: f64) -> Vec<f32> {
        self.maps.softmax(&self.values, temperature as f32)
    }

    /// Probabilities, and the gradient with respect to them that a term adds to.
    pub fn parts(&mut self) -> (&[f32], &mut [f32]) {
        (&self.probabilities, &mut self.gradient)
    }

    /// A tensor whose gradient is that of the terms and whose value is `value`, their sum.
    ///
    /// With G = ∂L/∂z at the logits z as they are, Σ G·z − const has the gradient G: one product of tensors carries every
    /// term into the tensor library's backward pass.
    pub fn loss(self, value: f64) -> Tensor<1> {
        let Maps { classes, voxels, .. } = self.maps;
        let mut gradient = self.gradient;
        // ∂L/∂z_c = p_c·(g_c − Σ_k g_k·p_k)
        gradient
            .par_chunks_mut(self.maps.sample().max(1))
            .zip(self.probabilities.par_chunks(self.maps.sample().max(1)))
            .for_each(|(gradient, probabilities)| {
                let mut mean = vec![0.0f32; voxels];
                for (gradient, probability) in gradient.chunks(voxels).zip(probabilities.chunks(voxels)) {
                    for ((mean, gradient), probability) in mean.iter_mut().zip(gradient).zip(probability) {
                        *mean = gradient.mul_add(*probability, *mean);
                    }
                }
                for (gradient, probability) in gradient.chunks_mut(voxels).zip(probabilities.chunks(voxels)) {
                    for ((gradient, probability), mean) in gradient.iter_mut().zip(probability).zip(&mean) {
                        *gradient = probability * (*gradient - mean);
                    }
                }
            });
        let device: Device = self.logits.device();
        let shape = self.logits.dims();
        let rows = shape[0] * classes;
        // One axis first, because the sum of very many numbers at once depends on the number of threads.
        let gradient = Tensor::<5>::from_data(TensorData::new(gradient, shape), &device);
        let surrogate = (self.logits * gradient).reshape([rows, voxels]).sum_dim(1).sum();
        let at = f64::from(surrogate.clone().without_autodiff().into_scalar::<f32>());
        surrogate.add_scalar(value - at)
    }
}
