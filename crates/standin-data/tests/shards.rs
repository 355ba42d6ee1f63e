//! Parquet tables and tar shards: files of pyarrow and Python's tarfile are read, exports read back equal, and damage is
//! named.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use image::{GrayImage, ImageFormat, Luma};
use standin_data::{
    Column, ExportFormat, Format, ImageSet, ImportOptions, Labels, Parts, Provenance, Shape, Silent, export, import,
    import_to,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(path: &Path) -> Parts {
    import(path, &ImportOptions::default(), &Silent).unwrap()
}

fn only(path: &Path, options: &ImportOptions) -> ImageSet {
    import(path, options, &Silent).unwrap().only().unwrap().clone()
}

fn refusal(path: &Path) -> String {
    import(path, &ImportOptions::default(), &Silent).unwrap_err().to_string()
}

fn labelled_by(name: &str) -> ImportOptions {
    ImportOptions { label: Some(name.to_owned()), ..ImportOptions::default() }
}

/// The planes of picture `i` of the fixtures.
fn planes(i: usize) -> Vec<u8> {
    let value =
        |channel: usize, row: usize, column: usize| ((i * 31 + row * 7 + column * 3 + channel * 50) % 256) as u8;
    (0..3).flat_map(move |channel| (0..20).map(move |at| value(channel, at / 4, at % 4))).collect()
}

#[test]
fn a_table_of_the_hub_keeps_pictures_class_names_and_attributes() {
    let set = only(&fixture("hub.parquet"), &ImportOptions::default());
    assert_eq!((set.len(), set.shape()), (6, Shape { channels: 3, height: 5, width: 4 }));
    for i in 0..6 {
        assert_eq!(set.image(i), planes(i), "{i}");
    }
    assert_eq!(set.labels().unwrap().classes, ["nevus", "melanoma", "unused"]);
    assert_eq!(set.labels().unwrap().values, [1, 0, 0, 1, 0, 1]);
    assert_eq!(set.column("patient").unwrap().values, ["p0", "p0", "p1", "p1", "p2", "p2"]);
    assert_eq!(set.column("age").unwrap().values, ["40.0", "40.5", "41.0", "", "42.0", "42.5"]);
    assert_eq!(set.column("file_name").unwrap().values[5], "0005.png");
    assert!(set.provenance().skipped.is_empty());

    let by_patient = only(&fixture("hub.parquet"), &labelled_by("patient"));
    assert_eq!(by_patient.labels().unwrap().classes, ["p0", "p1", "p2"]);
    assert_eq!(by_patient.column("label").unwrap().values[0], "melanoma");
}

#[test]
fn a_table_without_the_hubs_description_is_read_by_its_types() {
    let set = only(&fixture("plain.parquet"), &labelled_by("kind"));
    assert_eq!((set.len(), set.image(4)), (5, planes(4).as_slice()));
    assert_eq!(set.labels().unwrap().names().collect::<Vec<_>>(), ["b", "a", "b", "a", "a"]);
    let values = |name: &str| set.column(name).unwrap().values.clone();
    assert_eq!(values("weight"), ["0.0", "-1.5", "", "2.0", "1e-20"]);
    assert_eq!(values("count"), ["1", "", "3", "4", "5"]);
    assert_eq!(values("taken")[2], "1970-01-03");
    assert_eq!(values("good"), ["true", "false", "true", "", "true"]);
    assert_eq!(values("file_name")[3], "plain/3");
    assert_eq!(set.provenance().skipped[0].item, "column boxes");
    assert!(only(&fixture("plain.parquet"), &ImportOptions::default()).labels().is_none());
}

#[test]
fn wrong_columns_of_a_table_are_named() {
    let path = fixture("hub.parquet");
    let message = |options: &ImportOptions| import(&path, options, &Silent).unwrap_err().to_string();
    assert!(message(&labelled_by("patiend")).contains("did you mean \"patient\""));
    assert!(message(&labelled_by("age")).contains("column \"age\" is empty for 1 images, the first 0003.png"));
    let image = |name: &str| ImportOptions { image: Some(name.to_owned()), ..ImportOptions::default() };
    assert!(message(&image("label")).contains("column \"label\" holds no pictures"));
    assert!(message(&image("imag")).contains("did you mean \"image\""));
    let folder = folder();
    fs::write(folder.path().join("a.png"), "x").unwrap();
    let unused = import(folder.path(), &image("image"), &Silent).unwrap_err().to_string();
    assert!(unused.contains("--image is for Parquet"), "{unused}");
}

#[test]
fn a_damaged_table_is_an_error_that_names_the_file() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    let whole = fs::read(fixture("hub.parquet")).unwrap();
    for length in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let message = refusal(&path);
        assert!(
            message.contains("a.parquet: the table cannot be read") && message.contains("get it again"),
            "{message}"
        );
    }
    let mut wrong = whole.clone();
    let inside = whole.windows(4).position(|bytes| bytes == b"\x89PNG").unwrap();
    wrong[inside..inside + 4].fill(0);
    wrong[inside + 20..inside + 40].fill(0);
    fs::write(&path, &wrong).unwrap();
    let message = refusal(&path);
    assert!(message.contains("a.parquet: row 0 (0000.png): ") && message.contains("--skip-unreadable"), "{message}");
    let skipping = ImportOptions { skip_unreadable: true, ..ImportOptions::default() };
    let set = only(&path, &skipping);
    assert_eq!((set.len(), set.column("patient").unwrap().values[0].as_str()), (5, "p0"));
    assert_eq!(set.labels().unwrap().values, [0, 0, 1, 0, 1]);
    assert_eq!(set.provenance().skipped[0].item, "0000.png");
}

