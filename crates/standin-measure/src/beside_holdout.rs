use crate::context::{Comparison, Context, Side};
use crate::{Against, Estimate, Result};

/// A measure of images against all training images: of the synthetic ones, and for reference of all holdout images in
/// their place.
pub(crate) fn beside_holdout(
    context: &Context<'_>,
    parameters: &str,
    measure: impl Fn(Side) -> Result<Estimate>,
) -> Result<Vec<Comparison>> {
    let of = |images| context.outcome(&[images, Side::AllTrain], || measure(images));
    let [synthetic, train, holdout] =
        [Side::Synthetic, Side::AllTrain, Side::AllHoldout].map(|side| context.size(side));
    let separator = if parameters.is_empty() { "" } else { "; " };
    Ok(vec![Comparison {
        against: Against::Train,
        outcome: of(Side::Synthetic)?,
        reference: (holdout > 0).then(|| of(Side::AllHoldout)).transpose()?,
        parameters: format!(
            "{parameters}{separator}{synthetic} synthetic, {train} training, {holdout} holdout in the reference"
        ),
    }])
}
