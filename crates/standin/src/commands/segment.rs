//! `standin segment`: networks that segment volumes, taught by few labels; what they predict, and how good it is.

mod evaluate;
mod predict;
mod train;

use clap::Subcommand;

use super::Context;
use crate::failure::{Failure, Status};

/// Segment volumes with few labels: train, predict, score
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Train a network on few volumes with labels and many without
    Train(Box<train::Train>),
    /// Segment volumes with a trained network
    Predict(predict::Predict),
    /// Score predicted label volumes against references: overlap and surface distances
    Evaluate(evaluate::Evaluate),
}

impl Arguments {
    /// Runs the task.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self.task {
            Task::Train(train) => train.run(context),
            Task::Predict(predict) => predict.run(context),
            Task::Evaluate(evaluate) => evaluate.run(context),
        }
    }
}
