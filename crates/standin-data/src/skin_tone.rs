//! Skin tone where no column tells it: the individual typology angle.

use rayon::prelude::*;

use crate::{Column, Error, ImageSet, Result, Shape};

/// Name of the column of tones, "1" (very light) to "6" (dark).
pub const SKIN_TONE: &str = "skin-tone";

/// Least angles, in degrees, of the tones 1 to 5 (Chardon, Cretois & Hourseau 1991, with the cut between 5 and 6 at 10°, as Kinyanjui et al.
/// 2020 have it).
const CUTS: [f64; 5] = [55.0, 41.0, 28.0, 19.0, 10.0];

/// Beyond this angle light is bluer than skin can be.
const CAST: f64 = 90.0;

/// Share of images beyond [`CAST`] that is warned of.
const WARNED: f64 = 0.05;

/// The skin tone of each image of a set.
///
/// ITA = atan2(L* − 50, b*) · 180 / π of the mean lightness L* and mean yellowness b* (CIE 1976, D65) of the pixels around the centre:
/// outside the ellipse that touches 80 % of each side, where a lesion or a face leaves skin, and without those darker than L* = 20 (the
/// dermoscope's edge, hair). It is a proxy: it measures light, camera and colour balance as much as skin.
#[derive(Clone, Debug, PartialEq)]
pub struct SkinTones {
    /// The angle of each image, in degrees from −90 to 180; none where all its pixels are too dark.
    pub angles: Vec<Option<f64>>,
}

impl SkinTones {
    /// Measures a set.
    ///
    /// # Errors
    /// If the images are grey.
    pub fn of(set: &ImageSet) -> Result<Self> {
        let shape = set.shape();
        if shape.channels != 3 {
            return Err(Error::inconsistent(
                format!("{} has grey images, and a skin tone is a colour", set.describe()),
                "give colour images, or name an attribute column of groups",
            ));
        }
        let around = around_the_centre(shape);
        Ok(Self { angles: (0..set.len()).into_par_iter().map(|image| angle(set.image(image), &around)).collect() })
    }

    /// The tone of each image as an attribute; empty where there is no angle.
    pub fn column(&self) -> Column {
        let tone = |angle: &Option<f64>| angle.map_or_else(String::new, |angle| tone(angle).to_string());
        Column { name: SKIN_TONE.into(), values: self.angles.iter().map(tone).collect() }
    }

    /// The angle of each image as an attribute, in degrees with one decimal; empty where there is none.
    pub fn angle_column(&self) -> Column {
        let text = |angle: &Option<f64>| angle.map_or_else(String::new, |angle| format!("{angle:.1}"));
        Column { name: "ita".into(), values: self.angles.iter().map(text).collect() }
    }

    /// Images bluer than skin can be, so that their angle says more of the light than of the skin.
    pub fn casts(&self) -> usize {
        self.angles.iter().flatten().filter(|&&angle| angle > CAST).count()
    }

    /// What a reader must know, if many images have a colour cast.
    pub fn warning(&self) -> Option<String> {
        let (casts, all) = (self.casts(), self.angles.len().max(1));
        (casts as f64 > WARNED * all as f64).then(|| {
            format!(
                "{casts} of {all} images ({:.0} %) have a colour cast: they are bluer around the centre than skin can be (ITA above 90°), \
                 so that their tone says more of the light than of the skin",
                100.0 * casts as f64 / all as f64
            )
        })
    }
}

/// The tone of an angle, 1 to 6.
fn tone(angle: f64) -> usize {
    1 + CUTS.iter().filter(|&&least| angle <= least).count()
}

/// Positions outside the ellipse that touches 80 % of each side.
fn around_the_centre(Shape { height, width, .. }: Shape) -> Vec<usize> {
    let outside = |&at: &usize| {
        let across = |at: usize, side: usize| ((at as f64 + 0.5) / side as f64 - 0.5) / 0.4;
        across(at / width, height).powi(2) + across(at % width, width).powi(2) > 1.0
    };
    (0..height * width).filter(outside).collect()
}

