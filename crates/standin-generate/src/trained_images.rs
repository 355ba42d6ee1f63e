use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Progress, Seed, Shape};
use standin_privacy::Guarantee;

use crate::network::Card;
use crate::{Control, Description, Error, Result, SampleRequest, Trained};

/// The description, beside the folder that holds the set.
const CARD: &str = "images.toml";
const IMAGES: &str = "images";

const FORMAT: &str = "standin images 1";
const REMEDY: &str = "it must be as this program saved it; train again or restore the file";

/// What a method gives that makes images themselves and no network: a fixed labelled set, drawn from.
///
/// The images of a class are drawn without replacement, in an order that the seed decides. A request for more than there
/// are begins again, in another order, with each image moved by one pixel in one of the eight directions (border pixels
/// are repeated), so that a large sample is no plain repetition. Image i depends on the seed, its class, and how many of
/// its class come before it.
#[derive(Debug)]
pub(crate) struct TrainedImages {
    images: ImageSet,
    labels: Labels,
    card: Card<Shape>,
}

/// The file [`CARD`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    /// [`ImageSet::digest`], in hexadecimal.
    digest: String,
    card: Card<Shape>,
}

impl TrainedImages {
    /// `images` are labelled; the shares of the classes become those in the set, whatever the card says.
    ///
    /// # Errors
    /// If the set has no labels, or no image.
    pub(crate) fn new(images: ImageSet, card: Card<Shape>) -> Result<Self> {
        let labels = images.require_labels("a trained set of images")?.clone();
        if images.is_empty() {
            return Err(Error::request("there is no trained image", "train on more images or with other options"));
        }
        let share = |count: usize| count as f64 / labels.values.len() as f64;
        let shares = labels.counts().into_iter().map(share).collect();
        Ok(Self { card: card.with_shares(shares), images, labels })
    }

    /// Reads what [`Trained::save`] wrote.
    pub(crate) fn load(folder: &Path) -> Result<Box<dyn Trained>> {
        let (path, written) = read(folder)?;
        let images = ImageSet::open(&folder.join(IMAGES))?;
        if images.digest().to_hex().as_str() != written.digest {
            return Err(Error::invalid(&folder.join(IMAGES), "its digest is not the one saved beside it", REMEDY));
        }
        let trained = Self::new(images, written.card)?;
        if trained.labels.classes != trained.card.class_names || trained.images.shape() != trained.card.architecture {
            return Err(Error::invalid(&path, "its shape or classes are not those of the images beside it", REMEDY));
        }
        Ok(Box::new(trained))
    }

    /// Which image of the set each drawn image is, and in which round its class is then.
    fn places(&self, labels: &[u32], seed: Seed) -> Vec<(usize, usize)> {
        let members = self.labels.by_class();
        let mut drawn = vec![0; members.len()];
        let mut orders: Vec<Vec<usize>> = vec![Vec::new(); members.len()];
        let place = |&label: &u32| {
            let class = label as usize;
            let of_class = &members[class];
            let (round, at) = (drawn[class] / of_class.len(), drawn[class] % of_class.len());
            if at == 0 {
                orders[class] = of_class.clone();
                orders[class].shuffle(&mut seed.derive(&format!("class {class} round {round}")).rng());
            }
            drawn[class] += 1;
            (orders[class][at], round)
        };
        labels.iter().map(place).collect()
    }
}

fn read(folder: &Path) -> Result<(PathBuf, Written)> {
    let path = folder.join(CARD);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Work {
        action: "reading",
        path: path.clone(),
        source,
    })?;
    let written: Written =
        toml::from_str(&text).map_err(|error| Error::invalid(&path, error.message().to_owned(), REMEDY))?;
    if written.format != FORMAT {
        let found = format!("format \"{}\" where \"{FORMAT}\" belongs", written.format);
        return Err(Error::invalid(&path, found, REMEDY));
    }
    Ok((path, written))
}

/// The registered name of the method whose images were saved in `folder`; none if no images were.
pub(crate) fn family_of(folder: &Path) -> Option<Result<String>> {
    folder.join(CARD).exists().then(|| read(folder).map(|(_, written)| written.card.family))
}

/// The eight directions of one pixel.
const DIRECTIONS: [(isize, isize); 8] = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)];

/// The image moved down and right by `by`, the pixels that come in from outside being those of the border.
fn moved(image: &[u8], Shape { height, width, .. }: Shape, by: (isize, isize)) -> Vec<u8> {
    let source = |at: usize, by: isize, size: usize| (at as isize - by).clamp(0, size as isize - 1) as usize;
    let pixel = |plane: &[u8], row: usize, column: usize| {
        plane[source(row, by.0, height) * width + source(column, by.1, width)]
    };
    let planes = image.chunks_exact(height * width);
    planes.flat_map(|plane| (0..height * width).map(move |at| pixel(plane, at / width, at % width))).collect()
}

