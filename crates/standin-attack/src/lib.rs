//! Membership inference against images, classifiers and generators.
