//! Checks of a task, so that a mistake in a task file is reported when the file is read and not by a
//! later stage.

use std::path::{Component, Path};

use super::{
    Column, Columns, Defaults, DevFromTrain, Format, Head, Repairs, Split, Task, TextColumns,
    Threshold,
};
use crate::metric::{InputKind, Metric};

/// What is wrong with a task, and the keys that lead to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    /// From the root of the file down.
    pub(super) keys: Vec<String>,
}

type Checked = Result<(), Problem>;

fn problem(keys: &[&str], what: impl Into<String>) -> Checked {
    Err(Problem { what: what.into(), keys: keys.iter().map(|&part| part.to_owned()).collect() })
}

/// Checks a task's row.
///
/// # Errors
///
/// The first thing that contradicts another, could not be read, or names a file outside the task's
/// folder: task files may come from anywhere.
pub(super) fn check(task: &Task) -> Checked {
    if !is_plain_name(&task.name) {
        return problem(&["name"], not_plain("name", &task.name, "a folder"));
    }
    if let Some(model_of) = task.model_of.as_ref().filter(|name| !is_plain_name(name)) {
        return problem(&["model_of"], not_plain("model_of", model_of, "a folder"));
    }
    if !Path::new(&task.folder).is_absolute() && !task.folder.is_empty() {
        stays_inside(&["folder"], &task.folder)?;
    }
    delimiter(task)?;
    dev_from_train(task)?;
    if task.version_2_with_negative && !task.head.may_lack_answer() {
        return problem(
            &["version_2_with_negative"],
            format!("only the head `span` has questions without answer, not `{}`", task.head),
        );
    }
    match &task.labels {
        Some(names) => {
            listed_labels(task, names)?;
            metrics(task, names)?;
        }
        None => metrics(task, &[])?,
    }
    label_names(task)?;
    repairs(task)?;
    score_range(task)?;
    label_sets(task)?;
    splits(task)?;
    defaults(&task.defaults)
}

fn delimiter(task: &Task) -> Checked {
    match task.delimiter {
        Some(_) if task.format != Format::Csv => problem(
            &["delimiter"],
            format!("`delimiter` is for the format `csv`, not for `{}`", task.format.name()),
        ),
        // The CSV reader wants a byte, and a letter or digit is a mistake.
        Some(sign)
            if !sign.is_ascii() || sign.is_ascii_alphanumeric() || "\"\n\r".contains(sign) =>
        {
            problem(
                &["delimiter"],
                format!("`delimiter` is {sign:?}; expected one such as `;`, `|` or `\\t`"),
            )
        }
        _ => Ok(()),
    }
}

fn dev_from_train(task: &Task) -> Checked {
    let Some(DevFromTrain { share, .. }) = task.dev_from_train else { return Ok(()) };
    if !(share > 0.0 && share < 1.0) {
        return problem(
            &["dev_from_train", "share"],
            format!("`share` is {share}; expected a number above 0 and below 1"),
        );
    }
    let Some(train) = &task.train else {
        return problem(&["dev_from_train"], "it names no `train` file to take a part of");
    };
    match task.dev.as_slice() {
        [] => Ok(()),
        [dev] if dev.file == train.file => Ok(()),
        _ => problem(
            &["dev_from_train"],
            "it has a `dev` file, so no part of the training file becomes one; leave out one of them",
        ),
    }
}

fn listed_labels(task: &Task, names: &[String]) -> Checked {
    if !task.head.has_label_names() {
        return problem(
            &["labels"],
            format!("the head `{}` has no labels; expected no `labels`", task.head),
        );
    }
    for (i, name) in names.iter().enumerate() {
        let position = i.to_string();
        let at: &[&str] = &["labels", &position];
        if names[..i].contains(name) {
            return problem(at, format!("`labels` has `{name}` twice"));
        }
        if name.is_empty() || name.contains(['\n', '\r', '\t']) {
            return problem(at, format!("the label {name:?} is not the text of a column"));
        }
        if !task.tags_are_entities() || name == "O" {
            continue;
        }
        let (prefix, entity_type) = name.split_once('-').unwrap_or_default();
        let other = match prefix {
            "B" => format!("I-{entity_type}"),
            "I" => format!("B-{entity_type}"),
            _ => String::new(),
        };
        if other.is_empty() || entity_type.is_empty() || name.contains(' ') {
            return problem(at, format!("the tag is `{name}`; expected `O`, `B-TYPE` or `I-TYPE`"));
        }
        if !names.contains(&other) {
            return problem(at, format!("`labels` has `{name}` and lacks `{other}`"));
        }
    }
    if task.tags_are_entities() && !names.iter().any(|name| name == "O") {
        return problem(&["labels"], "`labels` lacks `O`, the tag of words outside entities");
    }
    match names {
        [] => problem(&["labels"], "`labels` is empty; expected at least two labels"),
        [only] => problem(
            &["labels"],
            format!("the only label is `{only}`; expected at least two labels"),
        ),
        _ => Ok(()),
    }
}

