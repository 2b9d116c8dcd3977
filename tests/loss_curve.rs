//! A whole loss curve beside PyTorch's: 100 steps of MiniLM-L6 on the shipped sample of SST-2.
//!
//! It covers what a step is made of at once: tokens, batches, the schedule, the gradient, clipping,
//! AdamW. `tests/golden/make_loss_curve.py` made the golden. CONTRIBUTING.md lists the mutations
//! that must turn this test red.

mod common;

use std::fs;

use common::{root, succeed, tfbert};
use serde_json::Value;

/// The most that a loss may differ from PyTorch's.
const LOSS: f64 = 1e-4;
/// The most that a gradient's norm may differ, relative to PyTorch's.
const GRADIENT_NORM: f64 = 1e-3;

#[test]
fn a_hundred_steps_of_minilm_follow_the_loss_curve_of_pytorch() {
    let golden = fs::read_to_string(root().join("tests/golden/loss_curve.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let expected = |name: &str| -> Vec<f64> {
        golden[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (losses, rates, norms) =
        (expected("loss"), expected("learning_rate"), expected("grad_norm"));
    assert_eq!(losses.len(), 100);

    let model = root().join("target/exports/minilm-l6/classify");
    assert!(model.join("saved_model.pb").is_file(), "run `make test-exports` first");
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut train = tfbert();
    train.arg("train");
    train.args(golden["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()));
    succeed(train.arg("--model").arg(&model).arg("--output").arg(&run));

    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = lines.filter(|line| line.get("grad_norm").is_some()).collect();
    assert_eq!(steps.len(), losses.len());
    for (i, step) in steps.iter().enumerate() {
        let found = |name: &str| step[name].as_f64().unwrap();
        let (loss, rate, norm) = (found("loss"), found("learning_rate"), found("grad_norm"));
        let at = i + 1;
        assert!((rate - rates[i]).abs() < 1e-10, "step {at}: rate {rate}, not {}", rates[i]);
        assert!((loss - losses[i]).abs() < LOSS, "step {at}: loss {loss}, not {}", losses[i]);
        let relative = (norm - norms[i]).abs() / norms[i];
        assert!(relative < GRADIENT_NORM, "step {at}: norm {norm}, not {}", norms[i]);
    }
}
