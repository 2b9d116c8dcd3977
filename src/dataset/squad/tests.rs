use std::io::Write;

use super::super::reader::read_all;
use super::*;
use crate::dataset::{Answer, Target};
use crate::task::{Repairs, find};

/// A task whose misplaced answers are errors.
fn task(name: &str) -> Task {
    Task { repairs: Repairs::default(), ..find(name).unwrap() }
}

fn read_text(name: &str, text: impl AsRef<[u8]>, limit: usize) -> Result<Vec<Example>> {
    let task = task(name);
    read_split(&task, task.train.as_ref().unwrap(), text.as_ref(), limit)
}

fn read_split(task: &Task, split: &Split, text: &[u8], limit: usize) -> Result<Vec<Example>> {
    let mut file = tempfile::Builder::new().prefix("squad").suffix(".json").tempfile().unwrap();
    file.write_all(text).unwrap();
    let mut reader = SquadReader::open(task, split, file.path())?;
    let mut examples = Vec::new();
    while examples.len() < limit
        && let Some(example) = reader.next_example()?
    {
        examples.push(example);
    }
    Ok(examples)
}

/// A test split of the task, whose questions may lack answers.
fn read_as_test(name: &str, text: &str) -> Result<Vec<Example>> {
    let mut task = task(name);
    let split = Split { name: "test".into(), ..task.dev[0].clone() };
    task.test = vec![split.clone()];
    read_split(&task, &split, text.as_bytes(), usize::MAX)
}

/// A file with one paragraph, a line for each question.
fn paragraph(context: &str, questions: &[&str]) -> String {
    format!(
        "{{\"data\": [{{\"title\": \"t\", \"paragraphs\": [\n{{\"qas\": [\n{}\n], \"context\": {}}}]}}]}}",
        questions.join(",\n"),
        serde_json::to_string(context).unwrap()
    )
}

fn question(id: &str, rest: &str) -> String {
    format!("{{\"question\": \"Who?\", \"id\": \"{id}\"{rest}}}")
}

fn answer(text: &str, start: i64) -> String {
    format!(", \"answers\": [{{\"answer_start\": {start}, \"text\": \"{text}\"}}]")
}

fn one(name: &str, context: &str, rest: &str) -> Result<Vec<Example>> {
    read_text(name, paragraph(context, &[&question("q1", rest)]), usize::MAX)
}

fn failure(result: Result<Vec<Example>>) -> (String, usize, String) {
    let error = result.unwrap_err();
    let line = error.place().and_then(|place| place.line).expect("a line");
    (error.what().to_owned(), line, error.hint_text().unwrap_or("").to_owned())
}

