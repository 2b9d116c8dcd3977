//! What the whole column of labels holds, by which the head is chosen.

use std::collections::HashSet;
use std::path::Path;

use super::form::Form;
use crate::dataset::rows::Rows;
use crate::error::{Error, Result};
use crate::task::{Column, Head};
use crate::text::excerpt;

/// Different values that are counted; a column with more is no label.
const MOST_VALUES: usize = 10_000;

/// The most whole numbers that are taken for labels, and not for a score.
const MOST_NUMBERED: usize = 20;

/// What was found in the column of labels.
#[derive(Debug, Default)]
pub(super) struct LabelScan {
    rows: usize,
    values: HashSet<String>,
    has_more: bool,
    has_text: bool,
    has_fraction: bool,
    has_decimal_comma: bool,
    is_nested: bool,
}

impl LabelScan {
    /// Reads the column in the whole file. Memory is bounded by [`MOST_VALUES`].
    pub(super) fn read(path: &Path, form: Form, column: &Column) -> Result<Self> {
        let names = match column {
            Column::Name(name) => vec![name.clone()],
            Column::Index(_) => Vec::new(),
        };
        let mut rows = Rows::open(form.table(), path, names)?;
        let position = rows.position(column)?;
        let mut scan = Self::default();
        while rows.advance()?.is_some() {
            scan.is_nested |= rows.nested(position).is_some();
            // A row without a label is refused, with its line, when it is read as an example.
            if let Some(value) = rows.optional(position) {
                scan.add(value);
            }
        }
        Ok(scan)
    }

    fn add(&mut self, value: &str) {
        self.rows += 1;
        match value.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => self.has_fraction |= number.fract() != 0.0,
            _ => {
                let with_point = value.trim().replacen(',', ".", 1).parse::<f64>();
                self.has_decimal_comma |= with_point.is_ok_and(f64::is_finite);
                self.has_text = true;
            }
        }
        if !self.values.contains(value) {
            if self.values.len() < MOST_VALUES {
                self.values.insert(value.to_owned());
            } else {
                self.has_more = true;
            }
        }
    }

    /// The head that fits the values, and why.
    ///
    /// # Errors
    ///
    /// The values are texts of which hardly two are the same.
    pub(super) fn head(&self, name: &str, path: &Path) -> Result<(Head, String)> {
        let different = self.values.len();
        if self.is_nested {
            return Ok((Head::Multilabel, "lists".to_owned()));
        }
        if self.has_text {
            self.check_labels(name, path)?;
            return Ok((Head::Classify, format!("{different} different texts")));
        }
        let few = different <= MOST_NUMBERED && (different == 2 || different * 5 <= self.rows);
        if !self.has_fraction && few {
            return Ok((Head::Classify, format!("{different} different whole numbers")));
        }
        Ok((Head::Regress, "numbers".to_owned()))
    }

    /// Refuses values that are no labels.
    pub(super) fn check_labels(&self, name: &str, path: &Path) -> Result<()> {
        let different = self.values.len();
        if !self.has_more && (self.rows < 20 || different * 2 <= self.rows) {
            return Ok(());
        }
        let more = if self.has_more { "more than " } else { "" };
        let what = format!(
            "`{}` has {more}{different} different values in {} rows; labels would be fewer",
            excerpt(name),
            self.rows
        );
        let error = Error::usage(what).at(path);
        Err(if self.has_decimal_comma {
            error.hint("numbers with a decimal comma are text here; write them with a point")
        } else {
            error.hint("name the column of labels with `--label`")
        })
    }
}
