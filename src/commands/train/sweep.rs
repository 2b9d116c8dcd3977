//! `tfbert sweep`: a run for every combination of settings, one after the other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tfbert::cli::{Cli, SweepArgs, TrainArgs, parse_train};
use tfbert::compare::{Comparison, compare, lines};
use tfbert::error::{Error, ErrorKind, Result};
use tfbert::files::names;
use tfbert::report::duration;
use tfbert::run::{RunFiles, RunFolder, StoppedBy};
use tfbert::runtime::Device;
use tfbert::sweep::{MedianRule, PlannedRun, RunState, SweepFolder, SweepRecord, SweepRun, plan};
use tfbert::task::Task;

use super::request::{Request, check_label_smoothing};
use super::{MEMORY_HINT, OfSweep, Trainer, check_task, flags, task, worker};
use crate::commands::{check_length, print_line, run_folder, shell, stop_signal, training_process};

/// A run, and what trains it.
struct Run {
    planned: PlannedRun,
    args: TrainArgs,
    /// The arguments of `tfbert train` that train it, without the folder.
    command: Vec<String>,
    folder: PathBuf,
    epochs: usize,
}

impl Run {
    fn is_complete(&self) -> bool {
        self.folder.join(names::RESULT).is_file()
    }
}

/// Trains every combination, prints them side by side, and keeps the best model.
pub fn run(args: &SweepArgs, cli: &Cli) -> Result<()> {
    let task = task::find(&args.train)?;
    if worker::find(&args.train)?.is_some() {
        return Err(Error::usage("a sweep is trained by one worker")
            .hint("unset `TF_CONFIG`, and give no flags of a cluster"));
    }
    let dir = output(args, &task);
    let mode = flags::mode(&args.train);
    SweepFolder::check(&dir, mode)?;
    let device = Device::detect(cli.tensorflow.as_deref());
    let mut runs = Vec::new();
    for planned in plan(&args.axes, args.train.seeds.as_ref())? {
        runs.push(prepare(args, cli, &dir, planned)?);
    }
    let request = Request::read(&runs[0].args, &task, &device)?;
    // What the last run would be refused for is not found out after hours.
    for run in &mut runs {
        let settings = flags::settings(&run.args, &task, request.settings.precision);
        check_length(&settings.features, &request.export.model)
            .and_then(|()| check_label_smoothing(&settings, &request.export))
            .map_err(|error| error.context(run.planned.name()))?;
        run.epochs = settings.epochs;
    }
    drop(request);
    if args.train.dry_run {
        print_line(announcement(args, &runs))?;
        for run in &runs {
            print_line(format!("  {}", run.planned.name()))?;
        }
        return check_task(&runs[0].args, &task, cli);
    }
    let process =
        training_process(cli, &device, &args.train.cache, args.train.threads, MEMORY_HINT);
    let stop = stop_signal()?;
    let process = Some(process);
    let trainer = Trainer {
        device,
        process,
        library: None,
        stop,
        cluster: None,
        reporter: None,
        sweep: None,
        session: None,
    };
    let folder = SweepFolder::open(&dir, mode)?;
    log::info!("{}", announcement(args, &runs));
    Sweep::new(args, cli, &task, folder, runs)?.run(trainer)
}

/// The sweep's folder.
fn output(args: &SweepArgs, task: &Task) -> PathBuf {
    let default = || {
        let mut folder = run_folder(task).into_os_string();
        folder.push("-sweep");
        folder.into()
    };
    args.train.output.clone().unwrap_or_else(default)
}

/// How many runs, and of what.
fn announcement(args: &SweepArgs, runs: &[Run]) -> String {
    let axes = args.axes.iter().map(|axis| format!("{} {}", axis.flag, axis.values.join(", ")));
    let seeds = args.train.seeds.as_ref().map(|seeds| format!("seeds {seeds}"));
    let parts: Vec<String> = axes.chain(seeds).collect();
    format!("{} runs: {}", runs.len(), parts.join("; "))
}

/// The arguments of a run.
fn prepare(args: &SweepArgs, cli: &Cli, dir: &Path, planned: PlannedRun) -> Result<Run> {
    let folder = dir.join(&planned.folder);
    let mut arguments = args.shared.clone();
    let mut add =
        |flag: &str, value: OsString| arguments.extend([format!("--{flag}").into(), value]);
    for (flag, value) in &planned.settings {
        add(flag, value.into());
    }
    let seed = planned.seed.or(args.train.seed);
    if let Some(seed) = seed {
        add("seed", seed.to_string().into());
    }
    let text = |text: &OsString| text.to_string_lossy().into_owned();
    let mut command: Vec<String> = arguments.iter().map(text).collect();
    command.extend(tensorflow(cli));
    arguments.extend(["--output".into(), folder.clone().into_os_string()]);
    let mut run_args = parse_train(&arguments).map_err(|error| Error::usage(error.to_string()))?;
    run_args.resume = args.train.resume && folder.join(names::RUN_RECORD).is_file();
    Ok(Run { planned, args: run_args, command, folder, epochs: 1 })
}

