//! Tables: GLUE's TSV, CSV, and JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::rows::Rows;
use super::{Example, Input, Labels, Target};
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Head, Split, Task};

/// Reads a table.
pub(super) struct TableReader<'a> {
    task: &'a Task,
    labels: &'a Labels,
    path: &'a Path,
    is_test: bool,
    rows: Rows,
    positions: Positions,
    /// The number of the next row, counted from 0.
    number: usize,
}

impl<'a> TableReader<'a> {
    /// Opens a table and finds the task's columns in it.
    pub(super) fn open(
        task: &'a Task,
        split: &'a Split,
        path: &'a Path,
        labels: &'a Labels,
    ) -> Result<Self> {
        let columns = task.columns_of(split);
        let is_test = task.is_test(split);
        let mut rows = Rows::open(task.format, path, names(columns))?;
        let positions = Positions::find(columns, is_test, &mut rows)?;
        Ok(Self { task, labels, path, is_test, rows, positions, number: 0 })
    }

    fn field(&self, position: usize) -> Result<String> {
        self.rows.field(position).map(str::to_owned)
    }

    fn optional_field(&self, position: Option<usize>) -> Result<String> {
        position.map_or_else(|| Ok(String::new()), |position| self.field(position))
    }

    fn input(&self) -> Result<Input> {
        let Positions { text, text_pair, context, start, endings, .. } = &self.positions;
        if self.task.head.has_endings() {
            return Ok(Input::Choices {
                context: self.optional_field(*context)?,
                start: self.optional_field(*start)?,
                endings: endings
                    .iter()
                    .map(|&position| self.field(position))
                    .collect::<Result<Vec<_>>>()?,
            });
        }
        Ok(Input::Text {
            text: self.optional_field(*text)?,
            text_pair: text_pair.map(|position| self.field(position)).transpose()?,
        })
    }
}

impl Reader for TableReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some(line) = self.rows.advance()? else { return Ok(None) };
        let number = self.number;
        self.number += 1;
        let label = match self.positions.label {
            // A test file's JSON objects may leave their labels out, as its columns may.
            Some(position) if self.is_test => self.rows.optional(position),
            Some(position) => Some(self.rows.field(position)?),
            None => None,
        };
        let endings = self.positions.endings.len();
        let target = label
            .map(|text| {
                target(self.task, text, self.labels, endings)
                    .map_err(|error| error.at_line(self.path, line))
            })
            .transpose()?;
        let id = match self.positions.id {
            Some(position) => self.field(position)?,
            None => number.to_string(),
        };
        Ok(Some(Example { id, line, input: self.input()?, target }))
    }

    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let Some(label) = self.positions.label else {
            return Err(Error::new("`columns` names no `label`, so labels cannot be found in it")
                .at(self.path));
        };
        let mut counts = BTreeMap::new();
        while let Some(line) = self.rows.advance()? {
            let name = self.rows.field(label)?;
            if name.is_empty() {
                return Err(Error::new("the label is empty; expected the name of one")
                    .at_line(self.path, line));
            }
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(name.to_owned(), 1);
                }
            }
        }
        Ok(counts)
    }

    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }
}

/// What a row's label says.
fn target(task: &Task, text: &str, labels: &Labels, endings: usize) -> Result<Target> {
    let number = text.trim();
    match task.head {
        Head::Classify => labels.parse(text).map(Target::Class),
        Head::Regress => {
            let [low, high] = task.score_range.unwrap_or([f32::MIN, f32::MAX]);
            let score = number.parse::<f32>().ok().filter(|score| (low..=high).contains(score));
            score.map(Target::Score).ok_or_else(|| {
                let range = match task.score_range {
                    Some([low, high]) => format!(" from {low} to {high}"),
                    None => String::new(),
                };
                Error::new(format!("the score is `{text}`; expected a number{range}"))
            })
        }
        Head::Choice => {
            let ending = number.parse::<usize>().ok().filter(|&ending| ending < endings);
            ending.map(Target::Class).ok_or_else(|| {
                Error::new(format!(
                    "the label is `{text}`; expected the position of an ending, 0 to {}",
                    endings - 1
                ))
            })
        }
        // Their files are no tables.
        Head::Span | Head::Tag => {
            Err(Error::new(format!("the head `{}` reads no table", task.head)))
        }
    }
}

/// Where the columns stand in a row.
#[derive(Debug, Default)]
struct Positions {
    id: Option<usize>,
    text: Option<usize>,
    text_pair: Option<usize>,
    context: Option<usize>,
    start: Option<usize>,
    endings: Vec<usize>,
    label: Option<usize>,
}

