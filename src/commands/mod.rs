//! The commands: from arguments to the stages of the library.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tfbert::cli::{CacheArgs, Cli, PrecisionArg, WholeStepArg};
use tfbert::dataset::DataSource;
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::{FeatureSettings, Tokenizer};
use tfbert::files::{names, user_cache_folder};
use tfbert::model::Precision;
use tfbert::runtime::{Device, Process, ProcessOptions};
use tfbert::saved_model::{Description, Export};
use tfbert::stages::{cut_message, features};
use tfbert::task::Task;

pub mod bench;
pub mod child;
pub mod compare;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod fetch;
pub mod launch;
pub mod models;
pub mod predict;
pub mod recall;
pub mod report;
pub mod setup;
pub mod shell;
pub mod tasks;
pub mod train;

/// What `eval` and `predict` say where memory ran out.
pub const BATCH_MEMORY_HINT: &str = "memory ran out: use a smaller `--batch-size`";

/// The most rows of a table that `train` and `eval` print.
pub const SHOWN_ROWS: usize = 20;

/// Writes a line to stdout.
///
/// A reader that has gone is no error: `head` for example has seen enough, and what else the command
/// does is done.
pub fn print_line(line: impl Display) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(format!("could not write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to stdout, of a command that only prints.
///
/// A reader that has gone, as `head` has once it has seen enough, ends the command.
pub fn print_or_end(line: impl Display) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Error::output_closed()),
        Err(error) => Err(Error::new(format!("could not write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// The number format of an argument.
pub fn precision(device: &Device, argument: PrecisionArg) -> Precision {
    match argument {
        PrecisionArg::F32 => Precision::F32,
        PrecisionArg::Bf16 => Precision::Bf16,
        PrecisionArg::Auto => device.precision(),
    }
}

/// Whether an export is trained with its whole-step graph.
pub fn whole_step(device: &Device, argument: WholeStepArg, export: &Export) -> bool {
    match argument {
        WholeStepArg::On => true,
        WholeStepArg::Off => false,
        WholeStepArg::Auto => {
            let has_graph = !export.whole_step_signatures.is_empty();
            if device.gpu().is_some() && !has_graph {
                log::info!(
                    "{}: this export has no whole-step graph, with which a GPU trains faster; export it \
                     with `python -m python_export --whole-step --force …`",
                    export.model.dir.display()
                );
            }
            device.gpu().is_some() && has_graph
        }
    }
}

/// The folder of what is kept for later runs, if it is.
pub fn cache_folder(args: &CacheArgs) -> Option<PathBuf> {
    if args.no_cache { None } else { args.cache_dir.clone().or_else(user_cache_folder) }
}

/// Finds TensorFlow's library and prepares this process for training, before any thread is started.
///
/// `memory_hint` is what the user can do where memory runs out.
pub fn training_process(
    cli: &Cli,
    device: &Device,
    cache: &CacheArgs,
    threads: Option<usize>,
    memory_hint: &'static str,
) -> Result<Process> {
    let options = ProcessOptions {
        cache: cache_folder(cache),
        threads: threads.unwrap_or(0),
        ..process_options(cli, memory_hint)
    };
    Process::prepare(device, &options)
}

/// As [`training_process`], for inference, which compiles nothing.
pub fn inference_process(cli: &Cli, device: &Device, precision: Precision) -> Result<Process> {
    let options = ProcessOptions {
        // In float32 the sums are then taken in another order than in training's evaluation, whose
        // scores are to be repeated to the digit; in bf16 they come out alike.
        frozen_weights: precision == Precision::Bf16,
        ..process_options(cli, "try a smaller `--batch-size`")
    };
    Process::prepare(device, &options)
}

/// Options of every command.
pub fn process_options(cli: &Cli, memory_hint: &'static str) -> ProcessOptions {
    ProcessOptions {
        folder: cli.tensorflow.clone(),
        verbose: cli.verbose,
        memory_hint,
        ..ProcessOptions::default()
    }
}

/// The number of the first signal that asks to stop, 0 before one comes. A second signal ends the
/// process at once.
pub fn stop_signal() -> Result<Arc<AtomicI32>> {
    let stop = Arc::new(AtomicI32::new(0));
    for signal in stopping_signals() {
        let stop = Arc::clone(&stop);
        let seen = move || {
            if stop.swap(signal, Ordering::SeqCst) != 0 {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            log::info!("stopping; a second signal stops at once");
        };
        // SAFETY of the handler itself is signal-hook's matter; this runs on its thread.
        spawn_on(signal, seen)?;
    }
    Ok(stop)
}

/// The signals that ask to stop. SIGHUP, which a closing terminal sends, is one unless the process was
/// started to ignore it, as by `nohup`.
fn stopping_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hangup = (!ignores(&status, SIGHUP)).then_some(SIGHUP);
    hangup.into_iter().chain([SIGINT, SIGTERM]).collect()
}

/// Whether `SigIgn` in a process's `/proc/PID/status` holds a signal: a mask in hexadecimal digits,
/// whose lowest bit is signal 1 (proc(5)).
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

fn spawn_on(signal: i32, action: impl Fn() + Send + 'static) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal])
        .map_err(|error| Error::new(format!("could not listen to signals: {error}")))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            action();
        }
    });
    Ok(())
}

/// Refuses a length that the encoder has no positions for.
pub fn check_length(settings: &FeatureSettings, model: &Description) -> Result<()> {
    if settings.max_length > model.max_length {
        return Err(Error::usage(format!(
            "`--max-length {}` is above the encoder's {}",
            settings.max_length, model.max_length
        ))
        .at(&model.dir)
        .hint(format!("give `--max-length {}` or less", model.max_length)));
    }
    Ok(())
}

/// Refuses a model whose head is not the task's; `hint` says where to get another.
pub fn check_head(task: &Task, model: &Description, hint: &str) -> Result<()> {
    if task.head == model.head {
        return Ok(());
    }
    Err(Error::usage(format!(
        "task `{}` needs the head `{}`, the model has `{}`",
        task.name, task.head, model.head
    ))
    .at(&model.dir)
    .hint(hint))
}

/// Reads and tokenises one split.
pub fn encode(
    source: &DataSource<'_>,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<EncodedDataset> {
    let dataset = source.read()?;
    let features = features(source.task.head, &dataset, tokenizer, settings)?;
    report_cut(source, features.truncated, dataset.examples.len(), settings);
    Ok(EncodedDataset { dataset, features })
}

/// Says how many examples of a split were cut, and to what.
pub fn report_cut(source: &DataSource<'_>, cut: usize, of: usize, settings: &FeatureSettings) {
    if let Some(message) = cut_message(source.task.head, cut, of, settings) {
        log::info!("{}: {message}", source.split.name);
    }
}

/// The run that a task's file lies in, as `runs/tickets/task.json` does.
pub fn run_of_task_file(task: &Task) -> Option<PathBuf> {
    let is_run = |folder: &PathBuf| {
        [names::RUN_RECORD, names::SEEDS_RESULT, names::SWEEP]
            .iter()
            .any(|name| folder.join(name).is_file())
    };
    task.base.clone().filter(is_run)
}

/// The folder of a task's run.
pub fn run_folder(task: &Task) -> PathBuf {
    Path::new("runs").join(&task.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_ignored_where_its_bit_of_the_mask_is_set() {
        let status = "Name:\ttfbert\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT));
        assert!(!ignores("", SIGHUP));
    }
}
