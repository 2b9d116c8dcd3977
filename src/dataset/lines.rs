//! The lines of a text file, one at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Longest line, or row of several lines, in bytes. A longer one is no text with an example on each
/// line, and must not fill the memory.
pub(super) const MAX_ROW: usize = 16 << 20;

/// A byte-order mark, which may lead a file.
const MARK: char = '\u{feff}';

/// A text file that is being read.
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    /// The current line as read, and where its text stands in it.
    text: String,
    current: Range<usize>,
    number: usize,
    bytes_read: u64,
}

impl Lines {
    /// Opens a file; [`Lines::advance`] gives its first line.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        let reader = BufReader::new(file);
        Ok(Self {
            path: path.to_owned(),
            reader,
            text: String::new(),
            current: 0..0,
            number: 0,
            bytes_read: 0,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the current line, counted from 1; 0 before the first.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next line without its end (and the first without a byte-order mark); `None` at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read, the line is not UTF-8, or it is longer than [`MAX_ROW`].
    pub(super) fn advance(&mut self) -> Result<Option<&str>> {
        self.current = 0..0;
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        // One byte more than allowed, and the two of a line's end.
        let read = (&mut self.reader)
            .take(MAX_ROW as u64 + 3)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| Error::io("read", &self.path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes_read += read as u64;
        self.text = String::from_utf8(bytes).map_err(|error| {
            let column = error.utf8_error().valid_up_to() + 1;
            Error::new(format!("byte {column} of the line is not UTF-8"))
                .at_line(&self.path, self.number)
                .hint("if it is Latin-1: `iconv -f LATIN1 -t UTF-8 FILE > NEW`")
        })?;
        let line = self.text.strip_suffix('\n').unwrap_or(&self.text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let marked = self.number == 1 && line.starts_with(MARK);
        self.current = if marked { MARK.len_utf8() } else { 0 }..line.len();
        if self.current.len() > MAX_ROW {
            return Err(too_long(&self.path, self.number));
        }
        Ok(Some(self.current()))
    }

    /// The current line, as [`Lines::advance`] gave it; empty before the first and after the last.
    pub(super) fn current(&self) -> &str {
        &self.text[self.current.clone()]
    }
}

/// A line or row that exceeds [`MAX_ROW`].
pub(super) fn too_long(path: &Path, line: usize) -> Error {
    Error::new(format!("it is longer than {} MiB; expected one example's text", MAX_ROW >> 20))
        .at_line(path, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> (tempfile::TempDir, Lines) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, bytes).unwrap();
        let lines = Lines::open(&path).unwrap();
        (dir, lines)
    }

    #[test]
    fn a_mark_leads_only_the_file_and_line_ends_are_no_text() {
        let (_dir, mut lines) = lines("\u{feff}a\r\n\u{feff}b\n\nc".as_bytes());
        assert_eq!(lines.advance().unwrap(), Some("a"));
        assert_eq!(lines.advance().unwrap(), Some("\u{feff}b"));
        assert_eq!(lines.advance().unwrap(), Some(""));
        assert_eq!(lines.advance().unwrap(), Some("c"));
        assert_eq!(lines.number(), 4);
        assert_eq!(lines.advance().unwrap(), None);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_read_and_a_longer_one_is_refused() {
        let mut bytes = vec![b'x'; MAX_ROW];
        bytes.extend_from_slice(b"\r\ny\r\n");
        let (_dir, mut fits) = lines(&bytes);
        assert_eq!(fits.advance().unwrap().unwrap().len(), MAX_ROW);
        assert_eq!(fits.advance().unwrap(), Some("y"));

        bytes.insert(0, b'x');
        let (_dir, mut longer) = lines(&bytes);
        let error = longer.advance().unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(1));
        assert!(error.what().contains("longer than 16 MiB"), "{error}");
    }

    #[test]
    fn bytes_that_are_not_utf8_name_their_line_and_the_remedy() {
        let (_dir, mut lines) = lines(b"fine\ncaf\xe9\n");
        lines.advance().unwrap();
        let error = lines.advance().unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
        assert!(error.what().contains("byte 4"), "{error}");
        assert!(error.hint_text().unwrap().contains("iconv"));
    }
}
