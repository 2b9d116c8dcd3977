//! A comparison as lines for a terminal, as Markdown and as CSV.

use serde_json::Value;

use super::{Comparison, Row, RowState, Summary};
use crate::error::{Error, Result};

/// The cells of a row, by column.
enum Cell {
    Text(String),
    /// Mean and deviation, with so many decimals.
    Summary(Summary, usize),
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Summary(Summary { mean: None, .. }, _) => "-".into(),
            Self::Summary(Summary { mean: Some(mean), deviation: None }, decimals) => {
                format!("{mean:.decimals$}")
            }
            Self::Summary(Summary { mean: Some(mean), deviation: Some(sd) }, decimals) => {
                format!("{mean:.decimals$} ± {sd:.decimals$}")
            }
        }
    }
}

/// A setting as it would be typed.
fn setting(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let value = number.as_f64().unwrap_or(0.0) as f32;
            if value != 0.0 && value.abs() < 1e-3 {
                format!("{value:e}")
            } else {
                value.to_string()
            }
        }
        value => value.to_string(),
    }
}

/// The columns of a comparison and the cells of its rows.
fn cells(comparison: &Comparison) -> (Vec<String>, Vec<Vec<Cell>>) {
    let several = comparison.rows.iter().any(|row| row.runs.len() > 1);
    let unfinished = comparison.rows.iter().any(|row| row.state != RowState::Complete);
    let mut columns = vec!["run".to_owned()];
    columns.extend(comparison.settings.iter().cloned());
    if several {
        columns.push("seeds".into());
    }
    columns.extend(comparison.metrics.iter().map(|metric| metric.name().to_owned()));
    columns.extend(["loss", "best_step", "train_seconds"].map(str::to_owned));
    if unfinished {
        columns.push("state".into());
    }
    let row = |row: &Row| {
        let mut cells = vec![Cell::Text(row.name())];
        let settings = comparison.settings.iter();
        cells.extend(settings.map(|name| Cell::Text(setting(row.setting(name)))));
        if several {
            cells.push(Cell::Text(row.runs.len().to_string()));
        }
        let metrics = comparison.metrics.iter();
        cells.extend(metrics.map(|metric| Cell::Summary(row.metric(*metric), 4)));
        cells.push(Cell::Summary(row.loss(), 4));
        cells.push(Cell::Summary(row.best_step(), 0));
        cells.push(Cell::Summary(row.seconds(), 0));
        if unfinished {
            cells.push(Cell::Text(row.state_text()));
        }
        cells
    };
    (columns, comparison.rows.iter().map(row).collect())
}

/// Columns and rows as texts.
pub(super) fn texts(comparison: &Comparison) -> (Vec<String>, Vec<Vec<String>>) {
    let (columns, rows) = cells(comparison);
    (columns, rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect())
}

/// The comparison as lines for a terminal.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    let (columns, rows) = texts(comparison);
    let width = |i: usize| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.chain([columns[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let title = comparison.task.clone();
    std::iter::once(title).chain([line(&columns)]).chain(rows.iter().map(|row| line(row))).collect()
}

/// The comparison as a table in Markdown.
pub fn markdown(comparison: &Comparison) -> Vec<String> {
    let (columns, rows) = texts(comparison);
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule = format!("|{}", " --- |".repeat(columns.len()));
    [format!("### {}", comparison.task), String::new(), line(&columns), rule]
        .into_iter()
        .chain(rows.iter().map(|row| line(row)))
        .collect()
}

/// All comparisons as one table of comma-separated values, with the columns of every task. A mean's
/// deviation has a column of its own, such as `f1_sd`.
///
/// # Errors
///
/// Never: the table is made in memory.
pub fn csv(comparisons: &[Comparison]) -> Result<String> {
    let mut header = vec!["task".to_owned()];
    let mut rows: Vec<Vec<(String, String)>> = Vec::new();
    for comparison in comparisons {
        let (columns, cells) = cells(comparison);
        for row in cells {
            let mut values = vec![("task".to_owned(), comparison.task.clone())];
            for (column, cell) in columns.iter().zip(row) {
                match cell {
                    Cell::Text(text) if text == "-" => values.push((column.clone(), String::new())),
                    Cell::Text(text) => values.push((column.clone(), text)),
                    Cell::Summary(summary, _) => {
                        let number =
                            |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
                        values.push((column.clone(), number(summary.mean)));
                        values.push((format!("{column}_sd"), number(summary.deviation)));
                    }
                }
            }
            for (column, _) in &values {
                if !header.contains(column) {
                    header.push(column.clone());
                }
            }
            rows.push(values);
        }
    }
    let failed = |error: csv::Error| Error::new(format!("could not write CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).map_err(failed)?;
    for row in rows {
        let value = |column: &String| {
            row.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value.as_str())
        };
        writer.write_record(header.iter().map(value)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.into_error().into()))?;
    String::from_utf8(bytes).map_err(|error| Error::new(format!("could not write CSV: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::super::{Comparison, compare};
    use super::*;

    fn found() -> Comparison {
        let runs = vec![run(1, 5e-5, 0.80), run(2, 2e-5, 0.85), run(2, 5e-5, 0.84)];
        let [found] = compare(runs).unwrap().try_into().unwrap();
        found
    }

    #[test]
    fn a_table_has_mean_and_deviation_over_seeds() {
        assert_eq!(
            lines(&found()),
            [
                "mrpc",
                "run                  learning_rate  seeds  f1               accuracy  loss             best_step  train_seconds  state",
                "runs/0.00002/seed-2  2e-5           1      0.8500           -         0.5000           9          -              not complete",
                "runs/0.00005/*       5e-5           2      0.8200 ± 0.0283  -         0.5000 ± 0.0000  9 ± 0      -              not complete",
            ]
        );
        assert_eq!(markdown(&found())[3].matches("---").count(), 9);
    }

    #[test]
    fn csv_has_a_column_for_each_deviation() {
        let text = csv(&[found()]).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let place = |name: &str| header.iter().position(|column| column == name).unwrap();
        let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(&rows[0][place("f1")], "0.85");
        assert_eq!(&rows[0][place("f1_sd")], "");
        assert!(rows[1][place("f1_sd")].starts_with("0.028"));
        assert_eq!(&rows[1][place("task")], "mrpc");
    }
}
