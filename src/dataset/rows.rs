//! The rows of TSV, CSV, JSON lines and JSON files, one at a time.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Row as KeptRow;
use crate::error::{Error, Result};
use crate::task::{Column, Format, Task};
use crate::text::{self, Lines, MAX_ROW, excerpt};

mod csv_row;
mod json_keys;
mod json_list;
mod parquet_rows;
mod row;

use csv_row::{CsvFields, csv_row};
pub(super) use json_keys::keys;
use json_list::{JsonList, object_error};
use parquet_rows::ParquetRows;
use row::Row;

/// A table that is being read. [`Rows::advance`] moves to the next row.
///
/// Memory is bounded by the longest row, see [`MAX_ROW`].
pub(super) struct Rows {
    format: Format,
    path: PathBuf,
    source: Source,
    /// The first line of the current row, counted from 1.
    line: usize,
    /// The header's names or, for JSON lines, the keys that are asked for.
    names: Vec<String>,
    /// Columns of the header or else of the first row.
    width: Option<usize>,
    /// Columns that are asked for by position.
    needed: usize,
    csv: CsvFields,
    row: Row,
    /// Whether a TSV row that is too short goes on on the next line.
    join_cut_rows: bool,
    /// How many rows were put together of several lines, and the line of the first.
    joined: Option<(usize, usize)>,
    /// How many rows at the end were left out since all their columns are empty.
    empty_at_end: usize,
}

/// What rows are cut from.
enum Source {
    Lines(Lines<'static>),
    /// A JSON list, an object at a time.
    List(JsonList),
    /// A Parquet file, a row at a time.
    Parquet(ParquetRows),
}

impl Source {
    fn open(format: Format, path: &Path) -> Result<Self> {
        Ok(match format {
            Format::Json => Self::List(JsonList::open(path)?),
            Format::Parquet => Self::Parquet(ParquetRows::open(path)?),
            _ => Self::Lines(Lines::open(path)?),
        })
    }
}

/// How a table is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableForm {
    pub(super) format: Format,
    /// What separates the columns of CSV.
    pub(super) delimiter: u8,
    /// Whether a TSV row that is too short goes on on the next line; see
    /// [`Repairs::join_cut_rows`](crate::task::Repairs::join_cut_rows).
    pub(super) join_cut_rows: bool,
}

impl TableForm {
    /// The form of a task's files.
    pub(super) fn of(task: &Task) -> Self {
        Self {
            format: task.format,
            // `task::check` accepts ASCII alone.
            delimiter: task.delimiter.and_then(|sign| u8::try_from(sign).ok()).unwrap_or(b','),
            join_cut_rows: task.repairs.join_cut_rows,
        }
    }
}

impl Rows {
    /// Opens a table. `names` are the columns that will be asked for by name; a file of which
    /// columns are asked for by position only has no header.
    pub(super) fn open(form: TableForm, path: &Path, names: Vec<String>) -> Result<Self> {
        let TableForm { format, delimiter, join_cut_rows } = form;
        let source = Source::open(format, path)?;
        let mut rows = Self {
            format,
            path: path.to_owned(),
            source,
            line: 0,
            names: Vec::new(),
            width: None,
            needed: 0,
            csv: CsvFields::new(delimiter),
            row: Row::default(),
            join_cut_rows,
            joined: None,
            empty_at_end: 0,
        };
        if format.has_objects() {
            rows.names = names;
        } else if !names.is_empty() {
            rows.read_header()?.ok_or_else(|| {
                let what = format!("it is empty; expected a header with {}", listed(&names));
                Error::new(what).at(path)
            })?;
        }
        Ok(rows)
    }

    /// Reads the first row as the names of the columns; `None` where there is none.
    pub(super) fn read_header(&mut self) -> Result<Option<&[String]>> {
        if self.advance()?.is_none() {
            return Ok(None);
        }
        self.names = self.row.texts().map(str::to_owned).collect();
        Ok(Some(&self.names))
    }

    /// Whether a file with a header, or JSON lines, may have this column.
    pub(super) fn has(&self, column: &Column) -> bool {
        match column {
            Column::Name(name) => self.names.contains(name),
            Column::Index(index) => self.width.is_none_or(|width| *index < width),
        }
    }

    /// How many rows were put together of several lines, and the line of the first of them.
    pub(super) fn joined(&self) -> Option<(usize, usize)> {
        self.joined
    }

    /// How many rows at the end of a CSV file were left out since all their columns are empty.
    pub(super) fn empty_at_end(&self) -> usize {
        self.empty_at_end
    }

    /// Whether all columns are asked for by position, so that the first line is a row.
    pub(super) fn has_no_header(&self) -> bool {
        self.names.is_empty()
    }

