//! The images an augmentation study names, read.

use std::path::Path;

use standin_data::{Error, ImageSet, Progress, SKIN_TONE, SkinTones, Source};

use super::configuration::{AugmentationData, AugmentationStudy, Sides};

/// The images of an augmentation study.
#[derive(Clone, Debug)]
pub struct AugmentationImages {
    /// The images to divide, or to train on where the test images are a part of their own.
    pub images: ImageSet,
    /// The test images, where they are.
    pub test: Option<ImageSet>,
    /// Public images.
    pub public: Option<ImageSet>,
    /// What a reader must know of how groups were told.
    pub warnings: Vec<String>,
}

impl AugmentationStudy {
    /// Reads the images the study names. `cache` keeps downloaded files.
    ///
    /// # Errors
    /// If they cannot be found, downloaded or read, or a skin tone cannot be measured.
    pub fn import(&self, cache: &Path, progress: &dyn Progress) -> Result<AugmentationImages, Error> {
        let AugmentationData { source, import, from, test, .. } = &self.data;
        let parts = Source::parse(source)?.parts(import, from.as_deref(), cache, progress)?;
        let mut warnings = Vec::new();
        let mut toned = |set: &ImageSet| self.with_tones(set, &mut warnings);
        let (images, test) = match test {
            Sides::Part(name) => {
                let test = parts.get(name)?.clone();
                let mut rest: Option<ImageSet> = None;
                for (other, set) in parts.iter().filter(|(other, _)| other != name) {
                    rest = Some(match rest {
                        None => set.clone(),
                        Some(before) => before.concat(set).map_err(|error| {
                            Error::inconsistent(
                                format!("the part \"{other}\" does not fit the others: {error}"),
                                "name one part as data.source",
                            )
                        })?,
                    });
                }
                let rest = rest.ok_or_else(|| {
                    Error::inconsistent(format!("the part \"{name}\" is all there is"), "give a share as data.test")
                })?;
                (toned(&rest)?, Some(toned(&test)?))
            }
            Sides::Share(_) => {
                let mut all: Option<ImageSet> = None;
                for (_, set) in parts.iter() {
                    all = Some(match all {
                        None => set.clone(),
                        Some(before) => before.concat(set)?,
                    });
                }
                let all =
                    all.ok_or_else(|| Error::inconsistent(format!("{source} has no image"), "give a set with images"))?;
                (toned(&all)?, None)
            }
        };
        let public = match &self.generator.public {
            None => None,
            Some(source) => Some(toned(&Source::parse(source)?.images(import, cache, progress)?)?),
        };
        Ok(AugmentationImages { images, test, public, warnings })
    }

    /// The same images with their skin tone as a column, where the study asks for it and they have none.
    fn with_tones(&self, set: &ImageSet, warnings: &mut Vec<String>) -> Result<ImageSet, Error> {
        if self.data.group != SKIN_TONE || set.column(SKIN_TONE).is_some() {
            return Ok(set.clone());
        }
        let tones = SkinTones::of(set)?;
        warnings.extend(tones.warning().map(|warning| format!("{}: {warning}", set.describe())));
        set.clone().with_column(tones.column())
    }
}
