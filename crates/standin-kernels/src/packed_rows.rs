use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::product::Product;
use crate::simd::{LANES, Lanes, Simd};
use crate::transpose::side_by_side;

/// Rows to take inner products with, sixteen of them side by side.
///
/// One is meant to be filled again and again, by one thread each.
#[derive(Clone, Debug, Default)]
pub struct PackedRows {
    rows: usize,
    width: usize,
    panels: Vec<Lanes>,
    /// One number after the other.
    terms: Vec<u32>,
}

impl PackedRows {
    /// Takes `factor` · row + offset, number by number and rounded once, in the place of the rows it holds.
    ///
    /// # Panics
    /// If the numbers are no whole rows of as many numbers as there are offsets.
    pub fn pack(&mut self, rows: &[f32], factor: f32, offset: &[f32]) {
        self.pack_on(Instructions::best(), rows, factor, offset);
    }

    /// `into[i·rows + j]` = of_left\[i] + of_packed\[j] + ⟨left row i, packed row j⟩, in single precision.
    ///
    /// # Panics
    /// If a slice has not the length that these say.
    pub fn inner_products(&self, left: &[f32], of_left: &[f32], of_packed: &[f32], into: &mut [f32]) {
        self.inner_products_on(Instructions::best(), left, of_left, of_packed, into);
    }

    fn pack_on(&mut self, instructions: Instructions, rows: &[f32], factor: f32, offset: &[f32]) {
        let width = offset.len();
        assert!(width > 0 && rows.len().is_multiple_of(width), "{} numbers are no rows of {width}", rows.len());
        (self.rows, self.width) = (rows.len() / width, width);
        self.panels.resize(self.rows.div_ceil(LANES) * width, [0.0; LANES]);
        self.terms.clear();
        self.terms.extend(0..width as u32);
        instructions.run(Pack { rows, factor, offset, panels: &mut self.panels });
    }

    fn inner_products_on(
        &self,
        instructions: Instructions,
        left: &[f32],
        of_left: &[f32],
        of_packed: &[f32],
        into: &mut [f32],
    ) {
        assert_eq!(left.len(), of_left.len() * self.width, "left rows are as wide as the packed ones");
        assert_eq!(of_packed.len(), self.rows, "one number for each packed row");
        assert_eq!(into.len(), of_left.len() * self.rows, "one place for each pair");
        if into.is_empty() {
            return;
        }
        let rows: Vec<u32> = (0..of_left.len()).map(|row| (row * self.width) as u32).collect();
        instructions.run(Product {
            x: left,
            rows: &rows,
            offsets: Offsets::new(&self.terms),
            panels: &self.panels,
            bias: Some(of_packed),
            of_rows: Some(of_left),
            columns: self.rows,
            pitch: self.rows,
            into,
        });
    }
}

struct Pack<'a> {
    rows: &'a [f32],
    factor: f32,
    offset: &'a [f32],
    panels: &'a mut [Lanes],
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let width = self.offset.len();
        let factor = simd.splat(self.factor);
        for (rows, into) in self.rows.chunks(LANES * width).zip(self.panels.chunks_mut(width)) {
            side_by_side(simd, rows, width, rows.len() / width, 1.0, into);
            for (into, offset) in into.iter_mut().zip(self.offset) {
                let packed = simd.multiply_add(simd.load(into), factor, simd.splat(*offset));
                simd.store(packed, into);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{every_instruction_set_agrees, numbers};

    #[test]
    fn products_are_the_plain_sums_in_every_instruction_set() {
        let mut packed = PackedRows::default();
        for (left, right, width) in [(1, 1, 1), (9, 33, 20), (17, 70, 1700), (40, 16, 7), (0, 5, 3), (3, 0, 3)] {
            let (a, b) = (numbers(left * width, 1), numbers(right * width, 2));
            let (of_a, of_b, offset) = (numbers(left, 3), numbers(right, 4), numbers(width, 5));
            let expected = |i: usize, j: usize| {
                let rows = a[i * width..].iter().zip(&b[j * width..]).zip(&offset);
                let product =
                    |((&a, &b), &offset): ((&f32, &f32), &f32)| f64::from(a) * (f64::from(offset) - 2.0 * f64::from(b));
                rows.map(product).sum::<f64>() + f64::from(of_a[i]) + f64::from(of_b[j])
            };
            if left * right > 0 {
                every_instruction_set_agrees(&format!("{left} × {right} × {width}"), |instructions| {
                    let mut packed = PackedRows::default();
                    packed.pack_on(instructions, &b, -2.0, &offset);
                    let mut into = vec![f32::NAN; left * right];
                    packed.inner_products_on(instructions, &a, &of_a, &of_b, &mut into);
                    vec![into]
                });
            }
            // What was packed before leaves nothing behind.
            packed.pack(&b, -2.0, &offset);
            let mut into = vec![f32::NAN; left * right];
            packed.inner_products(&a, &of_a, &of_b, &mut into);
            for (at, &found) in into.iter().enumerate() {
                let expected = expected(at / right, at % right);
                assert!((f64::from(found) - expected).abs() < 1e-6 * width as f64, "{found} for {expected}");
            }
        }
    }
}
