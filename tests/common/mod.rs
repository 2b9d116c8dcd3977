//! What tests of the whole binary share.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tiny export of a head, which `make test-exports` makes.
pub fn tiny(head: &str) -> PathBuf {
    let path = root().join("target/exports/tiny").join(head);
    assert!(path.join("saved_model.pb").is_file(), "run `make test-exports` first");
    path
}

/// The binary, in the repository, without the variables that would lead it elsewhere.
pub fn tfbert() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tfbert"));
    command.current_dir(root()).env_remove("TFBERT_DATA").env_remove("RUST_LOG");
    // No export of the user's own is found.
    command.env_remove("TFBERT_MODELS").env("XDG_DATA_HOME", root().join("target/no-data-home"));
    // Of this process alone: what another version of the binary tokenised must not be found.
    let cache = format!("cache-{}", std::process::id());
    command.env("TFBERT_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join(cache));
    command
}

/// Trains the tiny export for SST-2 on the shipped sample, briefly, into `output`.
pub fn train_tiny(output: &Path) -> Command {
    train_export(&tiny("classify"), output)
}

/// As [`train_tiny`], another export.
pub fn train_export(export: &Path, output: &Path) -> Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", "sst2", "--data-dir", "data", "--limit-train", "96"])
        .args(["--limit-dev", "40", "--epochs", "1", "--batch-size", "16", "--precision", "f32"])
        .args(["--max-length", "64", "--learning-rate", "1e-3", "--json"])
        .arg("--model")
        .arg(export)
        .arg("--output")
        .arg(output);
    command
}

/// Stdout and stderr as text.
pub fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a command that must succeed; its stdout.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}

/// Runs a command that must fail with a message, not a panic; its stderr.
pub fn fail(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    let (stdout, stderr) = text(&output);
    assert!(!output.status.success(), "{command:?} did not fail\n{stdout}\n{stderr}");
    assert!(output.status.code().is_some_and(|code| code < 100), "{:?}\n{stderr}", output.status);
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.lines().any(|line| line.starts_with("error: ")), "no message:\n{stderr}");
    stderr
}

/// The JSON object on the last line.
pub fn last_json(stdout: &str) -> serde_json::Value {
    let line = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The loss of each update of a run that logs every one.
pub fn losses(run: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    log.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line.get("grad_norm").is_some())
        .map(|line| line["loss"].as_f64().unwrap())
        .collect()
}
