//! Stages, the store, executors and studies.
//!
//! A study is a [`graph::Graph`] of [`stage::Stage`]s. An executor runs it into a [`store::Store`], where every finished
//! stage has a folder named by the digest of everything that determines its result. So nothing is computed twice, a
//! killed study resumes where it was, and studies that share stages share their results.

pub mod executor;
pub mod graph;
pub mod stage;
pub mod store;

pub mod summary;
