//! Tables: GLUE's TSV, CSV, and JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Reader;
use super::rows::Rows;
use super::{Example, Input, Labels, Target};
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Head, Split, Task};
use crate::text::{count, excerpt};

/// Reads a table.
pub(super) struct TableReader<'a> {
    task: &'a Task,
    labels: &'a Labels,
    path: &'a Path,
    is_test: bool,
    rows: Rows,
    positions: Positions,
    /// The number of the next row, counted from 0.
    number: usize,
    /// How many rows were left out that have no label.
    without_label: usize,
}

impl<'a> TableReader<'a> {
    /// Opens a table and finds the task's columns in it.
    pub(super) fn open(
        task: &'a Task,
        split: &'a Split,
        path: &'a Path,
        labels: &'a Labels,
    ) -> Result<Self> {
        let columns = task.columns_of(split);
        let is_test = task.is_test(split);
        let mut rows = Rows::open(task.format, path, names(columns))?
            .join_cut_rows(task.repairs.join_cut_rows);
        let positions = Positions::find(columns, is_test, &mut rows)?;
        Ok(Self { task, labels, path, is_test, rows, positions, number: 0, without_label: 0 })
    }

    fn field(&self, position: usize) -> Result<String> {
        self.rows.field(position).map(str::to_owned)
    }

    fn optional_field(&self, position: Option<usize>) -> Result<String> {
        position.map_or_else(|| Ok(String::new()), |position| self.field(position))
    }

    fn input(&self) -> Result<Input> {
        let Positions { text, text_pair, context, start, endings, .. } = &self.positions;
        if self.task.head.has_endings() {
            return Ok(Input::Choices {
                context: self.optional_field(*context)?,
                start: self.optional_field(*start)?,
                endings: endings
                    .iter()
                    .map(|&position| self.field(position))
                    .collect::<Result<Vec<_>>>()?,
            });
        }
        Ok(Input::Text {
            text: self.optional_field(*text)?,
            text_pair: text_pair.map(|position| self.field(position)).transpose()?,
        })
    }
}

impl TableReader<'_> {
    /// Moves to the next row that has a label, or need not have one; its line and number.
    fn advance(&mut self) -> Result<Option<(usize, usize)>> {
        while let Some(line) = self.rows.advance()? {
            let number = self.number;
            self.number += 1;
            let label = self.positions.label.and_then(|position| self.rows.optional(position));
            if self.is_test || label.is_none() || label != self.task.repairs.no_label.as_deref() {
                return Ok(Some((line, number)));
            }
            self.without_label += 1;
        }
        Ok(None)
    }

    /// Adds to an error of the first line that it may be a header, where columns are asked for by
    /// position.
    fn maybe_header(&self, error: Error, line: usize) -> Error {
        if line == 1 && self.rows.has_no_header() {
            return error.hint(
                "if the first line is a header, name the columns in the task file by it, or remove \
                 it: `tail -n +2 FILE > NEW`",
            );
        }
        error
    }
}

/// Names that headers give to the column of labels, in lower case.
const HEADER_NAMES: [&str; 10] = [
    "label",
    "labels",
    "class",
    "category",
    "target",
    "gold_label",
    "sentiment",
    "polarity",
    "score",
    "rating",
];

impl Reader for TableReader<'_> {
    fn next_example(&mut self) -> Result<Option<Example>> {
        let Some((line, number)) = self.advance()? else { return Ok(None) };
        let label = match self.positions.label {
            // A test file's JSON objects may leave their labels out, as its columns may.
            Some(position) if self.is_test => self.rows.optional(position),
            Some(position) => Some(self.rows.field(position)?),
            None => None,
        };
        let endings = self.positions.endings.len();
        let target = label
            .filter(|&text| !self.is_test || Some(text) != self.task.repairs.no_label.as_deref())
            .map(|text| {
                target(self.task, text, self.labels, endings)
                    .map_err(|error| self.maybe_header(error.at_line(self.path, line), line))
            })
            .transpose()?;
        let id = match self.positions.id {
            Some(position) => self.field(position)?,
            None => number.to_string(),
        };
        Ok(Some(Example { id, line, input: self.input()?, target }))
    }

    fn count_labels(&mut self) -> Result<BTreeMap<String, usize>> {
        let Some(label) = self.positions.label else {
            return Err(Error::new("`columns` names no `label`, so labels cannot be found in it")
                .at(self.path));
        };
        let mut counts = BTreeMap::new();
        while let Some((line, _)) = self.advance()? {
            let name = self.rows.field(label)?;
            let is_header = HEADER_NAMES.contains(&name.trim().to_lowercase().as_str());
            if line == 1 && is_header && self.rows.has_no_header() {
                let what = format!("the first line's label is `{name}`, as in a header");
                let error = Error::new(what).at_line(self.path, line);
                return Err(self.maybe_header(error, line));
            }
            if name.is_empty() {
                return Err(Error::new("the label is empty; expected the name of one")
                    .at_line(self.path, line));
            }
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(name.to_owned(), 1);
                }
            }
        }
        Ok(counts)
    }

    fn bytes_read(&self) -> u64 {
        self.rows.bytes_read()
    }

    fn repairs(&self) -> Vec<String> {
        let mut made = Vec::new();
        if let Some((joined, first)) = self.rows.joined() {
            made.push(format!(
                "{} put together that a line feed cuts in two, the first on line {first}",
                count(joined, "row")
            ));
        }
        if let (Some(label), 1..) = (&self.task.repairs.no_label, self.without_label) {
            made.push(format!(
                "{} left out whose label is `{}` (no agreement)",
                count(self.without_label, "row"),
                excerpt(label)
            ));
        }
        made
    }
}

