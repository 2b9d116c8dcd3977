//! Several workers on this machine: equal to one, repeatable, and ended together.

#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "common/interrupted.rs"]
mod interrupted;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::Duration;

use cluster::{DEADLINE, NOTICED, end, export, flags, launch, steps_saved};
use common::{fail, succeed, text, tfbert};
use interrupted::{alone, random, spawn, wait_for};
use rand::Rng;

/// How far the weights of two final models are from each other, relative to their norm.
fn distance(one: &Path, other: &Path) -> f64 {
    let read =
        |run: &Path| fs::read(run.join("model/variables/variables.data-00000-of-00001")).unwrap();
    let (one, other) = (read(one), read(other));
    assert_eq!(one.len(), other.len());
    let floats = |bytes: &[u8]| -> Vec<f64> {
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect()
    };
    let (one, other) = (floats(&one), floats(&other));
    // Numbers above are no weights but the names at the end of the file.
    let pairs = one.iter().zip(&other).filter(|(one, _)| one.abs() < 10.0);
    let (mut difference, mut norm) = (0.0, 0.0);
    for (one, other) in pairs {
        difference += (one - other).powi(2);
        norm += one * one;
    }
    assert!(norm > 1.0);
    (difference / norm).sqrt()
}

fn assert_equal_to_one(head: &str, workers: &[usize]) {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = |workers: usize| {
        let run = dir.path().join(format!("{workers}"));
        let mut flags = flags(head, &run);
        flags.extend(["--dropout".into(), "0".into()]);
        let result = common::last_json(&succeed(&mut launch(workers, &flags)));
        (run, result)
    };
    let (one, expected) = run(1);
    for &workers in workers {
        let (several, result) = run(workers);
        let distance = distance(&one, &several);
        assert!(distance < 1e-6, "{head}, {workers} workers: {distance}");
        assert!(distance > 0.0, "{head}: one worker was compared with itself");
        for key in ["metrics", "best_step", "steps"] {
            assert_eq!(result[key], expected[key], "{head}, {workers} workers");
        }
    }
}

#[test]
fn three_and_four_workers_end_in_the_weights_of_one() {
    assert_equal_to_one("classify", &[3, 4]);
}

#[test]
fn two_workers_of_another_head_end_in_the_weights_of_one() {
    assert_equal_to_one("span", &[2]);
}

/// The bytes of what a run with dropout ends in.
fn ended(run: &Path) -> Vec<Vec<u8>> {
    ["metrics.jsonl", "model/variables/variables.data-00000-of-00001"]
        .map(|name| fs::read(run.join(name)).expect(name))
        .into()
}

/// Two workers as processes of their own, `change` of the second one's flags.
fn two(run: &Path, start_timeout: usize, change: &[&str]) -> [Command; 2] {
    let ports: Vec<u16> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|held| held.local_addr().unwrap().port())
        .collect();
    [0, 1].map(|index| {
        let mut command = tfbert();
        command.args(flags("classify", run)).args(["--threads", "1", "--start-timeout"]);
        command.arg(start_timeout.to_string());
        command.arg("--cluster").arg(format!("127.0.0.1:{},127.0.0.1:{}", ports[0], ports[1]));
        command.args(["--control-port", &ports[2].to_string()]);
        command.args(["--worker-index", &index.to_string()]);
        if index == 1 {
            command.args(change);
        }
        command
    })
}

#[test]
fn a_worker_that_is_killed_or_stopped_ends_the_other_and_resumed_they_end_in_the_same_bytes() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    succeed(&mut launch(2, &flags("classify", &whole)));
    let mut random = random();
    let run = dir.path().join("run");
    for (signal, victim) in [("KILL", 1), ("STOP", 0)] {
        let mut commands = two(&run, 60, &[]);
        if steps_saved(&run) > 0 {
            for command in &mut commands {
                command.arg("--resume");
            }
        }
        let from = steps_saved(&run);
        let mut children = commands.map(|mut command| spawn(&mut command));
        assert!(wait_for(&mut children[0], || steps_saved(&run) > from), "{signal} {victim}");
        sleep(Duration::from_millis(random.random_range(0..100)));
        let pid = children[victim].id().to_string();
        succeed(Command::new("kill").args([&format!("-{signal}"), &pid]));
        let [chief, other] = children;
        let (mut gone, left) = if victim == 1 { (other, chief) } else { (chief, other) };
        let (code, stderr) = end(left, NOTICED);
        let _ = gone.kill();
        gone.wait().unwrap();
        assert_eq!(code, Some(138), "{signal} {victim}: {stderr}");
        let name = format!("error: worker {victim} (127.0.0.1:");
        assert!(stderr.contains(&name), "{signal} {victim}: {stderr}");
        assert!(stderr.contains("`--resume`"), "{stderr}");
    }
    let mut flags = flags("classify", &run);
    flags.push("--resume".into());
    succeed(&mut launch(2, &flags));
    assert!(ended(&run) == ended(&whole), "the resumed run ends in other bytes");
}

