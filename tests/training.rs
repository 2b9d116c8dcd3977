//! Training with a small model that learns, without TensorFlow: whatever stops a run, it goes on
//! to the same bytes.

use std::fs;
use std::path::Path;

use tfbert::dataset::Target;
use tfbert::error::ErrorKind;
use tfbert::run::{RunFolder, RunMode};
use tfbert::settings::{OnNan, RunOptions};
use tfbert::task;

#[path = "common/learner.rs"]
mod learner;
#[path = "common/small_run.rs"]
mod small_run;
use learner::Fault;
use small_run::{DEV, Ended, Setup, TRAIN, checkpoints, failed};

#[test]
fn the_loss_falls_and_the_best_evaluation_becomes_the_model() {
    let setup = Setup::new();
    let (dir, ended) = setup.whole();
    let lines: Vec<serde_json::Value> =
        ended.metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let losses: Vec<f64> = lines
        .iter()
        .filter(|line| line.get("split").is_none())
        .map(|line| line["loss"].as_f64().unwrap())
        .collect();
    assert_eq!(
        losses.len(),
        17,
        "27 steps, a line every 2, and before the evaluations of 5, 15, 25, 27"
    );
    assert!(losses[16] < 0.7 * losses[0], "{losses:?}");
    let evaluated: Vec<u64> = lines
        .iter()
        .filter(|line| line.get("split").is_some())
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(evaluated, [5, 10, 15, 20, 25, 27]);
    let accuracy = |line: &serde_json::Value| line["metrics"]["accuracy"].as_f64();
    let best = lines.iter().filter_map(accuracy).fold(0.0, f64::max);
    assert_eq!(ended.best.scores[0].1.values[0].1, Some(best));
    assert!(best > 0.8, "{best}");
    let equals = lines.iter().filter(|line| accuracy(line) == Some(best));
    let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
    let lowest = equals.min_by(|one, other| loss(one).total_cmp(&loss(other))).unwrap();
    assert_eq!(lowest["step"].as_u64().unwrap() as usize, ended.best.step, "the lowest loss");
    let kept = checkpoints(dir.path());
    assert!(kept.contains(&format!("step-{:06}", ended.best.step)), "{kept:?}");
}

#[test]
fn a_run_stopped_after_any_step_and_resumed_equals_an_uninterrupted_one() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    for step in 1..27 {
        let dir = tempfile::tempdir().unwrap();
        let (stopped, _) = setup.run(dir.path(), false, Some(Fault::Stop(step)));
        let error = failed(stopped);
        assert_eq!(error.exit_code(), 143);
        assert!(error.what().contains(&format!("after step {step};")), "{error}");
        let (outcome, model) = setup.run(dir.path(), true, None);
        assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected, "step {step}");
    }
}

#[test]
fn when_the_time_between_two_checkpoints_is_over_the_next_step_is_saved() {
    let newest_after_a_fault_at_step_8 = |save_minutes| {
        let options = RunOptions { save_minutes, ..RunOptions::default() };
        let setup = Setup { options, ..Setup::new() };
        let dir = tempfile::tempdir().unwrap();
        failed(setup.run(dir.path(), false, Some(Fault::Memory(8))).0);
        checkpoints(dir.path()).pop()
    };
    assert_eq!(newest_after_a_fault_at_step_8(None).as_deref(), Some("step-000005"));
    assert_eq!(newest_after_a_fault_at_step_8(Some(60)).as_deref(), Some("step-000005"));
    assert_eq!(newest_after_a_fault_at_step_8(Some(0)).as_deref(), Some("step-000007"));
}

#[test]
fn a_run_stopped_at_every_step_equals_an_uninterrupted_one() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let dir = tempfile::tempdir().unwrap();
    for step in 1..27 {
        failed(setup.run(dir.path(), step > 1, Some(Fault::Stop(step))).0);
    }
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