#[test]
fn the_questions_of_a_paragraph_share_its_context() {
    let text = paragraph(
        "Käthe flew.",
        &[&question("a", &answer("flew", 6)), &question("b", &answer("Käthe", 0))],
    );
    let examples = read_text("squad", text, usize::MAX).unwrap();
    assert_eq!(examples.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(examples.iter().map(|e| e.line).collect::<Vec<_>>(), [3, 4]);
    let [Input::Question { context: first, .. }, Input::Question { context: second, .. }] =
        [&examples[0].input, &examples[1].input]
    else {
        panic!("questions")
    };
    assert!(Arc::ptr_eq(first, second));
    assert_eq!(
        examples[0].target,
        Some(Target::Answers(vec![Answer { text: "flew".into(), start: 6 }]))
    );
}

#[test]
fn a_byte_order_mark_and_unknown_keys_are_passed_over() {
    let rest = format!(", \"plausible_answers\": [[[{{}}]]]{}", answer("moon", 4));
    let text = format!("\u{feff}{}", paragraph("the moon", &[&question("a", &rest)]));
    assert_eq!(read_text("squad", text, usize::MAX).unwrap().len(), 1);
}

#[test]
fn reading_stops_at_the_limit_and_does_not_look_further() {
    let text = paragraph("moon", &[&question("a", &answer("moon", 0))]);
    let cut = text.rfind("]}]}").unwrap();
    let text = format!("{}, this is no JSON", &text[..cut]);
    assert_eq!(read_text("squad", &text, 1).unwrap().len(), 1);
    assert!(read_text("squad", &text, 2).is_err());
}

#[test]
fn an_answer_beside_its_offset_says_what_stands_there() {
    let (what, line, hint) = failure(one("squad", "über den Mond", &answer("Mond", 10)));
    assert_eq!(
        what,
        "question `q1`: the answer `Mond` does not stand at its `answer_start` 10: `ond` stands there"
    );
    assert_eq!(line, 3);
    assert!(hint.starts_with("it stands at 9; "), "{hint}");
}

#[test]
fn an_offset_outside_the_context_says_how_long_that_is() {
    for start in [-1, 14, i64::MAX, i64::MIN] {
        let (what, ..) = failure(one("squad", "über den Mond", &answer("Mond", start)));
        assert!(what.ends_with("the context has 13 characters"), "{what}");
    }
    let (_, _, hint) = failure(one("squad", "über den Mond", &answer("Sun", 0)));
    assert_eq!(hint, "the context does not hold this text");
}

#[test]
fn offsets_count_characters_outside_the_basic_plane_once() {
    assert!(one("squad", "\u{1f680} zum Mond", &answer("Mond", 6)).is_ok());
}

#[test]
fn json_that_ends_early_names_the_question_and_the_line() {
    let text = paragraph("the moon", &[&question("q1", &answer("moon", 4)), &question("q2", "")]);
    let inside = text.find("\"q2\"").unwrap() + 4;
    let (what, line, _) = failure(read_text("squad", &text[..inside], usize::MAX));
    assert!(what.starts_with("question `q2`: the JSON ends early"), "{what}");
    assert_eq!(line, 4);
    let after = text.find(",\n").unwrap() + 1;
    let (what, ..) = failure(read_text("squad", &text[..after], usize::MAX));
    assert!(what.starts_with("after question `q1`: the JSON ends early"), "{what}");
    let (what, line, _) = failure(read_text("squad", "", usize::MAX));
    assert!(what.starts_with("the JSON ends early"), "{what}");
    assert_eq!(line, 1);
}

#[test]
fn no_cut_of_a_file_is_read_as_a_whole_one() {
    let text = paragraph("die Möwe", &[&question("q1", &answer("Möwe", 4))]);
    for end in 0..text.len() {
        let result = read_text("squad", &text.as_bytes()[..end], usize::MAX);
        let error = result.expect_err("a cut file").to_string();
        assert!(error.contains("ends early") || error.contains("not JSON"), "{end}: {error}");
    }
    assert!(read_text("squad", &text, usize::MAX).is_ok());
}

#[test]
fn broken_json_names_line_and_column() {
    let text = paragraph("moon", &[&question("q1", ", \"answers\": [} ]")]);
    let (what, line, hint) = failure(read_text("squad", text, usize::MAX));
    assert!(what.starts_with("question `q1`: it is not JSON: "), "{what}");
    assert!(what.contains("(column "), "{what}");
    assert_eq!(line, 3);
    assert_eq!(hint, FORM);
    let text = paragraph("moon", &[&question("q1", &answer("moon", 0))]) + "\n\n{";
    let (what, line, _) = failure(read_text("squad", text, usize::MAX));
    assert_eq!((what.contains("trailing characters"), line), (true, 6), "{what}");
}

#[test]
fn bytes_that_are_not_unicode_are_refused() {
    let mut text = paragraph("moon", &[&question("q1", &answer("moon", 0))]).into_bytes();
    let at = text.windows(4).position(|four| four == b"Who?").unwrap();
    text[at] = 0xff;
    let (what, line, _) = failure(read_text("squad", text, usize::MAX));
    assert!(what.contains("is not UTF-8"), "{what}");
    assert_eq!(line, 3);
    let (what, ..) = failure(one("squad", "moon", ", \"answers\": [{\"text\": \"\\ud83d\"}]"));
    assert!(what.contains("question `q1`"), "{what}");
}

#[test]
fn a_missing_key_is_named_with_its_object() {
    for (text, expected) in [
        ("{\"version\": \"1.1\"}".to_owned(), "the file has no key `data`"),
        ("{\"data\": [{\"title\": \"t\"}]}".to_owned(), "the article has no key `paragraphs`"),
        (
            "{\"data\": [{\"paragraphs\": [{\"qas\": []}]}]}".to_owned(),
            "the paragraph has no key `context`",
        ),
        (
            paragraph("moon", &["{\"id\": \"q1\"}"]),
            "question `q1`: the question has no key `question`",
        ),
        (paragraph("moon", &["{\"question\": \"Who?\"}"]), "the question has no key `id`"),
        (
            paragraph("moon", &[&question("q1", "")]),
            "question `q1`: the question has no key `answers`",
        ),
        (
            paragraph("moon", &[&question("q1", ", \"answers\": [{\"text\": \"moon\"}]")]),
            "question `q1`: the answer has no key `answer_start`",
        ),
    ] {
        let (what, _, hint) = failure(read_text("squad", &text, usize::MAX));
        assert_eq!(what, expected);
        assert_eq!(hint, FORM);
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let (what, ..) = failure(one("squad", "moon", ", \"id\": \"other\""));
    assert_eq!(what, "question `q1`: the question has `id` twice");
    let text = "{\"data\": [], \"data\": []}";
    assert_eq!(failure(read_text("squad", text, usize::MAX)).0, "the file has `data` twice");
}

#[test]
fn a_value_of_another_kind_names_its_key() {
    let (what, ..) = failure(one("squad", "moon", ", \"answers\": [{\"answer_start\": \"0\"}]"));
    assert!(what.starts_with("question `q1`: `answer_start`: invalid type: string"), "{what}");
    let (what, ..) = failure(one("squad", "moon", ", \"answers\": null"));
    assert!(what.contains("expected a list with an object for each answer"), "{what}");
    let (what, ..) = failure(read_text("squad", "[]", usize::MAX));
    assert_eq!(what, "invalid type: sequence, expected an object for the file");
    let (what, ..) = failure(read_text("squad", paragraph("moon", &["{\"id\": 5}"]), usize::MAX));
    assert_eq!(what, "`id`: invalid type: integer `5`, expected a string");
}

#[test]
fn an_id_that_comes_twice_names_both_lines() {
    let text = paragraph(
        "moon",
        &[&question("q1", &answer("moon", 0)), &question("q1", &answer("moon", 0))],
    );
    let (what, line, _) = failure(read_text("squad", text, usize::MAX));
    assert_eq!(what, "question `q1`: its `id` was taken before, on line 3");
    assert_eq!(line, 4);
}

#[test]
fn an_empty_context_or_answer_is_refused() {
    let (what, line, _) = failure(one("squad", " \n", &answer("moon", 0)));
    assert_eq!(what, "the paragraph's `context` is empty (question `q1`)");
    assert_eq!(line, 2);
    let (what, ..) = failure(one("squad", "moon", &answer("", 0)));
    assert_eq!(what, "question `q1`: an answer's `text` is empty");
}

#[test]
fn version_1_1_wants_an_answer_to_every_question() {
    let (what, _, hint) = failure(one("squad", "moon", ", \"answers\": []"));
    assert_eq!(what, "question `q1`: `answers` is empty; expected an answer");
    assert!(hint.contains("squad2"));
    let (what, _, hint) =
        failure(one("squad", "moon", ", \"is_impossible\": true, \"answers\": []"));
    assert_eq!(
        what,
        "question `q1`: `is_impossible` is true, but task `squad` has no questions without an answer"
    );
    assert!(hint.contains("--task squad2"));
    let answerable = format!(", \"is_impossible\": false{}", answer("moon", 0));
    assert!(one("squad", "moon", &answerable).is_ok());
}

#[test]
fn version_2_0_keeps_questions_without_an_answer() {
    for rest in [
        ", \"is_impossible\": true, \"answers\": []",
        ", \"is_impossible\": true",
        ", \"answers\": []",
    ] {
        let examples = one("squad2", "moon", rest).unwrap();
        assert_eq!(examples[0].target, Some(Target::Answers(Vec::new())), "{rest}");
    }
    let contradiction = format!(", \"is_impossible\": true{}", answer("moon", 0));
    let (what, ..) = failure(one("squad2", "moon", &contradiction));
    assert_eq!(what, "question `q1`: `is_impossible` is true, but `answers` has 1");
    let (what, ..) = failure(one("squad2", "moon", ", \"is_impossible\": false, \"answers\": []"));
    assert_eq!(what, "question `q1`: `answers` is empty, but `is_impossible` is false");
}

#[test]
fn a_test_file_may_leave_answers_out() {
    for name in ["squad", "squad2"] {
        let text = paragraph("moon", &[&question("q1", "")]);
        assert_eq!(read_as_test(name, &text).unwrap()[0].target, None);
        let text = paragraph("moon", &[&question("q1", &answer("moon", 1))]);
        assert!(read_as_test(name, &text).is_err(), "answers that are there are checked");
    }
}

proptest::proptest! {
    #[test]
    fn no_input_makes_the_reader_panic(text: String, bytes: Vec<u8>, cut: u16, at: u16, byte: u8) {
        let _ = read_text("squad2", &text, usize::MAX);
        let _ = read_text("squad2", &bytes, usize::MAX);
        let mut valid = paragraph("die Möwe", &[&question("q1", &answer("Möwe", 4))]).into_bytes();
        let at = usize::from(at) % valid.len();
        valid[at] = byte;
        let _ = read_text("squad2", &valid, usize::MAX);
        valid.truncate(usize::from(cut) % (valid.len() + 1));
        let _ = read_text("squad2", &valid, usize::MAX);
    }
}

#[test]
fn a_misplaced_answer_counts_at_the_nearest_place_where_it_stands() {
    let context = "moon, sun, moon, sun, moon";
    let text = paragraph(
        context,
        &[
            &question("q1", &answer("moon", 12)),
            &question("q2", &answer("sun", 6)),
            &question("q3", &answer("moon", 500)),
        ],
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.json");
    std::fs::write(&path, text).unwrap();
    let task = find("squad").unwrap();
    let mut reader = SquadReader::open(&task, task.train.as_ref().unwrap(), &path).unwrap();
    let mut starts = Vec::new();
    while let Some(example) = reader.next_example().unwrap() {
        let Some(Target::Answers(answers)) = example.target else { panic!() };
        starts.push(answers[0].start);
    }
    assert_eq!(starts, [11, 6, 22]);
    let repairs = reader.repairs();
    assert_eq!(repairs.len(), 1);
    assert!(repairs[0].starts_with("2 answers not at the `answer_start`"), "{repairs:?}");
}

#[test]
fn an_answer_that_is_nowhere_in_the_passage_is_an_error_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.json");
    std::fs::write(&path, paragraph("the moon", &[&question("q1", &answer("sun", 4))])).unwrap();
    let task = find("squad").unwrap();
    let reader = SquadReader::open(&task, task.train.as_ref().unwrap(), &path).unwrap();
    let error = read_all(reader).unwrap_err();
    assert!(error.what().contains("does not stand at its `answer_start`"), "{error}");
}
