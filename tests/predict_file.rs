//! `tfbert predict` of files, and of questions about several files, on tiny exports.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{copy_folder, fail, succeed, text, tfbert, tiny, train_tiny};
use serde_json::Value;

/// A folder that is made once for all tests of this process.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// The run of a classifier.
fn classifier() -> PathBuf {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let run = folder().join("classifier");
        succeed(train_tiny(&run).args(["--max-steps", "2"]));
        run
    })
    .clone()
}

/// The run of a model that answers questions, or says that there is no answer.
fn answerer() -> PathBuf {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let run = folder().join("answerer");
        let mut train = tfbert();
        train.args(["train", "--task", "squad2", "--data-dir", "data", "--precision", "f32"]);
        train.args(["--limit-train", "8", "--limit-dev", "8", "--batch-size", "8"]);
        train.args(["--max-length", "128", "--doc-stride", "32", "--max-steps", "1"]);
        succeed(train.arg("--model").arg(tiny("span")).arg("--output").arg(&run));
        run
    })
    .clone()
}

fn predict(run: &Path) -> Command {
    let mut command = tfbert();
    command.arg("predict").arg("--model").arg(run);
    command
}

/// A file of 300 rows with lengths that differ, a column with line breaks, and a header.
fn table(dir: &Path) -> PathBuf {
    let path = dir.join("rows.csv");
    let mut rows = "id,sentence,note\n".to_owned();
    for i in 0..300 {
        rows += &format!("{i},{},\"a \"\"{i}\"\",\nb\"\n", "fine film ".repeat(1 + i * 7 % 20));
    }
    fs::write(&path, rows).unwrap();
    path
}

#[test]
fn rows_keep_their_order_and_columns_and_an_interrupted_output_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (table(dir.path()), dir.path().join("out.csv"));
    let run = || {
        let mut command = predict(&classifier());
        command.arg("--file").arg(&input).arg("--output").arg(&output);
        command
    };
    let stdout = succeed(&mut run());
    assert!(stdout.ends_with("out.csv: 300 rows\n"), "{stdout}");
    let whole = fs::read_to_string(&output).unwrap();
    let header = "id,sentence,note,prediction,score,probability_negative,probability_positive\n";
    assert!(whole.starts_with(header), "{whole}");
    let mut reader = csv::Reader::from_reader(whole.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 300);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!((&row[0], &row[2]), (i.to_string().as_str(), format!("a \"{i}\",\nb").as_str()));
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        assert!((number(5) + number(6) - 1.0).abs() < 1e-6);
        assert_eq!(&row[3], if number(6) > number(5) { "positive" } else { "negative" });
    }

    let stderr = fail(&mut run());
    assert!(stderr.contains("--overwrite"), "{stderr}");
    // A killed process leaves a torn row.
    let torn = &whole.as_bytes()[..whole.len() / 2];
    fs::write(dir.path().join(".out.csv.partial"), torn).unwrap();
    fs::remove_file(&output).unwrap();
    assert!(fail(&mut run()).contains("--resume"));
    succeed(run().arg("--resume"));
    // Batches of other rows may differ in the last digits.
    let resumed = fs::read_to_string(&output).unwrap();
    assert!(resumed.starts_with(std::str::from_utf8(&torn[..torn.len() - 200]).unwrap()));
    let fields = |text: &str| -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let fields = |row: csv::StringRecord| row.iter().take(4).map(str::to_owned).collect();
        reader.records().map(|row| fields(row.unwrap())).collect()
    };
    assert_eq!(fields(&resumed), fields(&whole));
    // A whole output stays as it is, and one of another file is not continued.
    succeed(run().arg("--resume"));
    assert_eq!(fs::read_to_string(&output).unwrap(), resumed);
    fs::write(&input, fs::read_to_string(&input).unwrap().replacen("\n7,", "\n8,", 1)).unwrap();
    assert!(fail(run().arg("--resume")).contains("another row"));
    assert_eq!(fs::read_to_string(&output).unwrap(), resumed);
}

#[test]
fn a_bad_row_ends_the_command_and_the_rows_before_it_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("rows.jsonl"), dir.path().join("out.jsonl"));
    let row = |i: usize| format!("{{\"sentence\": \"film {i}\", \"n\": {i}}}\n");
    let mut rows: String = (0..100).map(row).collect();
    fs::write(&input, format!("{rows}{{\"n\": 100}}\n")).unwrap();
    let run = || {
        let mut command = predict(&classifier());
        command
            .arg("--file")
            .arg(&input)
            .arg("--output")
            .arg(&output)
            .args(["--threshold", "0.99"]);
        command
    };
    let stderr = fail(&mut run());
    assert!(stderr.contains("rows.jsonl:101:") && stderr.contains("--resume"), "{stderr}");
    assert!(!output.exists());
    rows += &row(100);
    fs::write(&input, &rows).unwrap();
    let stderr = text(&run().arg("--resume").output().unwrap()).1;
    assert!(stderr.contains("100 rows are there already"), "{stderr}");
    let found = fs::read_to_string(&output).unwrap();
    assert_eq!(found.lines().count(), 101);
    for (i, line) in found.lines().enumerate() {
        assert!(
            line.starts_with(&format!("{{\"sentence\": \"film {i}\", \"n\": {i},\"prediction\":"))
        );
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["prediction"], Value::Null, "a guess is below the threshold");
    }
}

