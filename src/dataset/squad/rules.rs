//! What a task expects of a question and its answers, in SQuAD's file and in rows.

use std::path::Path;

use super::byte_offset;
use crate::dataset::{Answer, Target};
use crate::error::{Error, Result};
use crate::task::{Split, Task};
use crate::text::{count, excerpt};

/// What the task expects of a question.
pub(in crate::dataset) struct Rules {
    /// The task's name, for messages.
    task: String,
    /// Whether a question may have no answer.
    with_negative: bool,
    /// Whether a question may lack its answers.
    is_test: bool,
    /// Whether an answer is looked for where it does not stand at its `answer_start`.
    find_answers: bool,
    /// The form to show where answers are missing.
    form: &'static str,
}

/// What a file says of a question's answers.
pub(in crate::dataset) struct Asked<'a> {
    pub(in crate::dataset) line: usize,
    pub(in crate::dataset) id: &'a str,
    pub(in crate::dataset) is_impossible: Option<bool>,
    /// `None` where the file does not tell.
    pub(in crate::dataset) answers: Option<Vec<RawAnswer>>,
}

/// An answer as it stands in a file.
#[derive(Default)]
pub(in crate::dataset) struct RawAnswer {
    pub(in crate::dataset) line: usize,
    pub(in crate::dataset) text: String,
    pub(in crate::dataset) start: i64,
}

/// What is wrong with a question. An empty hint is none.
struct Wrong {
    line: usize,
    what: String,
    hint: String,
}

type Checked<T> = std::result::Result<T, Wrong>;

/// A sentence on how many answers were found elsewhere than at their `answer_start`.
pub(in crate::dataset) fn moved_message(moved: usize) -> Option<String> {
    (moved > 0).then(|| {
        format!(
            "{} not at the `answer_start` given, taken from the nearest place with that text",
            count(moved, "answer")
        )
    })
}

impl Rules {
    /// The rules of a task's file in SQuAD's form.
    pub(in crate::dataset) fn of(task: &Task, split: &Split) -> Self {
        Self {
            task: task.name.clone(),
            with_negative: task.version_2_with_negative,
            is_test: task.is_test(split),
            find_answers: task.repairs.find_answers,
            form: super::FORM,
        }
    }

    /// The same with another form to show.
    pub(in crate::dataset) fn with_form(self, form: &'static str) -> Self {
        Self { form, ..self }
    }

    /// The target of a question about this passage, and how many of its answers were found elsewhere
    /// than they are said to stand.
    pub(in crate::dataset) fn target(
        &self,
        asked: Asked<'_>,
        context: &str,
        path: &Path,
    ) -> Result<(Option<Target>, usize)> {
        let Asked { line, id, is_impossible, answers } = asked;
        let mut moved = 0;
        let target = self.expected(line, is_impossible, answers).and_then(|answers| {
            let Some(answers) = answers else { return Ok(None) };
            let located =
                answers.into_iter().map(|answer| self.located(answer, context, &mut moved));
            located.collect::<Checked<_>>().map(|list| Some(Target::Answers(list)))
        });
        let target = target.map_err(|Wrong { line, what, hint }| {
            let what = format!("question `{}`: {what}", excerpt(id));
            let error = Error::new(what).at_line(path, line);
            if hint.is_empty() { error } else { error.hint(hint) }
        })?;
        Ok((target, moved))
    }

    /// The answers that a question is said to have: `None` where the file does not tell.
    fn expected(
        &self,
        line: usize,
        is_impossible: Option<bool>,
        answers: Option<Vec<RawAnswer>>,
    ) -> Checked<Option<Vec<RawAnswer>>> {
        let with_negative = self.with_negative;
        let error = |what: String, hint: &str| Err(Wrong { line, what, hint: hint.to_owned() });
        if is_impossible == Some(true) {
            let name = &self.task;
            return match answers.map_or(0, |answers| answers.len()) {
                _ if !with_negative => error(
                    format!(
                        "`is_impossible` is true, but task `{name}` has no questions without an answer"
                    ),
                    "use `--task squad2`, or set `version_2_with_negative` in the task's own file",
                ),
                0 => Ok(Some(Vec::new())),
                given => error(format!("`is_impossible` is true, but `answers` has {given}"), ""),
            };
        }
        match answers {
            Some(answers) if !answers.is_empty() => Ok(Some(answers)),
            // Some files of version 2.0 leave the flag out.
            Some(none) if with_negative && is_impossible.is_none() => Ok(Some(none)),
            _ if self.is_test => Ok(None),
            None => error("the question has no key `answers`".to_owned(), self.form),
            Some(_) if with_negative => {
                error("`answers` is empty, but `is_impossible` is false".to_owned(), "")
            }
            Some(_) => error(
                "`answers` is empty; expected an answer".to_owned(),
                "use `--task squad2` if questions may have no answer",
            ),
        }
    }

    /// The answer, if it stands where it says, or elsewhere if the task looks for it.
    fn located(&self, answer: RawAnswer, context: &str, moved: &mut usize) -> Checked<Answer> {
        let RawAnswer { line, text, start } = answer;
        if text.is_empty() {
            let what = "an answer's `text` is empty".into();
            return Err(Wrong { line, what, hint: String::new() });
        }
        let character = usize::try_from(start).ok();
        let byte = character.and_then(|character| byte_offset(context, character));
        let instead = match (character, byte) {
            (Some(start), Some(byte)) if context[byte..].starts_with(&text) => {
                return Ok(Answer { text, start });
            }
            (_, Some(byte)) if byte < context.len() => {
                let there: String = context[byte..].chars().take(text.chars().count()).collect();
                format!("`{}` stands there", excerpt(&there))
            }
            _ => format!("the context has {} characters", context.chars().count()),
        };
        let nearest = context
            .match_indices(&text)
            .map(|(byte, _)| context[..byte].chars().count())
            .min_by_key(|&found| start.abs_diff(found as i64));
        if let (Some(start), true) = (nearest, self.find_answers) {
            *moved += 1;
            return Ok(Answer { text, start });
        }
        let what = format!(
            "the answer `{}` does not stand at its `answer_start` {start}: {instead}",
            excerpt(&text)
        );
        let hint = nearest.map_or("the context does not hold this text".to_owned(), |found| {
            format!("it stands at {found}; `answer_start` counts Unicode characters from 0")
        });
        Err(Wrong { line, what, hint })
    }
}
