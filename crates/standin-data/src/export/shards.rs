use std::ops::Range;

use crate::ImageSet;

/// Pixel bytes of a shard, near what the hub and WebDataset's users split at; PNG makes them less.
const SHARD: usize = 512 << 20;

/// Pixel bytes encoded at once, and held until they are written.
const BATCH: usize = 64 << 20;

/// Most images encoded at once.
const IMAGES: usize = 1000;

/// The images of each shard of a set, in order; one shard, empty, for an empty set.
pub(super) fn shards(set: &ImageSet) -> Vec<Range<usize>> {
    ranges(0..set.len(), (SHARD / set.shape().volume()).max(1))
}

/// The images of a shard that are encoded at once.
pub(super) fn batches(set: &ImageSet, shard: Range<usize>) -> Vec<Range<usize>> {
    ranges(shard, (BATCH / set.shape().volume()).clamp(1, IMAGES))
}

fn ranges(whole: Range<usize>, length: usize) -> Vec<Range<usize>> {
    if whole.is_empty() {
        return vec![whole];
    }
    whole.clone().step_by(length).map(|start| start..(start + length).min(whole.end)).collect()
}

/// What the shards of a part are called by; a set without parts is called by no word that names one.
pub(super) fn shard_stem(part: &str) -> &str {
    if part.is_empty() { "images" } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_image_once() {
        assert_eq!(ranges(3..10, 4), [3..7, 7..10]);
        assert_eq!(ranges(0..8, 4), [0..4, 4..8]);
        assert_eq!(ranges(0..0, 4), vec![0..0]);
    }
}
