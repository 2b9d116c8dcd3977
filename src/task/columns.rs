//! Where an example's parts stand in a row of a file.

use std::fmt;

use serde::de::{self, Deserializer, IntoDeserializer, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A column of a table: its name in the header, or its position counted from 0 in a file without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Column {
    /// By position.
    Index(usize),
    /// By the header's name.
    Name(String),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct NameOrIndex;
        impl Visitor<'_> for NameOrIndex {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's name or its position counted from 0")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Column, E> {
                Ok(Column::Name(name.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, index: u64) -> std::result::Result<Column, E> {
                // No table is that wide; the bound keeps sums of positions from overflowing.
                match u32::try_from(index) {
                    Ok(index) => Ok(Column::Index(index as usize)),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(index), &self)),
                }
            }
        }
        json.deserialize_any(NameOrIndex)
    }
}

/// The columns of a text: one, or several whose fields are joined by a space ([`TextColumns::join`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns(Vec<Column>);

impl TextColumns {
    /// These columns; `None` where there is none.
    pub fn new(columns: Vec<Column>) -> Option<Self> {
        (!columns.is_empty()).then_some(Self(columns))
    }

    /// The columns, at least one.
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// The text of a row: its fields with a space between, without those that are blank.
    pub fn join<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
        let mut text = String::new();
        for field in fields {
            if text.is_empty() {
                text.push_str(field);
            } else if !field.trim().is_empty() {
                text.push(' ');
                text.push_str(field);
            }
        }
        text
    }
}

impl From<Column> for TextColumns {
    fn from(column: Column) -> Self {
        Self(vec![column])
    }
}

impl fmt::Display for TextColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|column| format!("`{column}`")).collect();
        f.write_str(&names.join(" + "))
    }
}

impl Serialize for TextColumns {
    fn serialize<S: Serializer>(&self, json: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(json),
            columns => columns.serialize(json),
        }
    }
}

impl<'de> Deserialize<'de> for TextColumns {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = TextColumns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's name or its position counted from 0, or a list of columns")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Self::Value, E> {
                Column::deserialize(name.into_deserializer()).map(TextColumns::from)
            }

            fn visit_u64<E: de::Error>(self, index: u64) -> std::result::Result<Self::Value, E> {
                Column::deserialize(index.into_deserializer()).map(TextColumns::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = list.next_element()? {
                    columns.push(column);
                }
                TextColumns::new(columns)
                    .ok_or_else(|| de::Error::custom("the list of columns is empty"))
            }
        }
        json.deserialize_any(OneOrSeveral)
    }
}

/// Where an example's parts stand in a row. A task names those its head reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The row's identifier; by default the row's number counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// The first or only text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextColumns>,
    /// The second text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<TextColumns>,
    /// Span: the question; by default the key `question`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Column>,
    /// Span: the answers, as `{"text": […], "answer_start": […]}`; by default the key `answers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Column>,
    /// Choice and span: the context; for span by default the key `context`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Column>,
    /// Choice: the words that begin every ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Column>,
    /// Choice: the endings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endings: Vec<Column>,
    /// Tag: the word; by default the first column. Of JSON objects the list of words; by default the key
    /// `tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Column>,
    /// The label, score, tag or position of the right ending; a file without it has no targets.
    /// Tag: by default the last column, of JSON objects the list at `ner_tags` or `tags`.
    /// Multilabel: a list of labels, or a text with a separator between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// Multilabel: a column for each label, which holds 1 where the example has it and 0 elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Column>,
}

impl Columns {
    /// The columns that are named, with their keys in a task file.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        let Columns {
            id,
            text,
            text_pair,
            question,
            answers,
            context,
            start,
            endings,
            word,
            label,
            labels,
        } = self;
        let texts = [("text", text), ("text_pair", text_pair)].into_iter();
        let texts = texts.filter_map(|(key, text)| text.as_ref().map(|text| (key, text.columns())));
        [
            ("id", id),
            ("question", question),
            ("answers", answers),
            ("context", context),
            ("start", start),
            ("word", word),
            ("label", label),
        ]
        .into_iter()
        .filter_map(|(key, column)| column.as_ref().map(|column| (key, column)))
        .chain(texts.flat_map(|(key, columns)| columns.iter().map(move |column| (key, column))))
        .chain(endings.iter().map(|column| ("endings", column)))
        .chain(labels.iter().map(|column| ("labels", column)))
    }
}

/// Reads labels, which may be written as numbers: `[0, 1]` is `["0", "1"]`.
pub(super) fn texts_or_numbers<'de, D: Deserializer<'de>>(
    json: D,
) -> std::result::Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the text of a label, or a whole number")]
    enum Label {
        Text(String),
        Number(i64),
    }
    let labels = Option::<Vec<Label>>::deserialize(json)?;
    let text = |label| match label {
        Label::Text(text) => text,
        Label::Number(number) => number.to_string(),
    };
    Ok(labels.map(|labels| labels.into_iter().map(text).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_column_or_a_list_and_is_written_as_it_was_read() {
        for json in [r#""body""#, "3", r#"["subject","body"]"#, "[0,2]"] {
            let columns: TextColumns = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&columns).unwrap(), json);
        }
        let one: TextColumns = serde_json::from_str(r#"["body"]"#).unwrap();
        assert_eq!(serde_json::to_string(&one).unwrap(), r#""body""#);
        for json in ["[]", "-1", "[[1]]", "null", "{}"] {
            assert!(serde_json::from_str::<TextColumns>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn fields_are_joined_by_a_space_and_blank_ones_leave_none() {
        assert_eq!(
            TextColumns::join(["Refund", "I was charged twice"]),
            "Refund I was charged twice"
        );
        assert_eq!(TextColumns::join(["", "a", " ", "b"]), "a b");
        assert_eq!(TextColumns::join([" a "]), " a ", "one column is taken as it is");
        assert_eq!(TextColumns::join(["", ""]), "");
    }
}
