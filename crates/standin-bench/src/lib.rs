//! Stages, the store, executors and studies.

pub mod summary;
