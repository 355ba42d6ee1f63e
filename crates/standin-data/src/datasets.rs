use crate::{Error, Result, Shape};

/// A public image set the program knows by name.
#[derive(Clone, Copy, Debug)]
pub struct Dataset {
    /// The name on the command line and in configurations.
    pub name: &'static str,
    /// What the images show.
    pub summary: &'static str,
    /// Shape of every image.
    pub shape: Shape,
    /// Number of classes.
    pub classes: usize,
    /// Class names in the order of the labels; empty where they come with the files.
    pub class_names: &'static [&'static str],
    /// Images of each part, by the part's name; one nameless part without an official division.
    pub parts: &'static [(&'static str, usize)],
    /// Licence, and who is to be named.
    pub licence: &'static str,
    /// Where it is described.
    pub source: &'static str,
    /// The files to download; none for a built-in set.
    pub files: &'static [RemoteFile],
}

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile {
    /// The name under which it is published.
    pub name: &'static str,
    /// Where it is published.
    pub url: &'static str,
    /// What identifies its content.
    pub checksum: Checksum,
}

/// An MD5 sum in lower-case hexadecimal. It guards against damage and mix-ups, not against malice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Of the file as it is published.
    Stored(&'static str),
    /// Of the content after decompression: the same data gzipped by another program is the same data.
    Decompressed(&'static str),
}

impl Dataset {
    /// The data set of that name.
    ///
    /// # Errors
    /// If there is none; the message suggests the nearest.
    pub fn find(name: &str) -> Result<&'static Self> {
        DATASETS
            .iter()
            .find(|dataset| dataset.name == name)
            .ok_or_else(|| Error::unknown("data set", name, DATASETS.iter().map(|dataset| dataset.name)))
    }

    /// Whether it is compiled in and needs no download.
    pub fn built_in(&self) -> bool {
        self.files.is_empty()
    }

    /// Images in all parts.
    pub fn images(&self) -> usize {
        self.parts.iter().map(|(_, images)| images).sum()
    }
}

const GREY_28: Shape = Shape { channels: 1, height: 28, width: 28 };
const COLOUR_28: Shape = Shape { channels: 3, height: 28, width: 28 };
const COLOUR_32: Shape = Shape { channels: 3, height: 32, width: 32 };

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

const ORGANS: [&str; 11] = [
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
];

/// The four files of a set in the form of MNIST: training images, training labels, test images, test labels.
macro_rules! idx_files {
    ($base:literal, $train_images:literal, $train_labels:literal, $test_images:literal, $test_labels:literal) => {
        &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                url: concat!($base, "train-images-idx3-ubyte.gz"),
                checksum: Checksum::Decompressed($train_images),
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                url: concat!($base, "train-labels-idx1-ubyte.gz"),
                checksum: Checksum::Decompressed($train_labels),
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                url: concat!($base, "t10k-images-idx3-ubyte.gz"),
                checksum: Checksum::Decompressed($test_images),
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                url: concat!($base, "t10k-labels-idx1-ubyte.gz"),
                checksum: Checksum::Decompressed($test_labels),
            },
        ]
    };
}

/// A set of MedMNIST v2 at 28 × 28 pixels: Yang et al., *MedMNIST v2*, Scientific Data 10:41, 2023. Checksums as the
/// `medmnist` package publishes them for Zenodo record 10519652.
macro_rules! medmnist {
    ($name:literal, $summary:literal, $shape:expr, $classes:expr, $train:literal, $validation:literal, $test:literal,
     $licence:literal, $md5:literal) => {
        Dataset {
            name: $name,
            summary: $summary,
            shape: $shape,
            classes: $classes.len(),
            class_names: &$classes,
            parts: &[("train", $train), ("validation", $validation), ("test", $test)],
            licence: concat!($licence, ": MedMNIST v2, Yang et al., Scientific Data 10:41, 2023"),
            source: "https://medmnist.com",
            files: &[RemoteFile {
                name: concat!($name, ".npz"),
                url: concat!("https://zenodo.org/records/10519652/files/", $name, ".npz?download=1"),
                checksum: Checksum::Stored($md5),
            }],
        }
    };
}

