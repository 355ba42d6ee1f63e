//! Embeddings written here and by other tools.

use std::fs;
use std::path::{Path, PathBuf};

use standin_encode::{Embedding, EmbeddingFile, Metric, Stamp, read_npy, write_npy};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files").join(name)
}

/// The features of the fixtures.
fn expected() -> Vec<f32> {
    (0..15).map(|at| (at / 3 * 10 + at % 3) as f32 + 0.25).collect()
}

fn refused(name: &str) -> String {
    EmbeddingFile::read(&fixture(name), None).unwrap_err().to_string()
}

fn example() -> EmbeddingFile {
    let stamp = Stamp {
        encoder: "onnx:naïve.onnx".into(),
        weights: Some("ab".repeat(32)),
        preprocessing: "28×28 \"grey\"".into(),
        metric: Metric::Hamming,
    };
    let values = (0..3000 * 7).map(|at| (at * 31 % 65_536) as f32).collect();
    let embedding = Embedding::new(values, 7, stamp).unwrap();
    EmbeddingFile { labels: Some((0..3000).map(|at| at % 4 - 1).collect()), embedding }
}

#[test]
fn every_format_gives_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = example();
    for name in ["a.npz", "a.parquet"] {
        file.write(&folder.path().join(name)).unwrap();
        assert_eq!(EmbeddingFile::read(&folder.path().join(name), Some("a description")).unwrap(), file, "{name}");
    }
    file.labels = None;
    for name in ["b.npy", "b.npz", "b.parquet"] {
        file.embedding.save(&folder.path().join(name)).unwrap();
        assert_eq!(Embedding::load(&folder.path().join(name)).unwrap(), file.embedding, "{name}");
    }
}

#[test]
fn equal_embeddings_give_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["npz", "parquet"] {
        let path = folder.path().join(format!("a.{ending}"));
        let written = [(); 2].map(|()| {
            example().write(&path).unwrap();
            fs::read(&path).unwrap()
        });
        assert!(written[0] == written[1], "{ending}");
    }
}

#[test]
fn files_of_numpy_and_arrow_are_read_in_every_precision_and_order() {
    let names = ["half_fortran.npy", "big_endian.npy", "compressed.npz", "anonymous.npz"];
    for name in names.into_iter().chain(["lists.parquet", "fixed_half.parquet", "columns.parquet"]) {
        let file = EmbeddingFile::read(&fixture(name), None).unwrap();
        assert_eq!((file.embedding.values(), file.embedding.dimension()), (expected().as_slice(), 3), "{name}");
        let labelled = ["compressed.npz", "lists.parquet"].contains(&name);
        assert_eq!(file.labels, labelled.then(|| vec![2, 0, 1, 1, 2]), "{name}");
    }
}

#[test]
fn files_without_a_stamp_are_told_apart_by_their_description() {
    let read = |name, description| EmbeddingFile::read(&fixture(name), description).unwrap().embedding;
    let unknown = read("lists.parquet", None);
    assert_eq!(unknown.stamp().encoder, "file");
    unknown.require_same_protocol(&read("anonymous.npz", None)).unwrap();
    let error = unknown.require_same_protocol(&read("anonymous.npz", Some("CLIP B/32"))).unwrap_err().to_string();
    assert!(error.contains("CLIP B/32") && error.contains("nothing is recorded"), "{error}");
}

#[test]
fn a_stamp_beside_the_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = Stamp::new("clip", "224×224");
    for name in ["anonymous.npz", "columns.parquet", "half_fortran.npy"] {
        let path = folder.path().join(name);
        fs::copy(fixture(name), &path).unwrap();
        fs::write(path.with_extension("stamp.json"), serde_json::to_string(&stamp).unwrap()).unwrap();
        assert_eq!(Embedding::load(&path).unwrap().stamp(), &stamp);
    }
    let path = folder.path().join("half_fortran.npy");
    fs::write(path.with_extension("stamp.json"), "{\"encoder\": 3}").unwrap();
    let error = Embedding::load(&path).unwrap_err().to_string();
    assert!(error.contains("half_fortran.stamp.json: the stamp {\"encoder\": 3} is unreadable"), "{error}");
}

#[test]
fn what_is_no_matrix_of_floats_is_refused_with_the_remedy() {
    for (name, words) in [
        ("pixels.npy", ["the array is of type |u1", "save x.astype(\"float32\")"]),
        ("maps.npy", ["the shape [5, 3, 1, 1]", "save x.reshape(len(x), -1)"]),
        ("two.npz", ["the arrays are array `real`, array `synthetic`", "one array `features` was expected"]),
        ("ragged.parquet", ["row 3 has 2 features, the rows before it have 3", "rows of one length"]),
        ("null.parquet", ["row 3 of the column `embedding` is empty or holds a null", "remove the row"]),
        ("../embeddings.py", ["the name ends in `.py`", "`.npy`, `.npz` or `.parquet`"]),
        ("absent.npy", ["reading failed", "check the spelling"]),
    ] {
        let error = refused(name);
        assert!(error.contains(name) && words.iter().all(|words| error.contains(words)), "{error}");
    }
}

#[test]
fn values_that_are_not_finite_are_refused_with_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        let path = folder.path().join("a.npy");
        write_npy(&path, &[0.0, 1.0, 2.0, 3.0, value, 5.0], 2).unwrap();
        let error = Embedding::load(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("a.npy: row 2, column 0 is {value}")), "{error}");
        assert_eq!(read_npy(&path).unwrap().1, 2);
    }
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["half_fortran.npy", "compressed.npz", "lists.parquet"] {
        let whole = fs::read(fixture(name)).unwrap();
        for keep in [0, 5, whole.len() / 2, whole.len() - 3] {
            let path = folder.path().join(name);
            fs::write(&path, &whole[..keep]).unwrap();
            let error = Embedding::load(&path).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("; "), "{error}");
        }
    }
    let path = folder.path().join("huge.npy");
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend([0; 16]);
    fs::write(&path, bytes).unwrap();
    let error = Embedding::load(&path).unwrap_err().to_string();
    assert!(error.contains("ends after 4 of the 4398046511104 values"), "{error}");
}

#[test]
fn labels_have_no_place_beside_a_single_array() {
    let folder = tempfile::tempdir().unwrap();
    let error = example().write(&folder.path().join("a.npy")).unwrap_err().to_string();
    assert!(error.contains("the embedding has labels; a `.npy` file holds one array"), "{error}");
}
