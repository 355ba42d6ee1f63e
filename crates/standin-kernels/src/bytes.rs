use crate::instructions::{Instructions, Kernel};
use crate::simd::{LANES, Lanes, Simd};
use crate::tile::sum_of_lanes;
use crate::transpose::{load_part, store_part};

#[cfg(target_arch = "x86_64")]
mod vnni;

/// 1.5·2²³: added to a number below 2²² in size it leaves the nearest whole number in the low bits.
const SHIFT: f32 = 12_582_912.0;

/// The greatest whole number a value may become.
const MOST: f32 = 127.0;

/// Values of a row, at most: sums of products of bytes stay inside 32 bits.
const WIDEST: usize = 65_536;

/// Rows in bytes: each value is nearly a whole number from −127 to 127 times the row's own step. Inner products of such rows
/// take a quarter of the time of those in single precision, where the processor multiplies bytes (AVX-512 VNNI).
///
/// One is meant to be filled again and again, by one thread each.
#[derive(Clone, Debug)]
pub struct ByteRows {
    /// Four values of a row after the other, signed, filled up with zeros.
    fours: Vec<u32>,
    width: usize,
    steps: Vec<f32>,
    errors: Vec<f32>,
    /// Sums of the whole numbers of each row.
    sums: Vec<i32>,
    /// Sixteen rows side by side, 128 added to every value.
    panels: Vec<[u32; LANES]>,
    values: Vec<f32>,
}

impl ByteRows {
    /// No rows yet; nothing where the processor does not multiply bytes, or not rows this wide.
    pub fn of_width(width: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if (1..=WIDEST).contains(&width) && vnni::available() {
            let [steps, errors, values] = [const { Vec::new() }; 3];
            let (fours, sums, panels) = (Vec::new(), Vec::new(), Vec::new());
            return Some(Self { fours, width, steps, errors, sums, panels, values });
        }
        None
    }

    /// Takes `factor` · row + offset, number by number, in the place of the rows it holds.
    ///
    /// # Panics
    /// If the numbers are no whole rows, or there are not as many offsets as a row has numbers.
    pub fn quantise(&mut self, rows: &[f32], factor: f32, offset: &[f32]) {
        assert_eq!(offset.len(), self.width, "one offset for each number of a row");
        assert!(rows.len().is_multiple_of(self.width), "{} numbers are no rows of {}", rows.len(), self.width);
        let count = rows.len() / self.width;
        let groups = self.groups();
        self.fours.resize(count * groups, 0);
        self.steps.clear();
        self.errors.clear();
        self.sums.clear();
        self.values.resize(4 * groups, 0.0);
        let instructions = Instructions::best();
        for (row, fours) in rows.chunks(self.width).zip(self.fours.chunks_mut(groups)) {
            let (step, error, sum) =
                instructions.run(Quantise { row, factor, offset, values: &mut self.values, fours });
            self.steps.push(step);
            self.errors.push(error);
            self.sums.push(sum);
        }
    }

    /// For each row an upper bound on the Euclidean norm of what its bytes leave out, against the row in single precision.
    pub fn errors(&self) -> &[f32] {
        &self.errors
    }

    /// Lays sixteen rows side by side, to be the second of [`ByteRows::inner_products`].
    pub fn pack(&mut self) {
        let groups = self.groups();
        self.panels.resize(self.steps.len().div_ceil(LANES) * groups, [0; LANES]);
        Instructions::best().run(Pack { fours: &self.fours, groups, panels: &mut self.panels });
    }

