//! Flags of `tfbert compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `tfbert compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of runs, or folders that hold some.
    #[arg(value_name = "RUN", default_value = "runs")]
    pub runs: Vec<PathBuf>,

    /// What is written to stdout. The page has the curves of all runs: `--format html > runs.html`.
    #[arg(long, value_enum, default_value = "table")]
    pub format: CompareFormat,
}

/// The form of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// A table for the terminal.
    Table,
    /// Comma-separated values, the runs of all tasks in one table.
    Csv,
    /// A table in Markdown.
    Markdown,
    /// A page with overlaid curves.
    Html,
    /// A JSON object with every task.
    Json,
}