fn repairs(task: &Task) -> Checked {
    let Repairs { join_cut_rows, no_label, find_answers } = &task.repairs;
    let misfit = if *join_cut_rows && task.format != Format::Tsv {
        Some(("join_cut_rows", "is for the format `tsv`"))
    } else if no_label.is_some() && task.head.metric_input() != InputKind::Classes {
        Some(("no_label", "is for the head `classify`"))
    } else if *find_answers && task.format != Format::Squad {
        Some(("find_answers", "is for the format `squad`"))
    } else {
        None
    };
    if let Some((key, what)) = misfit {
        return problem(&["repairs", key], format!("`{key}` {what}"));
    }
    match no_label {
        Some(label) if task.labels.as_ref().is_some_and(|names| names.contains(label)) => problem(
            &["repairs", "no_label"],
            format!("`no_label` is {label:?}, which is one of `labels`"),
        ),
        _ => Ok(()),
    }
}

fn label_names(task: &Task) -> Checked {
    let Some(names) = &task.label_names else { return Ok(()) };
    let labels = task.labels.as_ref().map_or(0, Vec::len);
    if names.len() != labels {
        return problem(
            &["label_names"],
            format!(
                "`label_names` has {} names for {labels} `labels`; expected one for each",
                names.len()
            ),
        );
    }
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() || names[..i].contains(name) {
            return problem(
                &["label_names", &i.to_string()],
                format!(
                    "`label_names` has {name:?} twice, or it is empty; expected distinct names"
                ),
            );
        }
    }
    Ok(())
}

/// Checks what is for the head `multilabel` alone.
fn label_sets(task: &Task) -> Checked {
    let only = |key: &str| {
        problem(&[key], format!("`{key}` is for the head `multilabel`, not for `{}`", task.head))
    };
    match (task.label_separator, task.threshold) {
        (Some(_), _) if !task.head.predicts_label_sets() => only("label_separator"),
        (_, Threshold::One) => Ok(()),
        (..) if !task.head.predicts_label_sets() => only("threshold"),
        _ => Ok(()),
    }
}

fn score_range(task: &Task) -> Checked {
    match task.score_range {
        Some(_) if !task.head.has_scores() => problem(
            &["score_range"],
            format!("only the head `regress` has scores, not `{}`", task.head),
        ),
        Some([low, high]) if !(low.is_finite() && high.is_finite() && low < high) => problem(
            &["score_range"],
            format!("`score_range` is {low} to {high}; expected two numbers, the lower one first"),
        ),
        _ => Ok(()),
    }
}

/// Checks the metrics against the head and against the labels, as far as these are known.
///
/// # Errors
///
/// A metric that does not fit.
pub(super) fn metrics(task: &Task, labels: &[String]) -> Checked {
    if task.metrics.is_empty() {
        return problem(
            &["metrics"],
            "`metrics` is empty; expected at least one, of which the first selects the best checkpoint",
        );
    }
    for (i, metric) in task.metrics.iter().enumerate() {
        let position = i.to_string();
        let Some(row) = Metric::find(*metric, task.head.metric_input()) else {
            let fitting: Vec<_> =
                task.head.metrics().iter().map(|metric| format!("`{metric}`")).collect();
            return problem(
                &["metrics", &position],
                format!(
                    "the metric `{metric}` does not fit the head `{}`; expected one of {}",
                    task.head,
                    fitting.join(", ")
                ),
            );
        };
        if task.metrics[..i].contains(metric) {
            return problem(&["metrics", &position], format!("`metrics` has `{metric}` twice"));
        }
        if labels.len() > 2 && row.needs_two_classes() {
            return problem(
                &["metrics", &position],
                format!(
                    "the metric `{metric}` is that of the second of two labels, and there are {}; \
                     expected one of `accuracy`, `macro_f1`, `matthews_correlation`",
                    labels.len()
                ),
            );
        }
    }
    Ok(())
}

