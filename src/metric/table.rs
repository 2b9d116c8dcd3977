//! The table of metrics: for each its name, which of two values is the better one, and the function
//! that computes it from the predictions of a whole data set.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Counts, EntityScores, LabelSets, SpanMeans, SpanScores, accuracy, binary_counts,
    label_macro_f1, macro_f1, matthews_correlation, micro_f1, pearson, samples_f1, spearman,
    subset_accuracy,
};
use super::{HiddenTokens, hidden_accuracy, perplexity};

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
    /// Mean of every class's (or label's) F1, each counting the same.
    MacroF1,
    /// F1 of the labels of all examples counted together.
    MicroF1,
    /// Mean over the examples of the F1 of their labels.
    SamplesF1,
    /// Share of examples whose labels are exactly right.
    SubsetAccuracy,
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
    /// The exponential of the mean negative log probability of hidden words.
    Perplexity,
}

/// Which of two values of a metric is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The higher one, as of accuracy.
    HigherIsBetter,
    /// The lower one, as of an error rate.
    LowerIsBetter,
}

impl Direction {
    /// Whether `new` is better than `old`; equal values are not.
    pub fn is_better(self, new: f64, old: f64) -> bool {
        match self {
            Self::HigherIsBetter => new > old,
            Self::LowerIsBetter => new < old,
        }
    }
}

/// The predictions and gold values of a whole data set, in the form that metrics are computed from.
/// Lists are parallel, an element for each example.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricInput {
    /// Numbers of classes.
    Classes {
        /// What the model predicted.
        predicted: Vec<usize>,
        /// What is right.
        gold: Vec<usize>,
    },
    /// Any number of labels for each example.
    LabelSets(LabelSets),
    /// Positions of endings.
    Endings {
        /// What the model predicted.
        predicted: Vec<usize>,
        /// What is right.
        gold: Vec<usize>,
    },
    /// Numbers.
    Numbers {
        /// What the model predicted.
        predicted: Vec<f64>,
        /// What is right.
        gold: Vec<f64>,
    },
    /// The tags of words, counted.
    Tags(EntityScores),
    /// Answers to questions, each scored.
    Answers(SpanScores),
    /// What the model said of hidden words.
    Hidden(HiddenTokens),
}

/// The kinds of [`MetricInput`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Numbers of classes.
    Classes,
    /// Any number of labels for each example.
    LabelSets,
    /// Positions of endings.
    Endings,
    /// Numbers.
    Numbers,
    /// The tags of words.
    Tags,
    /// Answers to questions.
    Answers,
    /// Hidden words.
    Hidden,
}

/// The function of a metric, by what it is computed from.
#[derive(Debug, Clone, Copy)]
pub enum Formula {
    /// Predicted and gold classes, any number of them.
    Classes(fn(&[usize], &[usize]) -> Option<f64>),
    /// The counts of the second of two classes, the positive one (scikit-learn's `pos_label=1`).
    PositiveClass(fn(Counts) -> Option<f64>),
    /// Predicted and gold labels, any number of them for each example.
    LabelSets(fn(&LabelSets) -> Option<f64>),
    /// Predicted and gold positions of endings.
    Endings(fn(&[usize], &[usize]) -> Option<f64>),
    /// Predicted and gold numbers.
    Numbers(fn(&[f64], &[f64]) -> Option<f64>),
    /// The counts of entities of all types.
    Entities(fn(Counts) -> Option<f64>),
    /// The tags of single words.
    Words(fn(&EntityScores) -> Option<f64>),
    /// The means over all questions.
    Answers(fn(&SpanMeans) -> Option<f64>),
    /// What the model said of hidden words.
    Hidden(fn(&HiddenTokens) -> Option<f64>),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name in task files, `metrics.json` and on screen.
    pub name: MetricName,
    /// Which of two values is the better one.
    pub direction: Direction,
    /// The function.
    pub formula: Formula,
}

