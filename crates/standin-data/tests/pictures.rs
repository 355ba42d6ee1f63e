//! Picture files of every kind: what is taken as it is, what needs a decision, and what is refused.

use std::fs;
use std::io::Write;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, RgbaImage};
use standin_data::{Alpha, Channels, ImageSet, ImportOptions, Silent, Size, Window, import};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn taken(path: &Path, options: &ImportOptions) -> ImageSet {
    import(path, options, &Silent).unwrap().only().unwrap().clone()
}

fn refusal(path: &Path, options: &ImportOptions) -> String {
    import(path, options, &Silent).unwrap_err().to_string()
}

fn window(low: f64, high: f64) -> ImportOptions {
    ImportOptions { window: Some(Window::new(low, high).unwrap()), ..ImportOptions::default() }
}

fn deep_grey(values: &[u16]) -> ImageBuffer<Luma<u16>, Vec<u16>> {
    ImageBuffer::from_vec(values.len() as u32, 1, values.to_vec()).unwrap()
}

#[test]
fn grey_is_the_same_from_every_lossless_form() {
    let root = folder();
    let picture = GrayImage::from_fn(5, 2, |x, y| Luma([(x * 50 + y * 3) as u8]));
    for ending in ["png", "bmp", "tiff", "pgm"] {
        picture.save(root.path().join(format!("a.{ending}"))).unwrap();
    }
    fs::write(root.path().join("ascii.pgm"), "P2 # a comment\n5 2 255\n0 50 100 150 200\n3 53 103 153 203\n").unwrap();
    let set = taken(root.path(), &ImportOptions { channels: Channels::Grey, ..ImportOptions::default() });
    assert_eq!(set.len(), 5);
    for index in 0..set.len() {
        assert_eq!(set.image(index), picture.as_raw(), "{}", set.column("file_name").unwrap().values[index]);
    }
}

#[test]
fn lossy_forms_come_near_the_picture() {
    let root = folder();
    let picture = RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 8) as u8 + 60, (y * 8) as u8 + 60, 128]));
    let mut jpeg = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 95)).unwrap();
    fs::write(root.path().join("a.jpeg"), jpeg).unwrap();
    let set = taken(root.path(), &ImportOptions::default());
    for (channel, plane) in set.image(0).chunks_exact(256).enumerate() {
        let worst = plane.iter().zip(picture.pixels()).map(|(&value, pixel)| value.abs_diff(pixel[channel])).max();
        assert!(worst.unwrap() <= 8, "{worst:?}");
    }
}

#[test]
fn sixteen_bits_are_refused_with_the_range_that_was_found() {
    let root = folder();
    deep_grey(&[12, 4000]).save(root.path().join("a.png")).unwrap();
    deep_grey(&[7, 3071]).save(root.path().join("b.tiff")).unwrap();
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("a.png: 16 bits per value"), "{message}");
    assert!(message.contains("values from 7 to 4000"), "{message}");
    assert!(message.contains("--window LOW,HIGH, such as 0,4095 for 12 bits in use"), "{message}");
}

#[test]
fn a_window_maps_every_deep_form_alike_and_counts_what_it_clamps() {
    let root = folder();
    let values = [0, 100, 101, 2147, 4000, 4095];
    deep_grey(&values).save(root.path().join("a.png")).unwrap();
    deep_grey(&values).save(root.path().join("b.tiff")).unwrap();
    // Twelve bits are the file's own maximum here; the window still means the values that are stored.
    let mut pgm = fs::File::create(root.path().join("c.pgm")).unwrap();
    pgm.write_all(b"P5\n6 1\n4095\n").unwrap();
    pgm.write_all(&values.map(u16::to_be_bytes).concat()).unwrap();
    let set = taken(root.path(), &window(100.0, 4000.0));
    for index in 0..3 {
        assert_eq!(set.image(index), [0, 0, 0, 134, 255, 255], "{index}");
    }
    let format = &set.provenance().format;
    assert!(format.contains("window 100,4000 to 0–255 (clamped: 6 values in 3 images)"), "{format}");
    let whole = taken(root.path(), &window(0.0, 65535.0));
    assert!(whole.provenance().format.contains("clamped: none"), "{}", whole.provenance().format);
}

#[test]
fn deep_colour_and_alpha_go_through_the_window_too() {
    let root = folder();
    let picture = ImageBuffer::<image::Rgba<u16>, _>::from_vec(1, 1, vec![0, 500, 1000, 65535]).unwrap();
    picture.save(root.path().join("a.png")).unwrap();
    let set = taken(root.path(), &window(0.0, 1000.0));
    assert_eq!((set.shape().channels, set.pixels()), (3, [0, 128, 255].as_slice()));
    let half = ImageBuffer::<image::Rgba<u16>, _>::from_vec(1, 1, vec![0, 500, 1000, 32768]).unwrap();
    half.save(root.path().join("a.png")).unwrap();
    assert!(refusal(root.path(), &window(0.0, 1000.0)).contains("1 transparent pixels"));
}

