//! Reading a SavedModel's `tfbert.json`.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::model::{CONTRACT_VERSION, Contract};
use crate::task::Head;

/// Where TensorFlow's own place for files that the graph does not read lies.
pub(super) const ASSETS: &str = "assets.extra";

/// Reads and checks the contract of the SavedModel in `dir`.
///
/// # Errors
///
/// There is no SavedModel, it was not exported by tfbert, or by one with another contract.
pub fn read(dir: &Path) -> Result<Contract> {
    let export = export_hint(dir);
    if !dir.join("saved_model.pb").is_file() {
        return Err(Error::new("there is no SavedModel there").at(dir).hint(export));
    }
    let path = dir.join(ASSETS).join("tfbert.json");
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new("this SavedModel was not made by tfbert: it has no contract")
                .at(&path)
                .hint(export)
        }
        _ => Error::io("read", &path, &error),
    })?;
    let damaged = |error: serde_json::Error| {
        Error::new(format!("the contract is damaged: {error}"))
            .at_line(&path, error.line())
            .hint("export it anew with `python -m python_export --force …`")
    };
    // The version comes first: another version may have other fields.
    let Version { contract_version } = serde_json::from_str(&text).map_err(damaged)?;
    if contract_version != CONTRACT_VERSION {
        return Err(Error::new(format!(
            "the contract's version is {contract_version}, this tfbert speaks {CONTRACT_VERSION}"
        ))
        .at(&path)
        .hint("export it anew with `python -m python_export --force …`, or use the tfbert of its time"));
    }
    let contract: Contract = serde_json::from_str(&text).map_err(damaged)?;
    if let Some(trained) = &contract.trained {
        // Its names become names of files and folders, as a task file's do.
        trained.task.check().map_err(|error| error.at(&path))?;
    }
    Ok(contract)
}

/// The command that exports a SavedModel with the head that the folder is named after.
fn export_hint(dir: &Path) -> String {
    let names_folder = |head: &Head| dir.file_name().is_some_and(|name| name == head.name());
    let head = Head::ALL.into_iter().find(names_folder).unwrap_or(Head::Classify);
    format!(
        "export one with `python -m python_export --encoder minilm-l6 --head {head} --output \
         saved_models`"
    )
}

#[derive(Deserialize)]
struct Version {
    contract_version: u32,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_export_of_another_contract_version_names_both() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("saved_model.pb"), "").unwrap();
        fs::create_dir(dir.path().join(ASSETS)).unwrap();
        fs::write(dir.path().join(ASSETS).join("tfbert.json"), "{\"contract_version\": 99}")
            .unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(error.what().contains("version is 99, this tfbert speaks 1"), "{error}");
    }

    #[test]
    fn a_trained_task_whose_name_would_leave_its_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("saved_model.pb"), "").unwrap();
        fs::create_dir(dir.path().join(ASSETS)).unwrap();
        let write = |name: &str| {
            let mut task = crate::task::tasks()[0].clone();
            task.name = name.into();
            let contract = serde_json::json!({
                "contract_version": 1, "tfbert_version": "0.1.0", "head": "classify",
                "encoder": {
                    "name": "tiny", "hidden_size": 32, "num_hidden_layers": 2,
                    "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 100,
                    "max_position_embeddings": 128, "type_vocab_size": 2, "hidden_act": "gelu",
                    "layer_norm_eps": 1e-12, "initializer_range": 0.02, "pad_token_id": 0,
                },
                "max_length": 128, "do_lower_case": true, "precisions": ["f32"],
                "weights_sha256": "",
                "trained": {
                    "task": task, "labels": ["0", "1"], "precision": "f32", "max_length": 128,
                    "doc_stride": 16, "max_query_length": 64, "metrics": {},
                },
            });
            fs::write(dir.path().join(ASSETS).join("tfbert.json"), contract.to_string()).unwrap();
            read(dir.path())
        };
        assert!(write("cola").is_ok());
        let error = write("../elsewhere").unwrap_err();
        assert!(error.what().contains("`name`"), "{error}");
    }

    #[test]
    fn a_folder_without_a_saved_model_is_answered_with_the_export_command() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(error.hint_text().unwrap().contains("python -m python_export"), "{error}");
        for (folder, head) in [("span", "span"), ("model", "classify")] {
            let error = read(&dir.path().join(folder)).unwrap_err();
            let wanted = format!("--head {head} ");
            assert!(error.hint_text().unwrap().contains(&wanted), "{error}");
        }
    }
}
