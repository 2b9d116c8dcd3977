//! What the final model says of itself.

use super::Job;
use crate::evaluate;
use crate::model::{Contract, Trained};
use crate::run::Best;

/// The contract of the final model.
pub(super) fn trained_contract(export: &Contract, job: &Job<'_>, best: &Best) -> Contract {
    let metrics =
        best.scores.iter().map(|(split, scores)| (split.clone(), scores.by_name())).collect();
    let null_threshold =
        best.scores.first().and_then(|(_, scores)| evaluate::best_threshold(scores));
    Contract {
        signatures: Default::default(),
        trained: Some(Trained {
            task: job.task.clone(),
            labels: job.labels.names().to_vec(),
            precision: job.settings.precision,
            features: job.settings.features,
            metrics,
            null_threshold,
        }),
        ..export.clone()
    }
}
