use serde::Serialize;

use crate::{ImageSet, Provenance, Shape, duplicates_within};

/// What a set holds, at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Number of images.
    pub images: usize,
    /// Shape of every image.
    pub shape: Shape,
    /// Classes and their numbers of images, in order; absent without labels.
    pub classes: Option<Vec<ClassCount>>,
    /// Attribute columns.
    pub columns: Vec<ColumnInfo>,
    /// Mean of each channel, 0–255.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel over all pixels, 0–255, divisor n.
    pub standard_deviation: Vec<f64>,
    /// Images equal to an earlier one of the set.
    pub duplicates: usize,
    /// BLAKE3 digest of the content, as [`ImageSet::digest`] gives it.
    pub digest: String,
    /// Where the set comes from.
    pub provenance: Provenance,
}

/// One class and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class's name.
    pub name: String,
    /// Its images.
    pub images: usize,
}

/// One attribute column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// The column's name.
    pub name: String,
    /// Number of different values, the missing value not counted.
    pub distinct: usize,
    /// Images without a value.
    pub missing: usize,
}

impl Info {
    /// Looks at every pixel once. Sums are exact integers, so the result does not depend on the number of threads.
    pub fn of(set: &ImageSet) -> Self {
        let classes = set.labels().map(|labels| {
            let counts = labels.counts();
            labels.classes.iter().zip(counts).map(|(name, images)| ClassCount { name: name.clone(), images }).collect()
        });
        let columns = set
            .columns()
            .iter()
            .map(|column| {
                let mut values: Vec<&str> = column.values.iter().map(String::as_str).collect();
                values.sort_unstable();
                let missing = values.iter().take_while(|value| value.is_empty()).count();
                values.dedup();
                let distinct = values.len() - usize::from(missing > 0);
                ColumnInfo { name: column.name.clone(), distinct, missing }
            })
            .collect();
        let (mean, standard_deviation) = channel_moments(set);
        Self {
            images: set.len(),
            shape: set.shape(),
            classes,
            columns,
            mean,
            standard_deviation,
            duplicates: duplicates_within(set).len(),
            digest: set.digest().to_hex().to_string(),
            provenance: set.provenance().clone(),
        }
    }
}

/// Mean and standard deviation of each channel; NaN for an empty set.
fn channel_moments(set: &ImageSet) -> (Vec<f64>, Vec<f64>) {
    let Shape { channels, height, width } = set.shape();
    let mut sums = vec![(0_u64, 0_u64); channels];
    for (plane, values) in set.pixels().chunks_exact(height * width).enumerate() {
        let (sum, squares) = &mut sums[plane % channels];
        for &value in values {
            *sum += u64::from(value);
            *squares += u64::from(value) * u64::from(value);
        }
    }
    let n = (set.len() * height * width) as f64;
    sums.into_iter()
        .map(|(sum, squares)| {
            let mean = sum as f64 / n;
            (mean, (squares as f64 / n - mean * mean).max(0.0).sqrt())
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Labels};

    #[test]
    fn info_counts_what_is_there() {
        let shape = Shape { channels: 3, height: 1, width: 2 };
        let image = [0, 10, 100, 100, 255, 255];
        let set = ImageSet::new(shape, [image, image].concat())
            .unwrap()
            .with_labels(Labels { values: vec![1, 1], classes: vec!["empty".into(), "full".into()] })
            .unwrap()
            .with_column(Column { name: "patient".into(), values: vec!["p1".into(), String::new()] })
            .unwrap();
        let info = Info::of(&set);
        assert_eq!(info.images, 2);
        assert_eq!(info.mean, [5.0, 100.0, 255.0]);
        assert_eq!(info.standard_deviation, [5.0, 0.0, 0.0]);
        assert_eq!(info.duplicates, 1);
        assert_eq!(info.columns, [ColumnInfo { name: "patient".into(), distinct: 1, missing: 1 }]);
        let counts: Vec<usize> = info.classes.unwrap().iter().map(|class| class.images).collect();
        assert_eq!(counts, [0, 2]);
    }
}
