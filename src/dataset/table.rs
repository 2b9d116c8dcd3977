//! Tables: GLUE's TSV, CSV, and JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::rows::{Rows, TableForm};
use super::{Example, Input, Labels, Row, Target, label_set};
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Head, Split, Task, TextColumns};
use crate::text::{count, excerpt};

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
    /// How many rows were left out that have no label.
    without_label: usize,
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
        let mut rows = Rows::open(TableForm::of(task), path, names(columns))?;
        let positions = Positions::find(columns, is_test, &mut rows)?;
        Ok(Self { task, labels, path, is_test, rows, positions, number: 0, without_label: 0 })
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
        let text_pair = if text_pair.is_empty() { None } else { Some(self.text(text_pair)?) };
        Ok(Input::Text { text: self.text(text)?, text_pair })
    }

    /// The text in these columns.
    fn text(&self, positions: &[usize]) -> Result<String> {
        if let [only] = positions {
            return self.field(*only);
        }
        let fields: Result<Vec<&str>> =
            positions.iter().map(|&position| self.rows.field(position)).collect();
        Ok(TextColumns::join(fields?))
    }
}

impl TableReader<'_> {
    /// Moves to the next row that has a label, or need not have one; its line and number.
    fn advance(&mut self) -> Result<Option<(usize, usize)>> {
        while let Some(line) = self.rows.advance()? {
            let number = self.number;
            self.number += 1;
            let label = self.positions.label.and_then(|position| self.rows.optional(position));
            if self.is_test || label.is_none() || label != self.task.repairs.no_label.as_deref() {
                return Ok(Some((line, number)));
            }
            self.without_label += 1;
        }
        Ok(None)
    }

    /// The names of the labels of a row that has any number of them; `None` for a row of a test file
    /// that does not tell.
    fn label_names(&self) -> Result<Option<Vec<String>>> {
        let separator = self.task.label_separator.unwrap_or(label_set::SEPARATOR);
        if let Some(position) = self.positions.label {
            if let Some(list) = self.rows.nested(position) {
                return label_set::of_json(list).map(Some);
            }
            return match self.rows.optional(position) {
                None if self.is_test => Ok(None),
                _ => label_set::listed(self.rows.field(position)?, separator).map(Some),
            };
        }
        let names = self.task.listed_labels().unwrap_or_default();
        let mut found = Vec::new();
        for (name, &position) in names.into_iter().zip(&self.positions.labels) {
            if self.is_test && self.rows.optional(position).is_none() {
                return Ok(None);
            }
            if label_set::flag(self.rows.field(position)?, &name)? {
                found.push(name);
            }
        }
        Ok((!self.positions.labels.is_empty()).then_some(found))
    }

    /// The target of a row that has any number of labels.
    fn label_set(&self) -> Result<Option<Target>> {
        let Some(names) = self.label_names()? else { return Ok(None) };
        let labels = names.iter().map(|name| self.labels.parse(name)).collect::<Result<_>>()?;
        Ok(Some(Target::Labels { labels, of: self.labels.len() }))
    }

    /// Adds to an error of the first line that it may be a header, where columns are asked for by
    /// position.
    fn maybe_header(&self, error: Error, line: usize) -> Error {
        if line == 1 && self.rows.has_no_header() {
            return error.hint(
                "if the first line is a header, name the columns in the task file by it, or remove \
                 it: `tail -n +2 FILE > NEW`",
            );
        }
        error
    }
}

/// Names that headers give to columns of texts, in lower case.
const TEXT_HEADER_NAMES: [&str; 6] =
    ["text", "sentence", "sentence1", "question", "question1", "premise"];

/// Names that headers give to the column of labels, in lower case.
const HEADER_NAMES: [&str; 10] = [
    "label",
    "labels",
    "class",
    "category",
    "target",
    "gold_label",
    "sentiment",
    "polarity",
    "score",
    "rating",
];

