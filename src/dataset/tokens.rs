//! Tagged sentences as JSON objects, as Hugging Face's `datasets` writes them: a list of words and a list
//! of tags, which are texts or, where the task names them, numbers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::reader::Reader;
use super::rows::{Rows, TableForm};
use super::tags::Tags;
use super::{Example, Input, Labels, Row};
use crate::error::{Error, Result};
use crate::task::{Column, ReadTags, Split, Task};
use crate::text::excerpt;

/// The key of the words, unless the task names another.
pub(super) const WORDS: &str = "tokens";
/// The key of the tags, unless the task names another; the first that an object has.
const TAGS: [&str; 2] = ["ner_tags", "tags"];

/// Reads a file of such objects.
pub(super) struct TokensReader<'a> {
    task: &'a Task,
    path: &'a Path,
    labels: &'a Labels,
    is_test: bool,
    rows: Rows,
    /// The names of tags that are numbers.
    names: Option<&'a [String]>,
    id: Option<usize>,
    words: usize,
    tags: Vec<usize>,
    read: Tags,
    /// The number of the next sentence, counted from 0.
    number: usize,
}

/// A sentence: the line of its object, its words, and its tags where the file tells them.
type Sentence = (usize, Vec<String>, Option<Vec<String>>);

impl<'a> TokensReader<'a> {
    /// Opens a file.
    pub(super) fn open(
        task: &'a Task,
        split: &'a Split,
        path: &'a Path,
        labels: &'a Labels,
    ) -> Result<Self> {
        let columns = task.columns_of(split);
        let key = |column: &Option<Column>| column.as_ref().map(Column::to_string);
        let id = key(&columns.id);
        let words = key(&columns.word).unwrap_or_else(|| WORDS.to_owned());
        let tags: Vec<String> = match key(&columns.label) {
            Some(key) => vec![key],
            None => TAGS.map(str::to_owned).to_vec(),
        };
        let asked = id.iter().chain([&words]).chain(&tags).cloned().collect();
        let mut rows = Rows::open(TableForm::of(task), path, asked)?;
        let mut position = |key: String| rows.position(&Column::Name(key));
        Ok(Self {
            id: id.map(&mut position).transpose()?,
            words: position(words)?,
            tags: tags.into_iter().map(&mut position).collect::<Result<_>>()?,
            names: task.label_names.as_deref().filter(|_| task.labels.is_none()),
            is_test: task.is_test(split),
            read: Tags::new(task),
            number: 0,
            task,
            path,
            labels,
            rows,
        })
    }

    /// The next sentence.
    fn advance(&mut self) -> Result<Option<Sentence>> {
        let Some(line) = self.rows.advance()? else { return Ok(None) };
        let here = |error: Error| error.at_line(self.path, line);
        let Some(Value::Array(words)) = self.rows.nested(self.words) else {
            return Err(here(self.no_list(self.words, "words")));
        };
        let words: Option<Vec<String>> =
            words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
        let words = words.ok_or_else(|| {
            let key = self.rows.name(self.words);
            here(Error::new(format!("a value in `{key}` is not text; expected a list of words")))
        })?;
        let found = self.tags.iter().find_map(|&at| self.rows.nested(at).map(|value| (at, value)));
        let mut tags = match found {
            Some((at, Value::Array(values))) => {
                let tag = |value| self.tag(value, at).map_err(here);
                Some(values.iter().map(tag).collect::<Result<Vec<_>>>()?)
            }
            None if self.is_test
                && self.tags.iter().all(|&at| self.rows.optional(at).is_none()) =>
            {
                None
            }
            _ => return Err(here(self.no_list(self.tags[0], "tags"))),
        };
        if let Some(tags) = &mut tags {
            if tags.len() != words.len() {
                return Err(here(Error::new(format!(
                    "{} words and {} tags; expected a tag for each word",
                    words.len(),
                    tags.len()
                ))));
            }
            self.read.read(tags, self.path, |_| line)?;
        }
        Ok(Some((line, words, tags)))
    }

    /// A tag as it stands in the list at a key.
    fn tag(&self, value: &Value, at: usize) -> Result<String> {
        let key = self.rows.name(at);
        match (value, self.names) {
            (Value::String(tag), _) => Ok(tag.clone()),
            (Value::Number(number), Some(names)) => {
                let index = number.as_u64().and_then(|number| usize::try_from(number).ok());
                index.and_then(|index| names.get(index)).cloned().ok_or_else(|| {
                    let last = names.len().saturating_sub(1);
                    Error::new(format!("`{key}` has {number}; expected 0 to {last} (`label_names`)"))
                })
            }
            (Value::Number(number), None) if self.task.tags_are_entities() => {
                Err(Error::new(format!("`{key}` has {number}, and the numbers have no names")).hint(
                    "name them in their order in the task file: `\"label_names\": [\"O\", \"B-PER\", …]`",
                ))
            }
            (Value::Number(number), None) => Ok(number.to_string()),
            (other, _) => Err(Error::new(format!(
                "`{key}` has {}; expected a list of tags",
                excerpt(&other.to_string())
            ))),
        }
    }

    fn no_list(&self, at: usize, what: &str) -> Error {
        let key = self.rows.name(at);
        Error::new(format!("`{key}` is missing or not a list; expected a list of {what}")).hint(
            "if the keys have other names, name them in the task file: `\"columns\": {\"word\": \
             \"tokens\", \"label\": \"ner_tags\"}`",
        )
    }
}

