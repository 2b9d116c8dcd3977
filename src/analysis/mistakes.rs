//! The worst mistakes of a split, with their texts.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Input};
use crate::text::excerpt;

/// The most characters of a text that are kept.
const MOST_CHARS: usize = 2000;

/// Mistakes: how many there are, and the worst of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mistakes {
    /// All of them. Predicted numbers are never quite right, so there each example counts.
    pub total: usize,
    /// The worst, worst first.
    pub worst: Vec<Mistake>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The example's identifier.
    pub id: String,
    /// The line of the data file on which the example begins.
    pub line: usize,
    /// What was asked, what is right, what was predicted.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What a mistake is, by head. Long texts are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "head", rename_all = "lowercase")]
pub enum Wrong {
    /// A label.
    Class {
        /// The text.
        text: String,
        /// The second text of a pair.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text_pair: Option<String>,
        /// The right label.
        gold: String,
        /// Its probability.
        gold_probability: f32,
        /// The predicted label.
        predicted: String,
        /// Its probability.
        probability: f32,
    },
    /// An ending.
    Ending {
        /// The context.
        context: String,
        /// The beginning of every ending.
        start: String,
        /// The endings.
        endings: Vec<String>,
        /// The position of the right one.
        gold: usize,
        /// Its probability.
        gold_probability: f32,
        /// The position of the predicted one.
        predicted: usize,
        /// Its probability.
        probability: f32,
    },
    /// A number.
    Score {
        /// The text.
        text: String,
        /// The second text of a pair.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text_pair: Option<String>,
        /// The right number.
        gold: f32,
        /// The predicted number.
        predicted: f32,
    },
    /// An answer.
    Answer {
        /// The question.
        question: String,
        /// The passage around the answers, in pieces.
        passage: Vec<Piece>,
        /// The accepted answers, each once; none where the question has no answer.
        gold: Vec<String>,
        /// The predicted answer; empty for none.
        predicted: String,
        /// Its probability among the best spans.
        probability: Option<f32>,
        /// F1 of its words.
        f1: f64,
    },
    /// Tags.
    Tags {
        /// The words.
        words: Vec<String>,
        /// The right tags.
        gold: Vec<String>,
        /// The predicted tags.
        predicted: Vec<String>,
        /// Entities (or words) that are missed or wrongly predicted.
        wrong: usize,
    },
}

/// A piece of a passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether an accepted answer has it.
    pub gold: bool,
    /// Whether the predicted answer has it.
    pub predicted: bool,
}

impl Mistakes {
    /// Counts the examples for which `badness` is known, and keeps the `most` with the highest. A
    /// badness that is not a number counts as the highest.
    pub(super) fn collect(
        dataset: &Dataset,
        most: usize,
        badness: impl Fn(usize) -> Option<f64>,
        wrong: impl Fn(usize) -> Option<Wrong>,
    ) -> Self {
        let mut found: Vec<(usize, f64)> = (0..dataset.examples.len())
            .filter_map(|i| badness(i).map(|badness| (i, badness)))
            .collect();
        let total = found.len();
        let key = |badness: f64| if badness.is_nan() { f64::INFINITY } else { badness };
        found.sort_by(|(i, one), (j, other)| key(*other).total_cmp(&key(*one)).then(i.cmp(j)));
        found.truncate(most);
        let worst = found.into_iter().filter_map(|(i, _)| {
            let example = &dataset.examples[i];
            Some(Mistake { id: example.id.clone(), line: example.line, wrong: wrong(i)? })
        });
        Self { total, worst: worst.collect() }
    }

    /// The `most` worst as lines for a terminal, each with the file and line of its example.
    pub fn lines(&self, most: usize, path: &std::path::Path) -> Vec<String> {
        let shown = self.worst.len().min(most);
        let mut lines = vec![format!("worst {shown} of {} mistakes:", self.total)];
        for mistake in &self.worst[..shown] {
            let (what, texts) = mistake.wrong.shown();
            lines.push(format!("{}:{}: {what}", path.display(), mistake.line));
            lines.extend(texts.iter().map(|text| format!("    {text}")));
        }
        lines
    }
}

impl Wrong {
    /// A label; probabilities are set apart.
    pub(super) fn class(
        text: &str,
        text_pair: Option<&str>,
        names: &[String],
        gold: usize,
        predicted: usize,
    ) -> Self {
        Self::Class {
            text: cut(text),
            text_pair: text_pair.map(cut),
            gold: names[gold].clone(),
            gold_probability: f32::NAN,
            predicted: names[predicted].clone(),
            probability: f32::NAN,
        }
    }

