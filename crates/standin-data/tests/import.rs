//! Every form is read from real files; every refusal names the file and the remedy.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use image::{GrayImage, Rgb, RgbImage};
use standin_data::{
    Channels, ExportFormat, Format, ImageSet, ImportOptions, Labels, Parts, Shape, Silent, Size, digits, export, import,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn read(path: &Path) -> Parts {
    import(path, &ImportOptions::default(), &Silent).unwrap()
}

fn refusal(path: &Path, options: &ImportOptions) -> String {
    import(path, options, &Silent).unwrap_err().to_string()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn grey(value: u8, width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| image::Luma([value.wrapping_add((x + 10 * y) as u8)]))
}

fn save_grey(path: &Path, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    grey(value, 4, 3).save(path).unwrap();
}

/// Two classes with three pictures in lossless formats, and a text file.
fn class_folders(root: &Path) {
    save_grey(&root.join("cat/2.png"), 20);
    save_grey(&root.join("cat/1.tiff"), 10);
    save_grey(&root.join("dog/deeper/a.pgm"), 30);
    fs::write(root.join("dog/notes.txt"), "no picture").unwrap();
}

#[test]
fn class_folders_give_labels_and_list_what_is_no_picture() {
    let root = folder();
    class_folders(root.path());
    let parts = read(root.path());
    let set = parts.only().unwrap();
    assert_eq!(set.shape(), Shape { channels: 1, height: 3, width: 4 });
    assert_eq!(set.labels().unwrap().classes, ["cat", "dog"]);
    assert_eq!(set.labels().unwrap().values, [0, 0, 1]);
    assert_eq!(set.column("file_name").unwrap().values, ["cat/1.tiff", "cat/2.png", "dog/deeper/a.pgm"]);
    assert_eq!(set.image(1), grey(20, 4, 3).as_raw());
    assert_eq!(set.provenance().skipped.len(), 1);
    assert_eq!(set.provenance().skipped[0].item, "dog/notes.txt");
}

#[test]
fn every_picture_format_gives_the_same_pixels() {
    let root = folder();
    let picture = RgbImage::from_fn(5, 2, |x, y| Rgb([(x * 50) as u8, (y * 100) as u8, 7]));
    for ending in ["png", "webp", "bmp", "tiff", "ppm"] {
        picture.save(root.path().join(format!("a.{ending}"))).unwrap();
    }
    let set = read(root.path()).only().unwrap().clone();
    assert_eq!((set.len(), set.shape()), (5, Shape { channels: 3, height: 2, width: 5 }));
    let expected: Vec<u8> = (0..3).flat_map(|channel| picture.pixels().map(move |pixel| pixel[channel])).collect();
    for index in 0..set.len() {
        assert_eq!(set.image(index), expected, "{}", set.column("file_name").unwrap().values[index]);
    }
}

#[test]
fn part_folders_become_parts_with_the_same_classes() {
    let root = folder();
    save_grey(&root.path().join("test/b/x.png"), 1);
    save_grey(&root.path().join("test/c/x.png"), 2);
    save_grey(&root.path().join("train/a/x.png"), 3);
    save_grey(&root.path().join("train/b/x.png"), 4);
    let parts = read(root.path());
    assert_eq!(parts.names().collect::<Vec<_>>(), ["train", "test"]);
    assert_eq!(parts.get("train").unwrap().labels().unwrap().values, [0, 1]);
    assert_eq!(parts.get("test").unwrap().labels().unwrap().values, [1, 2]);
}

#[test]
fn metadata_gives_labels_and_attributes() {
    for (file, text) in [
        ("metadata.csv", "file_name,label,patient\nb.png,sick,p2\npictures/a.png,well,p1\n"),
        (
            "metadata.jsonl",
            "{\"file_name\": \"b.png\", \"label\": \"sick\", \"patient\": \"p2\"}\n\n\
             {\"file_name\": \"pictures/a.png\", \"label\": \"well\", \"patient\": \"p1\"}\n",
        ),
    ] {
        let root = folder();
        save_grey(&root.path().join("pictures/a.png"), 1);
        save_grey(&root.path().join("b.png"), 2);
        save_grey(&root.path().join("unlisted.png"), 3);
        fs::write(root.path().join(file), text).unwrap();
        let set = read(root.path()).only().unwrap().clone();
        assert_eq!(set.labels().unwrap().names().collect::<Vec<_>>(), ["sick", "well"]);
        assert_eq!(set.column("patient").unwrap().values, ["p2", "p1"]);
        assert_eq!(set.image(0), grey(2, 4, 3).as_raw());
        assert_eq!(set.provenance().skipped.len(), 1, "{:?}", set.provenance().skipped);
        assert_eq!(set.provenance().skipped[0].reason, "not in the metadata");

        let by_patient = ImportOptions { label: Some("patient".into()), ..ImportOptions::default() };
        let set = import(root.path(), &by_patient, &Silent).unwrap().only().unwrap().clone();
        assert_eq!(set.labels().unwrap().classes, ["p1", "p2"]);
        assert_eq!(set.column("label").unwrap().values, ["sick", "well"]);
        let misspelt = ImportOptions { label: Some("pateint".into()), ..ImportOptions::default() };
        assert!(refusal(root.path(), &misspelt).contains("did you mean \"patient\""));
    }
}

#[test]
fn metadata_faults_name_the_line() {
    let root = folder();
    save_grey(&root.path().join("a.png"), 1);
    let write = |text: &str| fs::write(root.path().join("metadata.csv"), text).unwrap();
    let none = ImportOptions::default();
    write("file_name,label\na.png,x\ngone.png,y\n");
    let message = refusal(root.path(), &none);
    assert!(message.contains("picture 2 is \"gone.png\""), "{message}");
    let skipping = ImportOptions { skip_unreadable: true, ..ImportOptions::default() };
    assert_eq!(import(root.path(), &skipping, &Silent).unwrap().only().unwrap().len(), 1);
    write("path,label\na.png,x\n");
    assert!(refusal(root.path(), &none).contains("no column \"file_name\" among path, label"));
    write("file_name,label\na.png,x\na.png,y\n");
    assert!(refusal(root.path(), &none).contains("listed twice"));
    write("file_name,label\na.png\n");
    assert!(refusal(root.path(), &none).contains("metadata.csv"));
    write("file_name,label\na.png,\n");
    assert!(refusal(root.path(), &none).contains("empty for image 0"));
    fs::write(root.path().join("metadata.jsonl"), "{}").unwrap();
    assert!(refusal(root.path(), &none).contains("keep one of them"));
}

#[test]
fn medmnist_arrays_from_numpy_keep_their_division() {
    let parts = read(&fixture("medmnist.npz"));
    assert_eq!(parts.names().collect::<Vec<_>>(), ["train", "validation", "test"]);
    let train = parts.get("train").unwrap();
    assert_eq!((train.len(), train.shape()), (6, Shape { channels: 3, height: 5, width: 4 }));
    let expected = |i: usize| -> Vec<u8> {
        (0..3)
            .flat_map(move |channel| {
                (0..5).flat_map(move |row| {
                    (0..4).map(move |column| ((i * 31 + row * 7 + column * 3 + channel * 50) % 256) as u8)
                })
            })
            .collect()
    };
    assert_eq!(train.image(5), expected(5));
    assert_eq!(parts.get("test").unwrap().labels().unwrap().values, [2, 1, 0]);
    // The validation part lacks class 2, and still counts it.
    assert_eq!(parts.get("validation").unwrap().labels().unwrap().classes, ["0", "1", "2"]);
}

#[test]
fn dpimagebench_floats_become_the_bytes_they_were() {
    let parts = read(&fixture("dpimagebench.npz"));
    let set = parts.only().unwrap();
    assert_eq!((set.len(), set.shape()), (4, Shape { channels: 1, height: 6, width: 6 }));
    for i in 0..4 {
        let expected: Vec<u8> = (0..36).map(|at| ((i * 31 + at / 6 * 7 + at % 6 * 3) % 256) as u8).collect();
        assert_eq!(set.image(i), expected);
    }
    assert_eq!(set.labels().unwrap().classes, ["0", "1", "10"]);
}

fn write_npz(path: &Path, arrays: &[(&str, &str, &[u64], Vec<u8>)]) {
    use npyz::WriterBuilder;
    let mut zip = npyz::zip::ZipWriter::new(File::create(path).unwrap());
    for (name, dtype, shape, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), Default::default()).unwrap();
        npyz::WriteOptions::new_header_only()
            .dtype(npyz::DType::Plain(dtype.parse().unwrap()))
            .shape(shape)
            .writer(&mut zip)
            .write_header_only()
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn array_faults_name_the_image_and_the_remedy() {
    let root = folder();
    let path = root.path().join("a.npz");
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let message = |arrays: &[(&str, &str, &[u64], Vec<u8>)]| {
        write_npz(&path, arrays);
        refusal(&path, &ImportOptions::default())
    };
    let nan = message(&[("x", "<f4", &[2, 1, 1, 2], floats(&[0.0, 1.0, 0.5, f32::NAN]))]);
    assert!(nan.contains("x holds NaN in image 1"), "{nan}");
    let range = message(&[("x", "<f4", &[2, 1, 1, 1], floats(&[-1.0, 1.0]))]);
    assert!(range.contains("x holds -1 in image 0") && range.contains("rescale"), "{range}");
    let kind = message(&[("x", "<i4", &[1, 1, 1, 1], vec![0; 4])]);
    assert!(kind.contains("uint8, or float32"), "{kind}");
    let flat = message(&[("x", "|u1", &[2, 784], vec![0; 1568])]);
    assert!(flat.contains("shape [2, 784]"), "{flat}");
    let labels = message(&[("x", "|u1", &[2, 1, 1], vec![0; 2]), ("y", "|u1", &[2, 14], vec![0; 28])]);
    assert!(labels.contains("several labels per image"), "{labels}");
    let names = message(&[("data", "|u1", &[2, 1, 1], vec![0; 2])]);
    assert!(names.contains("the arrays are data"), "{names}");
    let short = message(&[("x", "|u1", &[3, 1, 1], vec![0; 2])]);
    assert!(short.contains("x has 2 bytes"), "{short}");
    fs::write(&path, "no archive").unwrap();
    assert!(refusal(&path, &ImportOptions::default()).contains("cannot be read"));
}

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend_from_slice(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_pairs_become_parts_gzipped_or_not() {
    let root = folder();
    let write = |name: &str, bytes: Vec<u8>| fs::write(root.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte.gz", gzip(&idx(&[3, 1, 2], &[1, 2, 3, 4, 5, 6])));
    write("train-labels-idx1-ubyte.gz", gzip(&idx(&[3], &[7, 9, 7])));
    write("t10k-images-idx3-ubyte", idx(&[1, 1, 2], &[8, 9]));
    write("t10k-labels-idx1-ubyte", idx(&[1], &[9]));
    let parts = read(root.path());
    assert_eq!(parts.get("train").unwrap().pixels(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(parts.get("train").unwrap().labels().unwrap().classes, ["7", "9"]);
    assert_eq!(parts.get("test").unwrap().labels().unwrap().values, [1]);
    let single = read(&root.path().join("train-images-idx3-ubyte.gz"));
    assert_eq!(single.only().unwrap().labels().unwrap().values, [0, 1, 0]);

    write("t10k-images-idx3-ubyte", idx(&[2, 1, 2], &[8, 9]));
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("t10k-images-idx3-ubyte: 2 values instead of 4"), "{message}");
    write("t10k-images-idx3-ubyte", idx(&[2, 1, 2], &[8, 9, 8, 9]));
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("1 labels for 2 images"), "{message}");
}

/// `count` records with labels 0, 1, … behind `prefix`, and pixel values equal to the label.
fn cifar(prefix: &[u8], count: u8) -> Vec<u8> {
    (0..count).flat_map(|label| [prefix, &[label], &[label; 3072]].concat()).collect()
}

#[test]
fn cifar_batches_keep_division_and_names() {
    let root = folder();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    write("data_batch_1.bin", &cifar(&[], 3));
    write("data_batch_2.bin", &cifar(&[], 2));
    write("test_batch.bin", &cifar(&[], 1));
    write("batches.meta.txt", b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
    let parts = read(root.path());
    assert_eq!(parts.names().collect::<Vec<_>>(), ["train", "test"]);
    let train = parts.get("train").unwrap();
    assert_eq!(train.labels().unwrap().values, [0, 1, 2, 0, 1]);
    assert_eq!(train.labels().unwrap().classes[9], "truck");
    assert!(train.image(2).iter().all(|&value| value == 2));
    assert_eq!(read(&root.path().join("data_batch_2.bin")).only().unwrap().len(), 2);

    let mut wrong = cifar(&[], 1);
    wrong[0] = 10;
    write("test_batch.bin", &wrong);
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("image 0 of test_batch.bin has label 10"), "{message}");
}

#[test]
fn the_cifar_100_archive_keeps_coarse_labels() {
    let root = folder();
    let path = root.path().join("cifar-100-binary.tar.gz");
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
    for (name, bytes) in [
        ("train.bin", cifar(&[1], 3)),
        ("test.bin", cifar(&[0], 1)),
        ("coarse_label_names.txt", b"mammals\nfish\n".to_vec()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, format!("cifar-100-binary/{name}"), bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    let parts = read(&path);
    assert_eq!(parts.get("train").unwrap().column("coarse_label").unwrap().values, ["fish", "fish", "fish"]);
    assert_eq!(parts.get("test").unwrap().labels().unwrap().classes.len(), 100);
}

#[test]
fn mixed_sizes_name_the_two_pictures_and_the_remedy() {
    let root = folder();
    grey(0, 4, 3).save(root.path().join("a.png")).unwrap();
    grey(0, 5, 3).save(root.path().join("b.png")).unwrap();
    let message = refusal(root.path(), &ImportOptions::default());
    assert!(message.contains("1×3×4 (a.png), 1×3×5 (b.png)") && message.contains("--resize 3x4"), "{message}");
    let options = ImportOptions { resize: Some(Size { height: 3, width: 4 }), ..ImportOptions::default() };
    let set = import(root.path(), &options, &Silent).unwrap().only().unwrap().clone();
    assert_eq!(set.len(), 2);
    assert!(set.provenance().format.contains("resized to 3x4"), "{}", set.provenance().format);
}

#[test]
fn mixed_channels_are_converted_only_when_asked() {
    let root = folder();
    grey(100, 2, 2).save(root.path().join("a.png")).unwrap();
    RgbImage::from_pixel(2, 2, Rgb([10, 100, 200])).save(root.path().join("b.png")).unwrap();
    assert!(refusal(root.path(), &ImportOptions::default()).contains("--grey or --colour"));
    let read = |channels| {
        let options = ImportOptions { channels, ..ImportOptions::default() };
        import(root.path(), &options, &Silent).unwrap().only().unwrap().clone()
    };
    assert_eq!(read(Channels::Grey).image(1), [84; 4]);
    assert_eq!(read(Channels::Colour).shape().channels, 3);
    assert_eq!(read(Channels::Colour).image(1)[8..], [200; 4]);
}

#[test]
fn broken_pictures_are_errors_or_listed() {
    for ending in ["png", "jpg"] {
        let root = folder();
        let whole = root.path().join(format!("a.{ending}"));
        let broken = root.path().join(format!("b.{ending}"));
        grey(3, 64, 64).save(&whole).unwrap();
        let bytes = fs::read(&whole).unwrap();
        fs::write(&broken, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let message = refusal(root.path(), &ImportOptions::default());
        assert!(message.contains(&format!("b.{ending}")) && message.contains("--skip-unreadable"), "{message}");
        let options = ImportOptions { skip_unreadable: true, ..ImportOptions::default() };
        let set = import(root.path(), &options, &Silent).unwrap().only().unwrap().clone();
        assert_eq!(set.len(), 1);
        assert_eq!(set.provenance().skipped[0].item, format!("b.{ending}"));
        fs::remove_file(&whole).unwrap();
        assert!(refusal(root.path(), &options).contains("none of the 1 pictures"), "{ending}");
    }
}

#[test]
fn missing_empty_and_ambiguous_inputs_are_told_apart() {
    let root = folder();
    let none = ImportOptions::default();
    assert!(refusal(&root.path().join("gone"), &none).contains("there is no such file or folder"));
    assert!(refusal(root.path(), &none).contains("the folder is empty"));
    fs::write(root.path().join("readme.txt"), "x").unwrap();
    assert!(refusal(root.path(), &none).contains("such as readme.txt"));
    assert!(refusal(&root.path().join("readme.txt"), &none).contains("none of the known forms"));
    save_grey(&root.path().join("cat/a.png"), 1);
    let one = refusal(root.path(), &none);
    assert!(one.contains("only one class, \"cat\"") && one.contains("--format flat"), "{one}");
    save_grey(&root.path().join("dog/a.png"), 2);
    assert!(read(root.path()).only().unwrap().labels().is_some());
    save_grey(&root.path().join("loose.png"), 3);
    assert!(refusal(root.path(), &none).contains("lie beside folders of pictures"));
    assert!(refusal(&root.path().join("loose.png"), &none).contains("single picture"));
    let flat = ImportOptions { format: Some(Format::Flat), ..ImportOptions::default() };
    let set = import(root.path(), &flat, &Silent).unwrap().only().unwrap().clone();
    assert_eq!((set.len(), set.labels()), (3, None));
    let classes = ImportOptions { format: Some(Format::ClassFolders), ..ImportOptions::default() };
    let set = import(root.path(), &classes, &Silent).unwrap().only().unwrap().clone();
    assert!(set.provenance().skipped.iter().any(|skipped| skipped.item == "loose.png"));
}

#[test]
fn array_forms_are_converted_like_pictures() {
    let options = ImportOptions {
        channels: Channels::Grey,
        resize: Some(Size { height: 3, width: 3 }),
        ..ImportOptions::default()
    };
    let parts = import(&fixture("medmnist.npz"), &options, &Silent).unwrap();
    let train = parts.get("train").unwrap();
    assert_eq!(train.shape(), Shape { channels: 1, height: 3, width: 3 });
    assert_eq!(train.labels().unwrap().values, [0, 2, 1, 0, 2, 1]);
    assert!(train.provenance().format.starts_with("npz, converted to grey"), "{}", train.provenance().format);
}

fn labelled_colour() -> ImageSet {
    let shape = Shape { channels: 3, height: 2, width: 3 };
    ImageSet::new(shape, (0..90).collect())
        .unwrap()
        .with_labels(Labels { values: vec![0, 1, 2, 1, 0], classes: vec!["a/b".into(), "a:b".into(), "c".into()] })
        .unwrap()
}

#[test]
fn exports_read_back_equal() {
    let root = folder();
    let column = standin_data::Column { name: "patient".into(), values: (0..5).map(|i| format!("p{i}")).collect() };
    let set = labelled_colour().with_column(column).unwrap();
    let parts = Parts::undivided(set.clone());
    for (format, name) in [(ExportFormat::ClassFolders, "folders"), (ExportFormat::Saved, "own")] {
        let path = root.path().join(name);
        let exported = export(&parts, &path, format, false).unwrap();
        assert_eq!((exported.images, exported.omitted.len()), (5, 0));
        let back = read(&path).only().unwrap().clone();
        assert_eq!(back.pixels(), set.pixels(), "{name}");
        assert_eq!(back.labels(), set.labels(), "{name}");
        assert_eq!(back.column("patient"), set.column("patient"), "{name}");
    }
    let path = root.path().join("set.npz");
    let exported = export(&parts, &path, ExportFormat::Npz, false).unwrap();
    assert_eq!(exported.omitted, ["class names", "column patient"]);
    let back = read(&path).only().unwrap().clone();
    assert_eq!(back.pixels(), set.pixels());
    assert_eq!(back.labels().unwrap().values, set.labels().unwrap().values);
}

#[test]
fn exports_of_parts_keep_the_division_and_are_deterministic() {
    let root = folder();
    let parts = read(&fixture("medmnist.npz"));
    for format in [ExportFormat::Npz, ExportFormat::Saved, ExportFormat::ClassFolders] {
        let path = root.path().join(format!("{format:?}"));
        export(&parts, &path, format, false).unwrap();
        let back = import(
            &path,
            &ImportOptions { format: (format == ExportFormat::Npz).then_some(Format::Npz), ..Default::default() },
            &Silent,
        )
        .unwrap();
        assert_eq!(back.names().collect::<Vec<_>>(), ["train", "validation", "test"]);
        assert_eq!(back.get("test").unwrap().labels(), parts.get("test").unwrap().labels());
    }
    export(&parts, &root.path().join("again"), ExportFormat::Npz, false).unwrap();
    let bytes = |name: &str| fs::read(root.path().join(name)).unwrap();
    assert_eq!(bytes("Npz"), bytes("again"));
}

#[test]
fn originals_are_never_replaced() {
    let root = folder();
    let parts = Parts::undivided(digits().select(&[0, 1]));
    let own = root.path().join("own");
    export(&parts, &own, ExportFormat::ClassFolders, false).unwrap();
    let again = export(&parts, &own, ExportFormat::ClassFolders, false).unwrap_err().to_string();
    assert!(again.contains("exists already") && again.contains("--force"), "{again}");
    export(&parts, &own, ExportFormat::Saved, true).unwrap();
    assert!(!own.join("metadata.csv").exists());
    let foreign = root.path().join("mine");
    class_folders(&foreign);
    let message = export(&parts, &foreign, ExportFormat::Saved, true).unwrap_err().to_string();
    assert!(message.contains("not made by an export"), "{message}");
    assert!(foreign.join("cat/2.png").exists());
}

#[test]
fn content_has_a_stable_digest() {
    let expected = "a5e93908427435b4aa8d946621a5fcf39933d9bcadbbe75437c3762f42df9eb1";
    assert_eq!(digits().digest().to_hex().as_str(), expected);
    let parts = read(&fixture("medmnist.npz"));
    let expected = "37de504f9c5d16887df2f563c1374a4838fad9c93b4abfb7bf0c3d91920a2869";
    assert_eq!(parts.get("train").unwrap().digest().to_hex().as_str(), expected);
}
