//! A file of inputs to predict: each row with what the model reads of it, and as the file has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::{self, Reader};
use super::rows::{Rows, TableForm};
use super::{Example, Input, Labels, TypedText};
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Format, Head, Split, Task};
use crate::text::Lines;

mod columns;
mod object;

use columns::{FoundColumns, InputColumns, find_columns};
pub use object::Object;

/// The form of a file of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InputFormat {
    /// A text on each line.
    Lines,
    /// Comma-separated values with a header.
    Csv,
    /// Columns separated by tabs, with a header.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// A list of JSON objects.
    Json,
    /// Apache Parquet's columns; reading it takes the feature `parquet` of this package.
    Parquet,
    /// SQuAD's JSON.
    Squad,
    /// One word a line, a blank line between sentences.
    Conll,
}

impl InputFormat {
    /// The form that a file has by its name: a text on each line, unless the extension says
    /// otherwise.
    ///
    /// # Errors
    ///
    /// The extension is that of a form that is not read.
    pub fn of_file(path: &Path, head: Head) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Ok(match extension.as_str() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::Jsonl,
            "json" if head.asks_about_passage() => Self::Squad,
            "json" => Self::Json,
            "conll" | "conllu" | "iob" | "iob2" | "bio" => Self::Conll,
            "parquet" => Self::Parquet,
            "xlsx" | "xls" => {
                return Err(Error::usage(format!("files that end in .{extension} are not read"))
                    .at(path)
                    .hint("convert it to .csv or .jsonl (one JSON object a line)"));
            }
            _ => Self::Lines,
        })
    }

    /// The form of a task's files that it is.
    fn task_format(self) -> Option<Format> {
        match self {
            Self::Lines => None,
            Self::Csv => Some(Format::Csv),
            Self::Tsv => Some(Format::Tsv),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Json => Some(Format::Json),
            Self::Parquet => Some(Format::Parquet),
            Self::Squad => Some(Format::Squad),
            Self::Conll => Some(Format::Conll),
        }
    }
}

/// A row as its file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The fields of a table, in the order of [`InputFile::header`].
    Fields(Vec<String>),
    /// The text of a JSON object.
    Object(String),
    /// The lines of a sentence in CoNLL's columns.
    Lines(Vec<String>),
}

/// What is read of a row that is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRow {
    /// The row.
    pub row: Row,
    /// What the model reads of it.
    pub example: Example,
}

/// A line of the user's to what the model reads; see `stages::typed_input`.
pub type ReadTyped<'a> = &'a (dyn Fn(TypedText<'_>) -> Result<Input> + Sync);

/// A file of inputs, and where in its rows the inputs stand.
pub struct InputFile<'a> {
    path: PathBuf,
    format: InputFormat,
    /// The model's task, with this file as its test file.
    task: Task,
    split: Split,
    /// The columns of the texts, where the file is a table and its head reads lines.
    texts: Option<InputColumns>,
    /// The column with the questions' ids, if the file has one.
    id: Option<String>,
    /// What separates the columns of CSV, where that is no comma.
    delimiter: Option<char>,
    header: Vec<String>,
    /// The passage that questions are about.
    context: Option<Arc<str>>,
    typed: ReadTyped<'a>,
}

/// What is known of a file of inputs before it is opened.
pub struct InputRequest<'a> {
    /// The file; `-` is stdin.
    pub path: &'a Path,
    /// Its form.
    pub format: InputFormat,
    /// The model's task.
    pub task: &'a Task,
    /// The columns of the texts that the user named; none where the task's apply.
    pub texts: &'a [String],
    /// The column of the second text that the user named.
    pub text_pair: Option<&'a str>,
    /// The passage that questions are about.
    pub context: Option<Arc<str>>,
    /// Reads the head's input from a line.
    pub typed: ReadTyped<'a>,
}

/// The file's name that stands for stdin.
const STDIN: &str = "-";

