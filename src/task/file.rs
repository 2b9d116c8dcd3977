//! Tasks by name or from a user's file.

use std::path::Path;

use serde_json::error::Category;

use super::check::{Problem, check};
use super::locate::line_of;
use super::{Task, tasks};
use crate::error::{Error, Result};
use crate::files::names;
use crate::text;

/// The task of that name, or the task in that file where the name ends in `.json`. A name that is no
/// built-in task's may be that of a run in `runs`, which has its task file.
///
/// # Errors
///
/// No such task or file, or a file that is not a task.
pub fn find(name: &str) -> Result<Task> {
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        return load(Path::new(name));
    }
    if let Some(task) = tasks().iter().find(|task| task.name == name) {
        return Ok(task.clone());
    }
    let of_run = Path::new("runs").join(name).join(names::TASK);
    if of_run.is_file() {
        return load(&of_run);
    }
    Err(no_task(name))
}

/// Extensions of files of examples.
const DATA_EXTENSIONS: [&str; 7] = ["csv", "tsv", "jsonl", "conll", "conllu", "parquet", "txt"];

/// Answers a name that is no task's: with the file that it may be, or the task that is near.
fn no_task(name: &str) -> Error {
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|found| DATA_EXTENSIONS.contains(&found.to_lowercase().as_str())) {
        let what = format!("`{name}` is a file of examples; expected a task's name or task file");
        return Error::usage(what).hint(format!("to train on it: `tfbert train --data {name}`"));
    }
    if path.is_file() || path.is_dir() {
        let what = format!("`{name}` is no task file; expected a name that ends in `.json`");
        return Error::usage(what).hint("list the tasks with `tfbert tasks`");
    }
    let meant = nearest(name).map_or(String::new(), |task| format!("; did you mean `{task}`?"));
    Error::usage(format!("there is no task `{name}`{meant}"))
        .hint("list the tasks with `tfbert tasks`, or name a task file that ends in `.json`")
}

/// The task of which a name is a misspelling: another case, other signs between its letters, one
/// letter in four that differs, or only its beginning, of three letters or more.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let name = plain(name);
    let begun = |task: &&Task| name.len() >= 3 && plain(&task.name).starts_with(&name);
    if let Some(task) = tasks().iter().filter(begun).min_by_key(|task| task.name.len()) {
        return Some(&task.name);
    }
    let distance = |task: &Task| strsim::damerau_levenshtein(&plain(&task.name), &name);
    let (task, distance) =
        tasks().iter().map(|task| (task, distance(task))).min_by_key(|(_, distance)| *distance)?;
    (distance <= name.chars().count() / 4).then_some(task.name.as_str())
}

/// Reads a user's own task.
///
/// Its files are looked for below the folder that holds it, and nowhere else.
///
/// # Errors
///
/// The file cannot be read, is no task, or contradicts itself; the error names the line.
pub fn load(path: &Path) -> Result<Task> {
    let text = read(path)?;
    let mut task: Task = serde_json::from_str(&text).map_err(|error| {
        let what = error.to_string();
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        let what = match error.classify() {
            _ if !text.trim_start().starts_with('{') => {
                "it is not a task; expected a JSON object, `{…}`".to_owned()
            }
            Category::Data => format!("it is not a task: {what}"),
            Category::Eof => format!("the JSON ends early: {what}"),
            _ => format!("it is not JSON: {what}"),
        };
        Error::new(what).at_line(path, error.line().max(1)).hint(HINT)
    })?;
    check(&task).map_err(|Problem { what, keys }| {
        Error::new(what).at_line(path, line_of(&text, &keys)).hint(HINT)
    })?;
    task.add_dev_from_train();
    task.base = Some(path.parent().unwrap_or(Path::new("")).to_owned());
    Ok(task)
}

const HINT: &str = "print a task to start from with `tfbert tasks --show sst2`";

/// Largest task file, in bytes.
const MAX_FILE: usize = 1 << 20;

