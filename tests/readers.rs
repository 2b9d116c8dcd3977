//! Readers under fire: whatever the bytes are, a reader ends in examples or in an error with a
//! line, and never in a panic.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tfbert::dataset::{DataSource, Dataset, Labels, Target};
use tfbert::error::Result;
use tfbert::metric::entities;
use tfbert::task::{self, Column, Columns, Format, Task};

fn column(name: &str) -> Option<Column> {
    Some(Column::Name(name.into()))
}

/// Tasks of every form that are read from a file `train`, by name and by position.
fn tasks() -> Vec<Task> {
    let named = Columns {
        text: column("text").map(Into::into),
        label: column("label"),
        ..Columns::default()
    };
    let numbered = Columns {
        text: Some(Column::Index(1).into()),
        label: Some(Column::Index(0)),
        ..Columns::default()
    };
    let choice = Columns {
        context: column("text"),
        endings: vec![Column::Name("a".into()), Column::Name("b".into())],
        label: column("label"),
        ..Columns::default()
    };
    let task = |base: &str, format: Format, columns: &Columns| {
        let mut task = task::find(base).unwrap();
        task.format = format;
        task.columns = columns.clone();
        task.folder = String::new();
        task.train.as_mut().unwrap().file = "train".into();
        task
    };
    let mut tasks = vec![
        task("conll2003", Format::Conll, &Columns::default()),
        task("squad", Format::Squad, &Columns::default()),
        task("squad2", Format::Squad, &Columns::default()),
    ];
    for format in [Format::Tsv, Format::Csv, Format::Jsonl] {
        for base in ["sst2", "stsb"] {
            tasks.push(task(base, format, &named));
            if format != Format::Jsonl {
                tasks.push(task(base, format, &numbered));
            }
        }
        tasks.push(task("swag", format, &choice));
        let mut found = task("sst2", format, &named);
        found.labels = None;
        tasks.push(found);
    }
    tasks
}

fn read(task: &Task, dir: &Path) -> Result<Dataset> {
    let labels = Labels::of_task(task, dir)?;
    let split = task.train.as_ref().unwrap();
    DataSource { task, split, data_dir: dir, labels: &labels, limit: None }.read()
}

/// Reads the bytes as every task; an error must name the file, and a line unless the file as a
/// whole is at fault.
fn fire(bytes: &[u8]) -> std::result::Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train");
    fs::write(&path, bytes).unwrap();
    let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
    for task in tasks() {
        match read(&task, dir.path()) {
            Ok(dataset) => {
                prop_assert!(!dataset.examples.is_empty());
                for example in &dataset.examples {
                    prop_assert!((1..=lines).contains(&example.line), "{example:?}");
                    prop_assert!(example.target.is_some() || task.format == Format::Conll);
                }
            }
            Err(error) => {
                let place = error.place().expect("an error names its file");
                prop_assert_eq!(&place.path, &path);
                let whole_file = ["no examples", "it is empty", "found no label", "found only"];
                match place.line {
                    Some(line) => prop_assert!((1..=lines).contains(&line), "{}", error),
                    None => prop_assert!(
                        whole_file.iter().any(|what| error.what().starts_with(what)),
                        "{}",
                        error
                    ),
                }
            }
        }
    }
    Ok(())
}

