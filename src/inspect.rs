//! What a task's files hold: counts, labels, lengths, duplicates. For people, before training.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use serde::Serialize;

use crate::dataset::{Dataset, Example, Input, Labels};
use crate::feature::FeatureSizes;
use crate::model::Precision;
use crate::saved_model::Encoder;
use crate::text::excerpt;

/// What one split holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// The split's name.
    pub split: String,
    /// The file.
    pub path: PathBuf,
    /// Examples.
    pub examples: usize,
    /// Rows of batches; more than examples where long passages give several windows.
    pub rows: usize,
    /// How many examples (for `tag`, words) have each label; empty for tasks without labels.
    pub labels: Vec<LabelCount>,
    /// Word pieces of the rows.
    pub lengths: Lengths,
    /// Examples that were cut to the longest sequence.
    pub truncated: usize,
    /// Examples with a text that is empty or blank.
    pub empty: usize,
    /// Examples whose input stands in the same file already.
    pub duplicates: usize,
    /// Examples whose input is a training example's too; `None` for the training split.
    pub in_training: Option<usize>,
}

/// How often a label occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct LabelCount {
    pub label: String,
    pub count: usize,
}

/// Lengths in word pieces, special tokens included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Lengths {
    pub shortest: usize,
    pub median: usize,
    pub longest: usize,
}

impl Lengths {
    /// The lengths of the longest sequence of each row; all 0 without rows.
    pub fn new(features: &impl FeatureSizes) -> Self {
        let mut lengths: Vec<usize> =
            (0..features.len()).map(|feature| features.length(feature)).collect();
        lengths.sort_unstable();
        let at = |place: usize| lengths.get(place).copied().unwrap_or(0);
        Self {
            shortest: at(0),
            median: at(lengths.len() / 2),
            longest: at(lengths.len().saturating_sub(1)),
        }
    }
}

/// What is counted of examples as they are read, part by part.
#[derive(Debug, Clone, Default)]
pub struct InputScan {
    hashes: HashSet<u64>,
    examples: usize,
    empty: usize,
    in_training: usize,
}

impl InputScan {
    /// Counts examples; `training` is the scan of the training file, for another split.
    pub fn add(&mut self, examples: &[Example], training: Option<&Self>) {
        for example in examples {
            let hash = input_hash(&example.input);
            self.examples += 1;
            self.empty += usize::from(has_empty_text(&example.input));
            self.in_training += usize::from(training.is_some_and(|t| t.hashes.contains(&hash)));
            self.hashes.insert(hash);
        }
    }

    /// The report of the split that was scanned.
    pub fn report(
        &self,
        split: &str,
        path: PathBuf,
        features: &impl FeatureSizes,
        truncated: usize,
        labels: Vec<LabelCount>,
    ) -> SplitReport {
        SplitReport {
            split: split.to_owned(),
            path,
            examples: self.examples,
            rows: features.len(),
            labels,
            lengths: Lengths::new(features),
            truncated,
            empty: self.empty,
            duplicates: self.examples - self.hashes.len(),
            in_training: None,
        }
    }

    /// How many examples have an input of the training file.
    pub fn in_training(&self) -> usize {
        self.in_training
    }
}

impl SplitReport {
    /// A few lines for people.
    pub fn lines(&self, max_length: usize) -> Vec<String> {
        let rows = if self.rows == self.examples {
            String::new()
        } else {
            format!(" in {} windows", self.rows)
        };
        let head =
            format!("{}: {}: {} examples{rows}", self.split, self.path.display(), self.examples);
        let Lengths { shortest, median, longest } = self.lengths;
        let mut lines = vec![head];
        if !self.labels.is_empty() {
            lines.push(format!("  labels: {}", label_text(&self.labels)));
        }
        lines.push(format!(
            "  word pieces: {shortest} to {longest}, median {median}; {} cut to {max_length}",
            self.truncated
        ));
        let training = self
            .in_training
            .map_or_else(String::new, |count| format!(", {count} also in training"));
        lines.push(format!(
            "  {} with an empty text, {} repeated{training}",
            self.empty, self.duplicates
        ));
        lines
    }
}

/// How many examples (for `tag`, words) have each label, those of no example included.
pub fn label_counts(labels: &Labels, counts: &[usize]) -> Vec<LabelCount> {
    let count = |label: usize| counts.get(label).copied().unwrap_or(0);
    labels
        .names()
        .iter()
        .enumerate()
        .map(|(label, name)| LabelCount { label: name.clone(), count: count(label) })
        .collect()
}