impl Reader for TableReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some((line, number)) = self.advance()? else { return Ok(None) };
        let id = match self.positions.id {
            Some(position) => self.field(position)?,
            None => number.to_string(),
        };
        if self.task.head.predicts_label_sets() {
            let target = self
                .label_set()
                .map_err(|error| self.maybe_header(error.at_line(self.path, line), line))?;
            return Ok(Some(Example { id, line, input: self.input()?, target }));
        }
        let label = match self.positions.label {
            // A test file's JSON objects may leave their labels out, as its columns may.
            Some(position) if self.is_test => self.rows.optional(position),
            Some(position) => Some(self.rows.field(position)?),
            None => None,
        };
        if line == 1 && label.is_none() && self.rows.has_no_header() {
            let text = self.text(&self.positions.text)?;
            if TEXT_HEADER_NAMES.contains(&text.trim().to_lowercase().as_str()) {
                let what = format!("the first line's text is `{text}`, as in a header");
                return Err(self.maybe_header(Error::new(what).at_line(self.path, line), line));
            }
        }
        let endings = self.positions.endings.len();
        let target = label
            .filter(|&text| !self.is_test || Some(text) != self.task.repairs.no_label.as_deref())
            .map(|text| {
                target(self.task, text, self.labels, endings)
                    .map_err(|error| self.maybe_header(error.at_line(self.path, line), line))
            })
            .transpose()?;
        Ok(Some(Example { id, line, input: self.input()?, target }))
    }

    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        if self.task.head.predicts_label_sets() {
            let mut counts = BTreeMap::new();
            while let Some((line, _)) = self.advance()? {
                let names = self.label_names().map_err(|error| error.at_line(self.path, line))?;
                for name in names.into_iter().flatten() {
                    *counts.entry(name).or_insert(0) += 1;
                }
            }
            return Ok(counts);
        }
        let Some(label) = self.positions.label else {
            return Err(Error::new("`columns` names no `label`, so labels cannot be found in it")
                .at(self.path));
        };
        let mut counts = BTreeMap::new();
        while let Some((line, _)) = self.advance()? {
            let name = self.rows.field(label)?;
            let is_header = HEADER_NAMES.contains(&name.trim().to_lowercase().as_str());
            if line == 1 && is_header && self.rows.has_no_header() {
                let what = format!("the first line's label is `{name}`, as in a header");
                let error = Error::new(what).at_line(self.path, line);
                return Err(self.maybe_header(error, line));
            }
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

    fn row(&self) -> Option<Row> {
        Some(self.rows.row())
    }

    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        let mut made = Vec::new();
        if let Some((joined, first)) = self.rows.joined() {
            made.push(format!(
                "{} put together that a line feed cuts in two, the first on line {first}",
                count(joined, "row")
            ));
        }
        if let (Some(label), 1..) = (&self.task.repairs.no_label, self.without_label) {
            made.push(format!(
                "{} left out whose label is `{}` (no agreement)",
                count(self.without_label, "row"),
                excerpt(label)
            ));
        }
        match self.rows.empty_at_end() {
            0 => {}
            empty => {
                made.push(format!("{} of empty columns at the end left out", count(empty, "row")))
            }
        }
        made
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
                Error::new(format!("the score is `{}`; expected a number{range}", excerpt(text)))
            })
        }
        Head::Choice => {
            let ending = number.parse::<usize>().ok().filter(|&ending| ending < endings);
            ending.map(Target::Class).ok_or_else(|| {
                Error::new(format!(
                    "the label is `{}`; expected the position of an ending, 0 to {}",
                    excerpt(text),
                    endings - 1
                ))
            })
        }
        // Their files are no tables, or a row has any number of labels.
        Head::Multilabel | Head::Span | Head::Tag | Head::Masked => {
            Err(Error::new(format!("the head `{}` reads no table", task.head)))
        }
    }
}

/// Where the columns stand in a row.
#[derive(Debug, Default)]
struct Positions {
    id: Option<usize>,
    text: Vec<usize>,
    text_pair: Vec<usize>,
    context: Option<usize>,
    start: Option<usize>,
    endings: Vec<usize>,
    label: Option<usize>,
    labels: Vec<usize>,
}

impl Positions {
    fn find(columns: &Columns, is_test: bool, rows: &mut Rows) -> Result<Self> {
        let label = match &columns.label {
            // A test file may leave its labels out.
            Some(column) if is_test && !rows.has(column) => None,
            label => label.as_ref(),
        };
        // So may it those of single labels.
        let labels = match columns.labels.as_slice() {
            labels if is_test && !labels.iter().all(|column| rows.has(column)) => &[],
            labels => labels,
        };
        let texts = |text: &Option<TextColumns>, rows: &mut Rows| -> Result<Vec<usize>> {
            let columns = text.iter().flat_map(TextColumns::columns);
            columns.map(|column| rows.position(column)).collect()
        };
        let text = texts(&columns.text, rows)?;
        let text_pair = texts(&columns.text_pair, rows)?;
        let mut position =
            |column: Option<&Column>| column.map(|column| rows.position(column)).transpose();
        Ok(Self {
            id: position(columns.id.as_ref())?,
            text,
            text_pair,
            context: position(columns.context.as_ref())?,
            start: position(columns.start.as_ref())?,
            label: position(label)?,
            endings: columns
                .endings
                .iter()
                .map(|column| rows.position(column))
                .collect::<Result<Vec<_>>>()?,
            labels: labels
                .iter()
                .map(|column| rows.position(column))
                .collect::<Result<Vec<_>>>()?,
        })
    }
}

/// The names among the columns; positions have none.
pub(super) fn names(columns: &Columns) -> Vec<String> {
    let all = columns.all().filter_map(|(_, column)| match column {
        Column::Name(name) => Some(name.clone()),
        Column::Index(_) => None,
    });
    all.collect()
}

#[cfg(test)]
mod tests;
