//! Which part of a prediction is shown.

use serde_json::{Map, Value, json};

use crate::prediction::{Candidate, MergedAnswers, Prediction};

/// What the user asked to see of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shown {
    /// The least probability of a label or an answer; one that is less probable is `null`.
    pub threshold: Option<f32>,
    /// The number of alternatives that are shown.
    pub top_k: Option<usize>,
    /// A question has no answer where the null odds exceed this; by default the model's.
    pub null_threshold: Option<f64>,
}

impl Shown {
    /// Changes an object of a label or an ending by the threshold and the number of alternatives:
    /// `top` then takes the place of all probabilities. Other objects stay as they are.
    pub fn apply(
        &self,
        object: &mut Map<String, Value>,
        prediction: &Prediction,
        labels: &[String],
    ) {
        let (label, probabilities) = match prediction {
            Prediction::Class { label, probabilities } => (Some(*label), probabilities),
            Prediction::Labels { probabilities, .. } => (None, probabilities),
            _ => return,
        };
        let name = |label: usize| match labels.get(label) {
            Some(name) => Value::from(name.as_str()),
            None => label.into(),
        };
        if let Some(top_k) = self.top_k {
            let mut order: Vec<usize> = (0..probabilities.len()).collect();
            order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            let top = order
                .into_iter()
                .take(top_k)
                .map(|label| json!({ "label": name(label), "probability": probabilities[label] }));
            object.insert("top".into(), top.collect());
            object.remove("probabilities");
        }
        let Some(probability) = label.and_then(|label| probabilities.get(label).copied()) else {
            return;
        };
        if self.threshold.is_some_and(|least| probability < least) {
            object.insert("label".into(), Value::Null);
            if object.contains_key("ending") {
                object.insert("ending".into(), Value::Null);
            }
        }
    }
}

/// A question's answer: the text (`null` for none) with its probability, the characters of the passage
/// where it starts and ends, the passage's file and the window of the passage; where questions may
/// have no answer, the probability of that and the null odds; with `top_k`, the best answers.
pub fn answers_object(
    question: &str,
    answers: &MergedAnswers,
    files: &[String],
    null_threshold: f64,
    shown: &Shown,
) -> Map<String, Value> {
    let best = answers
        .candidates
        .first()
        .filter(|_| answers.null_odds.is_none_or(|odds| odds <= null_threshold))
        .filter(|(_, best)| shown.threshold.is_none_or(|least| best.probability >= least));
    let mut object = Map::new();
    object.insert("question".into(), question.into());
    match best {
        Some((passage, candidate)) => object.extend(answer(candidate, *passage, files)),
        None => {
            let probability = answers.no_answer_probability;
            let nothing = answer(&Candidate::default(), 0, files);
            object.extend(nothing.into_iter().map(|(key, _)| (key, Value::Null)));
            object.insert("probability".into(), json!(probability));
        }
    }
    if answers.null_odds.is_some() {
        object.insert("null_odds".into(), json!(answers.null_odds));
        object.insert("no_answer_probability".into(), json!(answers.no_answer_probability));
    }
    if let Some(top_k) = shown.top_k {
        let top = answers.candidates.iter().take(top_k);
        let top = top.map(|(passage, candidate)| Value::Object(answer(candidate, *passage, files)));
        object.insert("top".into(), top.collect());
    }
    object
}

fn answer(candidate: &Candidate, passage: usize, files: &[String]) -> Map<String, Value> {
    let end = candidate.start.map(|start| start + candidate.text.chars().count());
    let mut object = Map::from_iter([
        ("answer".to_owned(), candidate.text.as_str().into()),
        ("probability".to_owned(), json!(candidate.probability)),
        ("start".to_owned(), json!(candidate.start)),
        ("end".to_owned(), json!(end)),
        ("window".to_owned(), json!(candidate.window)),
    ]);
    if let Some(file) = files.get(passage) {
        object.insert("file".into(), file.as_str().into());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(shown: Shown, probabilities: &[f32]) -> Value {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let mut object = Map::from_iter([("probabilities".to_owned(), json!({}))]);
        object.insert("label".into(), "b".into());
        let prediction = Prediction::Class { label: 1, probabilities: probabilities.to_vec() };
        shown.apply(&mut object, &prediction, &labels);
        object.into()
    }

    #[test]
    fn a_label_below_the_threshold_is_null_and_the_best_are_sorted() {
        let shown = Shown { threshold: Some(0.6), top_k: Some(2), null_threshold: None };
        let expected = json!({"label": null, "top": [
            {"label": "b", "probability": 0.5}, {"label": "c", "probability": 0.25 + 0.125}]});
        assert_eq!(object(shown, &[0.125, 0.5, 0.375]), expected);
        let sure = object(shown, &[0.125, 0.75, 0.125]);
        assert_eq!(sure["label"], "b");
        assert_eq!(sure["top"][1]["label"], "a", "the first of equals");
    }

    fn candidate(text: &str, start: usize, probability: f32) -> Candidate {
        Candidate {
            text: text.into(),
            start: Some(start),
            window: Some(0),
            probability,
            ..Candidate::default()
        }
    }

    #[test]
    fn an_answer_has_its_place_and_file_and_none_is_null_with_its_probability() {
        let answers = MergedAnswers {
            candidates: vec![(1, candidate("né", 3, 0.5)), (0, candidate("b", 0, 0.25))],
            null_odds: Some(-1.0),
            no_answer_probability: Some(0.25),
        };
        let files = ["one.txt".to_owned(), "two.txt".to_owned()];
        let shown = Shown { top_k: Some(2), ..Shown::default() };
        let object =
            |threshold| Value::Object(answers_object("q", &answers, &files, threshold, &shown));
        let found = object(0.0);
        assert_eq!(found["answer"], "né");
        assert_eq!((&found["start"], &found["end"]), (&json!(3), &json!(5)));
        assert_eq!(
            (&found["file"], &found["top"][1]["file"]),
            (&json!("two.txt"), &json!("one.txt"))
        );
        let none = object(-2.0);
        assert_eq!(
            (&none["answer"], &none["start"], &none["file"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!((&none["probability"], &none["top"][0]["answer"]), (&json!(0.25), &json!("né")));
    }
}
