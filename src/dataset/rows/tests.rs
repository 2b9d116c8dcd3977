use proptest::prelude::*;

use super::*;

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn form(format: Format) -> TableForm {
    TableForm { format, delimiter: b',', join_cut_rows: false }
}

/// Every row's first line and fields, or the first error.
fn rows(format: Format, text: &str, names: &[&str]) -> Result<Vec<(usize, Vec<String>)>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    std::fs::write(&path, text).unwrap();
    let mut rows = Rows::open(form(format), &path, named(names))?;
    let mut all = Vec::new();
    while let Some(line) = rows.advance()? {
        all.push((line, rows.row.texts().map(str::to_owned).collect()));
    }
    Ok(all)
}

fn line_of(error: &Error) -> Option<usize> {
    error.place().unwrap().line
}

#[test]
fn a_quoted_field_holds_commas_quotes_and_line_breaks() {
    let text = "\"a, \"\"b\"\"\r\nc\",1\r\n\"\",\"2\"\n,\n";
    assert_eq!(
        rows(Format::Csv, text, &[]).unwrap(),
        [(1, named(&["a, \"b\"\nc", "1"])), (3, named(&["", "2"]))]
    );
}

#[test]
fn a_quote_that_is_never_closed_names_the_line_on_which_it_opens() {
    let error = rows(Format::Csv, "1,a\n2,\"b\n3,c\n4,d\n", &[]).unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("never closed"), "{error}");
}

#[test]
fn text_behind_a_closing_quote_is_refused() {
    let error = rows(Format::Csv, "1,a\n2,\"she said \"no\" twice\"\n", &[]).unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("follows a closing quote"), "{error}");
}

#[test]
fn a_quote_inside_an_unquoted_field_is_a_character() {
    let found = rows(Format::Csv, "5\" disk,1\n", &[]).unwrap();
    assert_eq!(found, [(1, named(&["5\" disk", "1"]))]);
}

#[test]
fn a_carriage_return_inside_a_field_is_a_character() {
    let found = rows(Format::Csv, "1,a\rb\r\n2,\"c\rd\"\r\n", &[]).unwrap();
    assert_eq!(found, [(1, named(&["1", "a\rb"])), (2, named(&["2", "c\rd"]))]);
}

#[test]
fn rows_longer_than_any_buffer_are_read_one_by_one() {
    let long = "x\u{e9}".repeat(50_000);
    let text = format!("1,{long}\n2,\"{long}\n{long}\"\n3,a\n");
    let found = rows(Format::Csv, &text, &[]).unwrap();
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 4]);
    assert_eq!(found[1].1[1], format!("{long}\n{long}"));
    assert_eq!(found[2].1, named(&["3", "a"]));
}

#[test]
fn a_ragged_csv_row_names_its_first_line_and_both_counts() {
    let error = rows(Format::Csv, "t,l\n\"a\nb\",1\n\"c\nd\"\n", &["t"]).unwrap_err();
    assert_eq!(line_of(&error), Some(4));
    assert!(error.what().contains("expected 2 columns (t, l), found 1"), "{error}");
}

#[test]
fn a_header_with_the_column_twice_is_ambiguous() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.tsv");
    std::fs::write(&path, "text\ttext\nfine\tgood\n").unwrap();
    let mut rows = Rows::open(form(Format::Tsv), &path, named(&["text"])).unwrap();
    let error = rows.position(&Column::Name("text".into())).unwrap_err();
    assert!(error.what().contains("two columns `text`"), "{error}");
}

