//! Tables: GLUE's TSV, CSV, and JSON lines.

use std::collections::BTreeSet;
use std::path::Path;

use super::rows::Rows;
use super::{Each, Example, Input, Labels, Target};
use crate::error::{Error, Result};
use crate::task::{Column, Columns, Head, Split, Task};

/// Reads the examples of a table, at most `limit`.
pub(super) fn read(
    task: &Task,
    split: &Split,
    path: &Path,
    labels: &Labels,
    limit: usize,
    each: Each<'_>,
) -> Result<()> {
    let (mut rows, places) = open(task, split, path)?;
    let is_test = task.is_test(split);
    for number in 0..limit {
        let Some(line) = rows.advance()? else { break };
        let field = |position: usize| rows.field(position).map(str::to_owned);
        let input = match task.head {
            Head::Choice => Input::Choices {
                context: places.context.map_or(Ok(String::new()), field)?,
                start: places.start.map_or(Ok(String::new()), field)?,
                endings: places
                    .endings
                    .iter()
                    .map(|&position| field(position))
                    .collect::<Result<Vec<_>>>()?,
            },
            _ => Input::Text {
                text: places.text.map_or(Ok(String::new()), field)?,
                text_pair: places.text_pair.map(field).transpose()?,
            },
        };
        let label = match places.label {
            // A test file's JSON objects may leave their labels out, as its columns may.
            Some(position) if is_test => rows.optional(position),
            Some(position) => Some(rows.field(position)?),
            None => None,
        };
        let target = label.map(|text| target(task, text, labels, &places, path, line));
        let id = places.id.map_or_else(|| Ok(number.to_string()), field)?;
        each(Example { id, line, input, target: target.transpose()? })?;
    }
    Ok(())
}

/// The labels that stand in a table.
pub(super) fn labels(task: &Task, split: &Split, path: &Path) -> Result<BTreeSet<String>> {
    let (mut rows, places) = open(task, split, path)?;
    let Some(label) = places.label else {
        return Err(
            Error::new("`columns` names no `label`, so labels cannot be found in it").at(path)
        );
    };
    let mut found = BTreeSet::new();
    while let Some(line) = rows.advance()? {
        let name = rows.field(label)?;
        if name.is_empty() {
            return Err(
                Error::new("the label is empty; expected the name of one").at_line(path, line)
            );
        }
        if !found.contains(name) {
            found.insert(name.to_owned());
        }
    }
    Ok(found)
}

fn target(
    task: &Task,
    text: &str,
    labels: &Labels,
    places: &Places,
    path: &Path,
    line: usize,
) -> Result<Target> {
    match task.head {
        Head::Regress => {
            let [low, high] = task.score_range.unwrap_or([f32::MIN, f32::MAX]);
            match text.trim().parse::<f32>() {
                Ok(score) if (low..=high).contains(&score) => Ok(Target::Score(score)),
                _ => {
                    let range = match task.score_range {
                        Some([low, high]) => format!(" from {low} to {high}"),
                        None => String::new(),
                    };
                    Err(Error::new(format!("the score is `{text}`; expected a number{range}"))
                        .at_line(path, line))
                }
            }
        }
        Head::Choice => {
            let endings = places.endings.len();
            match text.trim().parse::<usize>() {
                Ok(ending) if ending < endings => Ok(Target::Class(ending)),
                _ => Err(Error::new(format!(
                    "the label is `{text}`; expected the position of an ending, 0 to {}",
                    endings - 1
                ))
                .at_line(path, line)),
            }
        }
        _ => labels.parse(text, path, line).map(Target::Class),
    }
}

/// Where the columns stand in a row.
#[derive(Debug, Default)]
struct Places {
    id: Option<usize>,
    text: Option<usize>,
    text_pair: Option<usize>,
    context: Option<usize>,
    start: Option<usize>,
    endings: Vec<usize>,
    label: Option<usize>,
}

fn open(task: &Task, split: &Split, path: &Path) -> Result<(Rows, Places)> {
    let columns = task.columns_of(split);
    let mut rows = Rows::open(task.format, path, names(columns))?;
    let label = match &columns.label {
        // A test file may leave its labels out.
        Some(column) if task.is_test(split) && !rows.has(column) => None,
        label => label.as_ref(),
    };
    let mut place =
        |column: Option<&Column>| column.map(|column| rows.position(column)).transpose();
    let places = Places {
        id: place(columns.id.as_ref())?,
        text: place(columns.text.as_ref())?,
        text_pair: place(columns.text_pair.as_ref())?,
        context: place(columns.context.as_ref())?,
        start: place(columns.start.as_ref())?,
        label: place(label)?,
        endings: columns
            .endings
            .iter()
            .map(|column| rows.position(column))
            .collect::<Result<Vec<_>>>()?,
    };
    Ok((rows, places))
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

    use super::super::collect;
    use super::*;
    use crate::task;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn read_sst2(text: &str) -> Result<Vec<Example>> {
        let task = task::find("sst2").unwrap();
        let (_dir, path) = file("train.tsv", text);
        let labels = Labels::new(task.labels.clone().unwrap());
        collect(|each| read(&task, task.train.as_ref().unwrap(), &path, &labels, usize::MAX, each))
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
        let error = collect(|each| {
            read(&task, task.train.as_ref().unwrap(), &path, &labels, usize::MAX, each)
        })
        .unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_that_is_no_number_names_its_line() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\tnan\n");
        let error = collect(|each| read(&task, &task.dev[0], &path, &Labels::default(), 9, each))
            .unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
    }

    #[test]
    fn a_score_outside_the_range_names_its_line_and_the_range() {
        let task = task::find("stsb").unwrap();
        let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t5.1\n");
        let error = collect(|each| read(&task, &task.dev[0], &path, &Labels::default(), 9, each))
            .unwrap_err();
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
        let examples = collect(|each| read(&task, &task.dev[0], &path, &labels, 9, each)).unwrap();
        assert_eq!(examples[0].input, Input::Text { text: "so \"good\"".into(), text_pair: None });
        assert_eq!(examples[0].target, Some(Target::Class(1)));
    }

    #[test]
    fn json_that_ends_early_names_its_line() {
        let mut task = task::find("sst2").unwrap();
        task.format = crate::task::Format::Jsonl;
        let (_dir, path) = file("dev.jsonl", "{\"label\": 1, \"sentence\": \"a\"}\n{\"label\": ");
        let labels = Labels::new(task.labels.clone().unwrap());
        let error = collect(|each| read(&task, &task.dev[0], &path, &labels, 9, each)).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
    }
}
