//! The whole way on a tiny export: train, evaluate, predict, and what a user sees when it fails.

mod common;

use std::fs;
use std::path::Path;

use common::{
    copy_folder, fail, files, last_json, losses, succeed, text, tfbert, tiny, train_export,
    train_tiny, without_kernels,
};

#[test]
fn training_then_evaluating_repeats_the_metrics_digit_for_digit() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let trained = last_json(&succeed(&mut train_tiny(&run)));
    assert_eq!(trained["task"], "sst2");
    assert_eq!(trained["steps"], 6);
    assert_eq!(trained["examples"], 40);
    assert_times(&trained);
    for _ in 0..2 {
        let mut eval = tfbert();
        eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--limit-dev", "40", "--json"]);
        let evaluated = last_json(&succeed(eval.arg("--model").arg(run.join("model"))));
        assert_eq!(evaluated["metrics"], trained["metrics"]);
    }
}

/// Each step belongs to a shape, and the parts of the time add up to the run's.
#[track_caller]
fn assert_times(trained: &serde_json::Value) {
    let times = trained["times"].as_object().unwrap();
    let shapes = times["shapes"].as_array().unwrap();
    assert_eq!(shapes.iter().map(|shape| shape["steps"].as_u64().unwrap()).sum::<u64>(), 6);
    let parts = times.iter().filter_map(|(name, part)| Some((name, part.as_f64()?)));
    let sum: f64 = parts.inspect(|(name, part)| assert!(*part >= 0.0, "{name}")).map(|p| p.1).sum();
    let seconds = trained["seconds"].as_f64().unwrap();
    assert!((sum - seconds).abs() < 1e-3 * seconds, "{sum} of {seconds}: {times:?}");
}

#[test]
fn any_number_of_threads_writes_the_same_predictions() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&mut train_tiny(&run));
    let [one, two, five] = ["1", "2", "5"].map(|threads| {
        let output = dir.path().join(threads);
        let mut eval = tfbert();
        eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--batch-size", "8"]);
        eval.args(["--precision", "f32", "--threads", threads]);
        succeed(eval.arg("--model").arg(run.join("model")).arg("--output").arg(&output));
        fs::read(output.join("dev.jsonl")).unwrap()
    });
    assert!(one.len() > 1000);
    assert!(one == two && one == five);
}

#[test]
fn training_ends_in_the_same_bytes_with_one_thread_and_with_two() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["1", "2"].map(|threads| {
        let run = dir.path().join(threads);
        succeed(train_tiny(&run).args(["--threads", threads]));
        fs::read(run.join("model/variables/variables.data-00000-of-00001")).unwrap()
    });
    assert!(one == two);
}

#[test]
fn an_export_without_signatures_of_halves_trains_alike_and_says_how_it_would_be_faster() {
    let dir = tempfile::tempdir().unwrap();
    let older = dir.path().join("older");
    copy_folder(&tiny("classify"), &older);
    let contract = older.join("assets.extra/tfbert.json");
    let mut facts: serde_json::Value =
        serde_json::from_slice(&fs::read(&contract).unwrap()).unwrap();
    let signatures = facts["signatures"].as_object_mut().unwrap();
    let all = signatures.len();
    signatures.retain(|name, _| !name.ends_with("_halves"));
    assert_eq!(signatures.len() + 4, all);
    fs::write(&contract, facts.to_string()).unwrap();

    let train = |name: &str, export: &Path| {
        let run = dir.path().join(name);
        let mut train = train_export(export, &run);
        let output = train.args(["--dropout", "0", "--log-steps", "1"]).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stdout}\n{stderr}");
        (losses(&run), stderr)
    };
    let ((halves, silent), (whole, told)) = (train("new", &tiny("classify")), train("old", &older));
    assert_eq!((halves.len(), whole.len()), (6, 6));
    for (a, b) in halves.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-5 * a, "{halves:?}\n{whole:?}");
    }
    assert!(told.contains("earlier version") && told.contains("--force"), "{told}");
    assert!(!silent.contains("earlier version"), "{silent}");
}

#[test]
fn a_training_file_is_tokenised_once_and_trains_to_the_same_bytes_without_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let train = |name: &str, more: &[&str]| {
        let run = dir.path().join(name);
        let mut command = train_tiny(&run);
        command.env("TFBERT_CACHE", &cache).env("RUST_LOG", "debug").args(more);
        let output = command.output().unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stdout}\n{stderr}");
        let weights = run.join("model/variables/variables.data-00000-of-00001");
        (fs::read(weights).unwrap(), stderr.contains("tokenised before"))
    };
    let (weights, found) = train("first", &[]);
    assert!(!found);
    assert_eq!(train("again", &[]), (weights.clone(), true));
    assert_eq!(train("none", &["--no-cache"]), (weights.clone(), false));
    let other = train("other-labels", &["--class-weights", "balanced"]);
    assert!(other.1 && other.0 != weights);
    // Another way to cut examples is another file.
    let kept = || files(&cache, ".features").len();
    assert_eq!(kept(), 1);
    assert!(!train("other-stride", &["--doc-stride", "32"]).1);
    assert_eq!(kept(), 2);
}