impl Reader for TokensReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some((line, words, tags)) = self.advance()? else { return Ok(None) };
        let target = tags.map(|tags| Tags::target(&tags, self.labels, self.path, |_| line));
        let id = match self.id {
            Some(position) => self.rows.field(position)?.to_owned(),
            None => self.number.to_string(),
        };
        self.number += 1;
        Ok(Some(Example { id, line, input: Input::Words(words), target: target.transpose()? }))
    }

    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        while let Some((_, _, tags)) = self.advance()? {
            for tag in tags.into_iter().flatten() {
                *counts.entry(tag).or_insert(0) += 1;
            }
        }
        self.read.complete(&mut counts);
        Ok(counts)
    }

    fn row(&self) -> Option<Row> {
        Some(self.rows.row())
    }

    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        self.read.changed()
    }

    fn tags_read(&self) -> Option<&ReadTags> {
        self.read.entities()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::read_all;
    use super::*;
    use crate::dataset::Target;
    use crate::task::{self, Format, Scheme};

    fn task(change: impl FnOnce(&mut Task)) -> Task {
        let mut task = task::find("conll2003").unwrap();
        task.format = Format::Jsonl;
        task.labels = None;
        change(&mut task);
        task
    }

    /// The labels found in a training file, and its sentences.
    fn read(task: &Task, text: &str) -> Result<(Vec<String>, Vec<Example>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.jsonl");
        std::fs::write(&path, text).unwrap();
        let train = task.train.as_ref().unwrap();
        let found = TokensReader::open(task, train, &path, &Labels::default())?.count_labels()?;
        let names: Vec<String> = task.listed_labels().unwrap_or(found.into_keys().collect());
        let labels = Labels::new(names.clone());
        Ok((names, read_all(TokensReader::open(task, train, &path, &labels)?)?))
    }

    fn tags<'n>(names: &'n [String], example: &Example) -> Vec<&'n str> {
        let Some(Target::Tags(tags)) = &example.target else { panic!("{example:?}") };
        tags.iter().map(|&tag| names[tag].as_str()).collect()
    }

    #[test]
    fn words_and_tags_are_lists_and_tags_are_texts_or_numbers_with_names() {
        let texts =
            r#"{"id": "a", "tokens": ["Ada", "met", "Bo"], "ner_tags": ["S-PER", "O", "S-PER"]}"#;
        let (names, examples) = read(&task(|_| {}), texts).unwrap();
        assert_eq!(names, ["B-PER", "I-PER", "O"]);
        assert_eq!(tags(&names, &examples[0]), ["B-PER", "O", "B-PER"]);
        assert_eq!(examples[0].input, Input::Words(["Ada", "met", "Bo"].map(str::to_owned).into()));

        let numbers = r#"{"tokens": ["Ada", "Bo"], "tags": [1, 2]}"#;
        let named = task(|task| {
            task.label_names = Some(["O", "B-PER", "I-PER"].map(str::to_owned).into());
        });
        let (names, examples) = read(&named, numbers).unwrap();
        assert_eq!(names, ["O", "B-PER", "I-PER"]);
        assert_eq!(tags(&names, &examples[0]), ["B-PER", "I-PER"]);
    }

    #[test]
    fn the_scheme_of_the_file_is_told() {
        let (dir, task) = (tempfile::tempdir().unwrap(), task(|_| {}));
        let path = dir.path().join("train.jsonl");
        std::fs::write(&path, r#"{"tokens": ["Ada"], "tags": ["U-PER"]}"#).unwrap();
        let train = task.train.as_ref().unwrap();
        let labels = Labels::default();
        let mut reader = TokensReader::open(&task, train, &path, &labels).unwrap();
        reader.count_labels().unwrap();
        assert_eq!(reader.tags_read().unwrap().scheme(), Some(Scheme::Bilou));
        assert!(reader.repairs()[0].contains("the tags are BILOU"), "{:?}", reader.repairs());
    }

    #[test]
    fn an_object_that_is_no_tagged_sentence_names_its_line_and_what_was_expected() {
        let good = r#"{"tokens": ["Ada"], "ner_tags": ["O"]}"#;
        for (line, expected) in [
            (r#"{"tokens": ["Ada", "met"], "ner_tags": ["O"]}"#, "2 words and 1 tags"),
            (r#"{"tokens": "Ada", "ner_tags": ["O"]}"#, "`tokens` is missing or not a list"),
            (r#"{"tokens": [1], "ner_tags": ["O"]}"#, "a value in `tokens` is not text"),
            (r#"{"tokens": ["Ada"]}"#, "`ner_tags` is missing or not a list"),
            (r#"{"tokens": ["Ada"], "ner_tags": [1]}"#, "the numbers have no names"),
            (r#"{"tokens": ["Ada"], "ner_tags": [null]}"#, "expected a list of tags"),
            (r#"{"tokens": ["Ada"], "ner_tags": ["PER"]}"#, "expected `O`, `B-TYPE` or `I-TYPE`"),
        ] {
            let error = read(&task(|_| {}), &format!("{good}\n{line}\n")).unwrap_err();
            assert!(error.what().contains(expected), "{line}: {error}");
            assert_eq!(error.place().unwrap().line, Some(2), "{line}");
        }
        let named = task(|task| task.label_names = Some(vec!["O".into(), "B-X".into()]));
        let error = read(&named, r#"{"tokens": ["Ada"], "tags": [2]}"#).unwrap_err();
        assert!(error.what().contains("`tags` has 2; expected 0 to 1"), "{error}");
    }

    #[test]
    fn a_test_file_may_have_words_alone() {
        let (dir, task) = (tempfile::tempdir().unwrap(), task(|_| {}));
        let path = dir.path().join("test.jsonl");
        std::fs::write(&path, r#"{"tokens": ["Ada"]}"#).unwrap();
        let labels = Labels::default();
        let reader = TokensReader::open(&task, &task.test[0], &path, &labels).unwrap();
        assert_eq!(read_all(reader).unwrap()[0].target, None);
    }
}
