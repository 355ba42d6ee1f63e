//! Faces brought into the place that recognisers expect, by five landmarks.

use rayon::prelude::*;

use crate::{Error, ImageSet, Result, Shape};

/// Columns with the landmarks of a face: where eyes, nose and corners of the mouth are, in pixels from the left and from the top,
/// 0 in the middle of the first pixel. Left and right are those of the picture.
pub const LANDMARK_COLUMNS: [[&str; 2]; 5] = [
    ["left_eye_x", "left_eye_y"],
    ["right_eye_x", "right_eye_y"],
    ["nose_x", "nose_y"],
    ["mouth_left_x", "mouth_left_y"],
    ["mouth_right_x", "mouth_right_y"],
];

/// Where recognisers of the ArcFace kind expect them in an image of 112×112 (the positions of InsightFace, which those networks
/// were trained on).
const TEMPLATE: [[f64; 2]; 5] =
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

/// Side of the template's image.
const SIDE: usize = 112;

/// A rotation with a scale and a shift: x' = a·x − b·y + c, y' = b·x + a·y + d.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Similarity {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
}

/// Faces of 112×112 pixels with eyes, nose and mouth where recognisers expect them; none if the set has no
/// [`LANDMARK_COLUMNS`].
///
/// Each image is turned, scaled and shifted so that its landmarks come as near as possible to the expected ones in the least squares
/// (Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991), and read off bilinearly;
/// beyond its edge it is black. Labels and columns are kept.
///
/// # Errors
/// If only some of the columns are there, a value is no number, or the landmarks of an image lie on one point.
pub fn align_faces(set: &ImageSet) -> Result<Option<ImageSet>> {
    let names = LANDMARK_COLUMNS.as_flattened();
    let missing: Vec<&str> = names.iter().copied().filter(|name| set.column(name).is_none()).collect();
    if missing.len() == names.len() {
        return Ok(None);
    }
    if !missing.is_empty() {
        return Err(Error::inconsistent(
            format!("{} has some columns of landmarks and lacks {}", set.describe(), missing.join(", ")),
            "give all ten, or remove them if the faces are aligned",
        ));
    }
    let coordinate = |name: &str, image: usize| -> Result<f64> {
        let text = set.column(name).map_or("", |column| &column.values[image]);
        text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
            Error::inconsistent(
                format!("image {image} of {} has {name} = \"{text}\"", set.describe()),
                "a position in pixels was expected: correct it, or leave that image out",
            )
        })
    };
    let shape = Shape { height: SIDE, width: SIDE, ..set.shape() };
    let aligned = (0..set.len())
        .into_par_iter()
        .map(|image| {
            let mut landmarks = [[0.0; 2]; 5];
            for (landmark, [x, y]) in landmarks.iter_mut().zip(LANDMARK_COLUMNS) {
                *landmark = [coordinate(x, image)?, coordinate(y, image)?];
            }
            // From the place in the aligned image to that in the given one, so that every pixel is read off once.
            let back =
                Similarity::between(&TEMPLATE, &landmarks).filter(|_| !on_one_point(&landmarks)).ok_or_else(|| {
                    Error::inconsistent(
                        format!("the landmarks of image {image} of {} lie on one point", set.describe()),
                        "correct them, or leave that image out",
                    )
                })?;
            Ok(read_off(set.image(image), set.shape(), back))
        })
        .collect::<Result<Vec<Vec<u8>>>>()?;
    let mut faces = ImageSet::new(shape, aligned.concat())?;
    if let Some(labels) = set.labels() {
        faces = faces.with_labels(labels.clone())?;
    }
    for column in set.columns() {
        faces = faces.with_column(column.clone())?;
    }
    Ok(Some(faces.with_provenance(set.provenance().clone())))
}

fn on_one_point(points: &[[f64; 2]; 5]) -> bool {
    points.iter().all(|point| point == &points[0])
}

impl Similarity {
    /// The one that brings points nearest to others, in closed form; none if the points are all one.
    fn between(from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> Option<Self> {
        let centre =
            |points: &[[f64; 2]; 5]| [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / 5.0);
        let (p, q) = (centre(from), centre(to));
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let ([x, y], [u, v]) = ([from[0] - p[0], from[1] - p[1]], [to[0] - q[0], to[1] - q[1]]);
            along += x * u + y * v;
            across += x * v - y * u;
            spread += x * x + y * y;
        }
        if spread == 0.0 {
            return None;
        }
        let (a, b) = (along / spread, across / spread);
        Some(Self { a, b, c: q[0] - a * p[0] + b * p[1], d: q[1] - b * p[0] - a * p[1] })
    }

    fn apply(self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.a * x - self.b * y + self.c, self.b * x + self.a * y + self.d]
    }
}

