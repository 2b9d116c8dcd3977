//! The part of a report that an evaluation gives: tables, confusions, calibration, lengths.

use maud::{Markup, html};

use super::chart::{histogram, reliability, scatter};
use super::mistakes::mistakes;
use super::{thousands, value};
use crate::analysis::{Analysis, Confusion, Lengths, Table};

/// All that is shown of one split.
pub(super) fn split(analysis: &Analysis) -> Markup {
    let findings = &analysis.findings;
    let metrics: Vec<String> =
        analysis.metrics.iter().map(|(name, of)| format!("{name} {}", value(*of))).collect();
    html! {
        section {
            h2 { "Split " (analysis.split) }
            p { (thousands(analysis.examples)) @if analysis.examples == 1 { " example: " } @else { " examples: " } (metrics.join(", ")) }
            @for table in &findings.tables { (of_table(table)) }
            @if let Some(confusion) = &findings.confusion { (of_confusion(confusion)) }
            div.charts {
                @if let Some(found) = &findings.reliability {
                    @let bins = found.bins.iter().map(|bin| (bin.confidence, bin.accuracy, bin.count));
                    (reliability(
                        "Calibration",
                        &format!("expected calibration error {:.3}; below the diagonal: too sure", found.error),
                        &bins.collect::<Vec<_>>(),
                    ))
                }
                @if !findings.scatter.is_empty() {
                    (scatter("Predicted numbers", ("gold", "predicted"), &findings.scatter))
                }
                (lengths("Lengths", &analysis.lengths))
            }
            (mistakes(&findings.mistakes))
        }
    }
}

/// A histogram of lengths, and what was cut.
pub(super) fn lengths(title: &str, lengths: &Lengths) -> Markup {
    let bars: Vec<_> =
        lengths.bars.iter().map(|bar| (bar.from as f64, bar.to as f64, bar.count as f64)).collect();
    let note = match lengths.cut {
        0 => format!("in word pieces; none was cut to {}", lengths.limit),
        cut => format!("in word pieces; {} were cut to {}", thousands(cut), lengths.limit),
    };
    histogram(title, &note, "word pieces", &bars)
}

/// Rows that are shown at once; the rest of a longer table scrolls.
const SHORT: usize = 40;

fn of_table(table: &Table) -> Markup {
    if table.rows.is_empty() {
        return html! {};
    }
    // Of many rows the worst come first: these are what one looks for.
    let rows = if table.rows.len() > SHORT {
        let mut rows = table.worst(table.rows.len() - 1);
        let best =
            table.rows.iter().find(|row| !rows.iter().any(|known| std::ptr::eq(*known, *row)));
        rows.extend(best);
        rows
    } else {
        table.rows.iter().collect()
    };
    let title = match table.by.as_str() {
        "share of predictions" => "Errors by share of predictions".to_owned(),
        by => format!("By {by}"),
    };
    let has_support = rows.iter().any(|row| row.support.is_some());
    html! {
        h3 { (title) @if rows.len() > SHORT { " " small { (rows.len()) " rows, worst first" } } }
        div.scroll {
            table {
                thead { tr {
                    th { (table.by) }
                    @for column in &table.columns { th { (column.replace('_', " ")) } }
                    @if has_support { th { "support" } }
                } }
                tbody {
                    @for row in rows {
                        tr {
                            th.name scope="row" dir="auto" { (row.name) }
                            @for value in &row.values {
                                td { (value.map_or("–".to_owned(), |value| format!("{value:.4}"))) }
                            }
                            @if let Some(support) = row.support { td { (thousands(support)) } }
                        }
                    }
                }
            }
        }
    }
}

fn of_confusion(confusion: &Confusion) -> Markup {
    html! {
        @if !confusion.matrix.is_empty() { (matrix(confusion)) }
        @if confusion.classes.len() > 2 && !confusion.top.is_empty() {
            h3 { "Most frequent confusions" }
            div.scroll {
                table {
                    thead { tr { th { "gold" } th.text { "predicted" } th { "examples" } } }
                    tbody {
                        @for confused in &confusion.top {
                            tr {
                                th.name scope="row" dir="auto" { (name(confusion, confused.gold)) }
                                td.name.text dir="auto" { (name(confusion, confused.predicted)) }
                                td { (thousands(confused.count)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn name(confusion: &Confusion, class: usize) -> &str {
    confusion.classes.get(class).map_or("", String::as_str)
}

/// Gold classes as rows, predicted ones as columns, each cell shaded by its share of its row.
fn matrix(confusion: &Confusion) -> Markup {
    html! {
        h3 { "Confusion matrix" " " small { "rows: gold, columns: predicted" } }
        div.scroll {
            table.matrix {
                thead { tr {
                    th {}
                    @for class in &confusion.classes { th.column dir="auto" { (class) } }
                } }
                tbody {
                    @for (gold, row) in confusion.matrix.iter().enumerate() {
                        @let sum = row.iter().sum::<usize>().max(1) as f64;
                        tr {
                            th.name scope="row" dir="auto" { (name(confusion, gold)) }
                            @for (predicted, count) in row.iter().enumerate() {
                                td.right[gold == predicted]
                                    style={ "--share:" (format!("{:.3}", *count as f64 / sum)) }
                                    title={ (name(confusion, gold)) " predicted as "
                                        (name(confusion, predicted)) ": " (count) } {
                                    @if *count > 0 { (count) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
