//! Runs of the binary that are stopped and resumed, and how an uninterrupted one ends.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{last_json, root, succeed, text, tfbert, tiny};

/// Processes are started one at a time: each wants all cores.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the moments at which a test interrupts: the same in every run, those of seed `n` with
/// `TFBERT_TEST_SEED=n`, and others each time with `TFBERT_TEST_SEED=random`. The seed is printed, so
/// that a failure can be repeated.
pub fn random() -> ChaCha8Rng {
    let seed: u64 = match std::env::var("TFBERT_TEST_SEED").as_deref() {
        Err(_) | Ok("") => 1,
        Ok("random") => rand::rng().random_range(0..1_000_000),
        Ok(seed) => seed.parse().expect("TFBERT_TEST_SEED is `random` or a whole number"),
    };
    eprintln!("TFBERT_TEST_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// A run of 120 steps in one shape, with a checkpoint every 3.
pub fn command(output: &Path) -> Command {
    command_of(&tiny("classify"), output)
}

/// The same of another export.
pub fn command_of(export: &Path, output: &Path) -> Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", "sst2", "--data-dir", "data", "--precision", "f32", "--json"])
        .args(["--limit-train", "100", "--limit-dev", "16", "--batch-size", "4", "--epochs", "5"])
        .args(["--max-steps", "120", "--max-length", "16", "--learning-rate", "1e-3"])
        .args(["--log-steps", "2", "--save-steps", "3", "--eval-steps", "20", "--threads", "1"])
        .args(["--eval-batch-size", "4", "--keep-checkpoints", "1"])
        .arg("--model")
        .arg(export)
        .arg("--output")
        .arg(output);
    command
}

/// The same with `--resume`.
pub fn resume(output: &Path) -> Command {
    let mut command = command(output);
    command.arg("--resume");
    command
}

/// All that must be equal at the end.
#[derive(PartialEq)]
pub struct Ended {
    files: Vec<(String, Vec<u8>)>,
    result: Vec<serde_json::Value>,
}

impl Ended {
    pub fn new(run: &Path, stdout: &str) -> Self {
        let names = [
            "metrics.jsonl",
            "analysis.json",
            "model/saved_model.pb",
            "model/variables/variables.index",
            "model/variables/variables.data-00000-of-00001",
            "model/assets.extra/tfbert.json",
            "checkpoints/step-000120/weights.index",
            "checkpoints/step-000120/weights.data-00000-of-00001",
        ];
        let read = |name: &&str| ((*name).to_owned(), fs::read(run.join(name)).expect(name));
        let events = ("events".to_owned(), events(run));
        let result = last_json(stdout);
        let keys = ["metrics", "splits", "steps", "best_step", "skipped"];
        Self {
            files: names.iter().map(read).chain([events]).collect(),
            result: keys.iter().map(|&key| result[key].clone()).collect(),
        }
    }

    /// As an uninterrupted run ends.
    pub fn uninterrupted() -> &'static Self {
        static ENDED: OnceLock<Ended> = OnceLock::new();
        ENDED.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let run = dir.path().join("run");
            Self::new(&run, &succeed(&mut command(&run)))
        })
    }

    #[track_caller]
    pub fn assert_equals_uninterrupted(&self, what: &str) {
        let expected = Self::uninterrupted();
        assert_eq!(self.result, expected.result, "{what}");
        for ((name, bytes), (_, other)) in self.files.iter().zip(&expected.files) {
            assert!(bytes == other, "{what}: {name} differs from an uninterrupted run's");
        }
    }
}

/// TensorBoard's events without their times of day and checksums.
pub fn events(run: &Path) -> Vec<u8> {
    let files: Vec<PathBuf> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("events.out.tfevents"))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = fs::read(&files[0]).unwrap();
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        // Length, its checksum, the message, its checksum.
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let message = &rest[12..12 + length];
        // `Event.wall_time` comes first: a key of one byte and a double.
        assert_eq!(message[0], 0x09);
        events.extend_from_slice(&message[9..]);
        rest = &rest[12 + length + 4..];
    }
    events
}

/// Starts a process whose output is kept.
pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// Waits until `seen` or the process has ended; whether it was seen.
pub fn wait_for(child: &mut Child, mut seen: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(300) {
        if seen() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_micros(500));
    }
    let _ = child.kill();
    panic!("nothing happened within five minutes");
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status();
    assert!(sent.unwrap().success());
}

/// Stops a process until it gets `CONT`, and waits until all its threads stand still.
pub fn halt(process: u32) {
    signal(process, "STOP");
    let start = Instant::now();
    loop {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let stopped = threads.into_iter().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The state follows the name, which is in parentheses.
            !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['R', 'S', 'D']))
        });
        if stopped {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "{process} does not stop");
        sleep(Duration::from_micros(100));
    }
}

/// The entries of a run's checkpoints.
pub fn names(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The complete checkpoints, damaged ones too.
pub fn complete(run: &Path) -> Vec<String> {
    names(run).into_iter().filter(|name| name.starts_with("step-")).collect()
}

/// The newest complete checkpoint.
pub fn newest(run: &Path) -> Option<String> {
    complete(run).into_iter().rfind(|name| !name.contains("damaged"))
}

/// The exit code, if the process was not killed.
pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Begins a run and stops it by SIGTERM after its first checkpoint.
pub fn begin(run: &Path) {
    let mut child = spawn(&mut command(run));
    assert!(wait_for(&mut child, || newest(run).is_some()), "it ended before a checkpoint");
    signal(child.id(), "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(143), "{}", text(&output).1);
}

/// A command behind what a shell does first.
pub fn limited(limits: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.current_dir(root()).args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}
