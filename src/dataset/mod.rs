//! Files to examples.
//!
//! Every reader fails on the first bad row with `file:line`, and never drops a row.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::task::{Format, Split, Task};

mod conll;
mod labels;
mod lines;
mod rows;
mod squad;
mod table;

pub use labels::Labels;
pub(crate) use squad::byte_offset;

/// One thing to predict, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The file's own identifier (SQuAD's `id`, GLUE's `index`), or the row's number counted from 0.
    pub id: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What the model reads.
    pub input: Input,
    /// What it should say; `None` where the file does not tell.
    pub target: Option<Target>,
}

impl Example {
    /// Whether both are questions about one passage, read once.
    pub(crate) fn same_passage(&self, other: &Self) -> bool {
        match (&self.input, &other.input) {
            (Input::Question { context: one, .. }, Input::Question { context: other, .. }) => {
                std::sync::Arc::ptr_eq(one, other)
            }
            _ => false,
        }
    }
}

/// What the model reads of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text, or a pair of texts.
    Text {
        /// The first or only text.
        text: String,
        /// The second text of a pair.
        text_pair: Option<String>,
    },
    /// A question about a passage.
    Question {
        /// The question.
        question: String,
        /// The passage, shared by its questions.
        context: std::sync::Arc<str>,
    },
    /// A sentence cut into words.
    Words(Vec<String>),
    /// A context, the words that each ending begins with, and the endings.
    Choices {
        /// The context (SWAG's `sent1`).
        context: String,
        /// The beginning of every ending (SWAG's `sent2`); may be empty.
        start: String,
        /// The endings to choose from.
        endings: Vec<String>,
    },
}

/// What the model should say of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The index of a label, or of an ending.
    Class(usize),
    /// A number.
    Score(f32),
    /// Every accepted answer; none of them means that the passage does not tell.
    Answers(Vec<Answer>),
    /// The index of a label for each word.
    Tags(Vec<usize>),
}

/// An accepted answer of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text, cut from the passage.
    pub text: String,
    /// Where it begins in the passage, in Unicode characters (as SQuAD's `answer_start`).
    pub start: usize,
}

/// The examples of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The file they come from.
    pub path: PathBuf,
    /// The examples in the order of the file.
    pub examples: Vec<Example>,
    /// The split's name (`train`, `dev`, …).
    pub split: String,
}

impl Dataset {
    /// Where an example stands.
    pub fn place(&self, example: usize) -> Place {
        Place { path: self.path.clone(), line: Some(self.examples[example].line) }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} examples", self.path.display(), self.examples.len())
    }
}

/// Reads one split of a task.
///
/// `data_dir` is the folder of all data sets. `labels` are the task's, from [`Labels::of`]; heads
/// without labels are given an empty list. With `limit`, reading stops after so many examples.
///
/// # Errors
///
/// A file that is missing, empty or has a bad row; the error names the line.
pub fn read(
    task: &Task,
    split: &Split,
    data_dir: &Path,
    labels: &Labels,
    limit: Option<usize>,
) -> Result<Dataset> {
    let path = find(task, split, data_dir)?;
    let mut examples = Vec::new();
    read_each(task, split, &path, labels, limit, &mut |example| {
        examples.push(example);
        Ok(())
    })?;
    Ok(Dataset { path, examples, split: split.name.clone() })
}

/// Examples in one of the parts of [`read_in_parts`].
const PART: usize = 4096;

/// Reads as [`read`] does, and gives the dataset away in parts, in order, so that only one is in
/// memory: [`PART`] examples, and what then follows about the same passage.
///
/// # Errors
///
/// Those of [`read`], and those of `take`.
pub fn read_in_parts(
    task: &Task,
    split: &Split,
    data_dir: &Path,
    labels: &Labels,
    limit: Option<usize>,
    take: &mut dyn FnMut(&Dataset) -> Result<()>,
) -> Result<()> {
    let path = find(task, split, data_dir)?;
    let mut part = Dataset { path: path.clone(), examples: Vec::new(), split: split.name.clone() };
    read_each(task, split, &path, labels, limit, &mut |example| {
        let examples = &mut part.examples;
        if examples.len() >= PART && !examples.last().is_some_and(|l| l.same_passage(&example)) {
            take(&part)?;
            part.examples.clear();
        }
        part.examples.push(example);
        Ok(())
    })?;
    take(&part)
}

/// What is done with each example that is read.
type Each<'a> = &'a mut dyn FnMut(Example) -> Result<()>;

fn read_each(
    task: &Task,
    split: &Split,
    path: &Path,
    labels: &Labels,
    limit: Option<usize>,
    each: Each<'_>,
) -> Result<()> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut found = false;
    let each = &mut |example| {
        found = true;
        each(example)
    };
    match task.format {
        Format::Tsv | Format::Csv | Format::Jsonl => {
            table::read(task, split, path, labels, limit, each)
        }
        Format::Squad => squad::read(task, split, path, limit, each),
        Format::Conll => conll::read(task, split, path, labels, limit, each),
    }?;
    if found {
        return Ok(());
    }
    Err(Error::new(format!("no examples in it; expected {}", task.format.row_name()))
        .at(path)
        .hint("see the file's expected form with `tfbert tasks --show NAME`"))
}

/// All examples that a reader gives.
#[cfg(test)]
fn collect(read: impl FnOnce(Each<'_>) -> Result<()>) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    read(&mut |example| {
        examples.push(example);
        Ok(())
    })?;
    Ok(examples)
}

/// The path of a split's file, checked to exist.
///
/// # Errors
///
/// The file or its folder is missing; the hint names what to set.
pub fn find(task: &Task, split: &Split, data_dir: &Path) -> Result<PathBuf> {
    let path = task.path(split, data_dir);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(format!(
        "the {} file of task `{}` is not there",
        split.name, task.name
    ))
    .at(&path)
    .hint("name the folder that holds the data sets with `--data-dir DIR` or the variable `TFBERT_DATA`"))
}
