//! Networks from ONNX files: small ones written for each rule and refusal, and published ones against ONNX Runtime.

use std::fs;
use std::path::{Path, PathBuf};

use standin_data::{ImageSet, Shape, Silent};
use standin_encode::{Embedding, Encoder, Lpips, encoder};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder with one of the small networks and settings.
fn network(name: &str, settings: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    fs::copy(fixture(&format!("networks/{name}.onnx")), &path).unwrap();
    if !settings.is_empty() {
        fs::write(path.with_extension("toml"), settings).unwrap();
    }
    let name = format!("onnx:{}", path.display());
    (folder, name)
}

fn opened(name: &str, settings: &str) -> Box<dyn Encoder> {
    let (_folder, name) = network(name, settings);
    encoder(&name).unwrap()
}

fn refused(name: &str, settings: &str) -> String {
    let (_folder, name) = network(name, settings);
    encoder(&name).err().unwrap().to_string()
}

fn encode(name: &str, settings: &str, images: &ImageSet) -> Embedding {
    opened(name, settings).encode(images, &Silent).unwrap()
}

/// Two images whose channels are constant: 10, 20, 30 and 110, 120, 130.
fn constant(channels: usize, side: usize) -> ImageSet {
    let plane = |value| std::iter::repeat_n(value, side * side);
    let pixels = [0, 100].into_iter().flat_map(|first| (1..=channels as u8).map(move |at| first + 10 * at));
    ImageSet::new(Shape { channels, height: side, width: side }, pixels.flat_map(plane).collect()).unwrap()
}

/// The images of `fields.py`.
fn fields(number: usize, shape: Shape, first: usize) -> ImageSet {
    let Shape { channels, height, width } = shape;
    let mut pixels = Vec::with_capacity(number * shape.volume());
    for image in first..first + number {
        for channel in 0..channels {
            let across = (image * 7 + channel * 5) % 11 + 1;
            let down = (image * 5 + channel * 3) % 13 + 1;
            let phase = image * 37 + channel * 91;
            let waves = (0..height * width).map(|at| (across * (at % width) + down * (at / width) + phase) % 510);
            pixels.extend(waves.map(|wave| if wave < 256 { wave as u8 } else { (510 - wave) as u8 }));
        }
    }
    ImageSet::new(shape, pixels).unwrap()
}

/// The published networks, or nothing and a line that says so.
fn weights(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("STANDIN_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = data.join("weights").join(name);
    if !path.exists() {
        println!("skipped: {} is not there; STANDIN_TEST_DATA names the folder of test data", path.display());
        return None;
    }
    Some(path)
}

/// The parts of features.f32: Inception on colour and on grey, ArcFace, LPIPS.
fn reference() -> [Vec<f32>; 4] {
    let bytes = fs::read(fixture("features.f32")).unwrap();
    let mut values = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    [192, 192, 192, 3].map(|count| values.by_ref().take(count).collect())
}

/// The largest difference of two lists, against the largest value.
fn relative_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    largest(&mut ours.iter().zip(theirs).map(|(a, b)| (a - b).abs())) / largest(&mut theirs.iter().map(|b| b.abs()))
}

fn every(step: usize, embedding: &Embedding) -> Vec<f32> {
    (0..embedding.rows()).flat_map(|row| embedding.row(row).iter().step_by(step)).copied().collect()
}

#[test]
fn pixels_become_the_values_the_settings_ask_for() {
    let images = constant(3, 4);
    let features = |network, settings| encode(network, settings, &images).row(0).to_vec();
    assert_eq!(features("means", "range = [0.0, 255.0]"), [10.0, 20.0, 30.0]);
    assert_eq!(features("means", "range = [0.0, 255.0]\nchannels = \"bgr\""), [30.0, 20.0, 10.0]);
    assert_eq!(features("means_last", "range = [0.0, 255.0]"), [10.0, 20.0, 30.0]);
    let settings = "divide_by = 10.0\nmean = [1.0, 1.0, 4.0]\nstandard_deviation = [1.0, 2.0, 4.0]";
    assert_eq!(features("means", settings), [0.0, 0.5, -0.25]);
    let signed = features("means", "range = [-1.0, 1.0]");
    assert!(signed.iter().zip([10.0, 20.0, 30.0]).all(|(a, pixel)| (a - (pixel / 127.5 - 1.0)).abs() < 1e-6));
}

#[test]
fn grey_is_repeated_and_said_so() {
    let images = constant(1, 4);
    let embedding = encode("means", "range = [0.0, 255.0]", &images);
    assert_eq!(embedding.row(1), [110.0; 3]);
    assert!(embedding.stamp().preprocessing.starts_with("grey repeated as colour, "), "{}", embedding.stamp());
    assert_eq!(encode("mean_grey", "range = [0.0, 255.0]", &images).row(0), [10.0]);
}

