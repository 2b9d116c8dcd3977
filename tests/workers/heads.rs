//! Several workers end in the weights of one, with every head.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::cluster::{DEADLINE, end, export_folder, flags, launch};
use crate::common::{last_json, succeed, tfbert};
use crate::interrupted::{alone, spawn};

/// How far the weights of several workers may be from those of one, relative to their norm.
const NEAR: f64 = 1e-6;

/// Whether the exact gradient of a weight is 0: soft-max does not change when the same number is added
/// to all of its inputs. The computed gradient is then rounding alone. AdamW divides it by its own size,
/// so that each step moves the weight by about the learning rate, in a direction that the order of
/// additions decides. Such weights change no output, and are not compared.
fn has_no_gradient(head: &str, weight: &str) -> bool {
    const KEYS: &str = "attention.self.key.bias";
    let of_the_head = match head {
        // Soft-max over the choices of an example, each of which has one logit.
        "choice" => "classifier.bias",
        // Soft-max over the places of a window, each of which has a logit as start and one as end.
        "span" => "qa_outputs.bias",
        _ => return weight.ends_with(KEYS),
    };
    // A query's product with the bias of the keys is the same for all keys.
    weight == of_the_head || weight.ends_with(KEYS)
}

/// The weights of a run's model under Hugging Face's names.
fn weights(run: &Path) -> BTreeMap<String, Vec<f64>> {
    let folder = run.join("exported");
    succeed(tfbert().arg("export").arg(run).args(["--to", "hugging-face"]).arg(&folder));
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |bytes: &[u8]| {
        let numbers = bytes.chunks_exact(4);
        numbers.map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
    };
    tensors.iter().map(|(name, tensor)| (name.to_owned(), floats(tensor.data()))).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// The difference of two models relative to their norm, without the weights of no gradient.
fn distance(head: &str, one: &Path, other: &Path) -> f64 {
    let (one, other) = (weights(one), weights(other));
    assert!(one.keys().eq(other.keys()));
    let (mut differences, mut norms, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (name, values) in &one {
        let difference = norm(values.iter().zip(&other[name]).map(|(one, other)| one - other));
        if has_no_gradient(head, name) {
            left_out.push(format!("{name} {difference:.1e}"));
        } else {
            differences.push((difference, name));
            norms.push(norm(values.iter().copied()));
        }
    }
    let largest = differences.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    let norm_of_all = norm(norms.into_iter());
    assert!(norm_of_all > 1.0);
    let relative = norm(differences.iter().map(|(difference, _)| *difference)) / norm_of_all;
    println!("{head}: {relative:.1e}, most in {largest:?}; not compared: {left_out:?}");
    relative
}

/// A run without dropout of some number of workers: its folder and result.
fn run(folder: &Path, head: &str, workers: usize) -> (PathBuf, Value) {
    let run = folder.join(format!("{head}-{workers}"));
    let mut flags = flags(head, &run);
    flags.extend(["--dropout".into(), "0".into()]);
    let result = last_json(&succeed(&mut launch(workers, &flags)));
    (run, result)
}

fn assert_equal_to_one(head: &str, workers: usize) {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (one, expected) = run(dir.path(), head, 1);
    let (several, result) = run(dir.path(), head, workers);
    let distance = distance(head, &one, &several);
    assert!(distance < NEAR, "{head}, {workers} workers: {distance}");
    assert!(distance > 0.0, "{head}: one worker was compared with itself");
    assert_eq!(result["steps"], expected["steps"], "{head}, {workers} workers");
    for (name, value) in expected["metrics"].as_object().unwrap() {
        let (found, value) = (result["metrics"][name].as_f64(), value.as_f64());
        let near = found.zip(value).is_none_or(|(found, value)| (found - value).abs() < 1e-4);
        assert!(near && found.is_some() == value.is_some(), "{head} {name}: {found:?}, {value:?}");
    }
}

#[test]
fn four_workers_end_in_the_weights_of_one() {
    assert_equal_to_one("classify", 4);
}

#[test]
fn three_workers_of_another_head_end_in_the_weights_of_one() {
    assert_equal_to_one("span", 3);
}

/// Of the heads whose export is there: `make workers-exports` makes them, in a minute.
#[test]
fn two_workers_of_every_head_that_is_exported_end_in_the_weights_of_one() {
    for head in ["tag", "regress", "choice", "multilabel"] {
        if export_folder(head).join("saved_model.pb").is_file() {
            assert_equal_to_one(head, 2);
        } else {
            println!("{head}: not exported");
        }
    }
}

/// Needs the export of `regress`, as above.
#[test]
fn the_worker_whose_rows_have_a_loss_that_is_not_finite_is_named() {
    let _alone = alone();
    if !export_folder("regress").join("saved_model.pb").is_file() {
        println!("regress: not exported");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("sentence {n},{}", if n == 9 { "1e30" } else { "1" });
    let rows: Vec<String> = (0..24).map(row).collect();
    let write = |name: &str, rows: &[String]| {
        let path = dir.path().join(name);
        fs::write(&path, format!("text,score\n{}\n", rows.join("\n"))).unwrap();
        path.display().to_string()
    };
    let (data, dev) = (write("train.csv", &rows), write("dev.csv", &rows[..8]));
    let flags: Vec<String> = flags("regress", &dir.path().join("run"))
        .into_iter()
        .filter(|flag| !["--task", "stsb"].contains(&flag.as_str()))
        .chain(["--data", &data, "--dev", &dev, "--head", "regress"].map(str::to_owned))
        .chain(["--text", "text", "--label", "score"].map(str::to_owned))
        .collect();
    let (code, stderr) = end(spawn(&mut launch(2, &flags)), DEADLINE);
    assert_eq!(code, Some(1), "{stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.contains("error: ")).collect();
    let own = errors.iter().find(|line| line.contains("] error: step "));
    let own = own.unwrap_or_else(|| panic!("{stderr}"));
    assert!(own.contains("the loss is inf (inf of this worker's rows)"), "{stderr}");
    let (named, last) = (&own[1..2], errors.last().unwrap());
    assert!(last.starts_with(&format!("error: worker {named}: step ")), "{stderr}");
    let other = format!("] error: worker {named} (127.0.0.1:");
    assert!(errors.iter().any(|line| line.contains(&other)), "{stderr}");
}
