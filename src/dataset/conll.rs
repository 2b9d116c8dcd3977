//! CoNLL's form of tagged sentences: a word on each line, a blank line between sentences.
//!
//! Columns are separated by spaces or tabs. The word is the first and the tag the last, unless the
//! task says otherwise; a file of one column has no tags. A line whose first column is `-DOCSTART-`
//! begins a document and is no word.
//!
//! Entities may be tagged in IOB1 (`B-` only where an entity follows another of its type) or in
//! IOB2 (`B-` at every entity's first word). In both, and as `conlleval` counts, an entity begins at
//! `B-` and at an `I-` that follows `O`, another type or the beginning of the sentence. Tags are
//! rewritten by that rule to IOB2, so that one label set serves both schemes; the entities stay the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::reader::Reader;
use super::{Example, Input, Labels, Row, Target};
use crate::error::{Error, Result};
use crate::task::{Column, Split, Task};
use crate::text::{Lines, excerpt};

/// Reads a file of tagged sentences.
pub(super) struct ConllReader<'a> {
    task: &'a Task,
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
        Ok(Self { task, path, labels, sentences: Sentences::open(task, split, path)?, number: 0 })
    }
}

impl Reader for ConllReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some(Sentence { line, words, tags }) = self.sentences.advance()? else {
            return Ok(None);
        };
        let (path, labels) = (self.path, self.labels);
        let tags = tags.map(|tags| {
            let indices = tags.iter().enumerate().map(|(i, tag)| {
                // A sentence's words stand on lines that follow each other.
                labels.parse(tag).map_err(|error| error.at_line(path, line + i))
            });
            indices.collect::<Result<Vec<_>>>().map(Target::Tags)
        });
        let id = self.number.to_string();
        self.number += 1;
        Ok(Some(Example { id, line, input: Input::Words(words), target: tags.transpose()? }))
    }

    /// Of entities, both tags of every type, and `O`.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        while let Some(sentence) = self.sentences.advance()? {
            let Some(tags) = sentence.tags else {
                return Err(Error::new("it has one column, the words; expected a column of tags")
                    .at_line(self.path, sentence.line));
            };
            for tag in tags {
                *counts.entry(tag).or_insert(0) += 1;
            }
        }
        if self.task.tags_are_entities() {
            let types: BTreeSet<_> =
                counts.keys().filter_map(|tag| tag.get(2..)).map(str::to_owned).collect();
            for entity_type in types {
                counts.entry(format!("B-{entity_type}")).or_insert(0);
                counts.entry(format!("I-{entity_type}")).or_insert(0);
            }
            counts.entry("O".into()).or_insert(0);
        }
        Ok(counts)
    }

    fn row(&self) -> Option<Row> {
        Some(Row::Lines(self.sentences.rows.clone()))
    }

    fn bytes_read(&self) -> u64 {
        self.sentences.lines.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        Vec::new()
    }
}

struct Sentence {
    /// The line of its first word.
    line: usize,
    words: Vec<String>,
    /// A tag for each word, entities in IOB2.
    tags: Option<Vec<String>>,
}

/// A file that is being read. Memory is bounded by the longest sentence.
struct Sentences {
    lines: Lines<'static>,
    word: usize,
    label: LabelColumn,
    /// Columns of the first word's line, and that line.
    width: Option<(usize, usize)>,
    entities: bool,
    /// The lines of the current sentence.
    rows: Vec<String>,
}

/// Where the tag stands.
#[derive(Clone, Copy)]
enum LabelColumn {
    At(usize),
    /// There, or nowhere if the file has fewer columns.
    MaybeAt(usize),
    /// In the last column, unless that is the word's.
    Last,
}

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
            word: columns.word.as_ref().map_or(Ok(0), position)?,
            label: match &columns.label {
                None => LabelColumn::Last,
                Some(column) if task.is_test(split) => LabelColumn::MaybeAt(position(column)?),
                Some(column) => LabelColumn::At(position(column)?),
            },
            width: None,
            entities: task.tags_are_entities(),
            rows: Vec::new(),
        })
    }

    /// The next sentence, or `None` at the end.
    fn advance(&mut self) -> Result<Option<Sentence>> {
        let (mut first, mut words, mut tags) = (0, Vec::new(), Vec::new());
        self.rows.clear();
        while self.lines.advance()?.is_some() {
            let columns: Vec<&str> = columns(self.lines.current()).collect();
            if matches!(columns.first(), None | Some(&"-DOCSTART-")) {
                if words.is_empty() {
                    continue;
                }
                break;
            }
            let number = self.lines.number();
            let (width, width_line) = *self.width.get_or_insert((columns.len(), number));
            if columns.len() != width {
                return Err(Error::new(format!(
                    "expected {width} columns as on line {width_line}, found {}",
                    columns.len()
                ))
                .at_line(self.lines.path(), number));
            }
            let column = |at: usize, what: &str| {
                columns.get(at).copied().ok_or_else(|| {
                    Error::new(format!(
                        "expected the {what} in column {at} (counted from 0), found {width} columns"
                    ))
                    .at_line(self.lines.path(), number)
                })
            };
            if words.is_empty() {
                first = number;
            }
            words.push(column(self.word, "word")?.to_owned());
            self.rows.push(self.lines.current().to_owned());
            let label = match self.label {
                LabelColumn::At(at) => Some(at),
                LabelColumn::MaybeAt(at) => (at < width).then_some(at),
                LabelColumn::Last => Some(width - 1).filter(|&last| last != self.word),
            };
            if let Some(at) = label {
                let tag = column(at, "tag")?;
                if self.entities && entity_type(tag).is_none() {
                    return Err(Error::new(format!(
                        "the tag is `{}`; expected `O`, `B-TYPE` or `I-TYPE` (IOB1 or IOB2)",
                        excerpt(tag)
                    ))
                    .at_line(self.lines.path(), number));
                }
                tags.push(tag.to_owned());
            }
        }
        if words.is_empty() {
            return Ok(None);
        }
        if self.entities {
            rewrite_as_iob2(&mut tags);
        }
        let tags = (!tags.is_empty()).then_some(tags);
        Ok(Some(Sentence { line: first, words, tags }))
    }
}

