//! Where the seconds of a run went.

use serde::{Deserialize, Serialize};

/// Where the seconds of a run went, in the process that completed it. All but `shapes` add up to the
/// run's `seconds`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Before the first step: reading and tokenising files, loading TensorFlow and the export.
    pub start_seconds: f64,
    /// Compiling training shapes: what the first step of each took longer than its others. A shape of
    /// one step counts as computed alone.
    pub compiling_seconds: f64,
    /// Training steps, without compiling.
    pub steps_seconds: f64,
    /// Steps that waited for batches.
    pub input_seconds: f64,
    /// Evaluations of the development files.
    pub evaluation_seconds: f64,
    /// Checkpoints, as far as training waited for them.
    pub saving_seconds: f64,
    /// After the last step: writing the final model.
    pub end_seconds: f64,
    /// The rest: planning batches, logs.
    pub other_seconds: f64,
    /// The training steps by the shape of their batches, shortest first.
    pub shapes: Vec<ShapeTimes>,
}

/// The training steps of one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapeTimes {
    /// Rows and length, `32x16`; with `--accumulate`, of the first part.
    pub shape: String,
    /// Steps.
    pub steps: usize,
    /// Their seconds, the first step's included.
    pub seconds: f64,
    /// Seconds of the first step, which compiles.
    pub first_step_seconds: f64,
    /// Mean seconds of a step, without the first one unless it is the only one.
    pub step_seconds: f64,
    /// The fastest step.
    pub min_step_seconds: f64,
}

impl ShapeTimes {
    /// What the first step took longer than the others.
    fn compiling(&self) -> f64 {
        (self.first_step_seconds - self.step_seconds).max(0.0)
    }
}

impl Times {
    /// Completes the times: `train_seconds` is the time from the first step's beginning to the end, and
    /// `seconds` that of the whole run. Steps are those of `shapes`.
    pub fn complete(mut self, train_seconds: f64, seconds: f64) -> Self {
        let steps: f64 = self.shapes.iter().map(|shape| shape.seconds).sum();
        self.compiling_seconds = self.shapes.iter().map(ShapeTimes::compiling).sum();
        self.steps_seconds = steps - self.compiling_seconds;
        self.start_seconds = (seconds - train_seconds).max(0.0);
        let named = steps
            + self.input_seconds
            + self.evaluation_seconds
            + self.saving_seconds
            + self.end_seconds;
        self.other_seconds = (train_seconds - named).max(0.0);
        self
    }

    /// A line for people.
    pub fn line(&self) -> String {
        format!(
            "time: start {:.1}s, compiling {:.1}s, steps {:.1}s, input {:.1}s, evaluation {:.1}s, \
             saving {:.1}s, end {:.1}s, other {:.1}s",
            self.start_seconds,
            self.compiling_seconds,
            self.steps_seconds,
            self.input_seconds,
            self.evaluation_seconds,
            self.saving_seconds,
            self.end_seconds,
            self.other_seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_to_the_run_and_compiling_is_what_first_steps_took_longer() {
        let shape = |steps, seconds, first_step_seconds, step_seconds| ShapeTimes {
            shape: "8x16".into(),
            steps,
            seconds,
            first_step_seconds,
            step_seconds,
            min_step_seconds: step_seconds,
        };
        let times = Times {
            input_seconds: 1.0,
            evaluation_seconds: 2.0,
            saving_seconds: 0.5,
            end_seconds: 1.5,
            shapes: vec![shape(11, 13.0, 3.0, 1.0), shape(1, 4.0, 4.0, 4.0)],
            ..Times::default()
        };
        let times = times.complete(24.0, 30.0);
        assert_eq!((times.compiling_seconds, times.steps_seconds), (2.0, 15.0));
        assert_eq!((times.start_seconds, times.other_seconds), (6.0, 2.0));
        assert!(times.line().starts_with("time: start 6.0s, compiling 2.0s, steps 15.0s"));
    }
}
