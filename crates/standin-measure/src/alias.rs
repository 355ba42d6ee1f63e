/// A short name under which a measure is known in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The short name, in lower case.
    pub short: &'static str,
    /// The registered measure.
    pub measure: &'static str,
    /// What the encoder's name must hold for the short name to be the right one: FID is the Fréchet distance on the
    /// features of one Inception network, and nothing else.
    pub encoder: Option<&'static str>,
}

const fn alias(short: &'static str, measure: &'static str) -> Alias {
    Alias { short, measure, encoder: None }
}

/// Every short name.
pub const ALIASES: &[Alias] = &[
    alias("fd", "frechet-distance"),
    Alias { short: "fid", measure: "frechet-distance", encoder: Some("inception") },
    alias("kid", "kernel-distance"),
    alias("fd-inf", "fd-infinity"),
    Alias { short: "fid-infinity", measure: "fd-infinity", encoder: Some("inception") },
    alias("mifid", "memorisation-fid"),
    alias("fld", "feature-likelihood"),
    alias("irs", "retrieval"),
    alias("c2st", "two-sample-classifier"),
    alias("mind", "sliced-wasserstein"),
    alias("vendi", "vendi-score"),
    alias("authpct", "authenticity"),
    alias("c-t", "copying-z"),
    alias("ct", "copying-z"),
    alias("dcr", "dcr-share"),
    alias("nndr", "nearest-ratio"),
    alias("ims", "identical-matches"),
];

/// The registered measure that a name stands for: itself, unless it is a short name. Letter case and the difference
/// between `-` and `_` do not count.
pub fn full_name(name: &str) -> String {
    let plain = name.to_lowercase().replace('_', "-");
    ALIASES.iter().find(|alias| alias.short == plain).map_or(plain, |alias| alias.measure.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn every_short_name_stands_for_a_registered_measure_and_is_none_itself() {
        for alias in ALIASES {
            assert_eq!(measure(alias.measure).unwrap().name, alias.measure);
            assert!(measure(alias.short).is_err(), "{}", alias.short);
        }
    }

    #[test]
    fn spelling_does_not_count() {
        assert_eq!(full_name("C_T"), "copying-z");
        assert_eq!(full_name("FD"), "frechet-distance");
        assert_eq!(full_name("vendi_score"), "vendi-score");
    }
}
