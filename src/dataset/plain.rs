//! Plain text: a text on each line.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::{Example, Input, Target};
use crate::error::{Error, Result};
use crate::text::Lines;

/// Reads a text from each line that is not blank.
pub(super) struct PlainReader<'a> {
    path: &'a Path,
    lines: Lines<'a>,
    examples: usize,
}

impl<'a> PlainReader<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        Ok(Self { path, lines: Lines::open(path)?, examples: 0 })
    }
}

impl Reader for PlainReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        loop {
            let Some(text) = self.lines.advance()?.map(str::to_owned) else { return Ok(None) };
            if !text.trim().is_empty() {
                let id = self.examples.to_string();
                self.examples += 1;
                let input = Input::Text { text, text_pair: None };
                let line = self.lines.number();
                return Ok(Some(Example { id, line, input, target: Some(Target::Text) }));
            }
        }
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

    #[test]
    fn every_line_with_words_is_a_text_and_knows_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "one\n\n  \ntwo words\n").unwrap();
        let examples = read_all(PlainReader::open(&path).unwrap()).unwrap();
        let found: Vec<_> = examples.iter().map(|e| (e.id.as_str(), e.line)).collect();
        assert_eq!(found, [("0", 1), ("1", 4)]);
        assert_eq!(examples[1].target, Some(Target::Text));
    }
}
