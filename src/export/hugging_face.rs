//! A trained model as a folder that transformers loads.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{CARD, Source, card, check_folder, copy, label_maps, weights, write_json, write_text};
use crate::error::{Error, Result};
use crate::files::replace_folder;
use crate::model::Tensor;
use crate::saved_model::{ASSETS, HuggingFace};

/// The file that such a folder has.
const CONFIG: &str = "config.json";

/// Writes a folder that transformers loads; `read` gives a variable of the SavedModel by its object
/// path. With `overwrite` it takes the place of another such folder.
///
/// # Errors
///
/// Those of [`check_hugging_face`]; a variable cannot be read; the disk is full.
pub fn write_hugging_face(
    source: &Source,
    dir: &Path,
    overwrite: bool,
    read: &mut dyn FnMut(&str) -> Result<Tensor>,
) -> Result<()> {
    check_hugging_face(source, dir, overwrite)?;
    let table = table(source)?;
    replace_folder(dir, |into| fill(source, table, into, read))
}

/// Refuses what [`write_hugging_face`] would refuse, before TensorFlow is loaded.
///
/// # Errors
///
/// The folder holds something else, or transformers has no model that computes the same.
pub fn check_hugging_face(source: &Source, dir: &Path, overwrite: bool) -> Result<()> {
    check_folder(dir, CONFIG, overwrite)?;
    table(source).map(drop)
}

fn fill(
    source: &Source,
    table: &HuggingFace,
    into: &Path,
    read: &mut dyn FnMut(&str) -> Result<Tensor>,
) -> Result<()> {
    let model = &source.trained.model;
    write_json(&into.join(CONFIG), &config(source, table))?;
    let rows = table
        .weights(model.encoder.num_hidden_layers)
        .map_err(|error| error.at(&model.dir.join(ASSETS).join("tfbert.json")))?;
    let path = into.join("model.safetensors");
    let numbers = weights::write_safetensors(&path, &rows, read)?;
    // The crate lets the owner alone read the file; it is for whom the other files are for.
    let shared = fs::metadata(into.join(CONFIG)).map(|config| config.permissions());
    shared
        .and_then(|permissions| fs::set_permissions(&path, permissions))
        .map_err(|error| Error::io("write", &path, &error))?;
    log::info!("{} weights, {numbers} numbers, as {}", rows.len(), table.class());
    write_tokenizer(&model.dir.join(ASSETS), into, table)?;
    write_text(&into.join(CARD), &card::hugging_face(source, table))
}

/// What the model says of transformers' form of it.
fn table(source: &Source) -> Result<&HuggingFace> {
    let model = &source.trained.model;
    model.hugging_face.as_ref().ok_or_else(|| {
        Error::new(format!(
            "the model does not say how transformers stores a `{}` model with this encoder: it was \
             exported by an older version, or transformers has no model that computes the same",
            model.head
        ))
        .at(&model.dir)
        .hint(
            "if it is of an older version, export the encoder anew with `python -m python_export \
             --force …` and train again",
        )
    })
}

/// `config.json`, with the labels.
fn config(source: &Source, table: &HuggingFace) -> Map<String, Value> {
    let mut config = table.config.clone();
    let labels = source.labels();
    if source.trained.model.head.has_label_names() {
        let (id2label, label2id) = label_maps(labels);
        config.insert("id2label".into(), json!(id2label));
        config.insert("label2id".into(), json!(label2id));
    } else if source.trained.model.head.has_scores() {
        // One label: transformers counts them by these names.
        config.insert("id2label".into(), json!({"0": "LABEL_0"}));
        config.insert("label2id".into(), json!({"LABEL_0": 0}));
    }
    config
}

/// The tokenizer's files.
fn write_tokenizer(assets: &Path, into: &Path, table: &HuggingFace) -> Result<()> {
    copy(&assets.join("tokenizer.json"), &into.join("tokenizer.json"))?;
    if table.has_vocab_txt {
        copy(&assets.join("vocab.txt"), &into.join("vocab.txt"))?;
    }
    write_json(&into.join("tokenizer_config.json"), &table.tokenizer_config)?;
    let is_token = |name: &str| name.ends_with("_token");
    let tokens: Map<String, Value> = table
        .tokenizer_config
        .iter()
        .filter(|(name, value)| is_token(name) && value.is_string())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    write_json(&into.join("special_tokens_map.json"), &tokens)
}