#[test]
fn an_evaluation_that_a_signal_interrupts_is_made_when_the_run_is_resumed() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    for step in [5, 10, 27] {
        let dir = tempfile::tempdir().unwrap();
        let error = failed(setup.run(dir.path(), false, Some(Fault::StopInEvaluation(step))).0);
        assert_eq!(error.exit_code(), 130);
        let (outcome, model) = setup.run(dir.path(), true, None);
        assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected, "step {step}");
    }
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_for_the_one_before() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let damage: [fn(&Path); 6] = [
        |dir| truncate(&dir.join("weights.data-00000-of-00001")),
        |dir| truncate(&dir.join("weights.index")),
        |dir| truncate(&dir.join("state.json")),
        |dir| truncate(&dir.join("manifest.json")),
        |dir| fs::remove_file(dir.join("weights.index")).unwrap(),
        |dir| {
            let path = dir.join("weights.data-00000-of-00001");
            let mut bytes = fs::read(&path).unwrap();
            bytes[9] ^= 1;
            fs::write(&path, bytes).unwrap();
        },
    ];
    for (i, damage) in damage.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        failed(setup.run(dir.path(), false, Some(Fault::Stop(12))).0);
        assert!(checkpoints(dir.path()).len() >= 2, "{:?}", checkpoints(dir.path()));
        damage(&dir.path().join("checkpoints/step-000012"));
        let (outcome, model) = setup.run(dir.path(), true, None);
        let trained_here = model.trained.len();
        assert!(trained_here < 5 * 27 - 5 * 9, "damage {i} was not begun anew: {trained_here}");
        assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected, "damage {i}");
        assert!(!checkpoints(dir.path()).iter().any(|name| name.contains("damaged")
            && dir.path().join("checkpoints").join(name.replace(".damaged", "")).exists()));
    }
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
}

#[test]
fn the_best_checkpoint_and_one_to_fall_back_to_outlive_every_save() {
    let mut setup = Setup::new();
    setup.options.save_steps = Some(1);
    for stop in 2..27 {
        let dir = tempfile::tempdir().unwrap();
        failed(setup.run(dir.path(), false, Some(Fault::Stop(stop))).0);
        let kept = checkpoints(dir.path());
        assert!((2..=3).contains(&kept.len()), "step {stop}: {kept:?}");
        for name in &kept {
            let state =
                fs::read_to_string(dir.path().join("checkpoints").join(name).join("state.json"));
            let state: serde_json::Value = serde_json::from_str(&state.unwrap()).unwrap();
            if let Some(best) = state["best"]["step"].as_u64() {
                assert!(kept.contains(&format!("step-{best:06}")), "{name}'s best: {kept:?}");
            }
        }
    }
}

#[test]
fn a_damaged_best_checkpoint_is_trained_again() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::StopInEvaluation(27))).0);
    let state = fs::read_to_string(dir.path().join("checkpoints/step-000027/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let best = state["best"]["step"].as_u64().unwrap();
    assert!(best < 27, "the best is another than the newest");
    truncate(&dir.path().join(format!("checkpoints/step-{best:06}/weights.data-00000-of-00001")));
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

#[test]
fn with_every_checkpoint_damaged_a_run_begins_anew_and_ends_the_same() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(22))).0);
    for name in checkpoints(dir.path()) {
        truncate(&dir.path().join("checkpoints").join(name).join("state.json"));
    }
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

/// Replaces a text in a checkpoint's `state.json`, and corrects its manifest.
fn edit_state(checkpoint: &Path, from: &str, to: &str) {
    use tfbert::files::fingerprint;
    let path = checkpoint.join("state.json");
    let before = fingerprint(&path).unwrap();
    let state = fs::read_to_string(&path).unwrap();
    let edited = state.replace(from, to);
    assert_ne!(state, edited);
    fs::write(&path, edited).unwrap();
    let after = fingerprint(&path).unwrap();
    let manifest = fs::read_to_string(checkpoint.join("manifest.json")).unwrap();
    let manifest = manifest
        .replace(&before.sha256, &after.sha256)
        .replace(&format!("\"bytes\": {}", before.bytes), &format!("\"bytes\": {}", after.bytes));
    fs::write(checkpoint.join("manifest.json"), manifest).unwrap();
}

#[test]
fn a_checkpoint_past_the_runs_end_is_refused_even_with_its_checksum_right() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(4))).0);
    let checkpoints = dir.path().join("checkpoints");
    fs::rename(checkpoints.join("step-000004"), checkpoints.join("step-004000")).unwrap();
    edit_state(&checkpoints.join("step-004000"), "\"step\": 4,", "\"step\": 4000,");
    let error = failed(setup.run(dir.path(), true, None).0);
    assert!(error.what().contains("step 4000, the run has 27"), "{error}");
    assert!(error.hint_text().unwrap().contains("--overwrite"), "{error}");
}

