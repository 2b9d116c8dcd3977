//! `tfbert data check` and `train --dry-run`: what is found in the data and what training would do.
//! They need no TensorFlow.

mod common;

use common::{fail, last_json, succeed, text, tfbert, tiny};

/// A check of the shipped SST-2 sample, on a machine whose TensorFlow cannot be found.
fn check(flags: &[&str]) -> std::process::Command {
    let mut command = tfbert();
    command.args(["data", "check", "--task", "sst2", "--data-dir", "data", "--precision", "f32"]);
    command.args(["--tensorflow", "nowhere", "--max-length", "32", "--model"]);
    command.arg(tiny("classify")).args(flags);
    command
}

#[test]
fn a_check_counts_what_training_would_read_and_plans_its_steps() {
    let flags = ["--limit-train", "100", "--limit-dev", "40", "--batch-size", "8", "--epochs", "2"];
    let stdout = succeed(check(&flags).arg("--json"));
    assert!(stdout.contains("train: data/SST-2/train.tsv: 100 examples"), "{stdout}");
    assert!(stdout.contains("nothing was trained; no problem was found"), "{stdout}");
    let report = last_json(&stdout);
    let [train, dev] = [0, 1].map(|split| &report["splits"][split]);
    assert_eq!(train["examples"], 100);
    let count = |label: usize| train["labels"][label]["count"].as_u64().unwrap();
    assert_eq!(count(0) + count(1), 100);
    assert_eq!(dev["examples"], 40);
    assert_eq!(dev["in_training"], 0);
    assert!(train["lengths"]["longest"].as_u64().unwrap() <= 32);
    let plan = &report["plan"];
    assert_eq!((&plan["steps"], &plan["steps_per_epoch"]), (&26.into(), &13.into()));
    assert_eq!((&plan["warmup_steps"], &plan["evaluations"]), (&3.into(), &2.into()));
    assert_eq!(report["warnings"], serde_json::json!([]));
}

#[test]
fn windows_of_passages_are_counted_as_rows() {
    let mut command = tfbert();
    command.args(["data", "check", "--task", "squad", "--data-dir", "data", "--json"]);
    command.args(["--max-length", "128", "--doc-stride", "32", "--model"]).arg(tiny("span"));
    let report = last_json(&succeed(&mut command));
    let train = &report["splits"][0];
    assert!(train["rows"].as_u64() > train["examples"].as_u64(), "{train}");
    assert_eq!(train["labels"], serde_json::json!([]));
}

#[test]
fn a_run_that_would_train_nothing_is_warned_of() {
    let output =
        check(&["--limit-train", "8", "--batch-size", "32", "--epochs", "1"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("no update changes a weight: the run has 1 step"), "{stderr}");
    assert!(stderr.contains("a batch of 32 is larger than the training file"), "{stderr}");
    assert!(stdout.contains("nothing was trained; 2 warnings"), "{stdout}");
}

#[test]
fn empty_variables_are_the_same_as_unset_ones() {
    let mut command = tfbert();
    command.args(["data", "check", "--task", "sst2", "--no-cache", "--limit-train", "40"]);
    command.env("TFBERT_DATA", "").env("TFBERT_CACHE", "").arg("--model").arg(tiny("classify"));
    assert!(succeed(&mut command).contains("data/SST-2/train.tsv: 40 examples"));
}

#[test]
fn a_dry_run_refuses_the_folder_that_training_would_refuse_and_leaves_it_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("run");
    let train = || {
        let mut command = tfbert();
        command.args(["train", "--dry-run", "--task", "sst2", "--data-dir", "data"]);
        command.args(["--limit-train", "40", "--limit-dev", "8", "--model"]);
        command.arg(tiny("classify")).arg("--output").arg(&output);
        command
    };
    succeed(&mut train());
    assert!(!output.exists());
    std::fs::create_dir(&output).unwrap();
    std::fs::write(output.join("notes.txt"), "mine").unwrap();
    assert!(fail(&mut train()).contains("not empty and holds no run"));
}
