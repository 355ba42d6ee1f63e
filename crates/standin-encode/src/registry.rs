use crate::onnx::Onnx;
use crate::pixels::Pixels;
use crate::scattering::Scattering;
use crate::{Encoder, Error, Family, Result};

/// The encoders that need no training.
pub const ENCODERS: &[Family] = &[
    Family {
        name: "pixels",
        summary: "the pixel values themselves: finds copies, blind to meaning",
        cost: "none beyond one f32 a value",
        source: "—",
        build: |_| Ok(Box::new(Pixels)),
    },
    Family {
        name: "scattering",
        summary: "wavelet scattering of orders 0 to 2, averaged to at most 1024 features",
        cost: "O(n·pixels·log pixels): a few thousand images of 28×28 a second and core",
        source: "Bruna and Mallat, TPAMI 2013",
        build: |_| Ok(Box::new(Scattering::pooled())),
    },
    Family {
        name: "scattering-full",
        summary: "wavelet scattering of orders 0 to 2 at every position of the transform's grid",
        cost: "as `scattering`; 3969 f32 features for an image of 28×28",
        source: "Bruna and Mallat, TPAMI 2013",
        build: |_| Ok(Box::new(Scattering::full())),
    },
    Family {
        name: "onnx:FILE",
        summary: "a network in an ONNX file, prepared as the TOML beside it or `#PRESET` after it says",
        cost: "one pass of the network an image, on every core; its activations for each",
        source: "—",
        build: |file| Ok(Box::new(Onnx::open(file)?)),
    },
];

/// The encoder registered under a name.
///
/// # Errors
/// If there is none, the error names the registered name most like it, and all of them; or if the file it names cannot be
/// used.
pub fn encoder(name: &str) -> Result<Box<dyn Encoder>> {
    let (stem, argument) = name.split_once(':').map_or((name, None), |(stem, argument)| (stem, Some(argument)));
    let named = |family: &&Family| match (family.name.split_once(':'), argument) {
        (None, None) => family.name == name,
        (Some((known, _)), Some(argument)) => known == stem && !argument.is_empty(),
        _ => false,
    };
    if let Some(family) = ENCODERS.iter().find(named) {
        return (family.build)(argument.unwrap_or(""));
    }
    let likeness = |family: &Family| strsim::jaro_winkler(name, family.name);
    let nearest = ENCODERS.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    Err(Error::Unknown {
        name: name.into(),
        nearest: nearest.expect("the table has entries").name,
        known: ENCODERS.iter().map(|family| format!("`{}`", family.name)).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_data::{ImageSet, Shape, Silent};

    #[test]
    fn every_encoder_stamps_itself_with_its_registered_name() {
        let images = ImageSet::new(Shape { channels: 1, height: 8, width: 8 }, vec![7; 128]).unwrap();
        for family in ENCODERS.iter().filter(|family| !family.name.contains(':')) {
            let embedding = encoder(family.name).unwrap().encode(&images, &Silent).unwrap();
            assert_eq!(embedding.stamp().encoder, family.name);
            assert_eq!(embedding.rows(), 2);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = encoder("scatering").err().unwrap().to_string();
        assert!(error.contains("did you mean `scattering`?"), "{error}");
    }
}
