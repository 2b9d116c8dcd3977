//! The subcommands of `tfbert data`.

use clap::Subcommand;

use super::TrainArgs;

/// The commands on data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read and check all that `tfbert train` with the same flags would read, and print what was
    /// found and what training would do. It needs no TensorFlow and looks at no output folder.
    Check(Box<TrainArgs>),
}