    /// `into[i·packed rows + j]` = of_left\[i] + of_packed\[j] + factor · ⟨own row i, packed row j⟩, rows as their bytes have
    /// them: the products are exact, and what follows is rounded in single precision.
    ///
    /// # Panics
    /// If the other rows are not packed or have another width, or a slice has not the length that these say.
    pub fn inner_products(&self, packed: &Self, factor: f32, of_left: &[f32], of_packed: &[f32], into: &mut [f32]) {
        let (rows, columns) = (self.steps.len(), packed.steps.len());
        assert_eq!(self.width, packed.width, "rows are equally wide");
        assert_eq!(packed.panels.len(), columns.div_ceil(LANES) * self.groups(), "the other rows are packed");
        assert_eq!([of_left.len(), of_packed.len()], [rows, columns], "one number for each row");
        assert_eq!(into.len(), rows * columns, "one place for each pair");
        #[cfg(target_arch = "x86_64")]
        if !into.is_empty() {
            // SAFETY: rows in bytes exist only where `available` has found these instructions.
            unsafe { vnni::inner_products(self, packed, factor, of_left, of_packed, into) };
        }
    }

    /// Fours of values in a row.
    fn groups(&self) -> usize {
        self.width.div_ceil(4)
    }
}

struct Quantise<'a> {
    row: &'a [f32],
    factor: f32,
    offset: &'a [f32],
    values: &'a mut [f32],
    fours: &'a mut [u32],
}

impl Kernel for Quantise<'_> {
    type Output = (f32, f32, i32);

    /// The row's step, a bound on the norm of what is left out, and the sum of the whole numbers.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> (f32, f32, i32) {
        let width = self.row.len();
        let (factor, zero) = (simd.splat(self.factor), simd.splat(0.0));
        let mut most = zero;
        for ((into, row), offset) in
            self.values[..width].chunks_mut(LANES).zip(self.row.chunks(LANES)).zip(self.offset.chunks(LANES))
        {
            let value = simd.multiply_add(load_part(simd, row), factor, load_part(simd, offset));
            most = simd.maximum(most, simd.maximum(value, simd.subtract(zero, value)));
            store_part(simd, value, into);
        }
        let mut lanes = [0.0; LANES];
        simd.store(most, &mut lanes);
        let most = lanes.into_iter().fold(0.0, f32::max);
        // Numbers whose reciprocal is none are left out altogether.
        let step = if most / MOST >= f32::MIN_POSITIVE { most / MOST } else { 0.0 };
        let per_step = if step == 0.0 { 0.0 } else { 1.0 / step };
        let (step_of, per_step, shift) = (simd.splat(step), simd.splat(per_step), simd.splat(SHIFT));
        let (least, greatest) = (simd.splat(-MOST), simd.splat(MOST));
        let mut left_out = zero;
        let mut sums = [0; LANES];
        for (values, fours) in self.values.chunks(LANES).zip(self.fours.chunks_mut(LANES / 4)) {
            let value = load_part(simd, values);
            let steps = simd.minimum(simd.maximum(simd.multiply(value, per_step), least), greatest);
            let shifted = simd.add(steps, shift);
            let whole = simd.subtract(shifted, shift);
            let rest = simd.subtract(value, simd.multiply(whole, step_of));
            left_out = simd.multiply_add(rest, rest, left_out);
            let mut lanes = [0.0; LANES];
            simd.store(shifted, &mut lanes);
            let mut bytes = [0; LANES];
            for ((byte, lane), sum) in bytes.iter_mut().zip(lanes).zip(&mut sums) {
                *byte = lane.to_bits() as u8;
                *sum += i32::from(*byte as i8);
            }
            for (four, bytes) in fours.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *four = u32::from_le_bytes(*bytes);
            }
        }
        // Far more than rounding can have taken from the sum, from a product with the step and from a difference, and than
        // numbers whose squares are too small for single precision.
        let rounding = (1e-6 * most + 1e-18) * (width as f32).sqrt();
        (step, 1.01 * sum_of_lanes(simd, left_out).sqrt() + rounding, sums.iter().sum())
    }
}

struct Pack<'a> {
    fours: &'a [u32],
    groups: usize,
    panels: &'a mut [[u32; LANES]],
}

