use crate::activation::{Activate, Relu, Silu};
use crate::instructions::{Instructions, Kernel};
use crate::parts::in_parts_alone;
use crate::simd::{LANES, Simd};
use crate::transpose::{load_part, store_part};

/// Numbers of a task.
const TASK: usize = 16 * 1024;

/// A function of one number or two.
pub(crate) trait Function {
    /// Of sixteen at a time.
    fn of<S: Simd>(simd: S, a: S::Vector, b: S::Vector) -> S::Vector;
}

/// An activation.
pub(crate) struct Value<A>(A);

impl<A: Activate> Function for Value<A> {
    #[inline(always)]
    fn of<S: Simd>(simd: S, a: S::Vector, _: S::Vector) -> S::Vector {
        A::value(simd, a)
    }
}

/// An activation's slope at the first, times the second.
pub(crate) struct Gradient<A>(A);

impl<A: Activate> Function for Gradient<A> {
    #[inline(always)]
    fn of<S: Simd>(simd: S, a: S::Vector, b: S::Vector) -> S::Vector {
        A::gradient(simd, a, b)
    }
}

struct Sum;

impl Function for Sum {
    #[inline(always)]
    fn of<S: Simd>(simd: S, a: S::Vector, b: S::Vector) -> S::Vector {
        simd.add(a, b)
    }
}

struct Each<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    into: &'a mut [f32],
    function: std::marker::PhantomData<F>,
}

impl<F: Function> Kernel for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for ((into, a), b) in self.into.chunks_mut(LANES).zip(self.a.chunks(LANES)).zip(self.b.chunks(LANES)) {
            store_part(simd, F::of(simd, load_part(simd, a), load_part(simd, b)), into);
        }
    }
}

pub(crate) fn each<F: Function>(instructions: Instructions, a: &[f32], b: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "both have as many numbers");
    in_parts_alone(a.len(), TASK, |index, into| {
        let part = index * TASK..index * TASK + into.len();
        instructions.run(Each::<F> { a: &a[part.clone()], b: &b[part], into, function: std::marker::PhantomData });
    })
}

/// z·σ(z) of each number.
pub fn silu(z: &[f32]) -> Vec<f32> {
    each::<Value<Silu>>(Instructions::best(), z, z)
}

/// Gradient of [`silu`]'s input, from the input and the gradient of the output.
///
/// # Panics
/// If they differ in length.
pub fn silu_backward(z: &[f32], output_gradient: &[f32]) -> Vec<f32> {
    each::<Gradient<Silu>>(Instructions::best(), z, output_gradient)
}

/// max(z, 0) of each number; what is not a number stays so.
pub fn relu(z: &[f32]) -> Vec<f32> {
    each::<Value<Relu>>(Instructions::best(), z, z)
}

/// Gradient of [`relu`]'s input, from the input (or the output) and the gradient of the output: zero where the input is
/// not above zero.
///
/// # Panics
/// If they differ in length.
pub fn relu_backward(z: &[f32], output_gradient: &[f32]) -> Vec<f32> {
    each::<Gradient<Relu>>(Instructions::best(), z, output_gradient)
}

/// a + b, number by number.
///
/// # Panics
/// If they differ in length.
pub fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    each::<Sum>(Instructions::best(), a, b)
}
