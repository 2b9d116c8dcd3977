//! Training that starts from a trained model, that is resumed by its folder alone, and that ends early.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{fail, last_json, succeed, text, tfbert, tiny, train_tiny};

const WEIGHTS: &str = "model/variables/variables.data-00000-of-00001";

/// Trains from a model or its run.
fn train_from(model: &Path, output: &Path, task: &str, more: &[&str]) -> Command {
    let mut train = tfbert();
    train.args(["train", "--task", task, "--data-dir", "data", "--precision", "f32", "--json"]);
    train.args(["--limit-train", "32", "--limit-dev", "40", "--batch-size", "16"]);
    train.args(["--max-length", "64", "--max-steps", "1"]).args(more);
    train.arg("--model").arg(model).arg("--output").arg(output);
    train
}

#[test]
fn training_starts_from_a_trained_models_weights_with_its_head_where_the_labels_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let trained = last_json(&succeed(&mut train_tiny(&first)));
    // A learning rate of 0 changes nothing, so the model is that which training started from.
    let output = train_from(&first, &second, "sst2", &["--learning-rate", "0"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(stderr.contains("with its head"), "{stderr}");
    assert_eq!(last_json(&stdout)["metrics"], trained["metrics"], "{stderr}");
    assert_eq!(fs::read(first.join(WEIGHTS)).unwrap(), fs::read(second.join(WEIGHTS)).unwrap());
    assert!(!second.join(".start").exists());

    let third = dir.path().join("third");
    let stderr = text(&train_from(&first, &third, "mnli", &[]).output().unwrap()).1;
    assert!(stderr.contains("with a new head") && third.join("result.json").exists(), "{stderr}");
    let fourth = dir.path().join("fourth");
    let stderr = text(&train_from(&first, &fourth, "stsb", &[]).output().unwrap()).1;
    assert!(stderr.contains("with a new head") && fourth.join("result.json").exists(), "{stderr}");
}

#[test]
fn a_trained_model_whose_export_is_gone_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(train_tiny(&run).args(["--max-steps", "1"]));
    let description = run.join("model/assets.extra/tfbert.json");
    let known = fs::read_to_string(&description).unwrap();
    let gone = known.replace("\"tiny\"", "\"other\"").replace("exports/tiny", "exports/none");
    assert_ne!(known, gone);
    fs::write(&description, gone).unwrap();
    let stderr = fail(&mut train_from(&run, &dir.path().join("next"), "sst2", &[]));
    assert!(stderr.contains("`other`") && stderr.contains("--export DIR"), "{stderr}");
    fs::write(&description, known.replace("exports/tiny", "exports/none")).unwrap();
    let export = tiny("classify");
    let export = export.to_str().unwrap();
    succeed(&mut train_from(&run, &dir.path().join("next"), "sst2", &["--export", export]));
    let mut wrong = train_from(Path::new(export), &dir.path().join("x"), "sst2", &[]);
    assert!(fail(wrong.args(["--export", export])).contains("`--export` is for a trained model"));
}

#[test]
fn a_run_is_resumed_by_its_folder_alone_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(train_tiny(&run).args(["--keep-checkpoints", "1"]));
    let weights = fs::read(run.join(WEIGHTS)).unwrap();
    // As if it had been killed before the end.
    fs::remove_file(run.join("result.json")).unwrap();
    fs::remove_dir_all(run.join("model")).unwrap();
    let mut resume = tfbert();
    resume.args(["train", "--resume", "--output", "run"]).current_dir(dir.path());
    succeed(&mut resume);
    assert_eq!(fs::read(run.join(WEIGHTS)).unwrap(), weights);
    let mut nothing = tfbert();
    nothing.args(["train", "--resume", "--output", "none"]).current_dir(dir.path());
    assert!(!nothing.output().unwrap().status.success());
}

#[test]
fn patience_ends_a_run_that_no_longer_improves_and_its_result_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut train = train_tiny(&run);
    // Nothing changes, so the second and the third evaluation are no better.
    train.args(["--learning-rate", "0", "--eval-steps", "1", "--patience", "2"]);
    train.args(["--lr-scheduler", "cosine", "--warmup-steps", "2"]);
    let output = train.output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(stderr.contains("2 evaluations in a row"), "{stderr}");
    let result = last_json(&stdout);
    assert_eq!((&result["steps"], &result["best_step"]), (&3.into(), &1.into()));
    assert!(run.join("model").is_dir());
}
