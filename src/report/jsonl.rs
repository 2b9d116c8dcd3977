//! Predictions as JSON lines, for whatever has no form of its own.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::tag_names;
use crate::dataset::{Dataset, Example, Input, Labels};
use crate::error::Result;
use crate::prediction::Prediction;

/// An object for each example: `id`, and
///
/// - of a label: `label` and `probabilities` by label, in the order of the logits;
/// - of an ending: `label`, its position from 0, and the `probabilities` of all in their order;
/// - of a number: `score`;
/// - of a sentence: `words` and `tags`.
///
/// What is not a number is `null`.
///
/// # Errors
///
/// A prediction is not one of these labels.
pub(super) fn text(
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<String> {
    let mut text = String::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let row = Row { id: &example.id, says: says(dataset, labels, example, prediction)? };
        text += &serde_json::to_string(&row).expect("a row of texts and numbers is JSON");
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(flatten)]
    says: Says<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Says<'a> {
    Label { label: &'a str, probabilities: ByLabel<'a> },
    Ending { label: usize, probabilities: &'a [f32] },
    Score { score: f32 },
    Tags { words: &'a [String], tags: Vec<&'a str> },
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

fn says<'a>(
    dataset: &Dataset,
    labels: &'a Labels,
    example: &'a Example,
    prediction: &'a Prediction,
) -> Result<Says<'a>> {
    Ok(match (prediction, &example.input) {
        (Prediction::Class { label, probabilities }, Input::Choices { .. }) => {
            Says::Ending { label: *label, probabilities }
        }
        (Prediction::Class { label, probabilities }, _) => Says::Label {
            label: super::label_name(dataset, example, labels, *label)?,
            probabilities: ByLabel { names: labels.names(), values: probabilities },
        },
        (Prediction::Score(score), _) => Says::Score { score: *score },
        (Prediction::Tags(tags), Input::Words(words)) => {
            Says::Tags { words, tags: tag_names(dataset, example, labels, tags)? }
        }
        (Prediction::Span(_) | Prediction::Tags(_), _) => {
            return Err(super::misfit(dataset, example));
        }
    })
}
