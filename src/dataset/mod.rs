//! Files to examples.
//!
//! Every reader fails on the first bad row with `file:line`. Rows are left out or put together only by
//! a rule that the task names (see [`Repairs`](crate::task::Repairs)), and each use is counted.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use crate::error::Place;

mod conll;
mod dev_rows;
pub mod infer;
mod inputs;
mod label_set;
mod labels;
mod plain;
mod question_rows;
mod reader;
mod rows;
mod source;
mod squad;
mod table;
mod tags;
mod tokens;
mod typed;

pub use inputs::{
    InputFile, InputFormat, InputRequest, InputRow, InputRows, Object, ReadTyped, Row,
};
pub use labels::{Labels, tag_scheme};
pub use source::{DataSource, Position, log_repairs};
pub(crate) use squad::byte_offset;
pub use typed::{TypedText, typed_choices, typed_question, typed_text};

/// One thing to predict, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The file's own identifier (SQuAD's `id`, GLUE's `index`), or the row's number counted from 0.
    pub id: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What the model reads.
    pub input: Input,
    /// What is right; `None` where the file does not tell.
    pub target: Option<Target>,
}

impl Example {
    /// Whether both are questions about the same passage of the file.
    pub(crate) fn same_passage(&self, other: &Self) -> bool {
        match (&self.input, &other.input) {
            (Input::Question { context: one, .. }, Input::Question { context: other, .. }) => {
                std::sync::Arc::ptr_eq(one, other)
            }
            _ => false,
        }
    }
}

/// What the model reads of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text, or a pair of texts.
    Text {
        /// The first or only text.
        text: String,
        /// The second text of a pair.
        text_pair: Option<String>,
    },
    /// A question about a passage.
    Question {
        /// The question.
        question: String,
        /// The passage, shared by its questions.
        context: std::sync::Arc<str>,
    },
    /// A sentence cut into words.
    Words(Vec<String>),
    /// A text in which the words of a sentence were found.
    SplitText {
        /// The text.
        text: String,
        /// Where each word stands in it, in bytes.
        words: Vec<Range<usize>>,
    },
    /// A context, the words that each ending begins with, and the endings.
    Choices {
        /// The context (SWAG's `sent1`).
        context: String,
        /// The beginning of every ending (SWAG's `sent2`); may be empty.
        start: String,
        /// The endings to choose from.
        endings: Vec<String>,
    },
}

impl Input {
    /// The words of a sentence; `None` for what is not cut into words.
    pub fn words(&self) -> Option<Vec<&str>> {
        match self {
            Self::Words(words) => Some(words.iter().map(String::as_str).collect()),
            Self::SplitText { text, words } => {
                Some(words.iter().map(|word| &text[word.clone()]).collect())
            }
            Self::Text { .. } | Self::Question { .. } | Self::Choices { .. } => None,
        }
    }
}

/// What is right for an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The index of a label, or of an ending.
    Class(usize),
    /// Any number of labels.
    Labels {
        /// The indices of those that are right, each once.
        labels: Vec<usize>,
        /// How many labels there are.
        of: usize,
    },
    /// A number.
    Score(f32),
    /// Every accepted answer; empty for a question without an answer.
    Answers(Vec<Answer>),
    /// The index of a label for each word.
    Tags(Vec<usize>),
    /// The text itself, some of whose words are hidden from the model.
    Text,
}

/// An accepted answer of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text, cut from the passage.
    pub text: String,
    /// Where it begins in the passage, in Unicode characters (as SQuAD's `answer_start`).
    pub start: usize,
}

/// The examples of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The file they come from.
    pub path: PathBuf,
    /// The examples in the order of the file.
    pub examples: Vec<Example>,
    /// The split's name (`train`, `dev`, …).
    pub split: String,
}

impl Dataset {
    /// Where an example stands.
    pub fn place(&self, example: usize) -> Place {
        Place { path: self.path.clone(), line: Some(self.examples[example].line) }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} examples", self.path.display(), self.examples.len())
    }
}
