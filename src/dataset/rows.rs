//! The rows of TSV, CSV and JSON lines files, one at a time.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::task::{Column, Format};

/// A table that is being read. [`Rows::advance`] moves to the next row.
pub(super) struct Rows {
    path: PathBuf,
    source: Source,
    fields: Vec<String>,
    line: usize,
}

enum Source {
    /// A line is a row, and quotes are ordinary characters.
    Tsv { reader: BufReader<File>, text: Vec<u8>, header: Header },
    /// Fields may be quoted, and then hold line breaks.
    Csv { reader: Box<csv::Reader<File>>, record: ByteRecord, header: Header },
    /// A line is an object, of which `keys` are the fields.
    Jsonl { reader: BufReader<File>, text: Vec<u8>, keys: Vec<String> },
}

/// What every row of a delimited file must look like.
#[derive(Default)]
struct Header {
    /// Column names; empty for a file without a header.
    names: Vec<String>,
    /// Columns of the header or else of the first row.
    width: Option<usize>,
    /// Columns that are asked for by position.
    needed: usize,
}

impl Rows {
    /// Opens a table. `names` are the columns that will be asked for by name; a file of which
    /// columns are asked for by position only has no header.
    pub(super) fn open(format: Format, path: &Path, names: Vec<String>) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        let source = match format {
            Format::Jsonl => Source::Jsonl {
                reader: BufReader::new(file),
                text: Vec::new(),
                keys: names.clone(),
            },
            Format::Csv => Source::Csv {
                reader: Box::new(
                    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file),
                ),
                record: ByteRecord::new(),
                header: Header::default(),
            },
            _ => Source::Tsv {
                reader: BufReader::new(file),
                text: Vec::new(),
                header: Header::default(),
            },
        };
        let mut rows = Self { path: path.to_owned(), source, fields: Vec::new(), line: 0 };
        if format != Format::Jsonl && !names.is_empty() {
            if rows.advance()?.is_none() {
                return Err(Error::new(format!(
                    "it is empty; expected a header with {}",
                    listed(&names)
                ))
                .at(path));
            }
            let fields = std::mem::take(&mut rows.fields);
            if let Source::Tsv { header, .. } | Source::Csv { header, .. } = &mut rows.source {
                header.names = fields;
            }
        }
        Ok(rows)
    }

    /// Where a column stands in the row.
    pub(super) fn position(&mut self, column: &Column) -> Result<usize> {
        let known = match (&mut self.source, column) {
            (Source::Jsonl { .. }, Column::Index(_)) => {
                return Err(
                    Error::new("the columns of JSON lines are named, not numbered").at(&self.path)
                );
            }
            (Source::Tsv { header, .. } | Source::Csv { header, .. }, Column::Index(index)) => {
                header.needed = header.needed.max(index + 1);
                return Ok(*index);
            }
            (Source::Tsv { header, .. } | Source::Csv { header, .. }, _) => &header.names,
            (Source::Jsonl { keys, .. }, _) => keys,
        };
        let name = column.to_string();
        known.iter().position(|known| *known == name).ok_or_else(|| {
            Error::new(format!("no column `{name}` in it; it has {}", listed(known)))
                .at_line(&self.path, 1)
        })
    }

    /// A field of the current row.
    pub(super) fn field(&self, position: usize) -> &str {
        self.fields.get(position).map_or("", String::as_str)
    }

    /// Moves to the next row; its first line, or `None` at the end.
    pub(super) fn advance(&mut self) -> Result<Option<usize>> {
        match &mut self.source {
            Source::Tsv { .. } => self.advance_tsv(),
            Source::Csv { .. } => self.advance_csv(),
            Source::Jsonl { .. } => self.advance_jsonl(),
        }
    }

    fn advance_tsv(&mut self) -> Result<Option<usize>> {
        let Source::Tsv { reader, text, header } = &mut self.source else { unreachable!("TSV") };
        if !next_line(reader, text, &self.path)? {
            return Ok(None);
        }
        self.line += 1;
        if text.is_empty() {
            let blank = self.line;
            while next_line(reader, text, &self.path)? {
                if !text.is_empty() {
                    return Err(
                        Error::new("the line is blank; expected a row").at_line(&self.path, blank)
                    );
                }
            }
            return Ok(None);
        }
        let text = utf8(strip_mark(text, self.line), &self.path, self.line)?;
        self.fields.clear();
        self.fields.extend(text.split('\t').map(str::to_owned));
        header.check(self.fields.len(), &self.path, self.line)?;
        Ok(Some(self.line))
    }

    fn advance_csv(&mut self) -> Result<Option<usize>> {
        let Source::Csv { reader, record, header } = &mut self.source else { unreachable!("CSV") };
        let more = reader.read_byte_record(record).map_err(|error| {
            let line = error.position().map_or(self.line + 1, |position| position.line() as usize);
            Error::new(format!("could not read the row: {error}")).at_line(&self.path, line)
        })?;
        if !more {
            return Ok(None);
        }
        let first = self.line == 0;
        self.line = record.position().map_or(self.line + 1, |position| position.line() as usize);
        self.fields.clear();
        for (i, field) in record.iter().enumerate() {
            let field = if first && i == 0 { strip_mark(field, 1) } else { field };
            self.fields.push(utf8(field, &self.path, self.line)?.to_owned());
        }
        header.check(self.fields.len(), &self.path, self.line)?;
        Ok(Some(self.line))
    }

    fn advance_jsonl(&mut self) -> Result<Option<usize>> {
        let Source::Jsonl { reader, text, keys } = &mut self.source else {
            unreachable!("JSON lines")
        };
        if !next_line(reader, text, &self.path)? {
            return Ok(None);
        }
        self.line += 1;
        let line = self.line;
        let object: serde_json::Map<String, Value> = serde_json::from_slice(strip_mark(text, line))
            .map_err(|error| {
                Error::new(format!("expected a JSON object: {error}")).at_line(&self.path, line)
            })?;
        self.fields.clear();
        for key in keys.iter() {
            self.fields.push(match object.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(bool)) => bool.to_string(),
                Some(_) => {
                    return Err(Error::new(format!("`{key}` is neither text nor a number"))
                        .at_line(&self.path, line));
                }
                None => {
                    let known: Vec<_> = object.keys().cloned().collect();
                    return Err(Error::new(format!("no key `{key}`; it has {}", listed(&known)))
                        .at_line(&self.path, line));
                }
            });
        }
        Ok(Some(line))
    }
}

impl Header {
    fn check(&mut self, found: usize, path: &Path, line: usize) -> Result<()> {
        let expected = *self.width.get_or_insert(found.max(self.needed));
        if found == expected {
            return Ok(());
        }
        let names = match self.names.as_slice() {
            [] => String::new(),
            names => format!(" ({})", names.join(", ")),
        };
        Err(Error::new(format!("expected {expected} columns{names}, found {found}"))
            .at_line(path, line))
    }
}

/// Reads a line without its end into `text`; false at the end of the file.
fn next_line(reader: &mut BufReader<File>, text: &mut Vec<u8>, path: &Path) -> Result<bool> {
    text.clear();
    let read = reader.read_until(b'\n', text).map_err(|error| Error::io("read", path, &error))?;
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    Ok(read > 0)
}

/// A byte-order mark may lead a file.
fn strip_mark(text: &[u8], line: usize) -> &[u8] {
    if line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text }
}

fn utf8<'a>(text: &'a [u8], path: &Path, line: usize) -> Result<&'a str> {
    std::str::from_utf8(text).map_err(|error| {
        Error::new(format!("byte {} of the row is not UTF-8", error.valid_up_to() + 1))
            .at_line(path, line)
    })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "no columns".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
