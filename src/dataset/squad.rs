//! SQuAD's JSON, versions 1.1 and 2.0, read as a stream.
//!
//! ```text
//! {"data": [{"paragraphs": [{"context": …, "qas": [
//!     {"id": …, "question": …, "is_impossible": …, "answers": [{"text": …, "answer_start": …}]}]}]}]}
//! ```
//!
//! One paragraph is held at a time, and the id of every question, to find doubles. Keys that are not named above are passed over.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::de::DeserializeSeed;
use serde_json::error::Category;

use super::reader::Reader;
use super::{Answer, Example, Input, Target};
use crate::error::{Error, Result};
use crate::task::{Split, Task};
use crate::text::{check_encoding, count, excerpt};

mod json;

use json::{Level, LineCounter, Node};

const FORM: &str = "the form is {\"data\": [{\"paragraphs\": [{\"context\": \"…\", \"qas\": [{\"id\": \"…\", \
                    \"question\": \"…\", \"answers\": [{\"text\": \"…\", \"answer_start\": 0}]}]}]}]}";

/// Examples that the parser may be ahead of whoever takes them.
const AHEAD: usize = 256;

/// Reads the questions of a file.
///
/// The JSON parser calls what takes its values, and cannot stop between two of them. So it runs on a
/// thread of its own, and the examples come through a channel. It ends when the reader is dropped.
pub(super) struct SquadReader {
    examples: Receiver<Result<Example>>,
    counts: Arc<Counts>,
    parser: Option<JoinHandle<()>>,
}

/// What the parser has done so far.
#[derive(Default)]
struct Counts {
    /// Bytes read.
    bytes: AtomicU64,
    /// Answers that were found at another place than their `answer_start`.
    moved_answers: AtomicUsize,
}

impl SquadReader {
    /// Opens a file. In a test file, a question may lack its answers.
    pub(super) fn open(task: &Task, split: &Split, path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        let mut source = BufReader::with_capacity(1 << 16, file);
        let start = source.fill_buf().map_err(|error| Error::io("read", path, &error))?;
        check_encoding(start, path)?;
        // A byte order mark may lead a file.
        if start.starts_with(b"\xef\xbb\xbf") {
            source.consume(3);
        }
        let (sender, examples) = sync_channel(AHEAD);
        let counts = Arc::new(Counts::default());
        let rules = Rules {
            task: task.name.clone(),
            with_negative: task.version_2_with_negative,
            is_test: task.is_test(split),
            find_answers: task.repairs.find_answers,
        };
        let (path, shared) = (path.to_owned(), Arc::clone(&counts));
        let parse = move || parse(source, path, rules, sender, shared);
        let parser = std::thread::Builder::new()
            .name("squad".into())
            .spawn(parse)
            .map_err(|error| Error::new(format!("could not start a thread: {error}")))?;
        Ok(Self { examples, counts, parser: Some(parser) })
    }
}

impl Reader for SquadReader {
    fn next_example(&mut self) -> Result<Option<Example>> {
        if let Ok(example) = self.examples.recv() {
            return example.map(Some);
        }
        match self.parser.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => Ok(None),
        }
    }

    /// None: answers are positions.
    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        Ok(BTreeMap::new())
    }

    fn bytes_read(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    fn repairs(&self) -> Vec<String> {
        match self.counts.moved_answers.load(Ordering::Relaxed) {
            0 => Vec::new(),
            moved => vec![format!(
                "{} not at the `answer_start` given, taken from the nearest place with that text",
                count(moved, "answer")
            )],
        }
    }
}

/// Parses the file and sends each example. If parsing fails, the error is sent last.
fn parse(
    source: BufReader<File>,
    path: PathBuf,
    rules: Rules,
    examples: SyncSender<Result<Example>>,
    counts: Arc<Counts>,
) {
    let line = Rc::new(Cell::new(1));
    let mut parser = Parser {
        rules,
        path,
        line: Rc::clone(&line),
        examples,
        counts: Arc::clone(&counts),
        lines_of_ids: HashMap::new(),
        paragraph: Paragraph::default(),
        question: Question::default(),
        answer: RawAnswer::default(),
        position: JsonPosition::default(),
        stop: None,
    };
    let mut json = serde_json::Deserializer::from_reader(LineCounter { source, line, counts });
    let read = Node { parser: &mut parser, level: Level::Document, list: false }
        .deserialize(&mut json)
        .and_then(|()| json.end());
    let failure = match (read, parser.stop.take()) {
        (_, Some(Stop::Failed(error))) => error,
        (Err(error), None) => parser.explain(&error),
        (Ok(()), None) | (_, Some(Stop::NoReceiver)) => return,
    };
    // Whoever no longer listens does not need it.
    let _ = parser.examples.send(Err(failure));
}

