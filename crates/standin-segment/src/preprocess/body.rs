/// Air is what is darker than this share of the way from the 1st to the 99th percentile of intensities.
const DARK: f32 = 0.1;
/// A plane belongs to the body if more than this share of its voxels is brighter.
const SHARE: f64 = 0.01;
/// Voxels kept around the body.
const MARGIN: usize = 4;

/// Begin and end of the box around the body.
pub(super) fn body(voxels: &[f32], shape: [usize; 3]) -> [[usize; 3]; 2] {
    let mut sorted = voxels.to_vec();
    let mut percentile = |share: f64| {
        let at = ((sorted.len() - 1) as f64 * share) as usize;
        *sorted.select_nth_unstable_by(at, f32::total_cmp).1
    };
    let (low, high) = (percentile(0.01), percentile(0.99));
    let threshold = DARK.mul_add(high - low, low);
    let mut counts = shape.map(|length| vec![0usize; length]);
    for (at, _) in voxels.iter().enumerate().filter(|(_, voxel)| **voxel > threshold) {
        let place = [at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])];
        for (counts, place) in counts.iter_mut().zip(place) {
            counts[place] += 1;
        }
    }
    let mut found = [[0; 3], shape];
    for (axis, counts) in counts.iter().enumerate() {
        let least = SHARE * (voxels.len() / shape[axis]) as f64;
        let is_body = |count: &usize| *count as f64 > least;
        if let (Some(first), Some(last)) = (counts.iter().position(is_body), counts.iter().rposition(is_body)) {
            found[0][axis] = first.saturating_sub(MARGIN);
            found[1][axis] = (last + 1 + MARGIN).min(shape[axis]);
        }
    }
    found
}

/// The voxels of a box.
pub(super) fn cropped<T: Copy>(voxels: &[T], shape: [usize; 3], [begin, end]: [[usize; 3]; 2]) -> Vec<T> {
    let mut into = Vec::with_capacity((0..3).map(|axis| end[axis] - begin[axis]).product());
    for slab in begin[2]..end[2] {
        for row in begin[1]..end[1] {
            let line = (slab * shape[1] + row) * shape[0];
            into.extend_from_slice(&voxels[line + begin[0]..line + end[0]]);
        }
    }
    into
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_around_what_is_bright() {
        let shape = [30, 20, 25];
        let inside =
            |at: [usize; 3]| (10..16).contains(&at[0]) && (8..12).contains(&at[1]) && (12..20).contains(&at[2]);
        let voxels: Vec<f32> = (0..30 * 20 * 25)
            .map(|at| [at % 30, at / 30 % 20, at / 600])
            .map(|at| if inside(at) { 100.0 } else { (at[0] % 3) as f32 })
            .collect();
        assert_eq!(body(&voxels, shape), [[6, 4, 8], [20, 16, 24]]);
        assert_eq!(body(&[1.0; 8], [2, 2, 2]), [[0; 3], [2; 3]], "what is all alike is kept");
        assert_eq!(cropped(&voxels, shape, [[10, 8, 12], [16, 12, 20]]), [100.0; 6 * 4 * 8]);
    }
}
