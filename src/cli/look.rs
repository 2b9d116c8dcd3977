//! Flags of the commands that only look: `tfbert tasks` and `tfbert doctor`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Arguments of `tfbert tasks`.
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// Print this task's row as a file to start one's own from.
    #[arg(long, value_name = "TASK")]
    pub show: Option<String>,
}

/// Arguments of `tfbert completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell whose completions are printed.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `tfbert man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages: `tfbert.1`, and one for each command.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Arguments of `tfbert doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Folder of the data sets.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Folder of the exports [default: every folder in which an encoder is looked up by its name].
    #[arg(long, value_name = "DIR")]
    pub saved_models: Option<PathBuf>,
}
