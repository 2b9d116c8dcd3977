//! A model's limits are checked against the task before the first step, and an export that is not
//! finished is no model.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{fail, root, succeed, text, tfbert, tiny};

/// A copy of the tiny classifier whose contract says that the encoder has `value` of `key`.
fn export_with(parent: &Path, key: &str, value: usize) -> PathBuf {
    let copy = parent.join("tiny").join("classify");
    let from = tiny("classify");
    for folder in ["variables", "assets.extra/serving"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
    }
    for folder in ["", "variables", "assets.extra", "assets.extra/serving"] {
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, copy.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let path = copy.join("assets.extra/tfbert.json");
    let mut contract: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    contract["encoder"][key] = value.into();
    fs::write(&path, contract.to_string()).unwrap();
    copy
}

fn train(task: &str, export: &Path, output: &Path) -> std::process::Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", task, "--data-dir", "data", "--max-steps", "1", "--no-cache"])
        .args(["--limit-train", "8", "--limit-dev", "8", "--max-length", "32"])
        .args(["--precision", "f32", "--model"])
        .arg(export)
        .arg("--output")
        .arg(output);
    command
}

#[test]
fn an_encoder_with_one_segment_trains_single_texts_and_refuses_pairs_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let export = export_with(dir.path(), "type_vocab_size", 1);
    succeed(&mut train("sst2", &export, &dir.path().join("single")));
    let output = dir.path().join("pair");
    let stderr = fail(&mut train("mrpc", &export, &output));
    assert!(stderr.contains("joins two texts in 2 segments"), "{stderr}");
    assert!(stderr.contains("`type_vocab_size`"), "{stderr}");
    assert!(!output.exists());
}

#[test]
fn a_tokenizer_with_more_entries_than_the_encoder_is_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let export = export_with(dir.path(), "vocab_size", 100);
    let stderr = fail(&mut train("sst2", &export, &dir.path().join("run")));
    assert!(stderr.contains("embeddings for 100 (`vocab_size`)"), "{stderr}");
    assert!(stderr.contains("tokenizer.json"), "{stderr}");
}

#[test]
fn doctor_names_an_export_that_is_not_finished_and_does_not_count_it() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("tiny").join(".classify.partial-7-c0ffee");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("saved_model.pb"), "").unwrap();
    let output = tfbert()
        .args(["doctor", "--data-dir", "data", "--saved-models"])
        .arg(dir.path())
        .current_dir(root())
        .output()
        .unwrap();
    let (stdout, _) = text(&output);
    let line = stdout.lines().find(|line| line.contains(".classify.partial-")).unwrap();
    assert!(line.starts_with("ok   unfinished export: "), "{line}");
    assert!(line.contains("the next export removes it"), "{line}");
    assert!(stdout.contains("FIX  exports: "), "{stdout}");
    assert!(!stdout.contains("FIX  export: "), "{stdout}");
}
