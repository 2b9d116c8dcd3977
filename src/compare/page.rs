//! Comparisons as an HTML page with overlaid curves.

use maud::{Markup, html};

use super::{Comparison, table};
use crate::report::html::{LineChart, Series, line_chart, page as html_page};
use crate::run::{EvaluationLine, RunFiles};

/// The most runs of a chart.
const MOST_RUNS: usize = 24;

/// All comparisons on one page.
pub fn page(comparisons: &[Comparison]) -> String {
    let runs: usize =
        comparisons.iter().flat_map(|found| &found.rows).map(|row| row.runs.len()).sum();
    let title = format!("{runs} runs");
    let body = html! {
        h1 { (title) }
        @for comparison in comparisons { (of_task(comparison)) }
    };
    html_page(&title, &body)
}

fn of_task(comparison: &Comparison) -> Markup {
    let (columns, rows) = table::texts(comparison);
    let all: Vec<&RunFiles> = comparison.rows.iter().flat_map(|row| &row.runs).collect();
    let shown = &all[..all.len().min(MOST_RUNS)];
    let metric = comparison.metrics.first().map_or("", |metric| metric.name());
    let of_split = |value: &dyn Fn(&EvaluationLine) -> Option<f64>| -> Vec<Series> {
        shown.iter().map(|run| evaluations(run, value)).collect()
    };
    let metrics = of_split(&|line| line.metrics.get(metric).copied().flatten());
    let losses = of_split(&|line| line.loss);
    let train: Vec<Series> = shown
        .iter()
        .map(|run| Series {
            name: run.dir.display().to_string(),
            points: run.curves.steps.iter().map(|line| (line.step as f64, line.loss)).collect(),
        })
        .collect();
    let chart = |title: &str, series: &[Series]| {
        line_chart(&LineChart { title, x: "step", series, mark: None })
    };
    html! {
        section {
            h2 { (comparison.task) }
            div.scroll {
                table {
                    thead { tr { @for column in &columns { th { (column.replace('_', " ")) } } } }
                    tbody {
                        @for row in &rows {
                            tr {
                                th.name scope="row" { (row[0]) }
                                @for cell in &row[1..] { td { (cell) } }
                            }
                        }
                    }
                }
            }
            @if all.len() > shown.len() {
                p.dim { "The curves are those of the first " (shown.len()) " of " (all.len()) " runs." }
            }
            div.charts {
                (chart(metric, &metrics))
                (chart("loss on the development split", &losses))
                (chart("loss in training", &train))
            }
        }
    }
}

/// A value of the selecting split by step.
fn evaluations(run: &RunFiles, value: &dyn Fn(&EvaluationLine) -> Option<f64>) -> Series {
    let split = run.record.task.dev.first().map_or("", |split| split.name.as_str());
    let lines = run.curves.evaluations.iter().filter(|line| line.split == split);
    Series {
        name: run.dir.display().to_string(),
        points: lines.filter_map(|line| Some((line.step as f64, value(line)?))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::super::tests::run;
    use super::*;

    #[test]
    fn many_runs_are_all_in_the_table_and_some_in_the_curves() {
        let runs = (0..30).map(|i| run(1, 1e-5 * (i + 1) as f32, 0.5 + 0.01 * f64::from(i)));
        let page = page(&compare(runs.collect()).unwrap());
        assert!(page.contains("first 24 of 30 runs"), "{page}");
        assert_eq!(page.matches("<th class=\"name\"").count(), 30);
    }
}