fn angle(image: &[u8], positions: &[usize]) -> Option<f64> {
    let area = image.len() / 3;
    let (mut lightness, mut yellowness, mut count) = (0.0, 0.0, 0.0);
    for &at in positions {
        let (l, b) = lightness_and_yellowness([image[at], image[area + at], image[2 * area + at]]);
        if l >= 20.0 {
            lightness += l;
            yellowness += b;
            count += 1.0;
        }
    }
    (count > 0.0).then(|| (lightness / count - 50.0).atan2(yellowness / count).to_degrees())
}

/// L* and b* of an sRGB colour (IEC 61966-2-1; CIE 1976 with the white of D65).
fn lightness_and_yellowness(colour: [u8; 3]) -> (f64, f64) {
    let [r, g, b] = colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let y = 0.212_639 * r + 0.715_169 * g + 0.072_192 * b;
    let z = (0.019_331 * r + 0.119_195 * g + 0.950_532 * b) / 1.089_058;
    let f =
        |t: f64| if t > (6.0f64 / 29.0).powi(3) { t.cbrt() } else { t * (29.0f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0 };
    (116.0 * f(y) - 16.0, 200.0 * (f(y) - f(z)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `skimage.color.rgb2lab` of scikit-image 0.26.
    #[test]
    fn colours_equal_scikit_image() {
        for (colour, lightness, yellowness) in SKIMAGE {
            let (l, b) = lightness_and_yellowness(colour);
            assert!((l - lightness).abs() < 0.02 && (b - yellowness).abs() < 0.02, "{l} {b} for {colour:?}");
        }
    }

    const SKIMAGE: [([u8; 3], f64, f64); 6] = [
        ([240, 210, 195], 86.2859, 11.2803),
        ([160, 110, 75], 50.8449, 27.4117),
        ([75, 45, 35], 21.9238, 12.2154),
        ([200, 205, 250], 83.3596, -22.5979),
        ([10, 3, 7], 1.3098, -0.8686),
        ([255, 255, 255], 100.0, 0.0047),
    ];

    fn images(colours: &[[u8; 3]]) -> ImageSet {
        let shape = Shape { channels: 3, height: 8, width: 10 };
        // The centre is of another colour, which must not count.
        let around = around_the_centre(shape);
        let image = |colour: &[u8; 3]| {
            let mut image = vec![90; shape.volume()];
            for (channel, &value) in colour.iter().enumerate() {
                around.iter().for_each(|&at| image[channel * 80 + at] = value);
            }
            image
        };
        ImageSet::new(shape, colours.iter().flat_map(image).collect()).unwrap()
    }

    #[test]
    fn light_skin_is_1_dark_skin_is_6_and_the_centre_does_not_count() {
        let tones = SkinTones::of(&images(&[[240, 210, 195], [160, 110, 75], [75, 45, 35], [0, 0, 0]])).unwrap();
        let values = tones.column().values;
        assert_eq!([&values[0], &values[2], &values[3]], ["1", "6", ""]);
        assert!(["4", "5", "6"].contains(&values[1].as_str()), "{values:?}");
        assert!(tones.angles[0] > tones.angles[1] && tones.angles[1] > tones.angles[2], "{:?}", tones.angles);
        assert!(tones.warning().is_none());
    }

    #[test]
    fn cuts_are_the_published_ones() {
        assert_eq!([55.1, 55.0, 41.1, 41.0, 28.1, 28.0, 19.0, 10.0, -30.0].map(tone), [1, 2, 2, 3, 3, 4, 5, 6, 6]);
    }

    #[test]
    fn blue_light_is_warned_of_and_grey_images_are_refused() {
        let tones = SkinTones::of(&images(&[[200, 205, 250]; 3])).unwrap();
        assert_eq!(tones.casts(), 3);
        assert!(tones.warning().unwrap().contains("100 %"));
        let grey = ImageSet::new(Shape { channels: 1, height: 2, width: 2 }, vec![0; 4]).unwrap();
        assert!(SkinTones::of(&grey).unwrap_err().to_string().contains("colour"));
    }
}
