//! The columns of a table that hold what the model reads.

use serde_json::Value;

use super::{FirstRow, InputRequest};
use crate::dataset::rows::Rows;
use crate::dataset::tokens::WORDS;
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Head, Task, TextColumns};
use crate::text::listed;

/// Pairs of columns that data sets commonly have, and single ones.
const COMMON_PAIRS: [(&str, &str); 5] = [
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text_a", "text_b"),
];
const COMMON_TEXTS: [&str; 8] =
    ["text", "sentence", "content", "body", "message", "review", "comment", "title"];

/// Columns whose texts, with spaces between, are the text; and the column of the second text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputColumns {
    texts: Vec<String>,
    /// None where the head reads one text.
    pair: Vec<String>,
}

impl InputColumns {
    /// The names of the columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.texts.iter().chain(&self.pair).cloned().collect()
    }

    /// The current row's texts as a line that a user would type: both texts with a tab between.
    pub(super) fn line(&self, rows: &mut Rows) -> Result<String> {
        let mut line = joined(&self.texts, rows)?;
        if !self.pair.is_empty() {
            // The first tab separates the texts.
            line = line.replace('\t', " ");
            line.push('\t');
            line.push_str(&joined(&self.pair, rows)?);
        }
        Ok(line)
    }
}

/// The fields of these columns of the current row, joined by spaces.
fn joined(names: &[String], rows: &mut Rows) -> Result<String> {
    let mut positions = Vec::new();
    for name in names {
        positions.push(rows.position(&Column::Name(name.clone()))?);
    }
    let fields = positions.into_iter().map(|position| rows.field(position));
    Ok(TextColumns::join(fields.collect::<Result<Vec<_>>>()?))
}

/// Columns of the text, and of the second text.
type Known = (Vec<String>, Vec<String>);

/// Where a table's rows have what the model reads.
pub(super) enum FoundColumns {
    /// One text or two.
    Texts(InputColumns),
    /// The columns of a context and its endings.
    Endings(Box<Columns>),
    /// The key of a list of words.
    Words(String),
}

/// Finds the columns that the user named, else the task's, else those with a common name.
pub(super) fn find_columns(request: &InputRequest<'_>, first: &FirstRow) -> Result<FoundColumns> {
    let task = request.task;
    let header = first.header.as_slice();
    if task.head == Head::Tag
        && let Some(key) = words(request, first)
    {
        return Ok(FoundColumns::Words(key));
    }
    if task.head.has_endings() {
        return endings(request, header);
    }
    for name in request.texts.iter().map(String::as_str).chain(request.text_pair) {
        if !has(header, name) {
            return Err(missing(request, header, name));
        }
    }
    let pair_given: Option<Vec<String>> = request.text_pair.map(|name| vec![name.to_owned()]);
    if !request.texts.is_empty() {
        let texts = request.texts.to_vec();
        let pair = match pair_given {
            None if needs_pair(request) => guess_pair(request, header, &texts[0])?,
            pair => pair.unwrap_or_default(),
        };
        return Ok(FoundColumns::Texts(InputColumns { texts, pair }));
    }
    let known = known_columns(task);
    let (texts, pair) = known
        .iter()
        .find(|(texts, pair)| {
            let pair = pair.iter().filter(|_| needs_pair(request));
            texts.iter().chain(pair).all(|name| has(header, name))
        })
        .cloned()
        .or_else(|| guess(request, header))
        .ok_or_else(|| no_columns(request, header))?;
    let pair = pair_given.unwrap_or(pair);
    let pair = if needs_pair(request) { pair } else { Vec::new() };
    let columns = InputColumns { texts, pair };
    if !known.iter().any(|(texts, _)| *texts == columns.texts) {
        let names = columns.names();
        let names = listed(names.iter().map(String::as_str));
        log::info!("{}: predicting from the column {names}", request.path.display());
    }
    Ok(FoundColumns::Texts(columns))
}

/// The key under which the first object has a list of words: the one that the user named, else the task's,
/// else the usual one. `None` where sentences are texts.
fn words(request: &InputRequest<'_>, first: &FirstRow) -> Option<String> {
    let of_task = match &request.task.columns.word {
        Some(Column::Name(name)) => name,
        _ => WORDS,
    };
    let key = match request.texts {
        [] => of_task,
        [named] => named,
        _ => return None,
    };
    let is_list = matches!(first.object.as_ref()?.get(key)?, Value::Array(_));
    is_list.then(|| key.to_owned())
}

