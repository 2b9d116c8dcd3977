//! Checks of the columns of a task's files.

use super::super::{Column, Columns, Format, Head, Split, Task, TextColumns};
use super::{Checked, problem};

/// Checks that a file's form and columns are those that the head reads.
pub(super) fn columns(task: &Task, split: &Split, at: &[String]) -> Checked {
    let columns = task.columns_of(split);
    let mut to_columns: Vec<&str> = vec!["columns"];
    if split.columns.is_some() {
        to_columns = at.iter().map(String::as_str).chain(to_columns).collect();
    }
    let formats = task.head.formats();
    if !formats.contains(&task.format) {
        return problem(
            &["format"],
            format!(
                "the head `{}` reads {}; expected that `format`",
                task.head,
                any_of(formats.iter().map(|format| format.name()))
            ),
        );
    }
    let read = task.head.columns();
    for (key, column) in columns.all() {
        let path = [to_columns.clone(), vec![key]].concat();
        if !read.contains(&key) {
            let expected = match read {
                [] => "no `columns`".to_owned(),
                read => read.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
            };
            return problem(
                &path,
                format!("the head `{}` reads no column `{key}`; expected {expected}", task.head),
            );
        }
        match (task.format, column) {
            (Format::Jsonl | Format::Json | Format::Parquet, Column::Index(_)) => {
                return problem(&path, "the columns of JSON objects are named; expected a key");
            }
            (Format::Text, _) => {
                return problem(&path, "plain text has no columns; expected no `columns`");
            }
            (Format::Squad, _) => {
                return problem(&path, "SQuAD's form has no columns; expected no `columns`");
            }
            (Format::Conll, _) if key == "id" => {
                return problem(&path, "a CoNLL file has no column `id`; expected `word`, `label`");
            }
            (Format::Conll, Column::Name(_)) => {
                return problem(
                    &path,
                    "the columns of a CoNLL file have no names; expected a position from 0",
                );
            }
            _ => {}
        }
    }
    let needed: &[(bool, &str)] = match task.head {
        // Their files' form says where everything is.
        Head::Span | Head::Tag | Head::Masked => &[],
        Head::Choice => &[
            (columns.context.is_some(), "`context`"),
            (columns.endings.len() >= 2, "`endings`, at least two of them"),
            (columns.label.is_some() || task.is_test(split), "`label`"),
        ],
        Head::Multilabel => {
            multilabel_columns(task, split, columns, &to_columns)?;
            &[(columns.text.is_some(), "`text`")]
        }
        Head::Classify | Head::Regress => &[
            (columns.text.is_some(), "`text`"),
            (columns.label.is_some() || task.is_test(split), "`label`"),
        ],
    };
    if let Some(label) = &columns.label
        && let Some((key, _)) =
            columns.all().find(|&(key, column)| column == label && !["id", "label"].contains(&key))
    {
        let name = match label {
            Column::Name(name) => format!("`{name}`"),
            Column::Index(index) => format!("column {index}"),
        };
        let path = [to_columns, vec!["label"]].concat();
        return problem(
            &path,
            format!("`{key}` and `label` are both {name}; expected two columns"),
        );
    }
    let missing = needed.iter().find(|(is_there, _)| !is_there).map(|(_, what)| what);
    match missing {
        Some(missing) => {
            problem(&to_columns, format!("the columns of `{}` lack {missing}", split.name))
        }
        None => Ok(()),
    }
}

/// Checks where the labels of a file stand that has any number of them in a row.
fn multilabel_columns(task: &Task, split: &Split, columns: &Columns, to: &[&str]) -> Checked {
    let at = |key: &'static str| [to, &[key]].concat();
    let listed = columns.labels.as_slice();
    if columns.label.is_some() && !listed.is_empty() {
        return problem(&at("labels"), "`columns` has `label` and `labels`; expected one of them");
    }
    if columns.label.is_none() && listed.is_empty() && !task.is_test(split) {
        return problem(
            to,
            format!(
                "the columns of `{}` lack `label` (a list of labels) or `labels` (a column for each)",
                split.name
            ),
        );
    }
    if listed.len() == 1 {
        return problem(&at("labels"), "`labels` names one column; expected at least two");
    }
    for (i, column) in listed.iter().enumerate() {
        let texts = [&columns.text, &columns.text_pair].into_iter().flatten();
        let is_text = texts.flat_map(TextColumns::columns).any(|text| text == column);
        if is_text || listed[..i].contains(column) {
            let what = format!("the column `{column}` is named twice; expected one for each label");
            return problem(&at("labels"), what);
        }
    }
    let names = task.labels.as_ref().map(Vec::len);
    let numbered = listed.iter().any(|column| matches!(column, Column::Index(_)));
    match names {
        None if numbered => problem(
            &at("labels"),
            "the columns of `labels` have no names; list the labels under `labels` of the task",
        ),
        Some(names) if !listed.is_empty() && names != listed.len() => problem(
            &at("labels"),
            format!(
                "there are {} columns for {names} `labels`; expected one for each",
                listed.len()
            ),
        ),
        None if !listed.is_empty() && listed.len() != task.columns.labels.len() => problem(
            &at("labels"),
            format!(
                "`{}` has {} columns of labels, the task {}; expected as many",
                split.name,
                listed.len(),
                task.columns.labels.len()
            ),
        ),
        _ => Ok(()),
    }
}

/// `a`, `b` or `c`, each in backticks.
fn any_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
