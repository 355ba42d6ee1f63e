use rayon::prelude::*;

/// Voxels resampled to another shape of the same extent, axis by axis: linear between voxel middles, and where the new
/// voxels are larger a triangle as wide as two of them, so that nothing between is skipped.
pub(super) fn resample(voxels: &[f32], shape: [usize; 3], to: [usize; 3]) -> Vec<f32> {
    let mut voxels = voxels.to_vec();
    let mut shape = shape;
    for axis in 0..3 {
        if shape[axis] != to[axis] {
            voxels = along(&voxels, shape, axis, to[axis]);
            shape[axis] = to[axis];
        }
    }
    voxels
}

fn along(voxels: &[f32], shape: [usize; 3], axis: usize, length: usize) -> Vec<f32> {
    let taps = taps(shape[axis], length);
    let inner: usize = shape[..axis].iter().product();
    let from = inner * shape[axis];
    let mut into = vec![0.0; voxels.len() / shape[axis] * length];
    into.par_chunks_mut(inner * length).zip(voxels.par_chunks(from)).for_each(|(into, slab)| {
        for (line, taps) in into.chunks_mut(inner).zip(&taps) {
            for &(at, weight) in taps {
                for (into, voxel) in line.iter_mut().zip(&slab[at * inner..(at + 1) * inner]) {
                    *into = weight.mul_add(*voxel, *into);
                }
            }
        }
    });
    into
}

/// For each new voxel the old ones and their weights, which sum to 1.
fn taps(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f64 / to as f64;
    let reach = ratio.max(1.0);
    let last = from - 1;
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * ratio - 0.5;
            let (low, high) = ((centre - reach).ceil() as isize, (centre + reach).floor() as isize);
            let weighted = (low..=high).map(|near| {
                let weight = 1.0 - (near as f64 - centre).abs() / reach;
                (near.clamp(0, last as isize) as usize, weight.max(0.0))
            });
            let weighted: Vec<(usize, f64)> = weighted.filter(|(_, weight)| *weight > 0.0).collect();
            let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
            weighted.into_iter().map(|(near, weight)| (near, (weight / total) as f32)).collect()
        })
        .collect()
}

/// The voxel nearest to each new one.
pub(super) fn nearest<T: Copy>(voxels: &[T], shape: [usize; 3], to: [usize; 3]) -> Vec<T> {
    let places = |axis: usize| -> Vec<usize> {
        let ratio = shape[axis] as f64 / to[axis] as f64;
        (0..to[axis]).map(|at| (((at as f64 + 0.5) * ratio) as usize).min(shape[axis] - 1)).collect()
    };
    let [columns, rows, slabs] = [places(0), places(1), places(2)];
    let mut into = Vec::with_capacity(to.iter().product());
    for &slab in &slabs {
        for &row in &rows {
            let line = (slab * shape[1] + row) * shape[0];
            into.extend(columns.iter().map(|&column| voxels[line + column]));
        }
    }
    into
}

/// Where each of `to` voxels lies among `length` of `from` resampled ones that begin at `begin`: the one before, and how far
/// it is to the next; none outside of them.
pub(crate) fn linear(to: usize, from: usize, begin: usize, length: usize) -> Vec<Option<(usize, f32)>> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|at| {
            let place = (at as f64 + 0.5) * ratio - 0.5 - begin as f64;
            if !(-0.5..length as f64 - 0.5).contains(&place) {
                return None;
            }
            let place = place.clamp(0.0, (length - 1) as f64);
            Some((place as usize, place.fract() as f32))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_stays_a_ramp() {
        let ramp: Vec<f32> = (0..12).map(|at| at as f32).collect();
        let coarse = resample(&ramp, [1, 1, 12], [1, 1, 6]);
        for (at, value) in coarse.iter().enumerate().skip(1).take(4) {
            assert!((value - (2.0 * at as f32 + 0.5)).abs() < 1e-5, "{coarse:?}");
        }
        let fine = resample(&ramp, [12, 1, 1], [24, 1, 1]);
        for (at, value) in fine.iter().enumerate().skip(1).take(22) {
            assert!((value - (at as f32 / 2.0 - 0.25)).abs() < 1e-5, "{fine:?}");
        }
    }

    #[test]
    fn a_constant_stays_constant_up_to_the_rim() {
        for to in [[3, 5, 2], [9, 4, 11]] {
            assert!(resample(&[2.0; 6 * 7 * 5], [6, 7, 5], to).iter().all(|value| (value - 2.0).abs() < 1e-6));
        }
    }

    #[test]
    fn without_resampling_each_voxel_is_its_own() {
        assert_eq!(linear(4, 4, 1, 2), [None, Some((0, 0.0)), Some((1, 0.0)), None]);
        assert_eq!(nearest(&[1, 2, 3, 4], [2, 2, 1], [4, 2, 1]), [1, 1, 2, 2, 3, 3, 4, 4]);
    }
}
