//! Classifiers and the utility of a training set.
