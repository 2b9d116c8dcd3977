use std::fs;
use std::path::PathBuf;

use super::super::reader::read_all;
use super::*;
use crate::task;

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn read_as(task: &Task, split: &Split, path: &Path, labels: &Labels) -> Result<Vec<Example>> {
    read_all(TableReader::open(task, split, path, labels)?)
}

fn read_sst2(text: &str) -> Result<Vec<Example>> {
    let task = task::find("sst2").unwrap();
    let (_dir, path) = file("train.tsv", text);
    let labels = Labels::new(task.labels.clone().unwrap());
    read_as(&task, task.train.as_ref().unwrap(), &path, &labels)
}

#[test]
fn quotes_in_tsv_are_ordinary_characters() {
    let examples = read_sst2("sentence\tlabel\n\"a \"\" fine film\t1\n").unwrap();
    let Input::Text { text, .. } = &examples[0].input else { panic!() };
    assert_eq!(text, "\"a \"\" fine film");
    assert_eq!(examples[0].target, Some(Target::Class(1)));
    assert_eq!(examples[0].line, 2);
}

#[test]
fn a_row_with_too_few_columns_names_its_line_and_both_counts() {
    let error = read_sst2("sentence\tlabel\ngood\t1\nbad\n").unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
    assert!(error.what().contains("expected 2 columns (sentence, label), found 1"), "{error}");
}

#[test]
fn an_unknown_label_names_its_line_and_the_known_ones() {
    let error = read_sst2("sentence\tlabel\ngood\t1\nbad\t2\n").unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
    assert!(error.what().contains("unknown label `2`; expected one of `0`, `1`"), "{error}");
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let error = read_sst2("text\tlabel\ngood\t1\n").unwrap_err();
    assert!(error.what().contains("no column `sentence`"), "{error}");
    assert!(error.to_string().contains("`text`, `label`"), "{error}");
}

#[test]
fn a_blank_line_between_rows_is_not_skipped() {
    let error = read_sst2("sentence\tlabel\ngood\t1\n\nbad\t0\n").unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let examples = read_sst2("\u{feff}sentence\tlabel\r\ngood\t1\r\n").unwrap();
    assert_eq!(examples.len(), 1);
    assert_eq!(examples[0].target, Some(Target::Class(1)));
}

#[test]
fn text_that_is_not_utf8_names_its_line() {
    let task = task::find("sst2").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.tsv");
    fs::write(&path, b"sentence\tlabel\nfine\t1\n\xff\xfe\t0\n").unwrap();
    let labels = Labels::new(task.labels.clone().unwrap());
    let error = read_as(&task, task.train.as_ref().unwrap(), &path, &labels).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
}

#[test]
fn a_score_that_is_no_number_names_its_line() {
    let task = task::find("stsb").unwrap();
    let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\tnan\n");
    let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
}

#[test]
fn a_score_outside_the_range_names_its_line_and_the_range() {
    let task = task::find("stsb").unwrap();
    let (_dir, path) = file("dev.tsv", "sentence1\tsentence2\tscore\na\tb\t5.1\n");
    let error = read_as(&task, &task.dev[0], &path, &Labels::default()).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(2));
    assert!(error.what().contains("`5.1`; expected a number from 0 to 5"), "{error}");
}

#[test]
fn json_lines_are_read_by_key() {
    let mut task = task::find("sst2").unwrap();
    task.format = crate::task::Format::Jsonl;
    let (_dir, path) =
        file("dev.jsonl", "{\"label\": 1, \"sentence\": \"so \\\"good\\\"\", \"x\": [1]}\n");
    let labels = Labels::new(task.labels.clone().unwrap());
    let examples = read_as(&task, &task.dev[0], &path, &labels).unwrap();
    assert_eq!(examples[0].input, Input::Text { text: "so \"good\"".into(), text_pair: None });
    assert_eq!(examples[0].target, Some(Target::Class(1)));
}

fn builtin(name: &str, text: &str) -> Result<(Vec<Example>, Vec<String>)> {
    let task = task::find(name).unwrap();
    let (_dir, path) = file("train.tsv", text);
    let labels = Labels::new(task.labels.clone().unwrap_or_default());
    let mut reader = TableReader::open(&task, task.train.as_ref().unwrap(), &path, &labels)?;
    let mut examples = Vec::new();
    while let Some(example) = reader.next_example()? {
        examples.push(example);
    }
    Ok((examples, reader.repairs()))
}

const QQP: &str = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";

