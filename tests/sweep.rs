//! `tfbert sweep`.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{fail, last_json, succeed, text, tfbert, tiny};
use serde_json::Value;

/// A sweep over the tiny export on the shipped sample, of `more` flags.
fn sweep(output: &Path, more: &[&str]) -> Command {
    let mut sweep = tfbert();
    sweep.args(["sweep", "--task", "sst2", "--data-dir", "data", "--precision", "f32", "--json"]);
    sweep.args(["--limit-train", "32", "--limit-dev", "40", "--batch-size", "16"]);
    sweep.args(["--max-length", "64"]).args(more);
    sweep.arg("--model").arg(tiny("classify")).arg("--output").arg(output);
    sweep
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_sweep_trains_every_combination_keeps_the_best_model_and_prints_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let flags = ["--learning-rate", "1e-3,0", "--epochs", "1", "--seeds", "1-2"];
    let output = sweep(&runs, &flags).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("4 runs: learning-rate 0.001, 0; seeds 1,2"), "{stderr}");
    assert!(stderr.contains("run 4 of 4: learning-rate 0, seed 2; about "), "{stderr}");

    let found = last_json(&stdout);
    let record = json(&runs.join("sweep.json"));
    let best = runs.join(record["best"].as_str().unwrap());
    assert_eq!(found["best"]["folder"], best.to_str().unwrap());
    assert_eq!(found["rows"].as_array().unwrap().len(), 2);
    assert_eq!(found["rows"][0]["seeds"], serde_json::json!([1, 2]));
    let mut models = 0;
    for run in record["runs"].as_array().unwrap() {
        let folder = runs.join(run["folder"].as_str().unwrap());
        assert_eq!(run["state"], "complete");
        assert_eq!(json(&folder.join("result.json"))["metrics"], run["metrics"]);
        models += usize::from(folder.join("model").is_dir());
    }
    assert_eq!(models, 1);
    assert!(best.join("model").is_dir());
    assert!(stdout.lines().any(|line| line.contains("learning_rate  seeds  accuracy")), "{stdout}");

    // The printed command is that of the best run, and the sweep's folder stands for it.
    let command = found["best"]["command"].as_array().unwrap();
    let words = command.iter().skip(1).map(|word| word.as_str().unwrap());
    let seed = best.file_name().unwrap().to_str().unwrap().replace("seed-", "--seed ");
    assert!(words.clone().collect::<Vec<_>>().join(" ").ends_with(&seed), "{command:?}");
    succeed(tfbert().args(words).arg("--dry-run").arg("--output").arg(dir.path().join("again")));
    succeed(tfbert().arg("predict").arg("--model").arg(&runs).arg("a fine film"));

    // The models of the others are gone, and an error of `export` says so.
    let folders = record["runs"].as_array().unwrap().iter();
    let mut others = folders.map(|run| runs.join(run["folder"].as_str().unwrap()));
    let other = others.find(|folder| *folder != best).unwrap();
    let export = |run: &Path, to: &str| {
        let mut command = tfbert();
        command.arg("export").arg(run).args(["--to", "hugging-face"]).arg(dir.path().join(to));
        command
    };
    let stderr = fail(&mut export(&other, "other"));
    assert!(stderr.contains("was removed") && stderr.contains("--resume"), "{stderr}");
    let stderr = fail(&mut export(&dir.path().join("none"), "none"));
    assert!(stderr.contains("no trained model") && stderr.contains("runs/sst2"), "{stderr}");
    succeed(&mut export(&runs, "best"));
}

#[test]
fn a_sweep_is_resumed_by_its_folder_alone_and_extended() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let steps = |values: &str| {
        let mut sweep = sweep(&runs, &["--max-steps", values]);
        sweep.args(["--learning-rate", "1e-3"]);
        sweep
    };
    succeed(&mut steps("1,2"));
    let result = runs.join("max-steps-1/result.json");
    let written = || fs::metadata(&result).unwrap().modified().unwrap();
    let before = written();
    let stderr = fail(&mut steps("1,2"));
    assert!(stderr.contains("already holds a sweep"), "{stderr}");
    // As if it had been killed in the second run.
    fs::remove_file(runs.join("max-steps-2/result.json")).unwrap();
    let resumed = || {
        let mut command = tfbert();
        command.current_dir(dir.path()).args(["sweep", "--resume", "--output"]).arg("runs");
        command
    };
    // One value more is a run more.
    let found = last_json(&succeed(resumed().args(["--max-steps", "1,2,3"])));
    assert_eq!(found["runs"].as_array().unwrap().len(), 3);
    assert!(
        ["1", "2", "3"].iter().all(|n| runs.join(format!("max-steps-{n}/result.json")).is_file())
    );
    assert_eq!(written(), before, "a complete run is kept");
    let command = json(&runs.join("sweep.json"))["command"].to_string();
    assert!(command.contains(r#""--max-steps","1,2,3""#), "the flags are still known: {command}");
    let stderr = fail(tfbert().args(["train", "--resume", "--output"]).arg(&runs));
    assert!(stderr.contains("`tfbert sweep --resume --output"), "{stderr}");
}

#[test]
fn the_median_rule_stops_a_run_and_a_loss_that_is_not_finite_fails_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let flags = ["--learning-rate", "0,1e30", "--epochs", "2", "--on-nan", "stop"];
    let output = sweep(&runs, &flags).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("run 2 of 2 failed: "), "{stderr}");
    assert!(stderr.contains("1 of 2 runs failed"), "{stderr}");
    let found = last_json(&stdout);
    assert_eq!(found["runs"][1]["state"], "failed");
    assert_eq!(found["best"]["settings"]["learning-rate"], "0");

    // The accuracy of the first run becomes one that no other run reaches.
    let metrics = runs.join("learning-rate-0/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).unwrap();
    let perfect: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if line.get("metrics").is_some() {
                line["metrics"]["accuracy"] = 1.0.into();
            }
            line.to_string() + "\n"
        })
        .collect();
    fs::write(&metrics, perfect.concat()).unwrap();
    let flags = ["--learning-rate", "0,1e-5", "--epochs", "2", "--resume", "--median-stop"];
    let stdout = succeed(sweep(&runs, &flags).args(["--median-startup-runs", "1"]));
    assert!(stdout.contains("stopped by the median rule at step 2"), "{stdout}");
    let found = last_json(&stdout);
    assert_eq!(found["runs"][1]["state"], "stopped");
    let stopped = json(&runs.join("learning-rate-1e-5/result.json"));
    assert_eq!((&stopped["stopped_by"], &stopped["steps"]), (&"median_rule".into(), &2.into()));
    assert!(!runs.join("learning-rate-1e-5/model").exists());
}

#[test]
fn a_dry_run_lists_the_runs_and_one_run_is_no_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let stdout = succeed(&mut sweep(&runs, &["--grid", "bert", "--dry-run"]));
    assert!(stdout.contains("9 runs: learning-rate 5e-5, 3e-5, 2e-5; epochs 2, 3, 4"), "{stdout}");
    assert!(stdout.contains("\n  learning-rate 2e-5, epochs 4\n"), "{stdout}");
    assert!(stdout.contains("nothing was trained"), "{stdout}");
    let stderr = fail(&mut sweep(&runs, &["--learning-rate", "1e-3"]));
    assert!(stderr.contains("a sweep of one run") && stderr.contains("--grid bert"), "{stderr}");
    let stderr = fail(&mut sweep(&runs, &["--max-length", "32,4096"]));
    assert!(stderr.contains("max-length 4096: `--max-length 4096` is above"), "{stderr}");
    assert!(!runs.exists());
}
