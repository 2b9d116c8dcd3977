//! `tfbert launch`: several workers on this machine.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGKILL, SIGTERM};
use tfbert::cli::{self, Cli, LaunchArgs};
use tfbert::error::{Error, Result};
use tfbert::runtime::{Device, numa_nodes, on_processors, send_signal};

use super::train::CLUSTER_TOKEN;

/// In a worker's environment: the number of the process that launched it.
const LAUNCHER: &str = "TFBERT_LAUNCHER";
/// The longest time that other workers take to notice that one has ended, and to end.
const GRACE: Duration = Duration::from_secs(20);
/// How long a worker may take to end once it is asked to.
const KILL_AFTER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// Starts the workers and waits for all of them.
pub fn run(args: &LaunchArgs, cli: &Cli) -> Result<()> {
    let words = check(args)?;
    let is_given =
        |flag: &str| args.command.iter().any(|word| word.split('=').next() == Some(flag));
    let device = Device::detect(cli.tensorflow.as_deref());
    let ports = free_ports(args.workers + 1)?;
    let gpus = device.gpus().map_or(0, |gpus| gpus.all.len());
    // Which node a GPU belongs to is not known here.
    let nodes = if gpus == 0 { numa_nodes() } else { Vec::new() };
    let places: Vec<_> = (0..args.workers).map(|n| place(&nodes, n, args.workers)).collect();
    let threads = args.threads.unwrap_or_else(|| own_threads(&device, &nodes, args.workers));
    let signals = signals()?;
    let (sender, lines) = channel();
    let mut workers = Vec::new();
    let token: [u8; 16] = rand::random();
    let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    for (index, place) in places.iter().enumerate() {
        let mut command = command(&words, cli, index, &ports)?;
        if !is_given("--threads") {
            command.arg("--threads").arg(threads.to_string());
        }
        if !is_given("--control-port") {
            command.arg("--control-port").arg(ports[args.workers].to_string());
        }
        command.env(CLUSTER_TOKEN, &token).env(LAUNCHER, std::process::id().to_string());
        if gpus > 0 {
            command.env("CUDA_VISIBLE_DEVICES", (index % gpus).to_string());
        }
        match Worker::start_on(place.as_deref(), command, index, &sender) {
            Ok(worker) => workers.push(worker),
            Err(error) => {
                workers.iter().for_each(|worker| send_signal(&worker.child, SIGKILL));
                return Err(error);
            }
        }
    }
    drop(sender);
    let on_nodes = match places[0] {
        Some(_) => format!(", placed on its {} NUMA nodes", nodes.len()),
        None => String::new(),
    };
    log::info!("{} workers of {threads} threads on this machine{on_nodes}", args.workers);
    let ended = Running { workers, lines, first_errors: BTreeMap::new() }
        .wait(&|| signals.try_recv().ok())?;
    match ended {
        None => Ok(()),
        Some(end) => Err(end),
    }
}

/// The processors of a worker where there are several NUMA nodes and each can have as many workers, or
/// each worker as many nodes; otherwise Linux places the workers.
fn place(nodes: &[Vec<usize>], worker: usize, workers: usize) -> Option<Vec<usize>> {
    let count = nodes.len();
    if count < 2 || workers < 2 {
        return None;
    }
    if workers.is_multiple_of(count) {
        return Some(nodes[worker / (workers / count)].clone());
    }
    let each = count / workers;
    let own = || nodes[worker * each..(worker + 1) * each].concat();
    count.is_multiple_of(workers).then(own)
}

/// The threads of each worker: its share of the cores of its nodes, or of all.
fn own_threads(device: &Device, nodes: &[Vec<usize>], workers: usize) -> usize {
    let smallest = (0..workers)
        .map(|worker| Some(place(nodes, worker, workers)?.len() / (workers / nodes.len()).max(1)))
        .min()
        .flatten();
    smallest.unwrap_or(device.cores() / workers).max(1)
}

/// The signals that ask to stop, each of which the workers get too: at the second they stop at once.
fn signals() -> Result<Receiver<i32>> {
    let (sender, receiver) = channel();
    for signal in super::stopping_signals() {
        let sender = sender.clone();
        super::spawn_on(signal, move || {
            let _ = sender.send(signal); // The last worker may have ended.
        })?;
    }
    Ok(receiver)
}

