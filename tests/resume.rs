//! A training process that is stopped, killed, or robbed of its disk, and resumed, ends in the same
//! bytes as one that was left alone.

mod common;
#[path = "common/interrupted.rs"]
mod interrupted;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use common::{fail, last_json, root, succeed, text, tfbert, tiny, without_kernels};
use interrupted::{
    Ended, alone, begin, code, command, command_of, complete, halt, limited, names, newest, random,
    resume, signal, spawn, wait_for,
};
use rand::Rng;

#[test]
fn a_process_killed_at_random_moments_ends_in_the_same_bytes() {
    let _alone = alone();
    Ended::uninterrupted();
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let (mut round, mut kills, mut in_writes) = (0, 0, 0);
    let mut run = dir.path().join("0");
    while kills < 8 || (in_writes == 0 && kills < 60) {
        let mut child =
            spawn(&mut if run.join("run.json").exists() { resume(&run) } else { command(&run) });
        let before = names(&run);
        let moment = random.random_range(0..10);
        let seen = if moment == 0 {
            // Anywhere from the start on.
            sleep(Duration::from_millis(random.random_range(0..3000)));
            true
        } else if moment < 6 {
            // While a checkpoint is written: its hidden folder is there, and the process stands still.
            let skip = if in_writes == 0 { 0 } else { random.random_range(0..200) };
            let mut sightings = 0;
            let id = child.id();
            wait_for(&mut child, || {
                sightings += usize::from(writing(&run, &before));
                sightings > skip && {
                    halt(id);
                    let caught = writing(&run, &before);
                    if !caught {
                        signal(id, "CONT");
                    }
                    caught
                }
            })
        } else {
            // Anywhere after the first new checkpoint.
            let seen = wait_for(&mut child, || names(&run) != before);
            sleep(Duration::from_micros(random.random_range(0..400_000)));
            seen
        };
        if seen && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            in_writes += usize::from(writing(&run, &before));
            eprintln!("kill {kills} (run {round}): {:?}", names(&run));
        } else {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output).1);
            Ended::new(&run, &text(&output).0).assert_equals_uninterrupted("killed");
            round += 1;
            run = dir.path().join(round.to_string());
        }
    }
    if run.join("run.json").exists() {
        let stdout = succeed(&mut resume(&run));
        Ended::new(&run, &stdout).assert_equals_uninterrupted("killed");
        assert!(!names(&run).iter().any(|name| name.starts_with('.')), "{:?}", names(&run));
    }
    assert!(in_writes > 0, "no kill fell into the writing of a checkpoint");
}

/// Whether there is a checkpoint that is not complete, besides those of `before`.
fn writing(run: &Path, before: &[String]) -> bool {
    names(run).iter().any(|name| name.ends_with(".partial") && !before.contains(name))
}

#[test]
fn sigterm_and_newest_checkpoints_truncated_at_random_end_in_the_same_bytes() {
    let _alone = alone();
    Ended::uninterrupted();
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let (mut tries, mut warnings) = (0, 0);
    let mut run = dir.path().join("0");
    while warnings < 2 || !run.join("run.json").exists() {
        tries += 1;
        assert!(tries < 40, "{warnings} damaged checkpoints were passed over");
        let before = newest(&run);
        let mut child =
            spawn(&mut if run.join("run.json").exists() { resume(&run) } else { command(&run) });
        if wait_for(&mut child, || newest(&run) != before) {
            sleep(Duration::from_micros(random.random_range(0..100_000)));
            signal(child.id(), "TERM");
        }
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = text(&output);
        warnings += usize::from(stderr.contains("is damaged and passed over"));
        if output.status.success() {
            // The signal came after the last step.
            Ended::new(&run, &stdout).assert_equals_uninterrupted("stopped and truncated");
            run = dir.path().join(tries.to_string());
            continue;
        }
        assert_eq!(code(&output), Some(143), "{stderr}");
        assert!(stderr.contains("stopped by SIGTERM after step"), "{stderr}");
        assert!(stderr.contains("--resume"), "{stderr}");
        if tries % 2 == 1 {
            let checkpoint = run.join("checkpoints").join(newest(&run).unwrap());
            let mut files: Vec<PathBuf> =
                fs::read_dir(&checkpoint).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let file = &files[random.random_range(0..files.len())];
            let bytes = fs::read(file).unwrap();
            let length = random.random_range(0..bytes.len());
            eprintln!("{} cut to {length} of {} bytes", file.display(), bytes.len());
            fs::write(file, &bytes[..length]).unwrap();
        }
    }
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("stopped and truncated");
    // A complete run says so, and gives its result again.
    let output = resume(&run).output().unwrap();
    let (again, stderr) = text(&output);
    assert!(output.status.success() && stderr.contains("the run is complete"), "{stderr}");
    assert_eq!(last_json(&again), last_json(&stdout));
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    for line in ["error: ", "resuming after step", "120 steps in"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let stderr = fail(resume(&run).args(["--seed", "7"]));
    assert!(stderr.contains("`settings.seed` was 1, now 7"), "{stderr}");
}

#[test]
fn a_closed_terminal_stops_a_run_after_a_step() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    // The tests themselves may have been started by `nohup`, which would be inherited.
    let train = command(&run);
    let mut hangup = Command::new("env");
    hangup.current_dir(root()).arg("--default-signal=HUP").arg(train.get_program());
    hangup.args(train.get_args());
    hangup.envs(train.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = spawn(&mut hangup);
    assert!(wait_for(&mut child, || newest(&run).is_some()), "it ended before a checkpoint");
    signal(child.id(), "HUP");
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output).1;
    assert_eq!(code(&output), Some(129), "{stderr}");
    assert!(stderr.contains("stopped by SIGHUP after step"), "{stderr}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    // The first step compiles its programs, which takes much longer than the two signals.
    let export = without_kernels(&tiny("classify"), &dir.path().join("export"));
    let mut child = spawn(command_of(&export, &dir.path().join("run")).arg("--no-cache"));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut printed = Vec::new();
    for (line, then) in [("; ready in ", "INT"), ("a second signal stops at once", "INT")] {
        let seen = lines.by_ref().any(|found| {
            printed.push(found);
            printed[printed.len() - 1].contains(line)
        });
        assert!(seen, "{line}: {printed:?}");
        signal(child.id(), then);
    }
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (None, Some(2)), "{printed:?}");
}

