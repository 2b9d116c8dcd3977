//! What can be typed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

mod bench;
mod cluster;
mod compare;
mod data;
mod eval;
mod export;
mod foreign;
mod look;
mod predict;
mod report;
mod setup;
mod shared;
mod sweep;
mod train;
mod train_data;
mod values;

pub use bench::BenchArgs;
pub use cluster::{ClusterArgs, LaunchArgs};
pub use compare::{CompareArgs, CompareFormat};
pub use data::{DataCommand, FetchArgs};
pub use eval::EvalArgs;
pub use export::{ExportArgs, ExportForm};
pub use look::{CompletionsArgs, DoctorArgs, ManArgs, TasksArgs};
pub use predict::PredictArgs;
pub use report::ReportArgs;
pub use setup::SetupArgs;
pub use shared::{CacheArgs, PrecisionArg, WholeStepArg};
pub use sweep::{SweepArgs, SweepFlags};
pub use train::TrainArgs;
pub use train_data::TrainDataArgs;

/// Fine-tune, evaluate and use BERT from one binary, on TensorFlow's C API.
#[derive(Debug, Parser)]
#[command(name = "tfbert", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Say more: tfbert's own details, and TensorFlow's warnings (with `TF_CPP_MIN_LOG_LEVEL=0` all of
    /// its log).
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Folder of libtensorflow, or of a virtual environment with TensorFlow.
    #[arg(long, global = true, value_name = "DIR")]
    pub tensorflow: Option<PathBuf>,
}

/// Parses arguments. Ends the process with the usage where they are wrong.
pub fn parse(arguments: Vec<OsString>) -> Cli {
    let command = ignore_empty_variables(Cli::command(), &|name| std::env::var_os(name));
    // Of a flag that is there twice the last counts: recalled ones come first.
    let command = command
        .mut_subcommand("train", |train| train.args_override_self(true))
        .mut_subcommand("sweep", |sweep| sweep.args_override_self(true));
    command
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .unwrap_or_else(|error| foreign::answer(error).exit())
}

/// Parses the arguments of `tfbert train`, without the names of program and command.
///
/// # Errors
///
/// They are wrong.
pub fn parse_train(arguments: &[OsString]) -> Result<TrainArgs, clap::Error> {
    let command = TrainArgs::augment_args(clap::Command::new("train")).no_binary_name(true);
    let command = ignore_empty_variables(command, &|name| std::env::var_os(name));
    TrainArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Makes an environment variable that is set to nothing the same as one that is not set.
fn ignore_empty_variables(
    command: clap::Command,
    value: &dyn Fn(&OsStr) -> Option<OsString>,
) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_empty = arg.get_env().and_then(value).is_some_and(|value| value.is_empty());
        if is_empty { arg.env(Resettable::Reset) } else { arg }
    });
    command.mut_subcommands(|subcommand| ignore_empty_variables(subcommand, value))
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one, made once.
pub enum Command {
    /// Fine-tune an exported encoder on a task.
    Train(TrainArgs),
    /// Train with every combination of several values of flags, and keep the best model.
    ///
    /// The flags with `VALUE,…` take several values: `--learning-rate 2e-5,3e-5 --epochs 2,3` trains four
    /// times.
    Sweep(SweepArgs),
    /// Train with several workers on this machine: `tfbert launch --workers 2 -- train …`.
    Launch(LaunchArgs),
    /// Score a trained model on a task's development file.
    Eval(EvalArgs),
    /// Predict texts, from arguments, a file or stdin.
    Predict(PredictArgs),
    /// Write a trained model in the form of another program.
    Export(ExportArgs),
    /// Download a task's files, or look at them.
    #[command(subcommand)]
    Data(DataCommand),
    /// Compare runs: settings that differ, and scores over seeds.
    Compare(CompareArgs),
    /// Write a run's report.html again, or that of a run that is not complete.
    Report(ReportArgs),
    /// Time training steps on random batches.
    Bench(BenchArgs),
    /// List the tasks.
    Tasks(TasksArgs),
    /// Install TensorFlow and export an encoder; both are stored in ~/.local/share/tfbert.
    Setup(SetupArgs),
    /// Check library, machine, exports and data.
    Doctor(DoctorArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages.
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_out_of_range_are_answered_with_the_range() {
        for (flag, value, range) in [
            ("--learning-rate", "-1", "a number from 0"),
            ("--dropout", "-0.5", "0 to below 1"),
            ("--weight-decay", "-1", "a number from 0"),
            ("--warmup", "2", "0 to 1"),
            ("--threads", "100000", "from 1 to 1024"),
            ("--epochs", "1000000", "from 1 to 100000"),
            ("--batch-size", "100000", "from 1 to 65536"),
            ("--eval-batch-size", "0", "from 1 to 65536"),
            ("--threads", "0", "from 1 to 1024"),
            ("--start-timeout", "18446744073709551615", "from 1 to 604800"),
            ("--save-minutes", "18446744073709551615", "from 1 to 527040"),
            ("--seed", "1,2,3", "`--seeds 1,2,3`"),
            ("--seed", "x", "a whole number from 0"),
        ] {
            let error = Cli::try_parse_from(["tfbert", "train", "--task", "sst2", flag, value]);
            let message = error.unwrap_err().to_string();
            assert!(message.contains(range), "{flag} {value}: {message}");
        }
    }

    #[test]
    fn an_empty_environment_variable_is_the_same_as_none() {
        let variables = |value: &str| {
            let value = OsString::from(value);
            let command = ignore_empty_variables(Cli::command(), &|name| {
                (name == "TFBERT_DATA").then(|| value.clone())
            });
            let train = command.get_subcommands().find(|command| command.get_name() == "train");
            let mut arguments = train.unwrap().get_arguments();
            arguments.any(|arg| arg.get_env().is_some_and(|name| name == "TFBERT_DATA"))
        };
        assert!(variables("/data"));
        assert!(!variables(""));
    }
}
