//! The labels of a row that has any number of them.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::text::excerpt;

/// What separates the labels of one column, unless the task says otherwise.
pub(super) const SEPARATOR: char = ',';

/// The labels that one column holds: a JSON list of texts or numbers, or names with a separator between
/// them. White space around a name is no part of it, and nothing between two separators is no label. Of
/// a label that stands there twice one is kept.
///
/// # Errors
///
/// The text begins as a list, with `[`, and is none.
pub(super) fn listed(text: &str, separator: char) -> Result<Vec<String>> {
    let text = text.trim();
    if text.starts_with('[') {
        return match serde_json::from_str(text) {
            Ok(list) => of_json(&list),
            Err(_) => Err(not_a_list(text)),
        };
    }
    let names = text.split(separator).map(str::trim).filter(|name| !name.is_empty());
    Ok(once(names.map(str::to_owned)))
}

/// The labels of a JSON list of texts or numbers; see [`listed`].
///
/// # Errors
///
/// It is no list of labels.
pub(super) fn of_json(list: &Value) -> Result<Vec<String>> {
    let name = |value: &Value| match value {
        Value::String(name) if !name.trim().is_empty() => Some(name.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let names: Option<Vec<String>> =
        list.as_array().and_then(|values| values.iter().map(name).collect());
    names.map(|names| once(names.into_iter())).ok_or_else(|| not_a_list(&list.to_string()))
}

fn not_a_list(text: &str) -> Error {
    let error = Error::new(format!(
        "the labels are `{}`; expected a JSON list of labels, as `[\"a\", \"b\"]`",
        excerpt(text)
    ));
    if text.contains('\'') && !text.contains('"') {
        return error.hint("write the labels in double quotes, or without brackets and quotes");
    }
    error
}

fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// Whether the column of one label says that the row has it.
///
/// # Errors
///
/// It holds neither 1 nor 0.
pub(super) fn flag(text: &str, label: &str) -> Result<bool> {
    match text.trim() {
        "1" | "1.0" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "0.0" | "false" | "False" | "FALSE" => Ok(false),
        other => Err(Error::new(format!(
            "the column of the label `{}` holds `{}`; expected 1 or 0",
            excerpt(label),
            excerpt(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_in_a_list_or_between_separators() {
        let of = |text: &str, separator| listed(text, separator).unwrap();
        assert_eq!(of("b, a ,b,", ','), ["b", "a"]);
        assert_eq!(of("food, drink|travel", '|'), ["food, drink", "travel"]);
        assert_eq!(of("[\"b\", \"a, c\", 3]", '|'), ["b", "a, c", "3"]);
        assert!(of(" ", ',').is_empty() && of("[]", ',').is_empty());
    }

    #[test]
    fn a_list_that_is_none_is_answered_with_its_form() {
        let error = listed("['a', 'b']", ',').unwrap_err();
        assert!(error.what().contains("expected a JSON list of labels"), "{error}");
        assert!(error.hint_text().unwrap().contains("double quotes"), "{error}");
        for text in ["[\"a\"", "[[1]]", "[null]", "[\"\"]"] {
            assert!(listed(text, ',').is_err(), "{text}");
        }
    }

    #[test]
    fn a_column_of_a_label_holds_one_or_zero() {
        assert!(flag("1", "a").unwrap() && flag(" True ", "a").unwrap());
        assert!(!flag("0.0", "a").unwrap());
        let error = flag("2", "toxic").unwrap_err();
        assert_eq!(error.what(), "the column of the label `toxic` holds `2`; expected 1 or 0");
    }
}