#[test]
fn a_signal_to_launch_stops_all_workers_after_one_step_and_another_number_goes_on() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut flags = flags("classify", &run);
    let mut child = spawn(&mut launch(2, &flags));
    assert!(wait_for(&mut child, || steps_saved(&run) > 0));
    succeed(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    let (code, stderr) = end(child, DEADLINE);
    assert_eq!(code, Some(143), "{stderr}");
    assert!(stderr.contains("[0] error: ") && stderr.contains("stopped by SIGTERM"), "{stderr}");
    flags.push("--resume".into());
    succeed(&mut launch(3, &flags));
    assert!(run.join("result.json").is_file());
}

#[test]
fn strangers_change_nothing_and_a_worker_that_would_train_something_else_ends_all() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let [mut chief, mut other] = two(&run, 60, &["--seed", "7"]);
    let argument = chief.get_args().skip_while(|arg| *arg != "--control-port").nth(1).unwrap();
    let port: u16 = argument.to_str().unwrap().parse().unwrap();
    let mut chief = spawn(&mut chief);
    let mut strangers = Vec::new();
    assert!(wait_for(&mut chief, || {
        strangers.extend(TcpStream::connect(("127.0.0.1", port)));
        !strangers.is_empty()
    }));
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &[], &[40, 0, 0, 0, 1, 1]] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _ = stream.write_all(bytes);
        strangers.push(stream); // Some say no more, and stay.
    }
    strangers[0].read_exact(&mut [0; 21]).unwrap();
    // The other worker gets as far as the comparison.
    for child in [chief, spawn(&mut other)] {
        let (code, stderr) = end(child, DEADLINE);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("`settings.seed` is 7, the chief's 1"), "{stderr}");
    }
    assert!(!run.join("run.json").exists(), "the run was begun");
}

#[test]
fn a_worker_that_does_not_come_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let [mut chief, mut other] = two(&dir.path().join("run"), 1, &[]);
    for (command, name) in [(&mut chief, "worker 1"), (&mut other, "worker 0")] {
        let output = command.output().unwrap();
        let stderr = text(&output).1;
        assert_eq!(output.status.code(), Some(138), "{stderr}");
        assert!(stderr.contains(&format!("error: {name} (127.0.0.1:")), "{stderr}");
        assert!(stderr.contains("did not connect within 1 seconds"), "{stderr}");
    }
}

#[test]
fn a_control_port_in_use_is_named() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let mut command = tfbert();
    command.args(flags("classify", Path::new("unused"))).args(["--control-port", &port]);
    command.args(["--cluster", "127.0.0.1:1,127.0.0.1:2", "--worker-index", "0"]);
    let stderr = fail(&mut command);
    assert!(stderr.contains(&format!("127.0.0.1:{port}")), "{stderr}");
    assert!(stderr.contains("--control-port"), "{stderr}");
}

#[test]
fn launch_refuses_what_it_cannot_start_and_prints_the_first_error_once() {
    let stderr = fail(tfbert().args(["launch", "--workers", "2", "--", "tasks"]));
    assert!(stderr.contains("starts only `tfbert train`"), "{stderr}");
    let mut command = tfbert();
    command.args(["launch", "--workers", "2", "--", "train", "--task", "sst2", "--data-dir", "no"]);
    command.arg("--model").arg(export("classify"));
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let (sender, lines) = channel();
    let stderr = child.stderr.take().unwrap();
    thread::spawn(move || {
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| sender.send(l).unwrap());
    });
    let (code, _) = end(child, DEADLINE);
    let lines: Vec<String> = lines.iter().collect();
    assert_eq!(code, Some(1), "{lines:?}");
    let last: Vec<&String> = lines.iter().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(last.len(), 1, "{lines:?}");
    assert!(last[0].contains("worker "), "{lines:?}");
}