/// All metrics. A name stands once for each kind of input that it is computed from.
pub const METRICS: &[Metric] = {
    use Direction::{HigherIsBetter, LowerIsBetter};
    use Formula::{
        Answers, Classes, Endings, Entities, Hidden, LabelSets, Numbers, PositiveClass, Words,
    };
    use MetricName::*;
    &[
        row(Accuracy, HigherIsBetter, Classes(accuracy)),
        row(F1, HigherIsBetter, PositiveClass(Counts::f1)),
        row(Precision, HigherIsBetter, PositiveClass(Counts::precision)),
        row(Recall, HigherIsBetter, PositiveClass(Counts::recall)),
        row(MacroF1, HigherIsBetter, Classes(macro_f1)),
        row(MatthewsCorrelation, HigherIsBetter, Classes(matthews_correlation)),
        row(MicroF1, HigherIsBetter, LabelSets(micro_f1)),
        row(MacroF1, HigherIsBetter, LabelSets(label_macro_f1)),
        row(SamplesF1, HigherIsBetter, LabelSets(samples_f1)),
        row(SubsetAccuracy, HigherIsBetter, LabelSets(subset_accuracy)),
        row(Accuracy, HigherIsBetter, Endings(accuracy)),
        row(Pearson, HigherIsBetter, Numbers(pearson)),
        row(Spearman, HigherIsBetter, Numbers(spearman)),
        row(F1, HigherIsBetter, Entities(Counts::f1)),
        row(Precision, HigherIsBetter, Entities(Counts::precision)),
        row(Recall, HigherIsBetter, Entities(Counts::recall)),
        row(Accuracy, HigherIsBetter, Words(EntityScores::token_accuracy)),
        row(F1, HigherIsBetter, Answers(|all| all.f1)),
        row(ExactMatch, HigherIsBetter, Answers(|all| all.exact_match)),
        row(Perplexity, LowerIsBetter, Hidden(perplexity)),
        row(Accuracy, HigherIsBetter, Hidden(hidden_accuracy)),
    ]
};

const fn row(name: MetricName, direction: Direction, formula: Formula) -> Metric {
    Metric { name, direction, formula }
}

/// The number of the positive class; see [`Formula::PositiveClass`].
const POSITIVE: usize = 1;

impl Metric {
    /// The metric of that name that is computed from such an input.
    pub fn find(name: MetricName, input: InputKind) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name && metric.input() == input)
    }

    /// What it is computed from.
    pub fn input(&self) -> InputKind {
        match self.formula {
            Formula::Classes(_) | Formula::PositiveClass(_) => InputKind::Classes,
            Formula::LabelSets(_) => InputKind::LabelSets,
            Formula::Endings(_) => InputKind::Endings,
            Formula::Numbers(_) => InputKind::Numbers,
            Formula::Entities(_) | Formula::Words(_) => InputKind::Tags,
            Formula::Answers(_) => InputKind::Answers,
            Formula::Hidden(_) => InputKind::Hidden,
        }
    }

    /// Its value; `None` where it is undefined, or where the input is of another kind.
    pub fn value(&self, input: &MetricInput) -> Option<f64> {
        match (self.formula, input) {
            (Formula::Classes(of), MetricInput::Classes { predicted, gold })
            | (Formula::Endings(of), MetricInput::Endings { predicted, gold }) => {
                of(predicted, gold)
            }
            (Formula::PositiveClass(of), MetricInput::Classes { predicted, gold }) => {
                of(binary_counts(predicted, gold, POSITIVE))
            }
            (Formula::LabelSets(of), MetricInput::LabelSets(sets)) => of(sets),
            (Formula::Numbers(of), MetricInput::Numbers { predicted, gold }) => of(predicted, gold),
            (Formula::Entities(of), MetricInput::Tags(found)) => of(found.overall),
            (Formula::Words(of), MetricInput::Tags(found)) => of(found),
            (Formula::Answers(of), MetricInput::Answers(found)) => of(&found.all),
            (Formula::Hidden(of), MetricInput::Hidden(found)) => of(found),
            _ => None,
        }
    }

    /// Whether it is that of the second of two classes, so that there must be two.
    pub fn needs_two_classes(&self) -> bool {
        matches!(self.formula, Formula::PositiveClass(_))
    }

    /// Whether it counts entities, so that tags must be IOB1 or IOB2.
    pub fn counts_entities(&self) -> bool {
        matches!(self.formula, Formula::Entities(_))
    }
}

