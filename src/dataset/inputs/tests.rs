use super::*;
use crate::task;

/// What a model of this head reads of a line.
fn typed(head: Head, typed: TypedText<'_>) -> Result<Input> {
    match head {
        Head::Span => crate::dataset::typed_question(typed),
        Head::Choice => crate::dataset::typed_choices(typed),
        Head::Tag => Ok(Input::Words(typed.line.split(' ').map(str::to_owned).collect())),
        _ => crate::dataset::typed_text(typed),
    }
}

struct Asked<'a> {
    task: &'a str,
    format: InputFormat,
    texts: &'a [&'a str],
    pair: Option<&'a str>,
    context: Option<&'a str>,
}

const SST2: Asked<'_> =
    Asked { task: "sst2", format: InputFormat::Csv, texts: &[], pair: None, context: None };

/// The rows of a file.
fn rows(asked: &Asked<'_>, text: &str) -> Result<Vec<(Row, Input)>> {
    rows_of(&task::find(asked.task)?, asked, text)
}

/// As [`rows`], of a model of this task.
fn rows_of(task: &Task, asked: &Asked<'_>, text: &str) -> Result<Vec<(Row, Input)>> {
    let found = examples_of(task, asked, text)?;
    Ok(found.into_iter().map(|InputRow { row, example }| (row, example.input)).collect())
}

fn examples_of(task: &Task, asked: &Asked<'_>, text: &str) -> Result<Vec<InputRow>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inputs");
    std::fs::write(&path, text).unwrap();
    let texts: Vec<String> = asked.texts.iter().map(|&text| text.to_owned()).collect();
    let read = |line: TypedText<'_>| typed(task.head, line);
    let file = InputFile::open(&InputRequest {
        path: &path,
        format: asked.format,
        task,
        texts: &texts,
        text_pair: asked.pair,
        context: asked.context.map(Arc::from),
        typed: &read,
    })?;
    let mut found = Vec::new();
    let mut rows = file.rows()?;
    while let Some(row) = rows.advance()? {
        found.push(row);
    }
    Ok(found)
}

fn text(text: &str) -> Input {
    Input::Text { text: text.into(), text_pair: None }
}

fn fields(fields: &[&str]) -> Row {
    Row::Fields(fields.iter().map(|&field| field.to_owned()).collect())
}

#[test]
fn a_table_is_read_by_the_tasks_column_and_keeps_the_others() {
    let found = rows(&SST2, "id,sentence,label\n7,\"a, b\",what\n").unwrap();
    assert_eq!(found, [(fields(&["7", "a, b", "what"]), text("a, b"))]);
    let found = rows(&SST2, "id,review\n7,fine\n").unwrap();
    assert_eq!(found[0].1, text("fine"), "a common name");
    let found = rows(&SST2, "whatever\nfine\n").unwrap();
    assert_eq!(found[0].1, text("fine"), "the only column");
}

#[test]
fn columns_that_the_user_names_are_joined_and_unknown_ones_are_answered_with_the_known() {
    let asked = Asked { texts: &["subject", "body"], ..SST2 };
    let found = rows(&asked, "subject,body\nhi,there\n").unwrap();
    assert_eq!(found[0].1, text("hi there"));
    let error = rows(&asked, "subject,text\nhi,there\n").unwrap_err();
    assert!(error.what().contains("no column `body` in it; it has `subject`, `text`"), "{error}");
    let error = rows(&SST2, "one,two\na,b\n").unwrap_err();
    assert!(error.what().contains("`one`, `two`"), "{error}");
    assert!(error.hint_text().unwrap().contains("--text COLUMN"), "{error}");
}

fn words(words: &[&str]) -> Input {
    Input::Words(words.iter().map(|&word| word.to_owned()).collect())
}

#[test]
fn a_tagger_reads_words_of_json_objects_and_of_conlls_columns_whatever_it_was_trained_on() {
    let mut of_objects = task::find("conll2003").unwrap();
    of_objects.columns.word = Some(Column::Name("tokens".into()));
    let of_columns = task::find("conll2003").unwrap();
    let object = r#"{"tokens": ["Ada", "ran"], "ner_tags": ["what", "ever"]}"#;
    let named = r#"{"id": 7, "parts": ["Ada", "ran"]}"#;
    for task in [of_objects, of_columns] {
        let jsonl = Asked { format: InputFormat::Jsonl, ..SST2 };
        let found = rows_of(&task, &jsonl, object).unwrap();
        assert_eq!(found, [(Row::Object(object.into()), words(&["Ada", "ran"]))]);
        let found = rows_of(&task, &Asked { texts: &["parts"], ..jsonl }, named).unwrap();
        assert_eq!(found[0].1, words(&["Ada", "ran"]));
        let conll = Asked { format: InputFormat::Conll, ..SST2 };
        let found = rows_of(&task, &conll, "Ada NNP\nran VBD\n\n").unwrap();
        assert_eq!(
            found,
            [(Row::Lines(vec!["Ada NNP".into(), "ran VBD".into()]), words(&["Ada", "ran"]))]
        );
        let error = rows_of(&task, &jsonl, "{\"tokens\": [\"a\"]}\n{\"tokens\": [1]}").unwrap_err();
        assert!(
            error.to_string().contains("inputs:2") && error.what().contains("list of words"),
            "{error}"
        );
    }
}