/// The flag of all commands that a run needs too.
fn tensorflow(cli: &Cli) -> Vec<String> {
    let of_folder = |folder: &PathBuf| ["--tensorflow".to_owned(), folder.display().to_string()];
    cli.tensorflow.iter().flat_map(of_folder).collect()
}

struct Sweep<'a> {
    args: &'a SweepArgs,
    task: &'a Task,
    folder: SweepFolder,
    runs: Vec<Run>,
    record: SweepRecord,
    rule: Option<MedianRule>,
    /// The time that was trained, and the epochs.
    trained: (Duration, usize),
}

impl<'a> Sweep<'a> {
    fn new(
        args: &'a SweepArgs,
        cli: &Cli,
        task: &'a Task,
        folder: SweepFolder,
        runs: Vec<Run>,
    ) -> Result<Self> {
        for run in &runs {
            RunFolder::check(&run.folder, flags::mode(&run.args))?;
        }
        let command = ["tfbert", "sweep"].into_iter().map(str::to_owned);
        let command = command.chain(args.arguments()).chain(tensorflow(cli)).collect();
        let record = SweepRecord {
            tfbert_version: env!("CARGO_PKG_VERSION").into(),
            task: task.name.clone(),
            command,
            directory: std::env::current_dir().ok(),
            data_dir: std::path::absolute(&args.train.data.data_dir).ok(),
            best: None,
            runs: runs.iter().map(|run| SweepRun::pending(&run.planned)).collect(),
        };
        record.write(folder.dir())?;
        task::write(&args.train, task, folder.dir())?;
        let flags = &args.flags;
        let rule = flags.median_stop.then(|| {
            let (startup, warmup) = (flags.median_startup_runs, flags.median_warmup_epochs);
            MedianRule::new(task.selecting_metric(), startup, warmup)
        });
        Ok(Self { args, task, folder, runs, record, rule, trained: Default::default() })
    }

    fn run(mut self, mut trainer: Trainer) -> Result<()> {
        for index in 0..self.runs.len() {
            self.train(&mut trainer, index)?;
            let settings = |run: &SweepRun| run.settings.clone();
            let next = self.record.runs.get(index + 1).map(settings);
            if next != Some(settings(&self.record.runs[index])) {
                self.remove_models()?;
            }
        }
        let metric = self.task.selecting_metric();
        let best = self.record.best_run(metric);
        self.record.best = best.map(|best| self.runs[best].planned.folder.clone());
        self.record.write(self.folder.dir())?;
        let comparison = self.comparison()?;
        lines(&comparison).iter().try_for_each(print_line)?;
        let Some(best) = best else {
            return Err(Error::new("no run of the sweep is complete")
                .at(self.folder.dir())
                .hint("see why in `sweep.json`, under `error`"));
        };
        self.print_best(best, &comparison)
    }

    /// One run, or the result that it has.
    fn train(&mut self, trainer: &mut Trainer, index: usize) -> Result<()> {
        let run = &self.runs[index];
        let count = self.runs.len();
        let known = run.is_complete();
        let name = run.planned.name();
        log::info!("run {} of {count}: {name}{}", index + 1, self.time_left(index));
        let command = ["tfbert", "train"].into_iter().map(str::to_owned);
        let command = command.chain(run.command.iter().cloned());
        let output = ["--output".to_owned(), run.folder.display().to_string()];
        trainer.sweep =
            Some(OfSweep { command: command.chain(output).collect(), rule: self.rule.clone() });
        let began = Instant::now();
        let record = &mut self.record.runs[index];
        match trainer.train(&run.args, self.task) {
            Ok(found) => {
                let result = found.ok_or_else(|| Error::new("the run has no result"))?.result;
                if !known {
                    self.trained.0 += began.elapsed();
                    self.trained.1 += run.epochs;
                }
                record.metrics.clone_from(&result.metrics);
                let files = RunFiles::read(&run.folder)?;
                record.loss = files.best_loss();
                record.state = match result.stopped_by {
                    Some(StoppedBy::MedianRule) => RunState::Stopped,
                    _ => RunState::Complete,
                };
                if let (Some(rule), RunState::Complete) = (&mut self.rule, record.state) {
                    rule.add(evaluations(&files, self.task));
                }
            }
            // The fault of these settings: others may train.
            Err(error)
                if [ErrorKind::NotFinite, ErrorKind::OutOfMemory].contains(&error.kind()) =>
            {
                log::error!("run {} of {count} failed: {error}", index + 1);
                record.state = RunState::Failed;
                record.error = Some(error.to_string());
            }
            Err(error) => {
                let resume = format!(
                    "continue with `tfbert sweep --resume --output {}`",
                    shell::quoted(&self.folder.dir().display().to_string())
                );
                let error = error.context(format!("run {} of {count} ({name})", index + 1));
                return Err(match (error.kind(), error.hint_text()) {
                    (ErrorKind::Interrupted(_), _) | (_, None) => error.hint(resume),
                    (_, Some(hint)) => {
                        let hint = format!("{hint}; then {resume}");
                        error.hint(hint)
                    }
                });
            }
        }
        self.record.write(self.folder.dir())
    }

