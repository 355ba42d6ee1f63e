use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::Deserialize;
use standin_data::Size;

use crate::{Error, Resize, Result};

/// What the TOML file beside a network says, or a preset: how images become the network's input, and which of its
/// outputs are the features. What is left out is taken from the preset, then from the network; the range of values has no
/// default, since no network says it and a wrong one spoils features without a sign.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub preset: Option<String>,
    pub size: Option<Size>,
    pub channels: Option<ChannelOrder>,
    pub range: Option<[f32; 2]>,
    pub divide_by: Option<f32>,
    pub mean: Option<Vec<f32>>,
    pub standard_deviation: Option<Vec<f32>>,
    pub layout: Option<Layout>,
    pub resize: Option<Resize>,
    pub output: Option<String>,
    pub pooling: Option<Pooling>,
    pub normalise: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChannelOrder {
    Rgb,
    Bgr,
    /// One channel; of colour images the luma.
    Grey,
}

impl fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
            Self::Grey => "grey",
        })
    }
}

/// The order of a tensor's axes after the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    ChannelsFirst,
    ChannelsLast,
}

/// How an output becomes one row of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pooling {
    /// All values in order.
    Flatten,
    /// The mean over positions or tokens.
    Mean,
    /// The first token, which in a vision transformer stands for the whole image.
    FirstToken,
}

/// Settings by the name of what they are for.
///
/// `onnx:FILE#NAME` takes one and reads no file. So does `preset = "NAME"` in the TOML file beside the network (`a.toml`
/// for `a.onnx`), whose other keys then replace single settings:
///
/// | key | values | where it is left out |
/// |---|---|---|
/// | `size` | rows and columns, `"224x224"` | the network's |
/// | `channels` | `"rgb"`, `"bgr"`, `"grey"` (of colour images the luma of BT.601) | RGB for three, grey images alone for one |
/// | `range` | the values of pixels 0 and 255, `[-1.0, 1.0]` | the three keys below |
/// | `divide_by`, `mean`, `standard_deviation` | (pixel / divide_by − mean) / standard_deviation, by channel | refused; mean 0; 1 |
/// | `layout` | `"channels-first"`, `"channels-last"` | told by which axis has 1 or 3 |
/// | `resize` | a [`Resize`] rule | `"bicubic"` |
/// | `output` | the name of an output | the only one |
/// | `pooling` | `"flatten"`, `"mean"` over positions or tokens, `"first-token"` | refused unless the output is a vector |
/// | `normalise` | whether features are scaled to length 1 | `false` |
///
/// Means are given after the division, in the network's order of channels.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// Which networks it is for, and whose convention it is.
    pub summary: &'static str,
    /// The settings, as they would stand in the TOML file.
    pub settings: &'static str,
}

/// The built-in presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "fid-inception",
        summary: "the FID Inception of 2015 up to its last pooling, antialiased resize as in clean-fid",
        settings: r#"
size = "299x299"
channels = "rgb"
divide_by = 128.0
mean = [1.0, 1.0, 1.0]
resize = "bicubic"
"#,
    },
    Preset {
        name: "fid-inception-legacy",
        summary: "the FID Inception of 2015 with the resize of its first code, as in torch-fidelity",
        settings: r#"
size = "299x299"
channels = "rgb"
divide_by = 128.0
mean = [1.0, 1.0, 1.0]
resize = "tensorflow1-bilinear"
"#,
    },
    Preset {
        name: "arcface",
        summary: "ArcFace-type face recognisers; faces must be aligned, features have length 1",
        settings: r#"
size = "112x112"
channels = "rgb"
divide_by = 127.5
mean = [1.0, 1.0, 1.0]
resize = "bilinear"
normalise = true
"#,
    },
    Preset {
        name: "dinov2",
        summary: "DINOv2, its class token",
        settings: r#"
size = "224x224"
channels = "rgb"
divide_by = 255.0
mean = [0.485, 0.456, 0.406]
standard_deviation = [0.229, 0.224, 0.225]
resize = "bicubic"
pooling = "first-token"
"#,
    },
    Preset {
        name: "clip",
        summary: "the image tower of CLIP, exported without its text tower",
        settings: r#"
channels = "rgb"
divide_by = 255.0
mean = [0.48145466, 0.4578275, 0.40821073]
standard_deviation = [0.26862954, 0.26130258, 0.27577711]
resize = "bicubic"
"#,
    },
    Preset {
        name: "efficientnet-lite",
        summary: "EfficientNet-Lite with the values its authors trained on",
        settings: r#"
channels = "rgb"
divide_by = 128.0
mean = [0.9921875, 0.9921875, 0.9921875]
resize = "bicubic"
"#,
    },
    Preset {
        name: "imagenet",
        summary: "networks trained on ImageNet with the usual means and standard deviations (torchvision, timm)",
        settings: r#"
channels = "rgb"
divide_by = 255.0
mean = [0.485, 0.456, 0.406]
standard_deviation = [0.229, 0.224, 0.225]
resize = "bilinear"
"#,
    },
];

