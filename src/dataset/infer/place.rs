//! Name and files of a task that is made of a data file, and the task file that it stands for.

use super::{Component, DataFile, Error, Path, PathBuf, Result, Split, Task};

/// Names the task after the file, and its training and development files.
///
/// Both lie below the task's folder: that of the training file as it was typed or, where the
/// development file lies elsewhere, the folder that both lie below.
pub(super) fn name_files(task: &mut Task, file: &DataFile<'_>) -> Result<()> {
    task.name = task_name(file.path);
    let parent = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    let mut folder = parent(file.path);
    let mut files = vec![file.path.to_owned()];
    files.extend(file.dev.map(Path::to_owned));
    if files.iter().any(|path| parent(path) != folder) {
        for path in &mut files {
            *path = absolute(path)?;
        }
        folder = common(&files[0], &files[1]);
    }
    let split = |name: &str, path: &Path| -> Result<Split> {
        let below = path.strip_prefix(&folder).unwrap_or(path);
        Ok(Split { name: name.to_owned(), file: text_of(below)?, columns: None, submission: None })
    };
    task.train = Some(split("train", &files[0])?);
    task.dev = files[1..].iter().map(|path| split("dev", path)).collect::<Result<_>>()?;
    task.folder = String::new();
    // Paths stay as they were typed, relative to the working folder.
    task.base = Some(folder);
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io("find", path, &error))
}

fn text_of(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::usage("its name is not UTF-8").at(path).hint("rename the file"))
}

/// The folder that two files lie below.
fn common(one: &Path, other: &Path) -> PathBuf {
    let parts = one.components().zip(other.components());
    let parts = parts.take_while(|(a, b)| a == b).map(|(a, _)| a);
    let parts: Vec<Component<'_>> = parts.collect();
    parts.iter().collect()
}

/// A task's name, and so a folder's: the file's name without its extension.
fn task_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let sign = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(sign).take(100).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}

impl super::Inferred {
    /// The task as a task file that finds its data wherever the task file lies.
    ///
    /// # Errors
    ///
    /// The data's folder is gone or its name is not UTF-8.
    pub fn task_file(task: &Task) -> Result<Task> {
        let base = task.base.clone().unwrap_or_default();
        let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
        let folder = absolute(&base.join(&task.folder))?;
        Ok(Task { folder: text_of(&folder)?, base: None, ..task.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_after_its_file_in_letters_that_a_folder_may_have() {
        for (path, name) in [
            ("data/tickets.csv", "tickets"),
            ("Support Tickets (2024).csv", "Support-Tickets--2024"),
            (".hidden", "hidden"),
            ("日本.csv", "data"),
            ("train.v2.jsonl", "train.v2"),
        ] {
            assert_eq!(task_name(Path::new(path)), name, "{path}");
        }
    }

    #[test]
    fn two_files_lie_below_the_folder_that_they_share() {
        let common = |one: &str, other: &str| common(Path::new(one), Path::new(other));
        assert_eq!(common("/a/b/x.csv", "/a/c/y.csv"), Path::new("/a"));
        assert_eq!(common("/a/x.csv", "/b/y.csv"), Path::new("/"));
    }
}