fn splits(task: &Task) -> Checked {
    if task.splits().next().is_none() {
        return problem(&[], "it names no file; expected `train`, `dev` or `test`");
    }
    if task.train.is_none() && task.labels.is_none() && task.head.has_label_names() {
        return problem(&[], "it has neither `labels` nor a `train` file to find them in");
    }
    let mut names: Vec<&str> = Vec::new();
    for (split, at) in places(task) {
        let path =
            |key: &'static str| [at.iter().map(String::as_str).collect(), vec![key]].concat();
        if !is_plain_name(&split.name) {
            return problem(&path("name"), not_plain("name", &split.name, "files"));
        }
        if names.contains(&split.name.as_str()) {
            return problem(&path("name"), format!("two files have the name `{}`", split.name));
        }
        names.push(&split.name);
        stays_inside(&path("file"), &split.file)?;
        if let Some(submission) = &split.submission
            && !is_plain_name(submission)
        {
            return problem(&path("submission"), not_plain("submission", submission, "a file"));
        }
        let same =
            |other: &&Split| other.submission.is_some() && other.submission == split.submission;
        if task.splits().filter(same).count() > 1 {
            return problem(&path("submission"), "two files have the same `submission`");
        }
        columns(task, split, &at)?;
    }
    Ok(())
}

/// Every file of a task and the keys that lead to it.
fn places(task: &Task) -> Vec<(&Split, Vec<String>)> {
    let in_list = |list: &'static str, splits: &'_ [Split]| -> Vec<Vec<String>> {
        (0..splits.len()).map(|i| vec![list.to_owned(), i.to_string()]).collect()
    };
    let train = task.train.iter().zip([vec!["train".to_owned()]]);
    train
        .chain(task.dev.iter().zip(in_list("dev", &task.dev)))
        .chain(task.test.iter().zip(in_list("test", &task.test)))
        .collect()
}

/// Checks that a file's form and columns are those that the head reads.
fn columns(task: &Task, split: &Split, at: &[String]) -> Checked {
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
            (Format::Jsonl | Format::Json, Column::Index(_)) => {
                return problem(&path, "the columns of JSON objects are named; expected a key");
            }
            (Format::Squad, _) => {
                return problem(&path, "SQuAD's form has no columns; expected no `columns`");
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
        Head::Span | Head::Tag => &[],
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

/// Largest numbers that a task file may ask for, far beyond sense, so that a mistyped one is an
/// error here and not a failed allocation later.
const MAX_EPOCHS: usize = 100_000;
const MAX_SIZE: usize = 1 << 16;

fn defaults(defaults: &Defaults) -> Checked {
    let Defaults {
        epochs,
        batch_size,
        learning_rate,
        max_length,
        doc_stride,
        max_query_length,
        max_answer_length,
        n_best_size,
    } = defaults;
    for (key, value, lowest, highest) in [
        ("epochs", epochs, 1, MAX_EPOCHS),
        ("batch_size", batch_size, 1, MAX_SIZE),
        ("max_length", max_length, 4, MAX_SIZE),
        ("doc_stride", doc_stride, 0, MAX_SIZE),
        ("max_query_length", max_query_length, 1, MAX_SIZE),
        ("max_answer_length", max_answer_length, 1, MAX_SIZE),
        ("n_best_size", n_best_size, 1, MAX_SIZE),
    ] {
        if !(lowest..=highest).contains(value) {
            return problem(
                &["defaults", key],
                format!("`{key}` is {value}; expected {lowest} to {highest}"),
            );
        }
    }
    if !(learning_rate.is_finite() && *learning_rate > 0.0) {
        return problem(
            &["defaults", "learning_rate"],
            format!("`learning_rate` is {learning_rate}; expected a number above 0"),
        );
    }
    Ok(())
}

/// Whether a name can be that of a file or folder, here and on other systems.
fn is_plain_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !name.starts_with(['.', '-'])
}

fn not_plain(key: &str, name: &str, what: &str) -> String {
    format!(
        "`{key}` is {name:?}; expected letters, digits, `-`, `_` and `.`, since it names {what}"
    )
}

/// Checks that a path cannot leave the folder that it is relative to.
fn stays_inside(at: &[&str], path: &str) -> Checked {
    let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if path.is_empty()
        || path.contains(['\\', '\0', ':'])
        || !Path::new(path).components().all(inside)
    {
        let key = at.last().copied().unwrap_or_default();
        return problem(
            at,
            format!(
                "`{key}` is {path:?}; expected a path below the task file's folder, with `/` \
                 between its parts and without `..`"
            ),
        );
    }
    Ok(())
}
