//! How transformers stores a trained model: `hugging_face` in `tfbert.json`, which
//! `python_export/hugging_face.py` writes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What stands for a layer's number in the rows that all layers have.
const LAYER: &str = "{layer}";

/// The files that transformers reads, but for the values of the weights and the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HuggingFace {
    /// `config.json` without labels.
    pub config: Map<String, Value>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Map<String, Value>,
    /// Whether the vocabulary is one that transformers reads from a `vocab.txt` (WordPiece).
    #[serde(default)]
    pub has_vocab_txt: bool,
    /// The weights, those of all layers in one row each.
    weights: Vec<WeightRow>,
}

/// A weight, or the same weight of every layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WeightRow {
    /// The name in `model.safetensors`; `{layer}` stands for a layer's number.
    name: String,
    /// The variable's object path in the SavedModel, with `{layer}` too.
    variable: String,
    /// Whether the variable is `[inputs, outputs]` and the weight `[outputs, inputs]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    transposed: bool,
    /// Which part of the variable's last dimension it is, and of how many equal parts; absent is all
    /// of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<[usize; 2]>,
}

/// One weight: its name in `model.safetensors`, and what it is of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// The name.
    pub name: String,
    /// The object path of the variable.
    pub variable: String,
    /// Whether it is the variable's transpose.
    pub transposed: bool,
    /// The part of the variable's last dimension that it is, counted from 0, and the number of parts.
    pub part: (usize, usize),
}

impl HuggingFace {
    /// Every weight of an encoder with so many layers, the parts of a variable one after the other.
    ///
    /// # Errors
    ///
    /// A row names a part that there is not, or two rows have the same name.
    pub fn weights(&self, layers: usize) -> Result<Vec<Weight>> {
        let mut found = Vec::new();
        for row in &self.weights {
            let part = row.part.map_or((0, 1), |[part, parts]| (part, parts));
            if part.0 >= part.1 {
                return Err(damaged(&format!("`{}` is part {} of {}", row.name, part.0, part.1)));
            }
            let of_all = row.name.contains(LAYER);
            for layer in 0..if of_all { layers } else { 1 } {
                let number = layer.to_string();
                found.push(Weight {
                    name: row.name.replace(LAYER, &number),
                    variable: row.variable.replace(LAYER, &number),
                    transposed: row.transposed,
                    part,
                });
            }
        }
        found.sort_by(|one, other| (&one.variable, one.part).cmp(&(&other.variable, other.part)));
        let mut names: Vec<&str> = found.iter().map(|weight| weight.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(damaged(&format!("two weights are called `{}`", pair[0]))),
            None => Ok(found),
        }
    }

    /// The name of transformers' class for the model, such as `BertForSequenceClassification`.
    pub fn class(&self) -> &str {
        let classes = self.config.get("architectures").and_then(Value::as_array);
        classes.and_then(|classes| classes.first()).and_then(Value::as_str).unwrap_or("AutoModel")
    }
}

fn damaged(what: &str) -> Error {
    Error::new(format!("the description of the weights (`hugging_face`) is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(weights: Value) -> HuggingFace {
        let table = serde_json::json!({
            "config": {"architectures": ["BertForTokenClassification"]},
            "tokenizer_config": {},
            "weights": weights,
        });
        serde_json::from_value(table).unwrap()
    }

    #[test]
    fn a_row_with_a_layer_stands_for_every_layer_and_parts_of_a_variable_follow_each_other() {
        let table = table(serde_json::json!([
            {"name": "bert.{layer}.key", "variable": "layers/{layer}/qkv", "part": [1, 2]},
            {"name": "bert.{layer}.query", "variable": "layers/{layer}/qkv", "part": [0, 2]},
            {"name": "classifier.weight", "variable": "head/kernel", "transposed": true},
        ]));
        let weights = table.weights(2).unwrap();
        let names: Vec<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
        let expected =
            ["classifier.weight", "bert.0.query", "bert.0.key", "bert.1.query", "bert.1.key"];
        assert_eq!(names, expected);
        assert_eq!((weights[0].transposed, weights[0].part), (true, (0, 1)));
        assert_eq!((weights[4].variable.as_str(), weights[4].part), ("layers/1/qkv", (1, 2)));
        assert_eq!(table.class(), "BertForTokenClassification");
    }

    #[test]
    fn a_part_past_the_last_and_a_name_that_occurs_twice_are_refused() {
        let part = table(serde_json::json!([{"name": "a", "variable": "b", "part": [2, 2]}]));
        assert!(part.weights(1).unwrap_err().what().contains("`a` is part 2 of 2"));
        let row = serde_json::json!({"name": "a", "variable": "b"});
        let error = table(serde_json::json!([row, row])).weights(1).unwrap_err();
        assert!(error.what().contains("two weights are called `a`"), "{error}");
    }
}
