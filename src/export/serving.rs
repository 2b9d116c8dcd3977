//! A trained model as a version folder of TensorFlow Serving.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::request::{Inputs, Request, request, rest_request};
use super::{CARD, Source, card, check_folder, copy, write_text};
use crate::error::{Error, Result};
use crate::files::{DISK_HINT, replace_folder};
use crate::saved_model::{ASSETS, EXPORT_ANEW, Signature, TensorSpec};

/// The signature that requests name.
pub const SIGNATURE: &str = "serving_default";

const MARKER: &str = "saved_model.pb";
const WARMUP: &str = "tf_serving_warmup_requests";
const REQUEST: &str = "request.json";
const BATCHING: &str = "batching_parameters.txt";

/// Requests are put together only where they have one length. Padding stays off: the server does not
/// know which value fills up which input.
const BATCHING_PARAMETERS: &str = "max_batch_size { value: 32 }\n\
                                   batch_timeout_micros { value: 1000 }\n\
                                   max_enqueued_batches { value: 100 }\n\
                                   num_batch_threads { value: 2 }\n\
                                   pad_variable_length_inputs: false\n";

/// Writes a version folder: the SavedModel with requests to warm it up, a request to send, parameters
/// for batching, and a page on how to serve it. `encode` makes the warm-up file's bytes of requests to
/// a model of that name. With `overwrite` the folder takes the place of another such folder.
///
/// # Errors
///
/// Those of [`check_serving`]; the model's tokenizer cannot be read; the disk is full.
pub fn write_serving(
    source: &Source,
    dir: &Path,
    overwrite: bool,
    encode: &dyn Fn(&str, &[Inputs]) -> Vec<u8>,
) -> Result<()> {
    check_serving(source, dir, overwrite)?;
    let signature = signature(source)?;
    let request = request(source, signature)?;
    log::info!("{REQUEST}: {}", request.texts_from);
    replace_folder(dir, |into| fill(source, &request, into, dir, encode))
}

/// Refuses what [`write_serving`] would refuse.
///
/// # Errors
///
/// The folder's name is no version, it holds something else, or the model cannot be served.
pub fn check_serving(source: &Source, dir: &Path, overwrite: bool) -> Result<()> {
    let version = version(dir);
    if version.is_empty() || version.parse::<i64>().is_err() || version.starts_with(['+', '-']) {
        return Err(Error::usage("TensorFlow Serving loads only folders whose name is a number")
            .at(dir)
            .hint(format!("name the model's version too: `{}`", dir.join("1").display())));
    }
    check_folder(dir, MARKER, overwrite)?;
    signature(source).map(drop)
}

/// The signature that is served.
///
/// # Errors
///
/// The model has none.
pub(super) fn signature(source: &Source) -> Result<&Signature> {
    let model = &source.trained.model;
    model.serving_signatures.get(SIGNATURE).ok_or_else(|| {
        Error::new(format!(
            "the model has no signature `{SIGNATURE}`, which TensorFlow Serving calls"
        ))
        .at(&model.dir)
        .hint(format!("{EXPORT_ANEW}, and train again"))
    })
}

/// The name of the folder.
fn version(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folder above that of the version.
fn model_name(dir: &Path) -> String {
    let name = dir.parent().and_then(Path::file_name);
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn fill(
    source: &Source,
    request: &Request,
    into: &Path,
    dir: &Path,
    encode: &dyn Fn(&str, &[Inputs]) -> Vec<u8>,
) -> Result<()> {
    let model = &source.trained.model;
    let name = &model_name(dir);
    let version = &version(dir);
    copy(&model.dir.join(MARKER), &into.join(MARKER))?;
    for folder in ["variables", ASSETS] {
        copy_files(&model.dir.join(folder), &into.join(folder))?;
    }
    let warmup = into.join(ASSETS).join(WARMUP);
    let requests = [request.first.clone(), request.all.clone()];
    fs::write(&warmup, encode(name, &requests))
        .map_err(|error| Error::io("write", &warmup, &error).hint(DISK_HINT))?;
    write_text(&into.join(REQUEST), &format!("{}\n", rest_request(SIGNATURE, &request.all)))?;
    write_text(&into.join(BATCHING), BATCHING_PARAMETERS)?;
    write_text(&into.join(CARD), &page(source, request, name, version))
}

/// Copies the files of a folder, not those of folders in it.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| Error::io("create", to, &error).hint(DISK_HINT))?;
    let entries = fs::read_dir(from).map_err(|error| Error::io("list", from, &error))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        copy(&path, &to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The page: a model card, and how the model is served.
fn page(source: &Source, request: &Request, name: &str, version: &str) -> String {
    let rows = request.all.values().next().map_or(0, |tensor| tensor.shape[0]);
    let pad = source.trained.model.encoder.pad_token_id;
    let how = include_str!("serving_page.md")
        .replace("{signatures}", &signatures(source))
        .replace("{name}", name)
        .replace("{version}", version)
        .replace("{rows}", &rows.to_string())
        .replace("{texts}", &from_name(&request.texts_from))
        .replace("{pad}", &pad.to_string());
    card::front_matter(source, None) + &card::about(source) + &how + &card::made(source)
}

/// The table of signatures, with a blank line behind it.
fn signatures(source: &Source) -> String {
    let mut table = String::from("| signature | inputs | outputs |\n| --- | --- | --- |\n");
    for (signature, tensors) in &source.trained.model.serving_signatures {
        let list = |specs: &BTreeMap<String, TensorSpec>| {
            let shown = specs.iter().map(|(name, spec)| format!("`{name}` {}", shape(spec)));
            shown.collect::<Vec<_>>().join("<br>")
        };
        let (inputs, outputs) = (list(&tensors.inputs), list(&tensors.outputs));
        let _ = writeln!(table, "| `{signature}` | {inputs} | {outputs} |");
    }
    table.push('\n');
    table
}

/// A file without its folders.
fn from_name(texts_from: &str) -> String {
    match Path::new(texts_from).file_name() {
        Some(name) if texts_from.contains('/') => format!("`{}`", name.to_string_lossy()),
        _ => texts_from.to_owned(),
    }
}

/// `int32 [?, ?]`.
fn shape(spec: &TensorSpec) -> String {
    let dims = spec.shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
    format!("{} [{}]", spec.dtype, dims.collect::<Vec<_>>().join(", "))
}
