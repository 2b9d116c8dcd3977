//! Text as every way in reads it: data files, task files, passages, standard input.
//!
//! A byte order mark before the first line is no text; lines end in LF or CRLF; the last line may
//! lack its end. What is not UTF-8 is refused with the line, and named where it is known.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Longest line, or row of several lines, in bytes. A longer one is no text with an example on each
/// line, and must not fill the memory.
pub const MAX_ROW: usize = 16 << 20;

/// A byte order mark.
const MARK: char = '\u{feff}';

/// The lines of a text, one at a time.
pub struct Lines<'a> {
    path: PathBuf,
    reader: Box<dyn BufRead + 'a>,
    /// The current line as read, and where its text stands in it.
    text: String,
    current: Range<usize>,
    number: usize,
    bytes_read: u64,
}

impl<'a> Lines<'a> {
    /// Opens a file; [`Lines::advance`] gives its first line.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Ok(Self::new(path, Box::new(BufReader::new(file))))
    }

    /// The lines of a reader, which messages call `path`.
    pub fn new(path: &Path, reader: Box<dyn BufRead + 'a>) -> Self {
        Self {
            path: path.to_owned(),
            reader,
            text: String::new(),
            current: 0..0,
            number: 0,
            bytes_read: 0,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the current line, counted from 1; 0 before the first.
    pub fn number(&self) -> usize {
        self.number
    }

    /// How many bytes of the file were read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next line without its end (and the first without a byte order mark); `None` at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read, the line is not UTF-8 or longer than [`MAX_ROW`], or the lines end
    /// in carriage returns alone.
    pub fn advance(&mut self) -> Result<Option<&str>> {
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
        if self.number == 1 {
            check_encoding(&bytes, &self.path)?;
            check_line_end(&bytes, &self.path)?;
        }
        self.text = decode(bytes).map_err(|error| error.at_line(&self.path, self.number))?;
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
    pub fn current(&self) -> &str {
        &self.text[self.current.clone()]
    }
}

/// A whole file: without a byte order mark and the end of the last line, other lines ended by LF.
///
/// # Errors
///
/// The file cannot be read, is larger than `max_bytes`, or is not UTF-8.
pub fn read_file(path: &Path, max_bytes: usize) -> Result<String> {
    let failed = |error| Error::io("read", path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max_bytes {
        let size = if max_bytes == 1 << 20 { "a MiB" } else { &format!("{max_bytes} bytes") };
        return Err(Error::new(format!("it is larger than {size}")).at(path));
    }
    let mut lines = Lines::new(path, Box::new(bytes.as_slice()));
    let mut text = String::with_capacity(bytes.len());
    while let Some(line) = lines.advance()? {
        text.push_str(line);
        text.push('\n');
    }
    text.pop();
    Ok(text)
}

/// Refuses what is known not to be UTF-8 text by its first bytes.
///
/// # Errors
///
/// The bytes are those of another encoding or of a known kind of file.
pub fn check_encoding(bytes: &[u8], path: &Path) -> Result<()> {
    let refuse = |what: &str| Err(Error::new(what.to_owned()).at_line(path, 1));
    for (start, kind) in [
        (&b"PK\x03\x04"[..], "a ZIP archive, as Excel's workbooks are"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"\xfd7zXZ\x00", "compressed by xz"),
        (b"BZh", "compressed by bzip2"),
        (b"PAR1", "a Parquet file"),
        (b"%PDF-", "a PDF file"),
    ] {
        let is_word = start.is_ascii() && start.iter().all(u8::is_ascii_graphic);
        if bytes.starts_with(start) && !(is_word && std::str::from_utf8(bytes).is_ok()) {
            return refuse(&format!("it is {kind}; expected text in UTF-8"));
        }
    }
    let convert =
        |encoding: &str| format!("convert it to UTF-8: `iconv -f {encoding} -t UTF-8 FILE > NEW`");
    if bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff") {
        return refuse("it is UTF-32; expected UTF-8")
            .map_err(|error| error.hint(convert("UTF-32")));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return refuse("it is UTF-16; expected UTF-8")
            .map_err(|error| error.hint(convert("UTF-16")));
    }
    // Latin letters in UTF-16 without a mark have a NUL each.
    let nuls = bytes.iter().filter(|&&byte| byte == 0).count();
    if bytes.len() >= 4 && nuls * 3 >= bytes.len() {
        let encoding = if bytes[0] == 0 { "UTF-16BE" } else { "UTF-16LE" };
        return refuse("a third of its first bytes or more are NUL, as in UTF-16; expected UTF-8")
            .map_err(|error| error.hint(format!("if it is UTF-16, {}", convert(encoding))));
    }
    Ok(())
}

/// Refuses a first line of which the file's lines seem to end in carriage returns alone: they are one
/// line to whoever looks for line feeds.
fn check_line_end(bytes: &[u8], path: &Path) -> Result<()> {
    if bytes.ends_with(b"\n") || !bytes.strip_suffix(b"\r").unwrap_or(bytes).contains(&b'\r') {
        return Ok(());
    }
    Err(Error::new("its lines end in carriage returns (CR) alone; expected line feeds (LF)")
        .at_line(path, 1)
        .hint("convert it: `tr '\\r' '\\n' < FILE > NEW`"))
}

fn decode(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        Error::new(format!("byte {} of the line is not UTF-8 (0x{byte:02X})", at + 1)).hint(
            "convert it to UTF-8 from its own encoding; if that is Latin-1: \
             `iconv -f LATIN1 -t UTF-8 FILE > NEW`",
        )
    })
}