impl<'a> InputFile<'a> {
    /// Opens a file and finds the columns that the model reads.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, its form is not one that the head reads, or a column is missing.
    pub fn open(request: &InputRequest<'a>) -> Result<Self> {
        let InputRequest { path, format, task, .. } = *request;
        if path == Path::new(STDIN) && format != InputFormat::Lines {
            return Err(Error::usage("from stdin only texts are read, one on each line")
                .hint("write it to a file, and name that with `--file FILE`"));
        }
        let mut task = task.clone();
        let split =
            Split { name: "predict".into(), file: String::new(), columns: None, submission: None };
        let mut file = Self {
            path: path.to_owned(),
            format,
            split: split.clone(),
            texts: None,
            id: None,
            delimiter: None,
            header: Vec::new(),
            context: request.context.clone(),
            typed: request.typed,
            task: task.clone(),
        };
        match format {
            InputFormat::Lines => {
                refuse_columns(request)?;
                file.header = line_header(&task, request.context.is_some());
            }
            InputFormat::Squad | InputFormat::Conll => {
                refuse_columns(request)?;
                check_head(format, path, task.head)?;
                file.header = match format {
                    InputFormat::Squad => vec!["id".into(), "question".into()],
                    _ => vec!["sentence".into()],
                };
            }
            InputFormat::Csv
            | InputFormat::Tsv
            | InputFormat::Jsonl
            | InputFormat::Json
            | InputFormat::Parquet => {
                if format == InputFormat::Csv {
                    task.delimiter = delimiter(path, task.delimiter)?;
                    file.delimiter = task.delimiter;
                } else {
                    task.delimiter = None;
                }
                let first = first_row(&task, format, path)?;
                match find_columns(request, &first)? {
                    FoundColumns::Endings(columns) => task.columns = *columns,
                    FoundColumns::Texts(texts) => file.texts = Some(texts),
                    FoundColumns::Words(key) => {
                        task.columns =
                            Columns { word: Some(Column::Name(key)), ..Columns::default() };
                    }
                }
                file.header = first.header;
                file.id = id_column(&task, &file.header);
            }
        }
        if task.head == Head::Tag && file.texts.is_none() {
            // Prediction needs no tags. No file has this column, so the reader finds none.
            task.columns.label = Some(Column::Index(u32::MAX as usize));
        }
        if format == InputFormat::Conll {
            // A task of JSON objects names keys: then the words are where they are by default.
            task.columns.word.take_if(|column| matches!(column, Column::Name(_)));
        }
        if let Some(format) = format.task_format() {
            task.format = format;
        }
        task.test = vec![split];
        file.task = task;
        Ok(file)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its form.
    pub fn format(&self) -> InputFormat {
        self.format
    }

    /// The names of the columns of its rows; of JSON objects, the keys of the first.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// What separates the columns of CSV, where that is no comma.
    pub fn delimiter(&self) -> Option<char> {
        self.delimiter
    }

    /// Its size in bytes, where it is a file.
    pub fn bytes(&self) -> Option<u64> {
        std::fs::metadata(&self.path).ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
    }

    /// Begins to read the rows.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn rows(&'a self) -> Result<InputRows<'a>> {
        let source = match (self.format.task_format(), &self.texts) {
            (None, _) if self.path == Path::new(STDIN) => Source::Lines(Lines::new(
                Path::new("stdin"),
                Box::new(std::io::BufReader::new(std::io::stdin())),
            )),
            (None, _) => Source::Lines(Lines::open(&self.path)?),
            (Some(_), Some(texts)) => {
                let names = texts.names().into_iter().chain(self.id.clone()).collect();
                let rows = Rows::open(TableForm::of(&self.task), &self.path, names)?;
                Source::Table(Box::new(rows), texts)
            }
            (Some(_), None) => {
                Source::Task(reader::open(&self.task, &self.split, &self.path, &NO_LABELS)?)
            }
        };
        Ok(InputRows { file: self, source, number: 0 })
    }
}

/// The rows of a file of inputs, one at a time. Memory is bounded by the longest.
pub struct InputRows<'a> {
    file: &'a InputFile<'a>,
    source: Source<'a>,
    number: usize,
}

enum Source<'a> {
    Lines(Lines<'static>),
    Task(Box<dyn Reader + 'a>),
    Table(Box<Rows>, &'a InputColumns),
}

impl InputRows<'_> {
    /// The next row; `None` at the end.
    ///
    /// # Errors
    ///
    /// The row cannot be read or lacks what the model reads; the error names the line.
    pub fn advance(&mut self) -> Result<Option<InputRow>> {
        let file = self.file;
        let mut id = self.number.to_string();
        self.number += 1;
        let (line, row, input) = match &mut self.source {
            Source::Lines(lines) => {
                let Some(text) = lines.advance()?.map(str::to_owned) else { return Ok(None) };
                let input =
                    file.typed_input(&text).map_err(|e| e.at_line(lines.path(), lines.number()))?;
                (lines.number(), Row::Fields(file.line_fields(&text)), input)
            }
            Source::Task(reader) => {
                let Some(mut example) = reader.next_example()? else { return Ok(None) };
                example.target = None;
                let row = match (reader.row(), &example.input) {
                    (Some(row), _) => row,
                    (None, Input::Question { question, .. }) => {
                        Row::Fields(vec![example.id.clone(), question.clone()])
                    }
                    (None, _) => Row::Fields(Vec::new()),
                };
                return Ok(Some(InputRow { row, example }));
            }
            Source::Table(rows, texts) => {
                let Some(line) = rows.advance()? else { return Ok(None) };
                let text = texts.line(rows)?;
                let input = file.typed_input(&text).map_err(|e| e.at_line(&file.path, line))?;
                if let Some(column) = &file.id {
                    let position = rows.position(&Column::Name(column.clone()))?;
                    id = rows.optional(position).map_or(id, str::to_owned);
                }
                (line, rows.row(), input)
            }
        };
        Ok(Some(InputRow { row, example: Example { id, line, input, target: None } }))
    }

    /// How many bytes of the file were read.
    pub fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Lines(lines) => lines.bytes_read(),
            Source::Task(reader) => reader.bytes_read(),
            Source::Table(rows, _) => rows.bytes_read(),
        }
    }
}