impl MetricInput {
    /// Which kind it is.
    pub fn kind(&self) -> InputKind {
        match self {
            Self::Classes { .. } => InputKind::Classes,
            Self::LabelSets(_) => InputKind::LabelSets,
            Self::Endings { .. } => InputKind::Endings,
            Self::Numbers { .. } => InputKind::Numbers,
            Self::Tags(_) => InputKind::Tags,
            Self::Answers(_) => InputKind::Answers,
            Self::Hidden(_) => InputKind::Hidden,
        }
    }
}

impl MetricName {
    /// The name in task files, `metrics.json` and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            MetricName::Accuracy => "accuracy",
            MetricName::F1 => "f1",
            MetricName::MacroF1 => "macro_f1",
            MetricName::MicroF1 => "micro_f1",
            MetricName::SamplesF1 => "samples_f1",
            MetricName::SubsetAccuracy => "subset_accuracy",
            MetricName::MatthewsCorrelation => "matthews_correlation",
            MetricName::Perplexity => "perplexity",
            MetricName::Pearson => "pearson",
            MetricName::Spearman => "spearman",
            MetricName::ExactMatch => "exact_match",
            MetricName::Precision => "precision",
            MetricName::Recall => "recall",
        }
    }

    /// Whether the value `new` is better than `old`, by the metric's row.
    pub fn is_better(self, new: f64, old: f64) -> bool {
        let row = METRICS.iter().find(|metric| metric.name == self);
        row.is_some_and(|metric| metric.direction.is_better(new, old))
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_on_screen_and_in_files() {
        for Metric { name, .. } in METRICS {
            let in_a_file = serde_json::to_string(name).unwrap();
            assert_eq!(in_a_file, format!("\"{}\"", name.name()));
            assert_eq!(serde_json::from_str::<MetricName>(&in_a_file).unwrap(), *name);
            assert_eq!(name.to_string(), name.name());
        }
    }

    #[test]
    fn no_two_rows_have_the_same_name_and_input() {
        for (i, metric) in METRICS.iter().enumerate() {
            let first = METRICS
                .iter()
                .position(|other| other.name == metric.name && other.input() == metric.input());
            assert_eq!(first, Some(i), "{metric:?}");
        }
    }

    #[test]
    fn the_rows_of_a_name_agree_on_which_value_is_better() {
        for one in METRICS {
            for other in METRICS.iter().filter(|other| other.name == one.name) {
                assert_eq!(one.direction, other.direction, "{}", one.name);
            }
        }
    }

    #[test]
    fn the_better_of_two_values_follows_the_direction_and_equal_values_are_not_better() {
        assert!(MetricName::Accuracy.is_better(0.75, 0.5));
        assert!(!MetricName::Accuracy.is_better(0.5, 0.5));
        assert!(Direction::LowerIsBetter.is_better(0.25, 0.5));
        assert!(!Direction::LowerIsBetter.is_better(0.5, 0.5));
        assert!(!Direction::LowerIsBetter.is_better(0.75, 0.5));
    }

    #[test]
    fn the_f1_of_two_classes_is_that_of_the_second() {
        let f1 = Metric::find(MetricName::F1, InputKind::Classes).unwrap();
        // Of class 1: 1 right, 2 predicted, 1 gold.
        let input = MetricInput::Classes { predicted: vec![1, 1, 0], gold: vec![1, 0, 0] };
        assert_eq!(f1.value(&input), Some(2.0 / 3.0));
        assert_eq!(f1.value(&MetricInput::Numbers { predicted: vec![], gold: vec![] }), None);
    }

    #[test]
    fn a_name_is_padded_like_any_text_in_a_table() {
        assert_eq!(format!("{:>10}|", MetricName::F1), "        f1|");
    }
}