impl Trained for TrainedImages {
    fn sample(&self, request: &SampleRequest, seed: Seed, progress: &dyn Progress) -> Result<ImageSet> {
        request.check_for(&self.card.family, self.controls())?;
        let labels = request.labels(&self.card.class_names, &self.card.shares)?;
        let places = self.places(&labels, seed.derive("order"));
        let shape = self.images.shape();
        let directions = seed.derive("directions");
        let mut pixels = vec![0; labels.len() * shape.volume()];
        progress.begin("sampling", labels.len() as u64);
        pixels.par_chunks_exact_mut(shape.volume()).zip(places).enumerate().for_each(|(index, (into, (at, round)))| {
            let image = self.images.image(at);
            if round == 0 {
                into.copy_from_slice(image);
            } else {
                let mut rng = directions.rng();
                rng.set_stream(index as u64);
                into.copy_from_slice(&moved(image, shape, DIRECTIONS[rng.random_range(0..DIRECTIONS.len())]));
            }
        });
        progress.advance(labels.len() as u64);
        progress.end();
        let labels = Labels { values: labels, classes: self.card.class_names.clone() };
        let provenance = self.card.provenance(&request.words(), seed);
        Ok(ImageSet::new(shape, pixels)?.with_labels(labels)?.with_provenance(provenance))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.images.save(&folder.join(IMAGES))?;
        let digest = self.images.digest().to_hex().to_string();
        let written = Written { format: FORMAT.to_owned(), digest, card: self.card.clone() };
        let path = folder.join(CARD);
        let text = toml::to_string(&written)
            .map_err(|error| Error::invalid(&path, format!("not writable as TOML ({error})"), "rename the classes"))?;
        std::fs::write(&path, text).map_err(|source| Error::Work { action: "writing", path, source })
    }

    fn guarantee(&self) -> Option<&Guarantee> {
        self.card.guarantee.as_ref()
    }

    fn description(&self) -> Description<'_> {
        self.card.description(self.images.shape())
    }

    fn controls(&self) -> &'static [Control] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Silent, digits};

    use super::*;
    use crate::Balance;

    fn trained() -> TrainedImages {
        let digits = digits();
        let first: Vec<usize> = (0..200).collect();
        let images = digits.select(&first);
        let labels = images.labels().unwrap().clone();
        let shape = images.shape();
        let card = Card::new("vae", &images, &labels, Seed::new(3), toml::Table::new(), shape);
        TrainedImages::new(images, card).unwrap()
    }

    fn draw(trained: &dyn Trained, request: &SampleRequest, seed: u64) -> ImageSet {
        trained.sample(request, Seed::new(seed), &Silent).unwrap()
    }

    #[test]
    fn every_image_is_drawn_once_before_any_is_drawn_again() {
        let trained = trained();
        let sample = draw(&trained, &SampleRequest::new(200), 1);
        let sorted = |set: &ImageSet| {
            let labels = &set.labels().unwrap().values;
            let mut images: Vec<_> = (0..set.len()).map(|index| (labels[index], set.image(index).to_vec())).collect();
            images.sort();
            images
        };
        assert_eq!(sorted(&sample), sorted(&trained.images));
    }

    #[test]
    fn repetitions_are_moved_by_one_pixel() {
        let trained = trained();
        let sample = draw(&trained, &SampleRequest::new(400), 1);
        let known: Vec<&[u8]> = (0..200).map(|index| trained.images.image(index)).collect();
        let same = |range: std::ops::Range<usize>| range.filter(|&index| known.contains(&sample.image(index))).count();
        assert_eq!(same(0..200), 200);
        assert_eq!(same(200..400), 0);
        let shape = trained.images.shape();
        let near = |index: usize| {
            known.iter().any(|image| DIRECTIONS.iter().any(|&by| moved(image, shape, by) == sample.image(index)))
        };
        assert!((200..400).all(near));
    }

    #[test]
    fn a_move_shifts_rows_and_columns_and_repeats_the_border() {
        let shape = Shape { channels: 1, height: 2, width: 3 };
        assert_eq!(moved(&[1, 2, 3, 4, 5, 6], shape, (1, 0)), [1, 2, 3, 1, 2, 3]);
        assert_eq!(moved(&[1, 2, 3, 4, 5, 6], shape, (0, -1)), [2, 3, 3, 5, 6, 6]);
    }

    #[test]
    fn a_small_request_gives_the_first_images_of_a_large_one_and_seeds_differ() {
        let trained = trained();
        let small = draw(&trained, &SampleRequest::new(50), 1);
        let large = draw(&trained, &SampleRequest::new(300), 1);
        assert_eq!(small.pixels(), &large.pixels()[..small.pixels().len()]);
        assert_ne!(small.pixels(), draw(&trained, &SampleRequest::new(50), 2).pixels());
    }

    #[test]
    fn what_was_saved_is_loaded_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let trained = trained();
        trained.save(folder.path()).unwrap();
        assert_eq!(family_of(folder.path()).unwrap().unwrap(), "vae");
        let loaded = TrainedImages::load(folder.path()).unwrap();
        let request = SampleRequest::new(30).with_balance(Balance::Uniform);
        assert_eq!(draw(&*loaded, &request, 4).pixels(), draw(&trained, &request, 4).pixels());
        assert!(loaded.sample(&request.clone().with_temperature(0.5), Seed::new(1), &Silent).is_err());

        let path = folder.path().join(IMAGES).join("images.npy");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(TrainedImages::load(folder.path()).unwrap_err().to_string().contains("digest"));
        std::fs::write(folder.path().join(CARD), "format = 3").unwrap();
        assert!(TrainedImages::load(folder.path()).unwrap_err().to_string().contains(CARD));
    }
}
