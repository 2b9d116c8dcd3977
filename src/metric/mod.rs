//! Metrics: pure functions from the complete list of predictions to a number.
//!
//! Every function takes all predictions of a data set at once, because F1, the correlations and the
//! null threshold are not means of their values on batches. Values are fractions (0.885, not
//! 88.5 %), as scikit-learn and SciPy give them; the official scripts of SQuAD and CoNLL print the
//! same numbers times 100. A value is an `Option<f64>`: `None` says that the metric is undefined
//! for this input (no examples, no positives, no variance). It is never replaced by 0 or NaN.
//!
//! This module imports no other module of the crate.

mod classification;
mod counts;
mod entity;
mod hidden;
mod label_sets;
mod normalize;
mod precision_recall;
mod regression;
mod span;
mod table;
mod threshold;
mod word;

pub use classification::{
    accuracy, binary_counts, f1_binary, macro_f1, matthews_correlation, precision_binary,
    recall_binary,
};
pub use counts::Counts;
pub use entity::{Entity, EntityScores, entities, entity_scores};
pub use hidden::{HiddenTokens, hidden_accuracy, perplexity};
pub use label_sets::{
    DEFAULT_THRESHOLD, LabelSets, best_label_threshold, label_macro_f1, micro_f1, samples_f1,
    subset_accuracy,
};
pub use normalize::normalize_answer;
pub use precision_recall::PrecisionRecallCurve;
pub use regression::{pearson, spearman};
pub use span::{QuestionScore, SpanMeans, SpanScores, SquadVersion, score_question, span_scores};
pub use table::{Direction, Formula, InputKind, METRICS, Metric, MetricInput, MetricName};
pub use threshold::{
    BestThreshold, BestThresholds, apply_null_threshold, attainable_thresholds, official_thresholds,
};
