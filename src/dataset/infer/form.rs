//! The form of a data file, recognised from its name and its beginning.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::DataFile;
use crate::dataset::rows::TableForm;
use crate::error::{Error, Result};
use crate::task::{Format, Head};
use crate::text::check_encoding;

/// Bytes of a file by which its form is recognised.
const SAMPLE: u64 = 1 << 16;

/// What may separate columns; the first of two that fit alike.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A form, and what of it a task file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) format: Format,
    /// What separates the columns of CSV, where it is no comma.
    pub(super) delimiter: Option<char>,
}

impl Form {
    /// How its rows are read.
    pub(super) fn table(self) -> TableForm {
        let delimiter = self.delimiter.and_then(|sign| u8::try_from(sign).ok()).unwrap_or(b',');
        TableForm { format: self.format, delimiter, join_cut_rows: false }
    }

    /// Refuses the user's `--delimiter` for a form that has none.
    fn check_delimiter(self, delimiter: Option<char>, path: &Path) -> Result<Self> {
        match delimiter {
            Some(sign) if !matches!(self.format, Format::Csv | Format::Tsv) => {
                let sign = shown(sign);
                let found = self.shown();
                let what = format!("`--delimiter {sign}` is for CSV; this file has {found}");
                Err(Error::usage(what).at(path))
            }
            _ => Ok(self),
        }
    }

    /// What it is called in a message.
    pub(super) fn shown(self) -> String {
        match (self.format, self.delimiter) {
            (Format::Tsv, _) => "columns separated by tabs, quotes are ordinary signs".to_owned(),
            (Format::Csv, Some('\t')) => "columns separated by tabs, with quotes".to_owned(),
            (Format::Csv, sign) => format!("columns separated by `{}`", sign.unwrap_or(',')),
            (Format::Jsonl, _) => "JSON lines".to_owned(),
            (Format::Json, _) => "a list of JSON objects".to_owned(),
            (Format::Parquet, _) => "Parquet".to_owned(),
            (Format::Squad, _) => "SQuAD's form".to_owned(),
            (Format::Conll, _) => "a word on each line".to_owned(),
            (Format::Text, _) => "plain text".to_owned(),
        }
    }
}

/// The form of `path`, the training or the development file of `file`.
pub(super) fn of(file: &DataFile<'_>, path: &Path) -> Result<Form> {
    if file.head == Some(Head::Masked) && !is_parquet(path)? {
        // Plain text may look like anything.
        let form = Form { format: Format::Text, delimiter: None };
        return form.check_delimiter(file.delimiter, path);
    }
    if file.sample_by.is_some() {
        let what = "`--sample-by` is for plain text, on which an encoder is trained further";
        return Err(Error::usage(what).at(path).hint("add `--head masked`"));
    }
    recognise(path, file.delimiter)
}

/// The form of a file; `delimiter` is what the user says.
fn recognise(path: &Path, delimiter: Option<char>) -> Result<Form> {
    let form = match is_parquet(path)? {
        true => Form { format: Format::Parquet, delimiter: None },
        false => recognise_text(path, delimiter)?,
    };
    form.check_delimiter(delimiter, path)
}

fn recognise_text(path: &Path, delimiter: Option<char>) -> Result<Form> {
    let (sample, whole) = sample(path)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = extension.to_lowercase();
    let form = |format| Form { format, delimiter: None };
    Ok(match (extension.as_str(), sample.trim_start().as_bytes().first()) {
        ("csv" | "tsv" | "tab", _) => table(&sample, whole, &extension, delimiter),
        ("conll" | "conllu" | "iob" | "iob2" | "bio", _) => form(Format::Conll),
        (_, Some(b'[')) => form(Format::Json),
        (_, Some(b'{')) if sample.contains("\"paragraphs\"") => form(Format::Squad),
        (_, Some(b'{')) => form(Format::Jsonl),
        ("json" | "jsonl", _) => {
            let what =
                "it is not JSON: expected a list of objects, `[…]`, or an object on each line";
            return Err(Error::new(what).at_line(path, 1));
        }
        _ if delimiter.is_none() && is_conll(&sample) => form(Format::Conll),
        _ => table(&sample, whole, &extension, delimiter),
    })
}

