//! Predictions as JSON lines: with the texts, and with what is right where the file tells it.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::dataset::{Dataset, Example, Input, Labels, Target};
use crate::error::Result;
use crate::prediction::Prediction;
use crate::task::Scheme;

/// An object for each example: `id`, and
///
/// - of a label: `label` and `probabilities` by label, in the order of the logits; `text`, and
///   `text_pair` of a pair;
/// - of any number of labels: `labels`, `probabilities` by label, `text` and `text_pair`;
/// - of an ending: `label`, its position from 0, and the `probabilities` of all in their order;
///   `context`, `start` and `endings`;
/// - of a number: `score`, `text` and `text_pair`;
/// - of an answer: `answer`, its `probability` and `start`, `null_odds` and the `question`. The passage
///   is left out, since many questions share it;
/// - of a sentence: `tags` and their `probabilities`, one for each of its `words`.
///
/// Tags are written in `scheme`. `gold` is what is right, where the file tells it; of an answer, the list of those accepted. What is
/// not a number is `null`.
///
/// # Errors
///
/// A prediction is not one of these labels.
pub(super) fn text(
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    scheme: Scheme,
) -> Result<String> {
    let mut text = String::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let row = Row {
            id: &example.id,
            gold: gold(dataset, labels, example, scheme)?,
            prediction: row_prediction(dataset, labels, example, prediction, scheme)?,
            input: row_input(&example.input),
        };
        text += &serde_json::to_string(&row).expect("a row of texts and numbers is JSON");
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gold: Option<Gold<'a>>,
    #[serde(flatten)]
    prediction: RowPrediction<'a>,
    #[serde(flatten)]
    input: RowInput<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Gold<'a> {
    Label(&'a str),
    Ending(usize),
    Score(f32),
    Answers(Vec<&'a str>),
    Labels(Vec<&'a str>),
    Tags(Vec<String>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowInput<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text_pair: Option<&'a str>,
    },
    Choices {
        context: &'a str,
        start: &'a str,
        endings: &'a [String],
    },
    Question {
        question: &'a str,
    },
    Words {
        words: Vec<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowPrediction<'a> {
    Label {
        label: &'a str,
        probabilities: ByLabel<'a>,
    },
    Labels {
        labels: Vec<&'a str>,
        probabilities: ByLabel<'a>,
    },
    Ending {
        label: usize,
        probabilities: &'a [f32],
    },
    Score {
        score: f32,
    },
    Answer {
        answer: &'a str,
        probability: Option<f32>,
        start: Option<usize>,
        null_odds: Option<f64>,
    },
    Tags {
        tags: Vec<String>,
        probabilities: &'a [f32],
    },
}

/// An object whose keys are in the order of the labels.
struct ByLabel<'a> {
    names: &'a [String],
    values: &'a [f32],
}

impl Serialize for ByLabel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn gold<'a>(
    dataset: &Dataset,
    labels: &'a Labels,
    example: &'a Example,
    scheme: Scheme,
) -> Result<Option<Gold<'a>>> {
    Ok(match &example.target {
        Some(Target::Class(ending)) if matches!(example.input, Input::Choices { .. }) => {
            Some(Gold::Ending(*ending))
        }
        Some(Target::Class(label)) => {
            Some(Gold::Label(super::label_name(dataset, example, labels, *label)?))
        }
        Some(Target::Score(score)) => Some(Gold::Score(*score)),
        Some(Target::Answers(answers)) => {
            Some(Gold::Answers(answers.iter().map(|answer| answer.text.as_str()).collect()))
        }
        Some(Target::Labels { labels: gold, .. }) => {
            Some(Gold::Labels(super::tag_names(dataset, example, labels, gold)?))
        }
        Some(Target::Tags(gold)) => {
            Some(Gold::Tags(scheme.write(&super::tag_names(dataset, example, labels, gold)?)))
        }
        Some(Target::Text) | None => None,
    })
}

fn row_input(input: &Input) -> RowInput<'_> {
    match input {
        Input::Text { text, text_pair } => RowInput::Text { text, text_pair: text_pair.as_deref() },
        Input::Choices { context, start, endings } => RowInput::Choices { context, start, endings },
        Input::Question { question, .. } => RowInput::Question { question },
        Input::Words(_) | Input::SplitText { .. } => {
            RowInput::Words { words: input.words().unwrap_or_default() }
        }
    }
}

fn row_prediction<'a>(
    dataset: &Dataset,
    labels: &'a Labels,
    example: &'a Example,
    prediction: &'a Prediction,
    scheme: Scheme,
) -> Result<RowPrediction<'a>> {
    Ok(match (prediction, &example.input) {
        (Prediction::Class { label, probabilities }, Input::Choices { .. }) => {
            RowPrediction::Ending { label: *label, probabilities }
        }
        (Prediction::Class { label, probabilities }, _) => RowPrediction::Label {
            label: super::label_name(dataset, example, labels, *label)?,
            probabilities: ByLabel { names: labels.names(), values: probabilities },
        },
        (Prediction::Labels { labels: chosen, probabilities }, _) => RowPrediction::Labels {
            labels: super::tag_names(dataset, example, labels, chosen)?,
            probabilities: ByLabel { names: labels.names(), values: probabilities },
        },
        (Prediction::Score(score), _) => RowPrediction::Score { score: *score },
        (Prediction::Span(span), _) => {
            let best = span.n_best.iter().find(|best| best.text == span.text);
            RowPrediction::Answer {
                answer: &span.text,
                probability: best.map(|best| best.probability),
                start: best.and_then(|best| best.start),
                null_odds: span.null_odds,
            }
        }
        (Prediction::Hidden(_), _) => return Err(super::misfit(dataset, example)),
        (Prediction::Tags { tags, probabilities }, _) => RowPrediction::Tags {
            tags: scheme.write(&super::tag_names(dataset, example, labels, tags)?),
            probabilities,
        },
    })
}
