//! The passages that questions are about.

use std::fs;
use std::path::{Path, PathBuf};

use tfbert::error::{Error, Result};
use tfbert::predict::Passage;
use tfbert::text::{self, count};

/// Largest file of a passage, in bytes.
const LARGEST: usize = 1 << 30;

/// The files of a folder that are passages, by their extension.
const EXTENSIONS: [&str; 3] = ["txt", "md", "text"];

/// Reads the files, and the files of the folders. Files without text are left out with a warning.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Passage>> {
    let mut passages = Vec::new();
    for path in paths {
        let files = if path.is_dir() { files_of(path)? } else { vec![path.clone()] };
        for file in files {
            let text = text::read_file(&file, LARGEST)?;
            if text.trim().is_empty() && path.is_dir() {
                log::warn!("{}: it has no text and is left out", file.display());
                continue;
            }
            passages.push(Passage { file, text: text.into() });
        }
    }
    Ok(passages)
}

/// The passages' files in a folder, sorted by name.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Error::io("list", dir, &error);
    let entries = fs::read_dir(dir).map_err(failed)?.collect::<std::io::Result<Vec<_>>>();
    let mut files: Vec<PathBuf> = entries.map_err(failed)?.into_iter().map(|e| e.path()).collect();
    let all = files.len();
    files.retain(|path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && EXTENSIONS.contains(&extension.as_str())
    });
    files.sort();
    if files.is_empty() {
        return Err(Error::new("no passages in it; expected files that end in .txt or .md").at(dir));
    }
    let others = match all - files.len() {
        0 => String::new(),
        others => {
            format!("; {} left out (only .txt and .md files are read)", count(others, "other"))
        }
    };
    log::info!("{}: {}{others}", dir.display(), count(files.len(), "passage"));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_texts_are_passages_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("b.txt", "two"), ("a.md", "one"), ("c.png", "no text")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::create_dir(dir.path().join("d.txt")).unwrap();
        let passages = read(&[dir.path().to_owned()]).unwrap();
        let texts: Vec<&str> = passages.iter().map(|passage| &*passage.text).collect();
        assert_eq!(texts, ["one", "two"]);
        let empty = tempfile::tempdir().unwrap();
        assert!(read(&[empty.path().to_owned()]).unwrap_err().what().contains("no passages"));
    }
}