/// Every set known by name. Sets with several labels per image (ChestMNIST) are not among them.
pub const DATASETS: &[Dataset] = &[
    Dataset {
        name: "digits",
        summary: "handwritten digits of 13 writers",
        shape: Shape { channels: 1, height: 8, width: 8 },
        classes: 10,
        class_names: &DIGITS,
        parts: &[("", 1797)],
        licence: "CC BY 4.0: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
        source: "https://doi.org/10.24432/C50P49",
        files: &[],
    },
    // MD5 of the decompressed files, which many projects publish; Debian's package dataset-fashion-mnist, compressed
    // anew, has the same.
    Dataset {
        name: "fashion-mnist",
        summary: "articles of clothing",
        shape: GREY_28,
        classes: 10,
        class_names: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        parts: &[("train", 60_000), ("test", 10_000)],
        licence: "MIT: Xiao, Rasul, Vollgraf, Fashion-MNIST, Zalando SE, 2017",
        source: "https://github.com/zalandoresearch/fashion-mnist",
        files: idx_files!(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965"
        ),
    },
    Dataset {
        name: "mnist",
        summary: "handwritten digits",
        shape: GREY_28,
        classes: 10,
        class_names: &DIGITS,
        parts: &[("train", 60_000), ("test", 10_000)],
        licence: "no licence stated: LeCun, Cortes, Burges, The MNIST database of handwritten digits",
        source: "http://yann.lecun.com/exdb/mnist/",
        files: idx_files!(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637"
        ),
    },
    // Checksums of the binary archives as the data set's page lists them.
    Dataset {
        name: "cifar-10",
        summary: "animals and vehicles",
        shape: COLOUR_32,
        classes: 10,
        class_names: &[],
        parts: &[("train", 50_000), ("test", 10_000)],
        licence: "no licence stated: Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        source: "https://www.cs.toronto.edu/~kriz/cifar.html",
        files: &[RemoteFile {
            name: "cifar-10-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            checksum: Checksum::Stored("c32a1d4ab5d03f1284b67883e8d87530"),
        }],
    },
    Dataset {
        name: "cifar-100",
        summary: "animals, plants, people, vehicles, things; 20 coarse classes",
        shape: COLOUR_32,
        classes: 100,
        class_names: &[],
        parts: &[("train", 50_000), ("test", 10_000)],
        licence: "no licence stated: Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        source: "https://www.cs.toronto.edu/~kriz/cifar.html",
        files: &[RemoteFile {
            name: "cifar-100-binary.tar.gz",
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            checksum: Checksum::Stored("03b5dce01913d631647c71ecec9e9cb8"),
        }],
    },
    medmnist!(
        "pathmnist",
        "colon pathology",
        COLOUR_28,
        [
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ],
        89_996,
        10_004,
        7_180,
        "CC BY 4.0",
        "a8b06965200029087d5bd730944a56c1"
    ),
    medmnist!(
        "dermamnist",
        "pigmented skin lesions (HAM10000)",
        COLOUR_28,
        [
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ],
        7_007,
        1_003,
        2_005,
        "CC BY-NC 4.0",
        "0744692d530f8e62ec473284d019b0c7"
    ),
    medmnist!(
        "octmnist",
        "retinal optical coherence tomography",
        GREY_28,
        ["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"],
        97_477,
        10_832,
        1_000,
        "CC BY 4.0",
        "c68d92d5b585d8d81f7112f81e2d0842"
    ),
    medmnist!(
        "pneumoniamnist",
        "chest radiographs of children",
        GREY_28,
        ["normal", "pneumonia"],
        4_708,
        524,
        624,
        "CC BY 4.0",
        "28209eda62fecd6e6a2d98b1501bb15f"
    ),
    medmnist!(
        "retinamnist",
        "fundus photographs, grades of diabetic retinopathy",
        COLOUR_28,
        ["0", "1", "2", "3", "4"],
        1_080,
        120,
        400,
        "CC BY 4.0",
        "bd4c0672f1bba3e3a89f0e4e876791e4"
    ),
    medmnist!(
        "breastmnist",
        "breast ultrasound",
        GREY_28,
        ["malignant", "normal, benign"],
        546,
        78,
        156,
        "CC BY 4.0",
        "750601b1f35ba3300ea97c75c52ff8f6"
    ),
    medmnist!(
        "bloodmnist",
        "blood cells under the microscope",
        COLOUR_28,
        [
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocytes",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ],
        11_959,
        1_712,
        3_421,
        "CC BY 4.0",
        "7053d0359d879ad8a5505303e11de1dc"
    ),
    medmnist!(
        "tissuemnist",
        "human kidney cortex cells",
        GREY_28,
        [
            "collecting duct, connecting tubule",
            "distal convoluted tubule",
            "glomerular endothelial cells",
            "interstitial endothelial cells",
            "leukocytes",
            "podocytes",
            "proximal tubule segments",
            "thick ascending limb",
        ],
        165_466,
        23_640,
        47_280,
        "CC BY 4.0",
        "ebe78ee8b05294063de985d821c1c34b"
    ),
    medmnist!(
        "organamnist",
        "abdominal organs in CT, axial",
        GREY_28,
        ORGANS,
        34_561,
        6_491,
        17_778,
        "CC BY 4.0",
        "68e3f8846a6bd62f0c9bf841c0d9eacc"
    ),
    medmnist!(
        "organcmnist",
        "abdominal organs in CT, coronal",
        GREY_28,
        ORGANS,
        12_975,
        2_392,
        8_216,
        "CC BY 4.0",
        "b9ceb9546e10131b32923c5bbeaea2b1"
    ),
    medmnist!(
        "organsmnist",
        "abdominal organs in CT, sagittal",
        GREY_28,
        ORGANS,
        13_932,
        2_452,
        8_827,
        "CC BY 4.0",
        "9ab87b696fb54e2a387ebe992d6ed5f1"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_complete() {
        for dataset in DATASETS {
            let names = dataset.class_names;
            assert!(names.is_empty() || names.len() == dataset.classes, "{}", dataset.name);
            assert!(dataset.images() > 0 && !dataset.licence.is_empty(), "{}", dataset.name);
            for file in dataset.files {
                let (Checksum::Stored(md5) | Checksum::Decompressed(md5)) = file.checksum;
                assert!(md5.len() == 32 && md5.bytes().all(|c| c.is_ascii_hexdigit()), "{}", file.name);
                assert!(file.url.starts_with("http") && file.url.contains(file.name), "{}", file.url);
            }
        }
        assert!(Dataset::find("digits").unwrap().built_in());
        let message = Dataset::find("fashionmnist").unwrap_err().to_string();
        assert!(message.contains("did you mean \"fashion-mnist\""), "{message}");
    }
}
