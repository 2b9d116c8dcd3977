//! `tfbert train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::{Duration, Instant};

use tfbert::cli::{Cli, TrainArgs};
use tfbert::cluster::Cluster;
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::FeatureSizes as _;
use tfbert::files::names;
use tfbert::kubeflow::{Endpoint, Reporter};
use tfbert::report::duration;
use tfbert::report::html::write_run_page;
use tfbert::run::{RunAnalysis, RunFiles, RunFolder, RunRecord, RunResult, open_log};
use tfbert::runtime::{Device, EventFile, Library, Process, TrainingSession, WorkSplit};
use tfbert::saved_model::Description;
use tfbert::settings::TrainSettings;
use tfbert::sweep::MedianRule;
use tfbert::task::Task;
use tfbert::text::excerpt;
use tfbert::train::{self, Job, Outcome};

use super::{print_line, run_folder, run_of_task_file};

mod check;
mod flags;
mod input;
mod request;
mod seeds;
mod start;
mod sweep;
mod task;
mod worker;

use check::Found;
use request::Request;
pub use sweep::run as sweep;
pub(super) use worker::CLUSTER_TOKEN;

/// What to do where memory runs out.
const MEMORY_HINT: &str = "try a smaller `--batch-size`, `--accumulate N` or `--max-length`; \
                           `--resume` continues from the last checkpoint";

/// Trains, or with `--dry-run` says what training would do.
pub fn run(args: &TrainArgs, cli: &Cli) -> Result<()> {
    if args.dry_run {
        let task = task::find(args)?;
        for (folder, args) in seeds::runs(args, &output(args, &task)) {
            RunFolder::check(&folder, flags::mode(&args))?;
        }
        return check_task(args, &task, cli);
    }
    let task = task::find(args)?;
    let workers = worker::find(args)?;
    let device = Device::detect(cli.tensorflow.as_deref());
    let process = super::training_process(cli, &device, &args.cache, args.threads, MEMORY_HINT);
    let stop = super::stop_signal()?;
    super::launch::stop_with_launcher(&stop);
    let mut trainer = Trainer {
        device,
        process: Some(process),
        library: None,
        stop,
        cluster: None,
        reporter: None,
        sweep: None,
        session: None,
    };
    if args.seeds.is_some() {
        return seeds::run(args, &task, &mut trainer);
    }
    if let Some(workers) = workers {
        if task.head.predicts_hidden_words() {
            let problem = format!("the head `{}` is trained by one worker", task.head);
            return Err(Error::usage(problem).hint("train it without a cluster"));
        }
        trainer.cluster = Some(Arc::new(worker::start(args, workers, &trainer)?));
    }
    if trainer.cluster.as_ref().is_none_or(|cluster| cluster.is_chief()) {
        let endpoint = Endpoint::find(&|name| std::env::var(name).ok());
        trainer.reporter = endpoint.map(Reporter::start);
    }
    let result = trainer.train(args, &task).map(drop);
    if let Some(cluster) = &trainer.cluster {
        worker::end(cluster, &result)?;
    }
    if let Some(session) = trainer.session.take() {
        session.drop_at_end_of_process();
    }
    result
}

/// The folder that a command writes to.
fn output(args: &TrainArgs, task: &Task) -> PathBuf {
    // A sweep's folder is none of a run.
    let is_run = |folder: &PathBuf| !folder.join(names::SWEEP).is_file();
    let of_task_file =
        || args.data.task.as_ref().and_then(|_| run_of_task_file(task)).filter(is_run);
    args.output.clone().or_else(of_task_file).unwrap_or_else(|| run_folder(task))
}

/// What the runs of one command share.
struct Trainer {
    device: Device,
    /// Taken when the library is loaded, which waits until the training file has been read.
    process: Option<Result<Process>>,
    library: Option<Library>,
    stop: Arc<AtomicI32>,
    /// The other workers, where there are any.
    cluster: Option<Arc<Cluster>>,
    /// Where the progress is reported: in a TrainJob of Kubeflow, by the chief.
    reporter: Option<Reporter>,
    /// Set before each run of a sweep.
    sweep: Option<OfSweep>,
    /// The session of the last run, of one worker alone.
    session: Option<TrainingSession>,
}

/// What a run of a sweep has besides its arguments. Its result is not printed.
struct OfSweep {
    /// The command that trains this run alone.
    command: Vec<String>,
    /// What may end it early.
    rule: Option<MedianRule>,
}

/// A run that is complete.
struct Complete {
    result: RunResult,
    /// The number of the task's labels.
    labels: usize,
}

impl Trainer {
    fn library(&mut self) -> Result<&Library> {
        if let Some(process) = self.process.take() {
            self.library = Some(process?.load()?);
        }
        self.library.as_ref().ok_or_else(|| Error::new("TensorFlow's library was not loaded"))
    }

