use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Seed, write_grid};
use standin_nn::{Checkpoints, Every, Module, Watch};

use crate::network::{Network, draw};
use crate::{Balance, Error, Fit, Result, SampleRequest};

/// Where a fit keeps what it needs to continue, and shows what its generator draws on the way.
///
/// `checkpoints/PHASE/` holds the last state of each training the fit consists of, `samples/PHASE-STEP.png` the grids.
#[derive(Clone, Debug)]
pub struct Work {
    folder: PathBuf,
    checkpoint_every: Duration,
    samples_every: Option<usize>,
    configuration: String,
}

impl Work {
    /// In an existing folder, a checkpoint every `checkpoint_every` and after each training, a grid of samples every
    /// `samples_every` steps. `configuration` says all that the fit depends on: a checkpoint of another is refused.
    pub fn new(
        folder: &Path,
        checkpoint_every: Duration,
        samples_every: Option<usize>,
        configuration: impl Into<String>,
    ) -> Self {
        Self { folder: folder.to_path_buf(), checkpoint_every, samples_every, configuration: configuration.into() }
    }

    /// Removes all checkpoints: when the generator is saved, they are of no more use.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn remove_checkpoints(&self) -> Result<()> {
        let path = self.folder.join("checkpoints");
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Work { action: "removing", path, source })
            }
            _ => Ok(()),
        }
    }

    /// A folder within, made if it is not there.
    fn within(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::Work { action: "making the folder", path, source }),
        }
    }
}

impl Fit<'_> {
    /// The checkpoints of one of the trainings this fit consists of, if any are kept. A training that is over is not run
    /// again.
    ///
    /// A training on a noisy release needs [`Fit::once`] for the release: else it would go on after an interruption with
    /// another one, and would have seen two where the guarantee is for one.
    ///
    /// # Errors
    /// If their folder cannot be made.
    pub(crate) fn checkpoints(&self, phase: &str) -> Result<Option<Checkpoints>> {
        let Some(work) = self.work else { return Ok(None) };
        let folder = work.within(&format!("checkpoints/{phase}"))?;
        Ok(Some(Checkpoints::new(&folder, Every::Time(work.checkpoint_every), work.configuration.clone())))
    }

    /// A noisy release of private images, made once however often the fit is interrupted: kept beside the checkpoints, and
    /// read from there when it is there. Without a place to keep anything it is simply made.
    ///
    /// # Errors
    /// As `make`; if what is kept is of another fit; if it cannot be read or written.
    pub(crate) fn once<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        const REMEDY: &str = "delete the folder of checkpoints to start again, or use another folder";
        let Some(work) = self.work else { return make() };
        let path = work.within("checkpoints")?.join(format!("{name}.json"));
        let failed = |action: &'static str| {
            let path = path.clone();
            move |source| Error::Work { action, path, source }
        };
        if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(failed("reading"))?;
            let kept: Kept<T> = serde_json::from_str(&text)
                .map_err(|error| Error::invalid(&path, format!("not readable ({error})"), REMEDY))?;
            if kept.configuration != work.configuration {
                return Err(Error::invalid(&path, "made by another training or from other images", REMEDY));
            }
            return Ok(kept.release);
        }
        let kept = Kept { configuration: work.configuration.clone(), release: make()? };
        let text = serde_json::to_string(&kept)
            .map_err(|error| Error::invalid(&path, format!("not writable as JSON ({error})"), REMEDY))?;
        // Never half-written: a release that was begun again would be another one.
        let whole = path.with_extension("json.new");
        std::fs::write(&whole, text).map_err(failed("writing"))?;
        std::fs::rename(&whole, &path).map_err(failed("writing"))?;
        Ok(kept.release)
    }

    /// Draws samples while a model of type `M` trains, of which `network` is the part that draws; if samples are kept.
    ///
    /// # Errors
    /// If their folder cannot be made.
    pub(crate) fn watch<M, N: Network>(
        &self,
        phase: &str,
        architecture: &N::Architecture,
        network: fn(M) -> N,
    ) -> Result<Option<Samples<M, N>>> {
        let Some((work, every)) = self.work.and_then(|work| Some((work, work.samples_every?))) else { return Ok(None) };
        let (folder, phase) = (work.within("samples")?, phase.to_owned());
        let seed = self.seed.derive("samples on the way");
        Ok(Some(Samples { folder, phase, every, architecture: architecture.clone(), seed, network }))
    }
}

/// What [`Fit::once`] keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<T> {
    configuration: String,
    release: T,
}

/// Draws a grid of samples every so many steps.
pub(crate) struct Samples<M, N: Network> {
    folder: PathBuf,
    phase: String,
    every: usize,
    architecture: N::Architecture,
    seed: Seed,
    network: fn(M) -> N,
}

impl<M, N: Network> fmt::Debug for Samples<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples").field("phase", &self.phase).field("every", &self.every).finish_non_exhaustive()
    }
}

/// Samples of each class in a grid, and most classes shown.
const EACH: usize = 10;
const CLASSES: usize = 10;

impl<M: Module, N: Network> Samples<M, N> {
    fn draw(&self, steps: usize, model: M) -> Result<()> {
        let classes = N::classes(&self.architecture);
        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let shown: Vec<f64> = (0..classes).map(|class| f64::from(u8::from(class < CLASSES))).collect();
        let request = SampleRequest::new(EACH * classes.min(CLASSES)).with_balance(Balance::Uniform);
        let labels = request.labels(&names, &shown)?;
        let images: ImageSet = draw(&(self.network)(model), &self.architecture, &request, &labels, self.seed)?;
        let path = self.folder.join(format!("{}-{steps:06}.png", self.phase));
        // The labels go around the classes, so those of one class are `classes` apart.
        let shown = classes.min(CLASSES);
        let cells: Vec<usize> = (0..shown).flat_map(|class| (0..EACH).map(move |n| n * shown + class)).collect();
        Ok(write_grid(&images, &cells, EACH, &path)?)
    }
}

impl<M: Module, N: Network> Watch<M> for Samples<M, N> {
    fn due(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.every)
    }

    fn look(&mut self, steps: usize, model: M) -> standin_nn::Result<()> {
        self.draw(steps, model).map_err(standin_nn::Error::objective)
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Silent;

    use super::*;

    fn once(work: &Work, value: f64) -> Result<f64> {
        Fit { work: Some(work), ..Fit::new(Seed::new(1), &Silent) }.once("release", || Ok(value))
    }

    #[test]
    fn a_release_is_made_once_and_kept_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let work = |configuration: &str| Work::new(folder.path(), Duration::from_secs(60), None, configuration);
        assert_eq!(once(&work("a"), 0.1 + 0.2).unwrap(), 0.1 + 0.2);
        assert_eq!(once(&work("a"), 7.0).unwrap(), 0.1 + 0.2, "a second release was made");

        let message = once(&work("b"), 7.0).unwrap_err().to_string();
        assert!(message.contains("release.json") && message.contains("another"), "{message}");
        std::fs::write(folder.path().join("checkpoints/release.json"), "{").unwrap();
        assert!(once(&work("a"), 7.0).unwrap_err().to_string().contains("not readable"));
        work("a").remove_checkpoints().unwrap();
        assert_eq!(once(&work("a"), 7.0).unwrap(), 7.0);
    }

    #[test]
    fn without_a_place_everything_is_made_anew() {
        let run = Fit::new(Seed::new(1), &Silent);
        assert_eq!(run.once("release", || Ok(1)).unwrap() + run.once("release", || Ok(2)).unwrap(), 3);
    }
}
