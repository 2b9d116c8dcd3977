//! `tfbert train --data FILE`: from a user's own file to a model, without a task file.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{fail, last_json, root, succeed, text, tfbert, tiny};

/// A table of support tickets as a spreadsheet writes it: semicolons, quotes, a last row of nothing.
fn tickets(dir: &Path) -> PathBuf {
    let row = |i: usize| {
        let (team, word) = [("billing", "charged; twice"), ("bug", "it \"\"crashes\"\"")][i % 2];
        format!("{i};Ticket {i};\"{word}\nsince {i}\";{team}\n")
    };
    let rows: String = (0..60).map(row).collect();
    let path = dir.join("tickets.csv");
    fs::write(&path, format!("\u{feff}id;subject;body;team\n{rows};;;\n")).unwrap();
    path
}

/// `tfbert COMMAND --data FILE --text subject,body --label team` in the file's folder.
fn on_tickets(dir: &Path, words: &[&str]) -> Command {
    let mut command = tfbert();
    command.current_dir(dir).args(words).args(["--data", "tickets.csv"]);
    command.args(["--text", "subject,body", "--label", "team", "--precision", "f32"]);
    command.args(["--tensorflow"]).arg(root().join(".venv"));
    command.args(["--epochs", "1", "--batch-size", "8", "--model"]).arg(tiny("classify"));
    command
}

