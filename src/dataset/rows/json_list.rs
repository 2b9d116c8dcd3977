//! A JSON list of objects, read an object at a time.
//!
//! The list may stand on one line or on many. Where each object begins and ends is found by its
//! brackets outside strings; what stands between is then parsed as a line of JSON lines is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{Row, without_place};
use crate::error::{Error, Result};
use crate::text::{MAX_ROW, check_encoding, too_long};

const FORM: &str = "the form is [{\"text\": \"…\", \"label\": \"…\"}, …]; without brackets around them, \
                    objects on lines of their own are JSON lines (`jsonl`)";

/// A list that is being read. Memory is bounded by the longest object.
pub(super) struct JsonList {
    path: PathBuf,
    reader: BufReader<File>,
    /// The line of the next byte, counted from 1.
    line: usize,
    bytes_read: u64,
    next: Next,
    object: Vec<u8>,
}

/// What may follow.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Opening,
    FirstObject,
    Object,
    CommaOrClosing,
    Nothing,
}

impl JsonList {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let start = reader.fill_buf().map_err(|error| Error::io("read", path, &error))?;
        check_encoding(start, path)?;
        let mut list = Self {
            path: path.to_owned(),
            reader,
            line: 1,
            bytes_read: 0,
            next: Next::Opening,
            object: Vec::new(),
        };
        // A byte order mark may lead a file.
        if list.peek()?.is_some() && list.reader.buffer().starts_with(b"\xef\xbb\xbf") {
            list.reader.consume(3);
            list.bytes_read += 3;
        }
        Ok(list)
    }

    /// The text of the current object.
    pub(super) fn object(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.object)
    }

    /// How many bytes of the file were read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads the values of `keys` of the next object into a row; the line on which it begins, or
    /// `None` at the end.
    pub(super) fn advance(&mut self, row: &mut Row, keys: &[String]) -> Result<Option<usize>> {
        let Some((first, text)) = self.next_object()? else { return Ok(None) };
        let read = row.read_json(text, keys);
        read.map(|()| Some(first)).map_err(|error| object_error(&error, &self.path, first))
    }

    /// The text of the next object, and the line on which it begins; `None` at the end.
    pub(super) fn next_object(&mut self) -> Result<Option<(usize, &str)>> {
        loop {
            let byte = self.skip_white_space()?;
            let error = |what: &str| Error::new(what).at_line(&self.path, self.line).hint(FORM);
            self.next = match (self.next, byte) {
                (Next::Opening, Some(b'[')) => Next::FirstObject,
                (Next::Opening, _) => return Err(error("expected a list of JSON objects, `[…]`")),
                (Next::CommaOrClosing | Next::FirstObject, Some(b']')) => Next::Nothing,
                (Next::CommaOrClosing, Some(b',')) => Next::Object,
                (Next::FirstObject | Next::Object, Some(b'{')) => break,
                (Next::Nothing, None) => return Ok(None),
                (Next::Nothing, Some(_)) => return Err(error("something follows the list's end")),
                (_, None) => {
                    return Err(error("the list is not closed by `]`: the file ends early"));
                }
                (Next::CommaOrClosing, _) => {
                    return Err(error("expected `,` or `]` behind an object of the list"));
                }
                _ => return Err(error("expected a JSON object, `{…}`, in the list")),
            };
            self.consume();
        }
        let first = self.line;
        self.cut_object(first)?;
        self.next = Next::CommaOrClosing;
        let text = std::str::from_utf8(&self.object)
            .map_err(|_| Error::new("the object is not UTF-8").at_line(&self.path, first))?;
        Ok(Some((first, text)))
    }

    /// Moves the JSON object at the read position, from `{` to its `}`, into `self.object`.
    fn cut_object(&mut self, first: usize) -> Result<()> {
        self.object.clear();
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        while let Some(byte) = self.peek()? {
            self.consume();
            self.object.push(byte);
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else {
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
            }
            if depth == 0 {
                return Ok(());
            }
            if self.object.len() > MAX_ROW {
                return Err(too_long(&self.path, first));
            }
        }
        Err(Error::new("the object that begins here is not closed: the file ends early")
            .at_line(&self.path, first))
    }

    /// Passes white space; the byte behind it.
    fn skip_white_space(&mut self) -> Result<Option<u8>> {
        while self.peek()?.is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.consume();
        }
        self.peek()
    }

    /// The next byte.
    fn peek(&mut self) -> Result<Option<u8>> {
        let buffer =
            self.reader.fill_buf().map_err(|error| Error::io("read", &self.path, &error))?;
        Ok(buffer.first().copied())
    }

    /// Passes the byte that [`JsonList::peek`] gave.
    fn consume(&mut self) {
        self.line += usize::from(self.reader.buffer().first() == Some(&b'\n'));
        self.bytes_read += 1;
        self.reader.consume(1);
    }
}

/// What is wrong with an object that begins on line `first`.
pub(super) fn object_error(error: &serde_json::Error, path: &Path, first: usize) -> Error {
    let line = first + error.line().saturating_sub(1);
    Error::new(format!("expected a JSON object: {}", without_place(error))).at_line(path, line)
}
