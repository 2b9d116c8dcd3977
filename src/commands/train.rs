//! `tfbert train`.

use std::path::Path;
use std::time::{Duration, Instant};

use tfbert::cli::{Cli, TrainArgs};
use tfbert::dataset::{DataSource, Labels};
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::{FeatureSizes as _, Tokenizer};
use tfbert::files::names;
use tfbert::model::Precision;
use tfbert::report::duration;
use tfbert::run::{DataRecord, RunFolder, RunMode, RunRecord, RunResult, open_log};
use tfbert::runtime::{Device, EventFile, TrainingSession};
use tfbert::saved_model::{Description, Export};
use tfbert::settings::{RunOptions, TrainSettings};
use tfbert::task::{self, Split, Task};
use tfbert::train::{self, Job, Outcome};

use super::{check_head, check_length, encode, precision, print_line, run_folder};

mod input;

use input::Input;

/// What to do where memory runs out.
const MEMORY_HINT: &str = "try a smaller `--batch-size`, `--accumulate N` or `--max-length`; \
                           `--resume` continues from the last checkpoint";

pub fn run(args: &TrainArgs, cli: &Cli) -> Result<()> {
    let start = Instant::now();
    let device = Device::detect();
    let process = super::training_process(cli, device, &args.cache, args.threads, MEMORY_HINT);
    let stop = super::stop_signal()?;
    let task = task::find(&args.data.task)?;
    let train_split = trainable(&task)?;
    let model_dir = args
        .model
        .clone()
        .unwrap_or_else(|| Path::new("saved_models").join("minilm-l6").join(task.head.name()));
    let export = Export::read(&model_dir).map_err(|error| {
        if args.model.is_none() { error.hint(super::export_hint(&task)) } else { error }
    })?;
    check_head(&task, &export.model)?;
    let mut settings = settings(args, &task, precision(&device, args.precision));
    let options = RunOptions {
        save_steps: args.save_steps,
        save_minutes: args.save_minutes,
        keep_checkpoints: args.keep_checkpoints,
        on_nan: args.on_nan,
    };
    check_length(&settings.features, &export.model)?;
    let output = args.output.clone().unwrap_or_else(|| run_folder(&task));
    let mode = if args.resume {
        RunMode::Resume
    } else if args.overwrite {
        RunMode::Overwrite
    } else {
        RunMode::New
    };
    // Refused before the data is read, and again under the lock.
    RunFolder::check(&output, mode)?;

    let data_dir = &args.data.data_dir;
    let labels = Labels::of_task(&task, data_dir)?;
    let source = |split, limit| DataSource { task: &task, split, data_dir, labels: &labels, limit };
    let train_source = source(train_split, settings.limit_train);
    let dev_sources: Vec<_> =
        task.dev.iter().map(|split| source(split, settings.limit_dev)).collect();
    let data: Vec<DataRecord> = std::iter::once(&train_source)
        .chain(&dev_sources)
        .map(|source| DataRecord::read(&source.split.name, &source.path()?))
        .collect::<Result<_>>()?;
    let (train, tokenised_in) = Input {
        source: train_source,
        data: &data[0],
        settings: &settings,
        tokenizer: export.model.tokenizer(),
    }
    .features(args)?;
    let counts = &train.summary().label_counts;
    settings.class_weights = class_weights(&args.class_weights, &labels, counts)?;

    let library = process?.load()?;
    let record = RunRecord {
        tfbert_version: env!("CARGO_PKG_VERSION").into(),
        tensorflow_version: library.version().to_owned(),
        command: std::env::args().collect(),
        labels: labels.names().to_vec(),
        settings: settings.clone(),
        options: options.clone(),
        model: model_dir.clone(),
        weights_sha256: export.model.weights_sha256.clone(),
        data,
        task: task.clone(),
    };
    // A run that is resumed is compared and locked first; a new one begins when all can be read.
    let resumed = args.resume.then(|| RunFolder::open(&output, mode, &record)).transpose()?;
    if let Some(result) = resumed.as_ref().and_then(RunFolder::result) {
        log::info!("{}: the run is complete; this is its result", output.display());
        return print_result(args, &task, &result, &output);
    }

    let (number_format, threads) = (settings.precision, args.threads.unwrap_or(0));
    let (model, dev) = std::thread::scope(|scope| {
        let load = || TrainingSession::load(&library, &export, number_format, threads);
        let model = scope.spawn(load);
        let dev = encode_dev(&dev_sources, &settings, &export.model);
        let model = model.join().unwrap_or_else(|_| Err(Error::new("loading the model failed")));
        (model, dev)
    });
    let dev = dev?;
    let mut model = model?;

    let folder = match resumed {
        Some(folder) => folder,
        None => RunFolder::open(&output, mode, &record)?,
    };
    open_log(folder.dir())?;
    announce(&task, &settings, &export.model, train.summary().examples, &dev, start);
    let job = Job {
        task: &task,
        labels: &labels,
        settings: &settings,
        options: &options,
        train: &train,
        dev: &dev,
        encoder: export.model.encoder_facts(),
        profile: model.profile(),
        describe: &|record| export.trained_json(record),
        folder: &folder,
        resume: args.resume,
        stop: &stop,
    };
    let mut events = EventFile::new(folder.dir());
    let outcome = train::train(&job, &mut model, &mut events)?;
    finish(args, &job, &outcome, start, tokenised_in)
}

