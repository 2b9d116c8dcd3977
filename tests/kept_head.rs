//! A fine-tuned checkpoint with its own head (`python -m python_export --keep-head`): a RoBERTa with a
//! byte-level tokenizer, whose labels are SST-2's under other names.

mod common;

use std::path::{Path, PathBuf};

use common::{fail, last_json, root, succeed, tfbert};
use serde_json::Value;

const TEXTS: [&str; 3] = ["a good film", "Élodie's 東京 film, not bad", ""];

fn kept(folder: &str) -> PathBuf {
    let path = root().join("target/exports/tiny-roberta").join(folder);
    assert!(path.join("saved_model.pb").is_file(), "run `make test-exports` first");
    path
}

fn positive(model: &Path, label: &str) -> Vec<f64> {
    let lines = succeed(tfbert().arg("predict").arg("--model").arg(model).args(TEXTS));
    let value = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["probabilities"][label].as_f64().unwrap()
    };
    lines.lines().map(value).collect()
}

#[test]
fn the_model_is_evaluated_on_the_tasks_files_by_its_own_names_of_the_labels() {
    let mut eval = tfbert();
    eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--limit-dev", "40", "--json"]);
    let result = last_json(&succeed(eval.arg("--model").arg(kept("model"))));
    assert!(result["metrics"]["accuracy"].is_number(), "{result}");
    let mut other = tfbert();
    other.args(["eval", "--task", "cola", "--data-dir", "data", "--model"]).arg(kept("model"));
    let error = fail(&mut other);
    assert!(error.contains("the model's labels are `NEGATIVE`, `POSITIVE`"), "{error}");
}

#[test]
fn training_goes_on_with_the_head_that_the_checkpoint_brought() {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept-head-run");
    let mut train = tfbert();
    train
        .args(["train", "--task", "sst2", "--data-dir", "data", "--limit-train", "32"])
        .args(["--limit-dev", "16", "--epochs", "1", "--precision", "f32", "--max-length", "32"])
        .args(["--learning-rate", "1e-9", "--overwrite", "--model"])
        .arg(kept("classify"))
        .arg("--output")
        .arg(&run);
    succeed(&mut train);
    // A rate of nothing: the model is what the checkpoint was.
    let before = positive(&kept("model"), "POSITIVE");
    let after = positive(&run.join("model"), "positive");
    assert_eq!(before.len(), TEXTS.len());
    for (before, after) in before.iter().zip(&after) {
        assert!((before - after).abs() < 1e-4, "{before} {after}");
    }
}
