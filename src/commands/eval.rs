//! `tfbert eval`.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tfbert::analysis::{Analysis, MOST_MISTAKES};
use tfbert::cli::{Cli, EvalArgs};
use tfbert::dataset::{DataSource, Labels};
use tfbert::error::{Error, Result};
use tfbert::evaluate::{self, EncodedDataset, Evaluation, EvaluationSettings};
use tfbert::feature::Tokenizer;
use tfbert::files::names;
use tfbert::model::Precision;
use tfbert::run::RunRecord;
use tfbert::runtime::{Device, Library, PredictionSession, Process, WorkSplit};
use tfbert::saved_model::TrainedModel;
use tfbert::stages::write_predictions;
use tfbert::task::{self, Split, Task};

use super::models::{best_run, model_folder};
use super::{check_head, print_line};

/// What is evaluated: a task's files by a trained model.
struct Job<'a> {
    args: &'a EvalArgs,
    task: &'a Task,
    trained: &'a TrainedModel,
    labels: &'a Labels,
    precision: Precision,
}

pub fn run(args: &EvalArgs, cli: &Cli) -> Result<()> {
    let (task, model_dir) = match (&args.task, &args.model) {
        (Some(name), model) => {
            let task = task::find(name)?;
            let dir = model.clone().unwrap_or_else(|| default_model(&task));
            (task, dir)
        }
        (None, Some(dir)) => (task_of_run(dir)?, dir.clone()),
        (None, None) => unreachable!("clap wants one of them"),
    };
    let trained = trained_model(&task, &model_dir)?;
    let model_dir = trained.model.dir.clone();
    let splits: Vec<&Split> = match &args.split {
        Some(name) => vec![task.split(name)?],
        None if task.dev.is_empty() => task.test.iter().collect(),
        None => task.dev.iter().collect(),
    };
    let labels =
        labels(&task, &trained.training.labels, &model_dir)?.with_scheme(trained.training.scheme);
    let device = Device::detect(cli.tensorflow.as_deref());
    let precision = match args.precision {
        Some(argument) => super::precision(&device, argument),
        None => trained.training.precision,
    };
    let process = super::inference_process(cli, &device, precision);
    let stop = super::stop_signal()?;
    let job = &Job { args, task: &task, trained: &trained, labels: &labels, precision };
    job.warn_of_changed_split(&splits, &model_dir)?;
    let tokenizer = trained.model.read_tokenizer(&task)?;
    let (splits, model) = thread::scope(|scope| {
        let loading = process
            .and_then(Process::load)
            .map(|library| scope.spawn(move || job.load_model(&library)));
        let read = |split| job.encode(split, &tokenizer).map(|data| (split, data));
        let splits: Result<Vec<_>> = splits.into_iter().map(read).collect();
        (splits, loading.and_then(|thread| thread.join().unwrap_or_else(|e| resume_unwind(e))))
    });
    // Errors in the data come first: finding them takes no TensorFlow.
    let (splits, model) = (splits?, model?);
    let settings = EvaluationSettings {
        rows: args.batch_size.unwrap_or_else(|| device.evaluation_rows()),
        pad_token_id: trained.model.encoder.pad_token_id,
        profile: model.profile(),
        prediction: trained.training.prediction(&task),
        progress: true,
    };
    let output = args.output.clone().or_else(|| predictions_beside(&model_dir));
    for (split, data) in &splits {
        let start = Instant::now();
        let evaluation = evaluate::predict(task.head, data, &model, &settings, &stop)
            .map_err(|error| error.hint_if_out_of_memory(super::BATCH_MEMORY_HINT))?;
        job.report(split, data, &evaluation, output.as_deref(), start)?;
    }
    Ok(())
}

