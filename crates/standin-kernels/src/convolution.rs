#[cfg(test)]
mod agreement;
mod apply;
mod channels;
mod ghost;
mod gradient;
mod layout;
mod plan;
mod positions;

use crate::instructions::Instructions;
use crate::units::Units;

/// Geometry of a convolution of up to three spatial axes: one or two axes are three with leading sizes of 1, kernels and
/// strides of 1 and paddings of 0 there.
///
/// Images are `batch × channels × size`, weights `outputs × inputs/groups × kernel`. As everywhere in this field it is a
/// cross-correlation:
///
/// y\[n, o, p] = bias\[o] + Σ_c Σ_a weight\[o, c, a] · x\[n, c, p·stride + a·dilation − padding]
///
/// with c over the channels of o's group. The functions panic where a slice has not the length that the geometry says.
/// Costs are batch × outputs × positions × inputs/groups × kernel products for each of them, unless said otherwise; beside
/// the result they need a copy of the weights and a padded sample per thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Samples.
    pub batch: usize,
    /// Channels of the input, a multiple of `groups`.
    pub inputs: usize,
    /// Channels of the output, a multiple of `groups`.
    pub outputs: usize,
    /// Groups of channels that see each other; `inputs` for a depthwise convolution.
    pub groups: usize,
    /// Size of the input.
    pub size: [usize; 3],
    /// Size of the kernel, at least 1.
    pub kernel: [usize; 3],
    /// Distance of neighbouring positions, at least 1.
    pub stride: [usize; 3],
    /// Zeros on either side.
    pub padding: [usize; 3],
    /// Distance of neighbouring taps, at least 1.
    pub dilation: [usize; 3],
}

impl Convolution {
    /// A convolution of images with a square kernel, in one group and without dilation; `channels` are of the input and
    /// of the output.
    pub fn planar(
        batch: usize,
        channels: [usize; 2],
        size: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        Self {
            batch,
            inputs: channels[0],
            outputs: channels[1],
            groups: 1,
            size: [1, size[0], size[1]],
            kernel: [1, kernel, kernel],
            stride: [1, stride, stride],
            padding: [0, padding, padding],
            dilation: [1; 3],
        }
    }

    /// Size of the output: ⌊(size + 2·padding − dilation·(kernel − 1) − 1)/stride⌋ + 1 along each axis, and 0 where the
    /// kernel is larger than the padded input.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|axis| {
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            let padded = self.size[axis] + 2 * self.padding[axis];
            if padded < reach { 0 } else { (padded - reach) / self.stride[axis] + 1 }
        })
    }

    /// y: `batch × outputs × output`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check("the input", x, self.batch * self.inputs * self.positions_in());
        self.check("the weight", weight, self.weights());
        if let Some(bias) = bias {
            self.check("the bias", bias, self.outputs);
        }
        if self.is_empty() {
            return vec![0.0; self.batch * self.outputs * self.positions_out()];
        }
        self.forward_on(Instructions::best(), x, weight, bias)
    }

    /// Gradient of the input, `batch × inputs × size`, from that of the output. It is also the forward pass of the
    /// transposed convolution from `outputs` to `inputs` channels with the same weights.
    pub fn input_gradient(&self, output_gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        self.check("the output gradient", output_gradient, self.batch * self.outputs * self.positions_out());
        self.check("the weight", weight, self.weights());
        if self.is_empty() {
            return vec![0.0; self.batch * self.inputs * self.positions_in()];
        }
        self.input_gradient_on(Instructions::best(), output_gradient, weight)
    }

    /// Gradient of the weights, `outputs × inputs/groups × kernel`, summed over samples, each times its factor where
    /// `weights` gives one: with clipping factors this is the clipped sum.
    pub fn weight_gradient(&self, x: &[f32], output_gradient: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
        self.check_pair(x, output_gradient);
        if let Some(weights) = weights {
            self.check("the samples' factors", weights, self.batch);
        }
        if self.is_empty() {
            return vec![0.0; self.weights()];
        }
        self.weight_gradient_on(Instructions::best(), x, output_gradient, weights)
    }

    /// Gradient of the weights for each unit, summed over its samples: `units × outputs × inputs/groups × kernel`.
    pub fn unit_gradients(&self, x: &[f32], output_gradient: &[f32], units: &Units) -> Vec<f32> {
        self.check_pair(x, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        if self.is_empty() {
            return vec![0.0; units.len() * self.weights()];
        }
        self.unit_gradients_on(Instructions::best(), x, output_gradient, units)
    }

    /// Squared norm of each row of [`Convolution::unit_gradients`], which are not kept.
    ///
    /// A unit costs the lesser of its gradient and, for each pair of its samples, pixels²·inputs + positions²·(outputs +
    /// kernel) products, from which the same number follows (Li et al. 2022, "ghost clipping"). Where positions cancel, the
    /// second way is exact to a rounding of the sum without signs rather than of the norm.
    pub fn unit_squared_norms(&self, x: &[f32], output_gradient: &[f32], units: &Units) -> Vec<f64> {
        self.check_pair(x, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        if self.is_empty() {
            return vec![0.0; units.len()];
        }
        self.unit_squared_norms_on(Instructions::best(), x, output_gradient, units)
    }

    /// Whether there is nothing to sum.
    fn is_empty(&self) -> bool {
        self.batch * self.inputs * self.outputs * self.positions_in() * self.positions_out() == 0
    }

    /// Taps of the kernel.
    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    fn weights(&self) -> usize {
        self.outputs * self.inputs / self.groups * self.taps()
    }

    fn positions_in(&self) -> usize {
        self.size.iter().product()
    }

    fn positions_out(&self) -> usize {
        self.output().iter().product()
    }

    fn check(&self, what: &str, numbers: &[f32], expected: usize) {
        let Self { inputs, outputs, groups, kernel, stride, dilation, .. } = self;
        assert!(
            *groups > 0 && inputs % groups == 0 && outputs % groups == 0,
            "{inputs} inputs and {outputs} outputs are not whole groups of {groups}"
        );
        assert!(
            [kernel, stride, dilation].iter().all(|axes| axes.iter().all(|&length| length > 0)),
            "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} are at least 1"
        );
        assert_eq!(numbers.len(), expected, "{what} is to be as long as {self:?} says");
    }

    fn check_pair(&self, x: &[f32], output_gradient: &[f32]) {
        self.check("the input", x, self.batch * self.inputs * self.positions_in());
        self.check("the output gradient", output_gradient, self.batch * self.outputs * self.positions_out());
    }
}
