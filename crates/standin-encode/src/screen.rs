use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use standin_kernels::{ByteRows, PackedRows, sixteens_within};

use crate::Embedding;

/// Base rows that one matrix product covers; with [`MANY`] query rows the tile of products stays in the second-level cache.
pub(crate) const BLOCK: usize = 512;
/// Query rows of a tile: at most these, for many rows, …
const MANY: usize = 512;
/// … and at least these, where tiles must be short to keep every core busy.
const FEW: usize = 32;
/// Rows of a tile where a set meets itself, at most, and columns of such a tile that are turned around at a time.
const OWN: (usize, usize) = (512, 16);
/// A tile is looked at in bytes first while no more than one pair of so many has to be measured, beside those at its beginning,
/// when nothing is known yet.
const RARELY: usize = 32;
const AT_FIRST: usize = 64 * 1024;

/// Every squared distance between two sets, streamed as lower bounds in single precision.
///
/// ‖a−b‖² = ‖a‖² + ‖b‖² − 2a·b turns distances into one matrix product, but cancels for near rows: for two copies the
/// rounding error may exceed every true distance in the set. So the product only *screens*: it yields a lower bound and,
/// with [`Screen::slack`], an upper bound of each squared distance, and whatever the bounds cannot decide is computed
/// again from the rows in double precision. Decisions are thus those of exact arithmetic on the rows given, and do not
/// depend on tiles or threads.
///
/// With unit roundoff u, a dot product of length d in any order of summation errs by at most γ‖a‖‖b‖, γ ≈ d·u (Higham,
/// "Accuracy and Stability of Numerical Algorithms", §3.1), so the squared distance errs by at most
/// γ(‖a‖² + ‖b‖²), to which centring, norms and additions add a few u more. Rows are centred on the base's mean to make
/// the norms, and with them the bounds, small, and scaled by a power of two so that nothing overflows.
pub(crate) struct Screen<'a> {
    queries: Side<'a>,
    base: Side<'a>,
    centre: Vec<f32>,
    /// 2 · centre: what is taken off −2 times a row.
    offset: Vec<f32>,
    scale: f32,
    dimension: usize,
    slack: f32,
    absolute: f32,
}

/// Lower bounds between one query and base rows.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) lower: &'a [f32],
    /// Whether they come from bytes.
    pub(crate) coarse: bool,
}

/// Rows of one tile and one block in bytes.
struct Bytes {
    left: ByteRows,
    right: ByteRows,
    of_left: Vec<f32>,
    of_right: Vec<f32>,
    /// −centre.
    offset: Vec<f32>,
    /// Above the norm of every query as its bytes have it, and of every base row.
    longest: [f32; 2],
}

impl Bytes {
    fn new(screen: &Screen<'_>) -> Option<Self> {
        let left = ByteRows::of_width(screen.dimension)?;
        // Squares of lengths below 1e-19 are lost in single precision.
        let norm = |side: &Side<'_>| 1.01 * side.terms.iter().copied().fold(0.0, f32::max).sqrt() + 1e-19;
        // What bytes leave out of a row is half a step for each number at most, and a step is the greatest over 127.
        let grown = 1.0 + (screen.dimension as f32).sqrt() / 250.0;
        Some(Self {
            right: left.clone(),
            left,
            of_left: Vec::new(),
            of_right: Vec::new(),
            offset: screen.centre.iter().map(|mean| -mean).collect(),
            longest: [grown * norm(&screen.queries), norm(&screen.base)],
        })
    }

    fn take_left(&mut self, screen: &Screen<'_>, rows: Range<usize>) {
        self.left.quantise(screen.queries.values(rows.clone()), screen.scale, &self.offset);
        self.of_left.clear();
        let errors = self.left.errors().iter().zip(&screen.queries.terms[rows]);
        self.of_left.extend(errors.map(|(error, term)| term - 2.0 * error * self.longest[1]));
    }