/// The columns of a line. Only spaces and tabs separate: a word may be another white space, such as
/// the no-break space.
fn columns(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t']).filter(|column| !column.is_empty())
}

/// The type of an entity's tag, empty for `O`; `None` for a tag of neither IOB1 nor IOB2.
fn entity_type(tag: &str) -> Option<&str> {
    match tag {
        "O" => Some(""),
        _ => tag
            .strip_prefix("B-")
            .or_else(|| tag.strip_prefix("I-"))
            .filter(|entity_type| !entity_type.is_empty()),
    }
}

/// Gives `B-` to the first word of every entity of a sentence and `I-` to the others.
fn rewrite_as_iob2(tags: &mut [String]) {
    let mut previous = String::new();
    for tag in tags {
        let current = entity_type(tag).unwrap_or_default().to_owned();
        if tag.starts_with("I-") && previous != current {
            *tag = format!("B-{current}");
        }
        previous = current;
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::read_all;
    use super::*;
    use crate::metric::MetricName;
    use crate::task;

    const NAMES: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

    fn task() -> Task {
        let mut task = task::find("conll2003").unwrap();
        task.labels = Some(NAMES.map(str::to_owned).into());
        task
    }

    fn found_labels(task: &Task, split: &Split, path: &Path) -> Result<Vec<String>> {
        let counts = ConllReader::open(task, split, path, &Labels::default())?.count_labels()?;
        Ok(counts.into_keys().collect())
    }

    fn read_as(task: &Task, split: &Split, text: &str) -> Result<Vec<Example>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, text).unwrap();
        let labels = match &task.labels {
            Some(names) => Labels::new(names.clone()),
            None => Labels::new(found_labels(task, split, &path)?),
        };
        read_all(ConllReader::open(task, split, &path, &labels)?)
    }

    fn read_train(text: &str) -> Result<Vec<Example>> {
        let task = task();
        read_as(&task, task.train.as_ref().unwrap(), text)
    }

    fn words(example: &Example) -> Vec<&str> {
        let Input::Words(words) = &example.input else { panic!("{example:?}") };
        words.iter().map(String::as_str).collect()
    }

    fn tags(example: &Example) -> Vec<&str> {
        let Some(Target::Tags(tags)) = &example.target else { panic!("{example:?}") };
        tags.iter().map(|&tag| NAMES[tag]).collect()
    }

    fn line_of(error: &Error) -> Option<usize> {
        error.place().unwrap().line
    }

    #[test]
    fn sentences_are_cut_at_blank_lines_and_document_marks_are_no_words() {
        let examples = read_train(
            "-DOCSTART- -X- -X- O\n\nAda NNP I-NP B-PER\nruns VBZ I-VP O\n\n\n\
             -DOCSTART- O\n\nOslo NNP I-NP B-LOC\n-DOCSTART-\nAda NNP I-NP B-PER",
        )
        .unwrap();
        let lines: Vec<_> = examples.iter().map(|example| example.line).collect();
        assert_eq!(lines, [3, 9, 11]);
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
        assert_eq!(words(&examples[1]), ["Oslo"]);
        assert_eq!(words(&examples[2]), ["Ada"]);
    }

    #[test]
    fn columns_may_be_separated_by_tabs_and_lines_end_as_on_windows() {
        let examples = read_train("Ada\tB-PER\r\nruns \t O\r\n \r\nOslo\tB-LOC\r\n").unwrap();
        assert_eq!(examples.len(), 2);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
    }

    #[test]
    fn a_no_break_space_is_a_word() {
        let examples = read_train("\u{a0} O\nAda B-PER\n").unwrap();
        assert_eq!(words(&examples[0]), ["\u{a0}", "Ada"]);
    }

    #[test]
    fn iob1_becomes_iob2_and_iob2_stays() {
        let iob1 = "a I-PER\nb I-PER\nc B-PER\nd I-LOC\ne O\nf I-LOC\n\ng I-LOC\n";
        let iob2 = "a B-PER\nb I-PER\nc B-PER\nd B-LOC\ne O\nf B-LOC\n\ng B-LOC\n";
        let (iob1, iob2) = (read_train(iob1).unwrap(), read_train(iob2).unwrap());
        assert_eq!(iob1, iob2);
        assert_eq!(tags(&iob1[0]), ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC"]);
        assert_eq!(tags(&iob1[1]), ["B-LOC"]);
    }

    #[test]
    fn a_file_of_words_alone_has_no_targets() {
        let examples = read_train("Ada\nruns\n\nOslo\n").unwrap();
        assert!(examples.iter().all(|example| example.target.is_none()));
    }

    #[test]
    fn a_line_with_too_few_columns_names_its_line_and_both_counts() {
        let error = read_train("Ada NNP B-PER\nruns O\n").unwrap_err();
        assert_eq!(line_of(&error), Some(2));
        assert!(error.what().contains("expected 3 columns as on line 1, found 2"), "{error}");
    }

    #[test]
    fn an_unknown_tag_names_its_line_and_the_known_ones() {
        let error = read_train("Ada B-PER\nruns O\nJune I-DATE\n").unwrap_err();
        assert_eq!(line_of(&error), Some(3));
        assert!(error.what().contains("unknown label `B-DATE`; expected one of `O`"), "{error}");
    }

    #[test]
    fn a_prefix_of_another_scheme_names_its_line_and_the_known_ones() {
        for tag in ["S-PER", "PER", "B-", "b-PER", "o", "-", "BPER"] {
            let error = read_train(&format!("Oslo O\nAda {tag}\n")).unwrap_err();
            assert_eq!(line_of(&error), Some(2), "{tag}");
            assert!(error.what().contains("expected `O`, `B-TYPE` or `I-TYPE`"), "{error}");
        }
    }

    #[test]
    fn columns_are_where_the_task_says() {
        let mut task = task();
        task.columns.word = Some(Column::Index(1));
        task.columns.label = Some(Column::Index(2));
        let train = task.train.clone().unwrap();
        let examples = read_as(&task, &train, "1 Ada B-PER x\n2 runs O y\n").unwrap();
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(tags(&examples[0]), ["B-PER", "O"]);

        let error = read_as(&task, &train, "1 Ada\n").unwrap_err();
        assert_eq!(line_of(&error), Some(1));
        assert!(error.what().contains("tag in column 2 (counted from 0), found 2"), "{error}");

        let test = task.test[0].clone();
        let examples = read_as(&task, &test, "1 Ada\n2 runs\n").unwrap();
        assert_eq!(words(&examples[0]), ["Ada", "runs"]);
        assert_eq!(examples[0].target, None);
    }

    #[test]
    fn a_column_by_name_is_refused_since_there_is_no_header() {
        let mut task = task();
        task.columns.label = Some(Column::Name("ner".into()));
        let error = read_as(&task, &task.train.clone().unwrap(), "Ada B-PER\n").unwrap_err();
        assert!(error.what().contains("no column `ner`"), "{error}");
    }

    #[test]
    fn labels_found_in_the_file_hold_both_tags_of_every_type() {
        let (mut task, dir) = (task(), tempfile::tempdir().unwrap());
        let path = dir.path().join("train.txt");
        std::fs::write(&path, "Ada I-PER\nruns O\nOslo I-LOC\nFjord I-LOC\n").unwrap();
        let train = task.train.clone().unwrap();
        let found = found_labels(&task, &train, &path).unwrap();
        assert_eq!(found, ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]);

        std::fs::write(&path, "Ada NOUN\nruns VERB\n").unwrap();
        task.metrics = vec![MetricName::Accuracy];
        let found = found_labels(&task, &train, &path).unwrap();
        assert_eq!(found, ["NOUN", "VERB"]);

        std::fs::write(&path, "Ada\nruns\n").unwrap();
        let error = found_labels(&task, &train, &path).unwrap_err();
        assert!(error.what().contains("expected a column of tags"), "{error}");
        assert_eq!(line_of(&error), Some(1));
    }

    #[test]
    fn what_follows_a_sentence_is_not_read_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, "Ada B-PER\n\nruns badly\n").unwrap();
        let task = task();
        let labels = Labels::new(task.labels.clone().unwrap());
        let train = task.train.as_ref().unwrap();
        let mut reader = ConllReader::open(&task, train, &path, &labels).unwrap();
        assert!(reader.next_example().unwrap().is_some());
        assert!(reader.next_example().is_err());
    }
}
