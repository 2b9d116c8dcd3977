//! Writes a trained model in the form that another program loads: transformers, TensorFlow Serving or ONNX
//! Runtime. Each form is a folder with a model card.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::DISK_HINT;

mod card;
mod hugging_face;
mod onnx;
mod request;
mod serving;
mod source;
mod weights;

pub use hugging_face::{check_hugging_face, write_hugging_face};
pub use onnx::{Converted, OnnxTensor, check_onnx, write_onnx};
pub use serving::{SIGNATURE, check_serving, write_serving};
pub use source::Source;

/// The model card's file.
const CARD: &str = "README.md";

/// Refuses a folder that an export would not be written to. With `overwrite` an export takes the place
/// of another: of a folder that holds the file `marker`.
///
/// # Errors
///
/// The folder is not empty, and `overwrite` is not given or it holds no export.
fn check_folder(dir: &Path, marker: &str, overwrite: bool) -> Result<()> {
    if dir.file_name().is_none() {
        return Err(Error::usage("this is not a name for a new folder")
            .at(dir)
            .hint("name the folder to write, such as `exports/sst2`"));
    }
    let occupied = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::io("write to", dir, &error)),
    };
    if occupied && !overwrite {
        return Err(Error::usage("the folder is not empty")
            .at(dir)
            .hint("name another folder, or replace the export that it holds with `--overwrite`"));
    }
    if occupied && !dir.join(marker).is_file() {
        return Err(Error::usage(format!(
            "the folder is not empty and holds no export (no `{marker}`), so it is not overwritten"
        ))
        .at(dir)
        .hint("name another folder"));
    }
    Ok(())
}

/// Writes a text.
fn write_text(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Error::io("write", path, &error).hint(DISK_HINT))
}

/// Writes JSON, indented as transformers does.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(format!("could not write JSON: {error}")).at(path))?;
    write_text(path, &(text + "\n"))
}

/// Copies a file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).map(drop);
    copied.map_err(|error| match from.is_file() {
        true => Error::io("write", to, &error).hint(DISK_HINT),
        false => Error::io("read", from, &error),
    })
}

/// Labels by their index, as `id2label` and `label2id` of a `config.json` have them.
fn label_maps(labels: &[String]) -> (BTreeMap<usize, &str>, BTreeMap<&str, usize>) {
    let names = labels.iter().map(String::as_str).enumerate();
    (names.clone().collect(), names.map(|(index, name)| (name, index)).collect())
}

/// The absolute form of a path, for `file_name` and messages.
pub fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_files_is_overwritten_only_where_it_holds_an_export_and_the_flag_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let check = |overwrite| check_folder(&path, "config.json", overwrite);
        check(false).unwrap();
        fs::create_dir(&path).unwrap();
        check(false).unwrap();
        fs::write(path.join("thesis.txt"), "years of work").unwrap();
        let error = check(false).unwrap_err();
        assert!(error.hint_text().unwrap().contains("--overwrite"), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(check(true).unwrap_err().what().contains("holds no export"));
        fs::write(path.join("config.json"), "{}").unwrap();
        check(true).unwrap();
    }

    #[test]
    fn a_file_and_a_path_without_a_name_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(check_folder(&file, "config.json", true).is_err());
        assert!(check_folder(Path::new("/"), "config.json", true).is_err());
    }
}
