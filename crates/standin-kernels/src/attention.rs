use rayon::prelude::*;

use crate::exponential::exponential;
use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::parts::in_parts;
use crate::product::Product;
use crate::simd::{LANES, Lanes, Simd};
use crate::tile::sum_of_lanes;
use crate::transpose::{load_part, side_by_side, store_part};

/// Scaled dot-product attention of the positions of a sample to each other (Vaswani et al. 2017, equation 1), in several
/// heads: y = softmax(q·kᵀ/√size)·v.
///
/// Inputs are `batch × positions × 3 × heads × size`, queries, keys and values of all heads; outputs `batch × positions ×
/// heads × size`. The functions panic where a slice has not the length that the geometry says. Forward costs
/// 2·batch·heads·positions²·size products, backward 5; each thread holds positions² scores of a head, or twice as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attention {
    /// Samples.
    pub batch: usize,
    /// Positions that look at each other.
    pub positions: usize,
    /// Heads.
    pub heads: usize,
    /// Numbers of a query, a key and a value.
    pub size: usize,
}

impl Attention {
    /// y, and for [`Attention::backward`] the logarithm of each softmax's sum, `batch × heads × positions`.
    pub fn forward(&self, projected: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.forward_on(Instructions::best(), projected)
    }

    /// Gradient of the input from that of the output.
    pub fn backward(&self, projected: &[f32], logarithms: &[f32], output_gradient: &[f32]) -> Vec<f32> {
        self.backward_on(Instructions::best(), projected, logarithms, output_gradient)
    }

    /// Numbers of a position of the output.
    fn width(&self) -> usize {
        self.heads * self.size
    }

    fn check(&self, what: &str, numbers: &[f32], width: usize) {
        assert_eq!(numbers.len(), self.batch * width, "{what} is to be as long as {self:?} says");
    }

    pub(crate) fn forward_on(&self, instructions: Instructions, projected: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let sample = self.positions * self.width();
        self.check("the input", projected, 3 * sample);
        let of_sample = (self.heads * self.positions).max(1);
        let mut logarithms = vec![0.0; self.batch * self.heads * self.positions];
        let places = Places::new(self);
        let beside = logarithms.par_chunks_mut(of_sample).zip(projected.par_chunks((3 * sample).max(1)));
        let y = in_parts(
            self.batch * sample,
            sample.max(1),
            beside,
            || Scratch::new(self),
            |Scratch { scores, panels }, _, y, (logarithms, projected)| {
                for (head, logarithms) in logarithms.chunks_mut(self.positions).enumerate() {
                    let head = Head { attention: self, instructions, places: &places, projected, head };
                    head.scores(scores, panels);
                    instructions.run(Softmax { scores, positions: self.positions, logarithms });
                    head.columns(Part::Values, panels);
                    head.multiply(places.scores(scores), panels, &mut y[head.head * self.size..], self.width());
                }
            },
        );
        (y, logarithms)
    }

    /// With P the softmax and g the gradient of the output: that of v is Pᵀg, and that of the scores
    /// D = P∘(g·vᵀ − Σ P∘(g·vᵀ)), sums over a row's keys; those of q and k are D·k/√size and Dᵀ·q/√size.
    pub(crate) fn backward_on(
        &self,
        instructions: Instructions,
        projected: &[f32],
        logarithms: &[f32],
        output_gradient: &[f32],
    ) -> Vec<f32> {
        let (width, sample) = (self.width(), self.positions * self.width());
        self.check("the input", projected, 3 * sample);
        self.check("the output gradient", output_gradient, sample);
        self.check("the logarithms", logarithms, self.heads * self.positions);
        let places = Places::new(self);
        let beside = projected
            .par_chunks((3 * sample).max(1))
            .zip(output_gradient.par_chunks(sample.max(1)))
            .zip(logarithms.par_chunks((self.heads * self.positions).max(1)));
        in_parts(
            self.batch * 3 * sample,
            (3 * sample).max(1),
            beside,
            || (Scratch::new(self), Scratch::new(self).scores),
            |(Scratch { scores, panels }, slopes), _, into, ((projected, gradient), logarithms)| {
                for (head, logarithms) in logarithms.chunks(self.positions).enumerate() {
                    let head = Head { attention: self, instructions, places: &places, projected, head };
                    let gradient = &gradient[head.head * self.size..];
                    head.scores(scores, panels);
                    instructions.run(Remade { scores, positions: self.positions, logarithms });
                    let &Self { positions, size, .. } = self;
                    instructions.run(Columns { from: gradient, pitch: width, positions, size, panels });
                    let of_values = &mut into[head.start(Part::Values)..];
                    head.multiply(places.scores_transposed(scores), panels, of_values, 3 * width);
                    head.rows(Part::Values, 1.0, panels);
                    head.multiply(places.outputs(gradient), panels, slopes, pitch(self.positions));
                    instructions.run(Slopes {
                        softmax: scores,
                        scale: head.scale(),
                        positions: self.positions,
                        slopes,
                    });
                    head.columns(Part::Keys, panels);
                    let of_queries = &mut into[head.start(Part::Queries)..];
                    head.multiply(places.scores(slopes), panels, of_queries, 3 * width);
                    head.columns(Part::Queries, panels);
                    let of_keys = &mut into[head.start(Part::Keys)..];
                    head.multiply(places.scores_transposed(slopes), panels, of_keys, 3 * width);
                }
            },
        )
    }
}

