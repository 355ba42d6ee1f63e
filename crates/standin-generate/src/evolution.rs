mod api;
mod votes;

use std::path::PathBuf;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_encode::{Embedding, encoder};
use standin_privacy::{Adjacency, Event, Ledger, NoiseSource, Unit, calibrate};

use self::api::{Api, CommandApi, GeneratorApi, Population};
use self::votes::votes;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::Card;
use crate::options::at_least;
use crate::trained_images::TrainedImages;
use crate::{Error, Fit, Generator, Result, Trained};

/// The options of [`PrivateEvolution`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivateEvolutionOptions {
    /// What makes images.
    pub api: ApiOptions,
    /// Number of images of the population, divided evenly among the classes.
    pub population: usize,
    /// Number of images that are released, drawn as variations in the last round; 0 for as many as the population. More
    /// cost no privacy.
    pub released: usize,
    /// How far the variations of each round are from their parents, as the API understands it: for a generator of this
    /// project in [0, 1], where 1 is a fresh draw. There are as many rounds, and as many noisy histograms.
    pub degrees: Vec<f64>,
    /// Variations of a member whose mean features take the votes in its place; 0 for its own features.
    pub lookahead: usize,
    /// Votes below this many standard deviations of the noise count as none.
    pub threshold: f64,
    /// The encoder in whose features the nearest member is found.
    pub encoder: String,
}

/// What makes images without having seen the private ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApiOptions {
    /// The folder of a generator that this program trained, on public images.
    Generator(PathBuf),
    /// A program and its arguments, which answers line by line.
    Command(Vec<String>),
}

impl Default for PrivateEvolutionOptions {
    fn default() -> Self {
        Self {
            api: ApiOptions::Generator(PathBuf::new()),
            population: 6000,
            released: 0,
            degrees: vec![0.8, 0.6, 0.5, 0.4, 0.3],
            lookahead: 4,
            threshold: 2.0,
            encoder: "scattering".to_owned(),
        }
    }
}

/// Private Evolution (Lin, Gopi, Kulkarni, Nori & Yekhanin 2024): nothing is trained. An API that never sees a private image
/// draws a population; every private image votes for the member of its class that is nearest to it in feature space; the
/// noisy histogram of votes decides whose variations are the next population.
///
/// Only the histograms touch private images, and every private image has one vote in each: their ℓ₂ sensitivity is 1
/// when one image is added or removed. After T rounds with noise σ the release is as private as one Gaussian mechanism of
/// noise σ/√T, and σ is calibrated so. The API's own training images are *not* protected.
///
/// The classes of the private images need not be those of the API: every class has a population of its own, which
/// begins anywhere.
///
/// Cost: rounds × population × (1 + lookahead) images drawn and encoded; nearest neighbours of the private images.
#[derive(Clone, Debug)]
pub struct PrivateEvolution {
    options: PrivateEvolutionOptions,
}

impl PrivateEvolution {
    /// The registered name.
    pub const NAME: &'static str = "private-evolution";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: PrivateEvolutionOptions) -> Result<Self> {
        let refused = |reason: String| Err(Error::Options { family: Self::NAME, reason });
        at_least(Self::NAME, "population", options.population, 1)?;
        at_least(Self::NAME, "the number of degrees", options.degrees.len(), 1)?;
        if !(options.threshold.is_finite() && options.threshold >= 0.0) {
            return refused(format!("threshold is {}; it must be a number of at least 0", options.threshold));
        }
        let limit = match &options.api {
            ApiOptions::Generator(folder) if folder.as_os_str().is_empty() => {
                return refused(
                    "api names no generator; give api.generator = FOLDER, or api.command = [PROGRAM, …]".into(),
                );
            }
            ApiOptions::Generator(_) => 1.0,
            ApiOptions::Command(_) => f64::MAX,
        };
        if let Some(degree) = options.degrees.iter().find(|degree| !(0.0..=limit).contains(*degree)) {
            return refused(format!("a degree is {degree}; it must be between 0 and {limit} for this API"));
        }
        // A name that cannot be an encoder is found now and not after the population is drawn.
        if let Err(error) = encoder(&options.encoder) {
            return refused(format!("encoder: {error}"));
        }
        Ok(Self { options })
    }

    fn api(&self, train: &ImageSet, exchange: &std::path::Path, seed: Seed) -> Result<Box<dyn Api>> {
        let seed = seed.derive("api");
        Ok(match &self.options.api {
            ApiOptions::Generator(folder) => Box::new(GeneratorApi::open(folder, train.shape(), seed)?),
            ApiOptions::Command(command) => Box::new(CommandApi::start(command, exchange, train.shape(), seed)?),
        })
    }

    /// The features of every member, or of the mean of its variations.
    fn features(&self, api: &mut dyn Api, population: &Population, degree: f64, run: &Fit<'_>) -> Result<Embedding> {
        let encoder = encoder(&self.options.encoder)?;
        if self.options.lookahead == 0 {
            return Ok(encoder.encode(&population.images, run.progress)?);
        }
        let mut sum: Vec<f64> = Vec::new();
        let mut stamp = None;
        for _ in 0..self.options.lookahead {
            let varied = api.vary(population, degree, run.progress)?;
            let features = encoder.encode(&varied.images, run.progress)?;
            sum.resize(features.values().len(), 0.0);
            sum.iter_mut().zip(features.values()).for_each(|(sum, &value)| *sum += f64::from(value));
            stamp = Some((features.stamp().clone(), features.dimension()));
        }
        let (stamp, dimension) = stamp.expect("there is at least one look ahead");
        let count = self.options.lookahead as f64;
        Ok(Embedding::new(sum.into_iter().map(|sum| (sum / count) as f32).collect(), dimension, stamp)?)
    }
}

