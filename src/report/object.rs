//! A prediction as a JSON object, as `tfbert predict` prints it.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{Shown, answers_object};
use crate::dataset::{Example, Input};
use crate::metric::{self, Entity};
use crate::prediction::{Prediction, merge_answers};

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

/// The text, its labels, and the probabilities of all by label; see [`label_object`].
pub fn labels_object(
    example: &Example,
    prediction: &Prediction,
    labels: &[String],
) -> Option<Value> {
    let Prediction::Labels { labels: chosen, probabilities } = prediction else { return None };
    let names: Option<Vec<&str>> =
        chosen.iter().map(|&label| labels.get(label).map(String::as_str)).collect();
    let by_label = labels.iter().cloned().zip(probabilities.iter().map(|&value| value.into()));
    let mut object = text_object(example)?;
    object.insert("labels".into(), names?.into());
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
    let null_threshold = if span.text.is_empty() { f64::NEG_INFINITY } else { f64::INFINITY };
    let answers = merge_answers(&[span]);
    Some(answers_object(question, &answers, &[], null_threshold, &Shown::default()).into())
}

/// The text, its words and their tags; of tags of entities also the `entities` and the text with them
/// in brackets (`marked`). See [`label_object`].
///
/// An entity has its `type`, its `text`, where it stands in the text (`start` and `end` in Unicode
/// characters, counted from 0, the end not included), and as `score` the mean probability of its words'
/// tags.
pub fn tags_object(example: &Example, prediction: &Prediction, labels: &[String]) -> Option<Value> {
    let Prediction::Tags { tags, probabilities } = prediction else { return None };
    let (text, places) = text_and_words(&example.input)?;
    let names: Option<Vec<&str>> =
        tags.iter().map(|&tag| labels.get(tag).map(String::as_str)).collect();
    let names = names.filter(|names| names.len() == places.len())?;
    let words: Vec<&str> = places.iter().map(|place| &text[place.clone()]).collect();
    let mut object = Map::from_iter([("text".to_owned(), text.as_str().into())]);
    object.insert("words".into(), words.into());
    object.insert("tags".into(), names.clone().into());
    if labels.iter().any(|label| label.starts_with("B-")) {
        let found = metric::entities(&names);
        let entities: Vec<Value> = found
            .iter()
            .map(|entity| {
                let place = stretch(entity, &places);
                let start = text[..place.start].chars().count();
                let covered = &text[place];
                let score = &probabilities[entity.start..entity.end];
                json!({
                    "type": entity.entity_type,
                    "text": covered,
                    "start": start,
                    "end": start + covered.chars().count(),
                    "score": score.iter().sum::<f32>() / score.len() as f32,
                })
            })
            .collect();
        object.insert("entities".into(), entities.into());
        object.insert("marked".into(), with_brackets(&text, &found, &places).into());
    }
    Some(object.into())
}

/// The text of a sentence and where its words stand in it, in bytes. Words that come without a text
/// are put together with spaces.
fn text_and_words(input: &Input) -> Option<(String, Vec<Range<usize>>)> {
    if let Input::SplitText { text, words } = input {
        return Some((text.clone(), words.clone()));
    }
    let words = input.words()?;
    let mut end = 0;
    let places = words.iter().map(|word| {
        let start = end;
        end += word.len() + 1;
        start..start + word.len()
    });
    Some((words.join(" "), places.collect()))
}

/// Where an entity stands in the text, in bytes.
fn stretch(entity: &Entity<'_>, places: &[Range<usize>]) -> Range<usize> {
    places[entity.start].start..places[entity.end - 1].end
}

/// The text, and for each of its hidden words the likeliest entries of the vocabulary `labels` with
/// their probabilities; see [`label_object`].
pub fn hidden_object(
    example: &Example,
    prediction: &Prediction,
    labels: &[String],
) -> Option<Value> {
    let Prediction::Hidden(tokens) = prediction else { return None };
    let mut object = text_object(example)?;
    let mut masks = Vec::with_capacity(tokens.len());
    for token in tokens {
        let mut likeliest = Vec::with_capacity(token.likeliest.len());
        for &(id, log_probability) in &token.likeliest {
            let entry = labels.get(id as usize)?;
            likeliest.push(json!({ "token": entry, "probability": log_probability.exp() }));
        }
        masks.push(Value::Array(likeliest));
    }
    object.insert("masks".into(), masks.into());
    Some(object.into())
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

/// A text with its entities in brackets: `[PER Neil Armstrong] landed`.
fn with_brackets(text: &str, entities: &[Entity<'_>], places: &[Range<usize>]) -> String {
    let mut marked = String::new();
    let mut end = 0;
    for entity in entities {
        let place = stretch(entity, places);
        marked.push_str(&text[end..place.start]);
        marked.push_str(&format!("[{} {}]", entity.entity_type, &text[place.clone()]));
        end = place.end;
    }
    marked + &text[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

    fn tagged(input: Input, tags: &[usize]) -> Value {
        let example = Example { id: "0".into(), line: 1, input, target: None };
        let probabilities = (0..tags.len()).map(|i| 1.0 / (1 << i) as f32).collect();
        let prediction = Prediction::Tags { tags: tags.to_vec(), probabilities };
        tags_object(&example, &prediction, &LABELS.map(str::to_owned)).unwrap()
    }

    #[test]
    fn entities_stand_in_characters_of_the_text_which_stays_as_it_was() {
        let text = "今日はAnnaが東京へ".to_owned();
        let places = [0..3, 3..6, 6..9, 9..13, 13..16, 16..19, 19..22, 22..25];
        let input = Input::SplitText { text: text.clone(), words: places.to_vec() };
        let object = tagged(input, &[0, 0, 0, 1, 0, 3, 4, 0]);
        assert_eq!(object["text"], text);
        let anna = json!({"type": "PER", "text": "Anna", "start": 3, "end": 7, "score": 0.125});
        let tokyo =
            json!({"type": "LOC", "text": "東京", "start": 8, "end": 10, "score": 3.0 / 128.0});
        assert_eq!(object["entities"], json!([anna, tokyo]));
        assert_eq!(object["marked"], "今日は[PER Anna]が[LOC 東京]へ");
        assert_eq!(object["words"][3], "Anna");
        assert_eq!(object["tags"][3], "B-PER");
    }

    #[test]
    fn entities_of_words_are_bracketed_where_they_begin_and_end() {
        let words = ["Ada", "Lovelace", "met", "Bob", "Eve"].map(str::to_owned);
        let object = tagged(Input::Words(words.into()), &[1, 2, 0, 1, 1]);
        assert_eq!(object["text"], "Ada Lovelace met Bob Eve");
        assert_eq!(object["marked"], "[PER Ada Lovelace] met [PER Bob] [PER Eve]");
        assert_eq!(object["entities"][1]["start"], 17);
    }

    #[test]
    fn tags_that_stand_for_themselves_are_no_entities() {
        let input = Input::Words(vec!["runs".into()]);
        let example = Example { id: "0".into(), line: 1, input, target: None };
        let prediction = Prediction::Tags { tags: vec![1], probabilities: vec![0.5] };
        let object = tags_object(&example, &prediction, &["NOUN".into(), "VERB".into()]).unwrap();
        assert_eq!(object, json!({"text": "runs", "words": ["runs"], "tags": ["VERB"]}));
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