#[test]
fn questions_of_a_table_have_the_ids_of_its_column() {
    let task = task::find("squad").unwrap();
    let text = "id,question,context\nq7,Who?,Ada did.\n";
    let ids = |text: &str| -> Vec<String> {
        let found = examples_of(&task, &Asked { format: InputFormat::Csv, ..SST2 }, text).unwrap();
        found.into_iter().map(|row| row.example.id).collect()
    };
    assert_eq!(ids(text), ["q7"]);
    assert_eq!(ids(&text.replace("id,", "n,")), ["0"], "without such a column the row's number");
}

#[test]
fn pairs_are_two_columns_of_json_lines_or_of_a_line() {
    let mrpc = Asked { task: "mrpc", format: InputFormat::Jsonl, ..SST2 };
    let expected = Input::Text { text: "a".into(), text_pair: Some("b".into()) };
    let object = r#"{"sentence1": "a", "n": 1, "sentence2": "b"}"#;
    assert_eq!(rows(&mrpc, object).unwrap(), [(Row::Object(object.into()), expected.clone())]);
    let named = Asked { texts: &["x"], pair: Some("y"), ..mrpc };
    assert_eq!(rows(&named, r#"{"x": "a", "y": "b"}"#).unwrap()[0].1, expected);
    let lines = Asked { format: InputFormat::Lines, texts: &[], pair: None, ..named };
    assert!(rows(&lines, "only one\n").is_err());
    let columns = Asked { format: InputFormat::Lines, texts: &["x"], ..lines };
    assert!(rows(&columns, "a\tb\n").unwrap_err().what().contains("`--text`"));
}

#[test]
fn questions_bring_their_passage_or_are_about_the_given_one() {
    let asked = Asked { task: "squad", format: InputFormat::Csv, ..SST2 };
    let question =
        |context: &str| Input::Question { question: "q\u{20}?".into(), context: context.into() };
    let found = rows(&asked, "id,question,context\n1,q ?,\"one\ttwo\"\n").unwrap();
    assert_eq!(found, [(fields(&["1", "q ?", "one\ttwo"]), question("one\ttwo"))]);
    let given = Asked { context: Some("given"), ..asked };
    assert_eq!(rows(&given, "question\nq ?\n").unwrap()[0].1, question("given"));
    let squad = Asked { format: InputFormat::Squad, context: None, ..given };
    let json = r#"{"data":[{"paragraphs":[{"context":"c","qas":[{"id":"7","question":"q ?"}]}]}]}"#;
    assert_eq!(rows(&squad, json).unwrap(), [(fields(&["7", "q ?"]), question("c"))]);
}

#[test]
fn sentences_keep_their_lines() {
    let asked = Asked { task: "conll2003", format: InputFormat::Conll, ..SST2 };
    let found = rows(&asked, "-DOCSTART- X\n\nAda NNP\nran VBD\n\nOslo NNP\n").unwrap();
    let lines = |lines: &[&str]| Row::Lines(lines.iter().map(|&line| line.to_owned()).collect());
    assert_eq!(found[0].0, lines(&["Ada NNP", "ran VBD"]));
    assert_eq!(found[1], (lines(&["Oslo NNP"]), Input::Words(vec!["Oslo".into()])));
    let table = Asked { format: InputFormat::Csv, ..asked };
    let found = rows(&table, "text\nAda ran\n").unwrap();
    assert_eq!(
        found[0].1,
        typed(Head::Tag, TypedText { line: "Ada ran", is_pair: false, context: None }).unwrap()
    );
    let classify = Asked { task: "sst2", format: InputFormat::Conll, ..table };
    assert!(rows(&classify, "Ada X\n").unwrap_err().what().contains("does not read CoNLL"));
}

#[test]
fn endings_have_the_tasks_columns() {
    let asked = Asked { task: "swag", ..SST2 };
    let table = "sent1,sent2,ending0,ending1,ending2,ending3\na,b,c,d,e,f\n";
    let Input::Choices { endings, .. } = &rows(&asked, table).unwrap()[0].1 else { panic!() };
    assert_eq!(endings.len(), 4);
    assert!(rows(&asked, "sent1\na\n").unwrap_err().what().contains("no column"));
}

#[test]
fn a_form_follows_from_the_extension() {
    let form = |name: &str, head| InputFormat::of_file(Path::new(name), head);
    assert_eq!(form("a.CSV", Head::Classify).unwrap(), InputFormat::Csv);
    assert_eq!(form("a.txt", Head::Tag).unwrap(), InputFormat::Lines);
    assert_eq!(form("a.json", Head::Span).unwrap(), InputFormat::Squad);
    assert_eq!(form("a.json", Head::Classify).unwrap(), InputFormat::Json);
    assert_eq!(form("a.parquet", Head::Classify).unwrap(), InputFormat::Parquet);
    assert!(form("a.xlsx", Head::Tag).unwrap_err().hint_text().unwrap().contains(".csv"));
}

#[test]
fn a_json_list_and_a_table_with_semicolons_are_read_too() {
    let asked = Asked { format: InputFormat::Json, ..SST2 };
    let found = rows(&asked, "[{\"sentence\":\n\"a\"},\n{\"sentence\": \"b\"}]").unwrap();
    assert_eq!(found[0], (Row::Object("{\"sentence\": \"a\"}".into()), text("a")));
    assert_eq!(found[1].1, text("b"));
    let found = rows(&SST2, "id;sentence\n7;a, b\n").unwrap();
    assert_eq!(found, [(fields(&["7", "a, b"]), text("a, b"))]);
}