/// Numbers from one row of scores to the next: whole vectors.
fn pitch(positions: usize) -> usize {
    positions.next_multiple_of(LANES)
}

/// What lies side by side at a position of the input.
#[derive(Clone, Copy)]
enum Part {
    Queries,
    Keys,
    Values,
}

/// A factor of a product: the number in a row and column is `numbers[rows[row] + terms[column]]`.
struct Factor<'a> {
    numbers: &'a [f32],
    rows: &'a [u32],
    terms: &'a [u32],
    /// Columns of the product with it.
    columns: usize,
}

/// Where the rows of factors begin.
struct Places {
    of_inputs: Vec<u32>,
    of_outputs: Vec<u32>,
    of_scores: Vec<u32>,
    /// One number after the other.
    each: Vec<u32>,
    size: usize,
}

impl Places {
    fn new(attention: &Attention) -> Self {
        let rows = |pitch: usize| (0..attention.positions).map(|row| (row * pitch) as u32).collect();
        Self {
            of_inputs: rows(3 * attention.width()),
            of_outputs: rows(attention.width()),
            of_scores: rows(pitch(attention.positions)),
            each: (0..attention.positions.max(attention.size) as u32).collect(),
            size: attention.size,
        }
    }

    fn positions(&self) -> usize {
        self.of_scores.len()
    }

    /// One part of one head of the input, for scores.
    fn inputs<'a>(&'a self, numbers: &'a [f32]) -> Factor<'a> {
        Factor { numbers, rows: &self.of_inputs, terms: &self.each[..self.size], columns: self.positions() }
    }

    /// One head of the output's gradient, for scores' gradients.
    fn outputs<'a>(&'a self, numbers: &'a [f32]) -> Factor<'a> {
        Factor { numbers, rows: &self.of_outputs, terms: &self.each[..self.size], columns: self.positions() }
    }

    /// Queries by keys.
    fn scores<'a>(&'a self, numbers: &'a [f32]) -> Factor<'a> {
        let each = &self.each[..self.positions()];
        Factor { numbers, rows: &self.of_scores, terms: each, columns: self.size }
    }

    /// Keys by queries.
    fn scores_transposed<'a>(&'a self, numbers: &'a [f32]) -> Factor<'a> {
        let each = &self.each[..self.positions()];
        Factor { numbers, rows: each, terms: &self.of_scores, columns: self.size }
    }
}

/// Buffers of one thread.
struct Scratch {
    /// Queries by keys of one head.
    scores: Vec<f32>,
    /// The second factor of a product, sixteen columns side by side.
    panels: Vec<Lanes>,
}

impl Scratch {
    fn new(&Attention { positions, size, .. }: &Attention) -> Self {
        let panels = (positions.div_ceil(LANES) * size).max(size.div_ceil(LANES) * positions);
        Self { scores: vec![0.0; positions * pitch(positions)], panels: vec![[0.0; LANES]; panels] }
    }
}

/// One head of one sample.
struct Head<'a> {
    attention: &'a Attention,
    instructions: Instructions,
    places: &'a Places,
    projected: &'a [f32],
    head: usize,
}

impl Head<'_> {
    fn start(&self, part: Part) -> usize {
        part as usize * self.attention.width() + self.head * self.attention.size
    }

    fn scale(&self) -> f32 {
        1.0 / (self.attention.size as f32).sqrt()
    }

    /// q·kᵀ/√size.
    fn scores(&self, scores: &mut [f32], panels: &mut [Lanes]) {
        self.rows(Part::Keys, self.scale(), panels);
        let queries = self.places.inputs(&self.projected[self.start(Part::Queries)..]);
        self.multiply(queries, panels, scores, pitch(self.attention.positions));
    }

    /// The transpose of a part as the second factor of a product.
    fn rows(&self, part: Part, factor: f32, panels: &mut [Lanes]) {
        let from = &self.projected[self.start(part)..];
        let &Attention { positions, size, .. } = self.attention;
        self.instructions.run(Rows { from, pitch: 3 * self.attention.width(), positions, size, factor, panels });
    }

    /// A part as the second factor of a product.
    fn columns(&self, part: Part, panels: &mut [Lanes]) {
        let from = &self.projected[self.start(part)..];
        let &Attention { positions, size, .. } = self.attention;
        self.instructions.run(Columns { from, pitch: 3 * self.attention.width(), positions, size, panels });
    }

    fn multiply(&self, factor: Factor<'_>, panels: &[Lanes], into: &mut [f32], pitch: usize) {
        let Factor { numbers: x, rows, terms, columns } = factor;
        let panels = &panels[..columns.div_ceil(LANES) * terms.len()];
        self.instructions.run(Product {
            x,
            rows,
            offsets: Offsets::new(terms),
            panels,
            bias: None,
            of_rows: None,
            columns,
            pitch,
            into,
        });
    }
}

