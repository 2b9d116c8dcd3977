//! CoNLL's form of tagged sentences: a word on each line, a blank line between sentences.
//!
//! Columns are separated by spaces or tabs. The word is the first and the tag the last, unless the
//! task says otherwise; a file of one column has no tags. A line whose first column is `-DOCSTART-`
//! begins a document and is no word. A line before a sentence that begins with `#` is a comment, unless
//! it has the columns of a word: `# NN O`.
//!
//! CoNLL-U has ten columns with tabs between, so that a word may hold a space; the second is the word and
//! the fourth its part of speech. Lines of several words together (`1-2`) and of words that are not
//! written (`8.1`) are left out.
//!
//! Entities may be tagged in any [`Scheme`](crate::task::Scheme). Their tags are rewritten to IOB2, so
//! that one label set serves all of them; the entities stay the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::tags::Tags;
use super::{Example, Input, Labels, Row};
use crate::error::{Error, Result};
use crate::task::{Column, ReadTags, Split, Task};
use crate::text::{Lines, count};

/// Reads a file of tagged sentences.
pub(super) struct ConllReader<'a> {
    path: &'a Path,
    labels: &'a Labels,
    sentences: Sentences,
    /// The number of the next sentence, counted from 0.
    number: usize,
}

impl<'a> ConllReader<'a> {
    /// Opens a file.
    pub(super) fn open(
        task: &'a Task,
        split: &'a Split,
        path: &'a Path,
        labels: &'a Labels,
    ) -> Result<Self> {
        Ok(Self { path, labels, sentences: Sentences::open(task, split, path)?, number: 0 })
    }
}

impl Reader for ConllReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some(Sentence { lines, words, tags }) = self.sentences.advance()? else {
            return Ok(None);
        };
        let target =
            tags.map(|tags| Tags::target(&tags, self.labels, self.path, |word| lines[word]));
        let id = self.number.to_string();
        self.number += 1;
        let line = lines[0];
        Ok(Some(Example { id, line, input: Input::Words(words), target: target.transpose()? }))
    }

    /// Of entities, both tags of every type, and `O`.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        while let Some(sentence) = self.sentences.advance()? {
            let Some(tags) = sentence.tags else {
                return Err(Error::new("it has one column, the words; expected a column of tags")
                    .at_line(self.path, sentence.lines[0]));
            };
            for tag in tags {
                *counts.entry(tag).or_insert(0) += 1;
            }
        }
        self.sentences.tags.complete(&mut counts);
        Ok(counts)
    }

    fn row(&self) -> Option<Row> {
        Some(Row::Lines(self.sentences.rows.clone()))
    }

    fn bytes_read(&self) -> u64 {
        self.sentences.lines.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        let Sentences { comments, left_out, tags, .. } = &self.sentences;
        let mut made = tags.changed();
        if *comments > 0 {
            made.push(format!("{} left out that begin with `#`", count(*comments, "line")));
        }
        if *left_out > 0 {
            made.push(format!(
                "{} left out that are no single written word (`1-2`, `8.1`)",
                count(*left_out, "line")
            ));
        }
        made
    }

    fn tags_read(&self) -> Option<&ReadTags> {
        self.sentences.tags.entities()
    }
}

struct Sentence {
    /// The line of each word; at least one.
    lines: Vec<usize>,
    words: Vec<String>,
    /// A tag for each word, entities in IOB2.
    tags: Option<Vec<String>>,
}

/// A file that is being read. Memory is bounded by the longest sentence.
struct Sentences {
    lines: Lines<'static>,
    word: Option<usize>,
    label: LabelColumn,
    /// The columns of the file's first word.
    form: Option<Form>,
    tags: Tags,
    /// Lines that were taken for comments.
    comments: usize,
    /// Lines of CoNLL-U that are no single written word.
    left_out: usize,
    /// The lines of the current sentence.
    rows: Vec<String>,
}

/// Where the tag stands.
#[derive(Clone, Copy)]
enum LabelColumn {
    At(usize),
    /// There, or nowhere if the file has fewer columns.
    MaybeAt(usize),
    /// Where the form of the file has it: in the last column, unless that is the word's.
    Usual,
}

/// What a file's first word says of all others.
#[derive(Clone, Copy)]
struct Form {
    columns: usize,
    line: usize,
    is_conllu: bool,
}

/// The columns of CoNLL-U.
const CONLLU_COLUMNS: usize = 10;
/// That of the word.
const CONLLU_WORD: usize = 1;
/// That of the universal part of speech.
const CONLLU_TAG: usize = 3;

