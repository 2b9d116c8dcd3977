//! Predictions added to the rows of a file, in the form of the file that they are written to.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::added::{Added, field};
use crate::dataset::{Example, Object, Row};
use crate::error::{Error, Result};
use crate::task::Head;
use crate::text::excerpt;

/// The form of a file that predictions are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Columns separated by tabs, with a header.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// `{id: answer}`, as SQuAD's evaluation scripts read it.
    Squad,
    /// CoNLL's columns, the predicted tag last.
    Conll,
}

impl RowFormat {
    /// The form that a file has by its name.
    ///
    /// # Errors
    ///
    /// The extension is that of no form that predictions of this head are written in.
    pub fn of_file(path: &Path, head: Head) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "csv" => Ok(Self::Csv),
            "tsv" | "tab" => Ok(Self::Tsv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "json" if head.asks_about_passage() => Ok(Self::Squad),
            "conll" | "iob" | "iob2" | "bio" if head == Head::Tag => Ok(Self::Conll),
            _ => {
                let more = match head {
                    Head::Span => ", .json (SQuAD's predictions)",
                    Head::Tag => ", .conll",
                    _ => "",
                };
                Err(Error::usage(format!(
                    "the output's form follows from its extension; expected .csv, .tsv, .jsonl{more}"
                ))
                .at(path))
            }
        }
    }
}

/// What is already written of an output that is continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The whole row, of so many bytes.
    Row(u64),
    /// Nothing, or the beginning of the row alone.
    Torn,
}

/// Writes rows with their predictions.
pub struct RowWriter {
    format: RowFormat,
    /// What separates the columns of CSV.
    delimiter: u8,
    /// The names of the rows' columns.
    header: Vec<String>,
    added: Added,
    /// The names of the added columns, once what stands before the first row was written or read.
    columns: Option<Vec<String>>,
    /// Whether no row was written yet.
    is_first: bool,
    /// The ids of the questions written so far: in `{id: answer}` each must be unique.
    ids: HashSet<String>,
}

impl RowWriter {
    /// A writer of rows with the columns `header`, to which what `added` says is added.
    pub fn new(format: RowFormat, header: Vec<String>, added: Added) -> Self {
        let (delimiter, columns, ids) = (b',', None, HashSet::new());
        Self { format, delimiter, header, added, columns, is_first: true, ids }
    }

    /// The same with another sign between the columns of CSV, where one is given.
    #[must_use]
    pub fn separated_by(self, delimiter: Option<char>) -> Self {
        let delimiter = delimiter.and_then(|sign| u8::try_from(sign).ok()).unwrap_or(b',');
        Self { delimiter, ..self }
    }

    /// Adds a row with its prediction, an object as `tfbert predict` prints it, to `into`.
    ///
    /// # Errors
    ///
    /// The row has a column with the name of an added one, or does not fit the form.
    pub fn write(
        &mut self,
        row: &Row,
        example: &Example,
        prediction: Map<String, Value>,
        into: &mut Vec<u8>,
    ) -> Result<()> {
        let added = self.added.to(prediction);
        match self.format {
            RowFormat::Csv | RowFormat::Tsv => {
                let cells = self.added.cells(added);
                let names: Vec<&str> = cells.iter().map(|(name, _)| name.as_str()).collect();
                self.check_columns(&names, into)?;
                self.kept(row, example, into)?;
                let fields: Vec<_> = cells.into_iter().map(|(_, cell)| cell).collect();
                self.join(&fields, into)?;
                into.push(b'\n');
            }
            RowFormat::Jsonl => {
                self.check_names(row, &added)?;
                self.kept(row, example, into)?;
                // Without its opening brace, behind the row's own keys.
                let pairs: Vec<String> = added
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                    .collect();
                into.extend_from_slice(pairs.join(",").as_bytes());
                into.extend_from_slice(b"}\n");
            }
            RowFormat::Squad => {
                self.take_id(example)?;
                if self.columns.replace(Vec::new()).is_none() {
                    into.extend_from_slice(b"{\n");
                }
                self.kept(row, example, into)?;
                let answer = added.iter().find(|(name, _)| name == self.added.prediction());
                let answer = answer.and_then(|(_, answer)| answer.as_str()).unwrap_or_default();
                into.extend_from_slice(Value::from(answer).to_string().as_bytes());
                into.push(b'\n');
            }
            RowFormat::Conll => {
                let tags = added.into_iter().find(|(name, _)| name == self.added.prediction());
                let Some((_, Value::Array(tags))) = tags else {
                    return Err(Error::new("the prediction has no tags"));
                };
                let lines = sentence(row, example);
                check_words(row, &lines)?;
                let tags: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
                if lines.len() != tags.len() {
                    return Err(Error::new("not one tag for each word"));
                }
                for (line, tag) in lines.iter().zip(&tags) {
                    into.extend_from_slice(line.as_bytes());
                    into.push(b' ');
                    into.extend_from_slice(tag.as_bytes());
                    into.push(b'\n');
                }
                into.push(b'\n');
            }
        }
        self.is_first = false;
        Ok(())
    }

