//! `tfbert compare`.

use serde_json::json;
use tfbert::cli::{CompareArgs, CompareFormat};
use tfbert::compare::{Comparison, compare, csv, find_runs, lines, markdown, page};
use tfbert::error::{Error, Result};
use tfbert::run::RunFiles;

use super::print_line;

/// Prints the runs side by side.
pub fn run(args: &CompareArgs) -> Result<()> {
    let folders = find_runs(&args.runs)?;
    let mut runs = Vec::new();
    for folder in &folders {
        match RunFiles::read(folder) {
            Ok(run) => runs.push(run),
            Err(error) => log::warn!("left out: {error}"),
        }
    }
    if runs.is_empty() {
        return Err(Error::new("none of the runs can be read"));
    }
    let found = compare(runs)?;
    match args.format {
        CompareFormat::Table => blocks(&found, lines),
        CompareFormat::Markdown => blocks(&found, markdown),
        CompareFormat::Csv => print_line(csv(&found)?.trim_end()),
        CompareFormat::Html => print_line(page(&found)),
        CompareFormat::Json => {
            let tasks: Vec<_> = found.iter().map(Comparison::to_json).collect();
            print_line(json!({ "tasks": tasks }))
        }
    }
}

/// Prints the lines of each task, with an empty line between two tasks.
fn blocks(found: &[Comparison], lines: fn(&Comparison) -> Vec<String>) -> Result<()> {
    for (i, comparison) in found.iter().enumerate() {
        if i > 0 {
            print_line("")?;
        }
        lines(comparison).iter().try_for_each(print_line)?;
    }
    Ok(())
}
