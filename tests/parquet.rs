//! Data files in Parquet. Reading them takes the feature `parquet` (`make test-parquet`).

use std::path::{Path, PathBuf};

use tfbert::dataset::infer::{DataFile, Inferred, infer};
use tfbert::error::Result;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet").join(name)
}

fn inferred(path: &Path) -> Result<Inferred> {
    infer(&DataFile {
        // No part of the file becomes the development file.
        dev: Some(path),
        label: if path.ends_with("tickets.parquet") || path.ends_with("tickets.jsonl") {
            Box::leak(Box::new(["team".to_owned()]))
        } else {
            &[]
        },
        ..DataFile::new(path)
    })
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_the_message_says_how_to_build_with_it_and_how_to_convert() {
    let error = inferred(&golden("tickets.parquet")).err().unwrap();
    assert!(error.what().contains("built without the feature `parquet`"), "{error}");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("cargo feature `parquet`") && hint.contains("read_parquet"), "{error}");
}

#[cfg(feature = "parquet")]
mod reading {
    use std::fs;

    use tfbert::dataset::{
        DataSource, Dataset, Input, InputFile, InputFormat, InputRequest, InputRow, Labels, Row,
    };
    use tfbert::task::Head;

    use super::*;

    fn read(path: &Path) -> (String, Dataset) {
        let task = inferred(path).unwrap_or_else(|error| panic!("{error}")).task;
        let labels = Labels::of_task(&task, path.parent().unwrap()).unwrap();
        let split = task.train.as_ref().unwrap();
        let source = DataSource {
            task: &task,
            split,
            data_dir: path.parent().unwrap(),
            labels: &labels,
            limit: None,
        };
        (task.head.name().to_owned(), source.read().unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn a_file_of_pyarrows_gives_the_examples_of_its_rows_as_json_lines() {
        for (name, head) in [
            ("tickets", "classify"),
            ("scores", "regress"),
            ("names", "tag"),
            ("questions", "span"),
        ] {
            let (found, parquet) = read(&golden(&format!("{name}.parquet")));
            let (known, json) = read(&golden(&format!("{name}.jsonl")));
            assert_eq!((found.as_str(), known.as_str()), (head, head), "{name}");
            assert!(parquet.examples.len() >= 5, "{name}");
            assert_eq!(format!("{:?}", parquet.examples), format!("{:?}", json.examples), "{name}");
        }
    }

    /// The rows of a file to predict, as JSON values, and what the model reads of each.
    fn inputs(name: &str) -> Vec<(serde_json::Value, Input)> {
        let path = golden(name);
        let task = inferred(&path).unwrap_or_else(|error| panic!("{error}")).task;
        let file = InputFile::open(&InputRequest {
            path: &path,
            format: InputFormat::of_file(&path, Head::Classify).unwrap(),
            task: &task,
            texts: &[],
            text_pair: None,
            context: None,
            typed: &|typed| Ok(Input::Text { text: typed.line.into(), text_pair: None }),
        })
        .unwrap_or_else(|error| panic!("{error}"));
        let mut rows = file.rows().unwrap();
        let mut found = Vec::new();
        while let Some(InputRow { row, example }) = rows.advance().unwrap() {
            let Row::Object(text) = row else { panic!("{row:?}") };
            found.push((serde_json::from_str(&text).unwrap(), example.input));
        }
        found
    }

    #[test]
    fn rows_to_predict_are_those_of_the_same_file_as_json_lines() {
        for name in ["tickets", "scores"] {
            let parquet = inputs(&format!("{name}.parquet"));
            assert!(parquet.len() >= 5, "{name}");
            assert_eq!(parquet, inputs(&format!("{name}.jsonl")), "{name}");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_place_wherever_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tickets.parquet");
        let whole = fs::read(golden("tickets.parquet")).unwrap();
        let attempt = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let task = inferred(&path)?.task;
            let labels = Labels::of_task(&task, dir.path())?;
            let split = task.train.as_ref().unwrap();
            let data_dir = dir.path();
            DataSource { task: &task, split, data_dir, labels: &labels, limit: None }.read()
        };
        assert!(attempt(&whole).is_ok());
        for end in [4, 8, whole.len() / 2, whole.len() - 1] {
            let error = attempt(&whole[..end]).err().unwrap();
            assert!(error.place().is_some(), "{end}: {error}");
        }
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x5a;
            if let Err(error) = attempt(&bytes) {
                assert!(error.place().is_some(), "{at}: {error}");
            }
        }
    }
}
