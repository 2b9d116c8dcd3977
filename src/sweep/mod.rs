//! Runs over combinations of settings: which there are, which end early, and what the sweep's folder
//! records.
//!
//! ```text
//! runs/sst2-sweep/
//!   sweep.json                                     the command, each run with its state, the best
//!   task.json                                      the task file that a data file stands for
//!   learning-rate-2e-5_batch-size-16/              a run, or with `--seeds`
//!   learning-rate-2e-5_batch-size-16/seed-1/       a run for each seed
//! ```

mod folder;
mod grid;
mod median;
mod record;

pub use folder::SweepFolder;
pub use grid::{Axis, Grid, MOST_RUNS, PlannedRun, plan};
pub use median::MedianRule;
pub(crate) use record::parse_sweep;
pub use record::{RunState, SweepRecord, SweepRun};
