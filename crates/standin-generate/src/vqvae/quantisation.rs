use standin_data::Seed;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Batch, loss};

use super::codebook::{MovingCodebook, nearest};
use crate::options::at_least;
use crate::{Error, Result};

/// The codebook of a quantised autoencoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodebookSizes {
    /// Codes, 2 to 65 536.
    pub codes: usize,
    /// Values of a code vector.
    pub dimension: usize,
    /// Decay γ of the codes' moving averages, in [0, 1).
    pub decay: f64,
}

impl CodebookSizes {
    /// Checks that every number is in its range; `within` comes before the name of an option.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(super) fn check(&self, family: &'static str, within: &str) -> Result<()> {
        let Self { codes, dimension, decay } = *self;
        at_least(family, &format!("{within}codes"), codes, 2)?;
        at_least(family, &format!("{within}dimension"), dimension, 1)?;
        let refused = |reason| Err(Error::Options { family, reason });
        if codes > 1 << 16 {
            return refused(format!("{within}codes is {codes}; it must be at most 65536"));
        }
        if !(0.0..1.0).contains(&decay) {
            return refused(format!("{within}decay is {decay}; it must be at least 0 and below 1"));
        }
        Ok(())
    }
}

/// What stands between the encoder and the decoder of an autoencoder in training: a codebook that follows the vectors.
#[derive(Debug)]
pub(super) struct Quantisation {
    sizes: CodebookSizes,
    seed: Seed,
    /// None before the first vectors, among which the codes begin.
    codebook: Option<MovingCodebook>,
}

/// What a decoder sees of a batch of vectors.
pub(super) struct Quantised {
    /// The nearest code of each vector; the gradient passes the quantisation as if it were not there.
    pub vectors: Tensor<2>,
    /// ‖z − sg[e]‖² per value, the commitment of the encoder to the codes (van den Oord et al. 2017, equation 3).
    pub commitment: Tensor<1>,
}

impl Quantisation {
    pub(super) fn new(sizes: CodebookSizes, seed: Seed) -> Self {
        Self { sizes, seed, codebook: None }
    }

    /// Replaces vectors, `rows × dimension`, by their nearest codes, and moves the codes towards them.
    pub(super) fn pass(&mut self, vectors: Tensor<2>, batch: &Batch<'_>, device: &Device) -> Quantised {
        let CodebookSizes { codes, dimension, decay } = self.sizes;
        let found: Vec<f32> = vectors.clone().into_data().iter::<f32>().collect();
        let codebook =
            self.codebook.get_or_insert_with(|| MovingCodebook::spread(&found, dimension, codes, decay, self.seed));
        let (chosen, distances) = nearest(codebook.codes(), &found, dimension);
        let quantised = rows_of(codebook.codes(), &chosen, dimension);
        let quantised = Tensor::<2>::from_data(TensorData::new(quantised, vectors.dims()), device);
        codebook.update(&found, &chosen);
        // Codes must come to rest before the end.
        if batch.step < batch.steps * 3 / 4 {
            codebook.revive(&found, &distances, batch.seed);
        }
        let commitment = loss::squared_error(vectors.clone(), quantised.clone()).mean() / dimension as f64;
        Quantised { vectors: vectors.clone() + (quantised - vectors.detach()), commitment }
    }

    /// The codes, row-major; none before the first vectors.
    pub(super) fn codes(&self) -> Option<&[f32]> {
        self.codebook.as_ref().map(MovingCodebook::codes)
    }

    /// All it must keep to continue, as text.
    pub(super) fn memory(&self) -> String {
        serde_json::to_string(&self.codebook).expect("numbers and lists of them are JSON")
    }

    /// Continues with what [`Quantisation::memory`] gave.
    ///
    /// # Errors
    /// Says what does not fit.
    pub(super) fn recall(&mut self, memory: &str) -> Result<(), String> {
        let codebook: Option<MovingCodebook> =
            serde_json::from_str(memory).map_err(|error| format!("its codebook is not readable ({error})"))?;
        if !codebook.as_ref().is_none_or(|codebook| codebook.fits(self.sizes.codes, self.sizes.dimension)) {
            return Err("its codebook is of another size".to_owned());
        }
        self.codebook = codebook;
        Ok(())
    }
}

/// The rows of a matrix at `indices`.
fn rows_of(matrix: &[f32], indices: &[u32], dimension: usize) -> Vec<f32> {
    indices.iter().flat_map(|&index| &matrix[index as usize * dimension..][..dimension]).copied().collect()
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;

    use super::*;

    fn passed(quantisation: &mut Quantisation, steps: std::ops::Range<usize>) -> Vec<Vec<f32>> {
        let device = DeviceChoice::chosen().inference();
        let pass = |step: usize| {
            let values: Vec<f32> = (0..24).map(|at| ((at * 7 + step * 5) % 11) as f32 / 3.0).collect();
            let vectors = Tensor::from_data(TensorData::new(values, [12, 2]), &device);
            let seed = Seed::new(step as u64);
            let batch = Batch { step, steps: 20, epoch: 0, steps_per_epoch: 20, indices: &[], seed };
            quantisation.pass(vectors, &batch, &device).vectors.into_data().iter::<f32>().collect()
        };
        steps.map(pass).collect()
    }

    /// Thirds have no end in binary nor in decimal.
    #[test]
    fn a_recalled_quantisation_continues_to_the_bit() {
        let new = || Quantisation::new(CodebookSizes { codes: 5, dimension: 2, decay: 0.9 }, Seed::new(1));
        let (mut whole, mut first, mut second) = (new(), new(), new());
        let expected = passed(&mut whole, 0..20);
        assert_eq!(passed(&mut first, 0..7), expected[..7]);
        second.recall(&first.memory()).unwrap();
        assert_eq!(passed(&mut second, 7..20), expected[7..]);
        assert_eq!(second.codes(), whole.codes());

        let mut other = Quantisation::new(CodebookSizes { codes: 6, dimension: 2, decay: 0.9 }, Seed::new(1));
        assert!(other.recall(&first.memory()).unwrap_err().contains("another size"));
        assert!(other.recall("{").unwrap_err().contains("not readable"));
    }

    /// Vectors 0.5 and 2 at codes 0 and 3: (0.25 + 1) / 2 vectors.
    #[test]
    fn the_commitment_is_the_squared_distance_to_the_codes() {
        let device = DeviceChoice::chosen().inference();
        let mut quantisation = Quantisation::new(CodebookSizes { codes: 2, dimension: 1, decay: 0.9 }, Seed::new(1));
        quantisation.codebook = Some(MovingCodebook::spread(&[0.0, 3.0], 1, 2, 0.9, Seed::new(1)));
        let batch = Batch { step: 0, steps: 1, epoch: 0, steps_per_epoch: 1, indices: &[], seed: Seed::new(1) };
        let found = quantisation.pass(Tensor::from_data([[0.5], [2.0]], &device), &batch, &device);
        assert_eq!(found.vectors.into_data().iter::<f32>().collect::<Vec<_>>(), [0.0, 3.0]);
        assert!((found.commitment.into_scalar::<f32>() - 0.625).abs() < 1e-6);
    }
}
