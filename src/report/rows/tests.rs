use std::io::BufReader;

use serde_json::json;

use super::*;
use crate::dataset::Input;
use crate::text::Lines;

fn example(id: &str, input: Input) -> Example {
    Example { id: id.into(), line: 1, input, target: None }
}

fn text() -> Input {
    Input::Text { text: String::new(), text_pair: None }
}

fn writer(format: RowFormat, header: &[&str]) -> RowWriter {
    let labels = ["no", "yes"].map(str::to_owned);
    let header = header.iter().map(|&name| name.to_owned()).collect();
    RowWriter::new(format, header, Added::new("", &labels, Head::Classify, None))
}

fn label(label: &str, yes: f32) -> Map<String, Value> {
    let object = json!({"text": "left out", "label": label, "probability": yes,
        "probabilities": {"no": 1.0 - yes, "yes": yes}});
    object.as_object().unwrap().clone()
}

/// All rows in a form.
fn written(
    format: RowFormat,
    header: &[&str],
    rows: &[(Row, Example, Map<String, Value>)],
) -> Result<String> {
    let mut writer = writer(format, header);
    let mut bytes = Vec::new();
    for (row, example, object) in rows {
        writer.write(row, example, object.clone(), &mut bytes)?;
    }
    bytes.extend_from_slice(writer.end());
    Ok(String::from_utf8(bytes).unwrap())
}

fn fields(fields: &[&str]) -> Row {
    Row::Fields(fields.iter().map(|&field| field.to_owned()).collect())
}

fn labelled() -> Vec<(Row, Example, Map<String, Value>)> {
    vec![
        (fields(&["1", "a \"b\",\nc"]), example("0", text()), label("yes", 0.75)),
        (fields(&["2", ""]), example("1", text()), label("no", 0.25)),
    ]
}

#[test]
fn every_column_is_kept_and_prediction_score_and_probabilities_are_added() {
    assert_eq!(
        written(RowFormat::Csv, &["id", "body"], &labelled()).unwrap(),
        "id,body,prediction,score,probability_no,probability_yes\n\
         1,\"a \"\"b\"\",\nc\",yes,0.75,0.25,0.75\n2,,no,0.25,0.75,0.25\n"
    );
    assert_eq!(
        written(RowFormat::Jsonl, &["id", "body"], &labelled()[1..]).unwrap(),
        "{\"id\":\"2\",\"body\":\"\",\"prediction\":\"no\",\"score\":0.25,\
         \"probabilities\":{\"no\":0.75,\"yes\":0.25}}\n"
    );
}