/// What a row's label says.
fn target(task: &Task, text: &str, labels: &Labels, endings: usize) -> Result<Target> {
    let number = text.trim();
    match task.head {
        Head::Classify => labels.parse(text).map(Target::Class),
        Head::Regress => {
            let [low, high] = task.score_range.unwrap_or([f32::MIN, f32::MAX]);
            let score = number.parse::<f32>().ok().filter(|score| (low..=high).contains(score));
            score.map(Target::Score).ok_or_else(|| {
                let range = match task.score_range {
                    Some([low, high]) => format!(" from {low} to {high}"),
                    None => String::new(),
                };
                Error::new(format!("the score is `{}`; expected a number{range}", excerpt(text)))
            })
        }
        Head::Choice => {
            let ending = number.parse::<usize>().ok().filter(|&ending| ending < endings);
            ending.map(Target::Class).ok_or_else(|| {
                Error::new(format!(
                    "the label is `{}`; expected the position of an ending, 0 to {}",
                    excerpt(text),
                    endings - 1
                ))
            })
        }
        // Their files are no tables.
        Head::Span | Head::Tag => {
            Err(Error::new(format!("the head `{}` reads no table", task.head)))
        }
    }
}

/// Where the columns stand in a row.
#[derive(Debug, Default)]
struct Positions {
    id: Option<usize>,
    text: Option<usize>,
    text_pair: Option<usize>,
    context: Option<usize>,
    start: Option<usize>,
    endings: Vec<usize>,
    label: Option<usize>,
}

impl Positions {
    fn find(columns: &Columns, is_test: bool, rows: &mut Rows) -> Result<Self> {
        let label = match &columns.label {
            // A test file may leave its labels out.
            Some(column) if is_test && !rows.has(column) => None,
            label => label.as_ref(),
        };
        let mut position =
            |column: Option<&Column>| column.map(|column| rows.position(column)).transpose();
        Ok(Self {
            id: position(columns.id.as_ref())?,
            text: position(columns.text.as_ref())?,
            text_pair: position(columns.text_pair.as_ref())?,
            context: position(columns.context.as_ref())?,
            start: position(columns.start.as_ref())?,
            label: position(label)?,
            endings: columns
                .endings
                .iter()
                .map(|column| rows.position(column))
                .collect::<Result<Vec<_>>>()?,
        })
    }
}

