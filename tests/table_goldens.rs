//! Tables field for field against Python's `csv` and `json`, which `golden/make_table_goldens.py`
//! wrote and read them with.

use std::fs;

use serde::Deserialize;
use tfbert::dataset::{DataSource, Input, Labels, Target};
use tfbert::task::{self, Column, Columns, Format};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    format: Format,
    /// The whole file.
    file: String,
    /// Text, second text and label of each row.
    rows: Vec<[String; 3]>,
}

#[test]
fn tables_that_python_writes_are_read_field_for_field() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tables.json");
    let golden: Golden = serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    assert!(golden.cases.len() > 100, "{}", golden.cases.len());
    let column = |name: &str| Some(Column::Name(name.into()));
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::new(vec!["no".into(), "yes".into()]);
    for (number, case) in golden.cases.iter().enumerate() {
        let mut task = task::find("rte").unwrap();
        task.format = case.format;
        task.folder = String::new();
        task.train.as_mut().unwrap().file = "train".into();
        task.columns = Columns {
            text: column("text").map(Into::into),
            text_pair: column("text_pair").map(Into::into),
            label: column("label"),
            ..Columns::default()
        };
        fs::write(dir.path().join("train"), &case.file).unwrap();
        let source = DataSource {
            task: &task,
            split: task.train.as_ref().unwrap(),
            data_dir: dir.path(),
            labels: &labels,
            limit: None,
        };
        let dataset = source.read().unwrap_or_else(|error| {
            panic!("case {number} ({:?}): {error}\n{:?}", case.format, case.file)
        });
        let found: Vec<[String; 3]> = dataset
            .examples
            .iter()
            .map(|example| match (&example.input, &example.target) {
                (Input::Text { text, text_pair: Some(pair) }, Some(Target::Class(label))) => {
                    [text.clone(), pair.clone(), labels.names()[*label].clone()]
                }
                other => panic!("case {number}: {other:?}"),
            })
            .collect();
        assert_eq!(found, case.rows, "case {number} ({:?}): {:?}", case.format, case.file);
    }
}
