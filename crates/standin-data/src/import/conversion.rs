use image::GrayImage;
use image::imageops::{self, FilterType};

use super::picture::Picture;
use super::{Alpha, Channels, ImportOptions, Size, Window};
use crate::Shape;

/// The changes to every image that were asked for.
pub(super) struct Conversion {
    resize: Option<Size>,
    channels: Channels,
    alpha: Alpha,
    window: Option<Window>,
}

/// What was changed in how many images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Images whose alpha channel was opaque and is gone.
    pub opaque: usize,
    /// Images whose transparent pixels were decided about.
    pub transparent: usize,
    /// Images a window was applied to.
    pub windowed: usize,
    /// Images with values outside the window.
    pub clamped_images: usize,
    /// Values outside the window.
    pub clamped_values: usize,
}

impl Tally {
    pub fn count(&mut self, picture: &Picture) {
        self.opaque += usize::from(picture.alpha == Some(false));
        self.transparent += usize::from(picture.alpha == Some(true));
        if let Some(outside) = picture.outside {
            self.windowed += 1;
            self.clamped_images += usize::from(outside > 0);
            self.clamped_values += outside;
        }
    }

    /// What happened that nobody asked for.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.opaque > 0 {
            notes.push(format!(
                "{} images had an alpha channel that was opaque everywhere; it was dropped",
                self.opaque
            ));
        }
        if self.clamped_values > 0 {
            notes.push(format!(
                "{} values in {} images lie outside the window and became 0 or 255",
                self.clamped_values, self.clamped_images
            ));
        }
        notes
    }
}

impl Conversion {
    pub fn of(options: &ImportOptions) -> Self {
        Self { resize: options.resize, channels: options.channels, alpha: options.alpha, window: options.window }
    }

    /// What was done, for provenance; nothing if images stayed as they were.
    pub fn describe(&self, tally: &Tally) -> Option<String> {
        let mut steps = Vec::new();
        if let Some(window) = self.window.filter(|_| tally.windowed > 0) {
            let clamped = match tally.clamped_values {
                0 => "none".to_owned(),
                values => format!("{values} values in {} images", tally.clamped_images),
            };
            steps.push(format!("window {window} to 0–255 (clamped: {clamped})"));
        }
        if tally.transparent > 0 {
            let how = match self.alpha {
                Alpha::White => "laid on white",
                Alpha::Black => "laid on black",
                Alpha::Drop | Alpha::Refuse => "without their alpha channel",
            };
            steps.push(format!("{} transparent images {how}", tally.transparent));
        }
        if tally.opaque > 0 {
            steps.push(format!("opaque alpha channel of {} images dropped", tally.opaque));
        }
        match self.channels {
            Channels::Keep => {}
            Channels::Grey => steps.push("converted to grey (BT.601)".to_owned()),
            Channels::Colour => steps.push("grey repeated as colour".to_owned()),
        }
        if let Some(size) = self.resize {
            steps.push(format!("resized to {size} (antialiased bilinear)"));
        }
        (!steps.is_empty()).then(|| steps.join(", "))
    }

    /// Whether images in 8 bits stay as they are.
    pub fn is_none(&self) -> bool {
        self.resize.is_none() && self.channels == Channels::Keep
    }

    /// The shape of an image of `shape` afterwards.
    pub fn target(&self, shape: Shape) -> Shape {
        let channels = match self.channels {
            Channels::Keep => shape.channels,
            Channels::Grey => 1,
            Channels::Colour => 3,
        };
        let Size { height, width } = self.resize.unwrap_or(Size { height: shape.height, width: shape.width });
        Shape { channels, height, width }
    }

    /// The channels, then the scale, of an image's planes.
    pub fn apply(&self, shape: Shape, values: Vec<u8>) -> Vec<u8> {
        let target = self.target(shape);
        let values = match (shape.channels, target.channels) {
            (3, 1) => grey(&values),
            (1, 3) => values.repeat(3),
            _ => values,
        };
        if (shape.height, shape.width) == (target.height, target.width) {
            return values;
        }
        values
            .chunks_exact(shape.height * shape.width)
            .flat_map(|plane| {
                let plane = GrayImage::from_raw(shape.width as u32, shape.height as u32, plane.to_vec())
                    .expect("a plane has height × width values");
                imageops::resize(&plane, target.width as u32, target.height as u32, FilterType::Triangle).into_raw()
            })
            .collect()
    }
}

fn grey(planes: &[u8]) -> Vec<u8> {
    let n = planes.len() / 3;
    let (red, rest) = planes.split_at(n);
    let (green, blue) = rest.split_at(n);
    red.iter()
        .zip(green)
        .zip(blue)
        .map(|((&r, &g), &b)| {
            ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + (1 << 15)) >> 16) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(size: Size, shape: Shape, values: Vec<u8>) -> Vec<u8> {
        let options = ImportOptions { resize: Some(size), ..ImportOptions::default() };
        Conversion::of(&options).apply(shape, values)
    }

    #[test]
    fn grey_is_bt_601_luma() {
        // Pillow: Image.new("RGB", (1, 1), c).convert("L") for these five colours.
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 100, 200]];
        let planes: Vec<u8> = (0..3).flat_map(|channel| colours.map(|colour: [u8; 3]| colour[channel])).collect();
        assert_eq!(grey(&planes), [76, 150, 29, 255, 84]);
    }

    #[test]
    fn shrinking_averages_instead_of_picking() {
        let shape = Shape { channels: 1, height: 8, width: 8 };
        let stripes: Vec<u8> = (0..64).map(|i| if i % 2 == 0 { 0 } else { 255 }).collect();
        let small = resized(Size { height: 2, width: 2 }, shape, stripes);
        assert_eq!(small.len(), 4);
        assert!(small.iter().all(|value| (110..=145).contains(value)), "{small:?}");
    }

    #[test]
    fn resizing_agrees_with_pillow_within_one() {
        // Pillow 13.0: Image.fromarray(a).resize((4, 3), Image.BILINEAR), which rounds between its two passes.
        const PILLOW: [u8; 12] = [111, 115, 114, 130, 116, 129, 130, 124, 125, 149, 150, 142];
        let (height, width) = (9, 11);
        let values = (0..height * width)
            .map(|at| (at / width, at % width))
            .map(|(row, column)| ((row * 37 + column * 91 + row * column * 5) % 256) as u8)
            .collect();
        let shape = Shape { channels: 1, height, width };
        let resized = resized(Size { height: 3, width: 4 }, shape, values);
        assert!(resized.iter().zip(PILLOW).all(|(a, b)| a.abs_diff(b) <= 1), "{resized:?}");
    }

    #[test]
    fn resizing_keeps_a_constant_image() {
        let shape = Shape { channels: 3, height: 5, width: 7 };
        let values = [10, 20, 30].iter().flat_map(|&value| [value; 35]).collect();
        let resized = resized(Size { height: 3, width: 9 }, shape, values);
        assert_eq!(resized, [10, 20, 30].iter().flat_map(|&value| [value; 27]).collect::<Vec<u8>>());
    }
}
