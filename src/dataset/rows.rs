//! The rows of TSV, CSV and JSON lines files, one at a time.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::task::{Column, Format};
use crate::text::{self, Lines, MAX_ROW, excerpt};

mod csv_row;

use csv_row::{CsvFields, csv_row};

/// A table that is being read. [`Rows::advance`] moves to the next row.
///
/// Memory is bounded by the longest row, see [`MAX_ROW`].
pub(super) struct Rows {
    format: Format,
    lines: Lines<'static>,
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
}

/// The fields of a row, as ranges of one text. A key that a JSON object lacks has none.
#[derive(Default)]
struct Row {
    text: String,
    fields: Vec<Option<Range<usize>>>,
    /// The positions of keys whose value is `null`.
    nulls: Vec<usize>,
}

impl Rows {
    /// Opens a table. `names` are the columns that will be asked for by name; a file of which
    /// columns are asked for by position only has no header.
    pub(super) fn open(format: Format, path: &Path, names: Vec<String>) -> Result<Self> {
        let mut rows = Self {
            format,
            lines: Lines::open(path)?,
            line: 0,
            names: Vec::new(),
            width: None,
            needed: 0,
            csv: CsvFields::new(),
            row: Row::default(),
            join_cut_rows: false,
            joined: None,
        };
        if format == Format::Jsonl {
            rows.names = names;
        } else if !names.is_empty() {
            if rows.advance()?.is_none() {
                return Err(Error::new(format!(
                    "it is empty; expected a header with {}",
                    listed(&names)
                ))
                .at(path));
            }
            rows.names = rows.row.texts().map(str::to_owned).collect();
        }
        Ok(rows)
    }

    /// Whether a file with a header, or JSON lines, may have this column.
    pub(super) fn has(&self, column: &Column) -> bool {
        match column {
            Column::Name(name) => self.names.contains(name),
            Column::Index(index) => self.width.is_none_or(|width| *index < width),
        }
    }

    /// Puts rows together that a line feed inside a text cuts in two; see
    /// [`Repairs::join_cut_rows`](crate::task::Repairs::join_cut_rows).
    pub(super) fn join_cut_rows(mut self, join: bool) -> Self {
        self.join_cut_rows = join;
        self
    }

    /// How many rows were put together of several lines, and the line of the first of them.
    pub(super) fn joined(&self) -> Option<(usize, usize)> {
        self.joined
    }

