//! Questions as rows of JSON: one object for each question, with its passage, as Hugging Face writes
//! SQuAD.
//!
//! ```text
//! {"id": …, "question": …, "context": …, "answers": {"text": […], "answer_start": […]}}
//! ```
//!
//! `answers` may also be a list, `[{"text": …, "answer_start": …}]`. Rows that follow each other with
//! the same passage share it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::reader::Reader;
use super::rows::{Rows, TableForm};
use super::squad::{Asked, RawAnswer, Rules, moved_message};
use super::{Example, Input};
use crate::error::{Error, Result};
use crate::task::{Column, Split, Task};
use crate::text::excerpt;

const FORM: &str = "the form is {\"question\": \"…\", \"context\": \"…\", \"answers\": {\"text\": [\"…\"], \
                    \"answer_start\": [0]}}";

/// Reads questions from JSON objects.
pub(super) struct QuestionRows<'a> {
    path: &'a Path,
    rules: Rules,
    rows: Rows,
    has_id_column: bool,
    lines_of_ids: HashMap<String, usize>,
    /// The passage of the last row.
    context: Arc<str>,
    /// The number of the next row, counted from 0.
    number: usize,
    moved_answers: usize,
}

/// The keys that are asked for, in this order.
const ID: usize = 0;
const QUESTION: usize = 1;
const CONTEXT: usize = 2;
const ANSWERS: usize = 3;
const IS_IMPOSSIBLE: usize = 4;

impl<'a> QuestionRows<'a> {
    /// Opens a file.
    pub(super) fn open(task: &'a Task, split: &'a Split, path: &'a Path) -> Result<Self> {
        let columns = task.columns_of(split);
        let key = |column: &Option<Column>, default: &str| {
            column.as_ref().map_or_else(|| default.to_owned(), Column::to_string)
        };
        let keys = vec![
            key(&columns.id, "id"),
            key(&columns.question, "question"),
            key(&columns.context, "context"),
            key(&columns.answers, "answers"),
            "is_impossible".to_owned(),
        ];
        Ok(Self {
            path,
            rules: Rules::of(task, split).with_form(FORM),
            rows: Rows::open(TableForm::of(task), path, keys)?,
            has_id_column: columns.id.is_some(),
            lines_of_ids: HashMap::new(),
            context: Arc::from(""),
            number: 0,
            moved_answers: 0,
        })
    }

    fn id(&mut self, line: usize) -> Result<String> {
        let number = self.number;
        self.number += 1;
        let id = match self.rows.optional(ID) {
            Some(id) => id.to_owned(),
            None if self.has_id_column => self.rows.field(ID)?.to_owned(),
            None => number.to_string(),
        };
        if let Some(first) = self.lines_of_ids.insert(id.clone(), line) {
            let what =
                format!("question `{}`: its id was taken before, on line {first}", excerpt(&id));
            return Err(Error::new(what).at_line(self.path, line));
        }
        Ok(id)
    }

    fn answers(&self, line: usize) -> Result<Option<Vec<RawAnswer>>> {
        let malformed = || {
            let what = "`answers` is not a list of texts with a list of positions";
            Error::new(what).at_line(self.path, line).hint(FORM)
        };
        let answer = |text: &Value, start: &Value| {
            let (text, start) = (text.as_str()?.to_owned(), start.as_i64()?);
            Some(RawAnswer { line, text, start })
        };
        let Some(value) = self.rows.nested(ANSWERS) else {
            return if self.rows.optional(ANSWERS).is_some() { Err(malformed()) } else { Ok(None) };
        };
        let found: Option<Vec<RawAnswer>> = match value {
            Value::Array(list) => {
                list.iter().map(|one| answer(one.get("text")?, one.get("answer_start")?)).collect()
            }
            both => both.get("text").and_then(Value::as_array).and_then(|texts| {
                let starts = both.get("answer_start")?.as_array()?;
                if texts.len() != starts.len() {
                    return None;
                }
                texts.iter().zip(starts).map(|(text, start)| answer(text, start)).collect()
            }),
        };
        found.map(Some).ok_or_else(malformed)
    }

    fn is_impossible(&self, line: usize) -> Result<Option<bool>> {
        match self.rows.optional(IS_IMPOSSIBLE) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                let what =
                    format!("`is_impossible` is `{}`; expected true or false", excerpt(other));
                Err(Error::new(what).at_line(self.path, line))
            }
        }
    }
}

impl Reader for QuestionRows<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some(line) = self.rows.advance()? else { return Ok(None) };
        let id = self.id(line)?;
        let question = self.rows.field(QUESTION).map_err(|error| error.hint(FORM))?.to_owned();
        let context = self.rows.field(CONTEXT).map_err(|error| error.hint(FORM))?;
        if context.trim().is_empty() {
            let what = format!("question `{}`: its `context` is empty", excerpt(&id));
            return Err(Error::new(what).at_line(self.path, line));
        }
        if *self.context != *context {
            self.context = Arc::from(context);
        }
        let (is_impossible, answers) = (self.is_impossible(line)?, self.answers(line)?);
        let asked = Asked { line, id: &id, is_impossible, answers };
        let (target, moved) = self.rules.target(asked, &self.context, self.path)?;
        self.moved_answers += moved;
        let input = Input::Question { question, context: Arc::clone(&self.context) };
        Ok(Some(Example { id, line, input, target }))
    }

    /// None: answers are positions.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        Ok(BTreeMap::new())
    }

    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        moved_message(self.moved_answers).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Target;
    use crate::dataset::reader::read_all;
    use crate::task::{Format, find};

    fn read(text: &str) -> Result<Vec<Example>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        let mut task = find("squad").unwrap();
        task.format = Format::Jsonl;
        read_all(QuestionRows::open(&task, task.train.as_ref().unwrap(), &path)?)
    }

    #[test]
    fn rows_of_one_passage_share_it_and_both_forms_of_answers_are_read() {
        let found = read(concat!(
            r#"{"id": "a", "question": "who?", "context": "Ada wrote it.", "answers": {"text": ["Ada"], "answer_start": [0]}}"#,
            "\n",
            r#"{"question": "what?", "context": "Ada wrote it.", "answers": [{"text": "it", "answer_start": 10}]}"#,
            "\n",
        ))
        .unwrap();
        assert_eq!((found[0].id.as_str(), found[1].id.as_str()), ("a", "1"));
        assert!(found[0].same_passage(&found[1]));
        let Some(Target::Answers(answers)) = &found[1].target else { panic!() };
        assert_eq!((answers[0].text.as_str(), answers[0].start), ("it", 10));
    }

    #[test]
    fn what_is_wrong_with_a_row_names_its_line_and_the_form() {
        let row = |answers: &str| {
            format!("{{\"question\": \"q\", \"context\": \"Ada\", \"answers\": {answers}}}\n")
        };
        let fine = row(r#"{"text": ["Ada"], "answer_start": [0]}"#);
        for (answers, what) in [
            ("\"Ada\"", "not a list of texts"),
            (r#"{"text": ["Ada"], "answer_start": []}"#, "not a list of texts"),
            (r#"{"text": ["Bob"], "answer_start": [0]}"#, "does not stand at its `answer_start` 0"),
            (r#"{"text": [], "answer_start": []}"#, "`answers` is empty"),
            ("null", "no key `answers`"),
        ] {
            let error = read(&format!("{fine}{}", row(answers))).unwrap_err();
            assert!(error.what().contains(what), "{answers}: {error}");
            assert_eq!(error.place().unwrap().line, Some(2), "{answers}");
        }
    }
}