#[test]
fn a_file_without_output_is_printed_and_a_file_that_is_named_as_a_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let input = table(dir.path());
    let stdout = succeed(predict(&classifier()).arg("--file").arg(&input).args(["--top-k", "2"]));
    assert_eq!(stdout.lines().count(), 300);
    let first: Value = serde_json::from_str(stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["top"][1]["prediction"].is_string()), (&"0".into(), &true));
    assert!(fail(predict(&classifier()).arg(&input)).contains("--file"));
    let mut unknown = predict(&classifier());
    let stderr = fail(unknown.arg("--file").arg(&input).args(["--text", "body"]));
    assert!(stderr.contains("it has `id`, `sentence`, `note`"), "{stderr}");
}

#[test]
fn questions_are_about_every_file_of_a_folder_and_may_have_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let passages = dir.path().join("passages");
    fs::create_dir(&passages).unwrap();
    fs::write(passages.join("a.txt"), "The moon is far away. ".repeat(30)).unwrap();
    fs::write(passages.join("b.txt"), "The sun is hot.").unwrap();
    let ask = |more: &[&str]| -> Value {
        let mut command = predict(&answerer());
        command.arg("--context").arg(&passages).arg("what is hot?").args(more);
        serde_json::from_str(&succeed(&mut command)).unwrap()
    };
    let found = ask(&["--top-k", "3", "--null-threshold", "1000"]);
    let passage = fs::read_to_string(found["file"].as_str().unwrap()).unwrap();
    let place = |key: &str| found[key].as_u64().unwrap() as usize;
    assert_eq!(found["answer"], passage[place("start")..place("end")]);
    assert_eq!(found["top"].as_array().unwrap().len(), 3);
    assert!(found["window"].is_u64(), "{found}");
    let none = ask(&["--null-threshold", "-1000"]);
    assert_eq!((&none["answer"], &none["start"]), (&Value::Null, &Value::Null));
    assert_eq!(none["probability"], found["no_answer_probability"]);

    let (one, two) = (passages.join("a.txt"), passages.join("b.txt"));
    let mut mistake = predict(&answerer());
    let stderr = fail(mistake.arg("--context").arg(&one).arg(&two));
    assert!(stderr.contains("is a file") && stderr.contains("--context"), "{stderr}");

    let questions = dir.path().join("questions.csv");
    fs::write(&questions, "question\nwhat is hot?\nwhat is far?\n").unwrap();
    let output = dir.path().join("answers.csv");
    let mut command = predict(&answerer());
    command.arg("--context").arg(&passages).arg("--file").arg(&questions);
    succeed(command.arg("--output").arg(&output));
    let answers = fs::read_to_string(&output).unwrap();
    assert!(answers.starts_with("question,prediction,score,end,file,no_answer_probability,"));
    assert_eq!(answers.lines().count(), 3);
}

#[test]
fn squads_questions_become_the_answers_that_its_scripts_read() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("answers.json");
    let mut command = predict(&answerer());
    command.args(["--file", "data/squad/dev-v2.0.json", "--output"]).arg(&output);
    succeed(&mut command);
    let answers: Value = serde_json::from_str(&fs::read_to_string(&output).unwrap()).unwrap();
    assert!(answers.as_object().unwrap().values().all(Value::is_string));
}

#[test]
fn a_reader_that_closes_the_output_ends_the_command_quietly() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let file = table(folder());
    let mut command = predict(&classifier());
    command.arg("--file").arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert!(line.contains("\"prediction\""), "{line}");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141), "{stderr}");
    assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_command_that_fails_before_its_first_row_leaves_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.jsonl"), dir.path().join("out.csv"));
    fs::write(&input, "{\"sentence\": [1]}\n").unwrap();
    let mut command = predict(&classifier());
    let stderr = fail(command.arg("--file").arg(&input).arg("--output").arg(&output));
    assert!(stderr.contains("in.jsonl:1") && !stderr.contains("--resume"), "{stderr}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the input is there");
}

#[test]
fn predictions_are_computed_in_the_format_that_was_scored_where_that_is_fast() {
    let predictions = |run: &Path, more: &[&str]| {
        let mut command = predict(run);
        succeed(command.args(["a good film", "dull and long, but not bad"]).args(more))
    };
    let run = classifier();
    assert_eq!(predictions(&run, &[]), predictions(&run, &["--precision", "f32"]));
    // As if it had been scored in bf16: this device computes so, or in f32 where that is faster.
    let scored = folder().join("scored-in-bf16");
    copy_folder(&run.join("model"), &scored);
    let path = scored.join("assets.extra/tfbert.json");
    let contract = fs::read_to_string(&path).unwrap();
    let mut contract: Value = serde_json::from_str(&contract).unwrap();
    assert_eq!(contract["trained"]["precision"], "f32");
    contract["trained"]["precision"] = "bf16".into();
    fs::write(&path, contract.to_string()).unwrap();
    assert_eq!(predictions(&scored, &[]), predictions(&scored, &["--precision", "auto"]));
}
