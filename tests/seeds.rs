//! `tfbert train --seeds`.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, last_json, succeed, tfbert, train_tiny};

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model/variables/variables.data-00000-of-00001")).unwrap()
}

#[test]
fn each_seed_trains_in_a_folder_of_its_own_to_the_bytes_of_a_run_with_that_seed() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, single) = (dir.path().join("runs"), dir.path().join("single"));
    let stdout = succeed(train_tiny(&runs).args(["--seeds", "3,5"]));
    succeed(train_tiny(&single).args(["--seed", "5"]));
    assert!(weights(&runs.join("seed-5")) == weights(&single));
    assert!(weights(&runs.join("seed-3")) != weights(&single));

    let result = last_json(&stdout);
    let of_seeds: serde_json::Value =
        serde_json::from_slice(&fs::read(runs.join("seeds.json")).unwrap()).unwrap();
    assert_eq!(result, of_seeds);
    let accuracy = |i: usize| {
        let run = &result["runs"][i];
        let file = Path::new(run["output"].as_str().unwrap()).join("result.json");
        let single: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(run["metrics"], single["metrics"]);
        assert_eq!(run["seed"], single["seed"]);
        run["metrics"]["accuracy"].as_f64().unwrap()
    };
    let (first, second) = (accuracy(0), accuracy(1));
    let close = |name: &str, expected: f64| {
        let found = result[name]["accuracy"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-12, "{name}: {found}, not {expected}");
    };
    close("mean", (first + second) / 2.0);
    // Of two values: their distance divided by √2.
    close("standard_deviation", (first - second).abs() / 2f64.sqrt());
    let loss = |i: usize| result["runs"][i]["loss"].as_f64().unwrap();
    let second_is_better = second > first || second == first && loss(1) < loss(0);
    assert_eq!(result["best_seed"], if second_is_better { 5 } else { 3 });
    let out = dir.path().join("out");
    succeed(tfbert().arg("export").arg(&runs).args(["--to", "hugging-face"]).arg(&out));
    let best = dir.path().join("best");
    let run = runs.join(format!("seed-{}", result["best_seed"]));
    succeed(tfbert().arg("export").arg(&run).args(["--to", "hugging-face"]).arg(&best));
    let weights_of = |dir: &Path| fs::read(dir.join("model.safetensors")).unwrap();
    assert!(weights_of(&out) == weights_of(&best), "the folder of seeds stands for the best");

    let compared =
        last_json(&succeed(tfbert().arg("compare").arg(&runs).args(["--format", "json"])));
    let row = &compared["tasks"][0]["rows"][0];
    assert_eq!(row["seeds"], serde_json::json!([3, 5]));
    assert_eq!(row["metrics"]["accuracy"]["mean"], result["mean"]["accuracy"]);
    assert_eq!(row["metrics"]["accuracy"]["sd"], result["standard_deviation"]["accuracy"]);
    let report = runs.join("seed-3/report.html");
    let written = fs::read(&report).unwrap();
    let shown = succeed(tfbert().arg("report").arg(runs.join("seed-3")));
    assert_eq!(shown.trim(), report.display().to_string());
    let page = fs::read(&report).unwrap();
    assert!(page == written, "the report of a complete run is written again as it was");
}

#[test]
fn seeds_that_are_complete_are_kept_when_more_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let train = |seeds: &str, more: &[&str]| {
        let mut command = train_tiny(&runs);
        command.args(["--max-steps", "2", "--seeds", seeds]).args(more);
        command
    };
    succeed(&mut train("1", &[]));
    let modified = || fs::metadata(runs.join("seed-1/result.json")).unwrap().modified().unwrap();
    let before = modified();

    let stderr = fail(&mut train("2,1", &[]));
    assert!(stderr.contains("seed-1") && stderr.contains("`--resume`"), "{stderr}");
    assert!(!runs.join("seed-2").exists(), "refused before the first run");

    let result = last_json(&succeed(&mut train("1-2", &["--resume"])));
    assert_eq!(modified(), before);
    assert_eq!(result["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn one_seed_and_several_are_not_given_together() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let stderr = fail(train_tiny(&run).args(["--seed", "1", "--seeds", "1-2"]));
    assert!(stderr.contains("cannot be used with"), "{stderr}");
    let stderr = fail(train_tiny(&run).args(["--seeds", "5-1"]));
    assert!(stderr.contains("`5-1` counts down"), "{stderr}");
    assert!(!run.exists());
}
