//! CSV by the `csv` crate, row by row.

use std::io::Read;

use super::Row;
use crate::error::{Error, Result};
use crate::text::{Lines, MAX_ROW, too_long};

/// The `csv` crate, which cuts one row after the other into fields.
///
/// There is one reader for the whole file, since making one costs more than reading a row. Only a
/// line feed ends a row: a carriage return inside a field is text.
pub(super) struct CsvFields {
    reader: csv::Reader<Feed>,
    delimiter: u8,
    record: csv::StringRecord,
}

/// What the `csv` crate reads: the row that it is given, and no further.
#[derive(Default)]
struct Feed {
    row: Vec<u8>,
    at: usize,
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = (&self.row[self.at..]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

impl CsvFields {
    /// Fields that this byte separates.
    pub(super) fn new(delimiter: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(Feed::default());
        Self { reader, delimiter, record: csv::StringRecord::new() }
    }

    /// What separates the fields.
    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Reads the fields of one row.
    pub(super) fn read(&mut self, text: String, row: &mut Row) -> csv::Result<()> {
        let mut bytes = text.into_bytes();
        bytes.push(b'\n');
        *self.reader.get_mut() = Feed { row: bytes, at: 0 };
        self.reader.read_record(&mut self.record)?;
        row.push_all(self.record.iter());
        Ok(())
    }
}

/// Where a scan of a CSV row stands.
#[derive(Clone, Copy, PartialEq)]
enum At {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote that ends the field, or is the first of two that stand for one.
    Closed,
}

/// The text of the CSV row that begins on the current line, from its first line to its last.
///
/// Text behind a closing quote, and a quote that is never closed, are refused here. The `csv` crate
/// would guess at them and lose rows.
pub(super) fn csv_row(lines: &mut Lines<'_>, delimiter: u8) -> Result<String> {
    let first = lines.number();
    let mut opened = first;
    let mut text = String::new();
    let mut at = At::FieldStart;
    loop {
        let line = lines.current();
        text.push_str(line);
        for byte in line.bytes() {
            at = match (at, byte) {
                (At::FieldStart, b'"') => {
                    opened = lines.number();
                    At::Quoted
                }
                (At::Closed, b'"') => At::Quoted,
                (At::Quoted, b'"') => At::Closed,
                (At::Quoted, _) => At::Quoted,
                (_, byte) if byte == delimiter => At::FieldStart,
                (At::Closed, _) => {
                    return Err(Error::new(format!(
                        "text follows a closing quote; expected `{}`, or the quote doubled where \
                             it is part of the text",
                        (delimiter as char).escape_default()
                    ))
                    .at_line(lines.path(), lines.number()));
                }
                (At::FieldStart | At::Plain, _) => At::Plain,
            };
        }
        if at != At::Quoted {
            return Ok(text);
        }
        text.push('\n');
        if text.len() > MAX_ROW {
            return Err(too_long(lines.path(), opened));
        }
        if lines.advance()?.is_none() {
            return Err(
                Error::new("a quote opens here and is never closed").at_line(lines.path(), opened)
            );
        }
    }
}
