use standin_data::{Shape, Size};

use super::network::{Input, Network};
use super::settings::{self, ChannelOrder, Layout, Settings};
use crate::resize::Resizer;
use crate::{Resize, Result};

/// How 8-bit images become the input of a network: settings and network put together, with nothing left open.
#[derive(Debug)]
pub(super) struct Preparation {
    pub size: Size,
    order: ChannelOrder,
    /// Whether colour images may be turned to grey.
    luma: bool,
    /// The values are (pixel / divide_by − mean) / standard_deviation, for each of the network's channels.
    divide_by: f32,
    mean: Vec<f32>,
    standard_deviation: Vec<f32>,
    layout: Layout,
    resize: Resize,
}

impl Preparation {
    /// Completes the settings by what the network says of its input.
    pub(super) fn new(network: &Network, input: &Input, settings: &Settings) -> Result<Self> {
        let file = settings::beside(network.path());
        let file = file.display();
        let shape = input.shape.as_deref().map(<[_; 4]>::try_from).transpose().map_err(|_| {
            let found = format!("the input `{}` is {}", input.name, described(input));
            network.error(found, "images × channels × rows × columns, or channels last, were expected")
        })?;
        let [batch, second, third, fourth] = shape.unwrap_or_default();
        if batch.is_some_and(|batch| batch != 1) {
            let found = format!("the input `{}` is {}", input.name, described(input));
            return Err(network.error(found, "a free number of images, or 1, was expected: export it so"));
        }
        let colours = |size: Option<usize>| size.is_some_and(|size| size == 1 || size == 3);
        let layout = settings.layout.or(match (colours(second), colours(fourth)) {
            (true, false) => Some(Layout::ChannelsFirst),
            (false, true) => Some(Layout::ChannelsLast),
            _ => None,
        });
        let layout = layout.ok_or_else(|| {
            let found = format!("the input `{}` is {}, which does not tell the channels", input.name, described(input));
            network.error(found, format!("write `layout = \"channels-first\"` or `\"channels-last\"` in {file}"))
        })?;
        let (channels, height, width) = match layout {
            Layout::ChannelsFirst => (second, third, fourth),
            Layout::ChannelsLast => (fourth, second, third),
        };
        let order = match (settings.channels, channels) {
            (Some(order), None) => order,
            (Some(order), Some(channels)) if order.count() == channels => order,
            (None, Some(1)) => ChannelOrder::Grey,
            (None, Some(3)) => ChannelOrder::Rgb,
            (order, channels) => {
                let order =
                    order.map_or("no order of channels".to_owned(), |order| format!("channels in the order {order}"));
                let channels = channels.map_or("any number of".to_owned(), |channels| channels.to_string());
                let found = format!("{order} for the input `{}` with {channels} channels", input.name);
                let remedy =
                    "write `channels = \"rgb\"`, `\"bgr\"` or `\"grey\"`, whichever the network was trained on, in";
                return Err(network.error(found, format!("{remedy} {file}")));
            }
        };
        let size = match (settings.size, height, width) {
            (Some(size), ..)
                if height.is_none_or(|height| height == size.height)
                    && width.is_none_or(|width| width == size.width) =>
            {
                size
            }
            (None, Some(height), Some(width)) => Size { height, width },
            (size, ..) => {
                let size = size.map_or("no size".to_owned(), |size| format!("the size {size}"));
                let found = format!("{size} for the input `{}`, which is {}", input.name, described(input));
                let remedy =
                    format!("write the rows and columns it was trained on, such as `size = \"224x224\"`, in {file}");
                return Err(network.error(found, remedy));
            }
        };
        let (divide_by, mean, standard_deviation) = values(settings, order.count()).map_err(|found| {
            let remedy = format!(
                "name the encoder `onnx:{}#PRESET` or write `preset = \"PRESET\"` in {file}, one of {}; or write there \
                 the values of black and white, such as `range = [-1.0, 1.0]`, or `divide_by`, `mean` and \
                 `standard_deviation`",
                network.path().display(),
                settings::preset_names()
            );
            network.error(found, remedy)
        })?;
        let luma = settings.channels == Some(ChannelOrder::Grey);
        let resize = settings.resize.unwrap_or(Resize::Bicubic);
        Ok(Self { size, order, luma, divide_by, mean, standard_deviation, layout, resize })
    }

