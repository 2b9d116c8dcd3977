//! Labels, endings and numbers as JSON lines, for splits without a leaderboard.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::dataset::{Dataset, Example, Input, Labels};
use crate::error::Result;
use crate::prediction::Prediction;

/// An object for each example: `id`, and
///
/// - of a label: `label` and `probabilities` by label, in the order of the logits;
/// - of an ending: `label`, its position from 0, and the `probabilities` of all in their order;
/// - of a number: `score`.
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
        let row = Row {
            id: &example.id,
            prediction: row_prediction(dataset, labels, example, prediction)?,
        };
        text += &serde_json::to_string(&row).expect("a row of texts and numbers is JSON");
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(flatten)]
    prediction: RowPrediction<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowPrediction<'a> {
    Label { label: &'a str, probabilities: ByLabel<'a> },
    Ending { label: usize, probabilities: &'a [f32] },
    Score { score: f32 },
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

fn row_prediction<'a>(
    dataset: &Dataset,
    labels: &'a Labels,
    example: &'a Example,
    prediction: &'a Prediction,
) -> Result<RowPrediction<'a>> {
    Ok(match (prediction, &example.input) {
        (Prediction::Class { label, probabilities }, Input::Choices { .. }) => {
            RowPrediction::Ending { label: *label, probabilities }
        }
        (Prediction::Class { label, probabilities }, _) => RowPrediction::Label {
            label: super::label_name(dataset, example, labels, *label)?,
            probabilities: ByLabel { names: labels.names(), values: probabilities },
        },
        (Prediction::Score(score), _) => RowPrediction::Score { score: *score },
        (Prediction::Span(_) | Prediction::Tags { .. }, _) => {
            return Err(super::misfit(dataset, example));
        }
    })
}