/// The names among the columns; positions have none.
fn names(columns: &Columns) -> Vec<String> {
    let Columns { id, text, text_pair, context, start, endings, word, label } = columns;
    [id, text, text_pair, context, start, word, label]
        .into_iter()
        .flatten()
        .chain(endings)
        .filter_map(|column| match column {
            Column::Name(name) => Some(name.clone()),
            Column::Index(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::reader::read_all;
    use super::*;
    use crate::task;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn read_as(task: &Task, split: &Split, path: &Path, labels: &Labels) -> Result<Vec<Example>> {
        read_all(TableReader::open(task, split, path, labels)?)
    }

    fn read_sst2(text: &str) -> Result<Vec<Example>> {
        let task = task::find("sst2").unwrap();
        let (_dir, path) = file("train.tsv", text);
        let labels = Labels::new(task.labels.clone().unwrap());
        read_as(&task, task.train.as_ref().unwrap(), &path, &labels)
    }

    #[test]
    fn quotes_in_tsv_are_ordinary_characters() {
        let examples = read_sst2("sentence\tlabel\n\"a \"\" fine film\t1\n").unwrap();
        let Input::Text { text, .. } = &examples[0].input else { panic!() };
        assert_eq!(text, "\"a \"\" fine film");
        assert_eq!(examples[0].target, Some(Target::Class(1)));
        assert_eq!(examples[0].line, 2);
    }

    #[test]
    fn a_row_with_too_few_columns_names_its_line_and_both_counts() {
        let error = read_sst2("sentence\tlabel\ngood\t1\nbad\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
        assert!(error.what().contains("expected 2 columns (sentence, label), found 1"), "{error}");
    }

    #[test]
    fn an_unknown_label_names_its_line_and_the_known_ones() {
        let error = read_sst2("sentence\tlabel\ngood\t1\nbad\t2\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
        assert!(error.what().contains("unknown label `2`; expected one of `0`, `1`"), "{error}");
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let error = read_sst2("text\tlabel\ngood\t1\n").unwrap_err();
        assert!(error.what().contains("no column `sentence`"), "{error}");
        assert!(error.to_string().contains("`text`, `label`"), "{error}");
    }

    #[test]
    fn a_blank_line_between_rows_is_not_skipped() {
        let error = read_sst2("sentence\tlabel\ngood\t1\n\nbad\t0\n").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
        let examples = read_sst2("\u{feff}sentence\tlabel\r\ngood\t1\r\n").unwrap();
        assert_eq!(examples.len(), 1);
        assert_eq!(examples[0].target, Some(Target::Class(1)));
    }

    #[test]
    fn text_that_is_not_utf8_names_its_line() {
        let task = task::find("sst2").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        fs::write(&path, b"sentence\tlabel\nfine\t1\n\xff\xfe\t0\n").unwrap();
        let labels = Labels::new(task.labels.clone().unwrap());
        let error = read_as(&task, task.train.as_ref().unwrap(), &path, &labels).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_that_is_no_number_names_its_line() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\tnan\n");
        let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_outside_the_range_names_its_line_and_the_range() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t5.1\n");
        let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
        assert!(error.what().contains("`5.1`; expected a number from 0 to 5"), "{error}");
    }

    #[test]
    fn json_lines_are_read_by_key() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let (_dir, path) =
            file("dev.jsonl", "{\"label\": 1, \"sentence\": \"so \\\"good\\\"\", \"x\": [1]}\n");
        let labels = Labels::new(task.labels.clone().unwrap());
        let examples = read_as(&task, &task.dev[0], &path, &labels).unwrap();
        assert_eq!(examples[0].input, Input::Text { text: "so \"good\"".into(), text_pair: None });
        assert_eq!(examples[0].target, Some(Target::Class(1)));
    }

    fn builtin(name: &str, text: &str) -> Result<(Vec<Example>, Vec<String>)> {
        let task = task::find(name).unwrap();
        let (_dir, path) = file("train.tsv", text);
        let labels = Labels::new(task.labels.clone().unwrap_or_default());
        let mut reader = TableReader::open(&task, task.train.as_ref().unwrap(), &path, &labels)?;
        let mut examples = Vec::new();
        while let Some(example) = reader.next_example()? {
            examples.push(example);
        }
        Ok((examples, reader.repairs()))
    }

    const QQP: &str = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";

    #[test]
    fn rows_of_qqp_that_a_line_feed_cuts_in_two_are_put_together_and_counted() {
        let text = format!(
            "{QQP}0\t1\t2\ta?\tb?\t0\n\
             1\t3\t4\t\"Was it\n\tWas it there?\t1\n\
             2\t5\t6\tone\n\ntwo\tthree\t0\n\
             3\t7\t8\tc?\td?\t1\n"
        );
        let (examples, repairs) = builtin("qqp", &text).unwrap();
        let lines: Vec<_> = examples.iter().map(|example| example.line).collect();
        assert_eq!(lines, [2, 3, 5, 8]);
        let text_of = |i: usize| match &examples[i].input {
            Input::Text { text, text_pair } => (text.clone(), text_pair.clone().unwrap()),
            other => panic!("{other:?}"),
        };
        assert_eq!(text_of(1), ("\"Was it\n".into(), "Was it there?".into()));
        assert_eq!(text_of(2), ("one\n\ntwo".into(), "three".into()));
        assert_eq!(examples[1].target, Some(Target::Class(1)));
        assert_eq!(
            repairs,
            ["2 rows put together that a line feed cuts in two, the first on line 3"]
        );
    }

    #[test]
    fn a_row_of_qqp_that_the_next_line_does_not_complete_is_an_error() {
        let whole = "3\t7\t8\tc?\td?\t1\n";
        for (cut, what) in [
            (format!("1\t3\t4\n{whole}"), "expected 6 columns, found 3, and the next line"),
            (format!("1\t3\t4\tx\n\ta\tb\tc\td\n{whole}"), "found 4, and the next line"),
            ("1\t3\t4\tx\n".to_owned(), "found 4"),
        ] {
            let error = builtin("qqp", &format!("{QQP}{whole}{cut}")).unwrap_err();
            assert_eq!(error.place().unwrap().line, Some(3), "{error}");
            assert!(error.what().contains(what), "{error}");
        }
        // Other tasks put nothing together.
        assert!(builtin("sst2", "sentence\tlabel\ngood\n\t1\n").is_err());
    }

    #[test]
    fn rows_of_mnli_whose_annotators_do_not_agree_are_left_out_and_counted() {
        let text = "sentence1\tsentence2\tgold_label\na\tb\tneutral\nc\td\t-\ne\tf\tentailment\n";
        let (examples, repairs) = builtin("mnli", text).unwrap();
        let ids: Vec<_> = examples.iter().map(|example| example.id.as_str()).collect();
        assert_eq!(ids, ["0", "2"]);
        assert_eq!(repairs, ["1 row left out whose label is `-` (no agreement)"]);
    }

    #[test]
    fn files_as_published_with_other_columns_are_read_by_name() {
        // SWAG has columns on where its endings come from, a first one without a name.
        let swag = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,\
                    ending3,label\n0,v,1,He sat. He,He sat.,He,gold,a,b,c,d,2\n";
        let task = task::find("swag").unwrap();
        let (_dir, path) = file("train.csv", swag);
        let examples =
            read_as(&task, task.train.as_ref().unwrap(), &path, &Labels::default()).unwrap();
        assert_eq!(examples[0].target, Some(Target::Class(2)));
    }

    #[test]
    fn a_header_on_a_file_whose_columns_are_positions_is_pointed_out() {
        let error =
            builtin("cola", "source\tlabel\tmark\tsentence\ngj\t1\t\tHe ran.\n").unwrap_err();
        assert!(error.what().contains("unknown label `label`"), "{error}");
        assert!(error.hint_text().unwrap().contains("if the first line is a header"), "{error}");

        let mut task = task::find("cola").unwrap();
        task.labels = None;
        let (_dir, path) = file("train.tsv", "source\tLabel\tmark\tsentence\ngj\t1\t\tHe ran.\n");
        let labels = Labels::default();
        let train = task.train.as_ref().unwrap();
        let error =
            TableReader::open(&task, train, &path, &labels).unwrap().count_labels().unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(1));
        assert!(error.what().contains("the first line's label is `Label`"), "{error}");
    }

    #[test]
    fn a_label_that_is_null_is_not_reported_as_missing() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let labels = Labels::new(task.labels.clone().unwrap());
        for (row, what) in [
            (
                "{\"label\": null, \"sentence\": \"a\"}\n",
                "`label` is null; expected text or a number",
            ),
            ("{\"sentence\": \"a\"}\n", "no key `label` in it; expected text or a number"),
        ] {
            let (_dir, path) = file("dev.jsonl", row);
            let error = read_as(&task, &task.dev[0], &path, &labels).unwrap_err();
            assert_eq!(error.what(), what);
        }
    }

    #[test]
    fn messages_on_long_lines_stay_short() {
        let long = "x".repeat(100_000);
        let found = [
            builtin("sst2", &format!("sentence\tlabel\na\t{long}\n")).unwrap_err(),
            builtin("sst2", &format!("{}\n", vec!["name"; 5000].join("\t"))).unwrap_err(),
            builtin("sst2", &format!("{long}\n")).unwrap_err(),
            builtin("stsb", &format!("sentence1\tsentence2\tscore\na\tb\t{long}\n")).unwrap_err(),
        ];
        for error in found {
            assert!(error.to_string().len() < 1000, "{}", error.to_string().len());
        }
    }

    #[test]
    fn json_that_ends_early_names_its_line() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let (_dir, path) = file("dev.jsonl", "{\"label\": 1, \"sentence\": \"a\"}\n{\"label\": ");
        let labels = Labels::new(task.labels.clone().unwrap());
        let error = read_as(&task, &task.dev[0], &path, &labels).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
    }
}