/// Text that looks enough like the formats to come far into the readers.
fn nearly() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "text",
        "label",
        "a",
        "b",
        "text\tlabel\n",
        "text,label\n",
        "text\tlabel\ta\tb\n",
        "text,a,b,label\n",
        "\t",
        ",",
        "\n",
        "\r\n",
        "\n\n",
        " ",
        "\"",
        "\"\"",
        "0",
        "1",
        "-1",
        "2.5",
        "nan",
        "O",
        "B-PER",
        "I-PER",
        "I-LOC",
        "X-PER",
        "-DOCSTART-",
        "{",
        "}",
        "[",
        "]",
        ":",
        "\"text\"",
        "\"label\"",
        "{\"text\": \"x\", \"label\": 1}\n",
        "null",
        "é",
        "\u{feff}",
        "{\"data\": [",
        "{\"paragraphs\": [",
        "{\"context\": \"a b\", \"qas\": [",
        "{\"id\": \"1\", \"question\": \"q\", \"answers\": [",
        "{\"text\": \"b\", \"answer_start\": 2}",
        "]}",
        "]}]}]}",
        "\\",
        "\\u0000",
        "1e999",
    ]);
    prop::collection::vec(parts, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/readers.proptest-regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes_end_in_examples_or_an_error_with_a_line(
        bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        fire(&bytes)?;
    }

    #[test]
    fn text_that_is_nearly_right_ends_in_examples_or_an_error_with_a_line(text in nearly()) {
        fire(text.as_bytes())?;
    }

    #[test]
    fn a_sample_with_a_byte_changed_ends_in_examples_or_an_error_with_a_line(
        sample in prop::sample::select(vec![
            "conll2003/valid.txt", "swag/val.csv", "SST-2/dev.tsv", "squad/dev-v2.0.json",
            "my-task/dev.csv",
        ]),
        at in 0.0..1.0f64,
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(sample);
        let mut bytes = fs::read(path).unwrap();
        bytes.truncate(3000);
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] = byte;
        if cut {
            bytes.truncate(at + 1);
        }
        fire(&bytes)?;
    }

    #[test]
    fn a_task_file_of_any_text_is_a_task_or_an_error_with_a_line(
        text in prop_oneof![nearly(), any::<String>(), mutated_task()]
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.json");
        fs::write(&path, &text).unwrap();
        match task::load(&path) {
            Ok(task) => {
                for split in task.splits() {
                    let file = task.path(split, Path::new("/elsewhere"));
                    prop_assert!(file.starts_with(dir.path()), "{}", file.display());
                    prop_assert!(!file.to_string_lossy().contains(".."), "{}", file.display());
                }
            }
            Err(error) => {
                let line = error.place().unwrap().line.unwrap();
                prop_assert!((1..=1 + text.matches('\n').count()).contains(&line), "{}", error);
            }
        }
    }

    /// The labels that are read have the entities that `conlleval` sees in the file's own tags, be
    /// they IOB1, IOB2 or a mixture.
    #[test]
    fn rewriting_tags_as_iob2_changes_no_entity(
        sentences in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec!["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), 1..12,
            ),
            1..5,
        )
    ) {
        let mut task = tasks().swap_remove(0);
        task.labels = None;
        let dir = tempfile::tempdir().unwrap();
        let sentence = |tags: &Vec<&str>| {
            tags.iter().map(|tag| format!("word {tag}\n")).chain(["\n".into()]).collect::<String>()
        };
        let text: String = sentences.iter().map(sentence).collect();
        fs::write(dir.path().join("train"), text).unwrap();
        let outside: BTreeSet<_> = sentences.iter().flatten().collect();
        prop_assume!(outside.len() > 1 || !outside.contains(&"O"));
        let labels = Labels::of_task(&task, dir.path()).unwrap();
        let split = task.train.as_ref().unwrap();
        let data_dir = dir.path();
        let dataset =
            DataSource { task: &task, split, data_dir, labels: &labels, limit: None }.read().unwrap();
        prop_assert_eq!(dataset.examples.len(), sentences.len());
        for (example, own) in dataset.examples.iter().zip(&sentences) {
            let Some(Target::Tags(tags)) = &example.target else { panic!("{example:?}") };
            let read: Vec<_> = tags.iter().map(|&tag| labels.names()[tag].as_str()).collect();
            prop_assert_eq!(entities(&read), entities(own));
            for (i, entity) in entities(&read).iter().enumerate() {
                let begin = format!("B-{}", entity.entity_type);
                prop_assert_eq!(read[entity.start], begin, "entity {}", i);
            }
        }
    }
}

/// A task file with something else in one place.
fn mutated_task() -> impl Strategy<Value = String> {
    let values = prop::sample::select(vec![
        "null", "\"\"", "\"../x\"", "\"/x\"", "-1", "1e99", "[]", "{}", "[[]]", "true", "\"a\"",
        "0",
    ]);
    (0usize..40, values).prop_map(|(at, value)| {
        let text = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("data/my-task/my-task.json"),
        )
        .unwrap();
        let starts: Vec<_> = text.match_indices(": ").map(|(i, _)| i + 2).collect();
        let start = starts[at % starts.len()];
        let end = text[start..].find([',', '}', '\n']).map_or(text.len(), |length| start + length);
        format!("{}{value}{}", &text[..start], &text[end..])
    })
}

#[test]
fn a_row_of_many_megabytes_is_refused_before_it_fills_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train");
    for task in tasks().iter().filter(|task| task.format != Format::Squad) {
        fs::write(&path, vec![b'x'; 20 << 20]).unwrap();
        let error = read(task, dir.path()).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(1));
        assert!(error.what().contains("longer than 16 MiB"), "{error}");
    }
    // A quote that is never closed must not take in all that follows.
    let csv = tasks().into_iter().find(|task| task.format == Format::Csv).unwrap();
    let mut text = "text,label\n\"open,1\n".to_owned();
    text.push_str(&"closed,0\n".repeat(4 << 20));
    fs::write(&path, text).unwrap();
    let error = read(&csv, dir.path()).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(2));
    assert!(error.what().contains("longer than 16 MiB"), "{error}");
}
