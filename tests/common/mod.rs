//! What tests of the whole binary share.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

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
    command.env("TFBERT_CACHE", cache());
    command
}

/// A cache folder of this build of the binary, which all test crates share: XLA compiles each shape of
/// the tiny exports once. What another build tokenised must not be found, so its folder is removed.
fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let built = std::fs::metadata(env!("CARGO_BIN_EXE_tfbert")).unwrap().modified().unwrap();
        let built = built.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let caches = Path::new(env!("CARGO_TARGET_TMPDIR")).join("caches");
        let cache = caches.join(built.to_string());
        std::fs::create_dir_all(&cache).unwrap();
        for other in std::fs::read_dir(&caches).unwrap().map(|entry| entry.unwrap().path()) {
            if other != cache {
                let _ = std::fs::remove_dir_all(other);
            }
        }
        cache
    })
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

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|e| (e.path(), to.join(e.file_name()))).unwrap();
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// The files below a folder whose names hold `part`.
pub fn files(dir: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, part));
        } else if path.file_name().unwrap().to_string_lossy().contains(part) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A copy of an export that says it has contract version 2: XLA compiles the functions that otherwise have kernels.
pub fn without_kernels(export: &Path, into: &Path) -> PathBuf {
    copy_folder(export, into);
    let file = into.join("assets.extra/tfbert.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut description: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(description["contract_version"], 3);
    description["contract_version"] = 2.into();
    std::fs::write(file, description.to_string()).unwrap();
    into.to_owned()
}
