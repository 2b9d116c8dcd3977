//! What the final model says of itself.

use super::Job;
use crate::evaluate;
use crate::run::Best;
use crate::saved_model::TrainingRecord;
use crate::scores::label_thresholds;
use crate::task::Task;

/// How the final model was trained, and how well.
pub(super) fn training_record(job: &Job<'_>, best: &Best) -> TrainingRecord {
    let metrics =
        best.scores.iter().map(|(split, scores)| (split.clone(), scores.by_name())).collect();
    let null_threshold =
        best.scores.first().and_then(|(_, scores)| evaluate::best_threshold(scores));
    let found = best.scores.first().filter(|_| job.task.head.predicts_label_sets());
    let label_thresholds = found
        .map(|(_, scores)| label_thresholds(job.task, job.labels, &scores.details))
        .unwrap_or_default();
    TrainingRecord {
        // Where the data lies is nobody's business who gets the model.
        task: Task { folder: String::new(), ..job.task.clone() },
        labels: job.labels.names().to_vec(),
        precision: job.settings.precision,
        features: job.settings.features,
        metrics,
        null_threshold,
        scheme: job.labels.scheme(),
        label_thresholds,
    }
}
