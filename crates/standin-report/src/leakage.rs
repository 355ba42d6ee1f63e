//! What a guarantee allows the best attack, in words.

use standin_bench::leakage::{auc_ceiling, true_positive_ceiling};
use standin_privacy::Guarantee;

use crate::number::{fixed, rate};

/// An area that a ceiling allows, never rounded up to certainty.
pub(crate) fn ceiling_text(auc: f64) -> String {
    if auc > 0.9995 { "0.999…".into() } else { fixed(auc, 3) }
}

/// What a guarantee allows the best possible attack, in words. The attack tells data with one unit from data without it,
/// or with another in its place, as the guarantee's own definition has it.
pub(crate) fn ceiling_in_words(guarantee: &Guarantee) -> String {
    let Guarantee { epsilon, delta, .. } = *guarantee;
    let auc = auc_ceiling(epsilon, delta);
    if auc > 0.95 {
        return format!(
            "This ε excludes next to nothing: an AUC of {} stays possible. Whether the release is private rests on the \
             attacks, not on the guarantee.",
            ceiling_text(auc)
        );
    }
    let found = true_positive_ceiling(epsilon, delta, 0.01);
    let wrongly = rate(0.01);
    format!(
        "Nobody, whatever they know, can tell such data sets apart with an AUC above {}, or recognise more than {} of the \
         true cases when {wrongly} of the others are accused wrongly.",
        ceiling_text(auc),
        rate((found * 1e3).ceil() / 1e3),
    )
}