impl Positions {
    fn find(columns: &Columns, is_test: bool, rows: &mut Rows) -> Result<Self> {
        let label = match &columns.label {
            // A test file may leave its labels out.
            Some(column) if is_test && !rows.has(column) => None,
            label => label.as_ref(),
        };
        let mut position =
            |column: Option<&Column>| column.map(|column| rows.position(column)).transpose();
        Ok(Self {
            id: position(columns.id.as_ref())?,
            text: position(columns.text.as_ref())?,
            text_pair: position(columns.text_pair.as_ref())?,
            context: position(columns.context.as_ref())?,
            start: position(columns.start.as_ref())?,
            label: position(label)?,
            endings: columns
                .endings
                .iter()
                .map(|column| rows.position(column))
                .collect::<Result<Vec<_>>>()?,
        })
    }
}

/// The names among the columns; positions have none.
fn names(columns: &Columns) -> Vec<String> {
    let Columns { id, text, text_pair, context, start, endings, word, label } = columns;
    [id, text, text_pair, context, start, word, label]
        .into_iter()
        .flatten()
        .chain(endings)
        .filter_map(|column| match column {
            Column::Name(name) => Some(name.clone()),
            Column::Index(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::reader::read_all;
    use super::*;
    use crate::task;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn read_as(task: &Task, split: &Split, path: &Path, labels: &Labels) -> Result<Vec<Example>> {
        read_all(TableReader::open(task, split, path, labels)?)
    }

    fn read_sst2(text: &str) -> Result<Vec<Example>> {
        let task = task::find("sst2").unwrap();
        let (_dir, path) = file("train.tsv", text);
        let labels = Labels::new(task.labels.clone().unwrap());
        read_as(&task, task.train.as_ref().unwrap(), &path, &labels)
    }

    #[test]
    fn quotes_in_tsv_are_ordinary_characters() {
        let examples = read_sst2("sentence\tlabel\n\"a \"\" fine film\t1\n").unwrap();
        let Input::Text { text, .. } = &examples[0].input else { panic!() };
        assert_eq!(text, "\"a \"\" fine film");
        assert_eq!(examples[0].target, Some(Target::Class(1)));
        assert_eq!(examples[0].line, 2);
    }

    #[test]
    fn a_row_with_too_few_columns_names_its_line_and_both_counts() {
        let error = read_sst2("sentence\tlabel\ngood\t1\nbad\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
        assert!(error.what().contains("expected 2 columns (sentence, label), found 1"), "{error}");
    }

    #[test]
    fn an_unknown_label_names_its_line_and_the_known_ones() {
        let error = read_sst2("sentence\tlabel\ngood\t1\nbad\t2\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
        assert!(error.what().contains("unknown label `2`; expected one of `0`, `1`"), "{error}");
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let error = read_sst2("text\tlabel\ngood\t1\n").unwrap_err();
        assert!(error.what().contains("no column `sentence`"), "{error}");
        assert!(error.to_string().contains("`text`, `label`"), "{error}");
    }

    #[test]
    fn a_blank_line_between_rows_is_not_skipped() {
        let error = read_sst2("sentence\tlabel\ngood\t1\n\nbad\t0\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
        let examples = read_sst2("\u{feff}sentence\tlabel\r\ngood\t1\r\n").unwrap();
        assert_eq!(examples.len(), 1);
        assert_eq!(examples[0].target, Some(Target::Class(1)));
    }

    #[test]
    fn text_that_is_not_utf8_names_its_line() {
        let task = task::find("sst2").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        fs::write(&path, b"sentence\tlabel\nfine\t1\n\xff\xfe\t0\n").unwrap();
        let labels = Labels::new(task.labels.clone().unwrap());
        let error = read_as(&task, task.train.as_ref().unwrap(), &path, &labels).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_that_is_no_number_names_its_line() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\tnan\n");
        let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_outside_the_range_names_its_line_and_the_range() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t5.1\n");
        let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
        assert!(error.what().contains("`5.1`; expected a number from 0 to 5"), "{error}");
    }

    #[test]
    fn json_lines_are_read_by_key() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let (_dir, path) =
            file("dev.jsonl", "{\"label\": 1, \"sentence\": \"so \\\"good\\\"\", \"x\": [1]}\n");
        let labels = Labels::new(task.labels.clone().unwrap());
        let examples = read_as(&task, &task.dev[0], &path, &labels).unwrap();
        assert_eq!(examples[0].input, Input::Text { text: "so \"good\"".into(), text_pair: None });
        assert_eq!(examples[0].target, Some(Target::Class(1)));
    }

    #[test]
    fn json_that_ends_early_names_its_line() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let (_dir, path) = file("dev.jsonl", "{\"label\": 1, \"sentence\": \"a\"}\n{\"label\": ");
        let labels = Labels::new(task.labels.clone().unwrap());
        let error = read_as(&task, &task.dev[0], &path, &labels).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
    }
}
