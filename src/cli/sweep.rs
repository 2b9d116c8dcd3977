//! Flags of `tfbert sweep`: those of `tfbert train`, of which some take several values, and its own.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::train::TrainArgs;
use super::values::non_negative_f64;
use crate::sweep::{Axis, Grid};

/// The flags of `tfbert train` that take several values, by their names in [`TrainArgs`], in the order of
/// the names of folders.
const SEVERAL: [&str; 15] = [
    "learning_rate",
    "batch_size",
    "epochs",
    "max_steps",
    "warmup",
    "warmup_steps",
    "lr_scheduler",
    "weight_decay",
    "max_grad_norm",
    "layer_decay",
    "freeze",
    "dropout",
    "label_smoothing",
    "max_length",
    "limit_train",
];

/// The flags of `tfbert train` that a sweep gives each run itself.
const OWN: [&str; 7] = ["output", "overwrite", "resume", "seed", "seeds", "dry_run", "json"];

/// The flags of `tfbert train` that a sweep refuses.
const HIDDEN: [&str; 5] =
    ["cluster", "worker_index", "control_port", "start_timeout", "reduce_precision"];

/// Flags that `tfbert train` lacks.
#[derive(Debug, Clone, Args)]
pub struct SweepFlags {
    /// Values for the flags that are not given. `bert` is the grid of the BERT paper: learning rate
    /// 5e-5, 3e-5, 2e-5; batch size 16, 32; epochs 2, 3, 4.
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = true)]
    pub grid: Option<Grid>,

    /// Keep the model of every run [default: of the best run alone].
    #[arg(long)]
    pub keep_models: bool,

    /// End a run whose best metric so far is worse than the median of the complete runs at the same
    /// epoch.
    #[arg(long)]
    pub median_stop: bool,

    /// Runs that must be complete before the median rule ends one.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "median_stop")]
    pub median_startup_runs: usize,

    /// Epochs in which the median rule ends no run.
    #[arg(long, value_name = "EPOCHS", default_value_t = 0.0, requires = "median_stop",
          value_parser = non_negative_f64)]
    pub median_warmup_epochs: f64,
}

/// Arguments of `tfbert sweep`.
#[derive(Debug, Clone)]
pub struct SweepArgs {
    /// Its own flags.
    pub flags: SweepFlags,
    /// The flags that `tfbert train` has too; of several values the first.
    pub train: TrainArgs,
    /// The flags of [`SweepArgs::train`] that have several values.
    pub axes: Vec<Axis>,
    /// The arguments of `tfbert train` that all runs share.
    pub shared: Vec<OsString>,
}

impl SweepArgs {
    /// The arguments that ask for the same runs, without the folder: for `sweep.json`.
    pub fn arguments(&self) -> Vec<String> {
        let shared = self.shared.iter().map(|text| text.to_string_lossy().into_owned());
        let mut all: Vec<String> = shared.collect();
        for Axis { flag, values } in &self.axes {
            all.extend([format!("--{flag}"), values.join(",")]);
        }
        if let Some(seeds) = &self.train.seeds {
            all.extend(["--seeds".into(), seeds.to_string()]);
        }
        if let Some(seed) = self.train.seed {
            all.extend(["--seed".into(), seed.to_string()]);
        }
        let SweepFlags { grid: _, keep_models, median_stop, .. } = self.flags;
        if keep_models {
            all.push("--keep-models".into());
        }
        if median_stop {
            let SweepFlags { median_startup_runs, median_warmup_epochs, .. } = self.flags;
            all.extend(["--median-stop".into(), "--median-startup-runs".into()]);
            all.extend([median_startup_runs.to_string(), "--median-warmup-epochs".into()]);
            all.push(median_warmup_epochs.to_string());
        }
        if self.train.json {
            all.push("--json".into());
        }
        all
    }
}