/// The words of each worker's command, which must be `train` without workers of its own. Those of
/// `train --resume --output RUN` alone are recalled here, so that workers can get other ports.
fn check(args: &LaunchArgs) -> Result<Vec<OsString>> {
    const EXAMPLE: &str = "for example `tfbert launch --workers 2 -- train …`";
    let words = std::iter::once("tfbert").chain(args.command.iter().map(String::as_str));
    let mut words = super::recall::arguments(words.map(OsString::from).collect(), true)?;
    // One message, and not one of each worker.
    let cli = cli::parse(words.clone());
    let cli::Command::Train(train) = cli.command else {
        return Err(Error::usage("`tfbert launch` starts only `tfbert train`").hint(EXAMPLE));
    };
    if train.cluster.cluster.is_some() || train.cluster.worker_index.is_some() {
        return Err(Error::usage(
            "`tfbert launch` names the workers itself: leave out `--cluster` and `--worker-index`",
        ));
    }
    words.remove(0); // The program's name.
    Ok(words)
}

/// Ports of this machine that no process has.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let failed = |error: std::io::Error| Error::new(format!("no port is free: {error}"));
    // All are held until all are found, so that none comes twice.
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<std::io::Result<_>>()
        .map_err(failed)?;
    held.iter()
        .map(|port| port.local_addr().map(|address| address.port()))
        .collect::<std::io::Result<_>>()
        .map_err(failed)
}

/// The command of a worker. The last port is that of the control channel.
fn command(words: &[OsString], cli: &Cli, index: usize, ports: &[u16]) -> Result<Command> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(format!("this program's own file is not known: {error}")))?;
    let addresses: Vec<String> =
        ports[..ports.len() - 1].iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = serde_json::json!({
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    });
    let mut command = Command::new(program);
    command.env("TF_CONFIG", config.to_string());
    if cli.verbose {
        command.arg("--verbose");
    }
    if let Some(folder) = &cli.tensorflow {
        command.arg("--tensorflow").arg(folder);
    }
    command.args(words);
    Ok(command)
}

/// Watches the `tfbert launch` that started this worker, if one did. If it ends first, which happens when
/// it is killed, the worker stops as on SIGTERM.
pub fn stop_with_launcher(stop: &Arc<AtomicI32>) {
    let Some(launcher) = std::env::var(LAUNCHER).ok().and_then(|id| id.parse::<u32>().ok()) else {
        return;
    };
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        while parent_id() == launcher {
            thread::sleep(Duration::from_secs(1));
        }
        if stop.compare_exchange(0, SIGTERM, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            log::error!("`tfbert launch` ended before its workers; stopping");
        }
    });
}

/// A line that a worker wrote to stderr, or to stdout where `result`.
struct Line {
    worker: usize,
    text: Vec<u8>,
    result: bool,
}

/// A worker's process.
struct Worker {
    child: Child,
    status: Option<ExitStatus>,
}

impl Worker {
    /// As [`Worker::start`], on these processors alone where they are given.
    fn start_on(
        processors: Option<&[usize]>,
        command: Command,
        index: usize,
        lines: &Sender<Line>,
    ) -> Result<Self> {
        let Some(processors) = processors else { return Self::start(command, index, lines) };
        on_processors(processors, || Self::start(command, index, lines)).map_err(|error| {
            Error::new(format!("worker {index} could not be placed on a NUMA node: {error}"))
        })?
    }

    fn start(mut command: Command, index: usize, lines: &Sender<Line>) -> Result<Self> {
        // A group of its own: Ctrl-C reaches this process alone, which passes it on once.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| Error::new(format!("worker {index} could not be started: {error}")))?;
        let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        for (pipe, result) in [(stdout, true), (stderr, false)] {
            let Some(pipe) = pipe else { continue };
            let lines = lines.clone();
            thread::spawn(move || {
                for text in BufReader::new(pipe).split(b'\n').map_while(std::io::Result::ok) {
                    drop(lines.send(Line { worker: index, text, result }));
                }
            });
        }
        Ok(Self { child, status: None })
    }
}

/// All workers, while at least one of them runs.
struct Running {
    workers: Vec<Worker>,
    lines: Receiver<Line>,
    /// The first error that each worker wrote, and its place among all.
    first_errors: BTreeMap<usize, (usize, String)>,
}

