use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use rand::seq::index::sample;
use standin_data::Seed;
use standin_encode::{Embedding, Neighbours, nearest};

use crate::frechet::Gaussian;
use crate::kernel::{CrossSums, Kernel, SelfSums, cross_sums};
use crate::manifold::from_overlap;
use crate::medsyn::{self, Medsyn};
use crate::overlap::{Overlap, REACH};
use crate::{Against, Convention, Error, Estimate, Manifold, Outcome, Result};

/// Fewer images than this describe no distribution.
const FEWEST: usize = 20;
/// Neighbours between two sets: the nearest, and enough more that one is in any half of the set with probability 0.999.
pub(crate) const BETWEEN: usize = 10;

/// The three sets of a comparison, in one protocol.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Real images the generator saw.
    pub train: &'a Embedding,
    /// Real images of the same population that it did not see. Without them nothing can be said about copying, and what
    /// is said about fidelity rewards it.
    pub holdout: Option<&'a Embedding>,
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
    holdout: Option<Cow<'a, Embedding>>,
    reference: Option<Cow<'a, Embedding>>,
    seed: Seed,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(sets: Sets<'a>, seed: Seed) -> Result<Self> {
        sets.train.require_same_protocol(sets.synthetic)?;
        if let Some(holdout) = sets.holdout {
            sets.train.require_same_protocol(holdout)?;
        }
        let thinning = seed.derive("thinning");
        let real = sets.holdout.map_or(sets.train.rows(), |holdout| holdout.rows().min(sets.train.rows()));
        let of_holdout = |size, purpose| sets.holdout.map(|holdout| thinned(holdout, size, thinning.derive(purpose)));
        Ok(Self {
            sets,
            train: thinned(sets.train, real, thinning.derive("train")),
            holdout: of_holdout(real, "holdout"),
            reference: of_holdout(real.min(sets.synthetic.rows()), "reference"),
            seed,
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
    overlaps: Cache<(Side, Side), Overlap>,
    manifolds: Cache<(Side, Side, Convention), Manifold>,
    gaussians: Cache<Side, Gaussian<'a>>,
    medsyn: Cache<Side, Medsyn>,
    own_kernels: Cache<(Side, Kernel), SelfSums>,
    cross_kernels: Cache<(Side, Side, Kernel), CrossSums>,
}

type Cache<Key, Value> = RefCell<HashMap<Key, Arc<Value>>>;

fn cached<Key: Hash + Eq, Value>(
    cache: &Cache<Key, Value>,
    key: Key,
    compute: impl FnOnce() -> Result<Value>,
) -> Result<Arc<Value>> {
    if let Some(value) = cache.borrow().get(&key) {
        return Ok(value.clone());
    }
    let value = Arc::new(compute()?);
    cache.borrow_mut().insert(key, value.clone());
    Ok(value)
}

impl<'a> Context<'a> {
    pub(crate) fn new(prepared: &'a Prepared<'a>) -> Self {
        Self {
            prepared,
            neighbours: Cache::default(),
            overlaps: Cache::default(),
            manifolds: Cache::default(),
            gaussians: Cache::default(),
            own_kernels: Cache::default(),
            cross_kernels: Cache::default(),
            medsyn: Cache::default(),
        }
    }

    /// The rows of a side.
    ///
    /// # Panics
    /// If it is a side of the holdout and there is none: [`Context::outcome`] asks before it lets a measure look.
    pub(crate) fn rows(&self, side: Side) -> &'a Embedding {
        self.find(side).expect("a measure looks at sides inside `outcome` only, which has made sure that they exist")
    }

    fn find(&self, side: Side) -> Option<&'a Embedding> {
        let prepared = self.prepared;
        match side {
            Side::Train => Some(&prepared.train),
            Side::Holdout => prepared.holdout.as_deref(),
            Side::AllTrain => Some(prepared.sets.train),
            Side::AllHoldout => prepared.sets.holdout,
            Side::Synthetic => Some(prepared.sets.synthetic),
            Side::Reference => prepared.reference.as_deref(),
        }
    }

    /// Number of images on a side; 0 if it is one of the holdout and there is none.
    pub(crate) fn size(&self, side: Side) -> usize {
        self.find(side).map_or(0, Embedding::rows)
    }

    /// Seed of everything a measure draws at random; derive from it by the measure's name.
    pub(crate) fn seed(&self) -> Seed {
        self.prepared.seed
    }

    /// The side under which equal rows are cached.
    fn key(&self, side: Side) -> Side {
        let same = |other: Side| match (self.find(side), self.find(other)) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        match side {
            Side::AllTrain if same(Side::Train) => Side::Train,
            Side::AllHoldout | Side::Reference if same(Side::Holdout) => Side::Holdout,
            Side::Reference if same(Side::AllHoldout) => Side::AllHoldout,
            side => side,
        }
    }

    /// Within one side the 24 nearest other rows, between two the ten nearest; all there are where there are fewer.
    pub(crate) fn neighbours(&self, queries: Side, base: Side) -> Result<Arc<Neighbours>> {
        let (queries, base) = (self.key(queries), self.key(base));
        cached(&self.neighbours, (queries, base), || {
            let own = queries == base;
            let k = if own { REACH.min(self.size(base) - 1) } else { BETWEEN.min(self.size(base)) };
            Ok(nearest(self.rows(queries), self.rows(base), k, own)?)
        })
    }

    /// Precision, recall, density and coverage, from one search for every convention.
    pub(crate) fn manifold(&self, generated: Side, real: Side, convention: Convention) -> Result<Arc<Manifold>> {
        let (generated, real) = (self.key(generated), self.key(real));
        cached(&self.manifolds, (generated, real, convention), || {
            let overlap = cached(&self.overlaps, (generated, real), || {
                Overlap::of(
                    self.rows(generated),
                    &self.neighbours(generated, generated)?,
                    self.rows(real),
                    &self.neighbours(real, real)?,
                )
            })?;
            from_overlap(&overlap, self.rows(generated), self.rows(real), convention)
        })
    }

    pub(crate) fn gaussian(&self, side: Side) -> Result<Arc<Gaussian<'a>>> {
        let side = self.key(side);
        cached(&self.gaussians, side, || Gaussian::of(self.rows(side)))
    }

    pub(crate) fn own_kernel(&self, side: Side, kernel: Kernel) -> Result<Arc<SelfSums>> {
        let side = self.key(side);
        cached(&self.own_kernels, (side, kernel), || SelfSums::of(self.rows(side), kernel))
    }

    pub(crate) fn cross_kernel(&self, first: Side, second: Side, kernel: Kernel) -> Result<Arc<CrossSums>> {
        let (first, second) = (self.key(first), self.key(second));
        let sums = || Ok(cross_sums(self.rows(first), self.rows(second), kernel));
        cached(&self.cross_kernels, (first, second, kernel), sums)
    }

    /// MedSynAnalyzer's shares of a side against all training images.
    pub(crate) fn medsyn(&self, generated: Side) -> Result<Arc<Medsyn>> {
        let side = self.key(generated);
        cached(&self.medsyn, side, || {
            let own = self.neighbours(Side::AllTrain, Side::AllTrain)?;
            medsyn::of_neighbours(self.rows(side), self.rows(Side::AllTrain), &own)
        })
    }

    /// The value of a measure, if every side it looks at is large enough to be described.
    pub(crate) fn outcome(&self, sides: &[Side], measure: impl FnOnce() -> Result<Estimate>) -> Result<Outcome> {
        let small = sides.iter().find(|&&side| self.size(side) < FEWEST);
        match small {
            Some(&side) if self.find(side).is_none() => Ok(Outcome::NotMeasurable(
                "no holdout images; only real images that the generator did not see can say what is normal".into(),
            )),
            Some(&side) => Ok(Outcome::NotMeasurable(format!(
                "only {} {} images; at least {FEWEST} are needed to describe a distribution",
                self.size(side),
                side.name()
            ))),
            None => match measure() {
                Ok(estimate) => Ok(Outcome::Measured(estimate)),
                Err(error @ (Error::NoConvergence { .. } | Error::NeedsEuclidean { .. } | Error::TooFew { .. })) => {
                    Ok(Outcome::NotMeasurable(error.to_string()))
                }
                Err(error) => Err(error),
            },
        }
    }

    /// What holdout images in the place of the synthetic ones get; none without a holdout.
    pub(crate) fn reference(&self, outcome: impl FnOnce() -> Result<Outcome>) -> Result<Option<Outcome>> {
        self.find(Side::AllHoldout).map(|_| outcome()).transpose()
    }

    /// A measure of generated against real images: synthetic against training and holdout images, and for reference
    /// holdout against training images; without a holdout the first of the three.
    pub(crate) fn both_ways(
        &self,
        parameters: &str,
        measure: impl Fn(Side, Side) -> Result<Estimate>,
    ) -> Result<Vec<Comparison>> {
        let outcome = |generated: Side, real: Side| self.outcome(&[generated, real], || measure(generated, real));
        let size = |side: Side| self.size(side);
        let separator = if parameters.is_empty() { "" } else { "; " };
        // One protocol for all three numbers, so that they can stand in one row.
        let parameters = format!(
            "{parameters}{separator}{} synthetic, {} training, {} holdout",
            size(Side::Synthetic),
            size(Side::Train),
            size(Side::Holdout)
        );
        let with_holdout = self.find(Side::Holdout).is_some();
        let mut comparisons = vec![Comparison {
            against: Against::Train,
            outcome: outcome(Side::Synthetic, Side::Train)?,
            reference: self.reference(|| outcome(Side::Reference, Side::Train))?,
            parameters: parameters.clone(),
        }];
        if with_holdout {
            comparisons.push(Comparison {
                against: Against::Holdout,
                outcome: outcome(Side::Synthetic, Side::Holdout)?,
                reference: None,
                parameters,
            });
        }
        Ok(comparisons)
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