impl Generator for PrivateEvolution {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let options = &self.options;
        let protection = run.image_protection(Self::NAME)?.clone();
        run.refuse_public(Self::NAME)?;
        let labels = training_labels(Self::NAME, train)?;
        let classes = labels.classes.len();
        at_least(Self::NAME, "population", options.population, classes)?;
        if options.released != 0 {
            at_least(Self::NAME, "released", options.released, classes)?;
        }
        let budget = protection.target.budget(train.len())?;
        let rounds = options.degrees.len();
        let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, protection.noise);
        let sigma = calibrate::noise_multiplier(budget, 1.0, rounds as u64, &ledger)?;

        let exchange = tempfile::tempdir().map_err(|source| Error::Work {
            action: "making a folder",
            path: std::env::temp_dir(),
            source,
        })?;
        let mut api = self.api(train, exchange.path(), run.seed)?;
        let private = encoder(&options.encoder)?.encode(train, run.progress)?;
        let released = if options.released == 0 { options.population } else { options.released };
        let in_turn = |count: usize| -> Vec<u32> { (0..count).map(|member| (member % classes) as u32).collect() };
        let own = in_turn(options.population);
        let mut population = api.random(options.population, run.progress)?;
        for (round, &degree) in options.degrees.iter().enumerate() {
            let features = self.features(&mut *api, &population, degree, &run)?;
            let mut histogram = votes(&private, labels, &features, &own, classes)?;
            let seed = run.seed.derive(&format!("round {round}"));
            NoiseSource::of(protection.noise, seed.derive("noise"))?.add_gaussian(sigma, &mut histogram)?;
            ledger.record(Event::NoisedHistogram { noise_multiplier: sigma }, 1)?;
            let children = if round + 1 == rounds { released } else { options.population };
            let threshold = options.threshold * sigma;
            let parents = resample(&histogram, (&own, classes), children, threshold, seed.derive("parents"));
            population = api.vary(&population.select(&parents), degree, run.progress)?;
            run.progress.status(&format!("round {} of {rounds}", round + 1));
        }
        let not_covered =
            ["the images that the API was made from", "the number of images", "the choice of hyper-parameters"];
        let not_covered = not_covered.iter().map(|&part| part.to_owned()).collect();
        let guarantee = ledger.guarantee(budget.delta, not_covered)?;
        let labelled = Labels { values: in_turn(released), classes: labels.classes.clone() };
        let images = population.images.with_labels(labelled)?;
        let shape = train.shape();
        let card = Card::private(Self::NAME, train, labels, run.seed, self.options(), shape, guarantee);
        Ok(Box::new(TrainedImages::new(images, card)?))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}

/// The parent of each of a number of children, whose classes are taken in turn as those of the members are: a member of the
/// child's class, drawn with probabilities in proportion to its votes above the threshold. Of a class without any, all
/// members in turn.
fn resample(
    histogram: &[f64],
    (own, classes): (&[u32], usize),
    children: usize,
    threshold: f64,
    seed: Seed,
) -> Vec<usize> {
    let mut rng = seed.rng();
    let mut sums: Vec<Vec<(f64, usize)>> = vec![Vec::new(); classes];
    for (member, (&votes, &class)) in histogram.iter().zip(own).enumerate() {
        let sums = &mut sums[class as usize];
        let weight = (votes - threshold).max(0.0);
        if weight > 0.0 {
            sums.push((sums.last().map_or(0.0, |&(sum, _)| sum) + weight, member));
        }
    }
    // Every class has at least this many members, and a multiple of the number of classes keeps a child's class.
    let whole = own.len() - own.len() % classes;
    let choose = |child: usize| {
        let sums = &sums[child % classes];
        let Some(&(total, last)) = sums.last() else { return child % whole };
        let drawn = rng.random::<f64>() * total;
        sums.get(sums.partition_point(|&(sum, _)| sum <= drawn)).map_or(last, |&(_, member)| member)
    };
    (0..children).map(choose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_replaced_in_proportion_to_votes_within_their_class() {
        let own: Vec<u32> = (0..3000).map(|member| member % 3).collect();
        let mut histogram = vec![1.0; 3000];
        (histogram[0], histogram[3], histogram[1]) = (13.0, 5.0, 7.0);
        let parents = resample(&histogram, (&own, 3), 3000, 3.0, Seed::new(1));
        let count = |parent: usize| parents.iter().filter(|&&found| found == parent).count();
        // 10 to 2: of 1000 draws 833 in the mean, with a standard deviation of 12.
        assert!((count(0) as f64 - 833.3).abs() < 48.0 && count(0) + count(3) == 1000, "{}", count(0));
        assert_eq!(count(1), 1000);
        assert!((0..1000).all(|at| parents[3 * at + 2] == 3 * at + 2), "a class without votes stays as it is");
        // More children than members, of classes in turn.
        let parents = resample(&histogram[..8], (&own[..8], 3), 50, 3.0, Seed::new(1));
        assert!(parents.iter().enumerate().all(|(child, &parent)| parent < 8 && parent % 3 == child % 3));
    }
}
