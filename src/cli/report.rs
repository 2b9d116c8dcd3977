//! Flags of `tfbert report`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `tfbert report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs; complete runs have a report already.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
}