#[test]
fn a_json_object_keeps_its_own_text_and_becomes_a_row_by_the_keys_of_the_first() {
    let object = |text: &str| (Row::Object(text.into()), example("0", text_()), label("yes", 1.0));
    fn text_() -> Input {
        text()
    }
    let rows = [object(r#"{"n": 1.50, "list": [1], "t": "a" }"#), object("{}")];
    assert_eq!(
        written(RowFormat::Jsonl, &["n", "list", "t"], &rows).unwrap(),
        "{\"n\": 1.50, \"list\": [1], \"t\": \"a\",\"prediction\":\"yes\",\"score\":1.0,\
         \"probabilities\":{\"no\":0.0,\"yes\":1.0}}\n\
         {\"prediction\":\"yes\",\"score\":1.0,\"probabilities\":{\"no\":0.0,\"yes\":1.0}}\n"
    );
    let table = written(RowFormat::Csv, &["n", "list", "t"], &rows).unwrap();
    assert!(table.ends_with("\n1.5,[1],a,yes,1,0,1\n,,,yes,1,0,1\n"), "{table}");
    let other = [object(r#"{"else": 1}"#)];
    let error = written(RowFormat::Csv, &["n"], &other).unwrap_err();
    assert!(error.what().contains("`else`"), "{error}");
}

#[test]
fn a_column_with_the_name_of_an_added_one_is_refused_and_a_prefix_avoids_it() {
    let error = written(RowFormat::Csv, &["id", "score"], &labelled()).unwrap_err();
    assert!(error.what().contains("`score`"), "{error}");
    assert!(error.hint_text().unwrap().contains("--prefix"), "{error}");
    let key =
        [(Row::Object(r#"{"prediction":1}"#.into()), example("0", text()), label("yes", 1.0))];
    assert!(written(RowFormat::Jsonl, &["prediction"], &key).is_err());
    let added = Added::new("new_", &["no".into(), "yes".into()], Head::Classify, None);
    let mut writer = RowWriter::new(RowFormat::Csv, vec!["score".into()], added);
    let mut bytes = Vec::new();
    writer.write(&fields(&["1"]), &example("0", text()), label("yes", 1.0), &mut bytes).unwrap();
    let start = "score,new_prediction,new_score,new_probability_no,new_probability_yes\n";
    assert!(bytes.starts_with(start.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_tab_in_a_field_is_refused_where_tabs_separate() {
    let error = written(RowFormat::Tsv, &["id", "body"], &labelled()).unwrap_err();
    assert!(error.hint_text().unwrap().contains(".csv"), "{error}");
    let row = [(fields(&["2", "\"x\""]), example("1", text()), label("no", 0.25))];
    let table = written(RowFormat::Tsv, &["id", "body"], &row).unwrap();
    assert!(table.ends_with("\n2\t\"x\"\tno\t0.25\t0.75\t0.25\n"), "{table}");
}

#[test]
fn alternatives_are_columns_with_their_rank() {
    let labels = ["no", "yes"].map(str::to_owned);
    let added = Added::new("", &labels, Head::Classify, Some(5));
    let mut writer = RowWriter::new(RowFormat::Csv, vec!["t".into()], added);
    let object = json!({"label": "yes", "probability": 0.75, "top": [
        {"label": "yes", "probability": 0.75}, {"label": "no", "probability": 0.25}]});
    let object = object.as_object().unwrap().clone();
    let mut bytes = Vec::new();
    writer.write(&fields(&["a"]), &example("0", text()), object, &mut bytes).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "t,prediction,score,prediction_2,score_2\na,yes,0.75,no,0.25\n"
    );
}

#[test]
fn a_sentence_keeps_its_columns_and_gets_its_tags() {
    let words = Input::Words(vec!["Ada".into(), "ran".into()]);
    let row = Row::Lines(vec!["Ada NNP".into(), "ran VBD".into()]);
    let object =
        json!({"words": ["Ada", "ran"], "tags": ["B-PER", "O"]}).as_object().unwrap().clone();
    let rows = [(row, example("0", words), object)];
    assert_eq!(
        written(RowFormat::Conll, &["words"], &rows).unwrap(),
        "Ada NNP B-PER\nran VBD O\n\n"
    );
    assert_eq!(
        written(RowFormat::Csv, &["sentence"], &rows).unwrap(),
        "sentence,prediction,words\nAda ran,B-PER O,Ada ran\n"
    );
}

#[test]
fn a_word_that_is_no_column_is_refused() {
    for word in ["a b", "", "a\nb"] {
        let row = Row::Object(r#"{"tokens": []}"#.into());
        let words = Input::Words(vec![word.into()]);
        let object = json!({"tags": ["O"]}).as_object().unwrap().clone();
        let error = written(RowFormat::Conll, &["tokens"], &[(row, example("0", words), object)]);
        assert!(error.unwrap_err().hint_text().unwrap().contains(".jsonl"), "{word:?}");
    }
}

fn answers() -> Vec<(Row, Example, Map<String, Value>)> {
    let answer = |id: &str, answer: Value| {
        let question = Input::Question { question: "q".into(), context: "c".into() };
        let object = json!({"question": "q", "answer": answer, "probability": 0.5});
        (fields(&[id, "q"]), example(id, question), object.as_object().unwrap().clone())
    };
    vec![answer("a\"b", json!("one\ntwo")), answer("c", Value::Null)]
}

#[test]
fn answers_are_an_object_by_the_questions_id() {
    let text = written(RowFormat::Squad, &["id", "question"], &answers()).unwrap();
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object, json!({"a\"b": "one\ntwo", "c": ""}));
}

#[test]
fn an_object_by_ids_has_each_id_once() {
    let [row, _] = <[_; 2]>::try_from(answers()).unwrap();
    let error = written(RowFormat::Squad, &["id", "question"], &[row.clone(), row]).unwrap_err();
    assert!(error.to_string().contains("an earlier question has the id `a\"b`"), "{error}");
}

/// How many rows of an output are found in the first bytes of it, and the bytes that they take.
fn found(
    format: RowFormat,
    header: &[&str],
    rows: &[(Row, Example, Map<String, Value>)],
    output: &[u8],
) -> Result<(usize, u64)> {
    let mut writer = writer(format, header);
    let mut output = BufReader::new(output);
    let Some(mut bytes) = writer.read_beginning(&mut output)? else { return Ok((0, 0)) };
    let mut count = 0;
    for (row, example, _) in rows {
        match writer.skip(row, example, &mut output)? {
            Written::Row(length) => (count, bytes) = (count + 1, bytes + length),
            Written::Torn => break,
        }
    }
    Ok((count, bytes))
}

#[test]
fn an_output_that_was_cut_anywhere_goes_on_to_the_same_bytes() {
    let words = |words: &[&str]| Input::Words(words.iter().map(|&word| word.into()).collect());
    let tags = |tags: &[&str]| json!({ "tags": tags }).as_object().unwrap().clone();
    let sentences = vec![
        (
            Row::Lines(vec!["a X".into(), "b Y".into()]),
            example("0", words(&["a", "b"])),
            tags(&["O", "O"]),
        ),
        (Row::Lines(vec!["c Z".into()]), example("1", words(&["c"])), tags(&["B-PER"])),
    ];
    for (format, header, rows) in [
        (RowFormat::Csv, &["id", "body"][..], labelled()),
        (RowFormat::Tsv, &["id", "body"], labelled()[1..].to_vec()),
        (RowFormat::Jsonl, &["id", "body"], labelled()),
        (RowFormat::Squad, &["id", "question"], answers()),
        (RowFormat::Conll, &["words"], sentences),
    ] {
        let whole = written(format, header, &rows).unwrap();
        for cut in 0..=whole.len() {
            let (count, bytes) = found(format, header, &rows, &whole.as_bytes()[..cut]).unwrap();
            assert!(bytes as usize <= cut, "{format:?} {cut}");
            // Going on from there gives the rest.
            let mut writer = writer(format, header);
            let mut rest = whole.as_bytes()[..bytes as usize].to_vec();
            let mut known = BufReader::new(whole.as_bytes());
            if bytes > 0 {
                writer.read_beginning(&mut known).unwrap();
            }
            for (row, example, _) in &rows[..count] {
                writer.skip(row, example, &mut known).unwrap();
            }
            for (row, example, object) in &rows[count..] {
                writer.write(row, example, object.clone(), &mut rest).unwrap();
            }
            rest.extend_from_slice(writer.end());
            assert_eq!(String::from_utf8(rest).unwrap(), whole, "{format:?} cut at {cut}");
        }
        assert_eq!(found(format, header, &rows, whole.as_bytes()).unwrap().0, rows.len());
    }
}

#[test]
fn an_output_of_another_file_is_not_continued() {
    let rows = labelled();
    let whole = written(RowFormat::Csv, &["id", "body"], &rows).unwrap();
    for other in [whole.replacen("1,", "9,", 1), whole.replacen("body", "text", 1)] {
        let error = found(RowFormat::Csv, &["id", "body"], &rows, other.as_bytes()).unwrap_err();
        assert!(error.what().contains("not that of") || error.what().contains("another row"));
    }
    let mut lines = Lines::new(Path::new("x"), Box::new(whole.as_bytes()));
    assert!(lines.advance().unwrap().unwrap().starts_with("id,body,"));
}
