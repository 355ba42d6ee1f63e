use crate::exponential::sigmoid;
use crate::simd::Simd;

/// What follows a normalisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// z.
    #[default]
    Identity,
    /// max(z, 0), with the derivative 0 at 0.
    Relu,
    /// z·σ(z), also called swish (Elfwing, Uchibe and Doya 2017).
    Silu,
}

/// An activation for loops that are written once for all.
pub(crate) trait Activate {
    /// a(z).
    fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector;
    /// a′(z) · gradient.
    fn gradient<S: Simd>(simd: S, z: S::Vector, gradient: S::Vector) -> S::Vector;
}

/// z.
pub(crate) struct Identity;

impl Activate for Identity {
    #[inline(always)]
    fn value<S: Simd>(_: S, z: S::Vector) -> S::Vector {
        z
    }

    #[inline(always)]
    fn gradient<S: Simd>(_: S, _: S::Vector, gradient: S::Vector) -> S::Vector {
        gradient
    }
}

/// max(z, 0).
pub(crate) struct Relu;

impl Activate for Relu {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
        simd.maximum(simd.splat(0.0), z)
    }

    #[inline(always)]
    fn gradient<S: Simd>(simd: S, z: S::Vector, gradient: S::Vector) -> S::Vector {
        simd.where_positive(z, gradient)
    }
}

/// z·σ(z), with the derivative σ(z)·(1 + z·(1 − σ(z))).
pub(crate) struct Silu;

impl Activate for Silu {
    #[inline(always)]
    fn value<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
        simd.multiply(z, sigmoid(simd, z))
    }

    #[inline(always)]
    fn gradient<S: Simd>(simd: S, z: S::Vector, gradient: S::Vector) -> S::Vector {
        let one = simd.splat(1.0);
        let sigmoid = sigmoid(simd, z);
        let slope = simd.multiply_add(z, simd.subtract(one, sigmoid), one);
        simd.multiply(gradient, simd.multiply(sigmoid, slope))
    }
}
