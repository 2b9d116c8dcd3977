//! The Python package that exports encoders, as part of this binary.

use std::fs;
use std::path::Path;

use tfbert::error::Result;
use tfbert::files::{replace_folder, write_file};

/// The texts of files of `python_export/`, each with its name.
macro_rules! package {
    ($($name:literal,)*) => {
        &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/python_export/", $name)),
        )),*]
    };
}

/// Every file that exporting and its environment need. A test compares it with the folder.
const FILES: &[(&str, &str)] = package![
    "__init__.py",
    "__main__.py",
    "activations.py",
    "attention.py",
    "config.py",
    "deferred.py",
    "elementwise.py",
    "encoder.py",
    "encoders.lock",
    "export.py",
    "families/__init__.py",
    "families/bert.py",
    "families/distilbert.py",
    "families/electra.py",
    "families/family.py",
    "families/modernbert.py",
    "families/roberta.py",
    "files.py",
    "folders.py",
    "formats/__init__.py",
    "formats/garden.py",
    "formats/keras_h5.py",
    "formats/safetensors_files.py",
    "formats/stored.py",
    "formats/tensorflow_files.py",
    "formats/torch_files.py",
    "forward.py",
    "fused.py",
    "fused_pre_norm.py",
    "heads.py",
    "hub.py",
    "hugging_face.py",
    "kept.py",
    "lazy_rows.py",
    "masked.py",
    "model.py",
    "optimizer.py",
    "plain.py",
    "pre_norm.py",
    "requirements-gpu.lock",
    "requirements-onnx.lock",
    "requirements.lock",
    "rounded.py",
    "signatures.py",
    "source.py",
    "stored_head.py",
    "subword.py",
    "tiny.py",
    "to_onnx.py",
    "tokenizer.py",
    "weights.py",
    "whole_step.py",
    "workers.py",
];

/// Writes the package to `folder/python_export`, unless it is there as it would be written.
pub(super) fn write(folder: &Path) -> Result<()> {
    let package = folder.join("python_export");
    let same = |(name, text): &(&str, &str)| {
        fs::read(package.join(name)).is_ok_and(|known| known == text.as_bytes())
    };
    if FILES.iter().all(same) {
        return Ok(());
    }
    replace_folder(&package, |partial| {
        for (name, text) in FILES {
            let path = partial.join(name);
            let parent = path.parent().unwrap_or(partial);
            fs::create_dir_all(parent)
                .map_err(|error| tfbert::error::Error::io("create", parent, &error))?;
            write_file(&path, text)?;
        }
        Ok(())
    })
}

/// The text of a file of the package.
pub(super) fn text(name: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" && name != "__pycache__" {
                sources(&path, found);
            } else if name.ends_with(".py")
                || name.ends_with(".lock") && name != "requirements-dev.lock"
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn the_binary_holds_every_file_of_the_package() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python_export");
        let mut found = Vec::new();
        sources(&package, &mut found);
        let name = |path: &PathBuf| path.strip_prefix(&package).unwrap().display().to_string();
        let found: BTreeSet<String> = found.iter().map(name).collect();
        let known: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(known, found, "left: FILES in src/commands/setup/package.rs, right: the folder");
    }

    #[test]
    fn a_package_of_another_version_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("python_export/gone.py");
        fs::create_dir_all(old.parent().unwrap()).unwrap();
        fs::write(&old, "").unwrap();
        write(dir.path()).unwrap();
        assert!(!old.exists());
        let main = fs::read_to_string(dir.path().join("python_export/__main__.py")).unwrap();
        assert_eq!(main, text("__main__.py"));
        assert!(dir.path().join("python_export/families/bert.py").is_file());
    }
}