#[test]
fn a_checkpoint_of_an_older_version_which_names_epoch_and_batch_is_resumed() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(11))).0);
    let checkpoint = dir.path().join("checkpoints/step-000011");
    edit_state(&checkpoint, "\"step\": 11,", "\"step\": 11, \"epoch\": 1, \"batch\": 2,");
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert!(model.trained.len() < 2 * TRAIN, "it was begun anew");
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

#[test]
fn where_the_metric_is_never_defined_the_weights_of_the_lowest_loss_are_kept() {
    let mut setup = Setup::new();
    // Matthews correlation is undefined where every gold label is the same.
    setup.task = task::find("cola").unwrap();
    for example in &mut setup.dev[0].dataset.examples {
        example.target = Some(Target::Class(1));
    }
    let (_dir, ended) = setup.whole();
    let lines: Vec<serde_json::Value> =
        ended.metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evaluations: Vec<_> = lines.iter().filter(|line| line.get("split").is_some()).collect();
    assert!(evaluations.iter().all(|line| line["metrics"]["matthews_correlation"].is_null()));
    let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
    let lowest = evaluations.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert_eq!(lowest["step"].as_u64().unwrap() as usize, ended.best.step);
    assert!(ended.best.step > 5, "not the first evaluation");
}

#[test]
fn a_loss_that_is_not_a_number_stops_with_step_batch_and_rate_and_keeps_the_checkpoint() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    let error = failed(setup.run(dir.path(), false, Some(Fault::Nan(12))).0);
    assert_eq!(error.exit_code(), 1);
    for part in ["step 12", "NaN", "learning rate", "batch 3 of epoch 2", "after step 10 is kept"] {
        assert!(error.what().contains(part), "{part}: {error}");
    }
    assert!(checkpoints(dir.path()).contains(&"step-000010".to_owned()));
    let (_whole, expected) = setup.whole();
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

#[test]
fn the_hint_of_a_stopped_run_can_be_followed_to_skip_the_update() {
    let mut setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    let error = failed(setup.run(dir.path(), false, Some(Fault::Nan(12))).0);
    assert!(error.hint_text().unwrap().contains("--resume --on-nan skip"), "{error}");
    setup.options.on_nan = OnNan::Skip;
    let (outcome, model) = setup.run(dir.path(), true, Some(Fault::Nan(12)));
    let resumed = Ended::new(dir.path(), outcome.unwrap(), &model);
    assert_eq!((resumed.skipped, resumed.steps), (1, 27));
    let dir = tempfile::tempdir().unwrap();
    let (outcome, model) = setup.run(dir.path(), false, Some(Fault::Nan(12)));
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), resumed);
}

#[test]
fn an_infinite_loss_whose_update_was_made_is_not_counted_as_skipped() {
    let mut setup = Setup::new();
    setup.options.on_nan = OnNan::Skip;
    let dir = tempfile::tempdir().unwrap();
    let error = failed(setup.run(dir.path(), false, Some(Fault::InfiniteLoss(12))).0);
    assert!(error.what().contains("the loss is inf"), "{error}");
    assert!(error.hint_text().unwrap().contains("cannot be skipped"), "{error}");
}

#[test]
fn a_save_that_fails_keeps_the_checkpoint_before_and_leaves_nothing_half_written() {
    let setup = Setup::new();
    let (_dir, expected) = setup.whole();
    let dir = tempfile::tempdir().unwrap();
    let error = failed(setup.run(dir.path(), false, Some(Fault::Save(10))).0);
    assert!(error.to_string().contains("step-000010"), "{error}");
    assert_eq!(checkpoints(dir.path()), ["step-000005"]);
    let (outcome, model) = setup.run(dir.path(), true, None);
    assert_eq!(Ended::new(dir.path(), outcome.unwrap(), &model), expected);
}

#[test]
fn running_out_of_memory_names_batch_and_length() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    let error = failed(setup.run(dir.path(), false, Some(Fault::Memory(7))).0);
    assert!(error.what().contains("step 7 (batch 5 × 11)"), "{error}");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.hint_text().unwrap().contains("`--accumulate N`"), "{error}");
    assert_eq!(checkpoints(dir.path()), ["step-000005"]);
}

