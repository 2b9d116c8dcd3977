//! Entry points to every reader and parser, for `fuzz/` and for the test that replays its corpus.
//!
//! Not part of the public interface: it changes without notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::dataset::infer::{DataFile, Inferred, infer};
use crate::dataset::{
    DataSource, Input, InputFile, InputFormat, InputRequest, Labels, TypedText, typed_text,
};
use crate::metric::MetricName;
use crate::report::{Added, RowFormat, RowWriter, Written};
use crate::task::{self, Column, Columns, Format, Head, Task, TextColumns};

/// Feeds bytes to a reader or parser, which must not panic.
pub type Target = fn(&[u8]);

/// The fuzz targets: name (also of the folder in `fuzz/corpus/`) and function.
///
/// A target panics where a reader breaks a rule, such as an error that names no file.
pub const TARGETS: [(&str, Target); 25] = [
    ("cluster", cluster),
    ("tsv", tsv),
    ("csv", csv),
    ("json_lines", json_lines),
    ("json_list", json_list),
    ("question_rows", question_rows),
    ("data_file", data_file),
    ("squad", squad),
    ("conll", conll),
    ("tokens", tokens),
    ("text", text),
    ("label_sets", label_sets),
    ("swag", swag),
    ("inputs", inputs),
    ("task_file", task_file),
    ("contract", contract),
    ("saver_def", saver_def),
    ("checkpoint_index", checkpoint_index),
    ("run_json", run_json),
    ("sweep_json", sweep_json),
    ("state_json", state_json),
    ("manifest_json", manifest_json),
    ("metrics_jsonl", metrics_jsonl),
    ("analysis_json", analysis_json),
    ("archive", archive),
];

/// What names the workers of a cluster, and what they send each other.
pub fn cluster(data: &[u8]) {
    crate::cluster::parse_message(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = crate::cluster::parse_tf_config(text);
        let _ = crate::cluster::parse_hosts(text);
    }
}

/// GLUE's tables: by names and by positions, classes and numbers.
pub fn tsv(data: &[u8]) {
    table(Format::Tsv, data);
}

/// Comma-separated tables.
pub fn csv(data: &[u8]) {
    table(Format::Csv, data);
}

/// A JSON object a line.
pub fn json_lines(data: &[u8]) {
    table(Format::Jsonl, data);
}

/// A JSON list of objects.
pub fn json_list(data: &[u8]) {
    table(Format::Json, data);
}

/// Questions as JSON lines, both versions of SQuAD.
pub fn question_rows(data: &[u8]) {
    for name in ["squad", "squad2"] {
        let mut task = builtin(name);
        task.format = Format::Jsonl;
        read(&task, data);
    }
}

/// A data file without a task file, under names of several forms. A task that is made of it reads it.
pub fn data_file(data: &[u8]) {
    for name in ["data.csv", "data.json", "data.txt"] {
        let path = folder().join(name);
        write(&path, data);
        let found = infer(&DataFile::new(&path));
        match found {
            Ok(Inferred { task, .. }) => {
                let labels = Labels::of_task(&task, folder());
                if let (Ok(labels), Some(split)) = (labels, &task.train) {
                    let (task, data_dir) = (&task, folder());
                    let _ =
                        DataSource { task, split, data_dir, labels: &labels, limit: None }.read();
                }
            }
            Err(error) => assert_eq!(error.place().expect("an error names its file").path, path),
        }
    }
}

/// SQuAD, both versions.
pub fn squad(data: &[u8]) {
    read(&builtin("squad"), data);
    read(&builtin("squad2"), data);
}

/// CoNLL's columns, labels given and found, entities and tags that stand for themselves.
pub fn conll(data: &[u8]) {
    let mut task = builtin("conll2003");
    read(&task, data);
    task.labels = None;
    read(&task, data);
    task.metrics = vec![MetricName::Accuracy];
    read(&task, data);
}

/// Tagged sentences as JSON objects, labels given, found, and named by numbers.
pub fn tokens(data: &[u8]) {
    let mut task = builtin("conll2003");
    for format in [Format::Jsonl, Format::Json] {
        task.format = format;
        task.labels = None;
        read(&task, data);
        task.labels = builtin("conll2003").labels;
        read(&task, data);
    }
    task.format = Format::Jsonl;
    task.label_names = task.labels.take();
    read(&task, data);
}

/// Plain text, a text on each line.
pub fn text(data: &[u8]) {
    read(&builtin("mlm"), data);
}

