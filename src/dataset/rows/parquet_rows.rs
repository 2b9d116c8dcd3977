//! The rows of a Parquet file, each as a JSON object.
//!
//! Reading them takes a crate that is compiled only with the feature `parquet`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Row;
use super::json_list::object_error;
use crate::error::{Error, Result};

/// The rows as texts of JSON objects, or what is wrong with a row.
type Objects = Box<dyn Iterator<Item = std::result::Result<String, String>>>;

/// A Parquet file that is being read. Memory is bounded by a row group's columns.
pub(super) struct ParquetRows {
    path: PathBuf,
    objects: Objects,
    /// How many rows the file has.
    rows: usize,
    /// The number of the current row, counted from 1; 0 before the first.
    number: usize,
    object: String,
    bytes: u64,
}

impl ParquetRows {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        let bytes = file.metadata().map_or(0, |facts| facts.len());
        let (objects, rows) = decode::objects(file).map_err(|what| damaged(&what).at(path))?;
        Ok(Self { path: path.to_owned(), objects, rows, number: 0, object: String::new(), bytes })
    }

    /// The text of the current row.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// How many bytes of the file were read, if all rows are alike.
    pub(super) fn bytes_read(&self) -> u64 {
        let share = self.number as f64 / self.rows.max(1) as f64;
        (self.bytes as f64 * share) as u64
    }

    /// Reads the values of `keys` of the next row; its number, or `None` at the end.
    pub(super) fn advance(&mut self, row: &mut Row, keys: &[String]) -> Result<Option<usize>> {
        let Some((number, text)) = self.next_object()? else { return Ok(None) };
        let read = row.read_json(text, keys);
        read.map(|()| Some(number)).map_err(|error| object_error(&error, &self.path, number))
    }

    /// The next row as the text of an object, and its number; `None` at the end.
    pub(super) fn next_object(&mut self) -> Result<Option<(usize, &str)>> {
        let Some(object) = self.objects.next() else { return Ok(None) };
        self.number += 1;
        self.object = object.map_err(|what| damaged(&what).at_line(&self.path, self.number))?;
        Ok(Some((self.number, &self.object)))
    }
}

fn damaged(what: &str) -> Error {
    Error::new(format!("it is not read as Parquet: {what}")).hint(format!(
        "{}convert it: `python -c \"import pandas as p; p.read_parquet('FILE').to_json('NEW.jsonl', \
         orient='records', lines=True)\"`",
        decode::HOW_TO_BUILD
    ))
}

#[cfg(feature = "parquet")]
mod decode {
    use std::fs::File;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Row;

    use super::Objects;

    pub(super) const HOW_TO_BUILD: &str = "";

    /// The rows, and how many there are. The crate may panic on a damaged file.
    pub(super) fn objects(file: File) -> Result<(Objects, usize), String> {
        let open = || -> parquet::errors::Result<_> {
            let reader = SerializedFileReader::new(file)?;
            let rows = reader.metadata().file_metadata().num_rows();
            Ok((reader.into_iter(), usize::try_from(rows).unwrap_or(0)))
        };
        let (mut iterator, rows) = catch_unwind(AssertUnwindSafe(open))
            .map_err(|_| "it is damaged".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut failed = false;
        let next = move || {
            if failed {
                return None;
            }
            let object = match catch_unwind(AssertUnwindSafe(|| iterator.next())) {
                Ok(None) => return None,
                Ok(Some(Ok(row))) => return Some(Ok(object(&row))),
                Ok(Some(Err(error))) => error.to_string(),
                Err(_) => "it is damaged".to_owned(),
            };
            failed = true;
            Some(Err(object))
        };
        Ok((Box::new(std::iter::from_fn(next)), rows))
    }

    /// A row as a JSON object with its columns in their order.
    fn object(row: &Row) -> String {
        let member = |(name, field): (&String, &parquet::record::Field)| {
            let name = serde_json::Value::from(name.as_str());
            format!("{name}:{}", field.to_json_value())
        };
        let members: Vec<String> = row.get_column_iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    }
}

#[cfg(not(feature = "parquet"))]
mod decode {
    use std::fs::File;

    use super::Objects;

    pub(super) const HOW_TO_BUILD: &str = "build tfbert with the cargo feature `parquet`, or ";

    pub(super) fn objects(_: File) -> Result<(Objects, usize), String> {
        Err("this binary was built without the feature `parquet`".into())
    }
}
