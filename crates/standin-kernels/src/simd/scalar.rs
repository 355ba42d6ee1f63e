use super::{LANES, Lanes, Simd};

/// Portable code, for processors with none of the other instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar;

#[inline(always)]
fn each(a: Lanes, b: Lanes, of: impl Fn(f32, f32) -> f32) -> Lanes {
    let mut result = a;
    for (result, b) in result.iter_mut().zip(b) {
        *result = of(*result, b);
    }
    result
}

impl Simd for Scalar {
    type Vector = Lanes;

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn store(self, vector: Lanes, into: &mut Lanes) {
        *into = vector;
    }

    // Two roundings: without the instruction, `f32::mul_add` is a call into the C library for each number.
    #[inline(always)]
    fn multiply_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.add(self.multiply(a, b), c)
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn subtract(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn multiply(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn divide(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn maximum(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn minimum(self, a: Lanes, b: Lanes) -> Lanes {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn where_positive(self, of: Lanes, then: Lanes) -> Lanes {
        each(of, then, |of, then| if of > 0.0 { then } else { 0.0 })
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Lanes) -> Lanes {
        shifted.map(|value| f32::from_bits(value.to_bits().wrapping_add(127) << 23))
    }
}