    /// The current row as the file has it.
    pub(super) fn row(&self) -> KeptRow {
        match (&self.source, self.format) {
            // A line break stands only between the parts of an object: inside a text it is escaped.
            (Source::List(list), _) => KeptRow::Object(list.object().replace(['\n', '\r'], " ")),
            (Source::Parquet(rows), _) => KeptRow::Object(rows.object().to_owned()),
            (Source::Lines(lines), Format::Jsonl) => KeptRow::Object(lines.current().to_owned()),
            _ => KeptRow::Fields(self.row.texts().map(str::to_owned).collect()),
        }
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Lines(lines) => lines.bytes_read(),
            Source::List(list) => list.bytes_read(),
            Source::Parquet(rows) => rows.bytes_read(),
        }
    }

    /// The name of the column in this place.
    pub(super) fn name(&self, position: usize) -> &str {
        self.names.get(position).map_or("", String::as_str)
    }

    /// The list or object that a JSON object has in this place.
    pub(super) fn nested(&self, position: usize) -> Option<&Value> {
        self.row.nested.iter().find(|(at, _)| *at == position).map(|(_, value)| value)
    }

    /// Where a column stands in the row.
    pub(super) fn position(&mut self, column: &Column) -> Result<usize> {
        let name = match column {
            Column::Index(_) if self.format.has_objects() => {
                return Err(Error::new("the columns of JSON objects are named, not numbered")
                    .at(&self.path));
            }
            Column::Index(index) => {
                if self.width.is_some_and(|width| *index >= width) {
                    return Err(Error::new(format!(
                        "no column {index} (counted from 0) in it; it has {}",
                        listed(&self.names)
                    ))
                    .at_line(&self.path, 1));
                }
                self.needed = self.needed.max(index + 1);
                return Ok(*index);
            }
            Column::Name(name) => name,
        };
        let mut found = self.names.iter().enumerate().filter(|(_, known)| *known == name);
        let Some((position, _)) = found.next() else {
            let what =
                format!("no column `{}` in it; it has {}", excerpt(name), listed(&self.names));
            let error = Error::new(what).at_line(&self.path, 1);
            return Err(match self.separator_hint() {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        // JSON objects have the keys that are asked for, which may be the same for two purposes.
        if !self.format.has_objects() && found.next().is_some() {
            return Err(Error::new(format!("it has two columns `{name}`; expected one"))
                .at_line(&self.path, 1));
        }
        Ok(position)
    }

    /// What to do about a header that is one column with another format's separators in it.
    fn separator_hint(&self) -> Option<&'static str> {
        let [header] = self.names.as_slice() else { return None };
        match self.format {
            Format::Tsv if header.contains(',') => {
                Some("its header has commas and no tab; if it is CSV, its `format` is `csv`")
            }
            Format::Csv if header.contains('\t') => {
                Some("its header has tabs and no comma; its `format` is `tsv`")
            }
            Format::Csv if header.contains(';') => Some(
                "its header has semicolons and no comma; add `\"delimiter\": \";\"` to the task file",
            ),
            _ => None,
        }
    }

    /// A field of the current row.
    ///
    /// # Errors
    ///
    /// The row is a JSON object without that key, or its value is `null`.
    pub(super) fn field(&self, position: usize) -> Result<&str> {
        self.optional(position).ok_or_else(|| {
            let name = excerpt(&self.names[position]);
            Error::new(if self.row.nulls.contains(&position) {
                format!("`{name}` is null; expected text or a number")
            } else if self.nested(position).is_some() {
                format!("`{name}` is neither text nor a number")
            } else {
                format!("no key `{name}` in it; expected text or a number")
            })
            .at_line(&self.path, self.line)
        })
    }

    /// A field of the current row; `None` for a JSON object in which it is absent or `null`.
    pub(super) fn optional(&self, position: usize) -> Option<&str> {
        let field = self.row.fields.get(position)?.clone()?;
        self.row.text.get(field)
    }

    /// Moves to the next row; its first line, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The row is malformed or not as wide as the others.
    pub(super) fn advance(&mut self) -> Result<Option<usize>> {
        self.row.clear();
        let lines = match &mut self.source {
            Source::List(list) => {
                let Some(line) = list.advance(&mut self.row, &self.names)? else { return Ok(None) };
                self.line = line;
                return Ok(Some(line));
            }
            Source::Parquet(rows) => {
                let Some(number) = rows.advance(&mut self.row, &self.names)? else {
                    return Ok(None);
                };
                self.line = number;
                return Ok(Some(number));
            }
            Source::Lines(lines) => lines,
        };
        loop {
            match lines.advance()? {
                None => return Ok(None),
                // Whoever writes JSON lines may end them with a blank one.
                Some(line) if self.format == Format::Jsonl && line.trim().is_empty() => {}
                Some("") => return only_blank_lines_follow(lines),
                Some(_) => break,
            }
        }
        self.line = lines.number();
        match self.format {
            Format::Jsonl => {
                let read = self.row.read_json(lines.current(), &self.names);
                read.map_err(|error| object_error(&error, &self.path, self.line))?;
                return Ok(Some(self.line));
            }
            Format::Csv => self.read_csv_row()?,
            _ if self.join_cut_rows => self.read_cut_row()?,
            _ => self.row.push_all(lines.current().split('\t')),
        }
        self.check_width()?;
        if self.format == Format::Csv && self.row.is_empty() {
            return self.only_empty_rows_follow();
        }
        Ok(Some(self.line))
    }

    /// Reads the CSV row that begins on the current line.
    fn read_csv_row(&mut self) -> Result<()> {
        let Source::Lines(lines) = &mut self.source else { return Ok(()) };
        let text = csv_row(lines, self.csv.delimiter())?;
        self.csv.read(text, &mut self.row).map_err(|error| {
            Error::new(format!("could not read the row: {error}")).at_line(&self.path, self.line)
        })
    }

    /// Passes rows of which every column is empty, as spreadsheets write them behind the last one.
    fn only_empty_rows_follow(&mut self) -> Result<Option<usize>> {
        let first = self.line;
        let mut empty = 1;
        loop {
            let Source::Lines(lines) = &mut self.source else { return Ok(None) };
            match lines.advance()? {
                None => break,
                Some("") => {
                    only_blank_lines_follow(lines)?;
                    break;
                }
                Some(_) => self.line = lines.number(),
            }
            self.row.clear();
            self.read_csv_row()?;
            if !self.row.is_empty() {
                return Err(Error::new("every column of the row is empty; expected an example")
                    .at_line(&self.path, first));
            }
            empty += 1;
        }
        self.row.clear();
        self.empty_at_end += empty;
        Ok(None)
    }

    /// Reads the TSV row that begins on the current line, with the lines that follow as long as it
    /// has too few columns. A line that is a whole row by itself is no part of it.
    fn read_cut_row(&mut self) -> Result<()> {
        let Source::Lines(lines) = &mut self.source else { return Ok(()) };
        let columns = |text: &str| 1 + text.bytes().filter(|&byte| byte == b'\t').count();
        let width = self.width.unwrap_or(0);
        let mut text = lines.current().to_owned();
        let mut found = columns(&text);
        while found < width {
            let Some(line) = lines.advance()? else { break };
            let more = columns(line) - 1;
            if found + more > width || more + 1 == width || text.len() > MAX_ROW {
                let next = format!(
                    "expected {width} columns, found {found}, and the next line does not complete \
                     the row"
                );
                return Err(Error::new(next).at_line(&self.path, self.line));
            }
            text.push('\n');
            text.push_str(line);
            found += more;
        }
        if lines.number() > self.line && found == width {
            let (count, first) = self.joined.unwrap_or((0, self.line));
            self.joined = Some((count + 1, first));
        }
        self.row.push_all(text.split('\t'));
        Ok(())
    }

    fn check_width(&mut self) -> Result<()> {
        let found = self.row.fields.len();
        let expected = *self.width.get_or_insert(found.max(self.needed));
        if found == expected {
            return Ok(());
        }
        let names = match self.names.as_slice() {
            [] => String::new(),
            names => {
                let shown: Vec<_> = names.iter().take(12).map(|name| excerpt(name)).collect();
                let more = if names.len() > shown.len() { ", …" } else { "" };
                format!(" ({}{more})", shown.join(", "))
            }
        };
        Err(Error::new(format!("expected {expected} columns{names}, found {found}"))
            .at_line(&self.path, self.line))
    }
}

/// Passes the rest of a file, which may hold blank lines alone.
fn only_blank_lines_follow(lines: &mut Lines<'_>) -> Result<Option<usize>> {
    let blank = lines.number();
    while let Some(line) = lines.advance()? {
        if !line.is_empty() {
            return Err(
                Error::new("the line is blank; expected a row").at_line(lines.path(), blank)
            );
        }
    }
    Ok(None)
}

/// serde_json's message without its line, which counts from the row; the column stays.
fn without_place(error: &serde_json::Error) -> String {
    error.to_string().replace(&format!(" at line {} column", error.line()), " at column")
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no named columns".to_owned(),
        names => text::listed(names.iter().map(String::as_str)),
    }
}

#[cfg(test)]
mod tests;