#[test]
fn rows_of_qqp_that_a_line_feed_cuts_in_two_are_put_together_and_counted() {
    let text = format!(
        "{QQP}0\t1\t2\ta?\tb?\t0\n\
         1\t3\t4\t\"Was it\n\tWas it there?\t1\n\
         2\t5\t6\tone\n\ntwo\tthree\t0\n\
         3\t7\t8\tc?\td?\t1\n"
    );
    let (examples, repairs) = builtin("qqp", &text).unwrap();
    let lines: Vec<_> = examples.iter().map(|example| example.line).collect();
    assert_eq!(lines, [2, 3, 5, 8]);
    let text_of = |i: usize| match &examples[i].input {
        Input::Text { text, text_pair } => (text.clone(), text_pair.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(text_of(1), ("\"Was it\n".into(), "Was it there?".into()));
    assert_eq!(text_of(2), ("one\n\ntwo".into(), "three".into()));
    assert_eq!(examples[1].target, Some(Target::Class(1)));
    assert_eq!(repairs, ["2 rows put together that a line feed cuts in two, the first on line 3"]);
}

#[test]
fn a_row_of_qqp_that_the_next_line_does_not_complete_is_an_error() {
    let whole = "3\t7\t8\tc?\td?\t1\n";
    for (cut, what) in [
        (format!("1\t3\t4\n{whole}"), "expected 6 columns, found 3, and the next line"),
        (format!("1\t3\t4\tx\n\ta\tb\tc\td\n{whole}"), "found 4, and the next line"),
        ("1\t3\t4\tx\n".to_owned(), "found 4"),
    ] {
        let error = builtin("qqp", &format!("{QQP}{whole}{cut}")).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3), "{error}");
        assert!(error.what().contains(what), "{error}");
    }
    // Other tasks put nothing together.
    assert!(builtin("sst2", "sentence\tlabel\ngood\n\t1\n").is_err());
}

#[test]
fn rows_of_mnli_whose_annotators_do_not_agree_are_left_out_and_counted() {
    let text = "sentence1\tsentence2\tgold_label\na\tb\tneutral\nc\td\t-\ne\tf\tentailment\n";
    let (examples, repairs) = builtin("mnli", text).unwrap();
    let ids: Vec<_> = examples.iter().map(|example| example.id.as_str()).collect();
    assert_eq!(ids, ["0", "2"]);
    assert_eq!(repairs, ["1 row left out whose label is `-` (no agreement)"]);
}

#[test]
fn files_as_published_with_other_columns_are_read_by_name() {
    // SWAG has columns on where its endings come from, a first one without a name.
    let swag = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,\
                ending3,label\n0,v,1,He sat. He,He sat.,He,gold,a,b,c,d,2\n";
    let task = task::find("swag").unwrap();
    let (_dir, path) = file("train.csv", swag);
    let examples = read_as(&task, task.train.as_ref().unwrap(), &path, &Labels::default()).unwrap();
    assert_eq!(examples[0].target, Some(Target::Class(2)));
}

#[test]
fn a_header_on_a_file_whose_columns_are_positions_is_pointed_out() {
    let error = builtin("cola", "source\tlabel\tmark\tsentence\ngj\t1\t\tHe ran.\n").unwrap_err();
    assert!(error.what().contains("unknown label `label`"), "{error}");
    assert!(error.hint_text().unwrap().contains("if the first line is a header"), "{error}");

    let mut task = task::find("cola").unwrap();
    task.labels = None;
    let (_dir, path) = file("train.tsv", "source\tLabel\tmark\tsentence\ngj\t1\t\tHe ran.\n");
    let labels = Labels::default();
    let train = task.train.as_ref().unwrap();
    let error =
        TableReader::open(&task, train, &path, &labels).unwrap().count_labels().unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(1));
    assert!(error.what().contains("the first line's label is `Label`"), "{error}");

    // A test file without labels.
    task.test[0].columns =
        Some(Columns { text: Some(Column::Index(1).into()), ..Columns::default() });
    let (_dir, path) = file("test.tsv", "id\tsentence\n0\tHe ran.\n");
    let error = read_as(&task, &task.test[0], &path, &labels).unwrap_err();
    assert!(error.what().contains("the first line's text is `sentence`"), "{error}");
}

#[test]
fn a_label_that_is_null_is_not_reported_as_missing() {
    let mut task = task::find("sst2").unwrap();
    task.format = crate::task::Format::Jsonl;
    let labels = Labels::new(task.labels.clone().unwrap());
    for (row, what) in [
        ("{\"label\": null, \"sentence\": \"a\"}\n", "`label` is null; expected text or a number"),
        ("{\"sentence\": \"a\"}\n", "no key `label` in it; expected text or a number"),
    ] {
        let (_dir, path) = file("dev.jsonl", row);
        let error = read_as(&task, &task.dev[0], &path, &labels).unwrap_err();
        assert_eq!(error.what(), what);
    }
}

#[test]
fn messages_on_long_lines_stay_short() {
    let long = "x".repeat(100_000);
    let found = [
        builtin("sst2", &format!("sentence\tlabel\na\t{long}\n")).unwrap_err(),
        builtin("sst2", &format!("{}\n", vec!["name"; 5000].join("\t"))).unwrap_err(),
        builtin("sst2", &format!("{long}\n")).unwrap_err(),
        builtin("stsb", &format!("sentence1\tsentence2\tscore\na\tb\t{long}\n")).unwrap_err(),
    ];
    for error in found {
        assert!(error.to_string().len() < 1000, "{}", error.to_string().len());
    }
}

