//! Plain text: a text on each line, or in each paragraph.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::{Example, Input, Target};
use crate::error::{Error, Result};
use crate::task::SampleBy;
use crate::text::{Lines, MAX_ROW};

/// Reads texts, which blank lines or line ends divide.
pub(super) struct PlainReader<'a> {
    path: &'a Path,
    lines: Lines<'a>,
    sample_by: SampleBy,
    examples: usize,
}

impl<'a> PlainReader<'a> {
    pub(super) fn open(path: &'a Path, sample_by: SampleBy) -> Result<Self> {
        Ok(Self { path, lines: Lines::open(path)?, sample_by, examples: 0 })
    }
}

impl Reader for PlainReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let (mut text, mut first_line) = (String::new(), 0);
        while let Some(line) = self.lines.advance()? {
            if line.trim().is_empty() {
                if text.is_empty() {
                    continue;
                }
                break;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
            if first_line == 0 {
                first_line = self.lines.number();
            }
            if self.sample_by == SampleBy::Line {
                break;
            }
            if text.len() > MAX_ROW {
                let what = format!("the paragraph is longer than {} MB", MAX_ROW >> 20);
                return Err(Error::new(what)
                    .at_line(self.path, first_line)
                    .hint("write a blank line between texts, or leave out `sample_by`"));
            }
        }
        if text.is_empty() {
            return Ok(None);
        }
        let id = self.examples.to_string();
        self.examples += 1;
        let input = Input::Text { text, text_pair: None };
        Ok(Some(Example { id, line: first_line, input, target: Some(Target::Text) }))
    }

    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        Err(Error::new("plain text has no labels").at(self.path))
    }

    fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::reader::read_all;

    /// The number, the first line and the text of each example in a file with this content.
    fn read(content: &str, sample_by: SampleBy) -> Vec<(String, usize, String)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, content).unwrap();
        let examples = read_all(PlainReader::open(&path, sample_by).unwrap()).unwrap();
        let found = examples.into_iter().map(|example| {
            let Example { id, line, input: Input::Text { text, text_pair: None }, target } =
                example
            else {
                panic!("{example:?}")
            };
            assert_eq!(target, Some(Target::Text));
            (id, line, text)
        });
        found.collect()
    }

    fn example(id: &str, line: usize, text: &str) -> (String, usize, String) {
        (id.to_owned(), line, text.to_owned())
    }

    #[test]
    fn every_line_with_words_is_a_text_and_knows_its_line() {
        let found = read("one\n\n  \ntwo words\n", SampleBy::Line);
        assert_eq!(found, [example("0", 1, "one"), example("1", 4, "two words")]);
    }

    #[test]
    fn the_lines_of_a_paragraph_are_one_text_that_knows_its_first_line() {
        let found = read("\n\none\ntwo words\n \t\n\nthree\nfour", SampleBy::Paragraph);
        assert_eq!(found, [example("0", 3, "one two words"), example("1", 7, "three four")]);
    }
}