    /// One run, from the files to the result, which the chief alone has.
    fn train(&mut self, args: &TrainArgs, task: &Task) -> Result<Option<Complete>> {
        let began = Instant::now();
        self.session = None;
        let of_sweep = self.sweep.take();
        let prints = of_sweep.is_none();
        let mode = flags::mode(args);
        let request = Request::read(args, task, &self.device)?;
        let Request { export, settings, .. } = &request;
        let output = output(args, task);
        let cluster = self.cluster.clone();
        let cluster = cluster.as_deref();
        let is_chief = cluster.is_none_or(Cluster::is_chief);
        if is_chief {
            // Refused before the data is read, and again under the lock.
            RunFolder::check(&output, mode)?;
        }
        let labels = request.labels(&args.data.data_dir)?;
        let files = request.files(args, &labels)?;
        let (train, tokenised_in) = files.training_features(&request, args)?;
        let settings = &request.with_class_weights(args, settings, &labels, &train)?;

        let whole_step = worker::whole_step(&self.device, args, export, cluster)?;
        export.graph(whole_step)?; // Refused before the run's folder is made.
        let stop = Arc::clone(&self.stop);
        let library = self.library()?;
        let options = flags::options(args);
        let record = RunRecord {
            tfbert_version: env!("CARGO_PKG_VERSION").into(),
            tensorflow_version: library.version().to_owned(),
            whole_step,
            command: match &of_sweep {
                Some(run) => run.command.clone(),
                None => std::env::args().collect(),
            },
            labels: labels.names().to_vec(),
            settings: settings.clone(),
            options: options.clone(),
            model: export.model.dir.clone(),
            weights_sha256: export.model.weights_sha256.clone(),
            data: files.records.clone(),
            task: task::recorded(args, task)?,
            start: request.start.as_ref().map(start::Start::record).transpose()?,
            directory: std::env::current_dir().ok(),
            data_dir: std::path::absolute(&args.data.data_dir).ok(),
        };
        // A run that is resumed is compared and locked first; a new one begins when all can be read.
        let resumes = args.resume && is_chief;
        let resumed = resumes.then(|| RunFolder::open(&output, mode, &record)).transpose()?;
        let known = resumed.as_ref().and_then(|folder| match &of_sweep {
            // A sweep keeps the result of a run whose model it removed.
            Some(_) => folder.result_without_model(),
            None => folder.result(),
        });
        let mut complete = known.is_some();
        if let Some(cluster) = cluster {
            complete = worker::agree(cluster, args, export, &record, complete)?;
        }
        if let Some(result) = known {
            log::info!("{}: the run is complete; this is its result", output.display());
            if prints {
                print_result(args, task, &result, &output)?;
            }
            if let (Some(folder), 0) = (&resumed, args.keep_checkpoints) {
                folder.remove_checkpoints()?;
            }
            return Ok(Some(Complete { result, labels: labels.len() }));
        } else if complete {
            log::info!("the chief's run is complete");
            return Ok(None);
        }

        let threads = args.threads.unwrap_or(0);
        let precision = settings.precision;
        let (model, dev) = std::thread::scope(|scope| {
            let load = || match cluster {
                None => TrainingSession::load(library, export, precision, threads, whole_step),
                Some(cluster) => worker::load(cluster, args, library, export, settings),
            };
            let model = scope.spawn(load);
            let dev = files.encode_dev(&request);
            let model =
                model.join().unwrap_or_else(|_| Err(Error::new("loading the model failed")));
            (model, dev)
        });
        let dev = dev?;
        let mut model = model?;

        let folder = match (resumed, cluster) {
            (Some(folder), _) => folder,
            (None, Some(cluster)) if !is_chief => worker::folder(cluster, &record)?,
            (None, _) => RunFolder::open(&output, mode, &record)?,
        };
        if is_chief {
            open_log(folder.dir())?;
            task::write(args, task, folder.dir())?;
            task::write_dev_ids(task, &dev, folder.dir())?;
            announce(task, settings, &export.model, train.summary().examples, &dev, began);
            let found = Found::new(settings, &export.model, &labels, &train, &dev);
            found.log_labels(task.labels.is_some() || task.dev_from_train.is_some());
            found.warn();
        }
        if let Some(from) = &request.start {
            from.announce(task, &labels);
            let head = from.keeps_head(task, &labels);
            model.start_from(&from.trained.weights(), head, folder.dir());
        }
        let rule = of_sweep.and_then(|run| run.rule);
        let ends_early =
            |epoch: f64, best: f64| rule.as_ref().and_then(|rule| rule.ends(epoch, best));
        let job = Job {
            task,
            labels: &labels,
            settings,
            options: &options,
            train: &train,
            dev: &dev,
            encoder: export.model.encoder_facts(),
            profile: model.profile(),
            describe: &|record| export.trained_json(record),
            folder: &folder,
            resume: resumes,
            stop: &stop,
            cluster,
            ends_early: Some(&ends_early),
            reporter: self.reporter.as_ref(),
        };
        let mut events = EventFile::new(folder.dir());
        if !is_chief {
            train::assist(&job, &mut model, &mut events)?;
            return Ok(None);
        }
        let outcome = train::train(&job, &mut model, &mut events)?;
        let result = finish(&job, &record, &outcome, began, tokenised_in)?;
        if prints {
            print_result(args, task, &result, &output)?;
        }
        if cluster.is_none() {
            self.session = Some(model);
        }
        Ok(Some(Complete { result, labels: labels.len() }))
    }
}

