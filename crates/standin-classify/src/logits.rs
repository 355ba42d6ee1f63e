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
    fn the_first_of_equal_logits_is_predicted() {
        let logits = Logits::new(vec![0.0, 2.0, 2.0, -1.0, -1.0, -5.0], 3);
        assert_eq!(logits.predictions(), [1, 0]);
        assert_eq!((logits.rows(), logits.row(1)), (2, &[-1.0, -1.0, -5.0][..]));
    }
}