#[test]
fn a_second_process_is_refused_and_the_first_keeps_its_run() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = spawn(&mut command(&run));
    assert!(wait_for(&mut child, || newest(&run).is_some()));
    // Stopped, so that it holds its lock for as long as this test needs.
    halt(child.id());
    for flag in ["--resume", "--overwrite"] {
        let stderr = fail(command(&run).arg(flag));
        assert!(stderr.contains("another tfbert is training in this folder"), "{stderr}");
    }
    signal(child.id(), "INT");
    signal(child.id(), "CONT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(130), "{}", text(&output).1);
    // The lock went with the process.
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("interrupted");
}

#[test]
fn a_file_that_may_not_grow_ends_the_run_and_what_was_complete_stays() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    begin(&run);
    let kept = complete(&run);
    // As a full disk: no file may pass some 256 KiB, the weights are more.
    let stderr = fail(&mut limited("trap '' XFSZ; ulimit -f 512", &resume(&run)));
    assert!(stderr.contains("see that the disk has room"), "{stderr}");
    assert!(stderr.contains("checkpoints/.step-"), "{stderr}");
    assert_eq!(names(&run), kept, "what was complete stays, and nothing else");
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("limited");
}

#[test]
fn memory_that_runs_out_names_the_batch_and_the_flags() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("SST-2");
    fs::create_dir(&data).unwrap();
    let rows: String =
        (0..16384).map(|i| format!("{}\t{}\n", "film ".repeat(130), i % 2)).collect();
    fs::write(data.join("train.tsv"), format!("sentence\tlabel\n{rows}")).unwrap();
    fs::copy(common::root().join("data/SST-2/dev.tsv"), data.join("dev.tsv")).unwrap();
    let mut train = tfbert();
    train.args(["train", "--task", "sst2", "--precision", "f32", "--batch-size", "16384"]);
    train.args(["--max-length", "128", "--limit-dev", "4", "--threads", "1", "--max-steps", "1"]);
    train.arg("--model").arg(tiny("classify")).arg("--data-dir").arg(dir.path());
    train.arg("--output").arg(dir.path().join("run"));
    // On any processor: the attention probabilities of one layer alone are 16,384 rows × 2 heads ×
    // 128 × 128 × 4 bytes, 4.3 GB, and TensorFlow itself takes more than 1 GB of addresses.
    let output = limited("ulimit -v 4500000", &train).output().unwrap();
    let stderr = text(&output).1;
    assert!(!output.status.success(), "{stderr}");
    // TensorFlow gives an error, or ends the process from inside an operation.
    assert!(stderr.contains("error: "), "{stderr}");
    assert!(
        stderr.contains("batch 16384 × 128") || stderr.contains("batch of 16384 × 128"),
        "{stderr}"
    );
    for flag in ["smaller `--batch-size`", "`--max-length`", "`--accumulate N`"] {
        assert!(stderr.contains(flag), "{flag}: {stderr}");
    }
}

#[test]
fn a_folder_that_vanishes_ends_the_run_and_is_not_made_again() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (run, moved) = (dir.path().join("run"), dir.path().join("moved"));
    let mut child = spawn(&mut command(&run));
    assert!(wait_for(&mut child, || newest(&run).is_some()));
    fs::rename(&run, &moved).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output).1;
    assert_eq!(code(&output), Some(1), "{stderr}");
    assert!(!run.exists(), "{stderr}");
    assert!(stderr.contains("error: ") && !stderr.contains("panicked"), "{stderr}");
    fs::rename(&moved, &run).unwrap();
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("with its folder moved");
}