fn read(path: &Path) -> Result<String> {
    text::read_file(path, MAX_FILE).map_err(|error| match error.hint_text() {
        Some(_) => error,
        None => error.hint(HINT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Part;

    const MINE: &str = r#"{
  "name": "mine",
  "head": "classify",
  "format": "csv",
  "folder": "parts",
  "train": {"name": "train", "file": "a/train.csv"},
  "dev": [{"name": "dev", "file": "dev.csv"},
          {"name": "other", "file": "other.csv", "columns": {"text": "t", "label": "l"}}],
  "test": [{"name": "test", "file": "test.csv", "submission": "mine.tsv"}],
  "columns": {"text": "text",
              "label": "category"},
  "labels": ["low", "high"],
  "metrics": ["accuracy",
              "f1"],
  "defaults": {"epochs": 2,
               "batch_size": 8}
}"#;

    fn load_text(text: &str) -> Result<Task> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        std::fs::write(&path, text).unwrap();
        load(&path)
    }

    /// The error of a task file in which something stands in another's place.
    fn error_of(from: &str, to: &str) -> Error {
        assert!(MINE.contains(from), "{from}");
        load_text(&MINE.replace(from, to)).expect_err(to)
    }

    /// Asserts the line and a part of the message.
    fn refused(from: &str, to: &str, line: usize, what: &str) {
        let error = error_of(from, to);
        assert!(error.what().contains(what), "{to}: {error}");
        assert_eq!(error.place().unwrap().line, Some(line), "{to}: {error}");
    }

    #[test]
    fn a_mistyped_task_is_answered_with_the_nearest_name() {
        let error = find("sst-2").unwrap_err();
        assert!(error.what().contains("did you mean `sst2`"), "{error}");
        for (typed, meant) in
            [("RTE", "rte"), ("CoNLL-2003", "conll2003"), ("sqaud", "squad"), ("sst", "sst2")]
        {
            let error = find(typed).unwrap_err();
            assert!(error.what().ends_with(&format!("did you mean `{meant}`?")), "{error}");
        }
        for far in ["my-task", "ner", "imdb", "", "-"] {
            assert_eq!(find(far).unwrap_err().what(), format!("there is no task `{far}`"));
        }
    }

    #[test]
    fn a_file_of_examples_is_answered_with_the_command_that_trains_on_it() {
        let error = find("some/tickets.CSV").unwrap_err();
        assert!(error.what().contains("is a file of examples"), "{error}");
        assert!(error.hint_text().unwrap().contains("`tfbert train --data some/tickets.CSV`"));
    }

    #[test]
    fn labels_may_be_written_as_numbers() {
        let task = load_text(&MINE.replace(r#"["low", "high"]"#, "[0, 1]")).unwrap();
        assert_eq!(task.labels.unwrap(), ["0", "1"]);
        refused(r#"["low", "high"]"#, "[0, 1.5]", 12, "the text of a label, or a whole number");
    }

    #[test]
    fn what_is_one_text_is_said_of_plain_text_alone() {
        let with = |format: &str| format!("\"{format}\", \"sample_by\": \"paragraph\"");
        refused("\"csv\"", &with("csv"), 4, "`sample_by` is for the format `text`");
        refused("\"csv\"", "\"text\", \"sample_by\": \"word\"", 4, "unknown variant `word`");
    }

    #[test]
    fn a_delimiter_is_one_sign_and_for_csv() {
        let with = |delimiter: &str| format!("\"csv\", \"delimiter\": {delimiter}");
        for delimiter in [r#"";""#, r#""\t""#, r#""|""#] {
            assert!(load_text(&MINE.replace("\"csv\"", &with(delimiter))).is_ok(), "{delimiter}");
        }
        for delimiter in [r#""a""#, r#""\"""#, r#""é""#] {
            refused("\"csv\"", &with(delimiter), 4, "expected one such as");
        }
        refused("\"csv\"", &with(r#"";;""#), 4, "invalid value");
        let tsv = with(r#"";""#).replace("csv", "tsv");
        refused("\"csv\"", &tsv, 4, "`delimiter` is for the format `csv`");
    }

    #[test]
    fn a_part_of_the_training_file_is_the_development_file_of_a_task_without_one() {
        let dev = &MINE[MINE.find("\"dev\"").unwrap()..MINE.find("\"test\"").unwrap()];
        let with = |rule: &str| MINE.replace(dev, &format!("\"dev_from_train\": {rule},\n\n"));
        let task = load_text(&with(r#"{"share": 0.2}"#)).unwrap();
        let [dev] = task.dev.as_slice() else { panic!("{:?}", task.dev) };
        assert_eq!((dev.name.as_str(), dev.file.as_str()), ("dev", "a/train.csv"));
        assert_eq!(task.part_of(dev).unwrap().1, Part::Dev);
        assert_eq!(task.part_of(task.train.as_ref().unwrap()).unwrap().1, Part::Train);
        assert!(task.part_of(&task.test[0]).is_none());
        let again = load_text(&serde_json::to_string(&task).unwrap()).unwrap();
        assert_eq!(Task { base: None, ..again }, Task { base: None, ..task });
        for share in ["0", "1", "-0.5", "1e400"] {
            let error = load_text(&with(&format!("{{\"share\": {share}}}"))).unwrap_err();
            assert_eq!(error.place().unwrap().line, Some(7), "{share}: {error}");
        }
        let rule = "\"folder\": \"parts\", \"dev_from_train\": {\"share\": 0.5}";
        refused("\"folder\": \"parts\"", rule, 5, "it has a `dev` file");
    }

    #[test]
    fn a_folder_may_be_absolute_and_its_files_stand_below_it() {
        let task = load_text(&MINE.replace("\"parts\"", "\"/data/parts\"")).unwrap();
        let train = task.path(task.train.as_ref().unwrap(), Path::new("/elsewhere"));
        assert_eq!(train, Path::new("/data/parts/a/train.csv"));
    }

    #[test]
    fn a_task_file_is_read_and_its_files_stand_below_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        std::fs::write(&path, MINE).unwrap();
        let task = find(path.to_str().unwrap()).unwrap();
        let train = task.path(task.train.as_ref().unwrap(), Path::new("/elsewhere"));
        assert_eq!(train, dir.path().join("parts/a/train.csv"));
        assert_eq!(task.defaults.epochs, 2);
        assert_eq!(task.defaults.max_length, 128);
    }

    #[test]
    fn every_built_in_row_is_a_task_file_that_is_accepted() {
        for task in tasks() {
            let loaded = load_text(&serde_json::to_string_pretty(task).unwrap()).unwrap();
            assert_eq!(Task { base: None, ..loaded }, *task);
        }
    }

    #[test]
    fn a_path_that_leaves_the_folder_of_the_task_file_is_refused() {
        for path in ["/etc/passwd", "../train.csv", "a/../../x", "", "C:x", "..\\\\x", "a\\u0000"] {
            let to = format!("\"file\": \"{path}\"");
            refused("\"file\": \"a/train.csv\"", &to, 6, "expected a path below the task file's");
            let to = format!("\"file\": \"{path}\", \"columns\"");
            refused("\"file\": \"other.csv\", \"columns\"", &to, 8, "expected a path below");
        }
        refused("\"parts\"", "\"../parts\"", 5, "`folder` is \"../parts\"");
    }

    #[test]
    fn a_name_that_would_be_another_folder_or_file_is_refused() {
        for name in ["../mine", "a/b", "", ".hidden", "-o", "a b", "\\u00e9"] {
            let to = format!("\"name\": \"{name}\"");
            refused("\"name\": \"mine\"", &to, 2, "`name` is");
            refused("\"name\": \"other\"", &to, 8, "`name` is");
            let to = format!("\"submission\": \"{name}\"");
            refused("\"submission\": \"mine.tsv\"", &to, 9, "`submission` is");
            let to = format!("\"head\": \"classify\", \"model_of\": \"{name}\"");
            refused("\"head\": \"classify\"", &to, 3, "`model_of` is");
        }
    }

    #[test]
    fn a_metric_that_does_not_fit_the_head_names_those_that_do() {
        refused(
            "\"f1\"",
            "\"pearson\"",
            14,
            "the metric `pearson` does not fit the head `classify`; expected one of `accuracy`, `f1`",
        );
        refused("\"f1\"", "\"accuracy\"", 14, "`metrics` has `accuracy` twice");
        refused("\"f1\"", "\"f2\"", 14, "unknown variant `f2`");
        refused("[\"accuracy\",\n              \"f1\"]", "[]", 13, "`metrics` is empty");
    }

    #[test]
    fn f1_of_the_positive_class_wants_two_labels() {
        refused("\"high\"]", "\"middle\", \"high\"]", 14, "the metric `f1` is that of the second");
    }

    #[test]
    fn labels_are_distinct_and_no_fewer_than_two() {
        refused("\"low\", ", "\"high\", ", 12, "`labels` has `high` twice");
        refused("\"low\", ", "", 12, "the only label is `high`");
        refused("\"low\", ", "\"\", ", 12, "is not the text of a column");
    }

    #[test]
    fn a_repair_that_does_not_fit_the_files_is_refused() {
        let with = |repairs: &str| format!("\"format\": \"csv\", \"repairs\": {repairs}");
        let from = "\"format\": \"csv\"";
        assert!(load_text(&MINE.replace(from, &with(r#"{"no_label": "-"}"#))).is_ok());
        refused(from, &with(r#"{"no_label": "low"}"#), 4, "which is one of `labels`");
        refused(from, &with(r#"{"join_cut_rows": true}"#), 4, "is for the format `tsv`");
        refused(from, &with(r#"{"find_answers": true}"#), 4, "is for the format `squad`");
        refused(from, &with(r#"{"other": true}"#), 4, "unknown field `other`");
    }

    #[test]
    fn there_is_a_distinct_name_to_show_for_each_label() {
        let with =
            |names: &str| format!("\"labels\": [\"low\", \"high\"], \"label_names\": {names}");
        let from = "\"labels\": [\"low\", \"high\"]";
        assert!(load_text(&MINE.replace(from, &with(r#"["L", "H"]"#))).is_ok());
        refused(from, &with(r#"["L"]"#), 12, "`label_names` has 1 names for 2 `labels`");
        refused(from, &with(r#"["L", "L"]"#), 12, "expected distinct names");
    }

    #[test]
    fn a_column_that_is_missing_or_not_read_is_named() {
        refused("\"text\": \"text\",", "", 10, "the columns of `train` lack `text`");
        refused("\"label\": \"l\"", "\"id\": \"l\"", 8, "the columns of `other` lack `label`");
        refused("\"text\": \"t\",", "\"word\": 0,", 8, "reads no column `word`; expected `id`");
        refused("\"label\": \"category\"", "\"label\": -1", 11, "a column's name or its position");
        refused("\"label\": \"category\"", "\"label\": [2]", 11, "a column's name or its position");
        refused(
            "\"csv\"",
            "\"squad\"",
            4,
            "the head `classify` reads `tsv`, `csv`, `jsonl`, `json` or `parquet`",
        );
        refused(
            "\"csv\",",
            "\"jsonl\", \"columns\": {\"text\": 1},",
            10,
            "duplicate field `columns`",
        );
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        refused("\"name\": \"other\"", "\"name\": \"train\"", 8, "two files have the name `train`");
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_known_ones() {
        refused("\"epochs\"", "\"epoch\"", 15, "unknown field `epoch`, expected one of `epochs`");
        refused("\"folder\"", "\"dir\"", 5, "unknown field `dir`");
        assert!(error_of("\"folder\"", "\"dir\"").hint_text().unwrap().contains("tasks --show"));
    }

    #[test]
    fn numbers_beyond_sense_are_refused() {
        refused("\"batch_size\": 8", "\"batch_size\": 0", 16, "`batch_size` is 0; expected 1 to");
        refused("\"batch_size\": 8", "\"batch_size\": 99999999999", 16, "expected 1 to 65536");
        refused("\"epochs\": 2", "\"learning_rate\": 1e39", 15, "out of range");
        refused("\"epochs\": 2", "\"learning_rate\": 0", 15, "expected a number above 0");
        refused("\"epochs\": 2", "\"epochs\": -1", 15, "invalid value");
    }

    #[test]
    fn a_file_that_ends_early_names_its_last_line() {
        let error = load_text(&MINE[..MINE.len() - 30]).unwrap_err();
        assert!(error.what().starts_with("the JSON ends early: EOF"), "{error}");
        assert_eq!(error.place().unwrap().line, Some(16));
        let error = load_text("").unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(1));
    }

    #[test]
    fn a_file_that_is_not_a_json_object_is_answered_in_words() {
        for text in ["", "[]", "name: mine", "\"mine\""] {
            let error = load_text(text).unwrap_err();
            assert!(error.what().contains("expected a JSON object"), "{text}: {error}");
        }
        let error = load_text("{\"name\": mine}").unwrap_err();
        assert!(error.what().starts_with("it is not JSON: "), "{error}");
    }

    #[test]
    fn the_label_is_no_column_that_is_read_as_text() {
        refused("\"label\": \"l\"", "\"label\": \"t\"", 8, "`text` and `label` are both `t`");
    }

    #[test]
    fn entity_tags_are_listed_in_any_scheme_or_by_their_numbers() {
        let tagger = |keys: &str| {
            load_text(&format!(
                r#"{{"name": "t", "head": "tag", "format": "jsonl", {keys},
                 "train": {{"name": "train", "file": "t"}}, "metrics": ["f1"]}}"#
            ))
        };
        for keys in [
            r#""labels": ["O", "B-X", "I-X"]"#,
            r#""labels": ["O", "S-X", "B-X", "E-X"], "scheme": "iobes""#,
            r#""label_names": ["O", "I-X"]"#,
        ] {
            assert_eq!(tagger(keys).unwrap().listed_labels().unwrap(), ["O", "B-X", "I-X"]);
        }
        for (keys, expected) in [
            (r#""labels": ["O", "NOUN"]"#, "the tag is `NOUN`; expected `O`, `B-TYPE` or `I-TYPE`"),
            (r#""label_names": ["O", "B-"]"#, "the tag is `B-`"),
            (r#""labels": ["O", "O"]"#, "has `O` twice"),
            (r#""scheme": "bmes""#, "unknown variant `bmes`"),
        ] {
            let error = tagger(keys).unwrap_err();
            assert!(error.what().contains(expected), "{error}");
        }
        refused(
            "\"head\": \"classify\"",
            "\"head\": \"classify\", \"scheme\": \"iob2\"",
            3,
            "`scheme` is for the head `tag`",
        );
    }

    #[test]
    fn what_is_for_any_number_of_labels_is_checked() {
        let with = |columns: &str, options: &str| {
            load_text(&format!(
                r#"{{"name": "t", "head": "multilabel", "format": "csv", "columns": {columns},
                 "train": {{"name": "train", "file": "t"}}, "metrics": ["macro_f1"]{options}}}"#
            ))
        };
        let each = r#"{"text": "t", "labels": ["a", "b"]}"#;
        let task = with(each, r#", "threshold": "per_label""#).unwrap();
        assert_eq!(task.listed_labels().unwrap(), ["a", "b"]);
        with(r#"{"text": "t", "label": "l"}"#, r#", "label_separator": ";""#).unwrap();
        for (columns, options, expected) in [
            (r#"{"text": "t"}"#, "", "lack `label` (a list of labels) or `labels`"),
            (r#"{"text": "t", "label": "l", "labels": ["a", "b"]}"#, "", "expected one of them"),
            (r#"{"text": "t", "labels": ["a"]}"#, "", "expected at least two"),
            (r#"{"text": "t", "labels": ["a", "t"]}"#, "", "the column `t` is named twice"),
            (r#"{"text": 0, "labels": [1, 2]}"#, "", "list the labels under `labels`"),
            (each, r#", "labels": ["a", "b", "c"]"#, "2 columns for 3 `labels`"),
            (each, r#", "threshold": 2"#, "a number from 0 to 1"),
            (each, r#", "label_separator": "||""#, "expected a character"),
        ] {
            let error = with(columns, options).unwrap_err();
            assert!(error.what().contains(expected), "{columns}{options}: {error}");
        }
        let head = "\"head\": \"classify\"";
        let key = |key: &str| format!("{head}, {key}");
        refused(head, &key("\"threshold\": 0.5"), 3, "`threshold` is for the head `multilabel`");
        refused(head, &key("\"label_separator\": \";\""), 3, "is for the head `multilabel`");
    }

    #[test]
    fn a_task_file_without_end_does_not_fill_the_memory() {
        let error = load_text(&" ".repeat(2 << 20)).unwrap_err();
        assert!(error.what().contains("larger than a MiB"), "{error}");
    }
}
