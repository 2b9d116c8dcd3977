//! A trained model as a folder for ONNX Runtime.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::request::{request, rest_request};
use super::serving::{SIGNATURE, signature};
use super::{CARD, Source, card, check_folder, copy, write_text};
use crate::error::Result;
use crate::files::replace_folder;
use crate::saved_model::ASSETS;

/// The file that such a folder has.
const MODEL: &str = "model.onnx";
const REQUEST: &str = "request.json";
const TOKENIZER: &str = "tokenizer.json";

/// What the conversion says of the file that it wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Converted {
    /// The inputs by name.
    pub inputs: BTreeMap<String, OnnxTensor>,
    /// The outputs by name.
    pub outputs: BTreeMap<String, OnnxTensor>,
    /// The version of ONNX's operator set.
    pub opset: u32,
    /// By how much an output of ONNX Runtime differs at most from that of TensorFlow.
    pub difference: f64,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OnnxTensor {
    /// The type of its elements, such as `int32`.
    #[serde(rename = "type")]
    pub dtype: String,
    /// Its sizes; `None` is any size.
    pub shape: Vec<Option<usize>>,
}

/// Writes a folder for ONNX Runtime. `convert` converts a SavedModel to an ONNX file and compares the
/// two on a request: it gets the SavedModel, the request and the file to write. With `overwrite` the
/// folder takes the place of another such folder.
///
/// # Errors
///
/// Those of [`check_onnx`] and of `convert`; the disk is full.
pub fn write_onnx(
    source: &Source,
    dir: &Path,
    overwrite: bool,
    convert: &dyn Fn(&Path, &Path, &Path) -> Result<Converted>,
) -> Result<()> {
    check_onnx(source, dir, overwrite)?;
    let request = request(source, signature(source)?)?;
    let model = &source.trained.model;
    replace_folder(dir, |into| {
        let path = into.join(REQUEST);
        write_text(&path, &format!("{}\n", rest_request(SIGNATURE, &request.all)))?;
        let converted = convert(&model.dir, &path, &into.join(MODEL))?;
        log::info!(
            "{MODEL}: outputs differ from TensorFlow's by {:.1e} at most, on {}",
            converted.difference,
            request.texts_from
        );
        copy(&model.dir.join(ASSETS).join(TOKENIZER), &into.join(TOKENIZER))?;
        write_text(&into.join(CARD), &page(source, &converted))
    })
}

/// Refuses what [`write_onnx`] would refuse.
///
/// # Errors
///
/// The folder holds something else, or the model cannot be served.
pub fn check_onnx(source: &Source, dir: &Path, overwrite: bool) -> Result<()> {
    check_folder(dir, MODEL, overwrite)?;
    signature(source).map(drop)
}

/// The page: a model card, and how the model is used.
fn page(source: &Source, converted: &Converted) -> String {
    let how = include_str!("onnx_page.md")
        .replace("{tensors}", &tensors(converted))
        .replace("{opset}", &converted.opset.to_string())
        .replace("{difference}", &format!("{:.1e}", converted.difference));
    card::front_matter(source, Some("onnx")) + &card::about(source) + &how + &card::made(source)
}

/// The table of inputs and outputs.
fn tensors(converted: &Converted) -> String {
    let mut table = String::from("| | name | type | shape |\n| --- | --- | --- | --- |\n");
    for (kind, tensors) in [("input", &converted.inputs), ("output", &converted.outputs)] {
        for (name, tensor) in tensors {
            let size = |size: &Option<usize>| size.map_or("?".to_owned(), |size| size.to_string());
            let shape: Vec<String> = tensor.shape.iter().map(size).collect();
            let (dtype, shape) = (&tensor.dtype, shape.join(", "));
            let _ = writeln!(table, "| {kind} | `{name}` | {dtype} | [{shape}] |");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_input_and_output() {
        let json = r#"{"inputs": {"input_ids": {"type": "int32", "shape": [null, null]}},
            "outputs": {"logits": {"type": "float", "shape": [null, 2]}},
            "opset": 18, "difference": 3e-6}"#;
        let converted: Converted = serde_json::from_str(json).unwrap();
        let table = tensors(&converted);
        assert!(table.contains("| input | `input_ids` | int32 | [?, ?] |"), "{table}");
        assert!(table.contains("| output | `logits` | float | [?, 2] |"), "{table}");
    }
}