    /// An ending; probabilities are set apart. `None` for another input.
    pub(super) fn ending(input: &Input, gold: usize, predicted: usize) -> Option<Self> {
        let Input::Choices { context, start, endings } = input else { return None };
        Some(Self::Ending {
            context: cut(context),
            start: cut(start),
            endings: endings.iter().map(|ending| cut(ending)).collect(),
            gold,
            gold_probability: f32::NAN,
            predicted,
            probability: f32::NAN,
        })
    }

    /// Sets the probabilities of the predicted and of the gold label or ending, 0 where they are not
    /// numbers.
    pub(super) fn set_probabilities(&mut self, of_predicted: f32, of_gold: f32) {
        let number = |value: f32| if value.is_finite() { value } else { 0.0 };
        if let Self::Class { gold_probability, probability, .. }
        | Self::Ending { gold_probability, probability, .. } = self
        {
            *gold_probability = number(of_gold);
            *probability = number(of_predicted);
        }
    }

    /// For a terminal: what is wrong, and the texts.
    fn shown(&self) -> (String, Vec<String>) {
        match self {
            Self::Class { text, text_pair, gold, predicted, probability, .. } => (
                format!(
                    "gold {}, predicted {} ({probability:.2})",
                    excerpt(gold),
                    excerpt(predicted)
                ),
                std::iter::once(text).chain(text_pair).map(|text| on_one_line(text)).collect(),
            ),
            Self::Ending { context, start, endings, gold, predicted, probability, .. } => {
                let ending = |i: usize| {
                    let ending = endings.get(i).map_or("", String::as_str);
                    on_one_line(&format!("{start} {ending}"))
                };
                (
                    format!("gold ending {gold}, predicted {predicted} ({probability:.2})"),
                    vec![
                        on_one_line(context),
                        format!("gold: {}", ending(*gold)),
                        format!("predicted: {}", ending(*predicted)),
                    ],
                )
            }
            Self::Score { text, text_pair, gold, predicted } => (
                format!("gold {gold:.3}, predicted {predicted:.3}"),
                std::iter::once(text).chain(text_pair).map(|text| on_one_line(text)).collect(),
            ),
            Self::Answer { question, gold, predicted, f1, .. } => {
                let or_none = |text: &str| {
                    if text.is_empty() { "no answer".to_owned() } else { excerpt(text) }
                };
                let gold: Vec<String> = gold.iter().map(|gold| or_none(gold)).collect();
                let gold = if gold.is_empty() { "no answer".into() } else { gold.join(" | ") };
                (
                    format!("F1 {f1:.2}: {}", on_one_line(question)),
                    vec![format!("gold: {gold}"), format!("predicted: {}", or_none(predicted))],
                )
            }
            Self::Tags { words, gold, predicted, wrong } => {
                let line = |(word, (gold, predicted)): (&String, (&String, &String))| {
                    format!("{}: gold {gold}, predicted {predicted}", excerpt(word))
                };
                let words = words.iter().zip(gold.iter().zip(predicted));
                let differ = words.filter(|(_, (gold, predicted))| gold != predicted).map(line);
                (format!("{wrong} wrong"), differ.collect())
            }
        }
    }
}

/// A text on one line of a terminal; it may be longer than in a message.
fn on_one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    crate::text::on_one_line(text, LONGEST)
}

/// The beginning of a long text.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Example;

    #[test]
    fn ten_thousand_mistakes_are_counted_and_the_worst_kept_in_order() {
        let example = |i: usize| Example {
            id: i.to_string(),
            line: i + 1,
            input: Input::Words(Vec::new()),
            target: None,
        };
        let examples = (0..10_000).map(example).collect();
        let dataset = Dataset { path: "dev.tsv".into(), examples, split: "dev".into() };
        let badness = |i: usize| match i {
            17 => Some(f64::NAN),
            i => (i % 2 == 1).then_some((i % 1000) as f64),
        };
        let wrong = |_| {
            Some(Wrong::Score {
                text: "a\u{1b}[31m".into(),
                text_pair: None,
                gold: 1.0,
                predicted: 2.0,
            })
        };
        let found = Mistakes::collect(&dataset, 3, badness, wrong);
        assert_eq!(found.total, 5000);
        let ids: Vec<&str> = found.worst.iter().map(|mistake| mistake.id.as_str()).collect();
        assert_eq!(ids, ["17", "999", "1999"]);
        let lines = found.lines(1, std::path::Path::new("dev.tsv"));
        assert_eq!(
            lines[..2],
            ["worst 1 of 5000 mistakes:", "dev.tsv:18: gold 1.000, predicted 2.000"]
        );
        assert!(!lines[2].contains('\u{1b}'), "{lines:?}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(3000)).chars().count(), MOST_CHARS + 1);
        assert_eq!(cut("é"), "é");
    }
}
