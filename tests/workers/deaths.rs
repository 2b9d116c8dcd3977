//! Workers that die or are stopped, and runs that go on.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;

use crate::cluster::{DEADLINE, NOTICED, end, flags, launch, steps_saved};
use crate::common::{fail, succeed, tfbert};
use crate::interrupted::{alone, random, signal, spawn, wait_for};
use crate::{WEIGHTS, several, two};

/// The bytes of what a run with dropout ends in.
fn ended(run: &Path) -> [Vec<u8>; 2] {
    ["metrics.jsonl", WEIGHTS].map(|name| fs::read(run.join(name)).expect(name))
}

/// Two workers, which go on where there is something to go on with.
fn start(run: &Path, start_timeout: usize) -> [Child; 2] {
    two(run, start_timeout, &[]).map(|mut command| {
        if run.join("run.json").exists() {
            command.arg("--resume");
        }
        spawn(&mut command)
    })
}

/// Sends a signal to one of two workers: how the other one ends, and after how long.
fn strike(
    mut children: [Child; 2],
    victim: usize,
    name: &str,
    within: Duration,
) -> (Option<i32>, String, Duration) {
    if children[victim].try_wait().unwrap().is_none() {
        signal(children[victim].id(), name);
    }
    let struck = Instant::now();
    let [chief, other] = children;
    let (mut gone, left) = if victim == 1 { (other, chief) } else { (chief, other) };
    let (code, stderr) = end(left, within);
    let took = struck.elapsed();
    let _ = gone.kill();
    gone.wait().unwrap();
    (code, stderr, took)
}

#[track_caller]
fn assert_named(code: Option<i32>, stderr: &str, victim: usize) {
    assert_eq!(code, Some(138), "{stderr}");
    assert!(stderr.contains(&format!("error: worker {victim} (127.0.0.1:")), "{stderr}");
}

/// The command that goes on with a run by its folder alone.
fn resume_by_folder(run: &Path) -> Command {
    let mut resume = tfbert();
    resume.args(["launch", "--workers", "2", "--threads", "1", "--", "train", "--resume"]);
    resume.arg("--output").arg(run);
    resume
}

#[test]
fn a_worker_that_is_killed_or_stopped_ends_the_other_and_resumed_they_end_in_the_same_bytes() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    succeed(&mut launch(2, &flags("classify", &whole)));
    let mut random = random();
    let run = dir.path().join("run");
    for (name, victim) in [("KILL", 1), ("STOP", 0)] {
        let from = steps_saved(&run);
        let mut children = start(&run, 60);
        assert!(wait_for(&mut children[0], || steps_saved(&run) > from), "{name} {victim}");
        sleep(Duration::from_millis(random.random_range(0..100)));
        let (code, stderr, _) = strike(children, victim, name, NOTICED);
        assert_named(code, &stderr, victim);
        assert!(stderr.contains("`--resume`"), "{stderr}");
    }
    // The workers that began it named themselves by `--cluster`, of which one cannot know which it is.
    let stderr = fail(tfbert().args(["train", "--resume", "--output"]).arg(&run));
    assert!(stderr.contains("give `--worker-index N`"), "{stderr}");
    succeed(&mut resume_by_folder(&run));
    assert!(ended(&run) == ended(&whole), "the resumed run ends in other bytes");
}

/// Any moment: before the workers are connected, while they load, train, evaluate, save, and end.
#[test]
#[ignore = "takes minutes; `cargo test --test workers -- --ignored` runs it"]
fn workers_that_die_at_twenty_random_moments_end_the_other_and_the_run_ends_in_the_same_bytes() {
    /// Longer than the other worker waits at the start.
    const START_TIMEOUT: usize = 15;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let began = Instant::now();
    succeed(&mut launch(2, &flags("classify", &whole)));
    let (whole, life) = (ended(&whole), began.elapsed().as_millis() as u64);
    let mut random = random();
    let run = dir.path().join("run");
    for moment in 1..=20 {
        let (victim, stops) = (random.random_range(0..2), random.random_bool(0.3));
        let name = if stops { "STOP" } else { "KILL" };
        let from = steps_saved(&run);
        let mut children = start(&run, START_TIMEOUT);
        // Half of them while steps are made, which take a small part of the time.
        let mut wait = random.random_range(0..life);
        let step = random.random_range(0..50);
        if random.random_bool(0.5) {
            wait_for(&mut children[0], || steps_saved(&run) > from.max(step));
            wait %= 200;
        }
        sleep(Duration::from_millis(wait));
        let is_over = children.iter_mut().all(|child| child.try_wait().unwrap().is_some());
        let within = NOTICED + Duration::from_secs(START_TIMEOUT as u64);
        let (code, stderr, took) = strike(children, victim, name, within);
        println!(
            "{moment}: {name} of worker {victim} (steps {from} to {}): exit code {code:?} \
             after {:.1} s",
            steps_saved(&run),
            took.as_secs_f64()
        );
        let connected = !stderr.contains("did not connect within");
        if code == Some(0) {
            assert!(is_over || victim == 1 || run.join("result.json").exists(), "{stderr}");
        } else {
            assert_named(code, &stderr, victim);
            assert!(!connected || took < NOTICED, "{took:?}");
        }
        if run.join("result.json").exists() {
            assert!(ended(&run) == whole, "the run ends in other bytes");
            fs::remove_dir_all(&run).unwrap();
        }
    }
    for child in start(&run, START_TIMEOUT) {
        assert_eq!(end(child, DEADLINE).0, Some(0));
    }
    assert!(ended(&run) == whole, "the run ends in other bytes");
}

#[test]
fn a_signal_to_launch_stops_all_workers_after_one_step_and_another_number_goes_on() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = spawn(&mut launch(2, &flags("classify", &run)));
    assert!(wait_for(&mut child, || steps_saved(&run) > 0));
    signal(child.id(), "TERM");
    let (code, stderr) = end(child, DEADLINE);
    assert_eq!(code, Some(143), "{stderr}");
    assert!(stderr.contains("[0] error: ") && stderr.contains("stopped by SIGTERM"), "{stderr}");
    // Three that are not started by `launch`.
    let children: Vec<Child> = several(3, &run, 60, &[])
        .into_iter()
        .map(|mut command| spawn(command.arg("--resume")))
        .collect();
    for child in children {
        let (code, stderr) = end(child, DEADLINE);
        assert_eq!(code, Some(0), "{stderr}");
    }
    assert!(run.join("result.json").is_file());
}

/// The processes that a process started.
fn children_of(process: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{process}");
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_string_lossy().parse().ok()).filter(is_child).collect()
}

/// Whether a process runs; one that ended and that nobody waited for does not.
fn runs(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[test]
fn workers_whose_launch_is_killed_stop_with_a_checkpoint() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut flags = flags("classify", &run);
    // More steps than are made until the workers notice.
    for value in flags.iter_mut().filter(|value| ["50", "99"].contains(&value.as_str())) {
        *value = "100000".into();
    }
    let mut child = spawn(&mut launch(2, &flags));
    assert!(wait_for(&mut child, || steps_saved(&run) > 0));
    let workers = children_of(child.id());
    assert_eq!(workers.len(), 2);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let killed = Instant::now();
    while workers.iter().any(|&worker| runs(worker)) {
        assert!(killed.elapsed() < NOTICED, "the workers go on without `tfbert launch`");
        sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(log.contains("`tfbert launch` ended before its workers"), "{log}");
    let saved = steps_saved(&run);
    assert!(log.contains(&format!("stopped by SIGTERM after step {saved}")), "{saved}: {log}");
}
