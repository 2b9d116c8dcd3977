//! Requests to a served model, made from texts by the model's tokenizer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::Source;
use crate::batch::{BatchLayout, PlannedBatch};
use crate::dataset::{DataSource, Dataset, Example, Labels, TypedText};
use crate::error::Result;
use crate::feature::Tokenizer;
use crate::model::{Tensor, TensorData};
use crate::saved_model::Signature;
use crate::stages;
use crate::task::{Split, Task};

/// The most examples of a request.
const EXAMPLES: usize = 4;

/// The inputs of a request by name.
pub(super) type Inputs = BTreeMap<String, Tensor>;

/// A request, and where its texts are from.
pub(super) struct Request {
    /// All rows, padded to the longest.
    pub(super) all: Inputs,
    /// The first row alone.
    pub(super) first: Inputs,
    /// A file, or words for texts of no file.
    pub(super) texts_from: String,
}

/// A request of the first examples of the run's development file, or of texts that fit the head
/// where that file is not there.
///
/// # Errors
///
/// The tokenizer cannot be read.
pub(super) fn request(source: &Source, signature: &Signature) -> Result<Request> {
    let (model, training) = (&source.trained.model, &source.trained.training);
    let tokenizer = model.read_tokenizer(&training.task)?;
    let (dataset, texts_from) = match development_examples(source) {
        Some(found) => (found.clone(), found.path.display().to_string()),
        None => (typed_examples(&training.task, &tokenizer)?, "texts of tfbert's own".to_owned()),
    };
    let head = training.task.head;
    let features = stages::features(head, &dataset, &tokenizer, &training.features)?;
    let layout = BatchLayout {
        head,
        pad_token_id: model.encoder.pad_token_id,
        class_weights: &[],
        mask_seed: 0,
    };
    let inputs = |rows: usize| -> Inputs {
        let chosen: Vec<usize> = (0..rows).collect();
        let length = chosen.iter().map(|&row| features.length(row)).max().unwrap_or(1);
        let batch = layout.lay_out(&features, &PlannedBatch { features: chosen, rows, length });
        let wanted = batch.inputs.into_iter().map(|(name, tensor)| (name.to_string(), tensor));
        wanted.filter(|(name, _)| signature.inputs.contains_key(name)).collect()
    };
    Ok(Request { all: inputs(features.len().min(EXAMPLES)), first: inputs(1), texts_from })
}

/// The first examples of the first development file that the run names, if it can still be read.
fn development_examples(source: &Source) -> Option<Dataset> {
    let record = source.record.as_ref()?;
    let train = record.task.train.as_ref().map(|split| split.name.as_str());
    let file = record.data.iter().find(|file| Some(file.split.as_str()) != train)?;
    let mut task = record.task.clone();
    if !file.path.is_file() {
        // The path was relative to the folder in which training was started. The task of a data file
        // has an absolute one.
        return read_examples(&task, task.split(&file.split).ok()?, &record.labels);
    }
    // The file is where the run read it, wherever the data sets are now.
    task.base = Some(file.path.parent()?.to_owned());
    task.folder = String::new();
    let name = file.path.file_name()?.to_string_lossy().into_owned();
    let mut split = task.split(&file.split).ok()?.clone();
    split.file = name;
    read_examples(&task, &split, &record.labels)
}

fn read_examples(task: &Task, split: &Split, labels: &[String]) -> Option<Dataset> {
    let labels = Labels::new(labels.to_vec());
    let data = DataSource {
        task,
        split,
        data_dir: &PathBuf::new(),
        labels: &labels,
        limit: Some(EXAMPLES),
    };
    data.read().inspect_err(|error| log::debug!("no example texts: {error}")).ok()
}

/// Texts that fit a task.
fn typed_examples(task: &Task, tokenizer: &Tokenizer) -> Result<Dataset> {
    let texts: &[&[&str]] = if task.head.asks_about_passage() {
        &[
            &["Where was it signed?", "The treaty was signed in Vienna."],
            &["Who came?", "Two envoys came."],
        ]
    } else if task.head.has_endings() {
        &[&["She opened the door", "and walked in.", "and ate the moon."]]
    } else {
        &[
            &["The meeting was moved.", "It is on Thursday."],
            &["Nobody came.", "The hall was full."],
        ]
    };
    let is_pair = task.columns.text_pair.is_some();
    let is_single = !is_pair && !task.joins_texts();
    let example = |(row, parts): (usize, &&[&str])| {
        let mut line = if is_single { parts[0].to_owned() } else { parts.join("\t") };
        if task.head.predicts_hidden_words() {
            // A word that is to be found.
            let mask = tokenizer.vocabulary().swap_remove(tokenizer.mask_token_id()? as usize);
            line = format!("{line} {mask}");
        }
        let typed = TypedText { line: &line, is_pair, context: None };
        let input = stages::typed_input(task.head, typed, tokenizer)?;
        Ok(Example { id: row.to_string(), line: row + 1, input, target: None })
    };
    let examples = texts.iter().enumerate().map(example).collect::<Result<_>>()?;
    Ok(Dataset { path: "examples".into(), examples, split: "examples".into() })
}

/// A request as TensorFlow Serving's REST interface takes it.
pub(super) fn rest_request(signature: &str, inputs: &Inputs) -> Value {
    let tensors: serde_json::Map<String, Value> =
        inputs.iter().map(|(name, tensor)| (name.clone(), nested(tensor))).collect();
    serde_json::json!({ "signature_name": signature, "inputs": tensors })
}

/// A tensor as lists in lists.
fn nested(tensor: &Tensor) -> Value {
    let mut values: Vec<Value> = match &tensor.data {
        TensorData::Ints(values) => values.iter().map(|&value| value.into()).collect(),
        TensorData::Floats(values) => values.iter().map(|&value| value.into()).collect(),
    };
    for &size in tensor.shape.iter().skip(1).rev() {
        values = values.chunks(size.max(1)).map(|chunk| Value::Array(chunk.to_vec())).collect();
    }
    Value::Array(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_lists_in_lists() {
        let tensor = Tensor::from_ints(&[1, 2, 3], vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(nested(&tensor).to_string(), "[[[1,2,3],[4,5,6]]]");
        assert_eq!(nested(&Tensor::from_floats(&[2], vec![0.5, 1.0])).to_string(), "[0.5,1.0]");
    }

    #[test]
    fn every_built_in_task_has_example_texts() {
        let json = include_bytes!("../../tests/golden/question_tokenizer.json");
        let tokenizer = Tokenizer::from_bytes(json).unwrap();
        for task in crate::task::tasks() {
            assert!(
                !typed_examples(task, &tokenizer).unwrap().examples.is_empty(),
                "{}",
                task.name
            );
        }
    }
}
