//! Lines of `metrics.jsonl`, and the same numbers for TensorBoard.

use serde::Serialize;

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Line<'a> {
    Step {
        step: usize,
        epoch: f64,
        loss: f64,
        learning_rate: f32,
        grad_norm: f32,
    },
    Evaluation {
        step: usize,
        epoch: f64,
        split: &'a str,
        loss: Option<f64>,
        metrics: serde_json::Value,
    },
}

impl Line<'_> {
    /// The update after which it is written.
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Step { step, .. } | Self::Evaluation { step, .. } => *step,
        }
    }

    /// Its numbers by the names of TensorBoard's curves; what is undefined is left out.
    pub(super) fn scalars(&self) -> Vec<(String, f64)> {
        match self {
            Self::Step { loss, learning_rate, grad_norm, .. } => vec![
                ("train/loss".to_owned(), *loss),
                ("train/learning_rate".to_owned(), f64::from(*learning_rate)),
                ("train/grad_norm".to_owned(), f64::from(*grad_norm)),
            ],
            Self::Evaluation { split, loss, metrics, .. } => {
                let loss = loss.map(|loss| (format!("{split}/loss"), loss));
                let metrics = metrics.as_object().into_iter().flatten();
                let metrics = metrics
                    .filter_map(|(name, value)| Some((format!("{split}/{name}"), value.as_f64()?)));
                loss.into_iter().chain(metrics).collect()
            }
        }
    }
}
