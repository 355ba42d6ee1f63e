use crate::instructions::{Instructions, Kernel};
use crate::simd::{LANES, Lanes, Simd};

/// Which sixteens of some values hold one that is not above `ceiling`, or not above its own of `ceilings` where there are such:
/// bit i is for the values from 16·i on.
///
/// Meant for values of which next to none is.
///
/// # Panics
/// If there are more than 1024 values, or ceilings, but not one for each.
pub fn sixteens_within(values: &[f32], ceiling: f32, ceilings: Option<&[f32]>) -> u64 {
    sixteens_within_on(Instructions::best(), values, ceiling, ceilings)
}

fn sixteens_within_on(instructions: Instructions, values: &[f32], ceiling: f32, ceilings: Option<&[f32]>) -> u64 {
    assert!(values.len() <= 64 * LANES, "{} values are more than there are bits for", values.len());
    assert!(ceilings.is_none_or(|ceilings| ceilings.len() == values.len()), "one ceiling for each value");
    instructions.run(Within { values, ceiling, ceilings })
}

struct Within<'a> {
    values: &'a [f32],
    ceiling: f32,
    ceilings: Option<&'a [f32]>,
}

impl Kernel for Within<'_> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> u64 {
        let all = simd.splat(self.ceiling);
        let (values, rest) = self.values.as_chunks::<LANES>();
        let (ceilings, rest_of_ceilings) = match self.ceilings {
            Some(ceilings) => ceilings.as_chunks::<LANES>(),
            None => (&[][..], &[][..]),
        };
        // The most that is left below a ceiling, in each lane.
        let mut most = simd.splat(f32::NEG_INFINITY);
        for (at, values) in values.iter().enumerate() {
            most = simd.maximum(room(simd, values, ceilings.get(at), all), most);
        }
        let mut found = 0;
        if holds(simd, most) {
            for (at, values) in values.iter().enumerate() {
                found |= u64::from(holds(simd, room(simd, values, ceilings.get(at), all))) << at;
            }
        }
        for (at, value) in rest.iter().enumerate() {
            let ceiling = rest_of_ceilings.get(at).map_or(self.ceiling, |ceiling| ceiling.max(self.ceiling));
            found |= u64::from(*value <= ceiling) << values.len();
        }
        found
    }
}

/// How far values are below their ceilings.
#[inline(always)]
fn room<S: Simd>(simd: S, values: &Lanes, ceilings: Option<&Lanes>, all: S::Vector) -> S::Vector {
    let ceiling = match ceilings {
        Some(ceilings) => simd.maximum(simd.load(ceilings), all),
        None => all,
    };
    simd.subtract(ceiling, simd.load(values))
}

/// Whether a lane is not below zero.
#[inline(always)]
fn holds<S: Simd>(simd: S, vector: S::Vector) -> bool {
    let mut lanes = [0.0; LANES];
    simd.store(vector, &mut lanes);
    lanes.iter().fold(false, |any, &lane| any | (lane >= 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::numbers;

    #[test]
    fn every_sixteen_that_holds_one_is_found_and_no_other() {
        for length in [0, 1, 15, 16, 17, 40, 512, 1024] {
            let values = numbers(length, 1);
            let ceilings: Vec<f32> = numbers(length, 2).iter().map(|number| number - 1.8).collect();
            for ceiling in [f32::NEG_INFINITY, -0.999, -0.9, f32::INFINITY] {
                for ceilings in [None, Some(&ceilings[..])] {
                    let mut expected = 0;
                    for (at, value) in values.iter().enumerate() {
                        if ceilings.map_or(f32::NEG_INFINITY, |ceilings| ceilings[at]).max(ceiling) >= *value {
                            expected |= 1u64 << (at / LANES);
                        }
                    }
                    for instructions in Instructions::available() {
                        let found = sixteens_within_on(instructions, &values, ceiling, ceilings);
                        assert_eq!(found, expected, "{length} values, ceiling {ceiling}, {instructions:?}");
                    }
                }
            }
        }
    }
}