#[test]
fn max_steps_ends_the_run_inside_an_epoch_with_an_evaluation_and_a_shorter_schedule() {
    let mut setup = Setup::new();
    setup.settings.max_steps = Some(11);
    setup.settings.eval_steps = None;
    setup.settings.log_steps = 1;
    let (_dir, ended) = setup.whole();
    assert_eq!(ended.steps, 11);
    let lines: Vec<serde_json::Value> =
        ended.metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = lines.iter().filter(|line| line.get("split").is_some());
    assert_eq!(steps.map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [9, 11]);
    let last = lines.iter().rfind(|line| line.get("split").is_none()).unwrap();
    let rate = last["learning_rate"].as_f64().unwrap();
    // 11 steps, 2 of them warm-up: the last has 1/9 of the peak.
    assert!((rate - 0.2 / 9.0).abs() < 1e-8, "{rate}");
}

#[test]
fn every_example_is_trained_on_once_an_epoch_and_evaluated_once_an_evaluation() {
    let mut setup = Setup::new();
    setup.settings.eval_steps = None;
    let dir = tempfile::tempdir().unwrap();
    let (outcome, model) = setup.run(dir.path(), false, None);
    outcome.unwrap();
    for (seen, size) in [(&model.trained, TRAIN), (&*model.evaluated.lock().unwrap(), DEV)] {
        assert_eq!(seen.len(), 3 * size);
        for pass in seen.chunks(size) {
            let mut pass = pass.to_vec();
            pass.sort_unstable();
            assert_eq!(pass, (0..size).collect::<Vec<_>>());
        }
    }
}

#[test]
fn accumulated_parts_are_one_batch() {
    let mut setup = Setup::new();
    // Dropout draws for each part, and would differ.
    setup.settings.dropout = 0.0;
    let (_dir, whole) = setup.whole();
    setup.settings.accumulate = 3;
    let (_dir, parts) = setup.whole();
    assert_eq!(whole.steps, parts.steps);
    for (a, b) in whole.weights.iter().zip(&parts.weights) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let mut setup = Setup::new();
    let (_dir, one) = setup.whole();
    let (_dir, two) = setup.whole();
    assert_eq!(one, two);
    setup.settings.seed = 2;
    assert_ne!(setup.whole().1.weights, one.weights);
}

#[test]
fn other_hyper_parameters_are_named_when_a_run_is_resumed() {
    let mut setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(4))).0);
    setup.settings.learning_rate = 0.1;
    setup.settings.seed = 9;
    setup.options.save_steps = Some(3); // Changes nothing of the result.
    let error = failed(setup.run(dir.path(), true, None).0);
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.what().contains("run.json has different settings: `settings.learning_rate` was 0.2"),
        "{error}"
    );
    assert!(error.what().contains("`settings.seed` was 1, now 9"), "{error}");
    assert!(!error.what().contains("save_steps"), "{error}");
}

#[test]
fn a_damaged_record_is_refused_with_its_line_and_a_way_on() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(4))).0);
    truncate(&dir.path().join("run.json"));
    let error = failed(setup.run(dir.path(), true, None).0);
    assert!(error.place().unwrap().line.is_some(), "{error}");
    assert!(error.hint_text().unwrap().contains("--overwrite"), "{error}");
}

#[test]
fn lines_that_are_missing_from_the_metrics_are_not_passed_over() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    failed(setup.run(dir.path(), false, Some(Fault::Stop(8))).0);
    truncate(&dir.path().join("metrics.jsonl"));
    let error = failed(setup.run(dir.path(), true, None).0);
    assert!(error.what().contains("lines were lost"), "{error}");
}

#[test]
fn a_folder_that_was_removed_or_replaced_is_not_taken_for_the_run() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let folder = RunFolder::open(&run, RunMode::New, &setup.record()).unwrap();
    fs::rename(&run, dir.path().join("moved")).unwrap();
    assert!(folder.check_held().unwrap_err().what().contains("removed or replaced"));
    // A folder of the same name is not the run's.
    fs::create_dir(&run).unwrap();
    fs::write(run.join(".lock"), "").unwrap();
    assert!(folder.check_held().is_err());
    fs::remove_dir_all(&run).unwrap();
    fs::rename(dir.path().join("moved"), &run).unwrap();
    folder.check_held().unwrap();
}

#[test]
fn a_second_process_on_the_same_run_is_refused() {
    let setup = Setup::new();
    let dir = tempfile::tempdir().unwrap();
    let _held = RunFolder::open(dir.path(), RunMode::New, &setup.record()).unwrap();
    for begin in [RunMode::Resume, RunMode::Overwrite] {
        let error = RunFolder::check(dir.path(), begin).unwrap_err();
        assert!(error.what().contains("another tfbert"), "{error}");
        assert!(RunFolder::open(dir.path(), begin, &setup.record()).is_err());
    }
}
