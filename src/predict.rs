//! Prediction of a user's own texts, as JSON lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use serde_json::{Value, json};

use crate::dataset::{Dataset, Example, Input};
use crate::error::{Error, Result};
use crate::evaluate::{self, Prepared, Trained};
use crate::feature::Tokenizer;
use crate::model::{Contract, Predictor};
use crate::prediction::{Prediction, PredictionSettings};
use crate::stages::features;
use crate::task::Head;

/// What texts are predicted with.
pub struct Request<'a> {
    /// The trained model's contract.
    pub contract: &'a Contract,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The passage that questions are about.
    pub context: Option<&'a str>,
    /// Rows of a batch.
    pub rows: usize,
    /// Holds a signal's number once one came.
    pub stop: &'a AtomicI32,
}

/// Predicts texts; a JSON object for each, in their order.
///
/// A text is what the model's head reads: a text, two texts with a tab between (where the task has
/// pairs), a question (with `context`), words with spaces between, or a context and its endings
/// with tabs between.
///
/// # Errors
///
/// A text does not fit the head (the error names its line), or the model fails.
pub fn predict(
    request: &Request<'_>,
    texts: &[String],
    path: Option<&Path>,
    model: &dyn Predictor,
) -> Result<Vec<Value>> {
    let trained = request.contract.trained.as_ref().ok_or_else(|| {
        Error::new("this SavedModel is an export that has not been trained")
            .hint("train it with `tfbert train --task NAME`")
    })?;
    let head = request.contract.head;
    let context = request.context.map(Arc::from);
    let path = path.map_or_else(|| PathBuf::from("argument"), Path::to_owned);
    let is_pair = trained.task.columns.text_pair.is_some();
    let examples = texts
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let input = input(head, text, is_pair, context.as_ref())
                .map_err(|error| error.at_line(&path, i + 1))?;
            Ok(Example { id: i.to_string(), line: i + 1, input, target: None })
        })
        .collect::<Result<Vec<_>>>()?;
    let dataset = Dataset { path, examples, split: "predict".into() };
    let settings = trained.features;
    let features = features(head, &dataset, request.tokenizer, &settings)?;
    if features.truncated > 0 {
        log::warn!("{} texts were cut to {} word pieces", features.truncated, settings.max_length);
    }
    let prepared = Prepared { dataset, features };
    let defaults = &trained.task.defaults;
    let decode = PredictionSettings {
        max_answer_length: defaults.max_answer_length,
        n_best_size: defaults.n_best_size,
        version_2_with_negative: trained.task.version_2_with_negative,
        null_threshold: trained.null_threshold.unwrap_or(0.0),
    };
    let rows = request.rows.min(prepared.features.len());
    let evaluation =
        evaluate::predict(head, &prepared, &Trained(model), rows, &decode, request.stop)?;
    let examples = prepared.dataset.examples.iter();
    Ok(examples
        .zip(&evaluation.predictions)
        .map(|(example, prediction)| shown(example, prediction, &trained.labels))
        .collect())
}

/// What a text means to a head.
fn input(head: Head, text: &str, is_pair: bool, context: Option<&Arc<str>>) -> Result<Input> {
    match head {
        Head::Classify | Head::Regress if is_pair => match text.split_once('\t') {
            Some((text, pair)) => {
                Ok(Input::Text { text: text.to_owned(), text_pair: Some(pair.to_owned()) })
            }
            None => Err(Error::usage("expected two texts with a tab between")
                .hint("in a shell, write a tab as $'first text\\tsecond text'")),
        },
        Head::Classify | Head::Regress => {
            Ok(Input::Text { text: text.to_owned(), text_pair: None })
        }
        Head::Span => match (context, text.split_once('\t')) {
            (Some(context), _) => {
                Ok(Input::Question { question: text.to_owned(), context: Arc::clone(context) })
            }
            (None, Some((question, context))) => {
                Ok(Input::Question { question: question.to_owned(), context: context.into() })
            }
            (None, None) => Err(Error::usage("a question needs its passage")
                .hint("name it with `--context FILE`, or write question, tab, passage")),
        },
        Head::Tag => Ok(Input::Words(text.split_whitespace().map(str::to_owned).collect())),
        Head::Choice => {
            let mut parts = text.split('\t').map(str::to_owned);
            let context = parts.next().unwrap_or_default();
            let endings: Vec<String> = parts.collect();
            if endings.len() < 2 {
                return Err(Error::usage(
                    "expected a context and at least two endings, with tabs between",
                ));
            }
            Ok(Input::Choices { context, start: String::new(), endings })
        }
    }
}

fn shown(example: &Example, prediction: &Prediction, labels: &[String]) -> Value {
    match (prediction, &example.input) {
        (Prediction::Class { label, probabilities }, Input::Choices { context, endings, .. }) => {
            json!({
                "context": context,
                "label": label,
                "ending": endings[*label],
                "probability": probabilities[*label],
                "probabilities": probabilities,
            })
        }
        (Prediction::Class { label, probabilities }, Input::Text { text, text_pair }) => {
            let all: serde_json::Map<_, _> = labels
                .iter()
                .cloned()
                .zip(probabilities.iter().map(|&probability| probability.into()))
                .collect();
            let mut object = json!({
                "text": text,
                "label": labels[*label],
                "probability": probabilities[*label],
                "probabilities": all,
            });
            if let Some(pair) = text_pair {
                object["text_pair"] = pair.as_str().into();
            }
            object
        }
        (Prediction::Score(score), Input::Text { text, text_pair }) => {
            let mut object = json!({ "text": text, "score": score });
            if let Some(pair) = text_pair {
                object["text_pair"] = pair.as_str().into();
            }
            object
        }
        (Prediction::Span(span), Input::Question { question, .. }) => {
            let best = span.n_best.iter().find(|candidate| candidate.text == span.text);
            json!({
                "question": question,
                "answer": span.text,
                "probability": best.map(|best| best.probability),
                "start": best.and_then(|best| best.start),
                "null_odds": span.null_odds,
            })
        }
        (Prediction::Tags(tags), Input::Words(words)) => {
            let names: Vec<_> = tags.iter().map(|&tag| labels[tag].as_str()).collect();
            json!({ "words": words, "tags": names, "text": inline(words, &names) })
        }
        _ => unreachable!("a head's predictions fit its inputs"),
    }
}

/// Words with their entities in brackets: `[PER Neil Armstrong] landed`.
fn inline(words: &[String], tags: &[&str]) -> String {
    let mut text = String::new();
    let mut open: Option<&str> = None;
    for (word, tag) in words.iter().zip(tags) {
        let kind = tag.split_once('-').map(|(_, kind)| kind);
        let goes_on = tag.starts_with("I-") && kind == open;
        if !goes_on && open.take().is_some() {
            text.push(']');
        }
        if !text.is_empty() {
            text.push(' ');
        }
        if let (false, Some(kind)) = (goes_on, kind) {
            text.push('[');
            text.push_str(kind);
            text.push(' ');
            open = Some(kind);
        }
        text.push_str(word);
    }
    if open.is_some() {
        text.push(']');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_bracketed_where_they_begin_and_end() {
        let words = ["Ada", "Lovelace", "met", "Bob", "Eve"].map(str::to_owned);
        let tags = ["B-PER", "I-PER", "O", "B-PER", "B-PER"];
        assert_eq!(inline(&words, &tags), "[PER Ada Lovelace] met [PER Bob] [PER Eve]");
    }

    #[test]
    fn a_pair_without_a_tab_is_refused() {
        assert!(input(Head::Classify, "only one", true, None).is_err());
    }
}
