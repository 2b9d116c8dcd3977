//! The fields of one row.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The fields of a row, as ranges of one text. A key that a JSON object lacks has none.
#[derive(Default)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) fields: Vec<Option<Range<usize>>>,
    /// The positions of keys whose value is `null`.
    pub(super) nulls: Vec<usize>,
    /// The positions of keys whose value is a list or an object, with the value.
    pub(super) nested: Vec<(usize, Value)>,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.nulls.clear();
        self.nested.clear();
    }

    /// Whether the row has several fields, and all of them are empty.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.len() > 1 && self.text.is_empty()
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flatten().map(|field| &self.text[field.clone()])
    }

    pub(super) fn push_all<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        for field in fields {
            let start = self.text.len();
            self.text.push_str(field);
            self.end_field(start);
        }
    }

    pub(super) fn end_field(&mut self, start: usize) {
        self.fields.push(Some(start..self.text.len()));
    }

    /// Reads an object's values of `keys`.
    pub(super) fn read_json(&mut self, line: &str, keys: &[String]) -> serde_json::Result<()> {
        self.fields.resize(keys.len(), None);
        let mut json = serde_json::Deserializer::from_str(line);
        Wanted { keys, row: self }.deserialize(&mut json)?;
        json.end()
    }
}

/// Reads a JSON object into a row, and nothing of it but the keys that are wanted.
struct Wanted<'a> {
    keys: &'a [String],
    row: &'a mut Row,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        let mut seen = vec![false; self.keys.len()];
        while let Some(key) = map.next_key::<String>()? {
            let Some(position) = self.keys.iter().position(|wanted| *wanted == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[position], true) {
                return Err(M::Error::custom(format!("it has `{key}` twice")));
            }
            let start = self.row.text.len();
            match map.next_value()? {
                Value::Null => {
                    self.row.nulls.push(position);
                    continue;
                }
                Value::String(text) => self.row.text.push_str(&text),
                Value::Number(number) => self.row.text.push_str(&number.to_string()),
                Value::Bool(bool) => self.row.text.push_str(&bool.to_string()),
                nested @ (Value::Array(_) | Value::Object(_)) => {
                    self.row.nested.push((position, nested));
                    continue;
                }
            }
            self.row.fields[position] = Some(start..self.row.text.len());
        }
        Ok(())
    }
}