#[test]
fn a_csv_of_tickets_becomes_a_model_and_its_task_file_repeats_the_scores_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    tickets(dir.path());
    let output = on_tickets(dir.path(), &["train", "--json"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let trained = last_json(&stdout);
    assert_eq!((&trained["train_examples"], &trained["examples"]), (&48.into(), &12.into()));
    for said in ["separated by `;`", "head `classify`", "20% of its rows", "`billing` 30, `bug` 30"]
    {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    assert!(stderr.contains("1 row of empty columns at the end left out"), "{stderr}");
    let run = dir.path().join("runs/tickets");
    let ids = fs::read_to_string(run.join("dev_ids.txt")).unwrap();
    assert_eq!(ids.lines().count(), 12);

    // From another folder, by the task file alone.
    let task = run.join("task.json");
    let mut eval = tfbert();
    eval.args(["eval", "--json", "--task"]).arg(&task);
    let (stdout, stderr) = text(&eval.output().unwrap());
    assert_eq!(last_json(&stdout)["metrics"], trained["metrics"], "{stderr}");
    assert!(!stderr.contains("development part is another"), "{stderr}");
    let mut predict = tfbert();
    predict.args(["predict", "it crashes", "--task"]).arg(&task);
    assert!(
        ["billing", "bug"].map(Some).contains(&last_json(&succeed(&mut predict))["label"].as_str())
    );
    // By its run's folder, and in the folder of `runs` by its name.
    let mut of_run = tfbert();
    of_run.args(["eval", "--json", "--model"]).arg(&run);
    assert_eq!(last_json(&succeed(&mut of_run))["metrics"], trained["metrics"]);
    let mut named = tfbert();
    named.current_dir(dir.path()).arg("--tensorflow").arg(root().join(".venv"));
    named.args(["predict", "it crashes", "--task", "tickets"]);
    assert_eq!(succeed(&mut named), succeed(&mut predict));
    let mut resume = tfbert();
    resume.args(["train", "--resume", "--json", "--precision", "f32", "--epochs", "1"]);
    resume.args(["--batch-size", "8", "--model"]).arg(tiny("classify")).arg("--task").arg(&task);
    assert_eq!(last_json(&succeed(&mut resume))["metrics"], trained["metrics"]);

    // A row that is added changes the split, which is said.
    let file = dir.path().join("tickets.csv");
    let rows = fs::read_to_string(&file).unwrap();
    fs::write(&file, rows.replace(";;;\n", "60;Ticket 60;it crashes;bug\n")).unwrap();
    let stderr = text(&eval.output().unwrap()).1;
    assert!(stderr.contains(" bytes, now ") && stderr.contains("part is another"), "{stderr}");
    fs::write(&file, rows).unwrap();

    // The model does not say where its data lay.
    let facts = fs::read_to_string(run.join("model/assets.extra/tfbert.json")).unwrap();
    assert!(!facts.contains(dir.path().to_str().unwrap()), "{facts}");
    // A run that is begun over leaves none of its files.
    succeed(on_tickets(dir.path(), &["train", "--overwrite", "--dev-share", "0.5"]).arg("--json"));
    let ids = fs::read_to_string(run.join("dev_ids.txt")).unwrap();
    assert_eq!(ids.lines().count(), 30);
}

#[test]
fn plain_text_by_paragraphs_trains_the_head_that_finds_hidden_words() {
    let dir = tempfile::tempdir().unwrap();
    let notes: String = (0..40).map(|i| format!("The cat {i} sat.\nIt saw a dog.\n\n")).collect();
    fs::write(dir.path().join("notes.txt"), notes).unwrap();
    let mut train = tfbert();
    train.current_dir(dir.path()).arg("--tensorflow").arg(root().join(".venv"));
    train.args(["train", "--data", "notes.txt", "--head", "masked", "--json"]);
    train.args(["--sample-by", "paragraph", "--precision", "f32", "--epochs", "1", "--model"]);
    let (stdout, stderr) = text(&train.arg(tiny("masked")).output().unwrap());
    let trained = last_json(&stdout);
    // Of 40 paragraphs, not of 80 lines.
    assert_eq!((&trained["train_examples"], &trained["examples"]), (&32.into(), &8.into()));
    for said in ["notes.txt: plain text", "each paragraph is a text", "20% of its texts"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let run = dir.path().join("runs/notes");
    let task = fs::read_to_string(run.join("task.json")).unwrap();
    assert!(task.contains("\"sample_by\": \"paragraph\""), "{task}");
    let mut eval = tfbert();
    eval.args(["eval", "--json", "--model"]).arg(&run);
    assert_eq!(last_json(&succeed(&mut eval))["metrics"], trained["metrics"]);
    let mut predict = tfbert();
    predict.args(["predict", "The [MASK] sat.", "--model"]).arg(&run);
    let shown = last_json(&succeed(&mut predict));
    assert_eq!(shown["masks"][0].as_array().map(Vec::len), Some(5), "{shown}");

    // Without the head, the user learns of it.
    let mut train = tfbert();
    train.current_dir(dir.path()).args(["train", "--data", "notes.txt"]);
    let stderr = fail(&mut train);
    assert!(stderr.contains("`--head masked`"), "{stderr}");
}

#[test]
fn a_check_of_a_data_file_trains_nothing_and_finds_no_row_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    tickets(dir.path());
    let report = last_json(&succeed(on_tickets(dir.path(), &["data", "check"]).arg("--json")));
    let [train, dev] = [0, 1].map(|split| &report["splits"][split]);
    assert_eq!((&train["examples"], &dev["examples"]), (&48.into(), &12.into()));
    assert_eq!(dev["in_training"], 0);
    assert_eq!(dev["labels"][0]["count"], 6);
    assert!(!dir.path().join("runs").exists());
}

#[test]
fn what_the_file_does_not_tell_is_asked_with_its_columns_and_a_command() {
    let dir = tempfile::tempdir().unwrap();
    tickets(dir.path());
    let mut command = tfbert();
    let stderr = fail(command.current_dir(dir.path()).args(["train", "--data", "tickets.csv"]));
    assert!(stderr.contains("  subject: `Ticket 0`, `Ticket 1`, `Ticket 2`"), "{stderr}");
    assert!(
        stderr.contains("`tfbert train --data tickets.csv --text body --label team`"),
        "{stderr}"
    );
    let mut command = tfbert();
    let stderr = fail(command.args(["train", "--task", "tickets.csv"]));
    assert!(stderr.contains("tfbert train --data tickets.csv"), "{stderr}");
    let stderr = fail(on_tickets(dir.path(), &["train"]).args(["--dev", "none.csv"]));
    assert!(stderr.contains("none.csv: the development file is not there"), "{stderr}");
}
