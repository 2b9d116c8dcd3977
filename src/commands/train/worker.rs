//! A worker's part in a cluster: how it begins and ends, and what workers other than the chief do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tfbert::cli::{TrainArgs, WholeStepArg};
use tfbert::cluster::{self, Cluster, StartOptions, Workers};
use tfbert::error::{Error, ErrorKind, Result};
use tfbert::files::fingerprint;
use tfbert::model::Precision;
use tfbert::run::{RunFolder, RunMode, RunRecord};
use tfbert::runtime::{Device, Library, TrainingSession, restore_stderr};
use tfbert::saved_model::Export;
use tfbert::settings::TrainSettings;

use super::Trainer;

/// The variable with the secret that all workers share.
pub(crate) const CLUSTER_TOKEN: &str = "TFBERT_CLUSTER_TOKEN";

/// The workers that flags or the environment name.
pub(super) fn find(args: &TrainArgs) -> Result<Option<Workers>> {
    let found = cluster::find(&args.cluster.flags(), &|name| std::env::var(name).ok())?;
    if found.is_some() && args.seeds.is_some() {
        return Err(Error::usage("several workers train one seed at a time")
            .hint("give `--seed N` in place of `--seeds`"));
    }
    Ok(found)
}

/// Waits for the other workers.
pub(super) fn start(args: &TrainArgs, workers: Workers, trainer: &Trainer) -> Result<Cluster> {
    let folder = (!workers.is_chief()).then(|| scratch_folder(workers.index()));
    let options = StartOptions {
        token: std::env::var(CLUSTER_TOKEN).unwrap_or_default(),
        timeout: Duration::from_secs(args.cluster.start_timeout as u64),
        stop: Arc::clone(&trainer.stop),
        end_process: Box::new(move |error| {
            if let Some(folder) = &folder {
                let _ = std::fs::remove_dir_all(folder);
            }
            restore_stderr(); // It is discarded while TensorFlow's library is loaded.
            tfbert::run::log_line(&format!("error: {error}"));
            eprintln!("error: {error}");
            // Not by way of C++'s destructors: another thread waits inside TensorFlow.
            signal_hook::low_level::exit(error.exit_code().into());
        }),
    };
    Cluster::start(workers, options)
}

/// Tells the other workers how this one has ended.
pub(super) fn end<T>(cluster: &Cluster, result: &Result<T>) -> Result<()> {
    if !cluster.is_chief() {
        let _ = std::fs::remove_dir_all(scratch_folder(cluster.workers().index()));
    }
    match result {
        Ok(_) => cluster.finish(),
        // All workers stopped after the same step, and the chief has its checkpoint.
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted(_)) && cluster.stops() => {
            cluster.finish()
        }
        Err(error) => {
            cluster.fail(error);
            Ok(())
        }
    }
}

/// Whether an export is trained with its whole-step graph, which several workers never do.
pub(super) fn whole_step(
    device: &Device,
    args: &TrainArgs,
    export: &Export,
    cluster: Option<&Cluster>,
) -> Result<bool> {
    match (cluster, args.whole_step) {
        (None, choice) => Ok(crate::commands::whole_step(device, choice, export)),
        (Some(_), WholeStepArg::On) => {
            Err(Error::usage("several workers have no graph whose step is one compiled function")
                .hint("leave out `--whole-step on`"))
        }
        (Some(_), WholeStepArg::Auto | WholeStepArg::Off) => Ok(false),
    }
}

/// What all workers must have in common.
pub(super) fn agree(
    cluster: &Cluster,
    args: &TrainArgs,
    export: &Export,
    record: &RunRecord,
    complete: bool,
) -> Result<bool> {
    let mut facts = record.facts()?;
    let graph = export.workers_graph()?.join("saved_model.pb");
    facts.insert("export's workers graph".into(), fingerprint(&graph)?.sha256);
    let reduce = reduce_precision(args, &record.settings);
    facts.insert("reduce_precision".into(), reduce.to_string());
    cluster.agree(&facts, complete)
}

/// The number format in which gradients are summed.
fn reduce_precision(args: &TrainArgs, settings: &TrainSettings) -> Precision {
    args.cluster.reduce_precision.unwrap_or(settings.precision)
}

/// Loads the graph of several workers on this worker's server.
pub(super) fn load(
    cluster: &Cluster,
    args: &TrainArgs,
    library: &Library,
    export: &Export,
    settings: &TrainSettings,
) -> Result<TrainingSession> {
    let threads = args.threads.unwrap_or(0);
    let workers = cluster.workers();
    let server = TrainingSession::serve(library, workers.addresses(), workers.index(), threads)?;
    let reduce = reduce_precision(args, settings);
    TrainingSession::load_worker(library, export, settings.precision, threads, &server, reduce)
}

/// The folder of a worker that is not the chief, which is removed at its end.
pub(super) fn folder(cluster: &Cluster, record: &RunRecord) -> Result<RunFolder> {
    RunFolder::open(&scratch_folder(cluster.workers().index()), RunMode::New, record)
}

fn scratch_folder(worker: usize) -> PathBuf {
    let name = format!("tfbert-worker-{worker}-{}", std::process::id());
    std::env::temp_dir().join(Path::new(&name))
}
