use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

use rand::seq::index::sample;
use standin_data::Seed;
use standin_encode::{Embedding, Neighbours, count_within, nearest};

use crate::frechet::Gaussian;
use crate::kernel::{SelfSums, cross_sums};
use crate::manifold::Convention;
use crate::{Against, Error, Estimate, Outcome, Result};

/// Fewer images than this describe no distribution.
const FEWEST: usize = 20;
/// Neighbours within a set that are searched once for every measure: one more than any ball reaches to.
const WITHIN: usize = 6;
/// Neighbours between two sets: the nearest, and what takes its place when it is left out.
const BETWEEN: usize = 2;

/// The three sets of a comparison, in one protocol.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Real images the generator saw.
    pub train: &'a Embedding,
    /// Real images of the same population that it did not see.
    pub holdout: &'a Embedding,
    /// Synthetic images.
    pub synthetic: &'a Embedding,
}

/// One set in one of its roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// Training images, as many as there are holdout images.
    Train,
    /// Holdout images, as many as there are training images.
    Holdout,
    /// All training images.
    AllTrain,
    /// All holdout images.
    AllHoldout,
    /// All synthetic images.
    Synthetic,
    /// Holdout images in the place of the synthetic ones, at most as many.
    Reference,
}

/// The sets, trimmed to sizes at which numbers compare.
///
/// Nearly every measure depends on n, so a value against the training set compares with one against the holdout set only
/// if both have one size: the larger is thinned at random, by the seed.
pub(crate) struct Prepared<'a> {
    sets: Sets<'a>,
    train: Cow<'a, Embedding>,
    holdout: Cow<'a, Embedding>,
    reference: Cow<'a, Embedding>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(sets: Sets<'a>, seed: Seed) -> Result<Self> {
        sets.train.require_same_protocol(sets.holdout)?;
        sets.train.require_same_protocol(sets.synthetic)?;
        let real = sets.train.rows().min(sets.holdout.rows());
        Ok(Self {
            sets,
            train: thinned(sets.train, real, seed.derive("train")),
            holdout: thinned(sets.holdout, real, seed.derive("holdout")),
            reference: thinned(sets.holdout, real.min(sets.synthetic.rows()), seed.derive("reference")),
        })
    }
}

/// `size` rows drawn without replacement, in their order; the set itself if it has no more.
fn thinned(set: &Embedding, size: usize, seed: Seed) -> Cow<'_, Embedding> {
    if set.rows() <= size {
        return Cow::Borrowed(set);
    }
    let mut chosen = sample(&mut seed.rng(), set.rows(), size).into_vec();
    chosen.sort_unstable();
    Cow::Owned(set.select(&chosen))
}

/// What every measure of one comparison shares: each neighbour search, covariance and kernel is computed once.
pub(crate) struct Context<'a> {
    prepared: &'a Prepared<'a>,
    neighbours: Cache<(Side, Side), Neighbours>,
    within: Cache<(Side, Side, Convention), Vec<usize>>,
    gaussians: Cache<Side, Gaussian<'a>>,
    own_kernels: Cache<Side, SelfSums>,
    cross_kernels: Cache<(Side, Side), (Vec<f64>, Vec<f64>)>,
}

type Cache<Key, Value> = RefCell<HashMap<Key, Rc<Value>>>;

fn cached<Key: Hash + Eq, Value>(
    cache: &Cache<Key, Value>,
    key: Key,
    compute: impl FnOnce() -> Result<Value>,
) -> Result<Rc<Value>> {
    if let Some(value) = cache.borrow().get(&key) {
        return Ok(value.clone());
    }
    let value = Rc::new(compute()?);
    cache.borrow_mut().insert(key, value.clone());
    Ok(value)
}

impl<'a> Context<'a> {
    pub(crate) fn new(prepared: &'a Prepared<'a>) -> Self {
        Self {
            prepared,
            neighbours: Cache::default(),
            within: Cache::default(),
            gaussians: Cache::default(),
            own_kernels: Cache::default(),
            cross_kernels: Cache::default(),
        }
    }

