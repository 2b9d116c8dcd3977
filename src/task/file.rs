//! Tasks by name or from a user's file.

use std::path::Path;

use super::{Format, Head, Task, tasks};
use crate::error::{Error, Result};

/// The task of that name, or the task in that file where the name ends in `.json`.
///
/// # Errors
///
/// No such task or file, or a file that is not a task.
pub fn find(name: &str) -> Result<Task> {
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        return load(Path::new(name));
    }
    tasks().iter().find(|task| task.name == name).cloned().ok_or_else(|| {
        let nearest = tasks().iter().min_by_key(|task| strsim::levenshtein(&task.name, name));
        let nearest = nearest.map_or("", |task| &task.name);
        Error::usage(format!("there is no task `{name}`; did you mean `{nearest}`?"))
            .hint("list the tasks with `tfbert tasks`, or name a task file that ends in `.json`")
    })
}

/// Reads a user's own task.
///
/// # Errors
///
/// The file cannot be read, is no task, or contradicts itself; the error names the line.
pub fn load(path: &Path) -> Result<Task> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::io("read", path, &error).hint(HINT))?;
    let mut task: Task = serde_json::from_str(&text).map_err(|error| {
        Error::new(format!("it is not a task: {error}")).at_line(path, error.line()).hint(HINT)
    })?;
    check(&task).map_err(|what| Error::new(what).at(path).hint(HINT))?;
    task.base = Some(path.parent().unwrap_or(Path::new("")).to_owned());
    Ok(task)
}

const HINT: &str = "print a task to start from with `tfbert tasks --show sst2`";

/// What would make a later stage stumble, said here where the file is known.
fn check(task: &Task) -> std::result::Result<(), String> {
    let name_is_plain = !task.name.is_empty()
        && task.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !task.name.starts_with('.');
    if !name_is_plain {
        return Err(format!(
            "`name` is `{}`; expected letters, digits, `-`, `_` and `.`, since it names a folder",
            task.name
        ));
    }
    if task.metrics.is_empty() {
        return Err("`metrics` is empty; the first metric selects the best checkpoint".into());
    }
    if let Some(labels) = &task.labels {
        let mut sorted = labels.clone();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("`labels` has `{}` twice", twice[0]));
        }
        if labels.len() < 2 {
            return Err("`labels` needs at least two labels".into());
        }
    }
    let mut names: Vec<_> = task.splits().map(|split| split.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two files have the name `{}`", twice[0]));
    }
    for split in task.splits() {
        let columns = task.columns_of(split);
        let missing = match (task.head, task.format) {
            (Head::Span, Format::Squad) | (Head::Tag, Format::Conll) => None,
            (Head::Span, _) => return Err("the head `span` reads the format `squad`".into()),
            (Head::Tag, _) => return Err("the head `tag` reads the format `conll`".into()),
            (_, Format::Squad | Format::Conll) => {
                return Err(format!("the head `{}` reads tsv, csv or jsonl", task.head));
            }
            (Head::Choice, _) if columns.endings.len() < 2 => Some("endings"),
            (Head::Choice, _) => columns.context.is_none().then_some("context"),
            (Head::Classify | Head::Regress, _) => columns.text.is_none().then_some("text"),
        };
        if let Some(missing) = missing {
            return Err(format!("`columns` of `{}` lacks `{missing}`", split.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_task_is_answered_with_the_nearest_name() {
        let error = find("sst-2").unwrap_err();
        assert!(error.what().contains("did you mean `sst2`"), "{error}");
    }

    #[test]
    fn a_name_that_would_leave_its_folder_is_refused() {
        let mut task = tasks()[0].clone();
        task.name = "../elsewhere".into();
        assert!(check(&task).unwrap_err().contains("`name`"));
    }
}
