//! What the readers of all forms of file have in common.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Example, Labels, Row, conll, plain, question_rows, squad, table, tokens};
use crate::error::Result;
use crate::metric::InputKind;
use crate::task::{Format, ReadTags, Split, Task};

/// Reads the examples of one file.
pub(super) trait Reader {
    /// The next example, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or what follows is not an example; the error names the line.
    fn next_example(&mut self) -> Result<Option<Example>>;

    /// The labels that stand in the rest of the file, and how many examples (for tags, words) have
    /// each.
    ///
    /// # Errors
    ///
    /// As [`Reader::next_example`], or the file has no labels.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>>;

    /// The row of the last example as the file has it; `None` where examples are no rows.
    fn row(&self) -> Option<Row> {
        None
    }

    /// How many bytes of the file were read.
    fn bytes_read(&self) -> u64;

    /// What was done about the file's known flaws so far, with counts, in sentences.
    fn repairs(&self) -> Vec<String>;

    /// What the tags of entities that were read so far say of their scheme.
    fn tags_read(&self) -> Option<&ReadTags> {
        None
    }
}

/// Opens a file in the form that the task's files have. To add a form, add its reader here.
///
/// # Errors
///
/// The file cannot be opened, or lacks a column that the task names.
pub(super) fn open<'a>(
    task: &'a Task,
    split: &'a Split,
    path: &'a Path,
    labels: &'a Labels,
) -> Result<Box<dyn Reader + 'a>> {
    Ok(match task.format {
        format if format.has_objects() && task.head.asks_about_passage() => {
            Box::new(question_rows::QuestionRows::open(task, split, path)?)
        }
        format if format.has_objects() && task.head.metric_input() == InputKind::Tags => {
            Box::new(tokens::TokensReader::open(task, split, path, labels)?)
        }
        Format::Tsv | Format::Csv | Format::Jsonl | Format::Json | Format::Parquet => {
            Box::new(table::TableReader::open(task, split, path, labels)?)
        }
        Format::Squad => Box::new(squad::SquadReader::open(task, split, path)?),
        Format::Text => Box::new(plain::PlainReader::open(path, task.sample_by)?),
        Format::Conll => Box::new(conll::ConllReader::open(task, split, path, labels)?),
    })
}

/// All examples of a reader, for tests.
#[cfg(test)]
pub(super) fn read_all(mut reader: impl Reader) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    while let Some(example) = reader.next_example()? {
        examples.push(example);
    }
    Ok(examples)
}
