//! What an evaluation shows beyond its metrics: tables by class, type or answer length, the confusion
//! matrix, calibration, lengths, and the worst mistakes with their texts.
//!
//! Everything is bounded, so that it can be kept in a run's folder and shown on one page, whatever the
//! size of the data set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod answers;
mod classes;
mod labels;
mod lengths;
mod mistakes;
mod numbers;
mod reliability;
mod tags;

pub use answers::answers;
pub use classes::{classes, endings};
pub use labels::label_sets;
pub use lengths::{Bar, Lengths};
pub use mistakes::{Mistake, Mistakes, Piece, Wrong};
pub use numbers::numbers;
pub use reliability::{Bin, Reliability};
pub use tags::tags;

use crate::dataset::{Dataset, Example};
use crate::error::Error;

/// The most mistakes that are kept with their texts, unless more are asked for.
pub const MOST_MISTAKES: usize = 200;

/// What the predictions of one split show.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Analysis {
    /// The split's name.
    pub split: String,
    /// Its number of examples.
    pub examples: usize,
    /// Its metrics; `None` is undefined.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// How long its examples are in word pieces.
    pub lengths: Lengths,
    /// What depends on the head.
    #[serde(flatten)]
    pub findings: Findings,
}

/// The part of an [`Analysis`] that depends on the head.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Values by class, type, ending, answer length, or of the error.
    pub tables: Vec<Table>,
    /// Gold against predicted classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// How well probabilities agree with how often predictions are right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<Reliability>,
    /// Gold and predicted numbers, of at most a few thousand examples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scatter: Vec<(f32, f32)>,
    /// The worst mistakes.
    pub mistakes: Mistakes,
}

/// A table: a row for each class, type or range, a column for each value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Table {
    /// What a row stands for: `class`, `type`, `answer length`.
    pub by: String,
    /// The names of the values.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a [`Table`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// The class, type or range.
    pub name: String,
    /// Its values; `None` is undefined.
    pub values: Vec<Option<f64>>,
    /// How many gold examples (for types, entities) it has; `None` where that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<usize>,
}

impl Table {
    /// The name under which it stands in JSON, such as `per_class`.
    pub fn key(&self) -> String {
        format!("per_{}", self.by.replace(' ', "_"))
    }

    /// The rows as JSON objects.
    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            let mut object = Map::from_iter([(self.by.replace(' ', "_"), json!(row.name))]);
            object.extend(self.columns.iter().cloned().zip(row.values.iter().map(|v| json!(v))));
            if let Some(support) = row.support {
                object.insert("support".into(), support.into());
            }
            Value::Object(object)
        };
        self.rows.iter().map(row).collect()
    }

    /// Its `most` worst rows in their order: those of the lowest last value, which for classes and
    /// types is F1. Rows without gold examples come last. All rows where it has no more.
    pub fn worst(&self, most: usize) -> Vec<&Row> {
        if self.rows.len() <= most {
            return self.rows.iter().collect();
        }
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|one, other| {
            let value = |row: &Row| row.values.last().copied().flatten().unwrap_or(2.0);
            value(one).total_cmp(&value(other)).then(other.support.cmp(&one.support))
        });
        rows.truncate(most);
        rows
    }

    /// The table as lines for a terminal, with no more than `most` rows.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let rows = self.worst(most);
        if rows.is_empty() {
            return Vec::new();
        }
        let head = if rows.len() == self.rows.len() {
            self.by.clone()
        } else {
            let last = self.columns.last().map_or("", String::as_str);
            format!("{} (lowest {last}, {} of {})", self.by, rows.len(), self.rows.len())
        };
        let name = |row: &Row| crate::text::excerpt(&row.name);
        let width = rows.iter().map(|row| name(row).chars().count());
        let width = width.chain([head.chars().count()]).max().unwrap_or(0);
        let has_support = rows.iter().any(|row| row.support.is_some());
        let columns = self.columns.iter().map(|column| column.chars().count().max(9));
        let columns: Vec<usize> = columns.collect();
        let mut titles = format!("  {head:width$}");
        for (column, width) in self.columns.iter().zip(&columns) {
            titles += &format!("  {column:>width$}");
        }
        if has_support {
            titles += "  support";
        }
        let line = |row: &Row| {
            let mut line = format!("  {:width$}", name(row));
            for (value, width) in row.values.iter().zip(&columns) {
                let value = value.map_or("-".to_owned(), |value| format!("{value:.4}"));
                line += &format!("  {value:>width$}");
            }
            if let Some(support) = row.support {
                line += &format!("  {support:>7}");
            }
            line
        };
        std::iter::once(titles).chain(rows.into_iter().map(line)).collect()
    }
}

/// How often each gold class was predicted as each other one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confusion {
    /// The classes.
    pub classes: Vec<String>,
    /// Examples by gold class (row) and predicted class; empty for more than [`Confusion::MOST`]
    /// classes.
    pub matrix: Vec<Vec<usize>>,
    /// The most frequent confusions, most frequent first.
    pub top: Vec<Confused>,
}

/// Two classes that are confused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// The index of the gold class.
    pub gold: usize,
    /// The index of the predicted class.
    pub predicted: usize,
    /// How many examples.
    pub count: usize,
}

impl Confusion {
    /// The most classes with a whole matrix.
    pub const MOST: usize = 30;
    /// The most confusions that are listed.
    pub const TOP: usize = 50;