impl Kernel for Pack<'_> {
    type Output = ();

    /// Moves bits and computes nothing with them, so that they may be numbers of any kind meanwhile.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (rows, panel) in self.fours.chunks(LANES * self.groups).zip(self.panels.chunks_mut(self.groups)) {
            for (at, into) in panel.chunks_mut(LANES).enumerate() {
                let mut block = [simd.splat(0.0); LANES];
                for (vector, row) in block.iter_mut().zip(rows.chunks(self.groups)) {
                    let part = &row[at * LANES..self.groups.min((at + 1) * LANES)];
                    let mut lanes: Lanes = [0.0; LANES];
                    for (lane, four) in lanes.iter_mut().zip(part) {
                        *lane = f32::from_bits(*four);
                    }
                    *vector = simd.load(&lanes);
                }
                for (column, into) in simd.transpose(block).into_iter().zip(into) {
                    let mut lanes: Lanes = [0.0; LANES];
                    simd.store(column, &mut lanes);
                    for (into, lane) in into.iter_mut().zip(lanes) {
                        *into = lane.to_bits() ^ 0x8080_8080;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::numbers;

    /// The row as its bytes have it.
    fn values(rows: &ByteRows, row: usize) -> Vec<f64> {
        let fours = &rows.fours[row * rows.groups()..(row + 1) * rows.groups()];
        let bytes = fours.iter().flat_map(|four| four.to_le_bytes());
        bytes.take(rows.width).map(|byte| f64::from(byte as i8) * f64::from(rows.steps[row])).collect()
    }

    #[test]
    fn products_are_those_of_the_bytes_and_errors_bound_what_they_leave_out() {
        for (left, right, width) in [(1, 1, 1), (9, 33, 20), (17, 70, 515), (40, 16, 7), (8, 32, 64)] {
            let Some(mut a) = ByteRows::of_width(width) else {
                eprintln!("skipped: this processor does not multiply bytes");
                return;
            };
            let mut b = a.clone();
            let (x, y, offset) = (numbers(left * width, 1), numbers(right * width, 2), numbers(width, 3));
            let (of_x, of_y) = (numbers(left, 4), numbers(right, 5));
            a.quantise(&x, 2.0, &offset);
            // What was there before leaves nothing behind.
            b.quantise(&numbers((right + 20) * width, 9), 1.0, &offset);
            b.pack();
            b.quantise(&y, -4.0, &offset);
            b.pack();
            for (rows, numbers, factor) in [(&a, &x, 2.0), (&b, &y, -4.0)] {
                for (row, numbers) in numbers.chunks(width).enumerate() {
                    let given = numbers.iter().zip(&offset).map(|(x, o)| factor * f64::from(*x) + f64::from(*o));
                    let apart: f64 = values(rows, row).iter().zip(given).map(|(q, x)| (q - x).powi(2)).sum();
                    let bound = f64::from(rows.errors[row]);
                    assert!(apart.sqrt() <= bound, "{} above {bound}", apart.sqrt());
                    assert!(bound <= 1.1 * apart.sqrt() + 1e-4, "{bound} far above {}", apart.sqrt());
                }
            }
            let mut into = vec![f32::NAN; left * right];
            a.inner_products(&b, -2.0, &of_x, &of_y, &mut into);
            for (at, &found) in into.iter().enumerate() {
                let (i, j) = (at / right, at % right);
                let product: f64 = values(&a, i).iter().zip(values(&b, j)).map(|(a, b)| a * b).sum();
                let expected = f64::from(of_x[i]) + f64::from(of_y[j]) - 2.0 * product;
                assert!((f64::from(found) - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} for {expected}");
            }
        }
    }

    #[test]
    fn rows_of_zeros_and_of_tiny_numbers_become_zeros() {
        let Some(mut rows) = ByteRows::of_width(3) else { return };
        rows.quantise(&[0.0, 0.0, 0.0, 1e-40, 0.0, -1e-40, 1e30, -1e30, 0.0], 1.0, &[0.0; 3]);
        assert_eq!((rows.steps[0], rows.steps[1]), (0.0, 0.0));
        assert_eq!(values(&rows, 1), [0.0; 3]);
        assert!(rows.errors[1] >= 1.4e-40 && rows.steps[2].is_finite());
    }

    #[test]
    fn rows_too_wide_for_the_sums_are_not_taken() {
        assert!(ByteRows::of_width(WIDEST + 1).is_none() && ByteRows::of_width(0).is_none());
    }
}
