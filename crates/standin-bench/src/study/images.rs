//! The images a study names, read.

use std::path::Path;

use standin_data::{Error, ImageSet, Labels, Parts, Progress, Shape, Source};

use super::configuration::{Data, Side, Study};

/// The images of a study.
#[derive(Clone, Debug)]
pub struct StudyImages {
    /// The real images, with the sides that have a source of their own as parts.
    pub real: Parts,
    /// The study's data, with these sides named as the parts they have become.
    pub data: Data,
    /// Synthetic images made by other tools, in the order of the study.
    pub given: Vec<ImageSet>,
    /// The public images of each generator, in the order of the study.
    pub public: Vec<Option<ImageSet>>,
    /// The images from elsewhere that are canaries, for each kind of canary in the order of the study.
    pub foreign: Vec<Option<ImageSet>>,
}

impl Study {
    /// Reads the images the study names. `cache` keeps downloaded files.
    ///
    /// # Errors
    /// If they cannot be found, downloaded or read, or do not fit together: shapes that differ, classes that the real
    /// images do not have.
    pub fn import(&self, cache: &Path, progress: &dyn Progress) -> Result<StudyImages, Error> {
        let options = &self.data.import;
        let mut data = self.data.clone();
        let source = Source::parse(&data.source)?;
        let parts = source.parts(options, data.from.as_deref(), cache, progress)?;
        let mut sides: Vec<(String, ImageSet)> =
            parts.iter().map(|(name, set)| (name.to_owned(), set.clone())).collect();
        for (name, side) in [("holdout", &mut data.holdout), ("test", &mut data.test)] {
            let Side::Source { source } = side else { continue };
            // A part of the same name would otherwise be trained on.
            sides.retain(|(part, _)| part != name);
            sides.push((name.to_owned(), Source::parse(source)?.images(options, cache, progress)?));
            *side = Side::Part(name.to_owned());
        }
        let real = match sides.as_mut_slice() {
            [(_, only)] => Parts::undivided(only.clone()),
            _ => {
                for (name, _) in sides.iter_mut().filter(|(name, _)| name.is_empty()) {
                    "train".clone_into(name);
                }
                Parts::divided(sides)?
            }
        };
        let named = |name: &str| {
            [&data.holdout, &data.test].iter().any(|side| matches!(side, Side::Part(part) if part == name))
        };
        let divided = real.iter().filter(|(name, _)| !named(name)).map(|(_, set)| set.len()).sum();
        data.count_of(divided);
        let given = self
            .images
            .iter()
            .map(|images| {
                let options = images.import.as_ref().unwrap_or(options);
                let set = Source::parse(&images.source)?.images(options, cache, progress)?;
                fitting(set, &images.name, &real, !self.classifiers.is_empty())
            })
            .collect::<Result<_, _>>()?;
        let alike = |what: &str, source: &Option<String>| -> Result<Option<ImageSet>, Error> {
            let Some(source) = source else { return Ok(None) };
            Ok(Some(in_shape(what, Source::parse(source)?.images(options, cache, progress)?, &real)?))
        };
        let public = self.generators.iter().map(|generator| alike("public images", &generator.public));
        let public = public.collect::<Result<_, _>>()?;
        let foreign = self.canaries.iter().map(|canaries| alike("canaries", &canaries.source));
        let foreign = foreign.collect::<Result<_, _>>()?;
        Ok(StudyImages { real, data, given, public, foreign })
    }
}

/// Given images in the shape and among the classes of the real ones; without labels if those have none, or if no
/// classifier will look at them and the classes are others.
fn fitting(set: ImageSet, name: &str, real: &Parts, classified: bool) -> Result<ImageSet, Error> {
    let first = real.iter().map(|(_, set)| set).next();
    let Some(first) = first else { return Ok(set) };
    let (found, expected) = (set.shape(), first.shape());
    if found != expected {
        return Err(Error::inconsistent(
            format!("the synthetic images {name} ({}) are of {found}, the real ones of {expected}", set.describe()),
            remedy(found, expected),
        ));
    }
    match (set.labels(), first.labels()) {
        (None, _) => Ok(set),
        (Some(_), None) => Ok(set.without_labels()),
        (Some(labels), Some(real)) => match Labels::among(labels, &real.classes) {
            Ok(labels) => set.with_labels(labels),
            Err(_) if !classified => Ok(set.without_labels()),
            Err(error) => Err(Error::inconsistent(
                format!(
                    "the synthetic images {name} ({}) have other classes than the real ones: {error}",
                    set.describe()
                ),
                "name the classes alike, take other labels with --label, or train no classifier (--no-utility)",
            )),
        },
    }
}

/// Images in the shape of the real ones; their classes may be others.
fn in_shape(what: &str, set: ImageSet, real: &Parts) -> Result<ImageSet, Error> {
    match real.iter().map(|(_, set)| set.shape()).find(|&shape| shape != set.shape()) {
        None => Ok(set),
        Some(expected) => Err(Error::inconsistent(
            format!("the {what} {} are of {}, the real ones of {expected}", set.describe(), set.shape()),
            remedy(set.shape(), expected),
        )),
    }
}

/// What makes two shapes one.
fn remedy(found: Shape, expected: Shape) -> String {
    let mut options = Vec::new();
    if (found.height, found.width) != (expected.height, expected.width) {
        options.push(format!("--resize {}x{}", expected.height.min(found.height), expected.width.min(found.width)));
    }
    if found.channels != expected.channels {
        options.push(if expected.channels == 1 { "--grey" } else { "--colour" }.to_owned());
    }
    format!(
        "all sets need one shape: {} (or the same in the study's [data] import) converts them, real and synthetic alike",
        options.join(" ")
    )
}
