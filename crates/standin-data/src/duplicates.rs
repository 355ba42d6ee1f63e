use std::collections::HashMap;

use rayon::prelude::*;

use crate::{Error, ImageSet, Result};

/// An image that occurs in an earlier set too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The later set's name.
    pub set: String,
    /// The image's index there.
    pub index: usize,
    /// The earlier set's name.
    pub of_set: String,
    /// Index of the first equal image there.
    pub of_index: usize,
}

/// Images that are equal, pixel for pixel, to an image of an earlier set in the list.
///
/// One entry for each such image, with its first occurrence; repetitions inside one set are not counted (see
/// [`duplicates_within`]). Ordered by set, then by index. Sets of different shapes share no image. Time grows linearly
/// with the pixels, memory with the number of images: digests find the candidates and pixels are compared before one is
/// reported.
pub fn duplicates_across(sets: &[(&str, &ImageSet)]) -> Vec<Duplicate> {
    let mut duplicates = Vec::new();
    let mut seen: HashMap<[u8; 16], Vec<(usize, usize)>> = HashMap::new();
    for (number, (name, set)) in sets.iter().enumerate() {
        let digests = digests(set);
        for (index, digest) in digests.iter().enumerate() {
            let earlier = seen.get(digest).and_then(|candidates| {
                candidates.iter().find(|&&(number, candidate)| {
                    let other = sets[number].1;
                    other.shape() == set.shape() && other.image(candidate) == set.image(index)
                })
            });
            if let Some(&(of_set, of_index)) = earlier {
                duplicates.push(Duplicate {
                    set: (*name).to_owned(),
                    index,
                    of_set: sets[of_set].0.to_owned(),
                    of_index,
                });
            }
        }
        for (index, digest) in digests.into_iter().enumerate() {
            let candidates = seen.entry(digest).or_default();
            if candidates.last().is_none_or(|&(last, _)| last != number) {
                candidates.push((number, index));
            }
        }
    }
    duplicates
}

/// Images equal, pixel for pixel, to an earlier one of the same set: (index, index of the first occurrence).
pub fn duplicates_within(set: &ImageSet) -> Vec<(usize, usize)> {
    let mut first: HashMap<[u8; 16], Vec<usize>> = HashMap::new();
    let mut duplicates = Vec::new();
    for (index, digest) in digests(set).into_iter().enumerate() {
        let candidates = first.entry(digest).or_default();
        match candidates.iter().find(|&&candidate| set.image(candidate) == set.image(index)) {
            Some(&earlier) => duplicates.push((index, earlier)),
            None => candidates.push(index),
        }
    }
    duplicates
}

/// The set without the images that equal an earlier one, pixel for pixel.
pub fn without_duplicates(set: &ImageSet) -> ImageSet {
    let mut kept = vec![true; set.len()];
    duplicates_within(set).into_iter().for_each(|(index, _)| kept[index] = false);
    set.select(&(0..set.len()).filter(|&index| kept[index]).collect::<Vec<_>>())
}

/// Refuses sets that share an image: a holdout image that was trained on makes every privacy number look harmless.
///
/// # Errors
/// [`Error::Overlap`] with the first shared image and the number of them between those two sets.
pub fn require_disjoint(sets: &[(&str, &ImageSet)]) -> Result<()> {
    let duplicates = duplicates_across(sets);
    let Some(first) = duplicates.first() else { return Ok(()) };
    let count = duplicates.iter().filter(|other| other.set == first.set && other.of_set == first.of_set).count();
    Err(Error::Overlap {
        first: first.of_set.clone(),
        first_index: first.of_index,
        second: first.set.clone(),
        second_index: first.index,
        count,
    })
}

/// Sixteen bytes of the BLAKE3 digest of each image.
fn digests(set: &ImageSet) -> Vec<[u8; 16]> {
    set.pixels()
        .par_chunks_exact(set.shape().volume())
        .map(|image| {
            let mut word = [0; 16];
            word.copy_from_slice(&blake3::hash(image).as_bytes()[..16]);
            word
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Shape, digits};

    fn set(pixels: &[u8]) -> ImageSet {
        ImageSet::new(Shape { channels: 1, height: 1, width: 2 }, pixels.to_vec()).unwrap()
    }

    #[test]
    fn planted_duplicates_are_found_with_their_places() {
        let train = set(&[1, 2, 3, 4, 1, 2]);
        let holdout = set(&[9, 9, 3, 4]);
        let test = set(&[1, 2, 9, 9]);
        let found = duplicates_across(&[("train", &train), ("holdout", &holdout), ("test", &test)]);
        let found: Vec<_> = found.iter().map(|d| (d.set.as_str(), d.index, d.of_set.as_str(), d.of_index)).collect();
        assert_eq!(found, [("holdout", 1, "train", 1), ("test", 0, "train", 0), ("test", 1, "holdout", 0)]);
        assert_eq!(duplicates_within(&train), [(2, 0)]);
    }

    #[test]
    fn distinct_sets_have_no_duplicates() {
        let all = digits();
        let halves = [all.select(&(0..900).collect::<Vec<_>>()), all.select(&(900..1797).collect::<Vec<_>>())];
        assert_eq!(duplicates_across(&[("a", &halves[0]), ("b", &halves[1])]), []);
        assert_eq!(duplicates_within(&all), []);
        assert!(require_disjoint(&[("a", &halves[0]), ("b", &halves[1])]).is_ok());
    }

    #[test]
    fn equal_pixels_in_another_shape_are_no_duplicate() {
        let tall = ImageSet::new(Shape { channels: 1, height: 2, width: 1 }, vec![1, 2]).unwrap();
        assert_eq!(duplicates_across(&[("wide", &set(&[1, 2])), ("tall", &tall)]), []);
    }

    #[test]
    fn overlap_names_both_images() {
        let message =
            require_disjoint(&[("train", &set(&[1, 2, 3, 4])), ("holdout", &set(&[3, 4]))]).unwrap_err().to_string();
        assert!(message.starts_with("holdout overlaps train: image 0 of holdout equals image 1 of train"), "{message}");
    }
}
