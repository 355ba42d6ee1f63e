//! What was found as tables: all of it, for other programs.

use standin_measure::Column;

use super::{IdentityMatch, ImagePair, SyntheticMatch};

impl IdentityMatch {
    /// The columns of its table.
    pub const COLUMNS: &[Column<Self>] = &[
        Column::text("identity", "the real identity", |found| Some(found.identity.clone())),
        Column::index("images", "images of it", |found| Some(found.images)),
        Column::index("image", "index of its image that is most similar to a synthetic one, from 0", |found| {
            Some(found.image)
        }),
        Column::index("synthetic", "index of that synthetic image", |found| Some(found.synthetic)),
        Column::number("similarity", "cosine of the features of the two, from -1 to 1", |found| Some(found.similarity)),
        Column::number(
            "p_value",
            "probability of as good a match for an identity with as many images that nobody saw; empty without a holdout",
            |found| found.p_value,
        ),
        Column::number(
            "tail_p_value",
            "p_value, extrapolated where the match is better than those of all identities that nobody saw",
            |found| found.tail_p_value,
        ),
        Column::number(
            "adjusted_p_value",
            "tail_p_value adjusted for the number of identities (Benjamini and Hochberg); empty without a holdout",
            |found| found.adjusted_p_value,
        ),
    ];
}

impl SyntheticMatch {
    /// The columns of its table.
    pub const COLUMNS: &[Column<Self>] = &[
        Column::index("synthetic", "index of the synthetic image, from 0", |found| Some(found.synthetic)),
        Column::index("train", "index of the most similar training image", |found| Some(found.train)),
        Column::text("identity", "its identity", |found| Some(found.identity.clone())),
        Column::number("similarity", "cosine of the features of the two, from -1 to 1", |found| Some(found.similarity)),
        Column::index("holdout", "index of the most similar holdout image; empty without a holdout", |found| {
            found.holdout.map(|(image, _)| image)
        }),
        Column::number("holdout_similarity", "cosine of the features of the two; empty without a holdout", |found| {
            found.holdout.map(|(_, similarity)| similarity)
        }),
    ];
}

impl ImagePair {
    /// The columns of its table.
    pub const COLUMNS: &[Column<Self>] = &[
        Column::index("synthetic", "index of the synthetic image, from 0", |pair| Some(pair.synthetic)),
        Column::index("other", "index of the other image", |pair| Some(pair.other)),
        Column::number("similarity", "cosine of the features of the two, from -1 to 1", |pair| Some(pair.similarity)),
    ];
}
