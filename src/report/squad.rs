//! SQuAD's prediction files, as the official evaluation scripts read them.

use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::PrettyFormatter;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::files::write_file;
use crate::prediction::{Candidate, Prediction, SpanPrediction};

/// `{id: answer}`, for `evaluate-v1.1.py` and `evaluate-v2.0.py`.
pub const PREDICTIONS: &str = "predictions.json";
/// `{id: [{"text", "probability", "start_logit", "end_logit"}]}`, the most probable first.
pub const N_BEST: &str = "nbest_predictions.json";
/// `{id: null odds}`, for `evaluate-v2.0.py --na-prob-file`.
pub const NULL_ODDS: &str = "null_odds.json";

/// Writes the prediction files into the folder `dir`, questions in the order of the dataset, and
/// returns their paths. `null_odds.json` is written where the predictions have null odds.
///
/// A file is whole or absent; `predictions.json` comes last.
///
/// # Errors
///
/// Predictions of another dataset or head, or the folder cannot be written.
pub fn write(dir: &Path, dataset: &Dataset, predictions: &[Prediction]) -> Result<Vec<PathBuf>> {
    let rows = rows(dataset, predictions)?;
    let mut files = vec![(N_BEST, object(&rows, |span| NBest(&span.n_best))?)];
    if rows.iter().any(|(_, span)| span.null_odds.is_some()) {
        files.push((NULL_ODDS, object(&rows, |span| span.null_odds)?));
    }
    files.push((PREDICTIONS, object(&rows, |span| &span.text)?));
    let mut paths = Vec::new();
    for (name, json) in files {
        let path = dir.join(name);
        write_file(&path, &json)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Each question's id and answer.
fn rows<'a>(
    dataset: &'a Dataset,
    predictions: &'a [Prediction],
) -> Result<Vec<(&'a str, &'a SpanPrediction)>> {
    if dataset.examples.len() != predictions.len() {
        return Err(Error::new(format!(
            "{} predictions for {} questions",
            predictions.len(),
            dataset.examples.len()
        ))
        .at(&dataset.path));
    }
    let examples = dataset.examples.iter().zip(predictions);
    examples
        .map(|(example, prediction)| match prediction {
            Prediction::Span(span) => Ok((example.id.as_str(), span)),
            _ => Err(Error::new(format!("question `{}`: the prediction is no span", example.id))
                .at_line(&dataset.path, example.line)),
        })
        .collect()
}

/// A JSON object with a value for each question.
fn object<'a, V: Serialize>(
    rows: &[(&str, &'a SpanPrediction)],
    value: impl Fn(&'a SpanPrediction) -> V,
) -> Result<String> {
    let mut json = Vec::new();
    let formatter = PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
    let mut fill = || -> serde_json::Result<()> {
        let mut map = serializer.serialize_map(Some(rows.len()))?;
        for &(id, span) in rows {
            map.serialize_entry(id, &value(span))?;
        }
        map.end()
    };
    fill().map_err(|error| Error::new(format!("the predictions cannot be written: {error}")))?;
    json.push(b'\n');
    Ok(String::from_utf8(json).expect("JSON is UTF-8"))
}

/// The candidates of a question under the names of Google's `run_squad.py`.
struct NBest<'a>(&'a [Candidate]);

impl Serialize for NBest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Row<'a> {
            text: &'a str,
            probability: f32,
            start_logit: f32,
            end_logit: f32,
        }
        serializer.collect_seq(self.0.iter().map(|candidate| Row {
            text: &candidate.text,
            probability: candidate.probability,
            start_logit: candidate.start_logit,
            end_logit: candidate.end_logit,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::dataset::{Example, Input};

    fn dataset(ids: &[&str]) -> Dataset {
        let context: std::sync::Arc<str> = "the moon".into();
        let examples = ids
            .iter()
            .map(|&id| Example {
                id: id.to_owned(),
                line: 1,
                input: Input::Question { question: "who?".into(), context: context.clone() },
                target: None,
            })
            .collect();
        Dataset { path: "dev.json".into(), examples, split: "dev".into() }
    }

    fn prediction(text: &str, null_odds: Option<f64>) -> Prediction {
        let candidate = Candidate {
            text: text.to_owned(),
            start: Some(4),
            window: Some(0),
            probability: 1.0,
            start_logit: 0.5,
            end_logit: -0.25,
        };
        Prediction::Span(SpanPrediction { text: text.into(), n_best: vec![candidate], null_odds })
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn answers_stand_under_their_ids_in_the_order_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let predictions = [prediction("Käthe \"M.\"\n🚀", None), prediction("", None)];
        let paths = write(dir.path(), &dataset(&["q2", "q1"]), &predictions).unwrap();
        assert_eq!(paths, [dir.path().join(N_BEST), dir.path().join(PREDICTIONS)]);
        let text = read(dir.path(), PREDICTIONS);
        assert_eq!(text, "{\n \"q2\": \"Käthe \\\"M.\\\"\\n🚀\",\n \"q1\": \"\"\n}\n");
        let n_best: Value = serde_json::from_str(&read(dir.path(), N_BEST)).unwrap();
        assert_eq!(
            n_best["q1"],
            json!([{"text": "", "probability": 1.0, "start_logit": 0.5, "end_logit": -0.25}])
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left behind");
    }

    #[test]
    fn null_odds_are_written_where_questions_may_have_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let predictions = [prediction("moon", Some(-1.5))];
        let paths = write(dir.path(), &dataset(&["q1"]), &predictions).unwrap();
        assert_eq!(paths.len(), 3);
        assert_eq!(read(dir.path(), NULL_ODDS), "{\n \"q1\": -1.5\n}\n");
    }

    #[test]
    fn predictions_of_something_else_are_refused_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let two = dataset(&["q1", "q2"]);
        let error = write(dir.path(), &two, &[prediction("moon", None)]).unwrap_err();
        assert_eq!(error.to_string(), "dev.json: 1 predictions for 2 questions");
        let mixed = [prediction("moon", None), Prediction::Score(1.0)];
        let error = write(dir.path(), &two, &mixed).unwrap_err();
        assert_eq!(error.to_string(), "dev.json:1: question `q2`: the prediction is no span");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap().path().join("gone");
        let error = write(&dir, &dataset(&["q"]), &[prediction("", None)]).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