    pub(crate) fn rows(&self, side: Side) -> &'a Embedding {
        let prepared = self.prepared;
        match side {
            Side::Train => &prepared.train,
            Side::Holdout => &prepared.holdout,
            Side::AllTrain => prepared.sets.train,
            Side::AllHoldout => prepared.sets.holdout,
            Side::Synthetic => prepared.sets.synthetic,
            Side::Reference => &prepared.reference,
        }
    }

    /// The side under which equal rows are cached.
    fn key(&self, side: Side) -> Side {
        let same = |other: Side| std::ptr::eq(self.rows(side), self.rows(other));
        match side {
            Side::AllTrain if same(Side::Train) => Side::Train,
            Side::AllHoldout | Side::Reference if same(Side::Holdout) => Side::Holdout,
            Side::Reference if same(Side::AllHoldout) => Side::AllHoldout,
            side => side,
        }
    }

    /// Within one side the six nearest other rows, between two the two nearest.
    pub(crate) fn neighbours(&self, queries: Side, base: Side) -> Result<Rc<Neighbours>> {
        let (queries, base) = (self.key(queries), self.key(base));
        cached(&self.neighbours, (queries, base), || {
            let own = queries == base;
            Ok(nearest(self.rows(queries), self.rows(base), if own { WITHIN } else { BETWEEN }, own)?)
        })
    }

    /// In how many balls of `base` each row of `queries` lies.
    pub(crate) fn within(&self, queries: Side, base: Side, convention: Convention) -> Result<Rc<Vec<usize>>> {
        let (queries, base) = (self.key(queries), self.key(base));
        cached(&self.within, (queries, base, convention), || {
            let radii = self.neighbours(base, base)?.at_rank(convention.k());
            Ok(count_within(self.rows(queries), self.rows(base), &radii, convention.boundary())?)
        })
    }

    pub(crate) fn gaussian(&self, side: Side) -> Result<Rc<Gaussian<'a>>> {
        let side = self.key(side);
        cached(&self.gaussians, side, || Gaussian::of(self.rows(side)))
    }

    pub(crate) fn own_kernel(&self, side: Side) -> Result<Rc<SelfSums>> {
        let side = self.key(side);
        cached(&self.own_kernels, side, || SelfSums::of(self.rows(side)))
    }

    pub(crate) fn cross_kernel(&self, first: Side, second: Side) -> Result<Rc<(Vec<f64>, Vec<f64>)>> {
        let (first, second) = (self.key(first), self.key(second));
        cached(&self.cross_kernels, (first, second), || Ok(cross_sums(self.rows(first), self.rows(second))))
    }

    /// The value of a measure, if every side it looks at is large enough to be described.
    pub(crate) fn outcome(&self, sides: &[Side], measure: impl FnOnce() -> Result<Estimate>) -> Result<Outcome> {
        let small = sides.iter().find(|&&side| self.rows(side).rows() < FEWEST);
        match small {
            Some(&side) => Ok(Outcome::NotMeasurable(format!(
                "only {} {} images; at least {FEWEST} are needed to describe a distribution",
                self.rows(side).rows(),
                side.name()
            ))),
            None => match measure() {
                Ok(estimate) => Ok(Outcome::Measured(estimate)),
                Err(error @ Error::NoConvergence { .. }) => Ok(Outcome::NotMeasurable(error.to_string())),
                Err(error) => Err(error),
            },
        }
    }

    /// A measure of generated against real images: synthetic against training and holdout images, and for reference
    /// holdout against training images.
    pub(crate) fn both_ways(
        &self,
        parameters: &str,
        measure: impl Fn(Side, Side) -> Result<Estimate>,
    ) -> Result<Vec<Comparison>> {
        let outcome = |generated: Side, real: Side| self.outcome(&[generated, real], || measure(generated, real));
        let sizes = |real: Side| {
            let size = |side: Side| self.rows(side).rows();
            format!("{} synthetic, {} {}", size(Side::Synthetic), size(real), real.name())
        };
        let separator = if parameters.is_empty() { "" } else { "; " };
        let reference_size = self.rows(Side::Reference).rows();
        Ok(vec![
            Comparison {
                against: Against::Train,
                outcome: outcome(Side::Synthetic, Side::Train)?,
                reference: Some(outcome(Side::Reference, Side::Train)?),
                parameters: format!(
                    "{parameters}{separator}{}, {reference_size} holdout in the reference",
                    sizes(Side::Train)
                ),
            },
            Comparison {
                against: Against::Holdout,
                outcome: outcome(Side::Synthetic, Side::Holdout)?,
                reference: None,
                parameters: format!("{parameters}{separator}{}", sizes(Side::Holdout)),
            },
        ])
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Train | Self::AllTrain => "training",
            Self::Holdout | Self::AllHoldout | Self::Reference => "holdout",
            Self::Synthetic => "synthetic",
        }
    }
}

/// What a measure found about one pair of sets.
pub(crate) struct Comparison {
    pub(crate) against: Against,
    pub(crate) outcome: Outcome,
    pub(crate) reference: Option<Outcome>,
    pub(crate) parameters: String,
}
