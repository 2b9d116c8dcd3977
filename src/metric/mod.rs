//! placeholder
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MetricName { Accuracy, F1, MacroF1, MatthewsCorrelation, Pearson, Spearman, ExactMatch, Precision, Recall }
