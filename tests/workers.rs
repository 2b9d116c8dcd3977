//! Several workers on this machine: equal to one, repeatable, and ended together.

#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "workers/deaths.rs"]
mod deaths;
#[path = "workers/heads.rs"]
mod heads;
#[path = "common/interrupted.rs"]
mod interrupted;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use cluster::{DEADLINE, end, export, flags, launch};
use common::{fail, root, succeed, text, tfbert, tiny};
use interrupted::{alone, spawn, wait_for};

const WEIGHTS: &str = "model/variables/variables.data-00000-of-00001";

/// Workers as processes of their own, with `change` of the second one's flags.
fn several(count: usize, run: &Path, start_timeout: usize, change: &[&str]) -> Vec<Command> {
    let ports: Vec<u16> = (0..=count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|held| held.local_addr().unwrap().port())
        .collect();
    let (control, ports) = ports.split_last().unwrap();
    let addresses: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let worker = |index: usize| {
        let mut command = tfbert();
        command.args(flags("classify", run)).args(["--threads", "1", "--start-timeout"]);
        command.arg(start_timeout.to_string()).arg("--cluster").arg(addresses.join(","));
        command.args(["--control-port", &control.to_string()]);
        command.args(["--worker-index", &index.to_string()]);
        if index == 1 {
            command.args(change);
        }
        command
    };
    (0..count).map(worker).collect()
}

/// As [`several`], two.
fn two(run: &Path, start_timeout: usize, change: &[&str]) -> [Command; 2] {
    several(2, run, start_timeout, change).try_into().unwrap()
}

#[test]
fn workers_start_from_a_trained_model_and_end_together_by_patience() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let mut short = flags("classify", &first);
    short.extend(["--max-steps".into(), "1".into()]);
    succeed(&mut launch(1, &short));
    // A learning rate of 0 changes nothing, so the second evaluation is no better.
    let mut flags = flags("classify", &second);
    for flag in ["--learning-rate=0", "--eval-steps=2", "--patience=1", "--model"] {
        flags.push(flag.into());
    }
    flags.push(first.display().to_string());
    let child = spawn(&mut launch(2, &flags));
    let (code, stderr) = end(child, DEADLINE);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("with its head"), "{stderr}");
    assert!(stderr.contains("step 4: `accuracy` was not better"), "{stderr}");
    let weights = |run: &Path| fs::read(run.join(WEIGHTS)).unwrap();
    assert!(weights(&first) == weights(&second), "the weights are not those of the first run");
}

#[test]
fn a_loss_that_is_no_number_ends_all_workers_for_good() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut flags = flags("classify", &dir.path().join("run"));
    flags.extend(["--learning-rate".into(), "1e30".into()]);
    let (code, stderr) = end(spawn(&mut launch(2, &flags)), DEADLINE);
    assert_eq!(code, Some(1), "{stderr}");
    let last = stderr.lines().rfind(|line| line.starts_with("error: worker ")).unwrap();
    assert!(last.contains("the loss is NaN (NaN of this worker's rows)"), "{stderr}");
}

#[test]
fn the_head_masked_is_for_one_worker() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tfbert();
    command.args(["train", "--task", "mlm", "--data-dir", "data", "--output"]).arg(dir.path());
    command.args(["--cluster", "127.0.0.1:1,127.0.0.1:2", "--worker-index", "0", "--model"]);
    let stderr = fail(command.arg(tiny("masked")));
    assert!(stderr.contains("the head `masked` is trained by one worker"), "{stderr}");
}

#[test]
fn strangers_change_nothing_and_a_worker_that_would_train_something_else_ends_all() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let data = dir.path().join("SST-2");
    fs::create_dir(&data).unwrap();
    let train = fs::read_to_string(root().join("data/SST-2/train.tsv")).unwrap();
    fs::write(data.join("train.tsv"), format!("{train}one more\t1\n")).unwrap();
    fs::copy(root().join("data/SST-2/dev.tsv"), data.join("dev.tsv")).unwrap();
    let folder = dir.path().to_str().unwrap();
    let [mut chief, mut other] = two(&run, 60, &["--seed", "7", "--data-dir", folder]);
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
        assert!(stderr.contains("worker 1 (127.0.0.1:"), "{stderr}");
        assert!(stderr.contains("`settings.seed` is 7, the chief's 1"), "{stderr}");
        assert!(stderr.contains("`data.train` is "), "{stderr}");
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
