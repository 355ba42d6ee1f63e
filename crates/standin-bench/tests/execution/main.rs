//! Graphs run into stores: what is kept, found again, shared, contained and cleaned.

mod failures;
mod maintenance;
mod resuming;
mod sharing;
mod threads;
mod writer;
