/// What a classifier says about each image before normalisation: one row of finite values per image, one column per class.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    classes: usize,
}

impl Logits {
    /// Logits from row-major values, `images × classes`.
    ///
    /// # Panics
    /// If `classes` is 0 or the values are no whole number of rows.
    pub fn new(values: Vec<f32>, classes: usize) -> Self {
        assert!(classes > 0 && values.len().is_multiple_of(classes), "{} values for rows of {classes}", values.len());
        Self { values, classes }
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Columns.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of images.
    pub fn rows(&self) -> usize {
        self.values.len() / self.classes
    }

    /// The values of one image.
    ///
    /// # Panics
    /// If `index` is not below [`Logits::rows`].
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.classes..(index + 1) * self.classes]
    }

    /// The softmax of every row: probabilities of the classes, row-major, with sums of 1.
    pub fn probabilities(&self) -> Vec<f64> {
        let softmax = |row: &[f32]| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = row.iter().map(|&value| f64::from(value - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        };
        self.values.chunks_exact(self.classes).flat_map(softmax).collect()
    }

    /// The class of the largest value of each image; the first of equals.
    pub fn predictions(&self) -> Vec<u32> {
        let largest = |row: &[f32]| {
            let first = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
            (1..row.len()).fold(0, first) as u32
        };
        self.values.chunks_exact(self.classes).map(largest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let probabilities = Logits::new(vec![1000.0, 1000.0, -1000.0, 0.0, 3.0_f32.ln(), 0.0], 3).probabilities();
        for (found, expected) in probabilities.iter().zip([0.5, 0.5, 0.0, 0.2, 0.6, 0.2]) {
            assert!((found - expected).abs() < 1e-7, "{found} for {expected}");
        }
    }

    #[test]
    fn the_first_of_equal_logits_is_predicted() {
        let logits = Logits::new(vec![0.0, 2.0, 2.0, -1.0, -1.0, -5.0], 3);
        assert_eq!(logits.predictions(), [1, 0]);
        assert_eq!((logits.rows(), logits.row(1)), (2, &[-1.0, -1.0, -5.0][..]));
    }
}
