//! The program as a user meets it: what it prints and writes, and how it ends.

mod attack;
mod audit;
mod augment;
mod bench;
mod classify;
mod data;
mod generate;
mod identities;
mod measure;
mod privacy;
mod program;
mod robustness;
mod segment;
mod slurm;