/// What the task expects of a question.
struct Rules {
    /// The task's name, for messages.
    task: String,
    /// Whether a question may have no answer.
    with_negative: bool,
    /// Whether a question may lack its answers.
    is_test: bool,
    /// Whether an answer is looked for where it does not stand at its `answer_start`.
    find_answers: bool,
}

/// What has been read, and where reading is.
struct Parser {
    rules: Rules,
    path: PathBuf,
    line: Rc<Cell<usize>>,
    examples: SyncSender<Result<Example>>,
    counts: Arc<Counts>,
    lines_of_ids: HashMap<String, usize>,
    paragraph: Paragraph,
    question: Question,
    answer: RawAnswer,
    position: JsonPosition,
    /// Why the parser was made to stop; it cannot carry these values itself.
    stop: Option<Stop>,
}

enum Stop {
    /// The reader was dropped.
    NoReceiver,
    Failed(Error),
}

/// For messages about JSON that breaks off or has a value of another kind.
#[derive(Default)]
struct JsonPosition {
    /// The key whose value is being read.
    key: Option<&'static str>,
    /// The question being read.
    inside: Option<String>,
    /// The last question that was read.
    after: Option<String>,
}

#[derive(Default)]
struct Paragraph {
    line: usize,
    context: String,
    questions: Vec<Question>,
}

#[derive(Default)]
struct Question {
    line: usize,
    id: String,
    question: String,
    is_impossible: Option<bool>,
    answers: Option<Vec<RawAnswer>>,
}

#[derive(Default)]
struct RawAnswer {
    line: usize,
    text: String,
    start: i64,
}

impl Parser {
    /// Keeps the failure, and makes the parser stop.
    fn fail<E: serde::de::Error>(&mut self, error: Error) -> E {
        self.stop = Some(Stop::Failed(error));
        E::custom("failed")
    }

    /// A failure in or after the question that is being read.
    fn error(&self, what: &str, line: usize) -> Error {
        let question = match (&self.position.inside, &self.position.after) {
            (Some(id), _) => format!("question `{}`: ", excerpt(id)),
            (None, Some(id)) => format!("after question `{}`: ", excerpt(id)),
            (None, None) => String::new(),
        };
        Error::new(format!("{question}{what}")).at_line(&self.path, line)
    }

    /// The parser's own failure.
    fn explain(&self, error: &serde_json::Error) -> Error {
        let full = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let what = full.strip_suffix(&position).unwrap_or(&full);
        match error.classify() {
            Category::Io => Error::new(format!("could not read it: {what}")).at(&self.path),
            Category::Eof => self
                .error(&format!("the JSON ends early ({what})"), error.line())
                .hint("the file is cut off; fetch it again"),
            Category::Syntax if what == "invalid unicode code point" => {
                let what = format!("column {} of the line is not UTF-8", error.column());
                self.error(&what, error.line())
            }
            Category::Syntax => self
                .error(&format!("it is not JSON: {what} (column {})", error.column()), error.line())
                .hint(FORM),
            Category::Data => {
                let key = self.position.key.map(|key| format!("`{key}`: ")).unwrap_or_default();
                self.error(&format!("{key}{what}"), error.line()).hint(FORM)
            }
        }
    }

    fn open(&mut self, level: Level, line: usize) {
        match level {
            Level::Document | Level::Article => {}
            Level::Paragraph => self.paragraph = Paragraph { line, ..Paragraph::default() },
            Level::Question => self.question = Question { line, ..Question::default() },
            Level::Answer => self.answer = RawAnswer { line, ..RawAnswer::default() },
        }
    }

