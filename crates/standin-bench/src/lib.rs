//! Stages, the store, executors and studies.
//!
//! A study is a [`graph::Graph`] of [`stage::Stage`]s. An executor runs it into a [`store::Store`], where every finished
//! stage has a folder named by the digest of everything that determines its result. So nothing is computed twice, a
//! killed study resumes where it was, and studies that share stages share their results.
//!
//! ```
//! use std::path::Path;
//!
//! use standin_bench::executor::{LocalExecutor, Quiet};
//! use standin_bench::graph::Graph;
//! use standin_bench::stage::{Inputs, Stage, StageId, StageResult};
//! use standin_bench::store::Store;
//! use standin_data::{Progress, Seed};
//!
//! /// Draws a number.
//! #[derive(serde::Serialize)]
//! struct Draw {
//!     seed: Seed,
//! }
//!
//! impl Stage for Draw {
//!     fn kind(&self) -> &'static str {
//!         "draw"
//!     }
//!     fn code_version(&self) -> u32 {
//!         1
//!     }
//!     fn configuration(&self) -> serde_json::Value {
//!         serde_json::json!(self)
//!     }
//!     fn inputs(&self) -> Vec<StageId> {
//!         Vec::new()
//!     }
//!     fn run(&self, _inputs: &Inputs, out: &Path, _progress: &dyn Progress) -> StageResult {
//!         Ok(std::fs::write(out.join("result.json"), self.seed.derive("draw").value().to_string())?)
//!     }
//! }
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path().join("runs"))?;
//! let mut graph = Graph::new();
//! let draw = graph.add(Draw { seed: Seed::new(7) })?;
//!
//! let first = LocalExecutor::default().run(&graph, &store, &Quiet)?;
//! let again = LocalExecutor::default().run(&graph, &store, &Quiet)?;
//! assert!(first.is_complete() && first.seconds_saved() == 0.0);
//! assert!(again.is_complete() && again.seconds_saved() > 0.0);
//! assert!(store.folder(draw).join("result.json").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod augmentation;
mod chance;
pub mod difference;
pub mod executor;
pub mod experience;
pub mod gate;
pub mod graph;
pub mod leakage;
pub mod pattern;
pub mod planned;
pub mod ranking;
pub mod stage;
pub mod store;

pub mod study;
pub mod summary;
