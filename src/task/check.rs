//! Checks of a task, so that a mistake in a task file is reported when the file is read and not by a
//! later stage.

use std::path::{Component, Path};

use super::{Defaults, DevFromTrain, Format, Repairs, SampleBy, Split, Task, Threshold};
use crate::metric::{InputKind, Metric};

mod columns;

use columns::columns;

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
    if task.sample_by != SampleBy::Line && task.format != Format::Text {
        return problem(
            &["sample_by"],
            format!("`sample_by` is for the format `text`, not for `{}`", task.format.name()),
        );
    }
    dev_from_train(task)?;
    if task.version_2_with_negative && !task.head.may_lack_answer() {
        return problem(
            &["version_2_with_negative"],
            format!("only the head `span` has questions without answer, not `{}`", task.head),
        );
    }
    match &task.labels {
        Some(names) => {
            listed_labels(task, names, "labels")?;
            metrics(task, names)?;
        }
        None => metrics(task, &[])?,
    }
    label_names(task)?;
    scheme(task)?;
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

fn listed_labels(task: &Task, names: &[String], key: &str) -> Checked {
    if !task.head.has_label_names() {
        return problem(
            &[key],
            format!("the head `{}` has no labels; expected no `labels`", task.head),
        );
    }
    for (i, name) in names.iter().enumerate() {
        let position = i.to_string();
        let at: &[&str] = &[key, &position];
        if names[..i].contains(name) {
            return problem(at, format!("`{key}` has `{name}` twice"));
        }
        if name.is_empty() || name.contains(['\n', '\r', '\t']) {
            return problem(at, format!("the label {name:?} is not the text of a column"));
        }
        let is_tag = |(letter, entity_type): (&str, &str)| {
            matches!(letter, "B" | "I" | "E" | "S" | "L" | "U")
                && !entity_type.is_empty()
                && !entity_type.contains(' ')
        };
        if task.tags_are_entities() && name != "O" && !name.split_once('-').is_some_and(is_tag) {
            return problem(
                at,
                format!(
                    "the tag is `{name}`; expected `O`, `B-TYPE` or `I-TYPE`, or a tag of BIOES or BILOU"
                ),
            );
        }
    }
    match names {
        [] => problem(&[key], format!("`{key}` is empty; expected at least two labels")),
        [only] => {
            problem(&[key], format!("the only label is `{only}`; expected at least two labels"))
        }
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

/// Checks that `scheme` is named for tags of entities.
fn scheme(task: &Task) -> Checked {
    if task.scheme.is_none() || task.tags_are_entities() {
        return Ok(());
    }
    problem(&["scheme"], "`scheme` is for the head `tag` with a metric of entities, such as `f1`")
}

fn label_names(task: &Task) -> Checked {
    let Some(names) = &task.label_names else { return Ok(()) };
    let labels = task.labels.as_ref().map_or(0, Vec::len);
    // Of tags they may stand alone: then they name the numbers in the file.
    let alone = task.labels.is_none() && task.head.metric_input() == InputKind::Tags;
    if alone {
        listed_labels(task, names, "label_names")?;
    }
    if names.len() != labels && !alone {
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
    if task.train.is_none() && task.listed_labels().is_none() && task.head.has_label_names() {
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