    /// Counts pairs of predicted and gold classes.
    pub fn new(classes: &[String], predicted: &[usize], gold: &[usize]) -> Self {
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (&predicted, &gold) in predicted.iter().zip(gold) {
            *counts.entry((gold, predicted)).or_default() += 1;
        }
        let mut matrix = Vec::new();
        if classes.len() <= Self::MOST {
            let count = |gold, predicted| counts.get(&(gold, predicted)).copied().unwrap_or(0);
            let row = |gold| (0..classes.len()).map(|predicted| count(gold, predicted)).collect();
            matrix = (0..classes.len()).map(row).collect();
        }
        let mut top: Vec<Confused> = counts
            .into_iter()
            .filter(|((gold, predicted), _)| gold != predicted)
            .map(|((gold, predicted), count)| Confused { gold, predicted, count })
            .collect();
        top.sort_by_key(|confused| std::cmp::Reverse(confused.count));
        top.truncate(Self::TOP);
        Self { classes: classes.to_vec(), matrix, top }
    }
}

impl Analysis {
    /// The tables as lines for a terminal, each with no more than `most` rows.
    pub fn lines(&self, most: usize) -> Vec<String> {
        self.findings.tables.iter().flat_map(|table| table.lines(most)).collect()
    }

    /// The class that every prediction is, of a split whose examples have several.
    pub fn only_predicted(&self) -> Option<&str> {
        let table = self.findings.tables.iter().find(|table| table.by == "class")?;
        let gold = table.rows.iter().filter(|row| row.support.is_some_and(|count| count > 0));
        // Precision, the first value, is undefined for a class that is never predicted.
        let mut predicted = table.rows.iter().filter(|row| row.values.first() != Some(&None));
        let only = predicted.next().filter(|_| predicted.next().is_none())?;
        (gold.count() > 1).then_some(only.name.as_str())
    }

    /// Tables and calibration error as JSON, by name.
    pub fn to_json(&self) -> Map<String, Value> {
        let tables = self.findings.tables.iter();
        let mut object: Map<_, _> = tables.map(|table| (table.key(), table.to_json())).collect();
        if let Some(reliability) = &self.findings.reliability {
            object.insert("calibration_error".into(), json!(reliability.error));
        }
        object
    }
}

/// The error of a prediction or target that is not of the task's head.
fn misfit(dataset: &Dataset, example: &Example) -> Error {
    Error::new("the prediction does not fit the example's target")
        .at_line(&dataset.path, example.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(f1: &[Option<f64>]) -> Table {
        let row = |(i, f1): (usize, &Option<f64>)| Row {
            name: format!("c{i}"),
            values: vec![Some(0.5), *f1],
            support: Some(10 - i),
        };
        Table {
            by: "class".into(),
            columns: vec!["recall".into(), "f1".into()],
            rows: f1.iter().enumerate().map(row).collect(),
        }
    }

    #[test]
    fn a_short_table_keeps_its_order_and_a_long_one_shows_the_worst_rows() {
        let table = table(&[Some(0.75), None, Some(0.25), Some(0.25)]);
        assert_eq!(
            table.lines(4),
            [
                "  class     recall         f1  support",
                "  c0        0.5000     0.7500       10",
                "  c1        0.5000          -        9",
                "  c2        0.5000     0.2500        8",
                "  c3        0.5000     0.2500        7",
            ]
        );
        let lines = table.lines(2);
        assert!(lines[0].starts_with("  class (lowest f1, 2 of 4)"), "{lines:?}");
        assert!(lines[1].starts_with("  c2 ") && lines[2].starts_with("  c3 "), "{lines:?}");
        assert!(Table::default().lines(3).is_empty());
    }

    #[test]
    fn a_table_is_a_list_of_objects_in_json() {
        let json = table(&[Some(0.75)]).to_json();
        assert_eq!(json, json!([{"class": "c0", "recall": 0.5, "f1": 0.75, "support": 10}]));
    }

    #[test]
    fn many_classes_have_no_matrix_but_their_most_frequent_confusions() {
        let names: Vec<String> = (0..200).map(|i| format!("c{i}")).collect();
        let gold: Vec<usize> = (0..2000).map(|i| i % 200).collect();
        // Every tenth example of an odd class is taken for its neighbour, and class 7 always.
        let predicted: Vec<usize> = gold
            .iter()
            .enumerate()
            .map(|(i, &gold)| if gold == 7 || i % 10 == 1 { gold + 1 } else { gold })
            .collect();
        let found = Confusion::new(&names, &predicted, &gold);
        assert!(found.matrix.is_empty());
        assert_eq!(found.top[0].count, 10);
        assert_eq!(found.top.len(), 21);
        let two = Confusion::new(&names[..2], &[0, 1, 1], &[0, 0, 1]);
        assert_eq!(two.matrix, [[1, 1], [0, 1]]);
        assert_eq!(two.top, [Confused { gold: 0, predicted: 1, count: 1 }]);
    }

    #[test]
    fn a_class_that_every_prediction_is_is_named_where_there_are_others() {
        let split = |precision: [Option<f64>; 2], support: [usize; 2]| {
            let row = |i: usize| Row {
                name: format!("c{i}"),
                values: vec![precision[i], Some(0.0), None],
                support: Some(support[i]),
            };
            let table =
                Table { by: "class".into(), columns: Vec::new(), rows: vec![row(0), row(1)] };
            let findings = Findings { tables: vec![table], ..Findings::default() };
            Analysis { findings, ..Analysis::default() }
        };
        assert_eq!(split([None, Some(0.5)], [5, 5]).only_predicted(), Some("c1"));
        assert_eq!(split([Some(0.0), Some(0.5)], [5, 5]).only_predicted(), None);
        assert_eq!(
            split([None, Some(1.0)], [0, 5]).only_predicted(),
            None,
            "nothing else is there"
        );
        assert_eq!(Analysis::default().only_predicted(), None);
    }
}