#[test]
fn a_second_run_compiles_nothing_and_damaged_programs_are_compiled_again_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let export = without_kernels(&tiny("classify"), &dir.path().join("export"));
    let train = |name: &str| {
        let run = dir.path().join(name);
        succeed(train_export(&export, &run).env("TFBERT_CACHE", &cache));
        fs::read(run.join("model/variables/variables.data-00000-of-00001")).unwrap()
    };
    let modified = || -> Vec<_> {
        let programs = files(&cache, "xla_compile_cache__").into_iter();
        programs
            .map(|path| (path.clone(), fs::metadata(path).unwrap().modified().unwrap()))
            .collect()
    };
    let weights = train("first");
    let programs = modified();
    assert!(programs.len() > 10, "{programs:?}");
    assert_eq!(train("again"), weights);
    assert_eq!(modified(), programs);
    // TensorFlow itself would end the run over such a file.
    fs::write(&programs[3].0, "not a program").unwrap();
    fs::File::options().write(true).open(&programs[5].0).unwrap().set_len(100).unwrap();
    assert_eq!(train("damaged"), weights);
    assert_eq!(modified().len(), programs.len());
    assert_ne!(modified(), programs);
}

#[test]
fn an_evaluation_whose_loss_is_not_finite_is_pointed_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut train = tfbert();
    train.args(["train", "--task", "sst2", "--data-dir", "data", "--precision", "f32"]);
    train.args(["--limit-train", "32", "--limit-dev", "8", "--batch-size", "16"]);
    // The first update has learning rate 0, the second ruins the weights, and no step follows.
    train.args(["--max-steps", "2", "--learning-rate", "1e30"]);
    train.arg("--model").arg(tiny("classify")).arg("--output").arg(dir.path().join("run"));
    let stderr = text(&train.output().unwrap()).1;
    assert!(stderr.contains("the loss of dev is not a finite number"), "{stderr}");
    assert!(stderr.contains("lower `--learning-rate`"), "{stderr}");
}

#[test]
fn an_export_that_lacks_a_file_is_refused_before_training() {
    for missing in ["variables/variables.index", "assets.extra/serving/saved_model.pb"] {
        let dir = tempfile::tempdir().unwrap();
        let (export, run) = (dir.path().join("export"), dir.path().join("run"));
        copy_folder(&tiny("classify"), &export);
        fs::remove_file(export.join(missing)).unwrap();
        let stderr = fail(&mut train_export(&export, &run));
        assert!(stderr.contains(&format!("it has no `{missing}`")), "{stderr}");
        assert!(stderr.contains("python -m python_export") && !run.exists(), "{stderr}");
    }
}

#[test]
fn a_model_of_another_task_is_pointed_out_and_a_passage_for_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(train_tiny(&run).args(["--max-steps", "1"]));
    let model = run.join("model");
    let mut eval = tfbert();
    eval.args(["eval", "--task", "cola", "--data-dir", "data", "--limit-dev", "4"]);
    let stderr = text(&eval.arg("--model").arg(&model).output().unwrap()).1;
    assert!(stderr.contains("was trained for task `sst2`, not for `cola`"), "{stderr}");
    let mut predict = tfbert();
    predict.args(["predict", "--context", "data/squad/apollo.txt", "who?"]);
    let stderr = fail(predict.arg("--model").arg(&model));
    assert!(stderr.contains("`--context` is for questions"), "{stderr}");
}

#[test]
fn the_final_model_holds_weights_alone() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&mut train_tiny(&run));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let variables = "variables/variables.data-00000-of-00001";
    let (model, export) =
        (size(&run.join("model").join(variables)), size(&tiny("classify").join(variables)));
    // Both hold the weights once; optimiser slots would make it three times.
    assert!(model < export + export / 10, "{model} bytes, the export has {export}");
}

#[test]
fn two_runs_with_one_seed_give_the_same_bytes_and_another_seed_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |name: &str, seed: &str| {
        let run = dir.path().join(name);
        succeed(train_tiny(&run).args(["--seed", seed]));
        fs::read(run.join("model/variables/variables.data-00000-of-00001")).unwrap()
    };
    let first = weights("a", "7");
    assert_eq!(first, weights("b", "7"));
    assert_ne!(first, weights("c", "8"));
}