impl Job<'_> {
    /// Warns where the development part of a training file is not the one that the model was selected by.
    fn warn_of_changed_split(&self, splits: &[&Split], model_dir: &Path) -> Result<()> {
        let run = model_dir.parent().filter(|run| run.join(names::RUN_RECORD).is_file());
        let dev = splits.iter().find(|split| self.task.dev.contains(split));
        let (Some(run), Some(split), Some(_)) = (run, dev, self.task.dev_from_train) else {
            return Ok(());
        };
        let file = self.source(split).path()?;
        if let Some(difference) = RunRecord::read(run)?.changed_split(self.task, &file)? {
            log::warn!(
                "{}: {difference}, since {} was trained: the development part is another, and may have                  examples that the model was trained on",
                file.display(),
                run.display()
            );
        }
        Ok(())
    }

    fn source<'a>(&'a self, split: &'a Split) -> DataSource<'a> {
        DataSource {
            task: self.task,
            split,
            data_dir: &self.args.data_dir,
            labels: self.labels,
            limit: self.args.limit_dev,
        }
    }

    /// Reads and tokenises a split, cut as the training file was.
    fn encode(&self, split: &Split, tokenizer: &Tokenizer) -> Result<EncodedDataset> {
        super::encode(&self.source(split), tokenizer, &self.trained.training.features)
    }

    fn load_model(&self, library: &Library) -> Result<PredictionSession> {
        let start = Instant::now();
        let threads = self.args.threads.unwrap_or(0);
        let split = WorkSplit::Batches;
        let model = PredictionSession::load(library, self.trained, self.precision, threads, split)?;
        let loaded = start.elapsed();
        model.warm_up()?;
        let warmed_up = start.elapsed() - loaded;
        log::debug!("the model was loaded in {loaded:.2?}, its graph prepared in {warmed_up:.2?}");
        Ok(model)
    }

    /// Scores a split that was evaluated from `start` on, writes its predictions into `output`, and
    /// prints the result.
    fn report(
        &self,
        split: &Split,
        data: &EncodedDataset,
        evaluation: &Evaluation,
        output: Option<&Path>,
        start: Instant,
    ) -> Result<()> {
        let (task, labels) = (self.task, self.labels);
        let scores = evaluate::score(task, data, labels, evaluation)?;
        let predictions = &evaluation.predictions;
        let written = match output {
            Some(dir) => write_predictions(task, split, &data.dataset, labels, predictions, dir)?,
            None => Vec::new(),
        };
        written.iter().for_each(|path| log::info!("wrote {}", path.display()));
        let seconds = start.elapsed().as_secs_f64();
        let values = match &scores {
            Some(scores) => evaluate::shown(scores),
            None => "predicted, not scored: no labels".to_owned(),
        };
        print_line(format!("{} {}: {values}", task.name, split.name))?;
        let most = self.args.errors.max(MOST_MISTAKES);
        let bounds = (self.trained.training.features.max_length, most);
        let analysis = scores
            .as_ref()
            .map(|scores| evaluate::analyse(task, data, labels, evaluation, scores, bounds))
            .transpose()?;
        if let Some(analysis) = &analysis {
            self.print_analysis(analysis, data)?;
        }
        let examples = data.dataset.examples.len();
        log::info!(
            "{examples} examples in {seconds:.2}s, {:.0}/s; padding {:.0}%",
            examples as f64 / evaluation.duration.as_secs_f64().max(1e-9),
            100.0 * evaluation.padding
        );
        if self.args.json {
            let mistakes = analysis.as_ref().map(|analysis| &analysis.findings.mistakes);
            let mistakes = mistakes.filter(|_| self.args.errors > 0).map(|mistakes| {
                let shown = mistakes.worst.iter().take(self.args.errors).collect::<Vec<_>>();
                json!({"total": mistakes.total, "worst": shown})
            });
            print_line(json!({
                "task": task.name,
                "split": split.name,
                "examples": examples,
                "metrics": scores.as_ref().map(evaluate::to_json),
                "tables": analysis.as_ref().map(|analysis| Value::Object(analysis.to_json())),
                "mistakes": mistakes,
                "details": scores.as_ref().map(|scores| &scores.details),
                "seconds": seconds,
                "model": self.trained.model.dir,
                "precision": self.precision,
                "padding": evaluation.padding,
                "predictions": written,
            }))?;
        }
        Ok(())
    }

    /// Prints the tables, and as many mistakes as were asked for.
    fn print_analysis(&self, analysis: &Analysis, data: &EncodedDataset) -> Result<()> {
        analysis.lines(super::SHOWN_ROWS).iter().try_for_each(print_line)?;
        let mistakes = &analysis.findings.mistakes;
        match self.args.errors {
            0 => Ok(()),
            most => mistakes.lines(most, &data.dataset.path).iter().try_for_each(print_line),
        }
    }
}

/// The model that a task's run leaves.
pub fn default_model(task: &Task) -> PathBuf {
    if let Some(run) = super::run_of_task_file(task) {
        return run;
    }
    Path::new("runs").join(task.model_of.as_deref().unwrap_or(&task.name))
}

/// The task of a model's run: the task file in the run's folder, or the built-in task.
fn task_of_run(dir: &Path) -> Result<Task> {
    let run = best_run(dir)?;
    for folder in [dir, &run, run.parent().unwrap_or(&run)] {
        let file = folder.join(names::TASK);
        if file.is_file() {
            return task::find(&file.to_string_lossy());
        }
    }
    let name = TrainedModel::read(&model_folder(dir)?)?.training.task.name;
    let is_built_in = task::tasks().iter().any(|task| task.name == name);
    if is_built_in {
        return task::find(&name);
    }
    Err(Error::usage(format!("the model was trained by a task file, for the task `{name}`"))
        .at(dir)
        .hint("name that file with `--task FILE.json`"))
}

/// The folder of predictions of the run that a model belongs to, if it belongs to one.
fn predictions_beside(model_dir: &Path) -> Option<PathBuf> {
    let run = model_dir.parent()?;
    run.join(names::RUN_RECORD).is_file().then(|| run.join(names::PREDICTIONS))
}

/// The description of a trained model that fits the task.
pub fn trained_model(task: &Task, model_dir: &Path) -> Result<TrainedModel> {
    let train = task.model_of.as_deref().unwrap_or(&task.name);
    let model_dir = &model_folder(model_dir)?;
    let hint =
        format!("train one with `tfbert train --task {train}`, or name another with `--model DIR`");
    if !model_dir.exists() {
        return Err(Error::new("there is no trained model").at(model_dir).hint(hint));
    }
    let trained = TrainedModel::read(model_dir)?;
    check_head(task, &trained.model, &hint)?;
    let trained_for = trained.training.task.name.as_str();
    // A head that a checkpoint brought was not trained here, and has no scores.
    let trained_here = !trained.training.metrics.is_empty();
    if trained_here && ![train, task.name.as_str()].contains(&trained_for) {
        let dir = model_dir.display();
        log::warn!(
            "{dir}: the model was trained for task `{trained_for}`, not for `{}`",
            task.name
        );
    }
    Ok(trained)
}

/// The task's labels in the order of the model's logits; those of the model where the task lists
/// none.
fn labels(task: &Task, model: &[String], model_dir: &Path) -> Result<Labels> {
    let Some(listed) = task.listed_labels() else { return Ok(Labels::new(model.to_vec())) };
    Labels::new(listed).in_order_of(task, model).map_err(|error| {
        error.at(model_dir).hint("name a model that was trained on this task with `--model DIR`")
    })
}
