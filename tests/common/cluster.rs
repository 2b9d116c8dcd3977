//! Several workers on this machine, for tests.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{root, text, tfbert};
use crate::interrupted::code;

/// No process of a test runs longer.
pub const DEADLINE: Duration = Duration::from_secs(240);
/// How soon all workers end after one of them has.
pub const NOTICED: Duration = Duration::from_secs(15);

/// Where the tiny export of a head with the graph of several workers is.
pub fn export_folder(head: &str) -> PathBuf {
    root().join("target/exports/workers/tiny").join(head)
}

/// That export, which `make test-exports` makes.
pub fn export(head: &str) -> PathBuf {
    let path = export_folder(head);
    assert!(path.join("saved_model.pb").is_file(), "run `make test-exports` first");
    path
}

/// The flags of a run of 50 steps in one shape, each of 12 rows, so that 2, 3 and 4 workers have as many
/// each.
pub fn flags(head: &str, output: &Path) -> Vec<String> {
    let task = match head {
        "span" => "squad",
        "tag" => "conll2003",
        "regress" => "stsb",
        "choice" => "swag",
        "multilabel" => "data/my-topics/my-topics.json",
        _ => "sst2",
    };
    let mut flags: Vec<String> = [
        ["train", "--task", task, "--data-dir", "data", "--precision", "f32"].as_slice(),
        &["--limit-train", "96", "--limit-dev", "12", "--batch-size", "12", "--epochs", "99"],
        &["--max-steps", "50", "--learning-rate", "1e-3", "--eval-steps", "25"],
        &["--save-steps", "5", "--log-steps", "5", "--json", "--max-length"],
        &[if head == "span" { "128" } else { "16" }, "--doc-stride", "16"],
    ]
    .concat()
    .iter()
    .map(|&flag| flag.to_owned())
    .collect();
    flags.extend(["--model".into(), export(head).display().to_string()]);
    flags.extend(["--output".into(), output.display().to_string()]);
    flags
}

/// As [`flags`], with several workers where `workers` says so.
pub fn launch(workers: usize, flags: &[String]) -> Command {
    let mut command = tfbert();
    if workers > 1 {
        command.args(["launch", "--workers", &workers.to_string(), "--threads", "1", "--"]);
        command.args(flags);
    } else {
        command.args(flags).args(["--threads", "1"]);
    }
    command
}

/// Waits for a process, which is killed at the deadline: its exit code and stderr.
pub fn end(mut child: Child, deadline: Duration) -> (Option<i32>, String) {
    let start = Instant::now();
    let mut late = false;
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > deadline {
            late = true;
            child.kill().unwrap();
            break;
        }
        sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output).1;
    assert!(!late, "still running after {deadline:?}:\n{stderr}");
    (code(&output), stderr)
}

/// The step of the newest checkpoint; 0 before the first.
pub fn steps_saved(run: &Path) -> usize {
    fs::read_dir(run.join("checkpoints")).map_or(0, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        let steps = names.filter_map(|name| {
            name.to_string_lossy().strip_prefix("step-").and_then(|step| step.parse().ok())
        });
        steps.max().unwrap_or(0)
    })
}