#[test]
fn accumulated_micro_batches_train_like_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let losses = |name: &str, more: &[&str]| -> Vec<f64> {
        let run = dir.path().join(name);
        succeed(train_tiny(&run).args(["--dropout", "0", "--log-steps", "1"]).args(more));
        losses(&run)
    };
    let (whole, parts) = (losses("whole", &[]), losses("parts", &["--accumulate", "4"]));
    assert_eq!(whole.len(), 6);
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "{whole:?}\n{parts:?}");
    }
}

#[test]
fn predictions_are_json_lines_from_arguments_a_file_and_stdin_alike() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&mut train_tiny(&run));
    let model = run.join("model");
    let predict = || {
        let mut command = tfbert();
        command.arg("predict").arg("--model").arg(&model);
        command
    };
    let by_argument = succeed(predict().args(["good film", "a bad one"]));
    let lines: Vec<serde_json::Value> =
        by_argument.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let sum: f64 =
        lines[0]["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let file = dir.path().join("texts.txt");
    fs::write(&file, "good film\na bad one\n").unwrap();
    assert_eq!(by_argument, succeed(predict().arg("--file").arg(&file)));
    let stdin = fs::File::open(&file).unwrap();
    assert_eq!(by_argument, succeed(predict().stdin(stdin)));
}

#[test]
fn a_folder_with_a_run_is_never_overwritten_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&mut train_tiny(&run));
    let before = fs::read(run.join("result.json")).unwrap();
    let stderr = fail(&mut train_tiny(&run));
    assert!(stderr.contains("--overwrite") && stderr.contains("--resume"), "{stderr}");
    assert_eq!(before, fs::read(run.join("result.json")).unwrap());
    succeed(train_tiny(&run).arg("--overwrite"));
}

#[test]
fn a_folder_that_holds_something_else_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let stderr = fail(train_tiny(dir.path()).args(more));
        assert!(stderr.contains("--output"), "{stderr}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("thesis.txt")).unwrap(), "mine");
}

#[test]
fn a_missing_library_says_what_was_tried_and_how_to_install_it() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = fail(train_tiny(&dir.path().join("run")).arg("--tensorflow").arg(dir.path()));
    assert!(stderr.contains("--tensorflow") && stderr.contains("pip install"), "{stderr}");
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_library_that_is_not_tensorflow_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libtensorflow.so");
    fs::write(&library, "no library").unwrap();
    let stderr = fail(train_tiny(&dir.path().join("run")).arg("--tensorflow").arg(dir.path()));
    assert!(stderr.contains("libtensorflow.so") && stderr.contains("hint:"), "{stderr}");
}

#[test]
fn a_missing_export_is_answered_with_the_command_that_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["train", "--task", "sst2", "--data-dir", "data"]);
    let stderr = fail(
        command
            .arg("--model")
            .arg(dir.path().join("none"))
            .arg("--output")
            .arg(dir.path().join("run")),
    );
    assert!(stderr.contains("python -m python_export"), "{stderr}");
}

#[test]
fn an_export_of_another_head_is_refused_with_both_heads() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["train", "--task", "sst2", "--data-dir", "data"]);
    let stderr =
        fail(command.arg("--model").arg(tiny("tag")).arg("--output").arg(dir.path().join("run")));
    assert!(stderr.contains("`classify`") && stderr.contains("`tag`"), "{stderr}");
}

#[test]
fn a_length_past_the_encoder_is_refused_with_the_longest() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["train", "--task", "sst2", "--data-dir", "data", "--max-length", "129"]);
    let run = dir.path().join("run");
    let stderr = fail(command.arg("--model").arg(tiny("classify")).arg("--output").arg(&run));
    assert!(stderr.contains("129") && stderr.contains("128"), "{stderr}");
    assert!(!run.exists());
}

/// Trains on a data folder with this SST-2 training file.
fn train_on(rows: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let sst2 = dir.path().join("SST-2");
    fs::create_dir(&sst2).unwrap();
    fs::write(sst2.join("train.tsv"), rows).unwrap();
    fs::write(sst2.join("dev.tsv"), "sentence\tlabel\nfine\t1\n").unwrap();
    let run = dir.path().join("run");
    let mut command = tfbert();
    command.args(["train", "--task", "sst2", "--data-dir"]).arg(dir.path());
    let stderr = fail(command.arg("--model").arg(tiny("classify")).arg("--output").arg(&run));
    assert!(!run.exists(), "something was written");
    stderr
}