/// The training split of a task that can be trained.
fn trainable(task: &Task) -> Result<&Split> {
    let train = task.train.as_ref().ok_or_else(|| {
        let other = task.model_of.as_deref().unwrap_or("mnli");
        Error::usage(format!(
            "task `{}` has no training file; it uses `{other}`'s model",
            task.name
        ))
        .hint(format!("train that one: `tfbert train --task {other}`"))
    })?;
    if task.dev.is_empty() {
        return Err(Error::usage(format!(
            "task `{}` has no development file, which selects the best checkpoint",
            task.name
        ))
        .hint("name one under `dev` in the task file"));
    }
    Ok(train)
}

/// The task's defaults with the flags over them.
fn settings(args: &TrainArgs, task: &Task, precision: Precision) -> TrainSettings {
    fn set<T>(into: &mut T, flag: Option<T>) {
        if let Some(value) = flag {
            *into = value;
        }
    }
    let mut settings = TrainSettings::for_task(task, precision);
    set(&mut settings.epochs, args.epochs);
    settings.max_steps = args.max_steps;
    set(&mut settings.batch_size, args.batch_size);
    set(&mut settings.accumulate, args.accumulate);
    set(&mut settings.eval_batch_size, args.eval_batch_size);
    set(&mut settings.learning_rate, args.learning_rate);
    // Through text, so that 0.1 stays 0.1 and not the nearest 32-bit number.
    set(&mut settings.warmup, args.warmup.and_then(|warmup| warmup.to_string().parse().ok()));
    settings.adamw = args.adamw.clone();
    set(&mut settings.dropout, args.dropout);
    set(&mut settings.label_smoothing, args.label_smoothing);
    set(&mut settings.features.max_length, args.max_length);
    set(&mut settings.features.doc_stride, args.doc_stride);
    set(&mut settings.seed, args.seed);
    settings.limit_train = args.limit_train;
    settings.limit_dev = args.limit_dev;
    settings.eval_steps = args.eval_steps;
    set(&mut settings.log_steps, args.log_steps);
    settings
}

