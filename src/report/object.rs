//! A prediction as a JSON object, as `tfbert predict` prints it.

use serde_json::{Map, Value, json};

use crate::dataset::{Example, Input};
use crate::prediction::Prediction;

/// The text, its most probable label, and the probabilities of all by label. `None` where example
/// and prediction are of another head.
pub fn label_object(
    example: &Example,
    prediction: &Prediction,
    labels: &[String],
) -> Option<Value> {
    let Prediction::Class { label, probabilities } = prediction else { return None };
    let by_label = labels.iter().cloned().zip(probabilities.iter().map(|&value| value.into()));
    let mut object = text_object(example)?;
    object.insert("label".into(), labels.get(*label)?.as_str().into());
    object.insert("probability".into(), json!(probabilities.get(*label)?));
    object.insert("probabilities".into(), by_label.collect::<Map<_, _>>().into());
    Some(object.into())
}

/// The text and its number; see [`label_object`].
pub fn score_object(
    example: &Example,
    prediction: &Prediction,
    _labels: &[String],
) -> Option<Value> {
    let Prediction::Score(score) = prediction else { return None };
    let mut object = text_object(example)?;
    object.insert("score".into(), json!(score));
    Some(object.into())
}

/// The question and its answer; see [`label_object`].
pub fn answer_object(
    example: &Example,
    prediction: &Prediction,
    _labels: &[String],
) -> Option<Value> {
    let (Prediction::Span(span), Input::Question { question, .. }) = (prediction, &example.input)
    else {
        return None;
    };
    let best = span.n_best.iter().find(|candidate| candidate.text == span.text);
    Some(json!({
        "question": question,
        "answer": span.text,
        "probability": best.map(|best| best.probability),
        "start": best.and_then(|best| best.start),
        "null_odds": span.null_odds,
    }))
}

/// The words, their tags, and the text with its entities in brackets; see [`label_object`].
pub fn tags_object(example: &Example, prediction: &Prediction, labels: &[String]) -> Option<Value> {
    let (Prediction::Tags(tags), Input::Words(words)) = (prediction, &example.input) else {
        return None;
    };
    let names: Option<Vec<&str>> =
        tags.iter().map(|&tag| labels.get(tag).map(String::as_str)).collect();
    let names = names?;
    Some(json!({ "words": words, "tags": names, "text": with_brackets(words, &names) }))
}

/// The context, the most probable ending, and the probabilities of all; see [`label_object`].
pub fn ending_object(
    example: &Example,
    prediction: &Prediction,
    _labels: &[String],
) -> Option<Value> {
    let (Prediction::Class { label, probabilities }, Input::Choices { context, endings, .. }) =
        (prediction, &example.input)
    else {
        return None;
    };
    Some(json!({
        "context": context,
        "label": label,
        "ending": endings.get(*label)?,
        "probability": probabilities.get(*label)?,
        "probabilities": probabilities,
    }))
}

/// The text, or both texts of a pair.
fn text_object(example: &Example) -> Option<Map<String, Value>> {
    let Input::Text { text, text_pair } = &example.input else { return None };
    let mut object = Map::from_iter([("text".to_owned(), text.as_str().into())]);
    if let Some(pair) = text_pair {
        object.insert("text_pair".into(), pair.as_str().into());
    }
    Some(object)
}

/// Words with their entities in brackets: `[PER Neil Armstrong] landed`.
fn with_brackets(words: &[String], tags: &[&str]) -> String {
    let mut text = String::new();
    let mut open: Option<&str> = None;
    for (word, tag) in words.iter().zip(tags) {
        let entity_type = tag.split_once('-').map(|(_, entity_type)| entity_type);
        let goes_on = tag.starts_with("I-") && entity_type == open;
        if !goes_on && open.take().is_some() {
            text.push(']');
        }
        if !text.is_empty() {
            text.push(' ');
        }
        if let (false, Some(entity_type)) = (goes_on, entity_type) {
            text.push('[');
            text.push_str(entity_type);
            text.push(' ');
            open = Some(entity_type);
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
        assert_eq!(with_brackets(&words, &tags), "[PER Ada Lovelace] met [PER Bob] [PER Eve]");
    }

    #[test]
    fn a_prediction_of_another_head_has_no_object() {
        let input = Input::Text { text: "a".into(), text_pair: None };
        let example = Example { id: "0".into(), line: 1, input, target: None };
        assert_eq!(label_object(&example, &Prediction::Score(0.5), &[]), None);
        let object = score_object(&example, &Prediction::Score(0.5), &[]).unwrap();
        assert_eq!(object, json!({"text": "a", "score": 0.5}));
    }
}