    fn close(&mut self, level: Level) -> std::result::Result<(), Stop> {
        match level {
            Level::Document | Level::Article => {}
            Level::Answer => {
                let answer = std::mem::take(&mut self.answer);
                self.question.answers.get_or_insert_default().push(answer);
            }
            Level::Question => {
                let question = std::mem::take(&mut self.question);
                if let Some(first) = self.lines_of_ids.get(&question.id) {
                    let what = format!("its `id` was taken before, on line {first}");
                    return Err(Stop::Failed(self.error(&what, question.line)));
                }
                self.lines_of_ids.insert(question.id.clone(), question.line);
                self.position.inside = None;
                self.position.after = Some(question.id.clone());
                self.paragraph.questions.push(question);
            }
            Level::Paragraph => {
                let Paragraph { line, context, questions } = std::mem::take(&mut self.paragraph);
                if context.trim().is_empty() {
                    let of = questions.first().map(|first| format!(" (question `{}`)", first.id));
                    let of = of.unwrap_or_default();
                    let what = format!("the paragraph's `context` is empty{of}");
                    return Err(Stop::Failed(Error::new(what).at_line(&self.path, line)));
                }
                let context: Arc<str> = context.into();
                for question in questions {
                    let example = self.example(question, &context).map_err(Stop::Failed)?;
                    self.examples.send(Ok(example)).map_err(|_| Stop::NoReceiver)?;
                }
            }
        }
        Ok(())
    }

    fn example(&self, question: Question, context: &Arc<str>) -> Result<Example> {
        let Question { line, id, question, is_impossible, answers } = question;
        let target = self
            .expected(line, is_impossible, answers)
            .and_then(|answers| {
                let Some(answers) = answers else { return Ok(None) };
                let located = answers.into_iter().map(|answer| self.located(answer, context));
                located
                    .collect::<std::result::Result<_, _>>()
                    .map(|list| Some(Target::Answers(list)))
            })
            .map_err(|QuestionError { line, what, hint }| {
                let what = format!("question `{}`: {what}", excerpt(&id));
                let error = Error::new(what).at_line(&self.path, line);
                if hint.is_empty() { error } else { error.hint(hint) }
            })?;
        let input = Input::Question { question, context: Arc::clone(context) };
        Ok(Example { id, line, input, target })
    }

    /// The answers that a question is said to have: `None` where the file does not tell.
    fn expected(
        &self,
        line: usize,
        is_impossible: Option<bool>,
        answers: Option<Vec<RawAnswer>>,
    ) -> std::result::Result<Option<Vec<RawAnswer>>, QuestionError> {
        let with_negative = self.rules.with_negative;
        let error =
            |what: String, hint: &str| Err(QuestionError { line, what, hint: hint.to_owned() });
        if is_impossible == Some(true) {
            let name = &self.rules.task;
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
            _ if self.rules.is_test => Ok(None),
            None => error("the question has no key `answers`".to_owned(), FORM),
            Some(_) if with_negative => {
                error("`answers` is empty, but `is_impossible` is false".to_owned(), "")
            }
            Some(_) => error(
                "`answers` is empty; expected an answer".to_owned(),
                "use `--task squad2` if questions may have no answer",
            ),
        }
    }
}

/// What is wrong with a question. An empty hint is none.
struct QuestionError {
    line: usize,
    what: String,
    hint: String,
}

impl Parser {
    /// The answer, if it stands where it says, or elsewhere if the task looks for it.
    fn located(
        &self,
        answer: RawAnswer,
        context: &str,
    ) -> std::result::Result<Answer, QuestionError> {
        let RawAnswer { line, text, start } = answer;
        if text.is_empty() {
            return Err(QuestionError {
                line,
                what: "an answer's `text` is empty".into(),
                hint: String::new(),
            });
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
        if let (Some(start), true) = (nearest, self.rules.find_answers) {
            self.counts.moved_answers.fetch_add(1, Ordering::Relaxed);
            return Ok(Answer { text, start });
        }
        let what = format!(
            "the answer `{}` does not stand at its `answer_start` {start}: {instead}",
            excerpt(&text)
        );
        let hint = nearest.map_or("the context does not hold this text".to_owned(), |found| {
            format!("it stands at {found}; `answer_start` counts Unicode characters from 0")
        });
        Err(QuestionError { line, what, hint })
    }
}

/// The byte at which a character begins, or the length for the place after the last one.
pub(crate) fn byte_offset(text: &str, character: usize) -> Option<usize> {
    text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(character)
}

#[cfg(test)]
mod tests;