#[test]
fn broken_data_names_file_and_line() {
    for (rows, expected) in [
        ("sentence\tlabel\ngood\t1\nbad\n", "train.tsv:3: expected 2 columns"),
        ("sentence\tlabel\ngood\t1\nbad\t7\n", "train.tsv:3: unknown label `7`"),
        ("sentence\tlabel\n", "train.tsv"),
        ("", "train.tsv"),
    ] {
        let stderr = train_on(rows);
        assert!(stderr.contains(expected), "{rows:?}: {stderr}");
    }
}

#[test]
fn a_missing_data_file_names_the_folder_and_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["train", "--task", "sst2", "--data-dir"]).arg(dir.path());
    let stderr = fail(
        command.arg("--model").arg(tiny("classify")).arg("--output").arg(dir.path().join("run")),
    );
    assert!(stderr.contains("SST-2/train.tsv") && stderr.contains("--data-dir"), "{stderr}");
}

#[test]
fn evaluating_before_training_is_answered_with_the_train_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["eval", "--task", "sst2", "--data-dir", "data"]);
    let stderr = fail(command.arg("--model").arg(dir.path().join("none")));
    assert!(stderr.contains("tfbert train --task sst2"), "{stderr}");
}

#[test]
fn label_smoothing_of_a_head_that_has_none_is_refused_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command
        .args(["train", "--task", "stsb", "--data-dir", "data", "--label-smoothing", "0.1"])
        .arg("--model")
        .arg(tiny("regress"))
        .arg("--output")
        .arg(dir.path().join("run"));
    let stderr = fail(&mut command);
    assert!(stderr.contains("the head `regress` has no label smoothing"), "{stderr}");
}

#[test]
fn doctor_tells_the_library_and_the_exports() {
    let output = tfbert().args(["doctor", "--saved-models", "target/exports"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(stdout.contains("ok   TensorFlow: 2."), "{stdout}{stderr}");
    assert!(stdout.contains("tiny classify"), "{stdout}{stderr}");
    assert!(stdout.contains("ok   trained model: target/exports/tiny-roberta/model"), "{stdout}");
    assert!(output.status.success(), "{stdout}{stderr}");
}

#[test]
fn nothing_of_tensorflows_log_reaches_a_quiet_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let output = train_tiny(&dir.path().join("run")).output().unwrap();
    let (_, stderr) = text(&output);
    for noise in ["oneDNN", "absl", "XLA", "cpu_feature_guard", "StreamExecutor"] {
        assert!(!stderr.contains(noise), "{stderr}");
    }
}

#[test]
fn a_reader_of_stdout_that_has_gone_is_no_error() {
    let export = tiny("classify");
    let model = export.to_str().unwrap();
    for args in [&["tasks"][..], &["doctor"], &["bench", "--model", model, "--shapes", "2x8"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tfbert().args(args).stdout(writer).output().unwrap();
        let stderr = text(&output).1;
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_ne!(output.status.code(), Some(101), "{stderr}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = tfbert().arg("tasks").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains("could not write to stdout"), "{}", text(&output).1);
}

#[test]
fn a_complete_run_keeps_its_model_and_what_it_showed_and_no_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let stdout = succeed(&mut train_tiny(&run));
    let trained = last_json(&stdout);
    assert!(
        stdout.contains("\n  class     precision     recall         f1  support\n"),
        "{stdout}"
    );
    assert_eq!(trained["tables"]["per_class"][1]["class"], "positive");
    assert!(trained["settings"]["learning_rate"].is_number(), "{trained}");
    assert!(!run.join("checkpoints").exists());
    assert!(!losses(&run).is_empty(), "a short run has losses too");
    let again = last_json(&succeed(train_tiny(&run).arg("--resume")));
    assert_eq!(again, trained);

    let mut eval = tfbert();
    eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--limit-dev", "40", "--json"]);
    let stdout = succeed(eval.args(["--errors", "2"]).arg("--model").arg(run.join("model")));
    let evaluated = last_json(&stdout);
    assert_eq!(evaluated["tables"], trained["tables"], "training and eval show the same");
    let mistakes = &evaluated["mistakes"];
    assert_eq!(mistakes["worst"].as_array().unwrap().len(), 2, "{mistakes}");
    let line = format!("dev.tsv:{}: ", mistakes["worst"][0]["line"]);
    assert!(stdout.contains(&line), "{line}: {stdout}");
    let rows = fs::read_to_string(run.join("predictions/dev.jsonl")).unwrap();
    let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert!(row["text"].is_string() && row["gold"].is_string(), "{row}");
}
