//! Training with the step that XLA compiles as one function.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{fail, losses, root, succeed, text, tfbert, tiny, train_export};

/// The tiny export that has a whole-step graph, which `make test-exports` makes.
fn export() -> PathBuf {
    let path = root().join("target/exports/tiny-whole-step/classify");
    assert!(path.join("saved_model.pb").is_file(), "run `make test-exports` first");
    path
}

/// Trains six steps in one shape into `run`.
fn train(run: &Path, whole_step: &str) -> std::process::Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", "sst2", "--data-dir", "data", "--limit-train", "96"])
        .args(["--limit-dev", "40", "--epochs", "1", "--batch-size", "16", "--precision", "f32"])
        .args(["--max-length", "16", "--learning-rate", "1e-3", "--log-steps", "1"])
        .args(["--whole-step", whole_step, "--model"])
        .arg(export())
        .arg("--output")
        .arg(run);
    command
}

fn recorded(run: &Path) -> serde_json::Value {
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&record).unwrap()["whole_step"].clone()
}

#[test]
fn the_whole_step_trains_as_the_training_graph_does_which_a_cpu_takes_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let [on, auto] = ["on", "auto"].map(|whole_step| {
        let run = dir.path().join(whole_step);
        let mut command = train(&run, whole_step);
        succeed(command.env("CUDA_VISIBLE_DEVICES", "").args(["--dropout", "0"]));
        run
    });
    let (whole, graph) = (losses(&on), losses(&auto));
    assert_eq!((whole.len(), graph.len()), (6, 6));
    for (a, b) in whole.iter().zip(&graph) {
        assert!((a - b).abs() < 1e-5 * a, "{whole:?}\n{graph:?}");
    }
    assert_eq!((recorded(&on), recorded(&auto)), (true.into(), false.into()));
    let again = train(&auto, "on").args(["--dropout", "0", "--resume"]).output().unwrap();
    let (stdout, stderr) = text(&again);
    assert!(again.status.success(), "{stdout}\n{stderr}");
    assert!(stderr.contains("started with `--whole-step off`"), "{stderr}");
    let mut eval = tfbert();
    eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--limit-dev", "40"]);
    succeed(eval.arg("--model").arg(on.join("model")));
}

#[test]
fn an_export_without_the_graph_is_refused_before_a_folder_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let stderr = fail(train_export(&tiny("classify"), &run).args(["--whole-step", "on"]));
    assert!(stderr.contains("no whole-step graph") && stderr.contains("--force"), "{stderr}");
    assert!(!run.exists());
}