    /// About how long this run and those after it take, by the epochs that were trained.
    fn time_left(&self, index: usize) -> String {
        let (took, epochs) = self.trained;
        if epochs == 0 {
            return String::new();
        }
        let left = self.runs[index..].iter().filter(|run| !run.is_complete());
        let left: usize = left.map(|run| run.epochs).sum();
        format!("; about {} left", duration(took.mul_f64(left as f64 / epochs as f64)))
    }

    /// Removes the models of all runs but the best so far.
    fn remove_models(&self) -> Result<()> {
        if self.args.flags.keep_models {
            return Ok(());
        }
        let best = self.record.best_run(self.task.selecting_metric());
        let ended = self.record.runs.iter().enumerate().filter(|(index, run)| {
            Some(*index) != best && [RunState::Complete, RunState::Stopped].contains(&run.state)
        });
        let removed = self.folder.remove_models(ended.map(|(_, run)| run.folder.as_path()))?;
        log::debug!("{removed} models were removed; `--keep-models` keeps them");
        Ok(())
    }

    /// The runs side by side, as `tfbert compare` shows them.
    fn comparison(&self) -> Result<Comparison> {
        let begun = self.runs.iter().filter(|run| run.folder.join(names::RUN_RECORD).is_file());
        let read = |run: &Run| -> Result<RunFiles> {
            // Named by its folder in the sweep's: the table is narrower.
            Ok(RunFiles { dir: run.planned.folder.clone(), ..RunFiles::read(&run.folder)? })
        };
        let runs = begun.map(read).collect::<Result<Vec<_>>>()?;
        let mut found = compare(runs)?;
        if found.len() == 1 {
            return Ok(found.remove(0));
        }
        Err(Error::new("no run of the sweep has begun").at(self.folder.dir()))
    }

    fn print_best(&self, best: usize, comparison: &Comparison) -> Result<()> {
        let run = &self.runs[best];
        let metric = self.task.selecting_metric();
        let failed = self.record.runs.iter().filter(|run| run.state == RunState::Failed).count();
        if failed > 0 {
            log::warn!("{failed} of {} runs failed; `sweep.json` has the errors", self.runs.len());
        }
        let value = self.record.runs[best].metrics.get(metric.name()).copied().flatten();
        let value = value.map_or("undefined".to_owned(), |value| format!("{value:.4}"));
        print_line(format!("best: {} ({} {value})", run.planned.name(), metric.name()))?;
        let model = run.folder.join(names::MODEL);
        let has_model = model.is_dir();
        if has_model {
            print_line(format!("model: {}", model.display()))?;
        } else {
            log::warn!(
                "the model of the best run was removed; `tfbert train --resume --output {}` trains it again",
                shell::quoted(&run.folder.display().to_string())
            );
        }
        print_line(format!("report: {}", run.folder.join(names::REPORT).display()))?;
        let command = ["tfbert", "train"].into_iter().map(str::to_owned);
        let command: Vec<String> = command.chain(run.command.iter().cloned()).collect();
        let words: Vec<String> = command.iter().map(|word| shell::quoted(word)).collect();
        print_line(format!("command: {}", words.join(" ")))?;
        if !self.args.train.json {
            return Ok(());
        }
        let settings: BTreeMap<_, _> = run.planned.settings.iter().cloned().collect();
        print_line(json!({
            "task": self.task.name,
            "metric": metric.name(),
            "output": self.folder.dir(),
            "best": {
                "folder": run.folder,
                "settings": settings,
                "seed": run.planned.seed,
                "metrics": self.record.runs[best].metrics,
                "model": has_model.then_some(model),
                "command": command,
            },
            "rows": comparison.to_json()["rows"],
            "runs": self.record.runs,
        }))
    }
}

/// Epoch and selecting metric of each evaluation of a run.
fn evaluations(run: &RunFiles, task: &Task) -> Vec<(f64, Option<f64>)> {
    let split = task.dev.first().map_or("", |split| split.name.as_str());
    let metric = task.selecting_metric().name();
    let lines = run.curves.evaluations.iter().filter(|line| line.split == split);
    lines.map(|line| (line.epoch, line.metrics.get(metric).copied().flatten())).collect()
}