impl Running {
    /// Waits until all have ended; the error of the first that failed, with the worst exit code.
    fn wait(mut self, signal: &dyn Fn() -> Option<i32>) -> Result<Option<Error>> {
        let mut first_failed: Option<(usize, Instant)> = None;
        let mut asked: Option<Instant> = None;
        loop {
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => self.print(line)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            }
            for (index, worker) in self.workers.iter_mut().enumerate() {
                if worker.status.is_none() {
                    worker.status = worker.child.try_wait().ok().flatten();
                    if worker.status.is_some_and(|status| !status.success()) {
                        first_failed.get_or_insert((index, Instant::now()));
                    }
                }
            }
            let running: Vec<&Child> = self
                .workers
                .iter()
                .filter(|worker| worker.status.is_none())
                .map(|worker| &worker.child)
                .collect();
            if running.is_empty() {
                break;
            }
            let late = first_failed.is_some_and(|(_, since)| since.elapsed() > GRACE);
            let signal = signal().or_else(|| (asked.is_none() && late).then_some(SIGTERM));
            if let Some(signal) = signal {
                running.iter().for_each(|child| send_signal(child, signal));
                asked = Some(Instant::now());
            }
            if first_failed.is_some() && asked.is_some_and(|since| since.elapsed() > KILL_AFTER) {
                running.iter().for_each(|child| send_signal(child, SIGKILL));
            }
        }
        while let Ok(line) = self.lines.recv() {
            self.print(line)?;
        }
        Ok(first_failed.map(|(index, _)| self.failure(index)))
    }

    fn print(&mut self, line: Line) -> Result<()> {
        let Line { worker, text, result } = line;
        if result {
            return super::print_line(String::from_utf8_lossy(&text));
        }
        if text.starts_with(b"error: ") {
            let order = self.first_errors.len();
            let text = String::from_utf8_lossy(&text[b"error: ".len()..]).into_owned();
            self.first_errors.entry(worker).or_insert((order, text));
        }
        let mut stderr = std::io::stderr().lock();
        let colour = stderr.is_terminal();
        let prefix = match colour {
            true => format!("\x1b[2m[{worker}]\x1b[0m "),
            false => format!("[{worker}] "),
        };
        let line = [prefix.as_bytes(), &text, b"\n"].concat();
        let _ = stderr.write_all(&line); // Nobody reads it any more.
        Ok(())
    }

    /// What the workers came to: the first error of those with the worst exit code, which the others
    /// follow from.
    fn failure(&self, ended_first: usize) -> Error {
        let code = |worker: &Worker| worker.status.map_or(1, exit_code);
        let worst = self.workers.iter().map(code).max_by_key(|&code| rank(code)).unwrap_or(1);
        let killed = self.workers.iter().enumerate().find(|(index, worker)| {
            worker.status.is_some_and(|status| status.signal().is_some())
                && !self.first_errors.contains_key(index)
        });
        let first = self.first_errors.iter().min_by_key(|(index, (order, _))| {
            let rank = self.workers.get(**index).map_or(0, |worker| rank(code(worker)));
            (Reverse(rank), *order)
        });
        let what = match (killed, first) {
            (Some((index, worker)), _) => {
                let signal = worker.status.and_then(|status| status.signal()).unwrap_or(0);
                format!("worker {index} was ended by signal {signal}")
            }
            (None, Some((index, (_, text)))) => format!("worker {index}: {text}"),
            (None, None) => {
                let code = self.workers.get(ended_first).map_or(1, code);
                format!("worker {ended_first} ended first, with exit code {code}")
            }
        };
        Error::exited(worst, what)
    }
}

/// As shells report it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// How bad an exit code is: one that another try does not mend is the worst.
fn rank(code: u8) -> u8 {
    match code {
        0 => 0,
        130 | 143 => 1,
        138 => 2,
        128.. => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_stays_is_worse_than_one_that_another_worker_caused() {
        let mut codes = [138, 0, 1, 143, 137];
        codes.sort_by_key(|&code| rank(code));
        assert_eq!(codes, [0, 143, 138, 137, 1]);
    }

    #[test]
    fn workers_are_spread_over_numa_nodes_evenly_or_not_at_all() {
        let nodes = [vec![0, 1, 2, 3], vec![4, 5, 6, 7]];
        let places = |nodes: &[Vec<usize>], workers: usize| -> Vec<_> {
            (0..workers).map(|worker| place(nodes, worker, workers)).collect()
        };
        let [one, two] = nodes.clone().map(Some);
        assert_eq!(places(&nodes, 2), [one.clone(), two.clone()]);
        assert_eq!(places(&nodes, 4), [one.clone(), one, two.clone(), two]);
        assert_eq!(places(&nodes, 3), [None, None, None]);
        assert_eq!(places(&nodes, 1), [None]);
        assert_eq!(places(&nodes[..1], 2), [None, None]);
        let four = [vec![0], vec![1], vec![2], vec![3]];
        assert_eq!(places(&four, 2), [Some(vec![0, 1]), Some(vec![2, 3])]);
        let device = Device::detect(None);
        assert_eq!(own_threads(&device, &nodes, 4), 2);
        assert_eq!(own_threads(&device, &nodes, 2), 4);
        assert_eq!(own_threads(&device, &nodes, 3), (device.cores() / 3).max(1));
    }

    #[test]
    fn free_ports_are_different() {
        let mut ports = free_ports(9).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 9);
    }
}
