//! Where training's time goes, taken as it goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::Batch;
use crate::run::{ShapeTimes, Times};

#[derive(Default)]
pub(super) struct Timing {
    /// Time from the start of training to the end of the first step.
    pub(super) first_step: Option<Duration>,
    /// Time that steps waited for batches.
    pub(super) waited: Duration,
    /// The fraction of padding among the tokens of the last epoch.
    pub(super) padding: f64,
    pub(super) evaluation: Duration,
    pub(super) saving: Duration,
    pub(super) end: Duration,
    /// By length and rows of the (first part of the) batch.
    shapes: BTreeMap<(usize, usize), Steps>,
}

struct Steps {
    count: usize,
    all: Duration,
    first: Duration,
    fastest: Duration,
}

impl Timing {
    /// Notes a step on a batch that is computed in `parts`.
    pub(super) fn step(&mut self, parts: &[Batch], took: Duration) {
        let Some(part) = parts.first() else { return };
        let steps = self.shapes.entry((part.length(), part.rows())).or_insert(Steps {
            count: 0,
            all: Duration::ZERO,
            first: took,
            fastest: took,
        });
        steps.count += 1;
        steps.all += took;
        steps.fastest = steps.fastest.min(took);
    }

    /// The times without those that only the whole command knows.
    pub(super) fn times(&self) -> Times {
        Times {
            input_seconds: self.waited.as_secs_f64(),
            evaluation_seconds: self.evaluation.as_secs_f64(),
            saving_seconds: self.saving.as_secs_f64(),
            end_seconds: self.end.as_secs_f64(),
            shapes: self
                .shapes
                .iter()
                .map(|(&(length, rows), steps)| of(rows, length, steps))
                .collect(),
            ..Times::default()
        }
    }
}

fn of(rows: usize, length: usize, steps: &Steps) -> ShapeTimes {
    let others = (steps.all - steps.first).as_secs_f64();
    let first = steps.first.as_secs_f64();
    ShapeTimes {
        shape: format!("{rows}x{length}"),
        steps: steps.count,
        seconds: steps.all.as_secs_f64(),
        first_step_seconds: first,
        step_seconds: if steps.count > 1 { others / (steps.count - 1) as f64 } else { first },
        min_step_seconds: steps.fastest.as_secs_f64(),
    }
}

/// Runs `work` and adds the time that it took to `into`.
pub(super) fn timed<T>(into: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *into += start.elapsed();
    result
}
