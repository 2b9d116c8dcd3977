//! Every row of the task table, from its sample files through a tiny model to metrics.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{last_json, root, succeed, tfbert, tiny};
use serde_json::Value;
use tfbert::metric::MetricName;
use tfbert::task::{Task, tasks};

/// The different labels in a file of predictions, a JSON object a line.
fn predicted_labels(path: &Value) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(path.as_str().unwrap())).unwrap();
    let labels = text.lines().map(|line| {
        let prediction: Value = serde_json::from_str(line).unwrap();
        prediction["label"].as_str().expect("a label").to_owned()
    });
    labels.collect()
}

/// Trains two steps on the sample and evaluates the saved model.
fn walk(task: &Task) {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let arguments = ["--task", &task.name, "--data-dir", "data", "--limit-dev", "20", "--json"];
    let mut train = tfbert();
    train.arg("train").args(arguments).args(["--limit-train", "16", "--max-steps", "2"]);
    train.args(["--batch-size", "8", "--max-length", "128", "--doc-stride", "16"]);
    train.args(["--precision", "f32"]).arg("--model").arg(tiny(task.head.name()));
    let trained = last_json(&succeed(train.arg("--output").arg(&run)));
    assert_eq!(trained["task"], task.name.as_str());
    let mut eval = tfbert();
    eval.arg("eval").args(arguments).args(["--split", &task.dev[0].name]);
    let evaluated = last_json(&succeed(eval.arg("--model").arg(run.join("model"))));
    assert_eq!(evaluated["metrics"], trained["metrics"], "{}", task.name);
    let written = evaluated["predictions"].as_array().unwrap();
    // Hidden words are drawn, so that there is no file of them.
    let predicts_files = !task.head.predicts_hidden_words();
    assert_eq!(!written.is_empty(), predicts_files, "{}: prediction files", task.name);
    for metric in &task.metrics {
        match trained["metrics"][metric.name()].as_f64() {
            Some(value) if *metric == MetricName::Perplexity => {
                assert!(value > 1.0, "{trained}");
            }
            Some(value) => assert!((-1.0..=1.0).contains(&value), "{}: {trained}", task.name),
            // A correlation is undefined where all predictions are the same, as after two steps.
            None => assert_eq!(
                (*metric, predicted_labels(&written[0]).len()),
                (MetricName::MatthewsCorrelation, 1),
                "{}: {trained}",
                task.name
            ),
        }
    }
    for test in &task.test {
        let mut eval = tfbert();
        eval.arg("eval").args(arguments).args(["--split", &test.name]);
        succeed(eval.arg("--model").arg(run.join("model")));
    }
}

#[test]
fn every_task_trains_evaluates_and_writes_predictions_from_its_sample() {
    for task in tasks().iter().filter(|task| task.train.is_some()) {
        walk(task);
    }
}

#[test]
fn a_task_with_any_number_of_labels_keeps_its_threshold_in_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (run, file) = (dir.path().join("run"), "data/my-topics/my-topics.json");
    let mut train = tfbert();
    train.args(["train", "--task", file, "--max-steps", "2", "--json", "--precision", "f32"]);
    train.args(["--max-length", "32", "--class-weights", "balanced", "--label-smoothing", "0.1"]);
    train.arg("--model").arg(tiny("multilabel")).arg("--output").arg(&run);
    let trained = last_json(&succeed(&mut train));
    let best = trained["details"]["best_threshold"].as_f64().unwrap();
    let mut eval = tfbert();
    eval.args(["eval", "--task", file, "--json", "--model"]).arg(run.join("model"));
    let evaluated = last_json(&succeed(&mut eval));
    assert_eq!(evaluated["metrics"], trained["metrics"]);
    let mut predict = tfbert();
    predict.arg("predict").arg("--model").arg(run.join("model"));
    let line = last_json(&succeed(predict.arg("Rain stopped the tennis match")));
    let labels = line["labels"].as_array().unwrap();
    let reached = |value: &&Value| value.as_f64().unwrap() >= best;
    let reached = line["probabilities"].as_object().unwrap().values().filter(reached).count();
    assert_eq!(labels.len(), reached, "{line}");
}

#[test]
fn a_users_own_task_does_the_same_from_a_file() {
    let task = tfbert::task::find("data/my-task/my-task.json").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut train = tfbert();
    train.args(["train", "--task", "data/my-task/my-task.json", "--max-steps", "2", "--json"]);
    train.args(["--precision", "f32", "--max-length", "64"]);
    let trained = last_json(&succeed(
        train.arg("--model").arg(tiny(task.head.name())).arg("--output").arg(&run),
    ));
    assert_eq!(trained["task"], task.name.as_str());
    let mut predict = tfbert();
    predict.arg("predict").arg("--model").arg(run.join("model"));
    let line = last_json(&succeed(predict.arg("I was charged twice this month")));
    assert!(line["label"].is_string(), "{line}");
}
