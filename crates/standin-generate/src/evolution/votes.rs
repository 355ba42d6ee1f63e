use standin_data::Labels;
use standin_encode::{Embedding, nearest};

use crate::Result;

/// The votes for each member of the population: every private image has one, for the member of its class whose features
/// are nearest to its own.
///
/// Adding or removing a private image changes one entry by one: the ℓ₂ sensitivity is 1. A class without members takes
/// no votes.
pub(super) fn votes(
    private: &Embedding,
    labels: &Labels,
    population: &Embedding,
    own: &[u32],
    classes: usize,
) -> Result<Vec<f64>> {
    let mut histogram = vec![0.0; own.len()];
    let by_class = labels.by_class();
    for (class, voters) in by_class.iter().enumerate().take(classes) {
        let members: Vec<usize> = (0..own.len()).filter(|&member| own[member] as usize == class).collect();
        if voters.is_empty() || members.is_empty() {
            continue;
        }
        let found = nearest(&private.select(voters), &population.select(&members), 1, false)?;
        (0..found.len()).for_each(|voter| histogram[members[found.indices(voter)[0]]] += 1.0);
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::{ImageSet, Seed, Shape, Silent};
    use standin_encode::encoder;

    use super::*;

    fn embedded(count: usize, seed: u64) -> Embedding {
        let mut rng = Seed::new(seed).rng();
        let pixels = (0..count * 4).map(|_| rng.random()).collect();
        let images = ImageSet::new(Shape { channels: 1, height: 2, width: 2 }, pixels).unwrap();
        encoder("pixels").unwrap().encode(&images, &Silent).unwrap()
    }

    fn labels(count: usize) -> Labels {
        Labels {
            values: (0..count as u32).map(|image| image % 3).collect(),
            classes: ["a", "b", "c"].map(Into::into).into(),
        }
    }

    #[test]
    fn one_image_less_takes_one_vote_away() {
        let (population, own) = (embedded(30, 2), labels(30).values);
        let private = embedded(200, 1);
        let all = votes(&private, &labels(200), &population, &own, 3).unwrap();
        assert_eq!(all.iter().sum::<f64>(), 200.0);
        for left_out in [0, 17, 199] {
            let kept: Vec<usize> = (0..200).filter(|&image| image != left_out).collect();
            let values = kept.iter().map(|&image| labels(200).values[image]).collect();
            let fewer = Labels { values, ..labels(200) };
            let without = votes(&private.select(&kept), &fewer, &population, &own, 3).unwrap();
            let differences: Vec<f64> = all.iter().zip(&without).map(|(a, b)| a - b).filter(|d| *d != 0.0).collect();
            assert_eq!(differences, [1.0]);
        }
    }

    #[test]
    fn an_image_votes_for_its_own_class_alone() {
        let (population, own) = (embedded(30, 2), labels(30).values);
        let one = Labels { values: vec![1; 50], ..labels(50) };
        let found = votes(&embedded(50, 1), &one, &population, &own, 3).unwrap();
        assert!(found.iter().zip(&own).all(|(&votes, &class)| votes == 0.0 || class == 1));
        assert_eq!(found.iter().sum::<f64>(), 50.0);
    }
}