/// `--class-weights`: numbers, or `balanced` for `examples / (labels · examples of the label)`
/// (scikit-learn's `compute_class_weight`).
fn class_weights(given: &[String], labels: &Labels, counts: &[usize]) -> Result<Vec<f32>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    if labels.is_empty() {
        return Err(Error::usage("`--class-weights` is for tasks with labels"));
    }
    if given == ["balanced"] {
        let total: usize = counts.iter().sum();
        let balanced = |label| {
            let count = counts.get(label).copied().unwrap_or(0).max(1);
            total as f32 / (labels.len() as f32 * count as f32)
        };
        return Ok((0..labels.len()).map(balanced).collect());
    }
    let weights: Option<Vec<f32>> = given
        .iter()
        .map(|text| text.trim().parse().ok().filter(|w: &f32| w.is_finite() && *w >= 0.0))
        .collect();
    weights.filter(|weights| weights.len() == labels.len()).ok_or_else(|| {
        Error::usage(format!(
            "`--class-weights {}`: expected `balanced`, or {} numbers for {}",
            given.join(","),
            labels.len(),
            labels.names().join(", ")
        ))
    })
}

/// Reads and tokenises the development files.
fn encode_dev(
    sources: &[DataSource<'_>],
    settings: &TrainSettings,
    model: &Description,
) -> Result<Vec<EncodedDataset>> {
    let tokenizer = Tokenizer::read(&model.tokenizer())?;
    sources.iter().map(|source| encode(source, &tokenizer, &settings.features)).collect()
}

fn announce(
    task: &Task,
    settings: &TrainSettings,
    model: &Description,
    examples: usize,
    dev: &[EncodedDataset],
    start: Instant,
) {
    let dev: Vec<String> = dev
        .iter()
        .map(|dev| format!("{} {}", dev.dataset.examples.len(), dev.dataset.split))
        .collect();
    log::info!(
        "{}: {examples} train and {} examples; {} {} in {}; batch {}, learning rate {:e}, {} epochs, \
         seed {}; ready in {:.1}s",
        task.name,
        dev.join(", "),
        model.encoder.name,
        model.head,
        settings.precision,
        settings.batch_size,
        settings.learning_rate,
        settings.epochs,
        settings.seed,
        start.elapsed().as_secs_f64()
    );
}

/// Writes and prints the result.
fn finish(
    args: &TrainArgs,
    job: &Job<'_>,
    outcome: &Outcome,
    start: Instant,
    tokenised_in: Option<Duration>,
) -> Result<()> {
    let (split, scores) = &outcome.best.scores[0];
    let train_seconds = outcome.duration.as_secs_f64();
    let splits = outcome.best.scores.iter();
    let result = RunResult {
        task: job.task.name.clone(),
        split: split.clone(),
        examples: job.dev[0].dataset.examples.len(),
        metrics: scores.by_name(),
        splits: splits.map(|(split, scores)| (split.clone(), scores.by_name())).collect(),
        details: scores.details.clone(),
        steps: outcome.steps,
        best_step: outcome.best.step,
        skipped: outcome.skipped,
        output: job.folder.dir().to_owned(),
        train_examples: job.train.len(),
        seconds: start.elapsed().as_secs_f64(),
        train_seconds,
        tokenise_seconds: tokenised_in.map(|time| time.as_secs_f64()),
        first_step_seconds: outcome.first_step.as_secs_f64(),
        input_wait: outcome.waited.as_secs_f64() / train_seconds.max(1e-9),
        padding: outcome.padding,
        seed: job.settings.seed,
        precision: job.settings.precision,
    };
    job.folder.write_result(&result)?;
    log::info!(
        "{} steps in {}; first step after {:.1}s; input waits {:.1}%; padding {:.0}%",
        result.steps,
        duration(outcome.duration),
        result.first_step_seconds,
        100.0 * result.input_wait,
        100.0 * result.padding
    );
    print_result(args, job.task, &result, job.folder.dir())
}

/// Prints the scores of each development split and where the model lies.
fn print_result(args: &TrainArgs, task: &Task, result: &RunResult, output: &Path) -> Result<()> {
    result.lines(task).iter().try_for_each(print_line)?;
    print_line(format!("model: {}", output.join(names::MODEL).display()))?;
    if args.json {
        print_line(result.to_json()?)?;
    }
    Ok(())
}
