//! Plots as SVG text: pure functions of numbers.
//!
//! Every element carries a class and no colour of its own; the page's style gives colours to classes through CSS
//! variables, so a plot follows light, dark and print. Coordinates are in CSS pixels of the drawing's own size.

mod axes;
mod budget;
mod drawing;
mod exceedance;
pub(crate) mod forest;
mod interval;
mod labels;
mod matrix;
mod quantiles;
mod roc;
mod scale;
mod scatter;

pub use budget::{BudgetPoint, budget_curve};
pub(crate) use exceedance::{ExceedancePlot, Tail};
pub(crate) use interval::interval_bar;
pub(crate) use matrix::CorrelationMatrix;
pub(crate) use quantiles::QuantilePlot;
pub(crate) use roc::{Ceiling, Curve, RocPanel};
pub(crate) use scatter::{Marker, Point, Scatter, certainty_sample, front_sample, marker_sample};