#[test]
fn a_window_for_pictures_of_eight_bits_is_refused() {
    let root = folder();
    GrayImage::from_pixel(2, 2, Luma([9])).save(root.path().join("a.png")).unwrap();
    let message = refusal(root.path(), &window(0.0, 4095.0));
    assert!(message.contains("a.png: 8 bits per value") && message.contains("leave --window out"), "{message}");
}

#[test]
fn transparency_is_refused_until_decided() {
    let root = folder();
    RgbaImage::from_pixel(1, 1, image::Rgba([200, 100, 0, 51])).save(root.path().join("a.png")).unwrap();
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("a.png: 1 transparent pixels") && message.contains("--alpha white"), "{message}");
    let read = |alpha| taken(root.path(), &ImportOptions { alpha, ..ImportOptions::default() });
    assert_eq!(read(Alpha::Black).pixels(), [40, 20, 0]);
    assert_eq!(read(Alpha::White).pixels(), [244, 224, 204]);
    assert_eq!(read(Alpha::Drop).pixels(), [200, 100, 0]);
    assert!(read(Alpha::White).provenance().format.contains("1 transparent images laid on white"));
}

#[test]
fn an_opaque_alpha_channel_is_dropped_and_said() {
    let root = folder();
    for ending in ["png", "webp", "tiff"] {
        RgbaImage::from_pixel(2, 1, image::Rgba([1, 2, 3, 255])).save(root.path().join(format!("a.{ending}"))).unwrap();
    }
    let set = taken(root.path(), &ImportOptions::default());
    assert_eq!(set.image(2), [1, 1, 2, 2, 3, 3]);
    let format = &set.provenance().format;
    assert!(format.contains("opaque alpha channel of 3 images dropped"), "{format}");
    let grey = folder();
    GrayAlphaImage::from_pixel(1, 1, LumaA([9, 255])).save(grey.path().join("a.png")).unwrap();
    assert_eq!(taken(grey.path(), &ImportOptions::default()).pixels(), [9]);
}

/// A TIFF of one-pixel pages.
fn pages(count: u32) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let mut bytes = b"II\x2A\0\x0A\0\0\0\x50\x50".to_vec();
    for page in 1..=count {
        let tags = [
            (256, 4, 1),
            (257, 4, 1),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, 8),
            (277, 3, 1),
            (278, 4, 1),
            (279, 4, 1),
        ];
        bytes.extend((tags.len() as u16).to_le_bytes());
        bytes.extend(tags.iter().flat_map(|&(tag, kind, value)| entry(tag, kind, value)));
        let next = if page < count { bytes.len() as u32 + 4 } else { 0 };
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

#[test]
fn files_of_several_pages_or_frames_are_refused() {
    let root = folder();
    fs::write(root.path().join("a.tif"), pages(1)).unwrap();
    assert_eq!(taken(root.path(), &ImportOptions::default()).pixels(), [0x50]);
    fs::write(root.path().join("a.tif"), pages(3)).unwrap();
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("a.tif: a TIFF of 3 pages") && message.contains("files of their own"), "{message}");
    let skipping = ImportOptions { skip_unreadable: true, ..ImportOptions::default() };
    assert!(refusal(root.path(), &skipping).contains("a TIFF of 3 pages"), "a choice of page is nothing to skip");
}

#[test]
fn the_error_about_mixed_shapes_counts_them() {
    let root = folder();
    let save = |name: &str, width, height| {
        GrayImage::new(width, height).save(root.path().join(name)).unwrap();
    };
    save("a.png", 4, 3);
    for index in 0..300 {
        save(&format!("b{index:03}.png"), 5, 3);
    }
    for width in 10..15 {
        save(&format!("c{width}.png"), width, 3);
    }
    RgbImage::new(5, 3).save(root.path().join("d.png")).unwrap();
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("307 images of 8 shapes"), "{message}");
    assert!(message.contains("1×3×5 (300 images such as b000.png), 1×3×4 (a.png)"), "{message}");
    assert!(message.contains("3 more") && message.contains("--resize 3x5") && message.contains("--grey"), "{message}");
    let resize = ImportOptions { resize: Some(Size { height: 3, width: 5 }), ..ImportOptions::default() };
    let message = refusal(root.path(), &resize);
    assert!(message.contains("306 images such as") && !message.contains("--resize"), "{message}");
}
