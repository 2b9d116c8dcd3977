//! The heads, and all that is known of each: a row of facts.
//!
//! To add a head, add the variant: the compiler then asks for its row here and for its functions in
//! [`crate::stages`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Format;
use crate::metric::{InputKind, METRICS, MetricName};

/// The kind of prediction, and so the head on the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// One of several labels for a text or a pair of texts.
    Classify,
    /// Any number of labels for a text or a pair of texts.
    Multilabel,
    /// A number for a text or a pair of texts.
    Regress,
    /// A stretch of a passage that answers a question.
    Span,
    /// A label for every word.
    Tag,
    /// One of several endings.
    Choice,
    /// The words that are hidden in a text.
    Masked,
}

/// The number format of a head's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelType {
    /// `int32`.
    Int,
    /// `float32`.
    Float,
}

/// Where the labels of a batch stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LabelLayout {
    /// One for each row: `[rows]`.
    Row(LabelType),
    /// First and last position of an answer: `[rows, 2]`.
    StartAndEnd,
    /// One for each position: `[rows, length]`.
    Position,
    /// A number for each label: `[rows, labels]`.
    EachLabel,
    /// One for each hidden position: `[rows, positions]`.
    Hidden,
}

/// How many logits a head gives for each row, position or ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogitsWidth {
    /// One for each label.
    Labels,
    /// Always so many.
    Fixed(usize),
}

/// What is known of a head.
struct Facts {
    name: &'static str,
    /// Whether labels are names, which the task lists or the training file holds.
    has_label_names: bool,
    logits_width: LogitsWidth,
    labels: LabelLayout,
    /// Whether a feature has a sequence for each ending, and not one.
    has_endings: bool,
    /// Whether targets are numbers, which may have a range.
    has_scores: bool,
    /// Whether a question may have no answer.
    may_lack_answer: bool,
    metric_input: InputKind,
    /// What the Hugging Face Hub calls tasks of this kind (`pipeline_tag` of a model card).
    pipeline_tag: &'static str,
    /// The forms of file that it reads.
    formats: &'static [Format],
    /// The keys under `columns` that it reads.
    columns: &'static [&'static str],
}

const TABLES: &[Format] = &[Format::Tsv, Format::Csv, Format::Jsonl, Format::Json, Format::Parquet];

const CLASSIFY: Facts = Facts {
    name: "classify",
    has_label_names: true,
    logits_width: LogitsWidth::Labels,
    labels: LabelLayout::Row(LabelType::Int),
    has_endings: false,
    has_scores: false,
    may_lack_answer: false,
    metric_input: InputKind::Classes,
    pipeline_tag: "text-classification",
    formats: TABLES,
    columns: &["id", "text", "text_pair", "label"],
};

const MULTILABEL: Facts = Facts {
    name: "multilabel",
    labels: LabelLayout::EachLabel,
    metric_input: InputKind::LabelSets,
    columns: &["id", "text", "text_pair", "label", "labels"],
    ..CLASSIFY
};

const REGRESS: Facts = Facts {
    name: "regress",
    has_label_names: false,
    logits_width: LogitsWidth::Fixed(1),
    labels: LabelLayout::Row(LabelType::Float),
    has_scores: true,
    metric_input: InputKind::Numbers,
    ..CLASSIFY
};

const SPAN: Facts = Facts {
    name: "span",
    has_label_names: false,
    logits_width: LogitsWidth::Fixed(2),
    labels: LabelLayout::StartAndEnd,
    has_endings: false,
    has_scores: false,
    may_lack_answer: true,
    metric_input: InputKind::Answers,
    pipeline_tag: "question-answering",
    formats: &[Format::Squad, Format::Jsonl, Format::Json, Format::Parquet],
    columns: &["id", "question", "context", "answers"],
};

const TAG: Facts = Facts {
    name: "tag",
    has_label_names: true,
    logits_width: LogitsWidth::Labels,
    labels: LabelLayout::Position,
    has_endings: false,
    has_scores: false,
    may_lack_answer: false,
    metric_input: InputKind::Tags,
    pipeline_tag: "token-classification",
    formats: &[Format::Conll, Format::Jsonl, Format::Json, Format::Parquet],
    columns: &["id", "word", "label"],
};

const CHOICE: Facts = Facts {
    name: "choice",
    has_label_names: false,
    logits_width: LogitsWidth::Fixed(1),
    labels: LabelLayout::Row(LabelType::Int),
    has_endings: true,
    has_scores: false,
    may_lack_answer: false,
    metric_input: InputKind::Endings,
    pipeline_tag: "multiple-choice",
    formats: TABLES,
    columns: &["id", "context", "start", "endings", "label"],
};

const MASKED: Facts = Facts {
    name: "masked",
    has_label_names: false,
    // The model's numbers for a position: see `crate::prediction::HIDDEN_WIDTH`.
    logits_width: LogitsWidth::Fixed(11),
    labels: LabelLayout::Hidden,
    has_endings: false,
    has_scores: false,
    may_lack_answer: false,
    metric_input: InputKind::Hidden,
    pipeline_tag: "fill-mask",
    formats: &[Format::Text],
    columns: &[],
};

impl Head {
    /// All heads.
    pub const ALL: [Self; 7] = [
        Self::Classify,
        Self::Multilabel,
        Self::Regress,
        Self::Span,
        Self::Tag,
        Self::Choice,
        Self::Masked,
    ];

