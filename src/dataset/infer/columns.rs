//! The columns of a data file, and which of them are texts and labels by their names.

use std::collections::BTreeSet;
use std::path::Path;

use super::form::Form;
use crate::dataset::rows::{self, Rows};
use crate::error::Result;
use crate::text::excerpt;

/// Rows that are looked at.
const ROWS: usize = 200;

/// Values of a column that are shown.
const SHOWN: usize = 3;

/// A column of the file, as its first rows have it.
#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    pub(super) name: String,
    /// The first few different values.
    values: Vec<String>,
    /// Whether its values are lists or objects.
    pub(super) is_nested: bool,
    /// Words in all its values.
    words: usize,
    rows: usize,
}

impl FileColumn {
    /// Whether its values are texts of several words.
    pub(super) fn is_wordy(&self) -> bool {
        !self.is_nested && self.words >= 3 * self.rows.max(1)
    }

    /// A column of that name alone.
    #[cfg(test)]
    pub(super) fn for_test(name: &str) -> Self {
        let (name, values) = (name.to_owned(), Vec::new());
        Self { name, values, is_nested: false, words: 0, rows: 0 }
    }

    /// Its name with the first few values, for people.
    pub(super) fn line(&self) -> String {
        let values: Vec<String> =
            self.values.iter().map(|value| format!("`{}`", excerpt(value))).collect();
        format!("  {}: {}", self.name, values.join(", "))
    }
}

/// Reads the column names of a file, and each column's values in the first rows.
pub(super) fn sample(path: &Path, form: Form) -> Result<Vec<FileColumn>> {
    let table = form.table();
    let names = if form.format.has_objects() {
        rows::keys(table, path, ROWS)?
    } else {
        Rows::open(table, path, Vec::new())?.read_header()?.unwrap_or_default().to_vec()
    };
    let column = |name: &String| FileColumn {
        name: name.clone(),
        values: Vec::new(),
        is_nested: false,
        words: 0,
        rows: 0,
    };
    let mut columns: Vec<FileColumn> = names.iter().map(column).collect();
    if names.is_empty() {
        return Ok(columns);
    }
    let mut rows = Rows::open(table, path, names)?;
    for _ in 0..ROWS {
        if rows.advance()?.is_none() {
            break;
        }
        for (position, column) in columns.iter_mut().enumerate() {
            let nested = rows.nested(position).map(ToString::to_string);
            column.is_nested |= nested.is_some();
            let value = nested.as_deref().or_else(|| rows.optional(position)).unwrap_or_default();
            column.rows += 1;
            column.words += value.split_whitespace().count();
            if column.values.len() < SHOWN && !column.values.iter().any(|known| known == value) {
                column.values.push(value.to_owned());
            }
        }
    }
    Ok(columns)
}

/// Names of two columns that are a pair of texts.
const PAIRS: [(&str, &str); 13] = [
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("texta", "textb"),
    ("texta", "textpair"),
    ("text", "textpair"),
    ("sentencea", "sentenceb"),
    ("query", "document"),
    ("query", "passage"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "answer"),
];

/// Names of a column of texts.
const TEXTS: [&str; 18] = [
    "text",
    "sentence",
    "content",
    "body",
    "review",
    "reviewtext",
    "message",
    "comment",
    "tweet",
    "utterance",
    "description",
    "document",
    "article",
    "abstract",
    "query",
    "question",
    "title",
    "input",
];

/// Names of a column of labels.
const LABELS: [&str; 18] = [
    "label",
    "labels",
    "class",
    "category",
    "target",
    "goldlabel",
    "sentiment",
    "polarity",
    "intent",
    "topic",
    "score",
    "rating",
    "stars",
    "similarity",
    "similarityscore",
    "emotion",
    "tag",
    "output",
];

/// Names of a column of words, and of one of their tags.
const WORDS: [&str; 2] = ["tokens", "words"];
const TAGS: [&str; 7] = ["nertags", "tags", "ner", "labels", "postags", "chunktags", "wordlabels"];

/// A name without case and signs.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn named<'a>(columns: &'a [FileColumn], name: &str) -> Option<&'a FileColumn> {
    columns.iter().find(|column| plain(&column.name) == name)
}

fn first_of<'a>(columns: &'a [FileColumn], names: &[&str]) -> Option<&'a FileColumn> {
    names.iter().find_map(|name| named(columns, name))
}

/// The column of texts, and that of second texts where there are pairs; `taken` are other columns.
pub(super) fn texts(columns: &[FileColumn], taken: &[String]) -> Option<(String, Option<String>)> {
    let free: Vec<FileColumn> = columns
        .iter()
        .filter(|column| !taken.contains(&column.name) && !column.is_nested)
        .cloned()
        .collect();
    for (one, other) in PAIRS {
        if let (Some(one), Some(other)) = (named(&free, one), named(&free, other)) {
            return Some((one.name.clone(), Some(other.name.clone())));
        }
    }
    if let Some(text) = first_of(&free, &TEXTS) {
        return Some((text.name.clone(), None));
    }
    // A label that the user names leaves one column of texts in most files.
    let wordy: Vec<&FileColumn> = free.iter().filter(|column| column.is_wordy()).collect();
    match wordy[..] {
        [only] if !taken.is_empty() => Some((only.name.clone(), None)),
        _ => None,
    }
}

/// The column of labels by its name; `taken` are other columns.
pub(super) fn label(columns: &[FileColumn], taken: &[String]) -> Option<String> {
    let free: Vec<FileColumn> =
        columns.iter().filter(|column| !taken.contains(&column.name)).cloned().collect();
    first_of(&free, &LABELS).map(|column| column.name.clone())
}

/// The columns of words and of their tags, which are lists.
pub(super) fn words_and_tags(columns: &[FileColumn]) -> Option<(String, String)> {
    let nested: Vec<FileColumn> =
        columns.iter().filter(|column| column.is_nested).cloned().collect();
    let words = first_of(&nested, &WORDS)?;
    let tags = first_of(&nested, &TAGS)?;
    Some((words.name.clone(), tags.name.clone()))
}

/// Whether rows are questions with passage and answers, as Hugging Face writes SQuAD.
pub(super) fn are_questions(columns: &[FileColumn]) -> bool {
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    has("question")
        && has("context")
        && columns.iter().any(|column| column.name == "answers" && column.is_nested)
}

/// The command to type for a file whose columns are not known by their names: with the longest texts
/// and the column of fewest values that the first rows suggest.
pub(super) fn example_flags(columns: &[FileColumn]) -> String {
    let is_used = |column: &&FileColumn| !column.is_nested;
    let mut by_words: Vec<&FileColumn> = columns.iter().filter(is_used).collect();
    by_words.sort_by_key(|column| std::cmp::Reverse(column.words));
    let text = by_words.first().map_or("TEXT", |column| column.name.as_str());
    let label = columns
        .iter()
        .filter(|column| column.name != text && !column.is_nested)
        .min_by_key(|column| {
            let different: BTreeSet<&String> = column.values.iter().collect();
            (column.words > column.rows * 2, different.len(), column.words)
        })
        .map_or("LABEL", |column| column.name.as_str());
    format!("--text {} --label {}", quoted(text), quoted(label))
}

/// A name as it is typed in a shell among several: as in CSV where it has commas.
pub(super) fn quoted(name: &str) -> String {
    let in_csv = format!("\"{}\"", name.replace('"', "\"\""));
    let name = if name.contains(',') || name.starts_with('"') { &in_csv } else { name };
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}