/// Rows with any number of labels, in one column and in a column for each label.
pub fn label_sets(data: &[u8]) {
    let column = |name: &str| Column::Name(name.into());
    let mut task = builtin("sst2");
    task.head = Head::Multilabel;
    (task.labels, task.label_names) = (None, None);
    task.metrics = vec![MetricName::MicroF1];
    let text = Some(column("text").into());
    let listed = Columns { text: text.clone(), label: Some(column("label")), ..Columns::default() };
    let each = Columns { text, labels: vec![column("a"), column("b")], ..Columns::default() };
    for columns in [listed, each] {
        task.columns = columns;
        for format in [Format::Csv, Format::Jsonl] {
            task.format = format;
            read(&task, data);
        }
    }
}

/// SWAG's table.
pub fn swag(data: &[u8]) {
    read(&builtin("swag"), data);
}

/// Files to predict, in each form: what is written of their rows is found again, also where it was cut.
pub fn inputs(data: &[u8]) {
    let path = folder().join("inputs");
    write(&path, data);
    let words = |line: &str| Input::Words(line.split(' ').map(str::to_owned).collect());
    for (task, format, forms) in [
        ("sst2", InputFormat::Lines, TABLES),
        ("sst2", InputFormat::Csv, TABLES),
        ("mrpc", InputFormat::Tsv, TABLES),
        ("sst2", InputFormat::Jsonl, TABLES),
        ("sst2", InputFormat::Json, TABLES),
        ("squad", InputFormat::Squad, &[RowFormat::Squad, RowFormat::Jsonl][..]),
        ("squad", InputFormat::Csv, &[RowFormat::Squad, RowFormat::Csv]),
        ("conll2003", InputFormat::Conll, &[RowFormat::Conll, RowFormat::Csv]),
        ("conll2003", InputFormat::Jsonl, &[RowFormat::Conll, RowFormat::Csv, RowFormat::Jsonl]),
    ] {
        let task = builtin(task);
        let typed = |typed: TypedText<'_>| match task.head {
            Head::Tag => Ok(words(typed.line)),
            _ => typed_text(typed),
        };
        let request = InputRequest {
            path: &path,
            format,
            task: &task,
            texts: &[],
            text_pair: None,
            context: None,
            typed: &typed,
        };
        if let Ok(file) = InputFile::open(&request) {
            forms.iter().for_each(|&form| write_rows(&file, form));
        }
    }
}

const TABLES: &[RowFormat] = &[RowFormat::Csv, RowFormat::Tsv, RowFormat::Jsonl];

/// Writes the rows of a file with a prediction each, cuts the output in two, and reads what is left.
fn write_rows(file: &InputFile<'_>, form: RowFormat) {
    let writer = || {
        RowWriter::new(form, file.header().to_vec(), Added::new("p_", &[], Head::Classify, None))
    };
    let (mut output, mut known, mut bytes) = (writer(), Vec::new(), Vec::new());
    // Files without a header are opened here for the first time, and may not be UTF-8.
    let Ok(mut rows) = file.rows() else { return };
    while let Ok(Some(row)) = rows.advance() {
        let tags = vec!["O"; row.example.input.words().map_or(0, |words| words.len())];
        let key = if form == RowFormat::Conll { "tags" } else { "label" };
        let object = serde_json::json!({ key: tags });
        let object = object.as_object().cloned().unwrap_or_default();
        let length = bytes.len();
        if output.write(&row.row, &row.example, object, &mut bytes).is_err() {
            bytes.truncate(length);
            break;
        }
        known.push(row);
    }
    for end in [bytes.len() / 2, bytes.len()] {
        let (mut again, mut left) = (writer(), &bytes[..end]);
        let Ok(Some(_)) = again.read_beginning(&mut left) else { continue };
        let found = known.iter().take_while(|row| {
            let written = again.skip(&row.row, &row.example, &mut left);
            matches!(written.expect("what was written"), Written::Row(_))
        });
        let found = found.count();
        assert!(end < bytes.len() || found == known.len(), "{found} of {} rows", known.len());
    }
}

/// A user's own task file. A task that is read names no file outside its folder, or outside the
/// absolute folder that it gives.
pub fn task_file(data: &[u8]) {
    let path = folder().join("task.json");
    write(&path, data);
    match task::load(&path) {
        Ok(task) => {
            for split in task.splits() {
                let file = task.path(split, Path::new("/elsewhere"));
                let inside = if Path::new(&task.folder).is_absolute() {
                    Path::new(&task.folder)
                } else {
                    assert!(!file.components().any(|part| part.as_os_str() == ".."));
                    folder()
                };
                assert!(file.starts_with(inside), "{}", file.display());
            }
        }
        Err(error) => assert!(error.place().is_some(), "{error}"),
    }
}

/// `tfbert.json`.
pub fn contract(data: &[u8]) {
    let dir = folder().join("export");
    fs::create_dir_all(dir.join("assets.extra")).expect("a folder to write to");
    write(&dir.join("saved_model.pb"), b"");
    write(&dir.join("assets.extra/tfbert.json"), data);
    if let Err(error) = crate::saved_model::check_description(&dir) {
        assert!(error.place().is_some(), "{error}");
    }
}