    /// Whether all columns are asked for by position, so that the first line is a row.
    pub(super) fn has_no_header(&self) -> bool {
        self.names.is_empty()
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// Where a column stands in the row.
    pub(super) fn position(&mut self, column: &Column) -> Result<usize> {
        let name = match column {
            Column::Index(_) if self.format == Format::Jsonl => {
                return Err(Error::new("the columns of JSON lines are named, not numbered")
                    .at(self.lines.path()));
            }
            Column::Index(index) => {
                if self.width.is_some_and(|width| *index >= width) {
                    return Err(Error::new(format!(
                        "no column {index} (counted from 0) in it; it has {}",
                        listed(&self.names)
                    ))
                    .at_line(self.lines.path(), 1));
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
            let error = Error::new(what).at_line(self.lines.path(), 1);
            return Err(match self.separator_hint() {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        // JSON lines have the keys that are asked for, which may be the same for two purposes.
        if self.format != Format::Jsonl && found.next().is_some() {
            return Err(Error::new(format!("it has two columns `{name}`; expected one"))
                .at_line(self.lines.path(), 1));
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
            Format::Csv if header.contains(';') => {
                Some("its header has semicolons and no comma; separate its columns by commas")
            }
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
            } else {
                format!("no key `{name}` in it; expected text or a number")
            })
            .at_line(self.lines.path(), self.line)
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
        self.row.text.clear();
        self.row.fields.clear();
        self.row.nulls.clear();
        match self.lines.advance()? {
            None => return Ok(None),
            Some("") => return self.only_blank_lines_follow(),
            Some(_) => self.line = self.lines.number(),
        }
        match self.format {
            Format::Jsonl => {
                self.row.read_json(self.lines.current(), &self.names).map_err(|error| {
                    Error::new(format!("expected a JSON object: {}", without_place(&error)))
                        .at_line(self.lines.path(), self.line)
                })?;
            }
            Format::Csv => {
                let text = csv_row(&mut self.lines)?;
                self.csv.read(text, &mut self.row).map_err(|error| {
                    Error::new(format!("could not read the row: {error}"))
                        .at_line(self.lines.path(), self.line)
                })?;
            }
            _ if self.join_cut_rows => self.read_cut_row()?,
            _ => self.row.push_all(self.lines.current().split('\t')),
        }
        if self.format != Format::Jsonl {
            self.check_width()?;
        }
        Ok(Some(self.line))
    }

    /// Reads the TSV row that begins on the current line, with the lines that follow as long as it
    /// has too few columns. A line that is a whole row by itself is no part of it.
    fn read_cut_row(&mut self) -> Result<()> {
        let columns = |text: &str| 1 + text.bytes().filter(|&byte| byte == b'\t').count();
        let width = self.width.unwrap_or(0);
        let mut text = self.lines.current().to_owned();
        let mut found = columns(&text);
        while found < width {
            let Some(line) = self.lines.advance()? else { break };
            let more = columns(line) - 1;
            if found + more > width || more + 1 == width || text.len() > MAX_ROW {
                let next = format!(
                    "expected {width} columns, found {found}, and the next line does not complete \
                     the row"
                );
                return Err(Error::new(next).at_line(self.lines.path(), self.line));
            }
            text.push('\n');
            text.push_str(line);
            found += more;
        }
        if self.lines.number() > self.line && found == width {
            let (count, first) = self.joined.unwrap_or((0, self.line));
            self.joined = Some((count + 1, first));
        }
        self.row.push_all(text.split('\t'));
        Ok(())
    }

    fn only_blank_lines_follow(&mut self) -> Result<Option<usize>> {
        let blank = self.lines.number();
        while let Some(line) = self.lines.advance()? {
            if !line.is_empty() {
                return Err(Error::new("the line is blank; expected a row")
                    .at_line(self.lines.path(), blank));
            }
        }
        Ok(None)
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
            .at_line(self.lines.path(), self.line))
    }
}

impl Row {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flatten().map(|field| &self.text[field.clone()])
    }

    fn push_all<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        for field in fields {
            let start = self.text.len();
            self.text.push_str(field);
            self.end_field(start);
        }
    }

    fn end_field(&mut self, start: usize) {
        self.fields.push(Some(start..self.text.len()));
    }

    /// Reads an object's values of `keys`.
    fn read_json(&mut self, line: &str, keys: &[String]) -> serde_json::Result<()> {
        self.fields.resize(keys.len(), None);
        let mut json = serde_json::Deserializer::from_str(line);
        Wanted { keys, row: self }.deserialize(&mut json)?;
        json.end()
    }
}

/// Reads a JSON object into a row, and nothing of it but the keys that are wanted.
struct Wanted<'a> {
    keys: &'a [String],
    row: &'a mut Row,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        let mut seen = vec![false; self.keys.len()];
        while let Some(key) = map.next_key::<String>()? {
            let Some(position) = self.keys.iter().position(|wanted| *wanted == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[position], true) {
                return Err(M::Error::custom(format!("it has `{key}` twice")));
            }
            let start = self.row.text.len();
            match map.next_value()? {
                Value::Null => {
                    self.row.nulls.push(position);
                    continue;
                }
                Value::String(text) => self.row.text.push_str(&text),
                Value::Number(number) => self.row.text.push_str(&number.to_string()),
                Value::Bool(bool) => self.row.text.push_str(&bool.to_string()),
                Value::Array(_) | Value::Object(_) => {
                    return Err(M::Error::custom(format!("`{key}` is neither text nor a number")));
                }
            }
            self.row.fields[position] = Some(start..self.row.text.len());
        }
        Ok(())
    }
}

