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
use super::{Example, Input};
use crate::error::{Error, Result};
use crate::task::{Split, Task};
use crate::text::{check_encoding, excerpt};

mod json;
mod rules;

use json::{Level, LineCounter, Node};
pub(super) use rules::{Asked, RawAnswer, Rules, moved_message};

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
        let rules = Rules::of(task, split);
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
        moved_message(self.counts.moved_answers.load(Ordering::Relaxed)).into_iter().collect()
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
        let asked = Asked { line, id: &id, is_impossible, answers };
        let (target, moved) = self.rules.target(asked, context, &self.path)?;
        self.counts.moved_answers.fetch_add(moved, Ordering::Relaxed);
        let input = Input::Question { question, context: Arc::clone(context) };
        Ok(Example { id, line, input, target })
    }
}

/// The byte at which a character begins, or the length for the place after the last one.
pub(crate) fn byte_offset(text: &str, character: usize) -> Option<usize> {
    text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(character)
}

#[cfg(test)]
mod tests;