/// The settings file of a network: `NAME.toml` beside `NAME.onnx`.
pub(super) fn beside(network: &Path) -> PathBuf {
    network.with_extension("toml")
}

impl Settings {
    /// Those of a preset.
    ///
    /// # Panics
    /// If there is none of that name.
    pub(super) fn preset(name: &str) -> Self {
        let preset = PRESETS.iter().find(|preset| preset.name == name).expect("the caller has looked it up");
        toml::from_str(preset.settings).expect("presets are written in this file")
    }

    /// Those of the file beside a network, completed by the preset it names; none at all if there is no file.
    pub(super) fn beside(network: &Path) -> Result<Self> {
        let path = beside(network);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::reading(&path)(error)),
        };
        let settings: Self = toml::from_str(&text).map_err(|error| {
            Error::file(&path, error.to_string().trim_end().to_owned(), "correct the key or its value, or remove it")
        })?;
        if let Some(range) = settings.range {
            if !(range[0] < range[1] && range.iter().all(|end| end.is_finite())) {
                let found = format!("`range = {range:?}`");
                return Err(Error::file(
                    &path,
                    found,
                    "the values of black and white were expected, such as [-1.0, 1.0]",
                ));
            }
            if settings.divide_by.is_some() || settings.mean.is_some() || settings.standard_deviation.is_some() {
                let remedy = "one of the two was expected: remove the other";
                return Err(Error::file(&path, "`range` beside `divide_by`, `mean` or `standard_deviation`", remedy));
            }
        }
        match &settings.preset {
            None => Ok(settings),
            Some(name) if is_preset(name) => Ok(settings.clone().over(Self::preset(name))),
            Some(name) => {
                Err(Error::file(&path, format!("`preset = \"{name}\"`"), format!("known are {}", preset_names())))
            }
        }
    }

    /// These settings, with those of `base` where they say nothing.
    fn over(self, base: Self) -> Self {
        let base = match self.range {
            Some(_) => Self { divide_by: None, mean: None, standard_deviation: None, ..base },
            None => base,
        };
        Self {
            preset: self.preset,
            size: self.size.or(base.size),
            channels: self.channels.or(base.channels),
            range: self.range.or(base.range),
            divide_by: self.divide_by.or(base.divide_by),
            mean: self.mean.or(base.mean),
            standard_deviation: self.standard_deviation.or(base.standard_deviation),
            layout: self.layout.or(base.layout),
            resize: self.resize.or(base.resize),
            output: self.output.or(base.output),
            pooling: self.pooling.or(base.pooling),
            normalise: self.normalise.or(base.normalise),
        }
    }
}

/// Whether a preset of that name is built in.
pub(super) fn is_preset(name: &str) -> bool {
    PRESETS.iter().any(|preset| preset.name == name)
}

/// The names of the presets, for messages.
pub(super) fn preset_names() -> String {
    PRESETS.iter().map(|preset| format!("`{}`", preset.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.toml"), text).unwrap();
        Settings::beside(&folder.path().join("a.onnx"))
    }

    #[test]
    fn every_preset_says_the_range_and_the_channels() {
        for preset in PRESETS {
            let settings = Settings::preset(preset.name);
            assert!(settings.divide_by.is_some() && settings.mean.is_some() && settings.channels.is_some());
        }
    }

    #[test]
    fn the_file_replaces_single_settings_of_its_preset() {
        let preset = Settings::preset("dinov2");
        let settings = read("preset = \"dinov2\"\nsize = \"518x518\"\nnormalise = true").unwrap();
        assert_eq!(settings.size, Some(Size { height: 518, width: 518 }));
        assert_eq!((settings.normalise, settings.mean, settings.pooling), (Some(true), preset.mean, preset.pooling));
        let settings = read("preset = \"dinov2\"\nrange = [-1.0, 1.0]").unwrap();
        assert_eq!((settings.range, settings.mean), (Some([-1.0, 1.0]), None));
    }

    #[test]
    fn a_network_without_a_file_has_no_settings() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::beside(&folder.path().join("a.onnx")).unwrap(), Settings::default());
    }

    #[test]
    fn errors_name_the_file_the_key_and_the_remedy() {
        for (text, words) in [
            ("sise = \"8x8\"", "unknown field `sise`"),
            ("resize = \"lanczos\"", "unknown variant `lanczos`"),
            ("size = \"8\"", "HEIGHTxWIDTH"),
            ("preset = \"fid\"", "`preset = \"fid\"`; known are `fid-inception`"),
            ("range = [1.0, 1.0]", "`range = [1.0, 1.0]`; the values of black and white"),
            ("range = [0.0, 1.0]\nmean = [0.5]", "`range` beside `divide_by`, `mean`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("a.toml: ") && error.contains(words), "{error}");
        }
    }
}