#[test]
fn json_that_ends_early_names_its_line() {
    let mut task = task::find("sst2").unwrap();
    task.format = crate::task::Format::Jsonl;
    let (_dir, path) = file("dev.jsonl", "{\"label\": 1, \"sentence\": \"a\"}\n{\"label\": ");
    let labels = Labels::new(task.labels.clone().unwrap());
    let error = read_as(&task, &task.dev[0], &path, &labels).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(2));
}

/// A task with any number of labels in a row, with these columns and options.
fn multilabel(format: &str, columns: &str, options: &str) -> Task {
    let (_dir, path) = file(
        "task.json",
        &format!(
            r#"{{"name": "t", "head": "multilabel", "format": "{format}", "columns": {columns},
                "train": {{"name": "train", "file": "t"}}, "test": [{{"name": "test", "file": "u"}}],
                "metrics": ["micro_f1"]{options}}}"#
        ),
    );
    task::load(&path).unwrap()
}

/// The labels of the file and the sets of its rows.
fn read_sets(task: &Task, text: &str) -> Result<(Vec<String>, Vec<Vec<usize>>)> {
    let (_dir, path) = file("train", text);
    let train = task.train.as_ref().unwrap();
    let found = TableReader::open(task, train, &path, &Labels::default())?.count_labels()?;
    let names: Vec<String> = task.listed_labels().unwrap_or(found.into_keys().collect());
    let labels = Labels::new(names.clone());
    let sets = read_as(task, train, &path, &labels)?.into_iter().map(|example| {
        let Some(Target::Labels { labels, of }) = example.target else { panic!("{example:?}") };
        assert_eq!(of, names.len());
        labels
    });
    Ok((names.clone(), sets.collect()))
}

#[test]
fn any_number_of_labels_stands_in_a_list_or_in_a_column_or_in_a_column_for_each() {
    let one_column = r#"{"text": "text", "label": "topics"}"#;
    let json = "{\"text\": \"a\", \"topics\": [\"b\", \"a\"]}\n{\"text\": \"b\", \"topics\": []}\n";
    let (names, sets) = read_sets(&multilabel("jsonl", one_column, ""), json).unwrap();
    assert_eq!((names, sets), (vec!["a".into(), "b".into()], vec![vec![1, 0], vec![]]));

    let piped = multilabel("csv", one_column, r#", "label_separator": "|""#);
    let (names, sets) = read_sets(&piped, "text,topics\na,x | y\nb,\nc,\"y, z\"\n").unwrap();
    assert_eq!(names, ["x", "y", "y, z"]);
    assert_eq!(sets, [vec![0, 1], vec![], vec![2]]);

    let each = multilabel("tsv", r#"{"text": "text", "labels": ["toxic", "rude"]}"#, "");
    let (names, sets) = read_sets(&each, "rude\ttext\ttoxic\n1\ta\t0\n1\tb\t1\n0\tc\t0\n").unwrap();
    assert_eq!(names, ["toxic", "rude"], "in the order of the columns");
    assert_eq!(sets, [vec![1], vec![0, 1], vec![]]);
}

#[test]
fn a_row_of_labels_that_cannot_be_read_names_its_line() {
    let each = multilabel("csv", r#"{"text": "text", "labels": ["toxic", "rude"]}"#, "");
    let error = read_sets(&each, "text,toxic,rude\na,0,1\nb,0,2\n").unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(3));
    assert!(error.what().contains("`rude` holds `2`"), "{error}");
    let listed =
        multilabel("jsonl", r#"{"text": "text", "label": "l"}"#, r#", "labels": ["a", "b"]"#);
    let error = read_sets(&listed, "{\"text\": \"a\", \"l\": [\"c\"]}\n").unwrap_err();
    assert!(error.what().contains("unknown label `c`; expected one of `a`, `b`"), "{error}");
    let error = read_sets(&listed, "{\"text\": [\"a\"], \"l\": [\"a\"]}\n").unwrap_err();
    assert!(error.what().contains("`text` is neither text nor a number"), "{error}");
}

#[test]
fn a_test_file_may_leave_the_labels_out() {
    for (columns, text) in [
        (r#"{"text": "text", "labels": ["toxic", "rude"]}"#, "{\"text\": \"a\"}\n"),
        (r#"{"text": "text", "label": "l"}"#, "{\"text\": \"a\", \"l\": null}\n"),
    ] {
        let task = multilabel("jsonl", columns, "");
        let (_dir, path) = file("test", text);
        let examples = read_as(&task, &task.test[0], &path, &Labels::default()).unwrap();
        assert_eq!(examples[0].target, None);
    }
}
