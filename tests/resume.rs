//! A training process that is stopped, killed, or robbed of its disk, and resumed, ends in the same
//! bytes as one that was left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod common;
use common::{fail, last_json, succeed, text, tfbert, tiny};

/// Processes are started one at a time: each wants all cores.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A seed for the moments, printed so that a failure can be repeated: `TFBERT_TEST_SEED=n`.
fn random() -> ChaCha8Rng {
    let given = std::env::var("TFBERT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    eprintln!("TFBERT_TEST_SEED={seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// A run of 120 steps in one shape, with a checkpoint every 3.
fn command(output: &Path) -> Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", "sst2", "--data-dir", "data", "--precision", "f32", "--json"])
        .args(["--limit-train", "100", "--limit-dev", "16", "--batch-size", "4", "--epochs", "5"])
        .args(["--max-steps", "120", "--max-length", "16", "--learning-rate", "1e-3"])
        .args(["--log-steps", "2", "--save-steps", "3", "--eval-steps", "20", "--threads", "1"])
        .args(["--eval-batch-size", "4"])
        .arg("--model")
        .arg(tiny("classify"))
        .arg("--output")
        .arg(output);
    command
}

fn resume(output: &Path) -> Command {
    let mut command = command(output);
    command.arg("--resume");
    command
}

/// All that must be equal at the end.
#[derive(PartialEq)]
struct Ended {
    files: Vec<(String, Vec<u8>)>,
    result: Vec<serde_json::Value>,
}

impl Ended {
    fn new(run: &Path, stdout: &str) -> Self {
        let names = [
            "metrics.jsonl",
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
    fn uninterrupted() -> &'static Self {
        static ENDED: OnceLock<Ended> = OnceLock::new();
        ENDED.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let run = dir.path().join("run");
            Self::new(&run, &succeed(&mut command(&run)))
        })
    }

    #[track_caller]
    fn assert_equals_uninterrupted(&self, what: &str) {
        let expected = Self::uninterrupted();
        assert_eq!(self.result, expected.result, "{what}");
        for ((name, bytes), (_, other)) in self.files.iter().zip(&expected.files) {
            assert!(bytes == other, "{what}: {name} differs from an uninterrupted run's");
        }
    }
}

/// TensorBoard's events without their times of day and checksums.
fn events(run: &Path) -> Vec<u8> {
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

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

/// Waits until `seen` or the process has ended; whether it was seen.
fn wait_for(child: &mut Child, mut seen: impl FnMut() -> bool) -> bool {
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

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

fn names(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn complete(run: &Path) -> Vec<String> {
    names(run).into_iter().filter(|name| name.starts_with("step-")).collect()
}

fn newest(run: &Path) -> Option<String> {
    complete(run).into_iter().rfind(|name| !name.contains("damaged"))
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Begins a run and stops it by SIGTERM after its first checkpoint.
fn begin(run: &Path) {
    let mut child = spawn(&mut command(run));
    assert!(wait_for(&mut child, || newest(run).is_some()), "it ended before a checkpoint");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(143), "{}", text(&output).1);
}

#[test]
fn a_process_killed_at_twenty_random_moments_ends_in_the_same_bytes() {
    let _alone = alone();
    Ended::uninterrupted();
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let (mut round, mut kills, mut in_writes) = (0, 0, 0);
    let mut run = dir.path().join("0");
    while kills < 20 {
        let mut child =
            spawn(&mut if run.join("run.json").exists() { resume(&run) } else { command(&run) });
        let before = names(&run);
        let moment = random.random_range(0..10);
        let seen = if moment == 0 {
            // Anywhere from the start on.
            sleep(Duration::from_millis(random.random_range(0..3000)));
            true
        } else if moment < 6 {
            // While a checkpoint is written: its hidden folder is there.
            let skip = random.random_range(0..200);
            let mut sightings = 0;
            wait_for(&mut child, || {
                sightings += usize::from(
                    names(&run)
                        .iter()
                        .any(|name| name.ends_with(".partial") && !before.contains(name)),
                );
                sightings > skip
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
            in_writes += usize::from(names(&run).iter().any(|name| name.ends_with(".partial")));
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

#[test]
fn sigterm_and_newest_checkpoints_truncated_at_random_end_in_the_same_bytes() {
    let _alone = alone();
    Ended::uninterrupted();
    let mut random = random();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut warnings = 0;
    for round in 0..5 {
        let before = newest(&run);
        let mut child = spawn(&mut if round == 0 { command(&run) } else { resume(&run) });
        if !wait_for(&mut child, || newest(&run) != before) {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output).1);
            break;
        }
        sleep(Duration::from_micros(random.random_range(0..100_000)));
        signal(&child, "TERM");
        let output = child.wait_with_output().unwrap();
        let stderr = text(&output).1;
        if output.status.success() {
            break; // The signal came after the last step.
        }
        warnings += usize::from(stderr.contains("is damaged and passed over"));
        assert_eq!(code(&output), Some(143), "{stderr}");
        assert!(stderr.contains("stopped by SIGTERM after step"), "{stderr}");
        assert!(stderr.contains("--resume"), "{stderr}");
        if round % 2 == 0 {
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
    assert!(warnings > 0, "no damaged checkpoint was passed over");
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
fn a_second_signal_stops_at_once_and_a_second_process_is_refused() {
    use std::os::unix::process::ExitStatusExt;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut child = spawn(&mut command(&run));
    assert!(wait_for(&mut child, || newest(&run).is_some()));
    // Stopped, so that it holds its lock for as long as this test needs.
    signal(&child, "STOP");
    for flag in ["--resume", "--overwrite"] {
        let stderr = fail(command(&run).arg(flag));
        assert!(stderr.contains("another tfbert is training in this folder"), "{stderr}");
    }
    signal(&child, "INT");
    signal(&child, "CONT");
    sleep(Duration::from_millis(1));
    let _ = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    let output = child.wait_with_output().unwrap();
    // Whichever came first: the end of the step, or the second signal.
    let ended = (output.status.code(), output.status.signal());
    assert!(matches!(ended, (Some(130), None) | (None, Some(2))), "{ended:?}");
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

/// A command behind what a shell does first.
fn limited(limits: &str, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.current_dir(common::root()).args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

#[test]
fn memory_that_runs_out_names_the_batch_and_the_flags() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("SST-2");
    fs::create_dir(&data).unwrap();
    let rows: String = (0..4096).map(|i| format!("{}\t{}\n", "film ".repeat(130), i % 2)).collect();
    fs::write(data.join("train.tsv"), format!("sentence\tlabel\n{rows}")).unwrap();
    fs::copy(common::root().join("data/SST-2/dev.tsv"), data.join("dev.tsv")).unwrap();
    let mut train = tfbert();
    train.args(["train", "--task", "sst2", "--precision", "f32", "--batch-size", "4096"]);
    train.args(["--max-length", "128", "--limit-dev", "4", "--threads", "1", "--max-steps", "1"]);
    train.arg("--model").arg(tiny("classify")).arg("--data-dir").arg(dir.path());
    train.arg("--output").arg(dir.path().join("run"));
    // The step wants several GB beside what TensorFlow itself takes of addresses.
    let output = limited("ulimit -v 4500000", &train).output().unwrap();
    let stderr = text(&output).1;
    assert!(!output.status.success(), "{stderr}");
    // TensorFlow gives an error, or ends the process from inside a compiled function.
    assert!(stderr.contains("error: "), "{stderr}");
    assert!(
        stderr.contains("batch 4096 × 128") || stderr.contains("batch of 4096 × 128"),
        "{stderr}"
    );
    assert!(stderr.contains("try a smaller `--batch-size`, `--accumulate N`"), "{stderr}");
}

/// A small disk, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option},size=16m");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_fills_or_is_read_only_costs_nothing_that_was_complete() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("disk")) else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    let run = disk.0.join("run");
    begin(&run);
    let kept = complete(&run);
    // All but 256 KiB of the rest is taken.
    let free = Command::new("df").args(["--output=avail", "-k"]).arg(&disk.0).output().unwrap();
    let free: usize = text(&free).0.lines().last().unwrap().trim().parse().unwrap();
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![1; (free - 256) << 10]).unwrap();
    let stderr = fail(&mut resume(&run));
    assert!(stderr.contains("see that the disk has room"), "{stderr}");
    assert_eq!(names(&run), kept, "what was complete stays, and nothing else");
    // Not a byte is free.
    let _ = fs::write(disk.0.join("more"), vec![1; 2 << 20]);
    fail(&mut resume(&run));
    assert_eq!(names(&run), kept);
    fs::remove_file(disk.0.join("more")).unwrap();
    fs::remove_file(&filler).unwrap();
    disk.remount("ro");
    let stderr = fail(&mut resume(&run));
    assert!(stderr.contains("Read-only file system"), "{stderr}");
    disk.remount("rw");
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("on a full disk");
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