/// A delimiter as it can be typed.
fn shown(sign: char) -> String {
    sign.escape_default().to_string()
}

/// Whether a file begins as Parquet does.
fn is_parquet(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
    file.take(4).read_to_end(&mut start).map_err(|error| Error::io("read", path, &error))?;
    Ok(start == b"PAR1")
}

/// The beginning of a file up to the end of a line, and whether it is the whole file.
fn sample(path: &Path) -> Result<(String, bool)> {
    let failed = |error| Error::io("read", path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
    file.take(SAMPLE).read_to_end(&mut bytes).map_err(failed)?;
    check_encoding(&bytes, path)?;
    let whole = (bytes.len() as u64) < SAMPLE;
    if !whole {
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.truncate(end);
    }
    // Bytes that are not UTF-8 are refused with their line when rows are read.
    let text = String::from_utf8_lossy(&bytes);
    Ok((text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned(), whole))
}

/// A table, by the delimiter that gives its rows one width.
fn table(sample: &str, whole: bool, extension: &str, given: Option<char>) -> Form {
    let csv = |sign: u8| Form {
        format: Format::Csv,
        delimiter: (sign != b',').then_some(char::from(sign)),
    };
    let sign = match given {
        Some(sign) => u8::try_from(sign).unwrap_or(b','),
        None => {
            let best = DELIMITERS
                .into_iter()
                .rev()
                .map(|sign| (fit(sample, whole, sign), sign))
                .filter(|(fit, _)| *fit > (90, 1))
                .max_by_key(|(fit, _)| *fit);
            let by_name = if ["tsv", "tab"].contains(&extension) { b'\t' } else { b',' };
            best.map_or(by_name, |(_, sign)| sign)
        }
    };
    if sign == b'\t' && !has_quoted_fields(sample, whole) {
        return Form { format: Format::Tsv, delimiter: None };
    }
    csv(sign)
}

/// How many of a hundred rows are as wide as the first, and that width, if this separates columns.
fn fit(sample: &str, whole: bool, sign: u8) -> (usize, usize) {
    let quoted = widths(sample, whole, sign, true);
    let plain = widths(sample, whole, sign, false);
    let share = |widths: &[usize]| match widths.first() {
        Some(&first) if first > 1 => {
            let same = widths.iter().filter(|&&width| width == first).count();
            (100 * same / widths.len(), first)
        }
        _ => (0, 0),
    };
    let (quoted, plain) = (share(&quoted), share(&plain));
    // Only tabs separate columns in which quotes are ordinary signs.
    if sign == b'\t' { quoted.max(plain) } else { quoted }
}

/// The width of each row; `quotes` may hold delimiters and line ends.
fn widths(sample: &str, whole: bool, sign: u8, quotes: bool) -> Vec<usize> {
    let (mut all, mut width) = (Vec::new(), 1);
    let (mut in_quotes, mut at_start, mut closed, mut ended) = (false, true, false, true);
    for byte in sample.bytes() {
        ended = false;
        let was_closed = std::mem::take(&mut closed);
        match byte {
            b'"' if in_quotes => (in_quotes, closed) = (false, true),
            // A field's first quote, or the second of two that stand for one.
            b'"' if quotes && (at_start || was_closed) => in_quotes = true,
            _ if in_quotes => {}
            b'\n' => {
                all.push(width);
                (width, at_start, ended) = (1, true, true);
                continue;
            }
            _ if byte == sign => {
                width += 1;
                at_start = true;
                continue;
            }
            _ => {}
        }
        at_start = false;
    }
    if whole && !ended {
        all.push(width);
    }
    all
}

/// Whether columns that tabs separate are quoted as in CSV: some begin with a quote, and each of
/// these ends with one.
fn has_quoted_fields(sample: &str, whole: bool) -> bool {
    let starts = sample.split(['\t', '\n']).any(|field| field.starts_with('"'));
    let quoted = widths(sample, whole, b'\t', true);
    let plain = widths(sample, whole, b'\t', false);
    let same = |widths: &[usize]| widths.windows(2).all(|pair| pair[0] == pair[1]);
    let closed = sample.split(['\t', '\n']).filter(|field| field.starts_with('"')).all(|field| {
        let field = field.trim_end_matches('\r');
        field.len() > 1 && field.ends_with('"')
    });
    starts && same(&quoted) && (closed || !same(&plain))
}

/// Whether words stand on lines, with tags of entities behind them.
fn is_conll(sample: &str) -> bool {
    let is_tag = |tag: &str| {
        tag == "O"
            || tag.len() > 2
                && tag
                    .split_once('-')
                    .is_some_and(|(prefix, _)| ["B", "I", "E", "S", "L", "U"].contains(&prefix))
    };
    let lines = sample.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let (mut tagged, mut all) = (0, 0);
    for line in lines {
        let columns: Vec<&str> = line.split_whitespace().collect();
        all += 1;
        tagged += usize::from(columns.len() > 1 && columns.last().is_some_and(|tag| is_tag(tag)));
    }
    all > 1 && tagged * 10 >= all * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> (Format, Option<char>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let form = recognise(&path, None).unwrap();
        (form.format, form.delimiter)
    }

    #[test]
    fn the_delimiter_is_the_one_that_gives_all_rows_the_same_width() {
        for (sign, expected) in [(",", None), (";", Some(';')), ("|", Some('|'))] {
            let row = |cells: [&str; 3]| cells.join(sign) + "\n";
            let text = row(["id", "text", "team"])
                + &row(["1", "\"a, b; c | d\ne\"", "x"])
                + &row(["2", "plain", "\"y \"\"z\"\"\""]);
            assert_eq!(found("t.csv", &text), (Format::Csv, expected), "{text}");
        }
        let decimals = "text;score\nso lala, aber gut;3,5\nnein, danke;1,0\n";
        assert_eq!(found("t.csv", decimals), (Format::Csv, Some(';')));
    }

    #[test]
    fn tabs_separate_plain_columns_or_quoted_ones() {
        let plain = "sentence\tlabel\n\"he said\t1\n5\" disk\t0\n";
        assert_eq!(found("t.tsv", plain), (Format::Tsv, None));
        assert_eq!(found("t.csv", "text\tlabel\na, b\t1\nc\t0\n"), (Format::Tsv, None));
        let quoted = "text\tlabel\n\"a \"\"b\"\"\"\t1\n\"c\nd\"\t0\n";
        assert_eq!(found("t.tsv", quoted), (Format::Csv, Some('\t')));
    }

    #[test]
    fn json_and_tagged_words_are_known_by_their_beginning() {
        assert_eq!(found("t.json", "[\n{\"text\": \"a\"}]").0, Format::Json);
        assert_eq!(found("t.json", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n").0, Format::Jsonl);
        assert_eq!(found("t.json", "{\"data\": [{\"paragraphs\": []}]}").0, Format::Squad);
        assert_eq!(found("t.txt", "Ada B-PER\nruns O\n\nIt O\n").0, Format::Conll);
        assert_eq!(found("t.txt", "text,label\na,b\n").0, Format::Csv);
        assert_eq!(found("t.csv", "[a],label\nx,y\n").0, Format::Csv);
        assert_eq!(found("t.csv", "").0, Format::Csv);
    }

    #[test]
    fn what_is_no_json_and_a_delimiter_for_it_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.json");
        std::fs::write(&path, "text,label\n").unwrap();
        assert!(recognise(&path, None).unwrap_err().what().contains("it is not JSON"));
        std::fs::write(&path, "[]").unwrap();
        let error = recognise(&path, Some(';')).unwrap_err();
        assert!(error.what().contains("`--delimiter ;` is for CSV"), "{error}");
        std::fs::write(&path, b"PAR1\x15\xff").unwrap();
        assert_eq!(recognise(&path, None).unwrap().format, Format::Parquet);
        assert!(recognise(&path, Some(';')).unwrap_err().what().contains("this file has Parquet"));
    }
}