    /// What follows the last row.
    pub fn end(&self) -> &'static [u8] {
        match (self.format, self.is_first) {
            (RowFormat::Squad, false) => b"}\n",
            _ => b"",
        }
    }

    /// Reads what an interrupted command wrote before the first row; `None` where that is not whole.
    ///
    /// # Errors
    ///
    /// The output is not one of these rows.
    pub fn read_beginning(&mut self, output: &mut dyn BufRead) -> Result<Option<u64>> {
        let mut beginning = Vec::new();
        match self.format {
            RowFormat::Csv | RowFormat::Tsv => {
                if !self.read_record(output, &mut beginning)? {
                    return Ok(None);
                }
                let own = self.header_line()?;
                let Some(rest) = beginning.strip_prefix(own.as_slice()) else {
                    return Err(Error::new("its header is not that of the file to predict"));
                };
                let names = self.split(&rest[..rest.len() - 1])?;
                self.columns = Some(names);
            }
            RowFormat::Squad => {
                if !self.read_record(output, &mut beginning)? {
                    return Ok(None);
                }
                if beginning != b"{\n" {
                    return Err(Error::new("it does not begin as predictions of SQuAD do"));
                }
                self.columns = Some(Vec::new());
            }
            RowFormat::Jsonl | RowFormat::Conll => {}
        }
        Ok(Some(beginning.len() as u64))
    }

    /// Reads what an interrupted command wrote of a row.
    ///
    /// # Errors
    ///
    /// The output has another row there.
    pub fn skip(
        &mut self,
        row: &Row,
        example: &Example,
        output: &mut dyn BufRead,
    ) -> Result<Written> {
        let mut expected = Vec::new();
        let mut found = Vec::new();
        let mut whole = true;
        if self.format == RowFormat::Conll {
            let mut same = true;
            for line in
                sentence(row, example).iter().map(|line| format!("{line} ")).chain([String::new()])
            {
                let start = found.len();
                whole &= self.read_record(output, &mut found)?;
                let read = &found[start..];
                let shorter = read.len().min(line.len());
                same &= read[..shorter] == line.as_bytes()[..shorter];
                same &= !line.is_empty() || read.is_empty() || read == b"\n";
            }
            expected.extend_from_slice(if same { b"" } else { b"?" });
        } else {
            self.kept(row, example, &mut expected)?;
            whole = self.read_record(output, &mut found)?;
        }
        let is_end = found == b"}\n" && self.format == RowFormat::Squad;
        let shorter = found.len().min(expected.len());
        if !is_end
            && (found[..shorter] != expected[..shorter] || whole && found.len() < expected.len())
        {
            return Err(Error::new("it has another row than the file to predict")
                .hint("start over with `--overwrite`"));
        }
        if !whole || is_end {
            return Ok(Written::Torn);
        }
        if self.format == RowFormat::Squad {
            self.take_id(example)?;
        }
        self.is_first = false;
        Ok(Written::Row(found.len() as u64))
    }

    /// Returns an error for an id that an earlier question had: a JSON object keeps one value of a key.
    fn take_id(&mut self, example: &Example) -> Result<()> {
        if self.ids.insert(example.id.clone()) {
            return Ok(());
        }
        let what = format!("an earlier question has the id `{}` too", excerpt(&example.id));
        Err(Error::new(what).hint("write JSON lines: `--output FILE.jsonl`"))
    }

    /// The row as the output has it, up to where the prediction begins.
    fn kept(&self, row: &Row, example: &Example, into: &mut Vec<u8>) -> Result<()> {
        match self.format {
            RowFormat::Csv | RowFormat::Tsv => {
                let fields = self.fields(row, example)?;
                self.join(&fields, into)?;
                into.push(self.separator());
            }
            RowFormat::Jsonl => match row {
                Row::Object(text) => {
                    let text = text.trim();
                    let body = text.strip_suffix('}').unwrap_or(text).trim_end();
                    into.extend_from_slice(body.as_bytes());
                    if body != "{" {
                        into.push(b',');
                    }
                }
                _ => {
                    into.push(b'{');
                    for (name, field) in self.header.iter().zip(self.fields(row, example)?) {
                        let name = Value::from(name.as_str());
                        into.extend_from_slice(
                            format!("{name}:{},", Value::from(field)).as_bytes(),
                        );
                    }
                }
            },
            RowFormat::Squad => {
                let comma = if self.is_first { "" } else { "," };
                let id = Value::from(example.id.as_str());
                into.extend_from_slice(format!("{comma}{id}: ").as_bytes());
            }
            RowFormat::Conll => {}
        }
        Ok(())
    }

    /// The row's fields, one for each column of the header.
    fn fields(&self, row: &Row, example: &Example) -> Result<Vec<String>> {
        match row {
            Row::Fields(fields) => Ok(fields.clone()),
            Row::Lines(_) => Ok(vec![words(example).join(" ")]),
            Row::Object(text) => {
                let object = Object::parse(text)?;
                if let Some((key, _)) = object.0.iter().find(|(key, _)| !self.header.contains(key))
                {
                    return Err(Error::new(format!(
                        "the first line has no key `{key}`, so the output has no column for it"
                    ))
                    .hint("write JSON lines: `--output FILE.jsonl`"));
                }
                let cell = |name: &String| object.get(name).map(field).unwrap_or_default();
                Ok(self.header.iter().map(cell).collect())
            }
        }
    }

    fn separator(&self) -> u8 {
        if self.format == RowFormat::Csv { self.delimiter } else { b'\t' }
    }

    /// Adds fields with separators between.
    fn join(&self, fields: &[String], into: &mut Vec<u8>) -> Result<()> {
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                into.push(self.separator());
            }
            match self.format {
                RowFormat::Csv if field.contains(['"', char::from(self.delimiter), '\n', '\r']) => {
                    into.push(b'"');
                    into.extend_from_slice(field.replace('"', "\"\"").as_bytes());
                    into.push(b'"');
                }
                RowFormat::Tsv if field.contains(['\t', '\n', '\r']) => {
                    return Err(Error::new(
                        "a field has a tab or a line break, which .tsv cannot hold",
                    )
                    .hint("write `--output FILE.csv` or `--output FILE.jsonl`"));
                }
                _ => into.extend_from_slice(field.as_bytes()),
            }
        }
        Ok(())
    }

    /// The header's own part, up to where the added columns begin.
    fn header_line(&self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        self.join(&self.header, &mut line)?;
        line.push(self.separator());
        Ok(line)
    }

    /// The fields of a line of the header.
    fn split(&self, line: &[u8]) -> Result<Vec<String>> {
        let damaged = || Error::new("its header is damaged").hint("start over with `--overwrite`");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(self.separator())
            .quoting(self.format == RowFormat::Csv)
            .from_reader(line);
        let record =
            reader.records().next().and_then(std::result::Result::ok).ok_or_else(damaged)?;
        Ok(record.iter().map(str::to_owned).collect())
    }

    /// Writes the header before the first row; later rows must have the same added columns.
    fn check_columns(&mut self, names: &[&str], into: &mut Vec<u8>) -> Result<()> {
        match &self.columns {
            None => {
                for name in names {
                    self.check_name(name, self.header.iter())?;
                }
                let columns: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
                into.extend_from_slice(&self.header_line()?);
                self.join(&columns, into)?;
                into.push(b'\n');
                self.columns = Some(columns);
                Ok(())
            }
            Some(columns) if columns.iter().eq(names) => Ok(()),
            Some(columns) => Err(Error::new(format!(
                "the output has the columns {}, this command adds {}",
                columns.join(", "),
                names.join(", ")
            ))
            .hint("give the flags of the first command, or start over with `--overwrite`")),
        }
    }

    fn check_names(&self, row: &Row, added: &[(String, Value)]) -> Result<()> {
        let keys: Vec<String> = match row {
            Row::Object(text) => Object::parse(text)?.0.into_iter().map(|(key, _)| key).collect(),
            _ => self.header.clone(),
        };
        added.iter().try_for_each(|(name, _)| self.check_name(name, keys.iter()))
    }

    fn check_name<'a>(&self, name: &str, known: impl Iterator<Item = &'a String>) -> Result<()> {
        let mut known = known;
        if !known.any(|known| known == name) {
            return Ok(());
        }
        Err(Error::usage(format!("the file has a column `{name}` already"))
            .hint("give the added columns other names: `--prefix model_`"))
    }

    /// Reads one record with its line end; whether it is whole.
    fn read_record(&self, output: &mut dyn BufRead, into: &mut Vec<u8>) -> Result<bool> {
        let start = into.len();
        loop {
            let before = into.len();
            output
                .read_until(b'\n', into)
                .map_err(|error| Error::new(format!("could not read it: {error}")))?;
            if into.len() == before || into.last() != Some(&b'\n') {
                return Ok(false);
            }
            let quotes = into[start..].iter().filter(|&&byte| byte == b'"').count();
            // Quotes inside a quoted field are doubled, so an odd number means that one is open.
            if self.format != RowFormat::Csv || quotes % 2 == 0 {
                return Ok(true);
            }
        }
    }
}

/// The lines of a sentence, to which tags are added.
fn sentence(row: &Row, example: &Example) -> Vec<String> {
    match row {
        Row::Lines(lines) => lines.clone(),
        _ => words(example),
    }
}

/// Refuses words of other forms that would be no word, or several columns, in CoNLL's.
fn check_words(row: &Row, words: &[String]) -> Result<()> {
    let is_column = |word: &String| !word.is_empty() && !word.contains(char::is_whitespace);
    match words.iter().find(|word| !is_column(word)) {
        Some(word) if !matches!(row, Row::Lines(_)) => {
            let what = format!("CoNLL's columns cannot hold the word `{}`", excerpt(word));
            Err(Error::new(what).hint("write JSON lines: `--output FILE.jsonl`"))
        }
        _ => Ok(()),
    }
}

fn words(example: &Example) -> Vec<String> {
    let words = example.input.words().unwrap_or_default();
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
