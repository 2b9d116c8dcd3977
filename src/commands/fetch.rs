//! `tfbert data fetch`.

use std::path::Path;

use tfbert::cli::FetchArgs;
use tfbert::error::{Error, Result};
use tfbert::fetch::Fetch;
use tfbert::task::{self, Task};

use super::print_line;

pub fn run(args: &FetchArgs) -> Result<()> {
    // All names first: a mistyped one is not found after a long download.
    let find = |name: &String| -> Result<Task> { task::find(name) };
    let tasks: Vec<Task> = args.tasks.iter().map(find).collect::<Result<_>>()?;
    let fetch =
        Fetch { data_dir: &args.data_dir, accepted: &args.accept_hash, overwrite: args.overwrite };
    for task in &tasks {
        let written = fetch.task(task).map_err(|error| in_task(error, task, tasks.len()))?;
        for path in &written {
            print_line(path.display())?;
        }
        log::info!("next: `{}`", next(task, args));
    }
    Ok(())
}

/// Names the task where several are fetched.
fn in_task(error: Error, task: &Task, of: usize) -> Error {
    if of > 1 { error.context(&task.name) } else { error }
}

/// The command that uses the files.
fn next(task: &Task, args: &FetchArgs) -> String {
    let is_default = args.data_dir == Path::new("data");
    let by_variable = std::env::var_os("TFBERT_DATA").is_some_and(|dir| dir == args.data_dir);
    let folder = match is_default || by_variable {
        true => String::new(),
        false => format!(" --data-dir {}", args.data_dir.display()),
    };
    match &task.model_of {
        Some(other) => format!("tfbert eval --task {} --model runs/{other}{folder}", task.name),
        None => format!("tfbert train --task {}{folder}", task.name),
    }
}