/// Labels with their counts in one line; the most frequent of many.
pub fn label_text(labels: &[LabelCount]) -> String {
    const SHOWN: usize = 12;
    let mut sorted: Vec<&LabelCount> = labels.iter().collect();
    if labels.len() > SHOWN {
        sorted.sort_by_key(|label| std::cmp::Reverse(label.count));
    }
    let shown: Vec<String> = sorted
        .iter()
        .take(SHOWN)
        .map(|label| format!("`{}` {}", excerpt(&label.label), label.count))
        .collect();
    let rest = labels.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(", and {rest} more labels") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// About how many bytes a training process takes at the most, for batches of so many sequences of
/// a length.
///
/// 16 bytes a parameter for weights, gradients and AdamW's moments, what the layers keep for the
/// backward pass, and 600 MiB for TensorFlow and what it compiles. MiniLM-L6 in f32 took 4 to 12 %
/// less on two cores (`tfbert bench --shapes 8x64,32x32,32x128`).
pub fn training_memory(
    encoder: &Encoder,
    sequences: usize,
    length: usize,
    precision: Precision,
) -> u64 {
    const TENSORFLOW: u64 = 600 << 20;
    let (hidden, intermediate) = (encoder.hidden_size as u64, encoder.intermediate_size as u64);
    let layers = encoder.num_hidden_layers as u64;
    let rows = encoder.vocab_size + encoder.max_position_embeddings + encoder.type_vocab_size;
    let layer = 4 * hidden * hidden + 2 * hidden * intermediate;
    let parameters = rows as u64 * hidden + layers * layer;
    // Inputs and outputs of each product, the activation's input, and attention's scores before and
    // after the softmax.
    let kept = 10 * hidden + 2 * intermediate;
    let scores = 2 * encoder.num_attention_heads as u64 * length as u64;
    let bytes = match precision {
        Precision::F32 => 4,
        Precision::Bf16 => 2,
    };
    let tokens = (sequences * length) as u64;
    TENSORFLOW + 16 * parameters + tokens * layers * (kept + scores) * bytes
}

/// Counts of a dataset's labels, as far as the last that occurs.
pub fn count_labels(dataset: &Dataset) -> Vec<usize> {
    let mut summary = crate::feature::Summary::default();
    summary.count_labels(dataset);
    summary.label_counts
}

fn input_hash(input: &Input) -> u64 {
    let mut hasher = DefaultHasher::new();
    match input {
        Input::Text { text, text_pair } => (text, text_pair).hash(&mut hasher),
        Input::Question { question, context } => (question, context).hash(&mut hasher),
        Input::Words(_) | Input::SplitText { .. } => input.words().hash(&mut hasher),
        Input::Choices { context, start, endings } => (context, start, endings).hash(&mut hasher),
    }
    hasher.finish()
}

/// Whether a text that the model reads is blank. The beginning of endings may be.
fn has_empty_text(input: &Input) -> bool {
    let blank = |text: &str| text.trim().is_empty();
    match input {
        Input::Text { text, text_pair } => blank(text) || text_pair.as_deref().is_some_and(blank),
        Input::Question { question, context } => blank(question) || blank(context),
        Input::Words(_) | Input::SplitText { .. } => {
            input.words().is_none_or(|words| words.iter().all(|word| blank(word)))
        }
        Input::Choices { context, endings, .. } => {
            blank(context) || endings.iter().any(|ending| blank(ending))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{FeatureTarget, Features, Sequence};

    fn example(text: &str) -> Example {
        let input = Input::Text { text: text.into(), text_pair: None };
        Example { id: String::new(), line: 1, input, target: None }
    }

    #[test]
    fn repeated_and_empty_examples_and_those_of_training_are_counted() {
        let mut training = InputScan::default();
        training.add(&["a", "b", "a", " "].map(example), None);
        let mut dev = InputScan::default();
        dev.add(&["b", "c"].map(example), Some(&training));
        assert_eq!(dev.in_training(), 1);
        let mut features = Features::default();
        for length in [3, 9, 5, 7] {
            let ids = vec![1; length];
            let sequence = Sequence { input_ids: &ids, second_segment: length };
            features.push(0, &[sequence], FeatureTarget::None);
        }
        let labels = vec![LabelCount { label: "spam".into(), count: 4 }];
        let report = training.report("train", "train.tsv".into(), &features, 2, labels);
        assert_eq!((report.examples, report.empty, report.duplicates), (4, 1, 1));
        let lengths = Lengths { shortest: 3, median: 7, longest: 9 };
        assert_eq!(report.lengths, lengths);
        assert_eq!(
            report.lines(8),
            [
                "train: train.tsv: 4 examples",
                "  labels: `spam` 4",
                "  word pieces: 3 to 9, median 7; 2 cut to 8",
                "  1 with an empty text, 1 repeated",
            ]
        );
    }

    #[test]
    fn of_many_labels_the_most_frequent_are_shown() {
        let labels: Vec<LabelCount> =
            (0..20).map(|i| LabelCount { label: format!("l{i}"), count: i }).collect();
        let text = label_text(&labels);
        assert!(text.starts_with("`l19` 19, `l18` 18"), "{text}");
        assert!(text.ends_with("`l8` 8, and 8 more labels"), "{text}");
        assert!(label_text(&labels[..3]).starts_with("`l0` 0, `l1` 1"));
    }
}
