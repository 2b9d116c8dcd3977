//! The subcommands of `tfbert data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::TrainArgs;

/// The commands on data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read and check all that `tfbert train` with the same flags would read, and print what was
    /// found and what training would do. It needs no TensorFlow and looks at no output folder.
    Check(Box<TrainArgs>),
    /// Download the files of built-in tasks from where they are published, and check them.
    Fetch(FetchArgs),
}

/// Arguments of `tfbert data fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// The tasks whose files are fetched (see `tfbert tasks`).
    #[arg(value_name = "TASK", required = true)]
    pub tasks: Vec<String>,

    /// Folder of the data sets; each task has a folder in it.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Take a file with this SHA-256 although it is not the published one.
    #[arg(long, value_name = "SHA256")]
    pub accept_hash: Vec<String>,

    /// Replace files that are there.
    #[arg(long)]
    pub overwrite: bool,
}