impl FromArgMatches for SweepArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = SweepFlags::from_arg_matches(matches)?;
        let given = given_axes(matches)?;
        let (mut axes, single): (Vec<Axis>, Vec<Axis>) =
            given.into_iter().partition(|axis| axis.values.len() > 1);
        for axis in flags.grid.map(Grid::axes).unwrap_or_default() {
            let is_given = |other: &&Axis| other.flag == axis.flag;
            if axes.iter().chain(&single).find(is_given).is_none() {
                axes.push(axis);
            }
        }
        let place = |axis: &Axis| SEVERAL.iter().position(|id| long(id) == axis.flag);
        axes.sort_by_key(place);
        Ok(Self {
            flags,
            train: TrainArgs::from_arg_matches(matches)?,
            axes,
            shared: shared(matches),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SweepArgs {
    fn augment_args(command: Command) -> Command {
        let mut command = TrainArgs::augment_args(SweepFlags::augment_args(command));
        for id in SEVERAL {
            command = command.mut_arg(id, |arg| arg.value_delimiter(',').value_name("VALUE,…"));
        }
        for id in HIDDEN {
            command = command.mut_arg(id, |arg| arg.hide(true));
        }
        let help = |command: Command, id: &'static str, text: &'static str| {
            command.mut_arg(id, |arg| arg.help(text).long_help(Resettable::Reset))
        };
        let command = help(command, "output", "The sweep's folder [default: runs/<task>-sweep]");
        let command = help(
            command,
            "overwrite",
            "Replace the sweep that the output folder holds, and its runs",
        );
        let command = help(
            command,
            "resume",
            "Continue the sweep that the output folder holds: complete runs are kept, stopped ones \
             go on. With `--output` alone, the other flags are those that the sweep was started with",
        );
        let command = help(
            command,
            "seeds",
            "Train with each of these seeds (`1-3`, `1,7,42`), in the folders `seed-N` of each \
             setting's folder; settings are compared by the mean",
        );
        let command = help(
            command,
            "dry_run",
            "Print the runs, read and check everything, and end before training",
        );
        help(
            command,
            "json",
            "Print the result of the sweep as one JSON object, the last line on stdout",
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A flag's long name.
fn long(id: &str) -> String {
    id.replace('_', "-")
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The values of an argument as they were typed.
fn values(matches: &ArgMatches, id: &str) -> Vec<OsString> {
    matches.get_raw(id).into_iter().flatten().map(OsString::from).collect()
}

/// The flags of [`SEVERAL`] that were given, with all their values.
fn given_axes(matches: &ArgMatches) -> Result<Vec<Axis>, clap::Error> {
    let mut axes = Vec::new();
    for id in SEVERAL.into_iter().filter(|id| is_typed(matches, id)) {
        let values = values(matches, id);
        let values: Vec<String> =
            values.iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let axis = Axis::new(&long(id), &values)
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")))?;
        axes.push(axis);
    }
    Ok(axes)
}

/// The arguments of `tfbert train` that all runs share: what was typed, but for [`OWN`] and the flags with
/// several values.
fn shared(matches: &ArgMatches) -> Vec<OsString> {
    let command = TrainArgs::augment_args(Command::new("train"));
    let mut shared = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        if OWN.contains(&id) || !is_typed(matches, id) {
            continue;
        }
        let values = values(matches, id);
        let takes_several = SEVERAL.contains(&id);
        if takes_several && values.len() > 1 {
            continue;
        }
        let flag = OsString::from(format!("--{}", arg.get_long().unwrap_or(id)));
        if !takes_value(arg) {
            shared.push(flag);
            continue;
        }
        shared.extend([flag, values.join(",".as_ref())]);
    }
    shared
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::parse_train;
    use super::*;

    #[derive(Parser)]
    struct Sweep {
        #[command(flatten)]
        args: SweepArgs,
    }

    fn parse(flags: &str) -> Result<SweepArgs, String> {
        let words = std::iter::once("sweep").chain(flags.split(' '));
        Sweep::try_parse_from(words).map(|sweep| sweep.args).map_err(|error| error.to_string())
    }

    fn axes(args: &SweepArgs) -> Vec<String> {
        args.axes.iter().map(|axis| format!("{} {}", axis.flag, axis.values.join(","))).collect()
    }

    #[test]
    fn a_flag_with_several_values_is_an_axis_and_all_others_are_shared() {
        let args = parse(
            "--task sst2 --epochs 2,3 --learning-rate=2e-5,3e-5 --batch-size 16 --no-cache \
             --seeds 1-2 --output x --json --class-weights 1,2 --no-bias-correction",
        )
        .unwrap();
        assert_eq!(axes(&args), ["learning-rate 2e-5,3e-5", "epochs 2,3"]);
        let shared: Vec<_> = args.shared.iter().map(|text| text.to_string_lossy()).collect();
        let mut sorted = shared.join(" ");
        for part in ["--task sst2", "--batch-size 16", "--no-cache", "--class-weights 1,2"] {
            assert!(sorted.contains(part), "{sorted}");
            sorted = sorted.replace(part, "");
        }
        assert_eq!(sorted.trim(), "--no-bias-correction");
        let train = parse_train(&args.shared).unwrap();
        assert_eq!(train.class_weights, ["1", "2"]);
        assert!(!train.adamw.bias_correction);
    }

    #[test]
    fn flags_that_are_given_come_before_those_of_the_grid() {
        let args = parse("--task sst2 --grid bert").unwrap();
        assert_eq!(
            axes(&args),
            ["learning-rate 5e-5,3e-5,2e-5", "batch-size 16,32", "epochs 2,3,4"]
        );
        let args = parse("--task sst2 --grid bert --epochs 1 --learning-rate 1e-4,5e-5").unwrap();
        assert_eq!(axes(&args), ["learning-rate 1e-4,5e-5", "batch-size 16,32"]);
    }

    #[test]
    fn the_recorded_arguments_ask_for_the_same_runs() {
        let typed = "--task sst2 --grid bert --batch-size 8,16 --epochs 2 --seeds 1-2 --keep-models \
                     --median-stop --median-warmup-epochs 0.5 --output x";
        let args = parse(typed).unwrap();
        let again = parse(&args.arguments().join(" ")).unwrap();
        assert_eq!((&again.axes, &again.shared), (&args.axes, &args.shared));
        assert_eq!(again.train.seeds, args.train.seeds);
        assert!(again.flags.keep_models && again.flags.median_stop);
        assert_eq!(again.flags.median_warmup_epochs, 0.5);
        assert_eq!(again.arguments(), args.arguments());
    }

    #[test]
    fn every_value_of_a_list_is_checked() {
        let error = parse("--task sst2 --epochs 2,0").unwrap_err();
        assert!(error.contains("from 1 to 100000"), "{error}");
        let error = parse("--task sst2 --learning-rate 2e-5,0.00002").unwrap_err();
        assert!(error.contains("has the value 2e-5 twice"), "{error}");
        let error = parse("--task sst2 --epochs 1,2 --median-startup-runs 2").unwrap_err();
        assert!(error.contains("--median-stop"), "{error}");
    }

    #[test]
    fn the_flags_that_are_named_are_those_of_train() {
        let train = TrainArgs::augment_args(Command::new("train"));
        for id in SEVERAL.iter().chain(&OWN).chain(&HIDDEN) {
            let arg = train.get_arguments().find(|arg| arg.get_id() == id);
            assert_eq!(arg.and_then(Arg::get_long), Some(long(id).as_str()), "{id}");
        }
    }
}