impl InputFile<'_> {
    fn is_pair(&self) -> bool {
        self.task.columns.text_pair.is_some()
    }

    fn typed_input(&self, line: &str) -> Result<Input> {
        let typed = TypedText { line, is_pair: self.is_pair(), context: self.context.as_ref() };
        (self.typed)(typed)
    }

    /// The columns of a line of text.
    fn line_fields(&self, line: &str) -> Vec<String> {
        match self.header.len() {
            1 => vec![line.to_owned()],
            columns => line.splitn(columns, '\t').map(str::to_owned).collect(),
        }
    }
}

/// The names of what stands on a line of text, with tabs between.
fn line_header(task: &Task, has_context: bool) -> Vec<String> {
    let names: &[&str] = match task.head {
        Head::Span if has_context => &["question"],
        Head::Span => &["question", "context"],
        _ if task.columns.text_pair.is_some() => &["text", "text_pair"],
        _ => &["text"],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The beginning of an input file: the names of its columns, and the first object of a JSON file.
struct FirstRow {
    /// The names of the columns; of JSON objects, the keys of the first.
    header: Vec<String>,
    /// The first object.
    object: Option<Object>,
}

/// Reads the header of a table, or the first of JSON objects.
fn first_row(task: &Task, format: InputFormat, path: &Path) -> Result<FirstRow> {
    let empty = |what: &str| Error::new(format!("it is empty; expected {what}")).at(path);
    let form =
        TableForm { format: format.task_format().unwrap_or(Format::Csv), ..TableForm::of(task) };
    let mut rows = Rows::open(form, path, Vec::new())?;
    if !form.format.has_objects() {
        let header = rows.read_header()?.ok_or_else(|| empty("a header"))?;
        return Ok(FirstRow { header: header.to_vec(), object: None });
    }
    let what = form.format.row_name();
    let Some(line) = rows.advance()? else { return Err(empty(what)) };
    let Row::Object(text) = rows.row() else { return Err(empty(what)) };
    let object = Object::parse(&text).map_err(|error| error.at_line(path, line))?;
    let header = object.0.iter().map(|(key, _)| key.clone()).collect();
    Ok(FirstRow { header, object: Some(object) })
}

/// The column with the questions' ids, by which `{id: answer}` is written.
fn id_column(task: &Task, header: &[String]) -> Option<String> {
    if !task.head.asks_about_passage() {
        return None;
    }
    let name = match &task.columns.id {
        Some(Column::Name(name)) => name,
        _ => "id",
    };
    header.iter().find(|column| *column == name).cloned()
}

/// What separates the columns of a CSV file: what the task says, else a sign that the header has where it
/// has no comma.
fn delimiter(path: &Path, known: Option<char>) -> Result<Option<char>> {
    let mut lines = Lines::open(path)?;
    let header = lines.advance()?.unwrap_or_default();
    let signs = known.into_iter().chain([',', ';', '\t', '|']);
    let Some(found) = signs.into_iter().find(|&sign| header.contains(sign)) else {
        return Ok(known);
    };
    if found != ',' && known != Some(found) {
        log::info!("{}: its columns are separated by {found:?}", path.display());
    }
    Ok((found != ',').then_some(found))
}

fn refuse_columns(request: &InputRequest<'_>) -> Result<()> {
    if request.texts.is_empty() && request.text_pair.is_none() {
        return Ok(());
    }
    Err(Error::usage("`--text` and `--text-pair` name columns, which this file has not")
        .at(request.path)
        .hint("leave them out, or say with `--format` that it is a table"))
}

fn check_head(format: InputFormat, path: &Path, head: Head) -> Result<()> {
    let (fits, what) = match format {
        InputFormat::Squad => (head.asks_about_passage(), "SQuAD's JSON"),
        _ => (head == Head::Tag, "CoNLL's columns"),
    };
    if fits {
        return Ok(());
    }
    Err(Error::usage(format!("the head `{head}` does not read {what}"))
        .at(path)
        .hint("give a .csv, .tsv or .jsonl file, or name the form with `--format`"))
}

/// Files of inputs are read without labels.
static NO_LABELS: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::default);

#[cfg(test)]
mod tests;