/// Reads what training would read and says what it would do: `tfbert data check`.
pub fn check(args: &TrainArgs, cli: &Cli) -> Result<()> {
    check_task(args, &task::find(args)?, cli)
}

fn check_task(args: &TrainArgs, task: &Task, cli: &Cli) -> Result<()> {
    let device = Device::detect(cli.tensorflow.as_deref());
    let request = Request::read(args, task, &device)?;
    let labels = request.labels(&args.data.data_dir)?;
    let files = request.files(args, &labels)?;
    let (train, _) = files.training_features(&request, args)?;
    let settings = request.with_class_weights(args, &request.settings, &labels, &train)?;
    let dev = files.encode_dev(&request)?;
    let found = Found::new(&settings, &request.export.model, &labels, &train, &dev);
    found.warn();
    // What the data says of the plan is the same for every number of threads.
    let has_kernels = device.has_kernels() && request.export.model.names_functions();
    let profile = device.training_profile(false, 0, WorkSplit::Operations, has_kernels);
    let report = found.report(&request, &files, profile.shape_cost)?;
    report.lines(settings.features.max_length).iter().try_for_each(print_line)?;
    if args.json {
        print_line(report.to_json()?)?;
    }
    Ok(())
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

/// Writes the result.
fn finish(
    job: &Job<'_>,
    record: &RunRecord,
    outcome: &Outcome,
    start: Instant,
    tokenised_in: Option<Duration>,
) -> Result<RunResult> {
    let (split, scores) = &outcome.best.scores[0];
    let train_seconds = outcome.duration.as_secs_f64();
    let seconds = start.elapsed().as_secs_f64();
    let splits = outcome.best.scores.iter();
    let analysis = analysis_of(job.folder.dir(), outcome.best.step)?;
    let selecting = analysis.as_ref().and_then(|analysis| analysis.splits.first());
    let result = RunResult {
        task: job.task.name.clone(),
        split: split.clone(),
        examples: job.dev[0].dataset.examples.len(),
        metrics: scores.by_name(),
        splits: splits.map(|(split, scores)| (split.clone(), scores.by_name())).collect(),
        details: scores.details.clone(),
        steps: outcome.steps,
        stopped_by: outcome.stopped_by,
        best_step: outcome.best.step,
        skipped: outcome.skipped,
        output: job.folder.dir().to_owned(),
        train_examples: job.train.len(),
        seconds,
        train_seconds,
        tokenise_seconds: tokenised_in.map(|time| time.as_secs_f64()),
        first_step_seconds: outcome.first_step.as_secs_f64(),
        input_wait: outcome.waited.as_secs_f64() / train_seconds.max(1e-9),
        padding: outcome.padding,
        times: Some(outcome.times.clone().complete(train_seconds, seconds)),
        seed: job.settings.seed,
        precision: job.settings.precision,
        settings: Some(job.settings.clone()),
        model: Some(record.model.clone()),
        tables: selecting.map(|analysis| analysis.to_json()).unwrap_or_default(),
    };
    job.folder.check_held()?;
    let run = RunFiles { result: Some(result.clone()), ..RunFiles::read(job.folder.dir())? };
    write_run_page(&run)?;
    job.folder.write_result(&result)?;
    if job.options.keep_checkpoints == 0 {
        job.folder.remove_checkpoints()?;
    }
    log::info!(
        "{} steps in {}; first step after {:.1}s; input waits {:.1}%; padding {:.0}%",
        result.steps,
        duration(outcome.duration),
        result.first_step_seconds,
        100.0 * result.input_wait,
        100.0 * result.padding
    );
    if let Some((class, analysis)) = selecting.and_then(|a| Some((a.only_predicted()?, a))) {
        log::warn!(
            "every prediction of {} is `{}`: the model has learned no difference; train longer \
             (`--epochs`), or with another `--learning-rate`",
            analysis.split,
            excerpt(class)
        );
    }
    if let Some(times) = &result.times {
        log::info!("{}", times.line());
    }
    Ok(result)
}

/// What the evaluation after `step` shows; `None` where the run's folder has it of another step.
fn analysis_of(run: &Path, step: usize) -> Result<Option<RunAnalysis>> {
    Ok(RunAnalysis::read(run)?.filter(|analysis| analysis.step == step))
}

/// Prints the scores of each development split, the tables of the first, and where the model lies.
fn print_result(args: &TrainArgs, task: &Task, result: &RunResult, output: &Path) -> Result<()> {
    result.lines(task).iter().try_for_each(print_line)?;
    if let Some(analysis) = analysis_of(output, result.best_step)? {
        let selecting = analysis.splits.first();
        let lines = selecting.map(|analysis| analysis.lines(super::SHOWN_ROWS));
        lines.unwrap_or_default().iter().try_for_each(print_line)?;
    }
    print_line(format!("model: {}", output.join(names::MODEL).display()))?;
    let report = output.join(names::REPORT);
    if report.is_file() {
        print_line(format!("report: {}", report.display()))?;
    }
    if args.json {
        print_line(result.to_json()?)?;
    }
    Ok(())
}