/// A zip archive with a task's files: nothing but these is written, and only into their folder.
pub fn archive(data: &[u8]) {
    let dir = folder().join("archive");
    let target = dir.join("files");
    fs::create_dir_all(&target).expect("a folder to write to");
    write(&dir.join("archive.zip"), data);
    let archive = fs::File::open(dir.join("archive.zip")).expect("the file just written");
    let _ = crate::fetch::unpack(&archive, &["train.tsv", "dev.tsv"], &target);
    let entries = fs::read_dir(&dir).expect("the folder just made");
    assert_eq!(entries.count(), 2, "something was written outside of the folder");
    fs::remove_dir_all(&target).expect("the folder just made");
}

/// The saver of a SavedModel's MetaGraphDef.
pub fn saver_def(data: &[u8]) {
    crate::runtime::parse_saver(data);
}

/// The index of a TensorFlow checkpoint.
pub fn checkpoint_index(data: &[u8]) {
    let _ = crate::runtime::checkpoint_entries(data);
}

/// A sweep's record.
pub fn sweep_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(record) = crate::sweep::parse_sweep(text)
    {
        let again = crate::run::to_json(&record).expect("what was read can be written");
        assert_eq!(crate::sweep::parse_sweep(&again), Ok(record));
    }
}

/// A run's record.
pub fn run_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(record) = crate::run::parse_record(text)
    {
        let again = crate::run::to_json(&record).expect("what was read can be written");
        assert!(crate::run::parse_record(&again).is_ok());
    }
}

/// The lines of a run's `metrics.jsonl`. An error names one of them.
pub fn metrics_jsonl(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = crate::run::Curves::parse(&text, Path::new("metrics.jsonl")) {
        assert!(error.place().is_some_and(|place| place.line.is_some()), "{error}");
    }
}

/// What an evaluation showed. What can be read can be shown and written.
pub fn analysis_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(found) = crate::run::parse_analysis(&text) {
        crate::report::html::splits(&found);
        for split in &found.splits {
            split.lines(20);
            split.to_json();
        }
    }
}

/// A checkpoint's state.
pub fn state_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(state) = crate::run::parse_state(text)
        && state.check(100).is_ok()
    {
        assert!(state.step <= 100);
    }
}

/// A checkpoint's list of files.
pub fn manifest_json(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = crate::run::parse_manifest(text);
    }
}

fn table(format: Format, data: &[u8]) {
    let column = |name: &str| Some(Column::Name(name.into()));
    let named = Columns {
        text: column("text").map(TextColumns::from),
        label: column("label"),
        ..Columns::default()
    };
    let numbered = Columns {
        text: Some(Column::Index(1).into()),
        label: Some(Column::Index(0)),
        ..Columns::default()
    };
    for base in ["sst2", "stsb"] {
        for columns in [&named, &numbered] {
            if format.has_objects() && columns == &numbered {
                continue; // Objects have no positions.
            }
            let mut task = builtin(base);
            task.format = format;
            task.columns = columns.clone();
            read(&task, data);
            if task.labels.take().is_some() {
                read(&task, data);
            }
        }
    }
}

/// A task of the table whose training file is `train` in the folder.
fn builtin(name: &str) -> Task {
    let mut task = task::find(name).expect("a task of the table");
    task.folder = String::new();
    if let Some(train) = &mut task.train {
        train.file = "train".into();
    }
    task
}

/// Reads the bytes as a task's training file: examples, or an error that names the file and a line
/// of it.
fn read(task: &Task, data: &[u8]) {
    let path = folder().join("train");
    write(&path, data);
    let lines = 1 + data.iter().filter(|&&byte| byte == b'\n').count();
    let train = task.train.as_ref().expect("a training file");
    let found = Labels::of_task(task, folder()).and_then(|labels| {
        DataSource { task, split: train, data_dir: folder(), labels: &labels, limit: None }.read()
    });
    match found {
        Ok(dataset) => {
            assert!(!dataset.examples.is_empty());
            assert!(dataset.examples.iter().all(|example| (1..=lines).contains(&example.line)));
        }
        Err(error) => {
            let place = error.place().unwrap_or_else(|| panic!("no file is named: {error}"));
            assert_eq!(place.path, path);
            assert!(place.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
        }
    }
}

fn write(path: &Path, data: &[u8]) {
    fs::write(path, data).expect("a file to write to");
}

/// A temporary folder for this process, in memory where the system has such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("tfbert-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder to write to");
        folder
    })
}

/// Removes the temporary folder. A fuzzer, which never ends by itself, leaves its folder behind.
pub fn clean() {
    let _ = fs::remove_dir_all(folder());
}
