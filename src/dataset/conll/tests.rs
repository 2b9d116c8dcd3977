use super::super::reader::read_all;
use super::*;
use crate::dataset::{Target, tag_scheme};
use crate::metric::MetricName;
use crate::task::{self, Scheme};

const NAMES: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

fn task() -> Task {
    let mut task = task::find("conll2003").unwrap();
    task.labels = Some(NAMES.map(str::to_owned).into());
    task
}

fn found_labels(task: &Task, split: &Split, path: &Path) -> Result<Vec<String>> {
    let counts = ConllReader::open(task, split, path, &Labels::default())?.count_labels()?;
    Ok(counts.into_keys().collect())
}

fn read_as(task: &Task, split: &Split, text: &str) -> Result<Vec<Example>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.txt");
    std::fs::write(&path, text).unwrap();
    let labels = match &task.labels {
        Some(names) => Labels::new(names.clone()),
        None => Labels::new(found_labels(task, split, &path)?),
    };
    read_all(ConllReader::open(task, split, &path, &labels)?)
}

fn read_train(text: &str) -> Result<Vec<Example>> {
    let task = task();
    read_as(&task, task.train.as_ref().unwrap(), text)
}

fn words(example: &Example) -> Vec<&str> {
    let Input::Words(words) = &example.input else { panic!("{example:?}") };
    words.iter().map(String::as_str).collect()
}

fn tags(example: &Example) -> Vec<&str> {
    let Some(Target::Tags(tags)) = &example.target else { panic!("{example:?}") };
    tags.iter().map(|&tag| NAMES[tag]).collect()
}

fn line_of(error: &Error) -> Option<usize> {
    error.place().unwrap().line
}

#[test]
fn sentences_are_cut_at_blank_lines_and_document_marks_are_no_words() {
    let examples = read_train(
        "-DOCSTART- -X- -X- O\n\nAda NNP I-NP B-PER\nruns VBZ I-VP O\n\n\n\
         -DOCSTART- O\n\nOslo NNP I-NP B-LOC\n-DOCSTART-\nAda NNP I-NP B-PER",
    )
    .unwrap();
    let lines: Vec<_> = examples.iter().map(|example| example.line).collect();
    assert_eq!(lines, [3, 9, 11]);
    assert_eq!(words(&examples[0]), ["Ada", "runs"]);
    assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
    assert_eq!(words(&examples[1]), ["Oslo"]);
    assert_eq!(words(&examples[2]), ["Ada"]);
}

#[test]
fn columns_may_be_separated_by_tabs_and_lines_end_as_on_windows() {
    let examples = read_train("Ada\tB-PER\r\nruns \t O\r\n \r\nOslo\tB-LOC\r\n").unwrap();
    assert_eq!(examples.len(), 2);
    assert_eq!(tags(&examples[0]), ["B-PER", "O"]);
}

#[test]
fn a_no_break_space_is_a_word() {
    let examples = read_train("\u{a0} O\nAda B-PER\n").unwrap();
    assert_eq!(words(&examples[0]), ["\u{a0}", "Ada"]);
}

#[test]
fn iob1_becomes_iob2_and_iob2_stays() {
    let iob1 = "a I-PER\nb I-PER\nc B-PER\nd I-LOC\ne O\nf I-LOC\n\ng I-LOC\n";
    let iob2 = "a B-PER\nb I-PER\nc B-PER\nd B-LOC\ne O\nf B-LOC\n\ng B-LOC\n";
    let (iob1, iob2) = (read_train(iob1).unwrap(), read_train(iob2).unwrap());
    assert_eq!(iob1, iob2);
    assert_eq!(tags(&iob1[0]), ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC"]);
    assert_eq!(tags(&iob1[1]), ["B-LOC"]);
}

#[test]
fn a_file_of_words_alone_has_no_targets() {
    let examples = read_train("Ada\nruns\n\nOslo\n").unwrap();
    assert!(examples.iter().all(|example| example.target.is_none()));
}

#[test]
fn a_line_with_too_few_columns_names_its_line_and_both_counts() {
    let error = read_train("Ada NNP B-PER\nruns O\n").unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("expected 3 columns as on line 1, found 2"), "{error}");
}

#[test]
fn an_unknown_tag_names_its_line_and_the_known_ones() {
    let error = read_train("Ada B-PER\nruns O\nJune I-DATE\n").unwrap_err();
    assert_eq!(line_of(&error), Some(3));
    assert!(error.what().contains("unknown label `B-DATE`; expected one of `O`"), "{error}");
}

#[test]
fn a_prefix_of_no_scheme_names_its_line_and_the_known_ones() {
    for tag in ["X-PER", "PER", "B-", "b-PER", "o", "-", "BPER"] {
        let error = read_train(&format!("Oslo O\nAda {tag}\n")).unwrap_err();
        assert_eq!(line_of(&error), Some(2), "{tag}");
        assert!(error.what().contains("expected `O`, `B-TYPE` or `I-TYPE`"), "{error}");
    }
}