#[test]
fn no_damaged_byte_of_a_shard_is_worse_than_an_error() {
    let folder = folder();
    for name in ["hub.parquet", "plain.parquet", "webdataset.tar"] {
        let whole = fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        let mut refused = 0;
        for at in (0..whole.len()).step_by(3) {
            // Of an archive's padding nothing is learnt.
            if name.ends_with("tar") && whole[at] == 0 {
                continue;
            }
            let mut damaged = whole.clone();
            damaged[at] ^= 0xFF;
            fs::write(&path, &damaged).unwrap();
            refused += usize::from(import(&path, &ImportOptions::default(), &Silent).is_err());
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}

#[test]
fn an_unknown_class_index_is_named() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    // The name list is shortened in place, so that lengths in the footer stay right.
    let mut bytes = fs::read(fixture("hub.parquet")).unwrap();
    let (long, short) = (b"\"nevus\", \"melanoma\", \"unused\"", b"\"nevus\"                      ");
    assert_eq!(long.len(), short.len());
    let at: Vec<usize> = (0..bytes.len() - long.len()).filter(|&at| bytes[at..at + long.len()] == long[..]).collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at..at + long.len()].copy_from_slice(short);
    }
    fs::write(&path, bytes).unwrap();
    let message = refusal(&path);
    assert!(message.contains("column \"label\" holds \"1\" in row 0") && message.contains("below 1"), "{message}");
}

#[test]
fn a_tar_shard_keeps_classes_attributes_and_captions() {
    let set = only(&fixture("webdataset.tar"), &ImportOptions::default());
    for i in 0..4 {
        assert_eq!(set.image(i), planes(i), "{i}");
    }
    assert_eq!(set.labels().unwrap().names().collect::<Vec<_>>(), ["2", "0", "0", "1"]);
    let values = |name: &str| set.column(name).unwrap().values.clone();
    assert_eq!(values("patient"), ["p0", "p0", "p1", ""]);
    assert_eq!(values("age"), ["40", "41", "42", ""]);
    assert_eq!(values("txt")[3], "picture number 3");
    assert_eq!(values("file_name")[0], "scans/000000.png");
    assert_eq!(set.provenance().skipped[0].item, "4 entries .mask.npy");

    let folder = folder();
    let copy = folder.path().join("webdataset.tar");
    fs::copy(fixture("webdataset.tar"), &copy).unwrap();
    fs::write(folder.path().join("classnames.txt"), "zebra\nant\nbee\n").unwrap();
    let set = only(&copy, &ImportOptions::default());
    assert_eq!(
        set.labels().unwrap(),
        &Labels { values: vec![2, 0, 0, 1], classes: ["zebra", "ant", "bee"].map(String::from).to_vec() }
    );
    fs::write(folder.path().join("classnames.txt"), "zebra\nant\n").unwrap();
    let message = refusal(&copy);
    assert!(message.contains("the class of scans/000000.png is 2") && message.contains("2 names"), "{message}");
}

fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    GrayImage::from_pixel(2, 2, Luma([value])).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// An archive with entries written as they are named, which the builder would refuse.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn several_shards_by_folder_star_and_braces_are_one_set() {
    let root = folder();
    for (shard, values) in [("00", [1, 2]), ("01", [3, 4])] {
        let entries = [
            ("0.png", png(values[0])),
            ("0.cls", b"cat".to_vec()),
            ("1.png", png(values[1])),
            ("1.cls", b"dog".to_vec()),
        ];
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, content)| (*name, content.as_slice())).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&tar(&entries)).unwrap();
        fs::write(root.path().join(format!("s-{shard}.tar.gz")), encoder.finish().unwrap()).unwrap();
    }
    for name in ["", "s-*.tar.gz", "s-{00..01}.tar.gz", "s-0?.tar.gz"] {
        let set = only(&root.path().join(name), &ImportOptions::default());
        assert_eq!(set.pixels().iter().step_by(4).copied().collect::<Vec<_>>(), [1, 2, 3, 4], "{name}");
        assert_eq!(set.labels().unwrap().values, [0, 1, 0, 1]);
        assert_eq!(set.column("file_name").unwrap().values[2], "s-01.tar.gz/0.png");
    }
    assert!(refusal(&root.path().join("s-{00..02}.tar.gz")).contains("s-02.tar.gz: there is no such file"));
    assert!(refusal(&root.path().join("t-*.tar")).contains("no image here, none of the 2 entries"));
}

#[test]
fn a_cut_archive_is_an_error_and_one_without_its_end_a_warning() {
    struct Warnings(std::sync::Mutex<Vec<String>>);
    impl standin_data::Progress for Warnings {
        fn begin(&self, _: &str, _: u64) {}
        fn advance(&self, _: u64) {}
        fn status(&self, _: &str) {}
        fn warn(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
        fn end(&self) {}
    }
    let root = folder();
    let path = root.path().join("a.tar");
    let picture = png(7);
    let whole = tar(&[("0.png", &picture), ("1.png", &picture)]);
    let entry = 512 + picture.len().div_ceil(512) * 512;
    for length in [entry + 512 + 10, entry + 100, 300] {
        fs::write(&path, &whole[..length]).unwrap();
        let message = refusal(&path);
        assert!(message.contains("a.tar: the archive cannot be read"), "{length}: {message}");
    }
    for (length, images, warned) in [(entry, 1, true), (whole.len(), 2, false)] {
        fs::write(&path, &whole[..length]).unwrap();
        let warnings = Warnings(Default::default());
        let parts = import(&path, &ImportOptions::default(), &warnings).unwrap();
        assert_eq!(parts.only().unwrap().len(), images);
        assert_eq!(warnings.0.lock().unwrap().iter().any(|text| text.contains("no end mark")), warned);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&whole).unwrap();
    let gzipped = encoder.finish().unwrap();
    fs::write(&path, &gzipped[..gzipped.len() - 9]).unwrap();
    assert!(refusal(&path).contains("the archive cannot be read"));
    fs::write(&path, "no archive").unwrap();
    assert!(refusal(&path).contains("a.tar"));
}

#[test]
fn faults_of_samples_name_the_shard_and_the_sample() {
    let root = folder();
    let path = root.path().join("a.tar");
    let picture = png(7);
    let message = |entries: &[(&str, &[u8])]| {
        fs::write(&path, tar(entries)).unwrap();
        refusal(&path)
    };
    let twice = message(&[("0.png", &picture), ("0.jpg", &picture)]);
    assert!(twice.contains("sample \"0\" has 0.png and 0.jpg"), "{twice}");
    let again = message(&[("0.png", &picture), ("1.png", &picture), ("0.png", &picture)]);
    assert!(again.contains("sample \"0\" has 0.png and 0.png"), "{again}");
    let classes = message(&[("0.png", &picture), ("0.cls", b"1"), ("0.cls", b"2")]);
    assert!(classes.contains("a .cls already"), "{classes}");
    let missing = message(&[("0.png", &picture), ("0.cls", b"1"), ("1.png", &picture)]);
    assert!(missing.contains("1 of 2 samples have no .cls, the first 1.png"), "{missing}");
    let json = message(&[("0.png", &picture), ("0.json", b"[1]")]);
    assert!(json.contains("0.json: [1] is no object"), "{json}");
    let text = message(&[("0.png", &picture), ("0.cls", b"\xFF")]);
    assert!(text.contains("0.cls is no UTF-8"), "{text}");
    let none = message(&[("0.txt", b"only words")]);
    assert!(none.contains("no image here, there is no picture"), "{none}");
    let broken = message(&[("0.png", &picture[..20])]);
    assert!(broken.contains("a.tar: 0.png: decoding failed"), "{broken}");
    fs::write(&path, tar(&[("0.png", &picture), ("1.txt", b"x")])).unwrap();
    let set = only(&path, &ImportOptions::default());
    assert_eq!(set.provenance().skipped[0].item, "a.tar/1");
}

#[test]
fn names_that_climb_out_of_an_archive_are_identifiers_and_nothing_more() {
    let root = folder();
    let inner = root.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let picture = png(7);
    let climbing = [
        ("../../evil.png", picture.as_slice()),
        ("../../evil.cls", b"../up"),
        ("/tmp/b.png", &picture),
        ("/tmp/b.cls", b"x"),
    ];
    fs::write(inner.join("a.tar"), tar(&climbing)).unwrap();
    let parts = read(&inner.join("a.tar"));
    assert_eq!(parts.only().unwrap().column("file_name").unwrap().values, ["../../evil.png", "/tmp/b.png"]);
    for format in ExportFormat::names() {
        export(&parts, &inner.join(format), format.parse().unwrap(), false).unwrap();
    }
    import_to(&inner.join("a.tar"), &ImportOptions::default(), &inner.join("set"), false, &Silent).unwrap();
    let outside: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["inner"]);
    assert_eq!(read(&inner.join("class-folders")).only().unwrap().labels().unwrap().classes, ["../up", "x"]);
}

