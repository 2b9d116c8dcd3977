//! Reports as one HTML file, which needs neither scripts nor the network.
//!
//! Every text of the data goes through maud, which escapes it, and has `dir="auto"`, so that
//! right-to-left texts read as they should.

use maud::{DOCTYPE, Markup, PreEscaped, html};

mod chart;
mod findings;
mod mistakes;
mod run_page;

use crate::run::RunAnalysis;

pub use chart::{LineChart, Series, line_chart};
pub use run_page::{run_page, write_run_page};

const STYLE: &str = include_str!("style.css");

/// A whole page.
pub fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Texts of the data can neither run nor load anything.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// What an evaluation shows of each split, as a part of a page.
pub(crate) fn splits(analysis: &RunAnalysis) -> Markup {
    html! { @for analysis in &analysis.splits { (findings::split(analysis)) } }
}

/// A number with so many thousands separated: `10,570`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value of a metric; `undefined` where it has none.
fn value(of: Option<f64>) -> String {
    of.map_or("undefined".into(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let shown: Vec<String> = [0, 999, 1000, 1_234_567].map(thousands).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
