//! Submission files of the GLUE leaderboard.

use std::fmt::Write;

use crate::dataset::{Dataset, Labels};
use crate::error::{Error, Result};
use crate::prediction::Prediction;
use crate::task::Task;

/// A header and a row `index<TAB>prediction` for each example: the label as the task's files spell
/// it or, for scores, a number with three decimals inside the task's range.
///
/// # Errors
///
/// A prediction is not a label or a number.
pub(super) fn text(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<String> {
    let mut text = String::from("index\tprediction\n");
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let here = |what: String| Error::new(what).at_line(&dataset.path, example.line);
        let predicted = match prediction {
            Prediction::Class { label, .. } => {
                super::label_name(dataset, example, labels, *label)?.to_owned()
            }
            Prediction::Score(score) if score.is_nan() => {
                return Err(here("the predicted score is not a number".into()));
            }
            Prediction::Score(score) => {
                let [low, high] = task.score_range.unwrap_or([f32::MIN, f32::MAX]);
                format!("{:.3}", score.clamp(low, high))
            }
            Prediction::Labels { .. }
            | Prediction::Span(_)
            | Prediction::Tags { .. }
            | Prediction::Hidden(_) => {
                return Err(super::misfit(dataset, example));
            }
        };
        if [&example.id, &predicted].iter().any(|field| field.contains(['\t', '\n', '\r'])) {
            let what = format!("`{}` or `{predicted}` holds a tab or a line break", example.id);
            return Err(here(format!("{what}; expected text that fits a column")));
        }
        writeln!(text, "{}\t{predicted}", example.id).expect("writing to a text does not fail");
    }
    Ok(text)
}
