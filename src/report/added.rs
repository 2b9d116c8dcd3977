//! What a prediction adds to a row: names and values.

use serde_json::{Map, Value};

use crate::task::Head;

/// Keys of a prediction's object that repeat the row's own texts.
const OF_THE_ROW: [&str; 4] = ["text", "text_pair", "question", "context"];

/// How predictions are added to rows.
#[derive(Debug, Clone)]
pub struct Added {
    /// What the names of added columns begin with.
    prefix: String,
    /// The name of the column of predictions.
    prediction: String,
    /// The labels that predictions show, in the order of the logits.
    labels: Vec<String>,
    head: Head,
    /// How many alternatives a row has columns for.
    top_k: usize,
}

impl Added {
    /// Adds columns whose names begin with `prefix`. `top_k` says how many of the best
    /// are shown.
    pub fn new(prefix: &str, labels: &[String], head: Head, top_k: Option<usize>) -> Self {
        let most = if labels.is_empty() { usize::MAX } else { labels.len() };
        Self {
            prefix: prefix.to_owned(),
            prediction: format!("{prefix}prediction"),
            labels: labels.to_vec(),
            head,
            top_k: top_k.unwrap_or(1).min(most),
        }
    }

    /// The name of the column of predictions.
    pub fn prediction(&self) -> &str {
        &self.prediction
    }

    /// The names and values of a prediction's object, the prediction and its score first.
    pub fn to(&self, object: Map<String, Value>) -> Vec<(String, Value)> {
        let mut pairs: Vec<(&str, String, Value)> = object
            .into_iter()
            .filter(|(key, _)| !OF_THE_ROW.contains(&key.as_str()))
            .map(|(key, value)| (self.name(&key), key, value))
            .map(|(name, key, value)| (name.unwrap_or_default(), key, self.renamed(value)))
            .collect();
        let place = |name: &str| ["prediction", "score"].iter().position(|known| *known == name);
        pairs.sort_by_key(|(name, _, _)| place(name).unwrap_or(2));
        let named = |(name, key, value): (&str, String, Value)| {
            let name = if name.is_empty() { key.as_str() } else { name };
            (format!("{}{name}", self.prefix), value)
        };
        pairs.into_iter().map(named).collect()
    }

    /// The name that a key of the object has in files.
    fn name(&self, key: &str) -> Option<&'static str> {
        match key {
            "score" if self.head == Head::Regress => Some("prediction"),
            "label" | "labels" | "answer" | "tags" => Some("prediction"),
            "probability" => Some("score"),
            _ => None,
        }
    }

    /// A list of alternatives with the same names as the prediction itself.
    fn renamed(&self, value: Value) -> Value {
        let rename = |item: Value| match item {
            Value::Object(object) => {
                let pairs = object
                    .into_iter()
                    .map(|(key, value)| (self.name(&key).map_or(key, str::to_owned), value));
                Value::Object(pairs.collect())
            }
            item => item,
        };
        match value {
            Value::Array(items) => Value::Array(items.into_iter().map(rename).collect()),
            value => value,
        }
    }

    /// The same as cells of a table: probabilities have a column for each label, alternatives
    /// (`top`) columns with the number of their rank.
    pub fn cells(&self, added: Vec<(String, Value)>) -> Vec<(String, String)> {
        let mut cells = Vec::new();
        for (name, value) in added {
            match value {
                Value::Object(by_label) if name.ends_with("probabilities") => {
                    for label in &self.labels {
                        let cell = by_label.get(label).map(field).unwrap_or_default();
                        cells.push((format!("{}probability_{label}", self.prefix), cell));
                    }
                }
                Value::Array(items) if name.ends_with("probabilities") => {
                    let named =
                        |(i, value)| (format!("{}probability_{i}", self.prefix), field(value));
                    cells.extend(items.iter().enumerate().map(named));
                }
                Value::Array(items) if name == format!("{}top", self.prefix) => {
                    // Every row has as many cells, whether or not it has so many alternatives.
                    for rank in 1..self.top_k {
                        for key in ["prediction", "score"] {
                            let name = format!("{}{key}_{}", self.prefix, rank + 1);
                            let value = items.get(rank).and_then(|item| item.get(key));
                            cells.push((name, value.map(field).unwrap_or_default()));
                        }
                    }
                }
                Value::Array(labels)
                    if self.head == Head::Multilabel && name == self.prediction =>
                {
                    let names: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
                    cells.push((name, names.join(",")));
                }
                value => cells.push((name, field(&value))),
            }
        }
        cells
    }
}

/// A value as a field: nothing for `null`, a text as it is, a list of texts with spaces between,
/// else JSON.
pub fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // Predictions are 32-bit numbers, which need fewer digits.
        Value::Number(number) if number.is_f64() => {
            let wide = number.as_f64().unwrap_or_default();
            let narrow = wide as f32;
            if f64::from(narrow) == wide { narrow.to_string() } else { number.to_string() }
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        value => value.to_string(),
    }
}