/// serde_json's message without its line, which counts from the row; the column stays.
fn without_place(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no named columns".to_owned(),
        names => text::listed(names.iter().map(String::as_str)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Every row's first line and fields, or the first error.
    fn rows(format: Format, text: &str, names: &[&str]) -> Result<Vec<(usize, Vec<String>)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(format, &path, named(names))?;
        let mut all = Vec::new();
        while let Some(line) = rows.advance()? {
            all.push((line, rows.row.texts().map(str::to_owned).collect()));
        }
        Ok(all)
    }

    fn line_of(error: &Error) -> Option<usize> {
        error.place().unwrap().line
    }

    #[test]
    fn a_quoted_field_holds_commas_quotes_and_line_breaks() {
        let text = "\"a, \"\"b\"\"\r\nc\",1\r\n\"\",\"2\"\n,\n";
        assert_eq!(
            rows(Format::Csv, text, &[]).unwrap(),
            [(1, named(&["a, \"b\"\nc", "1"])), (3, named(&["", "2"])), (4, named(&["", ""])),]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_names_the_line_on_which_it_opens() {
        let error = rows(Format::Csv, "1,a\n2,\"b\n3,c\n4,d\n", &[]).unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("never closed"), "{error}");
    }

    #[test]
    fn text_behind_a_closing_quote_is_refused() {
        let error = rows(Format::Csv, "1,a\n2,\"she said \"no\" twice\"\n", &[]).unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("follows a closing quote"), "{error}");
    }

    #[test]
    fn a_quote_inside_an_unquoted_field_is_a_character() {
        let found = rows(Format::Csv, "5\" disk,1\n", &[]).unwrap();
        assert_eq!(found, [(1, named(&["5\" disk", "1"]))]);
    }

    #[test]
    fn a_carriage_return_inside_a_field_is_a_character() {
        let found = rows(Format::Csv, "1,a\rb\r\n2,\"c\rd\"\r\n", &[]).unwrap();
        assert_eq!(found, [(1, named(&["1", "a\rb"])), (2, named(&["2", "c\rd"]))]);
    }

    #[test]
    fn rows_longer_than_any_buffer_are_read_one_by_one() {
        let long = "x\u{e9}".repeat(50_000);
        let text = format!("1,{long}\n2,\"{long}\n{long}\"\n3,a\n");
        let found = rows(Format::Csv, &text, &[]).unwrap();
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4]);
        assert_eq!(found[1].1[1], format!("{long}\n{long}"));
        assert_eq!(found[2].1, named(&["3", "a"]));
    }

    #[test]
    fn a_ragged_csv_row_names_its_first_line_and_both_counts() {
        let error = rows(Format::Csv, "t,l\n\"a\nb\",1\n\"c\nd\"\n", &["t"]).unwrap_err();
        assert_eq!(line_of(&error), Some(4));
        assert!(error.what().contains("expected 2 columns (t, l), found 1"), "{error}");
    }

    #[test]
    fn a_header_with_the_column_twice_is_ambiguous() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.tsv");
        std::fs::write(&path, "text\ttext\nfine\tgood\n").unwrap();
        let mut rows = Rows::open(Format::Tsv, &path, named(&["text"])).unwrap();
        let error = rows.position(&Column::Name("text".into())).unwrap_err();
        assert!(error.what().contains("two columns `text`"), "{error}");
    }

    #[test]
    fn a_header_with_another_formats_separators_is_named() {
        for (format, text, hint) in [
            (Format::Tsv, "text,label\n", "its `format` is `csv`"),
            (Format::Csv, "text\tlabel\n", "its `format` is `tsv`"),
            (Format::Csv, "text;label\n", "by commas"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("rows");
            std::fs::write(&path, text).unwrap();
            let mut rows = Rows::open(format, &path, named(&["text"])).unwrap();
            let error = rows.position(&Column::Name("text".into())).unwrap_err();
            assert!(error.hint_text().unwrap().contains(hint), "{error}");
        }
    }

    #[test]
    fn a_json_key_that_stands_twice_is_refused() {
        let error = rows(Format::Jsonl, "{\"t\": 1}\n{\"t\": 1, \"t\": 2}\n", &["t"]).unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("`t` twice"), "{error}");
    }

    #[test]
    fn a_json_list_where_text_is_expected_names_its_line() {
        let error = rows(Format::Jsonl, "{\"t\": [1]}\n", &["t"]).unwrap_err();
        assert!(error.what().contains("`t` is neither text nor a number"), "{error}");
        assert_eq!(line_of(&error), Some(1));
    }

    #[test]
    fn something_behind_a_json_object_is_refused() {
        let error = rows(Format::Jsonl, "{\"t\": 1} {\"t\": 2}\n", &["t"]).unwrap_err();
        assert!(error.what().contains("trailing characters"), "{error}");
    }

    proptest! {
        /// The oracle is the `csv` crate's writer.
        #[test]
        fn what_another_program_writes_as_csv_is_read_back(
            table in (1usize..4).prop_flat_map(|width| {
                prop::collection::vec(prop::collection::vec("[a\",\n ;é]{0,6}", width), 1..6)
            })
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found = rows(Format::Csv, &text, &[]).unwrap();
            let fields: Vec<_> = found.into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(fields, table);
        }
    }
}