    /// What happens to images of any size, in full.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} to {}, {}, (pixel / {} − {:?}) / {:?}",
            self.resize, self.size, self.order, self.divide_by, self.mean, self.standard_deviation
        )
    }

    /// What happens besides to images of this many channels.
    ///
    /// # Errors
    /// If the network takes one channel, the images have three, and the settings do not ask for their luma.
    pub(super) fn describe_channels(&self, network: &Network, shape: Shape) -> Result<Option<&'static str>> {
        match (shape.channels, self.order) {
            (3, ChannelOrder::Grey) if self.luma => Ok(Some("luma (BT.601)")),
            (3, ChannelOrder::Grey) => Err(network.error(
                format!("the network takes one channel, the images are {shape}"),
                format!(
                    "write `channels = \"grey\"` in {} to encode their luma, or convert the images before",
                    settings::beside(network.path()).display()
                ),
            )),
            (1, ChannelOrder::Rgb | ChannelOrder::Bgr) => Ok(Some("grey repeated as colour")),
            _ => Ok(None),
        }
    }

    /// The order of the axes, of the input and so of feature maps.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// The shape of the input for one image.
    pub(super) fn tensor(&self) -> [usize; 4] {
        let (channels, Size { height, width }) = (self.order.count(), self.size);
        match self.layout {
            Layout::ChannelsFirst => [1, channels, height, width],
            Layout::ChannelsLast => [1, height, width, channels],
        }
    }

    /// The resizing of planes of images of this shape.
    pub(super) fn resizer(&self, shape: Shape) -> Resizer {
        Resizer::new(self.resize, Size { height: shape.height, width: shape.width }, self.size)
    }

    /// The input for one image of 8-bit planes.
    pub(super) fn apply(&self, image: &[u8], shape: Shape, resizer: &Resizer) -> Vec<f32> {
        let area = shape.height * shape.width;
        let planes: Vec<Vec<f32>> = match (shape.channels, self.order) {
            (3, ChannelOrder::Grey) => vec![luma(image, area)],
            _ => image.chunks_exact(area).map(|plane| plane.iter().map(|&pixel| f32::from(pixel)).collect()).collect(),
        };
        let planes: Vec<Vec<f32>> = planes.iter().map(|plane| resizer.apply(plane)).collect();
        let source = |channel: usize| match self.order {
            ChannelOrder::Bgr => planes.len() - 1 - channel.min(planes.len() - 1),
            _ => channel.min(planes.len() - 1),
        };
        let channels = self.order.count();
        let value = |channel: usize, pixel: f32| {
            (pixel / self.divide_by - self.mean[channel]) / self.standard_deviation[channel]
        };
        match self.layout {
            Layout::ChannelsFirst => (0..channels)
                .flat_map(|channel| planes[source(channel)].iter().map(move |&pixel| value(channel, pixel)))
                .collect(),
            Layout::ChannelsLast => (0..self.size.height * self.size.width)
                .flat_map(|at| (0..channels).map(move |channel| (at, channel)))
                .map(|(at, channel)| value(channel, planes[source(channel)][at]))
                .collect(),
        }
    }
}

impl ChannelOrder {
    fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// The divisor, means and standard deviations, or what is missing or wrong.
fn values(settings: &Settings, channels: usize) -> Result<(f32, Vec<f32>, Vec<f32>), String> {
    if let Some([black, white]) = settings.range {
        let divide_by = 255.0 / (white - black);
        return Ok((divide_by, vec![-black; channels], vec![1.0; channels]));
    }
    let Some(divide_by) = settings.divide_by else {
        return Err("nothing says which range of values the network expects".to_owned());
    };
    let mean = settings.mean.clone().unwrap_or_else(|| vec![0.0; channels]);
    let standard_deviation = settings.standard_deviation.clone().unwrap_or_else(|| vec![1.0; channels]);
    for (name, values, positive) in [
        ("divide_by", &vec![divide_by; channels], true),
        ("mean", &mean, false),
        ("standard_deviation", &standard_deviation, true),
    ] {
        let sound = |value: &f32| value.is_finite() && (*value > 0.0 || !positive);
        if values.len() != channels || !values.iter().all(sound) {
            let kind = if positive { "positive" } else { "finite" };
            return Err(format!("`{name} = {values:?}` where {channels} {kind} values were expected"));
        }
    }
    Ok((divide_by, mean, standard_deviation))
}

/// ITU-R BT.601 rounded to 8 bits, as grey import and Pillow's mode "L" do.
fn luma(image: &[u8], area: usize) -> Vec<f32> {
    let part = |channel: usize| &image[channel * area..(channel + 1) * area];
    let colours = part(0).iter().zip(part(1)).zip(part(2));
    colours
        .map(|((&r, &g), &b)| (u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + (1 << 15)) >> 16)
        .map(|luma| luma as f32)
        .collect()
}

fn described(input: &Input) -> String {
    let size = |size: &Option<usize>| size.map_or("any".to_owned(), |size| size.to_string());
    match &input.shape {
        Some(shape) => shape.iter().map(size).collect::<Vec<_>>().join(" × "),
        None => "of no stated shape".to_owned(),
    }
}