/// Whether the head reads two texts of a row.
fn needs_pair(request: &InputRequest<'_>) -> bool {
    match request.task.head {
        Head::Span => request.context.is_none(),
        Head::Tag => false,
        _ => request.task.splits().any(|split| request.task.columns_of(split).text_pair.is_some()),
    }
}

/// The columns that the task's files name.
fn known_columns(task: &Task) -> Vec<Known> {
    let name = |column: &Column| match column {
        Column::Name(name) => Some(name.clone()),
        Column::Index(_) => None,
    };
    if task.head == Head::Span {
        let key = |column: &Option<Column>, default: &str| {
            column.as_ref().and_then(name).unwrap_or_else(|| default.to_owned())
        };
        let Columns { question, context, .. } = &task.columns;
        return vec![(vec![key(question, "question")], vec![key(context, "context")])];
    }
    let of = |columns: &Columns| {
        let names =
            |text: &TextColumns| text.columns().iter().map(name).collect::<Option<Vec<_>>>();
        let pair = columns.text_pair.as_ref().map_or_else(|| Some(Vec::new()), names);
        Some((names(columns.text.as_ref()?)?, pair?))
    };
    let own = std::iter::once(&task.columns);
    own.chain(task.splits().filter_map(|split| split.columns.as_ref())).filter_map(of).collect()
}

/// Columns with a common name, or the only column.
fn guess(request: &InputRequest<'_>, header: &[String]) -> Option<Known> {
    if needs_pair(request) {
        let known = COMMON_PAIRS.iter().find(|(one, two)| has(header, one) && has(header, two));
        return known.map(|(one, two)| (vec![(*one).to_owned()], vec![(*two).to_owned()]));
    }
    let only = match header {
        [only] => Some(only.as_str()),
        _ => None,
    };
    let common = COMMON_TEXTS.iter().copied().find(|name| has(header, name));
    common.or(only).map(|name| (vec![name.to_owned()], Vec::new()))
}

/// The second column, where the user named the first.
fn guess_pair(request: &InputRequest<'_>, header: &[String], text: &str) -> Result<Vec<String>> {
    let known = known_columns(request.task).into_iter().map(|(_, pair)| pair);
    let common = COMMON_PAIRS.iter().filter(|(one, _)| *one == text);
    let mut pairs = known.chain(common.map(|(_, two)| vec![(*two).to_owned()]));
    let is_there =
        |pair: &Vec<String>| !pair.is_empty() && pair.iter().all(|name| has(header, name));
    pairs.find(is_there).ok_or_else(|| {
        Error::usage("the model reads two texts; the column of the second is not known")
            .at(request.path)
            .hint(format!(
                "name it with `--text-pair COLUMN`; the columns of the file are {}",
                all(header)
            ))
    })
}

fn endings(request: &InputRequest<'_>, header: &[String]) -> Result<FoundColumns> {
    let columns = Columns { id: None, label: None, ..request.task.columns.clone() };
    let Columns { context, start, endings, .. } = &columns;
    for column in context.iter().chain(start).chain(endings) {
        if let Column::Name(name) = column
            && !has(header, name)
        {
            return Err(Error::usage(format!("no column `{name}` in it; it has {}", all(header)))
                .at(request.path)
                .hint("give the columns the names that the task's files have"));
        }
    }
    Ok(FoundColumns::Endings(Box::new(columns)))
}

fn has(header: &[String], name: &str) -> bool {
    header.iter().any(|column| column == name)
}

fn all(header: &[String]) -> String {
    listed(header.iter().map(String::as_str))
}

fn missing(request: &InputRequest<'_>, header: &[String], name: &str) -> Error {
    Error::usage(format!("no column `{name}` in it; it has {}", all(header))).at(request.path)
}

fn no_columns(request: &InputRequest<'_>, header: &[String]) -> Error {
    let what = match request.task.head {
        Head::Span => "the question and the passage",
        _ if needs_pair(request) => "the two texts",
        _ => "the text",
    };
    let flags =
        if needs_pair(request) { "--text COLUMN --text-pair COLUMN" } else { "--text COLUMN" };
    Error::usage(format!("which columns hold {what}? it has {}", all(header)))
        .at(request.path)
        .hint(format!("name them: `{flags}`"))
}