#[test]
fn a_header_with_another_formats_separators_is_named() {
    for (format, text, hint) in [
        (Format::Tsv, "text,label\n", "its `format` is `csv`"),
        (Format::Csv, "text\tlabel\n", "its `format` is `tsv`"),
        (Format::Csv, "text;label\n", "delimiter"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(form(format), &path, named(&["text"])).unwrap();
        let error = rows.position(&Column::Name("text".into())).unwrap_err();
        assert!(error.hint_text().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn a_json_key_that_stands_twice_is_refused() {
    let error = rows(Format::Jsonl, "{\"t\": 1}\n{\"t\": 1, \"t\": 2}\n", &["t"]).unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("`t` twice"), "{error}");
}

#[test]
fn a_json_list_where_text_is_expected_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, "{\"t\": [1]}\n").unwrap();
    let mut rows = Rows::open(form(Format::Jsonl), &path, named(&["t"])).unwrap();
    rows.advance().unwrap();
    let error = rows.field(0).unwrap_err();
    assert!(error.what().contains("`t` is neither text nor a number"), "{error}");
    assert_eq!(line_of(&error), Some(1));
}

#[test]
fn something_behind_a_json_object_is_refused() {
    let error = rows(Format::Jsonl, "{\"t\": 1} {\"t\": 2}\n", &["t"]).unwrap_err();
    assert!(error.what().contains("trailing characters"), "{error}");
}

#[test]
fn rows_of_empty_columns_end_a_csv_file_and_stand_nowhere_else() {
    let found = rows(Format::Csv, "a,b\n1,2\n,\n,\n\n", &["a"]).unwrap();
    assert_eq!(found, [(2, named(&["1", "2"]))]);
    let error = rows(Format::Csv, "a,b\n,\n1,2\n", &["a"]).unwrap_err();
    assert_eq!(line_of(&error), Some(2));
    assert!(error.what().contains("every column of the row is empty"), "{error}");
}

#[test]
fn blank_lines_between_json_lines_are_no_rows() {
    let found = rows(Format::Jsonl, "{\"t\": 1}\n\n \n{\"t\": 2}\n\n", &["t"]).unwrap();
    assert_eq!(found, [(1, named(&["1"])), (4, named(&["2"]))]);
}

#[test]
fn a_json_list_is_read_on_one_line_or_many_and_rows_have_their_lines() {
    let one = "\u{feff}[{\"t\": \"a]}\\\"\"}, {\"x\": {\"t\": [1]}, \"t\": 2}]";
    let found = rows(Format::Json, one, &["t"]).unwrap();
    assert_eq!(found, [(1, named(&["a]}\""])), (1, named(&["2"]))]);
    let many = "[\n {\n  \"t\": \"a\"\n },\n {\"t\": \"b\"}\n]\n";
    let found = rows(Format::Json, many, &["t"]).unwrap();
    assert_eq!(found, [(2, named(&["a"])), (5, named(&["b"]))]);
    assert_eq!(rows(Format::Json, " [ ] ", &["t"]).unwrap(), []);
}

#[test]
fn what_is_no_json_list_of_objects_names_its_line() {
    for (text, line, what) in [
        ("{\"t\": 1}\n{\"t\": 2}\n", 1, "expected a list of JSON objects"),
        ("", 1, "expected a list of JSON objects"),
        ("[\n1]", 2, "expected a JSON object"),
        ("[{\"t\": 1}\n{\"t\": 2}]", 2, "expected `,` or `]`"),
        ("[{\"t\": 1},\n]", 2, "expected a JSON object"),
        ("[{\"t\": 1}\n", 2, "not closed by `]`"),
        ("[\n\n{\"t\": \"a", 3, "is not closed"),
        ("[]\n[]", 2, "something follows"),
        ("[{\n\"t\": x}]", 2, "expected a JSON object"),
    ] {
        let error = rows(Format::Json, text, &["t"]).unwrap_err();
        assert!(error.what().contains(what), "{text}: {error}");
        assert_eq!(line_of(&error), Some(line), "{text}: {error}");
    }
}

#[test]
fn columns_are_separated_by_the_delimiter_that_is_given() {
    for (delimiter, text) in [(b';', "a,b;\"c;d\"\n"), (b'\t', "a,b\t\"c;d\"\n")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        std::fs::write(&path, text).unwrap();
        let form = TableForm { delimiter, ..form(Format::Csv) };
        let mut rows = Rows::open(form, &path, Vec::new()).unwrap();
        rows.advance().unwrap();
        assert_eq!(rows.row.texts().collect::<Vec<_>>(), ["a,b", "c;d"]);
    }
}

proptest! {
    /// The oracle is the `csv` crate's writer.
    #[test]
    fn what_another_program_writes_as_csv_is_read_back(
        table in (1usize..4).prop_flat_map(|width| {
            let row = prop::collection::vec("[a\",\n ;é]{0,6}", width);
            // Rows of empty columns at the end are left out.
            let row = row.prop_filter("empty", |row| row.iter().any(|field| !field.is_empty()));
            prop::collection::vec(row, 1..6)
        })
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &table {
            writer.write_record(row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let found = rows(Format::Csv, &text, &[]).unwrap();
        let fields: Vec<_> = found.into_iter().map(|(_, fields)| fields).collect();
        prop_assert_eq!(fields, table);
    }
}