impl Sentences {
    fn open(task: &Task, split: &Split, path: &Path) -> Result<Self> {
        let columns = task.columns_of(split);
        let position = |column: &Column| match column {
            Column::Index(index) => Ok(*index),
            Column::Name(name) => Err(Error::new(format!(
                "a CoNLL file has no header, so there is no column `{name}`; expected its position \
                 counted from 0"
            ))
            .at(path)),
        };
        Ok(Self {
            lines: Lines::open(path)?,
            word: columns.word.as_ref().map(position).transpose()?,
            label: match &columns.label {
                None => LabelColumn::Usual,
                Some(column) if task.is_test(split) => LabelColumn::MaybeAt(position(column)?),
                Some(column) => LabelColumn::At(position(column)?),
            },
            form: None,
            tags: Tags::new(task),
            comments: 0,
            left_out: 0,
            rows: Vec::new(),
        })
    }

    /// The next sentence, or `None` at the end.
    fn advance(&mut self) -> Result<Option<Sentence>> {
        let (mut lines, mut words, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        self.rows.clear();
        while self.lines.advance()?.is_some() {
            let line = self.lines.current();
            let number = self.lines.number();
            if words.is_empty() && is_comment(line, self.form, self.tags.entities().is_some()) {
                self.comments += 1;
                continue;
            }
            if matches!(columns(line, false).first(), None | Some(&"-DOCSTART-")) {
                if words.is_empty() {
                    continue;
                }
                break;
            }
            let form = *self.form.get_or_insert_with(|| Form::of(line, number));
            let columns = columns(line, form.is_conllu);
            if columns.len() != form.columns {
                return Err(Error::new(format!(
                    "expected {} columns as on line {}, found {}",
                    form.columns,
                    form.line,
                    columns.len()
                ))
                .at_line(self.lines.path(), number));
            }
            if form.is_conllu && columns[0].contains(['-', '.']) {
                self.left_out += 1;
                continue;
            }
            let column = |at: usize, what: &str| {
                columns.get(at).copied().ok_or_else(|| {
                    Error::new(format!(
                        "expected the {what} in column {at} (counted from 0), found {} columns",
                        form.columns
                    ))
                    .at_line(self.lines.path(), number)
                })
            };
            let word = self.word.unwrap_or(if form.is_conllu { CONLLU_WORD } else { 0 });
            words.push(column(word, "word")?.to_owned());
            lines.push(number);
            self.rows.push(line.to_owned());
            let label = match self.label {
                LabelColumn::At(at) => Some(at),
                LabelColumn::MaybeAt(at) => (at < form.columns).then_some(at),
                LabelColumn::Usual if form.is_conllu => Some(CONLLU_TAG),
                LabelColumn::Usual => Some(form.columns - 1).filter(|&last| last != word),
            };
            if let Some(at) = label {
                tags.push(column(at, "tag")?.to_owned());
            }
        }
        if words.is_empty() {
            return Ok(None);
        }
        self.tags.read(&mut tags, self.lines.path(), |word| lines[word])?;
        let tags = (!tags.is_empty()).then_some(tags);
        Ok(Some(Sentence { lines, words, tags }))
    }
}

impl Form {
    /// The form of a file whose first word is on this line.
    fn of(line: &str, number: usize) -> Self {
        let tabs = columns(line, true);
        let is_conllu = tabs.len() == CONLLU_COLUMNS
            && tabs[0].starts_with(|c: char| c.is_ascii_digit())
            && tabs[0].chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
        Self { columns: columns(line, is_conllu).len(), line: number, is_conllu }
    }
}

/// The columns of a line. Only spaces and tabs separate, in CoNLL-U only tabs: a word may be another
/// white space, such as the no-break space.
fn columns(line: &str, is_conllu: bool) -> Vec<&str> {
    if is_conllu {
        return line.split('\t').collect();
    }
    line.split([' ', '\t']).filter(|column| !column.is_empty()).collect()
}

/// Whether a line before a sentence is a comment and not a word that begins with `#`: it begins with `#`
/// and has not the columns of a word.
fn is_comment(line: &str, form: Option<Form>, entities: bool) -> bool {
    if !line.starts_with('#') {
        return false;
    }
    let columns = columns(line, form.is_some_and(|form| form.is_conllu));
    if matches!(columns.as_slice(), [_, "=", ..] | [_, _, "=", ..])
        || form.is_some_and(|form| columns.len() != form.columns)
    {
        return true;
    }
    let last = columns.last().copied().unwrap_or_default();
    let is_tag = last == "O" || last.get(1..2) == Some("-");
    // A tag that stands for itself may be any text.
    if entities { !is_tag } else { form.is_none() }
}

#[cfg(test)]
mod tests;
