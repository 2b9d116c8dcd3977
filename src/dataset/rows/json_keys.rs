//! The keys of the first objects of a JSON file.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::json_list::object_error;
use super::{Source, TableForm};
use crate::error::Result;

/// The keys of the first `objects` of a file, in the order in which they come.
pub(in crate::dataset) fn keys(
    form: TableForm,
    path: &Path,
    objects: usize,
) -> Result<Vec<String>> {
    let mut source = Source::open(form.format, path)?;
    let mut all: Vec<String> = Vec::new();
    for _ in 0..objects {
        let (line, text) = match &mut source {
            Source::List(list) => match list.next_object()? {
                Some(object) => object,
                None => break,
            },
            Source::Parquet(rows) => match rows.next_object()? {
                Some(object) => object,
                None => break,
            },
            Source::Lines(lines) => {
                if lines.advance()?.is_none() {
                    break;
                }
                (lines.number(), lines.current())
            }
        };
        if text.trim().is_empty() {
            continue;
        }
        let Keys(found) =
            serde_json::from_str(text).map_err(|error| object_error(&error, path, line))?;
        for key in found {
            if !all.contains(&key) {
                all.push(key);
            }
        }
    }
    Ok(all)
}

/// The keys of an object.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Keys, M::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        json.deserialize_map(Object)
    }
}
