use super::*;
use crate::dataset::DataSource;

/// Writes a file and makes a task of it.
fn inferred(name: &str, text: &str, say: impl Fn(&mut DataFile<'_>)) -> Result<Inferred> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let mut file = DataFile::new(&path);
    say(&mut file);
    let found = infer(&file)?;
    // What was found is a task file that reads the file.
    let json = serde_json::to_string(&Inferred::task_file(&found.task)?).unwrap();
    let task_path = dir.path().join("task.json");
    std::fs::write(&task_path, json).unwrap();
    let task = task::load(&task_path).unwrap();
    let labels = Labels::of_task(&task, Path::new("/elsewhere")).unwrap();
    for split in task.splits() {
        let source =
            DataSource { task: &task, split, data_dir: dir.path(), labels: &labels, limit: None };
        assert!(source.read()?.examples.iter().all(|example| example.target.is_some()));
    }
    Ok(found)
}

fn named(name: &str) -> Option<TextColumns> {
    Some(Column::Name(name.into()).into())
}

/// Rows of a table with this header, 20 of each label.
fn rows(header: &str, row: impl Fn(usize) -> String) -> String {
    let rows: Vec<String> = (0..40).map(row).collect();
    format!("{header}\n{}\n", rows.join("\n"))
}

fn tickets() -> String {
    rows("id;subject;body;team", |i| format!("{i};Re {i};\"it; broke {i}\";{}", ["a", "b"][i % 2]))
}

#[test]
fn named_columns_of_a_table_with_semicolons_are_a_task_that_classifies() {
    let (text, label) = (["subject", "body"].map(String::from), ["team".to_owned()]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tickets.csv");
    std::fs::write(&path, tickets()).unwrap();
    let file = DataFile { text: &text, label: &label, ..DataFile::new(&path) };
    let Inferred { task, summary } = infer(&file).unwrap();
    assert_eq!((task.name.as_str(), task.head), ("tickets", Head::Classify));
    assert_eq!(task.columns.text.as_ref().unwrap().columns().len(), 2);
    for part in ["separated by `;`", "`subject` + `body`", "2 different texts", "20% of its rows"] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let labels = Labels::of_task(&task, Path::new("")).unwrap();
    let read = |split| {
        DataSource { task: &task, split, data_dir: Path::new(""), labels: &labels, limit: None }
            .read()
            .unwrap()
            .examples
    };
    let (train, dev) = (read(task.train.as_ref().unwrap()), read(&task.dev[0]));
    assert_eq!((train.len(), dev.len()), (32, 8));
    let class =
        |label: usize| dev.iter().filter(|e| e.target == Some(Target::Class(label))).count();
    assert_eq!((class(0), class(1)), (4, 4));
    assert!(dev.iter().all(|example| !train.iter().any(|other| other.id == example.id)));
    let crate::dataset::Input::Text { text, .. } = &train[0].input else { panic!() };
    assert!(text.starts_with("Re ") && text.contains(" it; broke "), "{text}");
}

#[test]
fn the_head_follows_from_the_values_of_the_label() {
    let of = |row: fn(usize) -> String| {
        let found = inferred("t.csv", &rows("sentence,label", row), |_| {}).unwrap();
        (found.task.head, found.task.metrics)
    };
    let (head, metrics) = of(|i| format!("text {i},{}", ["yes", "no"][i % 2]));
    assert_eq!((head, metrics[0]), (Head::Classify, MetricName::Accuracy));
    assert_eq!(of(|i| format!("text {i},{}", i % 2)).0, Head::Classify);
    assert_eq!(of(|i| format!("text {i},{}", i % 5)).0, Head::Classify);
    let (head, metrics) = of(|i| format!("text {i},{}.5", i % 5));
    assert_eq!((head, metrics[0]), (Head::Regress, MetricName::Pearson));
    assert_eq!(of(|i| format!("text {i},{i}")).0, Head::Regress);
    let said = inferred("t.csv", &rows("text,label", |i| format!("t {i},{}", i % 2)), |file| {
        file.head = Some(Head::Regress);
    });
    assert_eq!(said.unwrap().task.head, Head::Regress);
}

#[test]
fn columns_are_found_by_their_names() {
    let pair = rows("pairID,Sentence1,Sentence2,gold_label", |i| {
        format!("{i},a {i},b {i},{}", ["x", "y"][i % 2])
    });
    let task = inferred("t.csv", &pair, |_| {}).unwrap().task;
    assert_eq!(
        (task.columns.text, task.columns.text_pair),
        (named("Sentence1"), named("Sentence2"))
    );
    let label = ["team".to_owned()];
    let one = rows("id,words of a person,team", |i| {
        format!("{i},one two three {i},{}", ["x", "y"][i % 2])
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, one).unwrap();
    let file = DataFile { label: &label, ..DataFile::new(&path) };
    assert_eq!(infer(&file).unwrap().task.columns.text, named("words of a person"));
}

#[test]
fn json_of_every_form_is_a_task() {
    let object =
        |i: usize| format!("{{\"text\": \"t {i}\", \"label\": \"{}\"}}", ["x", "y"][i % 2]);
    let objects: Vec<String> = (0..40).map(object).collect();
    let lines = inferred("t.json", &objects.join("\n"), |_| {}).unwrap().task;
    assert_eq!((lines.format, lines.head), (Format::Jsonl, Head::Classify));
    let list = inferred("t.json", &format!("[{}]", objects.join(",\n")), |_| {}).unwrap().task;
    assert_eq!((list.format, list.head), (Format::Json, Head::Classify));
    let question = |i: usize| {
        format!(
            "{{\"question\": \"who {i}?\", \"context\": \"Ada {i}\", \"answers\": {{\"text\": [{0}], \
             \"answer_start\": [{1}]}}}}\n",
            if i == 7 { "" } else { "\"Ada\"" },
            if i == 7 { "" } else { "0" },
        )
    };
    let rows: String = (0..40).map(question).collect();
    let found = inferred("t.jsonl", &rows, |_| {}).unwrap();
    assert_eq!((found.task.head, found.task.version_2_with_negative), (Head::Span, true));
    assert!(found.summary.contains("1 of them without an answer"), "{}", found.summary);
    assert_eq!(found.task.defaults.max_length, 384);
}

#[test]
fn tagged_words_are_entities_or_tags_that_stand_for_themselves() {
    let sentence = |i: usize| format!("Ada{i} B-PER\nruns O\n\n");
    let text: String = (0..20).map(sentence).collect();
    let found = inferred("t.conll", &text, |_| {}).unwrap();
    assert_eq!((found.task.head, found.task.metrics[0]), (Head::Tag, MetricName::F1));
    let text: String = (0..20).map(|i| format!("Ada{i} NOUN\nruns VERB\n\n")).collect();
    let found = inferred("t.conll", &text, |_| {}).unwrap();
    assert_eq!(found.task.metrics, [MetricName::Accuracy]);
    let text: String = (0..20).map(|i| format!("Ada{i} X-PER\nruns O\n\n")).collect();
    let error = inferred("t.conll", &text, |_| {}).unwrap_err();
    assert!(error.what().contains("X-PER"), "{error}");
}

#[test]
fn columns_that_are_not_known_are_answered_with_the_command_to_type() {
    let text =
        rows("id,what they wrote,team", |i| format!("{i},one two three {i},{}", ["x", "y"][i % 2]));
    let error = inferred("t.csv", &text, |_| {}).unwrap_err();
    assert!(error.what().contains("do not tell which are text and label"), "{error}");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("--text 'what they wrote' --label team`"), "{hint}");
}

#[test]
fn what_is_said_of_a_file_that_it_does_not_have_is_refused() {
    let label = ["Team".to_owned()];
    let error = inferred("t.csv", &tickets(), |file| file.text = &[]).unwrap_err();
    assert!(error.hint_text().unwrap().contains("tfbert train --data"), "{error}");
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("t.csv");
    assert!(inferred("t.csv", "", |_| {}).unwrap_err().what().contains("it is empty"));
    let columns = [FileColumn::for_test("team")];
    let error = column(&label[0], &columns, &path).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean `team`?"));
    assert_eq!(column("2", &columns, &path).unwrap(), Column::Index(2));
}

#[test]
fn a_column_of_different_texts_is_no_label() {
    let text = rows("text,label", |i| format!("a {i},b {i}"));
    let error = inferred("t.csv", &text, |_| {}).unwrap_err();
    assert!(error.what().contains("40 different values in 40 rows"), "{error}");
    let text = rows("text;label", |i| format!("a {i};{i},5"));
    let error = inferred("t.csv", &text, |_| {}).unwrap_err();
    assert!(error.hint_text().unwrap().contains("decimal comma"), "{error}");
}

#[test]
fn lists_and_several_columns_of_labels_are_any_number_of_labels() {
    let object = |i: usize| {
        let list = ["[\"x\"]", "[\"x\", \"y\"]", "[]"][i % 3];
        format!("{{\"text\": \"t {i}\", \"labels\": {list}}}\n")
    };
    let text: String = (0..40).map(object).collect();
    let found = inferred("t.jsonl", &text, |_| {}).unwrap();
    assert_eq!((found.task.head, found.task.metrics[0]), (Head::Multilabel, MetricName::MicroF1));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, rows("text,x,y", |i| format!("t {i},{},{}", i % 2, i % 3 / 2))).unwrap();
    let label = ["x", "y"].map(String::from);
    let mut file = DataFile { label: &label, ..DataFile::new(&path) };
    let task = infer(&file).unwrap().task;
    assert_eq!((task.head, task.columns.labels.len()), (Head::Multilabel, 2));
    file.head = Some(Head::Classify);
    assert!(infer(&file).unwrap_err().what().contains("several are for `multilabel`"));
}

#[test]
fn plain_text_is_for_hidden_words_and_its_texts_are_lines_or_paragraphs() {
    let text: String = (0..40).map(|i| format!("one, {i}\ntwo {i}\n\n")).collect();
    let Inferred { task, summary } =
        inferred("notes.txt", &text, |file| file.head = Some(Head::Masked)).unwrap();
    assert_eq!((task.format, task.sample_by), (Format::Text, SampleBy::Line));
    assert!(summary.contains("each line is a text"), "{summary}");
    assert!(summary.contains("20% of its texts"), "{summary}");
    let paragraphs = |file: &mut DataFile<'_>| {
        file.head = Some(Head::Masked);
        file.sample_by = Some(SampleBy::Paragraph);
    };
    let found = inferred("notes.csv", &text, paragraphs).unwrap();
    assert_eq!((found.task.format, found.task.sample_by), (Format::Text, SampleBy::Paragraph));
    let refused = |say: &dyn Fn(&mut DataFile<'_>)| inferred("notes.txt", &text, say).unwrap_err();
    let error = refused(&|file| file.sample_by = Some(SampleBy::Paragraph));
    assert_eq!(error.hint_text(), Some("add `--head masked`"));
    let error = refused(&|file| {
        file.head = Some(Head::Masked);
        file.delimiter = Some(';');
    });
    assert!(
        error.what().contains("`--delimiter ;` is for CSV; this file has plain text"),
        "{error}"
    );
    let (dir, label) = (tempfile::tempdir().unwrap(), ["label".to_owned()]);
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, &text).unwrap();
    let file = DataFile { label: &label, head: Some(Head::Masked), ..DataFile::new(&path) };
    let error = infer(&file).unwrap_err();
    assert!(error.what().contains("plain text has no columns"), "{error}");
}

#[test]
fn tags_that_are_numbers_are_taken_as_they_are_and_the_user_learns_how_to_name_them() {
    let row =
        |i: usize| format!(r#"{{"tokens": ["Anna {i}", "left"], "ner_tags": [{0}, {0}]}}"#, i % 2);
    let text: Vec<String> = (0..80).map(row).collect();
    let found = inferred("names.jsonl", &text.join("\n"), |_| ()).unwrap();
    assert_eq!((found.task.head, found.task.metrics), (Head::Tag, vec![MetricName::Accuracy]));
    assert!(found.summary.contains("`ner_tags` are numbers"), "{}", found.summary);
    assert!(found.summary.contains("`\"label_names\": [\"O\", …]`"), "{}", found.summary);
}
