//! The names of the metrics, as task files, reports and the screen show them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A metric, by the name that Hugging Face's `evaluate` and the official scorers give it.
///
/// The same name means what is usual for the head that is evaluated: [`F1`](MetricName::F1),
/// [`Precision`](MetricName::Precision) and [`Recall`](MetricName::Recall) are those of the
/// positive class for `classify`, of entities for `tag`; F1 is the overlap of words for `span`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// Share of examples whose prediction is right.
    Accuracy,
    /// F1 of the positive class, of the answers' words, or of entities.
    F1,
    /// Mean of every class's F1, each class counting the same.
    MacroF1,
    /// Matthews correlation coefficient.
    MatthewsCorrelation,
    /// Pearson's correlation coefficient.
    Pearson,
    /// Spearman's rank correlation coefficient.
    Spearman,
    /// Share of questions whose answer equals a gold answer after SQuAD's normalisation.
    ExactMatch,
    /// Share of what was predicted that is right.
    Precision,
    /// Share of what should be found that was found.
    Recall,
}

impl MetricName {
    /// All metrics, in the order of their declaration.
    pub const ALL: [MetricName; 9] = [
        MetricName::Accuracy,
        MetricName::F1,
        MetricName::MacroF1,
        MetricName::MatthewsCorrelation,
        MetricName::Pearson,
        MetricName::Spearman,
        MetricName::ExactMatch,
        MetricName::Precision,
        MetricName::Recall,
    ];

    /// The name in task files, `metrics.json` and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            MetricName::Accuracy => "accuracy",
            MetricName::F1 => "f1",
            MetricName::MacroF1 => "macro_f1",
            MetricName::MatthewsCorrelation => "matthews_correlation",
            MetricName::Pearson => "pearson",
            MetricName::Spearman => "spearman",
            MetricName::ExactMatch => "exact_match",
            MetricName::Precision => "precision",
            MetricName::Recall => "recall",
        }
    }

    /// Whether the larger of two values is the better one. True of all metrics so far; the choice
    /// of the best checkpoint asks, so that an error rate could be added.
    pub const fn higher_is_better(self) -> bool {
        match self {
            MetricName::Accuracy
            | MetricName::F1
            | MetricName::MacroF1
            | MetricName::MatthewsCorrelation
            | MetricName::Pearson
            | MetricName::Spearman
            | MetricName::ExactMatch
            | MetricName::Precision
            | MetricName::Recall => true,
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for MetricName {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        MetricName::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

/// A name that is no metric's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMetric(pub String);

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = MetricName::ALL.map(|metric| format!("`{metric}`"));
        write!(f, "unknown metric `{}`: expected one of {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownMetric {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_on_screen_in_files_and_when_parsed() {
        for metric in MetricName::ALL {
            let in_a_file = serde_json::to_string(&metric).unwrap();
            assert_eq!(in_a_file, format!("\"{}\"", metric.name()));
            assert_eq!(serde_json::from_str::<MetricName>(&in_a_file).unwrap(), metric);
            assert_eq!(metric.name().parse::<MetricName>().unwrap(), metric);
            assert_eq!(metric.to_string(), metric.name());
        }
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let names: std::collections::BTreeSet<_> =
            MetricName::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), MetricName::ALL.len());
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = "f2".parse::<MetricName>().unwrap_err().to_string();
        assert!(message.starts_with("unknown metric `f2`: expected one of `accuracy`, `f1`"));
        assert!(message.ends_with("`recall`"));
    }

    #[test]
    fn a_name_is_padded_like_any_text_in_a_table() {
        assert_eq!(format!("{:>10}|", MetricName::F1), "        f1|");
    }
}
