//! The terms of the report, a line each.

/// A term, the anchor other sections link to, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    pub(crate) anchor: &'static str,
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
}

const fn term(anchor: &'static str, name: &'static str, meaning: &'static str) -> Term {
    Term { anchor, name, meaning }
}

/// All terms, in the order a reader meets them.
pub(crate) const TERMS: &[Term] = &[
    term(
        "member",
        "Member, non-member",
        "An image the release was trained on; an image of the same population that nothing was trained on.",
    ),
    term(
        "holdout",
        "Holdout",
        "Real images kept from every generator and classifier. What they show cannot be leakage, so every privacy number stands beside theirs.",
    ),
    term(
        "interval",
        "Interval",
        "In brackets: the range that covers the true value in 95 of 100 repetitions of the measurement. Wide means few observations.",
    ),
    term(
        "accuracy",
        "Accuracy, balanced accuracy",
        "The share of real test images classified correctly; the mean of the classes' shares, which a frequent class cannot dominate.",
    ),
    term(
        "ratio",
        "Replacement ratio",
        "Accuracy of a classifier trained on the synthetic images divided by that of the same classifier trained on the private ones (TSTR / TRTR). 1 means nothing is lost.",
    ),
    term(
        "attack",
        "Membership attack",
        "A procedure that tells members from non-members by what is released. It measures what an adversary with that access could learn about who is in the data.",
    ),
    term(
        "auc",
        "AUC",
        "Area under the ROC curve: the chance that the attack ranks a random member above a random non-member. 0.5 is guessing, 1 is certainty.",
    ),
    term(
        "p",
        "p, corrected p",
        "The probability of so large an AUC if the release said nothing about membership. Corrected for the number of attacks on the release (Holm), it is below 0.05 for one harmless release in twenty at most; with several seeds it is twice their mean, which holds however they depend on each other.",
    ),
    term(
        "canary",
        "Canary",
        "An image that took part in a training by the toss of a coin, so that what is released about it can be told from chance. Mislabelled, odd or noisy ones can only be remembered; natural ones are training images as they are.",
    ),
    term(
        "roc",
        "ROC curve",
        "True-positive rate against false-positive rate over all thresholds. Logarithmic axes show the left end, where an adversary is certain about a few people.",
    ),
    term(
        "tpr",
        "TPR at FPR",
        "The share of members the attack finds when only the given share of non-members is accused wrongly. It shows harm to a few that averages hide; with n non-members, rates below 1/n cannot be measured.",
    ),
    term(
        "epsilon",
        "ε, δ (differential privacy)",
        "Whatever is observed, the odds that a given unit was in the data change by a factor of at most e^ε, except with probability δ. Below 1 is strong; above about 5 the guarantee alone excludes little.",
    ),
    term(
        "lower",
        "ε demonstrated",
        "A lower bound on ε that an attack proves with 95 % confidence. It must lie below what the guarantee allows for exchanging one image (2ε where it speaks of adding or removing one); a large gap means a loose guarantee or a weak attack.",
    ),
    term(
        "pareto",
        "Pareto front",
        "The releases that no other release beats in both utility and resistance to attacks. Certainly on it: in at least 95 % of joint draws from the intervals; possibly: in more than 5 %.",
    ),
    term(
        "tstr",
        "TSTR, TRTR, TRTS, T+S",
        "Train on synthetic, test on real; train on real, test on real; train on real, test on synthetic; train on both, test on real. T+S above TRTR means that the synthetic images add something to the private ones.",
    ),
    term(
        "protocol",
        "Protocol",
        "Everything besides the images that a number depends on: encoder with its weights and preprocessing, parameters, number of images. Numbers of different protocols are not compared.",
    ),
    term("prdc", "PRDC", "Precision, recall, density and coverage together, from nearest neighbours in feature space."),
    term(
        "precision",
        "Precision",
        "The share of synthetic images that lie among the real ones in feature space: fidelity.",
    ),
    term("recall", "Recall", "The share of real images that lie among the synthetic ones: variety."),
    term(
        "density",
        "Density",
        "How many real neighbourhoods a synthetic image lies in, on average: precision that outliers do not inflate. About 1 for real images; may exceed 1.",
    ),
    term(
        "coverage",
        "Coverage",
        "The share of real images with a synthetic image in their neighbourhood: recall that outliers do not inflate.",
    ),
    term(
        "fid",
        "FID, FD (frechet-distance)",
        "Fréchet distance between Gaussians fitted to real and synthetic features. Called FID for the features of the Inception network of 2015 only. Lower is better; biased upward for few images, so compare only at equal n.",
    ),
    term(
        "kid",
        "KID (kernel-distance)",
        "Squared maximum mean discrepancy with a cubic kernel between real and synthetic features. Lower is better; unbiased, so it may fall below 0.",
    ),
    term(
        "cmmd",
        "CMMD",
        "Squared maximum mean discrepancy with a Gaussian kernel between CLIP features, times 1000. Lower is better.",
    ),
    term(
        "is",
        "IS (class-score)",
        "How sure a classifier is of each synthetic image and how many classes it sees in all; called Inception score for that network and its 1000 classes. Higher is better; it never looks at the real images, so it misses what is missing.",
    ),
    term(
        "lpips",
        "LPIPS",
        "Perceptual distance of two images by the features of a network trained for it. 0 means the same to the eye.",
    ),
    term(
        "vendi",
        "Vendi score",
        "The effective number of different images in a set, from the eigenvalues of its similarity matrix.",
    ),
    term(
        "authenticity",
        "Authenticity (AuthPct)",
        "The share of synthetic images that are farther from their nearest training image than that image is from its own nearest neighbour: low means copying.",
    ),
    term(
        "dcr",
        "DCR share",
        "Distance to the closest record: the share of synthetic images nearer to the training than to the holdout set. 0.5 is what new images would show, more is copying. To pass does not mean to be safe.",
    ),
    term(
        "c-t",
        "C_T (copying-z)",
        "A rank test, cell by cell of feature space, of whether synthetic images are nearer to training images than holdout images are. Far below 0 is copying, far above 0 is underfitting.",
    ),
    term(
        "copy",
        "Copy, false-match rate",
        "A synthetic image nearer to a training image than a threshold. The threshold is set so that the false-match rate, a share chosen beforehand, of holdout images is below it.",
    ),
    term(
        "near-copy",
        "Near copy, p-value",
        "A synthetic image unusually close to a training image. p is the share of holdout images at least as close to theirs: what happens by resemblance alone.",
    ),
    term(
        "rank",
        "Rank, rank interval",
        "Place among the sets compared, 1 for the best. The interval has every rank that the uncertainty of the values leaves possible, for all comparisons of a set together.",
    ),
    term(
        "spearman",
        "Spearman's ρ",
        "Correlation of ranks: 1 where two figures order the sets alike, −1 where in reverse, 0 where neither tells anything of the other.",
    ),
    term(
        "gate",
        "Gate",
        "A condition on the figures of a run, set beforehand. It is tested at the end of each interval that is worse for it, so it passes only where chance does not explain it.",
    ),
    term(
        "post-processing",
        "Post-processing",
        "Nothing computed from a release can leak more than the release itself: classifier ≤ images ≤ generator for the best attack.",
    ),
    term(
        "seed",
        "Seed",
        "Repetitions differ only in the random seed. Numbers are pooled over seeds unless stated otherwise.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_unique() {
        let anchors: std::collections::BTreeSet<_> = TERMS.iter().map(|term| term.anchor).collect();
        assert_eq!(anchors.len(), TERMS.len());
    }
}