/// The aligned image, each pixel read at its place in the given one.
fn read_off(image: &[u8], shape: Shape, back: Similarity) -> Vec<u8> {
    let (height, width) = (shape.height, shape.width);
    let mut aligned = vec![0; shape.channels * SIDE * SIDE];
    for (from, to) in image.chunks_exact(height * width).zip(aligned.chunks_exact_mut(SIDE * SIDE)) {
        let at = |x: f64, y: f64| -> f64 {
            let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
            if inside { f64::from(from[y as usize * width + x as usize]) } else { 0.0 }
        };
        for (place, value) in to.iter_mut().enumerate() {
            let [x, y] = back.apply([(place % SIDE) as f64, (place / SIDE) as f64]);
            let (left, top) = (x.floor(), y.floor());
            let (right, below) = (x - left, y - top);
            let upper = at(left, top) * (1.0 - right) + at(left + 1.0, top) * right;
            let lower = at(left, top + 1.0) * (1.0 - right) + at(left + 1.0, top + 1.0) * right;
            *value = (upper * (1.0 - below) + lower * below).round() as u8;
        }
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Column;

    fn with_landmarks(set: ImageSet, landmarks: &[[f64; 2]; 5]) -> ImageSet {
        let images = set.len();
        let columns = LANDMARK_COLUMNS.as_flattened().iter().zip(landmarks.as_flattened());
        columns.fold(set, |set, (name, value)| {
            set.with_column(Column { name: (*name).into(), values: vec![value.to_string(); images] }).unwrap()
        })
    }

    fn gradient(side: usize) -> ImageSet {
        let pixels = (0..side * side).map(|at| (at % side + at / side) as u8).collect();
        ImageSet::new(Shape { channels: 1, height: side, width: side }, pixels).unwrap()
    }

    #[test]
    fn a_similarity_is_found_again() {
        let known = Similarity { a: 0.8, b: -0.3, c: 12.0, d: -5.0 };
        let found = Similarity::between(&TEMPLATE, &TEMPLATE.map(|point| known.apply(point))).unwrap();
        for (found, known) in [(found.a, known.a), (found.b, known.b), (found.c, known.c), (found.d, known.d)] {
            assert!((found - known).abs() < 1e-12);
        }
        // With noise it is the best in the least squares: no small change is better.
        let noisy = [[1.0, 2.0], [9.0, 1.0], [5.5, 6.0], [2.0, 9.5], [8.0, 10.0]];
        let best = Similarity::between(&TEMPLATE, &noisy).unwrap();
        let error = |similarity: Similarity| -> f64 {
            let apart = |(from, to): (&[f64; 2], &[f64; 2])| {
                let [x, y] = similarity.apply(*from);
                (x - to[0]).powi(2) + (y - to[1]).powi(2)
            };
            TEMPLATE.iter().zip(&noisy).map(apart).sum()
        };
        for change in [-1e-3, 1e-3] {
            assert!(error(Similarity { a: best.a + change, ..best }) > error(best));
            assert!(error(Similarity { b: best.b + change, ..best }) > error(best));
            assert!(error(Similarity { c: best.c + change, ..best }) > error(best));
            assert!(error(Similarity { d: best.d + change, ..best }) > error(best));
        }
    }

    /// `skimage.transform.SimilarityTransform` between the same points, scikit-image 0.26.
    #[test]
    fn the_similarity_equals_scikit_image() {
        let noisy = [[1.0, 2.0], [9.0, 1.0], [5.5, 6.0], [2.0, 9.5], [8.0, 10.0]];
        let found = Similarity::between(&TEMPLATE, &noisy).unwrap();
        let expected =
            [0.208_784_180_862_829_5, -0.002_631_382_471_165_858, -6.786_574_374_644_978, -9.164_319_200_347_784];
        for (found, expected) in [found.a, found.b, found.c, found.d].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
    }

    #[test]
    fn faces_in_place_stay_and_others_are_brought_there() {
        let aligned = align_faces(&with_landmarks(gradient(112), &TEMPLATE)).unwrap().unwrap();
        assert_eq!(aligned.image(0), gradient(112).image(0));
        // Twice the size and shifted by 10 and 20: the pixel (x, y) is read at (2x + 10, 2y + 20).
        let moved = TEMPLATE.map(|[x, y]| [2.0 * x + 10.0, 2.0 * y + 20.0]);
        let wide = Shape { channels: 1, height: 300, width: 300 };
        let pixels: Vec<u8> = (0..300 * 300).map(|at| (at % 300 / 2 + at / 300 / 3) as u8).collect();
        let aligned =
            align_faces(&with_landmarks(ImageSet::new(wide, pixels.clone()).unwrap(), &moved)).unwrap().unwrap();
        assert_eq!(aligned.shape(), Shape { channels: 1, height: 112, width: 112 });
        for (x, y) in [(0, 0), (50, 7), (111, 111)] {
            assert_eq!(aligned.image(0)[y * 112 + x], pixels[(2 * y + 20) * 300 + 2 * x + 10]);
        }
    }

    #[test]
    fn what_lies_beyond_the_picture_is_black() {
        let moved = TEMPLATE.map(|[x, y]| [x - 40.0, y]);
        let bright = ImageSet::new(Shape { channels: 1, height: 112, width: 112 }, vec![200; 112 * 112]).unwrap();
        let aligned = align_faces(&with_landmarks(bright, &moved)).unwrap().unwrap();
        assert_eq!((aligned.image(0)[0], aligned.image(0)[60]), (0, 200));
    }

    #[test]
    fn sets_without_landmarks_are_left_and_broken_ones_named() {
        assert!(align_faces(&gradient(8)).unwrap().is_none());
        let one = gradient(8).with_column(Column { name: "nose_x".into(), values: vec!["4".into()] }).unwrap();
        assert!(align_faces(&one).unwrap_err().to_string().contains("lacks left_eye_x"));
        let equal = align_faces(&with_landmarks(gradient(8), &[[3.0, 3.0]; 5])).unwrap_err().to_string();
        assert!(equal.contains("lie on one point"), "{equal}");
        let nan = align_faces(&with_landmarks(gradient(8), &[[f64::NAN; 2]; 5])).unwrap_err().to_string();
        assert!(nan.contains("left_eye_x = \"NaN\""), "{nan}");
    }
}
