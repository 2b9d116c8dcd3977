//! The names of the files and folders in a run's folder (see [`crate::run`]).

/// Everything needed to repeat the run.
pub const RUN_RECORD: &str = "run.json";
/// The task file of a run whose task was made of a data file.
pub const TASK: &str = "task.json";
/// The ids of the development examples that were drawn from the training file, one on each line.
pub const DEV_IDS: &str = "dev_ids.txt";
/// The scores of a complete run; written last.
pub const RESULT: &str = "result.json";
/// What the runs of several seeds came to, beside their folders.
pub const SEEDS_RESULT: &str = "seeds.json";
/// What a sweep runs and what it found, beside the folders of its settings.
pub const SWEEP: &str = "sweep.json";
/// A line for every few steps and every evaluation.
pub const METRICS: &str = "metrics.jsonl";
/// The log lines that were printed on stderr.
pub const LOG: &str = "log.txt";
/// Tables by class, confusions, calibration and the worst mistakes of the best evaluation.
pub const ANALYSIS: &str = "analysis.json";
/// The run on one page.
pub const REPORT: &str = "report.html";
/// What the names of TensorBoard's files begin with.
pub const EVENTS_PREFIX: &str = "events.out.tfevents.";
/// The folder of checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// The folder of the final SavedModel.
pub const MODEL: &str = "model";
/// The folder of prediction files.
pub const PREDICTIONS: &str = "predictions";
/// The file whose lock says that a process uses the run's folder.
pub const LOCK: &str = ".lock";
