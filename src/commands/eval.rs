//! `tfbert eval`.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::json;
use tfbert::cli::{Cli, EvalArgs};
use tfbert::dataset::{DataSource, Labels};
use tfbert::error::{Error, Result};
use tfbert::evaluate::{self, Trained};
use tfbert::files::names;
use tfbert::model::Contract;
use tfbert::prediction::PredictionSettings;
use tfbert::runtime::{self, Division, SessionConfig, TrainedModel};
use tfbert::settings::DEFAULT_EVAL_BATCH_SIZE;
use tfbert::stages::write_predictions;
use tfbert::task::{self, Split, Task};

use super::{check_head, precision, prepare, print_line, session};

pub fn run(args: &EvalArgs, cli: &Cli) -> Result<()> {
    let task = task::find(&args.data.task)?;
    let model_dir = args.model.clone().unwrap_or_else(|| default_model(&task));
    let contract = trained_contract(&task, &model_dir)?;
    let splits: Vec<&Split> = match &args.split {
        Some(name) => vec![task.split(name)?],
        None if task.dev.is_empty() => task.test.iter().collect(),
        None => task.dev.iter().collect(),
    };
    let trained = contract.trained.as_ref().expect("checked by trained_contract");
    let labels = Labels::new(trained.labels.clone());
    check_labels(&task, &labels, &model_dir)?;
    let features = trained.features;
    let number_format = args.precision.map_or(trained.precision, precision);
    let library = super::inference_library(cli, number_format);
    let stop = super::stop_signal()?;
    let tokenizer = super::tokenizer(&model_dir)?;
    let read = |split| {
        let source = DataSource {
            task: &task,
            split,
            data_dir: &args.data.data_dir,
            labels: &labels,
            limit: args.limit_dev,
        };
        prepare(&source, &tokenizer, &features).map(|prepared| (split, prepared))
    };
    let load = || {
        let config = SessionConfig { division: Division::Batches, ..session(args.threads) };
        let start = Instant::now();
        let model = TrainedModel::load(&model_dir, number_format, config)?;
        let loaded = start.elapsed();
        model.warm_up()?;
        let prepared = start.elapsed() - loaded;
        log::debug!("the model was loaded in {loaded:.2?}, its graph prepared in {prepared:.2?}");
        Ok(model)
    };
    let (prepared, model) = thread::scope(|scope| {
        let loading = library.and_then(|library| library.load()).map(|_| scope.spawn(load));
        let prepared: Result<Vec<_>> = splits.into_iter().map(read).collect();
        (prepared, loading.and_then(|thread| thread.join().unwrap_or_else(|e| resume_unwind(e))))
    });
    // What is wrong with the data is said first: to know it takes no TensorFlow.
    let (prepared, model) = (prepared?, model?);
    let settings = PredictionSettings {
        max_answer_length: task.defaults.max_answer_length,
        n_best_size: task.defaults.n_best_size,
        version_2_with_negative: task.version_2_with_negative,
        null_threshold: trained.null_threshold.unwrap_or(0.0),
    };
    let output = args.output.clone().or_else(|| predictions_beside(&model_dir));
    let rows = args.batch_size.unwrap_or(DEFAULT_EVAL_BATCH_SIZE);
    for (split, prepared) in &prepared {
        let start = Instant::now();
        let evaluation =
            evaluate::predict(task.head, prepared, &Trained(&model), rows, &settings, &stop)
                .map_err(|error| error.hint_if_out_of_memory(super::BATCH_MEMORY_HINT))?;
        let scores = evaluate::score(&task, prepared, &labels, &evaluation)?;
        let written = match &output {
            Some(dir) => write_predictions(
                &task,
                split,
                &prepared.dataset,
                &labels,
                &evaluation.predictions,
                dir,
            )?,
            None => Vec::new(),
        };
        for path in &written {
            log::info!("wrote {}", path.display());
        }
        let seconds = start.elapsed().as_secs_f64();
        let shown = match &scores {
            Some(scores) => evaluate::shown(scores),
            None => "predicted, not scored: no labels".to_owned(),
        };
        print_line(format!("{} {}: {shown}", task.name, split.name))?;
        log::info!(
            "{} examples in {seconds:.2}s, {:.0}/s; padding {:.0}%",
            prepared.dataset.examples.len(),
            prepared.dataset.examples.len() as f64 / evaluation.duration.as_secs_f64().max(1e-9),
            100.0 * evaluation.padding
        );
        if args.json {
            let result = json!({
                "task": task.name,
                "split": split.name,
                "examples": prepared.dataset.examples.len(),
                "metrics": scores.as_ref().map(evaluate::to_json),
                "details": scores.as_ref().map(|scores| &scores.details),
                "seconds": seconds,
                "model": model_dir,
                "precision": number_format,
                "padding": evaluation.padding,
                "predictions": written,
            });
            print_line(result)?;
        }
    }
    Ok(())
}

/// The model that a task's run leaves.
pub fn default_model(task: &Task) -> PathBuf {
    Path::new("runs").join(task.model_of.as_deref().unwrap_or(&task.name)).join(names::MODEL)
}

/// The folder of predictions of the run that a model belongs to, if it belongs to one.
fn predictions_beside(model_dir: &Path) -> Option<PathBuf> {
    let run = model_dir.parent()?;
    run.join(names::RUN_RECORD).is_file().then(|| run.join(names::PREDICTIONS))
}

/// The contract of a trained model that fits the task.
pub fn trained_contract(task: &Task, model_dir: &Path) -> Result<Contract> {
    let train = task.model_of.as_deref().unwrap_or(&task.name);
    if !model_dir.exists() {
        return Err(Error::new("there is no trained model").at(model_dir).hint(format!(
            "train one with `tfbert train --task {train}`, or name another with `--model DIR`"
        )));
    }
    let contract = runtime::read_contract(model_dir)?;
    check_head(task, &contract, model_dir)?;
    if contract.trained.is_none() {
        return Err(Error::new("this SavedModel is an export that has not been trained")
            .at(model_dir)
            .hint(format!("train it with `tfbert train --task {train}`")));
    }
    Ok(contract)
}

/// Refuses a model that was trained on other labels than the task lists.
fn check_labels(task: &Task, labels: &Labels, model_dir: &Path) -> Result<()> {
    match &task.labels {
        Some(listed) if listed.as_slice() != labels.names() => Err(Error::usage(format!(
            "the model's labels are {}, task `{}` has {}",
            labels.names().join(", "),
            task.name,
            listed.join(", ")
        ))
        .at(model_dir)
        .hint("name a model that was trained on this task with `--model DIR`")),
        _ => Ok(()),
    }
}