#[test]
fn colour_becomes_luma_only_when_asked() {
    let images = constant(3, 4);
    let embedding = encode("mean_grey", "range = [0.0, 255.0]\nchannels = \"grey\"", &images);
    assert_eq!(embedding.row(0), [18.0]);
    assert!(embedding.stamp().preprocessing.starts_with("luma (BT.601), "), "{}", embedding.stamp());
    let error = opened("mean_grey", "range = [0.0, 255.0]").encode(&images, &Silent).unwrap_err().to_string();
    assert!(error.contains("the images are 3×4×4") && error.contains("write `channels = \"grey\"` in"), "{error}");
}

#[test]
fn outputs_are_pooled_as_asked() {
    let images = fields(2, Shape { channels: 3, height: 4, width: 4 }, 0);
    let features = |settings: &str| encode("maps", &format!("range = [0.0, 255.0]\n{settings}"), &images);
    let pixels: Vec<f32> = images.image(1).iter().map(|&pixel| f32::from(pixel)).collect();
    let means: Vec<f32> = pixels.chunks(16).map(|plane| plane.iter().sum::<f32>() / 16.0).collect();
    assert_eq!(features("output = \"map\"\npooling = \"flatten\"").row(1), pixels);
    assert_eq!(features("output = \"map\"\npooling = \"mean\"").row(1), means);
    assert_eq!(features("output = \"tokens\"\npooling = \"mean\"").row(1), means);
    let first = features("output = \"tokens\"\npooling = \"first-token\"");
    assert_eq!(first.row(1), [pixels[0], pixels[16], pixels[32]]);
    let unit = features("output = \"tokens\"\npooling = \"first-token\"\nnormalise = true");
    assert!((unit.row(1).iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-6);
    assert!(unit.require_same_protocol(&first).is_err());
}

#[test]
fn an_output_that_is_no_vector_needs_a_pooling() {
    let images = constant(3, 4);
    let settings = "range = [0.0, 1.0]\noutput = \"tokens\"";
    let error = opened("maps", settings).encode(&images, &Silent).unwrap_err().to_string();
    assert!(
        error.contains("the output `tokens` is 1 × 16 × 3 for one image; write `pooling = \"flatten\"`"),
        "{error}"
    );
    let error = refused("maps", "range = [0.0, 1.0]");
    assert!(error.contains("the outputs `map`, `tokens`; write `output = \"NAME\"` in"), "{error}");
    let error = refused("maps", "range = [0.0, 1.0]\noutput = \"tokes\"");
    assert!(error.contains("there is no output `tokes`; the network has the outputs `map`, `tokens`"), "{error}");
    let error = opened("one_for_all", "range = [0.0, 1.0]").encode(&images, &Silent).unwrap_err().to_string();
    assert!(error.contains("the output `features` is 3 × 4 × 4 for one image"), "{error}");
}

#[test]
fn networks_that_do_not_fit_are_refused_with_what_was_found_and_the_remedy() {
    let range = "range = [0.0, 1.0]";
    for (name, settings, words) in [
        ("means", "", ["nothing says which range of values the network expects", "#PRESET` or write `preset = "]),
        ("means_any_size", range, ["no size for the input `image`, which is any × 3 × any × any", "write the rows"]),
        ("means", "range = [0.0, 1.0]\nsize = \"8x8\"", ["the size 8x8 for the input `image`", "any × 3 × 4 × 4"]),
        (
            "means",
            "range = [0.0, 1.0]\nchannels = \"grey\"",
            ["channels in the order grey for the input `image`", "with 3 channels"],
        ),
        ("means", "divide_by = 255.0\nmean = [0.5]", ["`mean = [0.5]` where 3 finite values were expected", "PRESET"]),
        ("means", "divide_by = 0.0", ["`divide_by = [0.0, 0.0, 0.0]` where 3 positive", "PRESET"]),
        ("four_channels", range, ["any × 4 × 8 × 8, which does not tell the channels", "write `layout = "]),
        ("batch_of_8", range, ["the input `image` is 8 × 3 × 4 × 4", "a free number of images, or 1"]),
        ("vector", range, ["the input `image` is any × 12", "images × channels × rows × columns"]),
        ("two_inputs", range, ["the network has 2 inputs: `image`, `text`", "export the image part alone"]),
        ("bytes", range, ["the input `image` is a tensor(u8)", "float inputs"]),
        ("unknown_operator", range, ["Frobnicate", "is not supported"]),
    ] {
        let error = refused(name, settings);
        assert!(error.contains("a.onnx: ") && words.iter().all(|words| error.contains(words)), "{name}: {error}");
    }
}

#[test]
fn a_free_size_is_set_by_the_settings() {
    let images = constant(3, 6);
    let embedding = encode("means_any_size", "range = [0.0, 255.0]\nsize = \"5x3\"\nresize = \"bilinear\"", &images);
    assert!(relative_difference(embedding.row(0), &[10.0, 20.0, 30.0]) < 1e-6);
    assert!(embedding.stamp().preprocessing.contains("antialiased bilinear to 5x3"), "{}", embedding.stamp());
}

#[test]
fn features_that_are_not_finite_are_refused() {
    let encoder = opened("not_finite", "range = [-1.0, 1.0]");
    let error = encoder.encode(&constant(3, 4), &Silent).unwrap_err().to_string();
    assert!(error.contains("onnx:a.onnx") && error.contains("row 0, column 0 is NaN"), "{error}");
}

#[test]
fn files_that_are_no_networks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("networks/means.onnx")).unwrap();
    for (name, bytes) in [("text.onnx", &b"no network"[..]), ("empty.onnx", b""), ("cut.onnx", &whole[..60])] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = encoder(&format!("onnx:{}#imagenet", path.display())).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("; "), "{error}");
    }
    let error = encoder("onnx:absent.onnx").err().unwrap().to_string();
    assert!(error.contains("absent.onnx: reading failed") && error.contains("check the spelling"), "{error}");
    let error = encoder("onnx:absent.onnx#fid").err().unwrap().to_string();
    assert!(error.contains("there is no preset `fid`; known are `fid-inception`"), "{error}");
    for incomplete in ["onnx", "onnx:"] {
        assert!(encoder(incomplete).err().unwrap().to_string().contains("did you mean `onnx:FILE`?"));
    }
}