/// A line or row that exceeds [`MAX_ROW`].
pub fn too_long(path: &Path, line: usize) -> Error {
    Error::new(format!("it is longer than {} MiB; expected one example's text", MAX_ROW >> 20))
        .at_line(path, line)
}

/// A text on one line of a message: cut where it is long, control characters escaped.
pub fn excerpt(text: &str) -> String {
    on_one_line(text, 60)
}

/// A text on one line, control characters escaped, cut after `longest` characters.
pub fn on_one_line(text: &str, longest: usize) -> String {
    let mut line: String = text
        .chars()
        .take(longest)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(longest).is_some() {
        line.push('…');
    }
    line
}

/// A number with its noun: `1 row`, `2 rows`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names in a message, each in backticks: the first few of many, each as [`excerpt`] gives it.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut names = names;
    let mut shown: Vec<String> =
        names.by_ref().take(SHOWN).map(|name| format!("`{}`", excerpt(name))).collect();
    let more = names.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Lines<'_> {
        Lines::new(Path::new("file.txt"), Box::new(bytes))
    }

    fn first_error(bytes: &[u8]) -> Error {
        lines(bytes).advance().unwrap_err()
    }

    fn read_bytes(bytes: &[u8]) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, bytes).unwrap();
        read_file(&path, 1 << 20)
    }

    #[test]
    fn a_mark_leads_only_the_file_and_line_ends_are_no_text() {
        let mut lines = lines("\u{feff}a\r\n\u{feff}b\n\nc".as_bytes());
        assert_eq!(lines.advance().unwrap(), Some("a"));
        assert_eq!(lines.advance().unwrap(), Some("\u{feff}b"));
        assert_eq!(lines.advance().unwrap(), Some(""));
        assert_eq!(lines.advance().unwrap(), Some("c"));
        assert_eq!(lines.number(), 4);
        assert_eq!(lines.advance().unwrap(), None);
    }

    #[test]
    fn a_whole_file_has_neither_mark_nor_last_line_end_and_its_lines_end_alike() {
        for text in ["one\ntwo", "one\ntwo\n", "one\r\ntwo\r\n", "\u{feff}one\r\ntwo"] {
            assert_eq!(read_bytes(text.as_bytes()).unwrap(), "one\ntwo", "{text:?}");
        }
        assert_eq!(read_bytes(b"").unwrap(), "");
        assert_eq!(read_bytes(b"one\n\n").unwrap(), "one\n");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_read_and_a_longer_one_is_refused() {
        let mut bytes = vec![b'x'; MAX_ROW];
        bytes.extend_from_slice(b"\r\ny\r\n");
        {
            let mut fits = lines(&bytes);
            assert_eq!(fits.advance().unwrap().unwrap().len(), MAX_ROW);
            assert_eq!(fits.advance().unwrap(), Some("y"));
        }

        bytes.insert(0, b'x');
        let error = first_error(&bytes);
        assert_eq!(error.place().unwrap().line, Some(1));
        assert!(error.what().contains("longer than 16 MiB"), "{error}");
    }

    #[test]
    fn bytes_that_are_not_utf8_name_their_line_and_the_remedy() {
        let mut lines = lines(b"fine\ncaf\xe9\n");
        lines.advance().unwrap();
        let error = lines.advance().unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
        assert!(error.what().contains("byte 4 of the line is not UTF-8 (0xE9)"), "{error}");
        assert!(error.hint_text().unwrap().contains("iconv -f LATIN1"), "{error}");
    }

    #[test]
    fn utf16_and_utf32_are_named_with_the_command_that_converts_them() {
        let utf16 = |mark: bool, little: bool| -> Vec<u8> {
            let mark = if mark { "\u{feff}" } else { "" };
            let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
            format!("{mark}text\tlabel\r\nfine\t1\r\n").encode_utf16().flat_map(bytes).collect()
        };
        for little in [true, false] {
            let error = first_error(&utf16(true, little));
            assert_eq!(error.what(), "it is UTF-16; expected UTF-8");
            assert!(error.hint_text().unwrap().contains("iconv -f UTF-16 "), "{error}");
            let error = first_error(&utf16(false, little));
            assert!(error.what().contains("as in UTF-16"), "{error}");
            let order = if little { "UTF-16LE" } else { "UTF-16BE" };
            assert!(error.hint_text().unwrap().contains(order), "{error}");
        }
        let error = first_error(b"\xff\xfe\0\0t\0\0\0");
        assert!(error.what().contains("UTF-32"), "{error}");
    }

    #[test]
    fn files_of_other_kinds_are_named_and_not_taken_for_latin1() {
        for (bytes, kind) in [
            (&b"PK\x03\x04\x14\0\x06\xff\n"[..], "ZIP archive"),
            (b"\x1f\x8b\x08\0\xff\n", "gzip"),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        ] {
            // The first line may be UTF-8, so the whole start is looked at.
            let error = check_encoding(bytes, Path::new("x")).unwrap_err();
            assert!(error.what().contains(kind), "{error}");
            assert_eq!(error.hint_text(), None);
        }
        assert!(check_encoding(b"PK is a word\n", Path::new("x")).is_ok());
    }

    #[test]
    fn carriage_returns_alone_are_named_where_a_file_has_no_line_feed() {
        let error = first_error(b"text\tlabel\rfine\t1\r");
        assert!(error.what().contains("carriage returns (CR) alone"), "{error}");
        assert!(error.hint_text().unwrap().contains(r"tr '\r' '\n'"), "{error}");
        assert!(!error.to_string().contains('\r'));
        // Inside a line that a line feed ends, it is a character.
        assert_eq!(lines(b"a\rb\r\n").advance().unwrap(), Some("a\rb"));
        assert_eq!(lines(b"a\r").advance().unwrap(), Some("a"));
    }

    #[test]
    fn a_nul_between_letters_is_a_character() {
        assert_eq!(lines(b"fine\0text\n").advance().unwrap(), Some("fine\0text"));
    }

    #[test]
    fn excerpts_are_short_and_without_control_characters() {
        assert_eq!(excerpt("a\r\n\u{1b}[31mb"), "a\\r\\n\\u{1b}[31mb");
        assert_eq!(excerpt(&"x".repeat(100)).chars().count(), 61);
        let names: Vec<String> = (0..20).map(|i| format!("c{i}")).collect();
        let shown = listed(names.iter().map(String::as_str));
        assert!(shown.starts_with("`c0`, `c1`") && shown.ends_with("`c11`, and 8 more"), "{shown}");
    }
}
