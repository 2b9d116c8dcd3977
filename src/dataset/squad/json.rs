//! The objects of SQuAD's JSON, as serde's visitors.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{Counts, FORM, Parser};

/// Counts the lines and bytes that went by. The JSON parser asks for one byte at a time.
pub(super) struct LineCounter {
    pub(super) source: BufReader<File>,
    pub(super) line: Rc<Cell<usize>>,
    pub(super) counts: Arc<Counts>,
}

impl Read for LineCounter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let breaks = buffer[..read].iter().filter(|&&byte| byte == b'\n').count();
        self.line.set(self.line.get() + breaks);
        self.counts.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The kinds of objects, from the outermost inwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Document,
    Article,
    Paragraph,
    Question,
    Answer,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Document => "file",
            Self::Article => "article",
            Self::Paragraph => "paragraph",
            Self::Question => "question",
            Self::Answer => "answer",
        }
    }

    /// The keys that are read, and whether each must be there.
    fn keys(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Document => &[("data", true)],
            Self::Article => &[("paragraphs", true)],
            Self::Paragraph => &[("context", true), ("qas", true)],
            Self::Question => {
                &[("id", true), ("question", true), ("is_impossible", false), ("answers", false)]
            }
            Self::Answer => &[("text", true), ("answer_start", true)],
        }
    }
}

/// One object of the file, or a list of such objects.
pub(super) struct Node<'a> {
    pub(super) parser: &'a mut Parser,
    pub(super) level: Level,
    pub(super) list: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        if self.list {
            deserializer.deserialize_seq(self)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.list { "a list with an object for each" } else { "an object for the" };
        write!(f, "{what} {}", self.level.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        let Self { parser, level, .. } = self;
        while list.next_element_seed(Node { parser, level, list: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let Self { parser, level, .. } = self;
        let line = parser.line.get();
        parser.open(level, line);
        let mut found = [false; 4];
        while let Some(key) = map.next_key::<String>()? {
            let Some(index) = level.keys().iter().position(|(known, _)| *known == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let key = level.keys()[index].0;
            if std::mem::replace(&mut found[index], true) {
                let what = format!("the {} has `{key}` twice", level.name());
                return Err(parser.fail(parser.error(&what, parser.line.get()).hint(FORM)));
            }
            parser.position.key = Some(key);
            match (level, key) {
                (Level::Document, _) => {
                    map.next_value_seed(Node { parser, level: Level::Article, list: true })?;
                }
                (Level::Article, _) => {
                    map.next_value_seed(Node { parser, level: Level::Paragraph, list: true })?;
                }
                (Level::Paragraph, "context") => parser.paragraph.context = map.next_value()?,
                (Level::Paragraph, _) => {
                    map.next_value_seed(Node { parser, level: Level::Question, list: true })?;
                }
                (Level::Question, "id") => {
                    parser.question.id = map.next_value()?;
                    parser.position.inside = Some(parser.question.id.clone());
                }
                (Level::Question, "question") => parser.question.question = map.next_value()?,
                (Level::Question, "is_impossible") => {
                    parser.question.is_impossible = Some(map.next_value()?);
                }
                (Level::Question, _) => {
                    parser.question.answers = Some(Vec::new());
                    map.next_value_seed(Node { parser, level: Level::Answer, list: true })?;
                }
                (Level::Answer, "text") => parser.answer.text = map.next_value()?,
                (Level::Answer, _) => parser.answer.start = map.next_value()?,
            }
            parser.position.key = None;
        }
        for ((key, required), found) in level.keys().iter().zip(found) {
            if *required && !found {
                let what = format!("the {} has no key `{key}`", level.name());
                return Err(parser.fail(parser.error(&what, line).hint(FORM)));
            }
        }
        parser.close(level).map_err(|stop| {
            parser.stop = Some(stop);
            A::Error::custom("stopped")
        })
    }
}