fn described() -> ImageSet {
    let shape = Shape { channels: 3, height: 2, width: 3 };
    let column =
        |name: &str, values: [&str; 5]| Column { name: name.to_owned(), values: values.map(String::from).to_vec() };
    ImageSet::new(shape, (0..90).collect())
        .unwrap()
        .with_labels(Labels {
            values: vec![0, 1, 2, 1, 0],
            classes: ["z", "a b", "c", "unused"].map(String::from).to_vec(),
        })
        .unwrap()
        .with_column(column("file_name", ["a.png", "b.png", "c.png", "d.png", "e.png"]))
        .unwrap()
        .with_column(column("label", ["", "\"quoted\"", "ü", "1", "0.5"]))
        .unwrap()
        .with_provenance(Provenance {
            source: "a test".into(),
            licence: Some("CC0".into()),
            guarantee: Some("none at all".into()),
            ..Provenance::default()
        })
}

#[test]
fn exported_shards_read_back_equal_to_the_last_label() {
    let root = folder();
    let set = described();
    let parts = Parts::undivided(set.clone());
    for (format, form, label) in [
        (ExportFormat::Parquet, Format::Parquet, "source_label"),
        (ExportFormat::WebDataset, Format::WebDataset, "label"),
    ] {
        let path = root.path().join(format.to_string());
        let exported = export(&parts, &path, format, false).unwrap();
        assert_eq!((exported.images, exported.omitted.len()), (5, 0));
        let back = read(&path).only().unwrap().clone();
        assert_eq!(back.pixels(), set.pixels(), "{format}");
        assert_eq!(back.labels(), set.labels(), "{format}");
        assert_eq!(back.column(label).unwrap().values, set.column("label").unwrap().values, "{format}");
        assert_eq!(back.column("file_name"), set.column("file_name"), "{format}");
        assert!(back.provenance().format.starts_with(&form.to_string()), "{}", back.provenance().format);
        assert_eq!(back.provenance().licence.as_deref(), Some("CC0"));
        assert_eq!(back.provenance().guarantee.as_deref(), Some("none at all"));
        assert!(back.provenance().skipped.is_empty(), "{:?}", back.provenance().skipped);
        let card = fs::read_to_string(path.join("README.md")).unwrap();
        assert!(card.contains("license: cc0-1.0") && card.contains("None at all."), "{card}");

        export(&parts, &path, format, true).unwrap();
        let message = export(&parts, &path, format, false).unwrap_err().to_string();
        assert!(message.contains("--force"), "{message}");
    }
}