#[test]
fn the_digest_tells_weights_and_preparation_apart() {
    let digest = |name, settings| opened(name, settings).weights().unwrap();
    let plain = digest("means", "range = [0.0, 1.0]");
    assert_eq!(plain, digest("means", "range = [0.0, 1.0]"));
    assert_ne!(plain, digest("means", "range = [-1.0, 1.0]"));
    assert_ne!(plain, digest("means_last", "range = [0.0, 1.0]"));
}

#[test]
fn features_do_not_depend_on_the_number_of_threads_nor_on_company() {
    let images = fields(9, Shape { channels: 3, height: 5, width: 7 }, 0);
    let network = opened("means", "range = [0.0, 1.0]");
    let all = network.encode(&images, &Silent).unwrap();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for threads in [1, 3] {
        assert_eq!(pool(threads).install(|| network.encode(&images, &Silent)).unwrap(), all);
    }
    assert_eq!(network.encode(&images.select(&[4]), &Silent).unwrap().row(0), all.row(4));
}

#[test]
fn inception_agrees_with_onnx_runtime() {
    let Some(path) = weights("fid-inception-2015.onnx") else { return };
    let network = encoder(&format!("onnx:{}#fid-inception", path.display())).unwrap();
    let [colour, grey, ..] = reference();
    for (shape, reference) in
        [(Shape { channels: 3, height: 40, width: 48 }, colour), (Shape { channels: 1, height: 28, width: 28 }, grey)]
    {
        let embedding = network.encode(&fields(3, shape, 0), &Silent).unwrap();
        assert_eq!(embedding.dimension(), 2048);
        let worst = relative_difference(&every(32, &embedding), &reference);
        assert!(worst < 2e-5, "{shape}: {worst}");
    }
}

#[test]
fn arcface_agrees_with_onnx_runtime() {
    let Some(path) = weights("arcface-mobilefacenet.onnx") else { return };
    let network = encoder(&format!("onnx:{}#arcface", path.display())).unwrap();
    let shape = Shape { channels: 3, height: 112, width: 112 };
    let embedding = network.encode(&fields(3, shape, 0), &Silent).unwrap();
    let worst = relative_difference(&every(8, &embedding), &reference()[2]);
    assert!(worst < 2e-5, "{worst}");
}

#[test]
fn lpips_agrees_with_onnx_runtime_and_is_0_for_equal_images() {
    let Some(path) = weights("lpips-alexnet.onnx") else { return };
    let lpips = Lpips::open(&path).unwrap();
    let shape = Shape { channels: 3, height: 64, width: 72 };
    let (left, right) = (fields(3, shape, 0), fields(3, shape, 3));
    let worst = relative_difference(&lpips.distances(&left, &right, &Silent).unwrap(), &reference()[3]);
    assert!(worst < 2e-5, "{worst}");
    assert_eq!(lpips.distances(&left, &left, &Silent).unwrap(), [0.0; 3]);
    let error = lpips.distances(&left, &fields(2, shape, 0), &Silent).unwrap_err().to_string();
    assert!(error.contains("3 images of 3×64×72 and 2 of 3×64×72"), "{error}");
}

#[test]
fn lpips_needs_two_inputs() {
    let error = Lpips::open(&fixture("networks/means.onnx")).err().unwrap().to_string();
    assert!(error.contains("means.onnx: the network has 1 inputs; two inputs"), "{error}");
}