    fn bound(&mut self, screen: &Screen<'_>, rows: Range<usize>, bounds: &mut [f32]) {
        self.right.quantise(screen.base.values(rows.clone()), screen.scale, &self.offset);
        self.right.pack();
        self.of_right.clear();
        let errors = self.right.errors().iter().zip(&screen.base.terms[rows]);
        self.of_right.extend(errors.map(|(error, term)| term - 2.0 * error * self.longest[0]));
        self.left.inner_products(&self.right, -2.0, &self.of_left, &self.of_right, bounds);
    }
}

impl Side<'_> {
    fn values(&self, rows: Range<usize>) -> &[f32] {
        let dimension = self.rows.dimension();
        &self.rows.values()[rows.start * dimension..rows.end * dimension]
    }
}

struct Side<'a> {
    rows: &'a Embedding,
    /// Squared norms of the centred and scaled rows, less what the product may err by: two rows' terms and −2 times their
    /// product are a lower bound of their squared distance.
    terms: Vec<f32>,
}

impl<'a> Screen<'a> {
    /// Prepares both sets, which must have one dimension. O((q + b)·d) time, O(q + b + d) memory.
    pub(crate) fn new(queries: &'a Embedding, base: &'a Embedding) -> Self {
        let dimension = base.dimension();
        let scale = 1.0 / ceiling_power_of_two(largest(queries).max(largest(base)));
        let centre: Vec<f32> = column_means(base).into_iter().map(|mean| (mean * f64::from(scale)) as f32).collect();
        let relative = (dimension as f32 + 32.0) * (f32::EPSILON / 2.0) * 1.01;
        let side = |rows: &'a Embedding| {
            let terms = (0..rows.rows())
                .into_par_iter()
                .map(|row| {
                    let centred = |(&x, &m): (&f32, &f32)| f64::from(x * scale - m).powi(2);
                    let norm = rows.row(row).iter().zip(&centre).map(centred).sum::<f64>();
                    (1.0 - relative) * norm as f32
                })
                .collect();
            Side { rows, terms }
        };
        Self {
            queries: side(queries),
            base: side(base),
            scale,
            dimension,
            slack: 2.02 * relative / (1.0 - relative),
            absolute: dimension as f32 * f32::MIN_POSITIVE,
            offset: centre.iter().map(|mean| 2.0 * mean).collect(),
            centre,
        }
    }

    /// Turns a squared distance into the unit of the bounds.
    pub(crate) fn scaled(&self, squared_distance: f64) -> f64 {
        squared_distance * f64::from(self.scale) * f64::from(self.scale)
    }

    /// What to add to the lower bound of a pair for an upper bound.
    pub(crate) fn slack(&self, query: usize, base: usize) -> f32 {
        self.slack * (self.queries.terms[query] + self.base.terms[base]) + self.absolute
    }

    /// Lower and upper bound of a pair that was measured.
    pub(crate) fn measured(&self, query: usize, base: usize) -> (f32, f32) {
        let squared = squared_distance(self.queries.rows.row(query), self.base.rows.row(base));
        let squared = self.scaled(squared) as f32;
        (squared.next_down(), squared.next_up())
    }

    /// Visits every pair once. Each tile of queries has a state of its own, made by `start` and turned into a result by
    /// `finish`; within a tile, `visit(state, query, first, lower)` sees for each query the lower bounds of the base
    /// rows `first..first + lower.len()`, blocks in order. Results are in the order of the queries.
    ///
    /// O(q·b·d) time in matrix products over all cores; per thread one tile of 512 × 512 products and the rows of the
    /// tile and the block.
    pub(crate) fn stream<State, T: Send>(
        &self,
        start: impl Fn(Range<usize>) -> State + Sync,
        visit: impl Fn(&mut State, usize, usize, &[f32]) + Sync,
        finish: impl Fn(State) -> T + Sync,
    ) -> Vec<T> {
        let visit = |state: &mut State, query: usize, first: usize, bounds: Bounds<'_>| {
            visit(state, query, first, bounds.lower);
            0
        };
        self.stream_tiles(false, start, visit, finish)
    }

    /// The same with a first look in bytes, where the processor multiplies them, in a third of the time. Then bounds are so wide that
    /// [`Screen::slack`] does not hold: what `visit` cannot decide by them it has to measure, and it returns how many pairs it
    /// measured. Where these are many the rest of the tile is looked at in single precision.
    ///
    /// A row a is s·q + e with whole numbers q, so that |⟨a, b⟩ − s_a·s_b·⟨q_a, q_b⟩| ≤ ‖e_a‖‖b‖ + ‖s_a·q_a‖‖e_b‖ (Cauchy and Schwarz).
    pub(crate) fn stream_in_bytes<State, T: Send>(
        &self,
        start: impl Fn(Range<usize>) -> State + Sync,
        visit: impl Fn(&mut State, usize, usize, Bounds<'_>) -> usize + Sync,
        finish: impl Fn(State) -> T + Sync,
    ) -> Vec<T> {
        self.stream_tiles(true, start, visit, finish)
    }

    fn stream_tiles<State, T: Send>(
        &self,
        in_bytes: bool,
        start: impl Fn(Range<usize>) -> State + Sync,
        visit: impl Fn(&mut State, usize, usize, Bounds<'_>) -> usize + Sync,
        finish: impl Fn(State) -> T + Sync,
    ) -> Vec<T> {
        let (q, b, d) = (self.queries.rows.rows(), self.base.rows.rows(), self.dimension);
        let height = (q / 16).clamp(FEW, MANY);
        let tiles = q.div_ceil(height);
        (0..tiles)
            .into_par_iter()
            .map_init(
                || {
                    let bytes = in_bytes.then(|| Bytes::new(self)).flatten();
                    (vec![0.0; height * d], PackedRows::default(), bytes, vec![0.0; height * BLOCK.min(b)])
                },
                |(left, packed, bytes, products), tile| {
                    let range = tile * height..q.min((tile + 1) * height);
                    let left = &mut left[..range.len() * d];
                    self.centre_into(self.queries.rows, range.start, left);
                    let mut bytes = bytes.as_mut();
                    if let Some(bytes) = &mut bytes {
                        bytes.take_left(self, range.clone());
                    }
                    let (mut seen, mut measured) = (0, 0);
                    let mut state = start(range.clone());
                    for first in (0..b).step_by(BLOCK) {
                        let columns = first..b.min(first + BLOCK);
                        let products = &mut products[..columns.len() * range.len()];
                        match &mut bytes {
                            Some(bytes) => bytes.bound(self, columns.clone(), products),
                            None => {
                                self.pack(columns.clone(), packed);
                                let of_left = &self.queries.terms[range.clone()];
                                packed.inner_products(left, of_left, &self.base.terms[columns.clone()], products);
                            }
                        }
                        let coarse = bytes.is_some();
                        for (query, lower) in range.clone().zip(products.chunks_exact(columns.len())) {
                            measured += visit(&mut state, query, first, Bounds { lower, coarse });
                        }
                        seen += products.len();
                        if measured > seen / RARELY + AT_FIRST {
                            bytes = None;
                        }
                    }
                    finish(state)
                },
            )
            .collect()
    }

    /// [`Screen::stream`] where both sides are one set: every pair is bounded once and visited from both of its ends, which
    /// is half the work. Tiles come in no order, so what `finish` returns must not depend on it.
    pub(crate) fn stream_own<State: Send, T: Send>(
        &self,
        start: impl Fn(Range<usize>) -> State + Sync,
        visit: impl Fn(&mut State, usize, usize, &[f32]) + Sync,
        finish: impl Fn(State) -> T + Sync,
    ) -> Vec<T> {
        let (n, d) = (self.base.rows.rows(), self.dimension);
        let height = (n / 16).clamp(FEW, OWN.0);
        let ranges: Vec<_> = (0..n).step_by(height).map(|first| first..n.min(first + height)).collect();
        let states: Vec<_> = ranges.iter().map(|range| Mutex::new(start(range.clone()))).collect();
        // A panic elsewhere ends the whole search, so a poisoned state is never looked at in earnest.
        let state = |tile: usize| states[tile].lock().unwrap_or_else(PoisonError::into_inner);
        let pairs: Vec<_> = (0..ranges.len()).flat_map(|i| (i..ranges.len()).map(move |j| (i, j))).collect();
        pairs.into_par_iter().for_each_init(
            || {
                let (products, turned) = (vec![0.0; height * height], vec![0.0; OWN.1 * height]);
                (vec![0.0; height * d], PackedRows::default(), products, turned)
            },
            |(left, packed, products, turned), (i, j)| {
                let (rows, columns) = (&ranges[i], &ranges[j]);
                let left = &mut left[..rows.len() * d];
                let products = &mut products[..rows.len() * columns.len()];
                self.centre_into(self.base.rows, rows.start, left);
                self.pack(columns.clone(), packed);
                let (of_left, of_right) = (&self.base.terms[rows.clone()], &self.base.terms[columns.clone()]);
                packed.inner_products(left, of_left, of_right, products);
                {
                    let mut state = state(i);
                    for (query, lower) in rows.clone().zip(products.chunks_exact(columns.len())) {
                        visit(&mut state, query, columns.start, lower);
                    }
                }
                if i == j {
                    return;
                }
                for first in columns.clone().step_by(OWN.1) {
                    let some = first..columns.end.min(first + OWN.1);
                    let at = first - columns.start;
                    for (row, lower) in products.chunks_exact(columns.len()).enumerate() {
                        for (offset, &value) in lower[at..at + some.len()].iter().enumerate() {
                            turned[offset * rows.len() + row] = value;
                        }
                    }
                    let mut state = state(j);
                    for (query, lower) in some.zip(turned.chunks_exact(rows.len())) {
                        visit(&mut state, query, rows.start, lower);
                    }
                }
            },
        );
        states.into_par_iter().map(|state| finish(state.into_inner().unwrap_or_else(PoisonError::into_inner))).collect()
    }

    /// −2 times centred and scaled rows of the base: exactly −2 times what [`Screen::centre_into`] makes of them, as factors are
    /// powers of two.
    fn pack(&self, rows: Range<usize>, packed: &mut PackedRows) {
        packed.pack(self.base.values(rows), -2.0 * self.scale, &self.offset);
    }

    fn centre_into(&self, rows: &Embedding, first: usize, centred: &mut [f32]) {
        let values = &rows.values()[first * self.dimension..];
        for (row, from) in centred.chunks_exact_mut(self.dimension).zip(values.chunks_exact(self.dimension)) {
            for ((to, &x), &m) in row.iter_mut().zip(from).zip(&self.centre) {
                *to = x * self.scale - m;
            }
        }
    }
}

/// Where among lower bounds there may be some that are not above `ceiling`, or not above their own of `ceilings`: nearly
/// everywhere there is none.
pub(crate) fn near(
    lower: &[f32],
    ceiling: f32,
    ceilings: Option<&[f32]>,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let length = lower.len();
    let mut left = sixteens_within(lower, ceiling, ceilings);
    std::iter::from_fn(move || {
        let start = 16 * (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(start..length.min(start + 16))
    })
}

/// Σ(aᵢ−bᵢ)² in double precision: exactly 0 for equal rows, the same for (a, b) and (b, a).
pub fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32, y: f32| {
        let difference = f64::from(x) - f64::from(y);
        difference * difference
    };
    // Eight sums side by side, in a fixed order, so that the compiler may use vector registers.
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&x, &y)| square(x, y)).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += square(x, y);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Mean of every column, in double precision; the sums' order is fixed.
fn column_means(rows: &Embedding) -> Vec<f64> {
    const SPLIT: usize = 1024;
    let d = rows.dimension();
    let parts: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(SPLIT * d)
        .map(|part| {
            let mut sums = vec![0.0; d];
            for row in part.chunks_exact(d) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(value);
                }
            }
            sums
        })
        .collect();
    let mut means = vec![0.0; d];
    for part in parts {
        for (mean, sum) in means.iter_mut().zip(part) {
            *mean += sum / rows.rows() as f64;
        }
    }
    means
}

fn largest(rows: &Embedding) -> f32 {
    rows.values().par_iter().copied().map(f32::abs).reduce(|| 0.0, f32::max)
}

/// The smallest power of two not below `value`, within what has a finite reciprocal; 1 for 0.
fn ceiling_power_of_two(value: f32) -> f32 {
    if value == 0.0 { 1.0 } else { value.log2().ceil().clamp(-100.0, 126.0).exp2() }
}
