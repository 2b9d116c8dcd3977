//! The commands: from arguments to the stages of the library.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use tfbert::cli::{CacheArgs, Cli, PrecisionArg};
use tfbert::dataset::DataSource;
use tfbert::error::{Error, Result};
use tfbert::evaluate::Prepared;
use tfbert::feature::{FeatureSettings, Tokenizer};
use tfbert::files::user_cache_folder;
use tfbert::model::{Contract, Precision};
use tfbert::runtime::{Library, LibraryOptions, Processor, SessionConfig};
use tfbert::stages::features;
use tfbert::task::Task;

pub mod bench;
pub mod doctor;
pub mod eval;
pub mod predict;
pub mod tasks;
pub mod train;

/// What `eval` and `predict` say where memory ran out.
pub const BATCH_MEMORY_HINT: &str = "memory ran out: use a smaller `--batch-size`";

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

/// The number format that `auto` stands for: bf16 where the processor multiplies it faster.
pub fn precision(argument: PrecisionArg) -> Precision {
    match argument {
        PrecisionArg::F32 => Precision::F32,
        PrecisionArg::Bf16 => Precision::Bf16,
        PrecisionArg::Auto if Processor::detect().multiplies_bf16_faster() => Precision::Bf16,
        PrecisionArg::Auto => Precision::F32,
    }
}

/// How sessions run.
pub fn session(threads: Option<usize>) -> SessionConfig {
    SessionConfig { threads: threads.unwrap_or(0), ..SessionConfig::default() }
}

/// The folder of what is kept for later runs, if it is.
pub fn cache_folder(args: &CacheArgs) -> Option<PathBuf> {
    if args.no_cache { None } else { args.cache_dir.clone().or_else(user_cache_folder) }
}

/// Finds TensorFlow's library and prepares this process for it, before any thread is started.
pub fn library(cli: &Cli, cache: &CacheArgs, threads: Option<usize>) -> Result<Library> {
    Library::prepare(&LibraryOptions {
        cache: cache_folder(cache),
        threads: threads.unwrap_or(0),
        ..library_options(cli)
    })
}

/// As [`library`], for inference, which compiles nothing.
pub fn inference_library(cli: &Cli, precision: Precision) -> Result<Library> {
    Library::prepare(&LibraryOptions {
        // In float32 the sums are then taken in another order than in training's evaluation, whose
        // scores are to be repeated to the digit; in bf16 they come out alike.
        frozen_weights: precision == Precision::Bf16,
        ..library_options(cli)
    })
}

/// What every use of the library has in common.
pub fn library_options(cli: &Cli) -> LibraryOptions {
    LibraryOptions {
        folder: cli.tensorflow.clone(),
        verbose: cli.verbose,
        ..LibraryOptions::default()
    }
}

/// The number of the first signal that asks to stop, 0 before one comes. A second signal ends the
/// process at once.
pub fn stop_signal() -> Result<Arc<AtomicI32>> {
    let stop = Arc::new(AtomicI32::new(0));
    for signal in [SIGINT, SIGTERM] {
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
pub fn check_length(settings: &FeatureSettings, contract: &Contract, model: &Path) -> Result<()> {
    if settings.max_length > contract.max_length {
        return Err(Error::usage(format!(
            "`--max-length {}` is past the encoder's {}",
            settings.max_length, contract.max_length
        ))
        .at(model)
        .hint(format!("give `--max-length {}` or less", contract.max_length)));
    }
    Ok(())
}

/// Refuses a model whose head is not the task's.
pub fn check_head(task: &Task, contract: &Contract, model: &Path) -> Result<()> {
    if task.head == contract.head {
        return Ok(());
    }
    Err(Error::usage(format!(
        "task `{}` needs the head `{}`, the model has `{}`",
        task.name, task.head, contract.head
    ))
    .at(model)
    .hint(export_hint(task)))
}

/// The command that exports what a task needs.
pub fn export_hint(task: &Task) -> String {
    format!(
        "export one with `python -m python_export --encoder minilm-l6 --head {} --output \
         saved_models`, or name another with `--model DIR`",
        task.head
    )
}

/// Reads and tokenises one split.
pub fn prepare(
    source: &DataSource<'_>,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Prepared> {
    let dataset = source.read()?;
    let features = features(source.task.head, &dataset, tokenizer, settings)?;
    report_truncated(&dataset.split, features.truncated, dataset.examples.len(), settings);
    Ok(Prepared { dataset, features })
}

/// Says how many examples of a split were cut.
pub fn report_truncated(split: &str, truncated: usize, of: usize, settings: &FeatureSettings) {
    if truncated > 0 {
        let pieces = settings.max_length;
        log::info!("{split}: {truncated} of {of} examples were cut to {pieces} word pieces");
    }
}

/// The folder of a task's run.
pub fn run_folder(task: &Task) -> PathBuf {
    Path::new("runs").join(&task.name)
}

/// The tokenizer of a SavedModel.
pub fn tokenizer(model: &Path) -> Result<Tokenizer> {
    Tokenizer::read(&tokenizer_path(model))
}

/// The tokenizer's file in a SavedModel.
pub fn tokenizer_path(model: &Path) -> PathBuf {
    model.join("assets.extra").join("tokenizer.json")
}
