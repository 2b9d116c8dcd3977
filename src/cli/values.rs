//! Parsers of flags' values. Each error names the range.

use crate::cluster::MOST_WORKERS;
use crate::model::Precision;
use crate::optimizer::non_negative;

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1".into()),
        Ok(number) => Ok(number),
    }
}

/// The most passes over the training file, as in task files: a mistyped number is an error here, and
/// not a failed allocation later.
const MOST_EPOCHS: usize = 100_000;

/// The most examples of a batch, as in task files.
const LARGEST_BATCH: usize = 1 << 16;

/// The longest wait for the other workers, in seconds: a week.
const LONGEST_WAIT: usize = 7 * 24 * 3600;

/// The most minutes between two checkpoints: a year.
const MOST_MINUTES: usize = 366 * 24 * 60;

/// The most threads; more would only cost the time to start them.
const MOST_THREADS: usize = 1024;

pub(super) fn epochs(text: &str) -> Result<usize, String> {
    from_one_to(MOST_EPOCHS, text)
}

pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    from_one_to(LARGEST_BATCH, text)
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    from_one_to(MOST_THREADS, text)
}

pub(super) fn workers(text: &str) -> Result<usize, String> {
    from_one_to(MOST_WORKERS, text)
}

pub(super) fn wait_seconds(text: &str) -> Result<usize, String> {
    from_one_to(LONGEST_WAIT, text)
}

pub(super) fn minutes(text: &str) -> Result<usize, String> {
    from_one_to(MOST_MINUTES, text)
}

fn from_one_to(most: usize, text: &str) -> Result<usize, String> {
    let number = positive(text).ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if !f64::is_nan(number) => Ok(number),
        _ => Err("expected a number".to_owned()),
    }
}

pub(super) fn reduce_precision(text: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.name() == text)
        .ok_or_else(|| "expected f32 or bf16".into())
}

pub(super) fn non_negative_f64(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| "expected a number from 0".into())
}

pub(super) fn fraction(text: &str) -> Result<f32, String> {
    non_negative(text)
        .ok()
        .filter(|fraction| *fraction <= 1.0)
        .ok_or_else(|| "expected 0 to 1".into())
}

pub(super) fn fraction_below_one(text: &str) -> Result<f32, String> {
    fraction(text)
        .ok()
        .filter(|fraction| *fraction < 1.0)
        .ok_or_else(|| "expected 0 to below 1".into())
}

/// A share of the rows.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse().ok().filter(|share: &f64| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "expected a number above 0 and below 1".into())
}

/// A sign that separates columns. A tab may be written `\\t` or `tab`.
pub(super) fn delimiter(text: &str) -> Result<char, String> {
    let text = if ["\\t", "tab"].contains(&text) { "\t" } else { text };
    let mut signs = text.chars();
    match (signs.next(), signs.next()) {
        (Some(sign), None) if sign.is_ascii() && !sign.is_ascii_alphanumeric() && sign != '"' => {
            Ok(sign)
        }
        _ => Err("expected one sign, such as `;`, `|` or `\\t`".into()),
    }
}

/// Names of columns.
pub type ColumnNames = Vec<String>;

/// Names of columns with commas between them. A name with a comma stands in quotes, as in CSV.
pub(super) fn column_names(text: &str) -> Result<ColumnNames, String> {
    let expected = || "expected names of columns with commas between them".to_owned();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = reader.records();
    let row = rows.next().and_then(Result::ok).ok_or_else(expected)?;
    if rows.next().is_some() || row.iter().any(str::is_empty) {
        return Err(expected());
    }
    Ok(row.iter().map(str::to_owned).collect())
}

/// One seed; several are for another flag.
pub(super) fn one_seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| match text.contains([',', '-']) {
        true => format!("expected one whole number; for several runs: `--seeds {text}`"),
        false => "expected a whole number from 0".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::column_names;

    #[test]
    fn names_of_columns_are_a_row_of_csv() {
        for (text, names) in [
            ("subject,body", &["subject", "body"][..]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("c,\"a \"\"b\"\"\"", &["c", "a \"b\""]),
            ("the text", &["the text"]),
            ("5\" pipe", &["5\" pipe"]),
        ] {
            assert_eq!(column_names(text).unwrap(), names, "{text}");
        }
        for text in ["", "a,", ",a", "a\nb"] {
            assert!(column_names(text).unwrap_err().contains("names of columns"), "{text}");
        }
    }
}
