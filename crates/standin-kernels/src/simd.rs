//! Vectors of sixteen `f32`, whatever the processor: every instruction set computes the same sums in the same order, so
//! those that fuse multiplication and addition agree bit for bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use scalar::Scalar;

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen adjacent numbers in memory.
pub(crate) type Lanes = [f32; LANES];

/// Operations on sixteen numbers at a time.
///
/// A value of an implementing type is the proof that the processor has the instructions: each can be made only by its
/// own detection.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Sixteen numbers in registers.
    type Vector: Copy;

    /// The same number sixteen times.
    fn splat(self, value: f32) -> Self::Vector;
    /// From memory.
    fn load(self, from: &Lanes) -> Self::Vector;
    /// To memory.
    fn store(self, vector: Self::Vector, into: &mut Lanes);
    /// Fewer than sixteen numbers from memory, then zeros.
    #[inline(always)]
    fn load_first(self, from: &[f32]) -> Self::Vector {
        let mut lanes = [0.0; LANES];
        for (lane, number) in lanes.iter_mut().zip(from) {
            *lane = *number;
        }
        self.load(&lanes)
    }
    /// The first of fewer than sixteen numbers to memory.
    #[inline(always)]
    fn store_first(self, vector: Self::Vector, into: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(vector, &mut lanes);
        for (number, lane) in into.iter_mut().zip(lanes) {
            *number = lane;
        }
    }
    /// a·b + c, rounded once where the processor can.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a − b.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b.
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a/b.
    fn divide(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The greater of each pair; `b` where either is not a number.
    fn maximum(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The lesser of each pair; `b` where either is not a number.
    fn minimum(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `then` where `of` is above zero, else zero.
    fn where_positive(self, of: Self::Vector, then: Self::Vector) -> Self::Vector;
    /// 2ⁿ, where `shifted` holds 1.5·2²³ + n with −126 ≤ n ≤ 127: the sum's low bits are n.
    fn power_of_two(self, shifted: Self::Vector) -> Self::Vector;

    /// The numbers at even places of the two vectors in a row, and those at odd places.
    #[inline(always)]
    fn deinterleave(self, low: Self::Vector, high: Self::Vector) -> (Self::Vector, Self::Vector) {
        let mut values = [[0.0; LANES]; 2];
        self.store(low, &mut values[0]);
        self.store(high, &mut values[1]);
        let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
        let (pairs, _) = values.as_flattened().as_chunks::<2>();
        for ((pair, even), odd) in pairs.iter().zip(&mut even).zip(&mut odd) {
            (*even, *odd) = (pair[0], pair[1]);
        }
        (self.load(&even), self.load(&odd))
    }

    /// The matrix whose rows are the vectors, transposed.
    #[inline(always)]
    fn transpose(self, rows: [Self::Vector; LANES]) -> [Self::Vector; LANES] {
        let mut values = [[0.0; LANES]; LANES];
        for (row, into) in rows.iter().zip(&mut values) {
            self.store(*row, into);
        }
        let mut columns = rows;
        for (at, column) in columns.iter_mut().enumerate() {
            let mut lanes = [0.0; LANES];
            for (lane, row) in lanes.iter_mut().zip(&values) {
                *lane = row[at];
            }
            *column = self.load(&lanes);
        }
        columns
    }
}
