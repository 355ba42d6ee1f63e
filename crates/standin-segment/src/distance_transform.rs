/// Lines transformed together: as many f64 as a cache line holds, since neighbouring lines share their cache lines.
const LANES: usize = 8;

/// The squared Euclidean distance transform of a sampled function, exact and in linear time, in place:
///
/// D(p) = min over grid points q of |p − q|² + field(q)
///
/// With `field` 0 at an object's voxels and ∞ elsewhere, D is the squared distance from each voxel to the object.
/// Where `field` is ∞ everywhere, so is D.
///
/// `shape` is the number of samples along each axis, the first axis contiguous in `field`; `spacing` is the positive
/// distance between samples along each axis, in the unit of which the result is the square. Time grows with the number
/// of voxels; memory beyond `field` is eight lines.
///
/// Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", Theory of Computing 8 (2012), section 2:
/// along a line, D is the lower envelope of parabolas, one rooted at each sample; the axes are transformed in turn.
///
/// # Panics
/// If `field` does not hold one value for each grid point of `shape`.
pub fn squared_distance_transform(field: &mut [f64], shape: [usize; 3], spacing: [f64; 3]) {
    assert_eq!(field.len(), shape.iter().product::<usize>(), "the field needs one value for each point of {shape:?}");
    if field.is_empty() {
        return;
    }
    let mut stride = 1;
    for (length, spacing) in shape.into_iter().zip(spacing) {
        transform_axis(field, length, stride, spacing * spacing);
        stride *= length;
    }
}

/// Transforms every line along the axis whose neighbours lie `stride` apart.
fn transform_axis(field: &mut [f64], length: usize, stride: usize, squared_spacing: f64) {
    let mut lines = vec![0.0; LANES * length];
    let mut envelope = LowerEnvelope::default();
    for slab in field.chunks_exact_mut(length * stride) {
        for start in (0..stride).step_by(LANES) {
            let lanes = LANES.min(stride - start);
            for (position, row) in slab.chunks_exact(stride).enumerate() {
                for (lane, &value) in row[start..start + lanes].iter().enumerate() {
                    lines[lane * length + position] = value;
                }
            }
            for line in lines[..lanes * length].chunks_exact_mut(length) {
                envelope.transform(line, squared_spacing);
            }
            for (position, row) in slab.chunks_exact_mut(stride).enumerate() {
                for (lane, value) in row[start..start + lanes].iter_mut().enumerate() {
                    *value = lines[lane * length + position];
                }
            }
        }
    }
}

/// The lower envelope of parabolas of equal width, kept between lines for its memory alone.
#[derive(Debug, Default)]
struct LowerEnvelope {
    parabolas: Vec<Parabola>,
}

/// One parabola, lowest of all from `begin` to the `begin` of the next; positions count samples.
#[derive(Clone, Copy, Debug)]
struct Parabola {
    apex: f64,
    height: f64,
    begin: f64,
}

impl LowerEnvelope {
    /// Replaces the samples of one line by the envelope of the parabolas rooted at them.
    fn transform(&mut self, line: &mut [f64], squared_spacing: f64) {
        self.parabolas.clear();
        for (position, &height) in line.iter().enumerate() {
            if height.is_finite() {
                self.insert(position as f64, height, squared_spacing);
            }
        }
        let mut parabolas = self.parabolas.iter().peekable();
        let Some(mut lowest) = parabolas.next() else { return };
        for (position, value) in line.iter_mut().enumerate() {
            let position = position as f64;
            while let Some(next) = parabolas.next_if(|next| next.begin < position) {
                lowest = next;
            }
            *value = squared_spacing * (position - lowest.apex).powi(2) + lowest.height;
        }
    }

    /// Adds a parabola to the right of all others, and removes those it hides.
    fn insert(&mut self, apex: f64, height: f64, squared_spacing: f64) {
        let mut begin = f64::NEG_INFINITY;
        while let Some(last) = self.parabolas.last() {
            let crossing =
                (apex + last.apex) / 2.0 + (height - last.height) / (2.0 * squared_spacing * (apex - last.apex));
            if crossing > last.begin {
                begin = crossing;
                break;
            }
            self.parabolas.pop();
        }
        self.parabolas.push(Parabola { apex, height, begin });
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn brute_force(field: &[f64], shape: [usize; 3], spacing: [f64; 3]) -> Vec<f64> {
        let place = |index: usize| {
            let [x, y, z] = [index % shape[0], index / shape[0] % shape[1], index / (shape[0] * shape[1])];
            [x as f64 * spacing[0], y as f64 * spacing[1], z as f64 * spacing[2]]
        };
        (0..field.len())
            .map(|p| {
                let distance =
                    |q: usize| place(p).iter().zip(place(q)).map(|(p, q)| (p - q).powi(2)).sum::<f64>() + field[q];
                (0..field.len()).map(distance).fold(f64::INFINITY, f64::min)
            })
            .collect()
    }

    fn assert_equal(found: &[f64], expected: &[f64]) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(found == expected || (found - expected).abs() < 1e-9, "{found} for {expected} at {index}");
        }
    }

    #[test]
    fn equals_the_nearest_of_all_sources() {
        let mut rng = Seed::new(3).derive("sources").rng();
        for shape in [[7, 5, 6], [1, 9, 4], [17, 1, 1], [3, 11, 2], [1, 1, 1]] {
            for share in [0.02, 0.3] {
                for spacing in [[1.0, 1.0, 1.0], [0.625, 3.0, 1.25], [10.0, 0.1, 1.0]] {
                    let mut field: Vec<f64> = (0..shape.iter().product())
                        .map(|_| if rng.random_bool(share) { 0.0 } else { f64::INFINITY })
                        .collect();
                    let expected = brute_force(&field, shape, spacing);
                    squared_distance_transform(&mut field, shape, spacing);
                    assert_equal(&field, &expected);
                }
            }
        }
    }

    #[test]
    fn transforms_any_sampled_function() {
        let mut rng = Seed::new(4).derive("heights").rng();
        let (shape, spacing) = ([9, 10, 3], [0.5, 1.5, 2.0]);
        let mut field: Vec<f64> = (0..270).map(|_| rng.random_range(-20.0..20.0)).collect();
        let expected = brute_force(&field, shape, spacing);
        squared_distance_transform(&mut field, shape, spacing);
        assert_equal(&field, &expected);
    }

    #[test]
    fn one_source_gives_the_distance_to_it() {
        let mut field = vec![f64::INFINITY; 4 * 3 * 2];
        field[0] = 0.0;
        squared_distance_transform(&mut field, [4, 3, 2], [1.0, 2.0, 5.0]);
        assert_eq!(field[23], 9.0 + 16.0 + 25.0);
    }

    #[test]
    fn without_a_source_everything_is_infinitely_far() {
        let mut field = vec![f64::INFINITY; 8];
        squared_distance_transform(&mut field, [2, 2, 2], [1.0; 3]);
        assert!(field.iter().all(|&distance| distance == f64::INFINITY));
    }
}