#[test]
fn exported_shards_keep_the_division_and_are_deterministic() {
    let root = folder();
    let parts = read(&fixture("medmnist.npz"));
    for format in [ExportFormat::Parquet, ExportFormat::WebDataset] {
        let path = root.path().join(format.to_string());
        export(&parts, &path, format, false).unwrap();
        let back = read(&path);
        assert_eq!(back.names().collect::<Vec<_>>(), ["train", "validation", "test"]);
        for (name, set) in parts.iter() {
            assert_eq!(back.get(name).unwrap().pixels(), set.pixels());
            assert_eq!(back.get(name).unwrap().labels(), set.labels());
        }
        let again = root.path().join("again");
        export(&parts, &again, format, true).unwrap();
        let file = match format {
            ExportFormat::Parquet => "data/test-00000-of-00001.parquet",
            _ => "test-000000.tar",
        };
        assert!(fs::read(path.join(file)).unwrap() == fs::read(again.join(file)).unwrap(), "{format}");
    }
}

#[test]
fn a_missing_shard_and_a_missing_part_name_are_noticed() {
    let root = folder();
    let copy = |name: &str| fs::copy(fixture("hub.parquet"), root.path().join(name)).unwrap();
    copy("train-00000-of-00002.parquet");
    assert!(refusal(root.path()).contains("1 of 2 shards of \"train\" are there; number 1 is missing"));
    copy("train-00001-of-00002.parquet");
    assert_eq!(read(root.path()).get("train").unwrap().len(), 12);
    copy("test-00000-of-00001.parquet");
    assert_eq!(read(root.path()).get("test").unwrap().len(), 6);
    copy("more.parquet");
    assert!(refusal(root.path()).contains("more.parquet: the name does not say which part"));
    fs::remove_file(root.path().join("more.parquet")).unwrap();
    fs::copy(fixture("plain.parquet"), root.path().join("test-00000-of-00001.parquet")).unwrap();
    assert!(refusal(root.path()).contains("only one has labels"));
    fs::copy(fixture("webdataset.tar"), root.path().join("a.tar")).unwrap();
    assert!(refusal(root.path()).contains("--format parquet or --format webdataset"));
}

#[test]
fn streaming_to_disk_gives_the_bytes_that_saving_gives() {
    let root = folder();
    let pictures = root.path().join("pictures");
    let set = described();
    export(&Parts::undivided(set), &pictures, ExportFormat::ClassFolders, false).unwrap();
    fs::write(pictures.join("z/broken.png"), "x").unwrap();
    let skipping = ImportOptions { skip_unreadable: true, format: Some(Format::Flat), ..ImportOptions::default() };
    for (name, source) in [
        ("pictures", pictures),
        ("table", fixture("hub.parquet")),
        ("archive", fixture("webdataset.tar")),
        ("arrays", fixture("medmnist.npz")),
    ] {
        let options = if name == "pictures" { skipping.clone() } else { ImportOptions::default() };
        let (saved, streamed) =
            (root.path().join(format!("{name}-saved")), root.path().join(format!("{name}-streamed")));
        let parts = import(&source, &options, &Silent).unwrap();
        parts.save(&saved).unwrap();
        let opened = import_to(&source, &options, &streamed, false, &Silent).unwrap();
        for (part, set) in parts.iter() {
            assert_eq!(opened.find(part).unwrap().digest(), set.digest());
            for file in ["images.npy", "attributes.csv", "set.toml"] {
                let [a, b] = [&saved, &streamed].map(|folder| fs::read(folder.join(part).join(file)).unwrap());
                assert!(a == b, "{name} {part} {file}");
            }
        }
    }
    let left: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    File::create(root.path().join("foreign")).unwrap();
    let refused = import_to(&fixture("hub.parquet"), &skipping, &root.path().join("foreign"), false, &Silent);
    assert!(refused.unwrap_err().to_string().contains("it exists already"));
}