    fn facts(self) -> &'static Facts {
        match self {
            Self::Classify => &CLASSIFY,
            Self::Multilabel => &MULTILABEL,
            Self::Regress => &REGRESS,
            Self::Span => &SPAN,
            Self::Tag => &TAG,
            Self::Choice => &CHOICE,
            Self::Masked => &MASKED,
        }
    }

    /// The name in files, folders and flags.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether its labels are names, which the task lists or the training file holds. Other heads
    /// have positions or numbers.
    pub fn has_label_names(self) -> bool {
        self.facts().has_label_names
    }

    /// Whether it predicts the words that are hidden in a text.
    pub fn predicts_hidden_words(self) -> bool {
        self.facts().labels == LabelLayout::Hidden
    }

    /// Whether it predicts any number of the task's labels for each row.
    pub fn predicts_label_sets(self) -> bool {
        self.facts().labels == LabelLayout::EachLabel
    }

    /// Whether it predicts one of the task's labels for each row, so that its loss is a cross entropy
    /// over them.
    pub fn labels_each_row(self) -> bool {
        let facts = self.facts();
        facts.labels == LabelLayout::Row(LabelType::Int)
            && facts.logits_width == LogitsWidth::Labels
    }

    /// How many logits it gives for each row, position or ending, if its task has `labels` labels.
    pub fn logits_width(self, labels: usize) -> usize {
        match self.facts().logits_width {
            LogitsWidth::Labels => labels,
            LogitsWidth::Fixed(width) => width,
        }
    }

    /// The number format of its labels.
    pub fn label_type(self) -> LabelType {
        match self.facts().labels {
            LabelLayout::Row(label_type) => label_type,
            LabelLayout::StartAndEnd | LabelLayout::Position | LabelLayout::Hidden => {
                LabelType::Int
            }
            LabelLayout::EachLabel => LabelType::Float,
        }
    }

    /// The shape of a batch's labels: `[rows]`, `[rows, 2]` (first and last position of an answer),
    /// `[rows, length]` (a label for each position) or `[rows, labels]` (a number for each label, or a
    /// label for each hidden position).
    pub fn label_shape(self, rows: usize, length: usize, labels: usize) -> Vec<usize> {
        match self.facts().labels {
            LabelLayout::Row(_) => vec![rows],
            LabelLayout::StartAndEnd => vec![rows, 2],
            LabelLayout::Position => vec![rows, length],
            LabelLayout::EachLabel | LabelLayout::Hidden => vec![rows, labels],
        }
    }

    /// The shape of the weights of a batch's labels: `[rows]`, `[rows, length]` or `[rows, labels]`.
    pub fn weight_shape(self, rows: usize, length: usize, labels: usize) -> Vec<usize> {
        match self.facts().labels {
            LabelLayout::Row(_) | LabelLayout::StartAndEnd => vec![rows],
            LabelLayout::Position => vec![rows, length],
            LabelLayout::EachLabel | LabelLayout::Hidden => vec![rows, labels],
        }
    }

    /// Whether a feature has a sequence for each ending of its example; else it has one.
    pub fn has_endings(self) -> bool {
        self.facts().has_endings
    }

    /// How many sequences a feature has whose example has `endings` endings.
    pub fn sequences(self, endings: usize) -> usize {
        if self.has_endings() { endings } else { 1 }
    }

    /// Whether it reads only the first position of the last layer, `[CLS]`. The exported graphs then compute the
    /// output of that layer for no other position. ModernBERT encoders with mean pooling are an exception: they
    /// compute all positions.
    pub fn reads_first_position(self) -> bool {
        matches!(self.facts().labels, LabelLayout::Row(_) | LabelLayout::EachLabel)
    }

    /// Whether its targets are numbers, which may have a range.
    pub fn has_scores(self) -> bool {
        self.facts().has_scores
    }

    /// Whether its tasks may have questions without an answer.
    pub fn may_lack_answer(self) -> bool {
        self.facts().may_lack_answer
    }

    /// Whether its examples are questions about a passage.
    pub fn asks_about_passage(self) -> bool {
        self.facts().metric_input == InputKind::Answers
    }

    /// What its metrics are computed from.
    pub fn metric_input(self) -> InputKind {
        self.facts().metric_input
    }

    /// What the Hugging Face Hub calls tasks of this kind.
    pub fn pipeline_tag(self) -> &'static str {
        self.facts().pipeline_tag
    }

    /// The metrics that fit its predictions.
    pub fn metrics(self) -> Vec<MetricName> {
        let fitting = METRICS.iter().filter(|metric| metric.input() == self.metric_input());
        fitting.map(|metric| metric.name).collect()
    }

    /// The forms of file that it reads.
    pub fn formats(self) -> &'static [Format] {
        self.facts().formats
    }

    /// The keys under `columns` in a task file that it reads.
    pub fn columns(self) -> &'static [&'static str] {
        self.facts().columns
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_name_on_screen_in_files_and_in_flags() {
        for head in Head::ALL {
            assert_eq!(serde_json::to_string(&head).unwrap(), format!("\"{}\"", head.name()));
            let flag = clap::ValueEnum::to_possible_value(&head).unwrap();
            assert_eq!(flag.get_name(), head.name());
        }
    }

    #[test]
    fn every_head_has_a_metric_and_a_file_format() {
        for head in Head::ALL {
            assert!(!head.metrics().is_empty(), "{head}");
            assert!(!head.formats().is_empty(), "{head}");
        }
    }
}