#[test]
fn columns_are_where_the_task_says() {
    let mut task = task();
    task.columns.word = Some(Column::Index(1));
    task.columns.label = Some(Column::Index(2));
    let train = task.train.clone().unwrap();
    let examples = read_as(&task, &train, "1 Ada B-PER x\n2 runs O y\n").unwrap();
    assert_eq!(words(&examples[0]), ["Ada", "runs"]);
    assert_eq!(tags(&examples[0]), ["B-PER", "O"]);

    let error = read_as(&task, &train, "1 Ada\n").unwrap_err();
    assert_eq!(line_of(&error), Some(1));
    assert!(error.what().contains("tag in column 2 (counted from 0), found 2"), "{error}");

    let test = task.test[0].clone();
    let examples = read_as(&task, &test, "1 Ada\n2 runs\n").unwrap();
    assert_eq!(words(&examples[0]), ["Ada", "runs"]);
    assert_eq!(examples[0].target, None);
}

#[test]
fn a_column_by_name_is_refused_since_there_is_no_header() {
    let mut task = task();
    task.columns.label = Some(Column::Name("ner".into()));
    let error = read_as(&task, &task.train.clone().unwrap(), "Ada B-PER\n").unwrap_err();
    assert!(error.what().contains("no column `ner`"), "{error}");
}

#[test]
fn labels_found_in_the_file_hold_both_tags_of_every_type() {
    let (mut task, dir) = (task(), tempfile::tempdir().unwrap());
    let path = dir.path().join("train.txt");
    std::fs::write(&path, "Ada I-PER\nruns O\nOslo I-LOC\nFjord I-LOC\n").unwrap();
    let train = task.train.clone().unwrap();
    let found = found_labels(&task, &train, &path).unwrap();
    assert_eq!(found, ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]);

    std::fs::write(&path, "Ada NOUN\nruns VERB\n").unwrap();
    task.metrics = vec![MetricName::Accuracy];
    let found = found_labels(&task, &train, &path).unwrap();
    assert_eq!(found, ["NOUN", "VERB"]);

    std::fs::write(&path, "Ada\nruns\n").unwrap();
    let error = found_labels(&task, &train, &path).unwrap_err();
    assert!(error.what().contains("expected a column of tags"), "{error}");
    assert_eq!(line_of(&error), Some(1));
}

#[test]
fn what_follows_a_sentence_is_not_read_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.txt");
    std::fs::write(&path, "Ada B-PER\n\nruns badly\n").unwrap();
    let task = task();
    let labels = Labels::new(task.labels.clone().unwrap());
    let train = task.train.as_ref().unwrap();
    let mut reader = ConllReader::open(&task, train, &path, &labels).unwrap();
    assert!(reader.next_example().unwrap().is_some());
    assert!(reader.next_example().is_err());
}

#[test]
fn every_scheme_is_read_as_iob2_and_said() {
    let iob2 = read_train("a B-PER\nb I-PER\nc B-LOC\n").unwrap();
    let task = task();
    for (text, scheme) in [
        ("a B-PER\nb E-PER\nc S-LOC\n", Scheme::Bioes),
        ("a B-PER\nb L-PER\nc U-LOC\n", Scheme::Bilou),
        ("a I-PER\nb I-PER\nc I-LOC\n", Scheme::Iob1),
    ] {
        assert_eq!(read_train(text).unwrap(), iob2);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.txt");
        std::fs::write(&path, text).unwrap();
        let labels = Labels::new(task.labels.clone().unwrap());
        let train = task.train.as_ref().unwrap();
        let mut reader = ConllReader::open(&task, train, &path, &labels).unwrap();
        reader.next_example().unwrap();
        assert!(reader.repairs()[0].contains(scheme.name()), "{:?}", reader.repairs());
        assert_eq!(tag_scheme(&task, train, &path), Some(scheme));
    }
    let named = Task { scheme: Some(Scheme::Iob2), ..task };
    let error = read_as(&named, named.train.as_ref().unwrap(), "a B-PER\nb E-PER\n").unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("`scheme` is IOB2"), "{error}");
}

#[test]
fn comments_are_left_out_and_a_number_sign_may_be_a_word() {
    let text = "# id = 1\n# newdoc\n# text = # is O\n# O\nAda B-PER\n# O\n\n# text B-X\n# Oslo\n\
                Oslo B-LOC\n";
    let examples = read_train(text).unwrap();
    assert_eq!(words(&examples[0]), ["#", "Ada", "#"]);
    assert_eq!(words(&examples[1]), ["Oslo"]);
    assert_eq!(examples[1].line, 10);
}

#[test]
fn conllu_has_its_own_columns_and_words_may_hold_spaces() {
    let row =
        |id: &str, word: &str, tag: &str| format!("{id}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n");
    let text = [
        "# sent_id = 1\n".to_owned(),
        row("1-2", "du", "_"),
        row("1", "de", "ADP"),
        row("2", "10 000", "NUM"),
        row("2.1", "rien", "_"),
    ]
    .concat();
    let mut task = task();
    (task.labels, task.metrics) = (None, vec![MetricName::Accuracy]);
    let train = task.train.clone().unwrap();
    let examples = read_as(&task, &train, &text).unwrap();
    assert_eq!(words(&examples[0]), ["de", "10 000"]);
    assert_eq!(examples[0].target, Some(Target::Tags(vec![0, 1])));
    assert_eq!(examples[0].line, 3);
    task.columns.word = Some(Column::Index(3));
    let examples = read_as(&task, &train, &text).unwrap();
    assert_eq!(words(&examples[0]), ["ADP", "NUM"]);
}