/// Rows side by side: panel by panel, number by number.
struct Rows<'a> {
    from: &'a [f32],
    pitch: usize,
    positions: usize,
    size: usize,
    factor: f32,
    panels: &'a mut [Lanes],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (panel, into) in self.panels.chunks_mut(self.size).take(self.positions.div_ceil(LANES)).enumerate() {
            let first = panel * LANES;
            let live = LANES.min(self.positions - first);
            side_by_side(simd, &self.from[first * self.pitch..], self.pitch, live, self.factor, into);
        }
    }
}

/// Columns side by side: panel by panel, row by row.
struct Columns<'a> {
    from: &'a [f32],
    pitch: usize,
    positions: usize,
    size: usize,
    panels: &'a mut [Lanes],
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (panel, into) in self.panels.chunks_mut(self.positions).take(self.size.div_ceil(LANES)).enumerate() {
            let columns = panel * LANES..self.size.min((panel + 1) * LANES);
            for (into, row) in into.iter_mut().zip(self.from.chunks(self.pitch)) {
                simd.store(load_part(simd, &row[columns.clone()]), into);
            }
        }
    }
}

/// Scores become shares of their row.
struct Softmax<'a> {
    scores: &'a mut [f32],
    positions: usize,
    logarithms: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (row, logarithm) in self.scores.chunks_mut(pitch(self.positions)).zip(self.logarithms) {
            // What fills the last vector up is nobody's greatest, and its exponential is lost beside that of the greatest.
            row[self.positions..].fill(f32::MIN);
            let (vectors, _) = row.as_chunks_mut::<LANES>();
            let mut most = simd.splat(f32::MIN);
            for vector in vectors.iter() {
                most = simd.maximum(simd.load(vector), most);
            }
            let mut lanes = [0.0; LANES];
            simd.store(most, &mut lanes);
            let greatest = lanes.into_iter().fold(f32::MIN, f32::max);
            let mut sum = simd.splat(0.0);
            for vector in vectors.iter_mut() {
                let score = simd.load(vector);
                let value = exponential(simd, simd.subtract(score, simd.splat(greatest)));
                // A score that is no number, or infinite, leaves no number.
                sum = simd.add(sum, simd.multiply_add(score, simd.splat(0.0), value));
                simd.store(value, vector);
            }
            let sum = sum_of_lanes(simd, sum);
            *logarithm = greatest + sum.ln();
            let share = simd.splat(1.0 / sum);
            for vector in vectors {
                simd.store(simd.multiply(simd.load(vector), share), vector);
            }
        }
    }
}

/// The same, when the logarithms of the sums are known.
struct Remade<'a> {
    scores: &'a mut [f32],
    positions: usize,
    logarithms: &'a [f32],
}

impl Kernel for Remade<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (row, logarithm) in self.scores.chunks_mut(pitch(self.positions)).zip(self.logarithms) {
            let logarithm = simd.splat(*logarithm);
            for into in row.chunks_mut(LANES) {
                store_part(simd, exponential(simd, simd.subtract(load_part(simd, into), logarithm)), into);
            }
        }
    }
}

/// The gradient of each softmax, g, becomes that of its scores, times the scale: scale·P∘(g − Σ P∘g).
struct Slopes<'a> {
    softmax: &'a [f32],
    scale: f32,
    positions: usize,
    slopes: &'a mut [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let pitch = pitch(self.positions);
        for (slopes, softmax) in self.slopes.chunks_mut(pitch).zip(self.softmax.chunks(pitch)) {
            let (slopes, softmax) = (&mut slopes[..self.positions], &softmax[..self.positions]);
            let mut sum = simd.splat(0.0);
            for (slopes, softmax) in slopes.chunks(LANES).zip(softmax.chunks(LANES)) {
                sum = simd.multiply_add(load_part(simd, slopes), load_part(simd, softmax), sum);
            }
            let (mean, scale) = (simd.splat(sum_of_lanes(simd, sum)), simd.splat(self.scale));
            for (slopes, softmax) in slopes.chunks_mut(LANES).zip(softmax.chunks(LANES)) {
                let apart = simd.subtract(load_part(simd, slopes), mean);
                store_part(simd, simd.multiply(simd.multiply(apart, scale), load_part(simd, softmax)), slopes);
            }
        }
    }
}
