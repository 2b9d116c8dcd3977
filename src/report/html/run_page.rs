//! `report.html`: a run on one page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use maud::{Markup, html};
use serde_json::Value;

use super::chart::{LineChart, Series, line_chart};
use super::findings::lengths;
use super::{page, splits, thousands, value};
use crate::error::Result;
use crate::files::{names, write_file};
use crate::run::{RunFiles, flat};
use crate::settings::TrainSettings;

/// Writes the report of a run into its folder.
///
/// # Errors
///
/// The disk is full or the folder gone.
pub fn write_run_page(run: &RunFiles) -> Result<PathBuf> {
    let path = run.dir.join(names::REPORT);
    write_file(&path, &run_page(run)?)?;
    Ok(path)
}

/// The report of a run as HTML.
///
/// # Errors
///
/// The settings cannot be written as JSON.
pub fn run_page(run: &RunFiles) -> Result<String> {
    let task = &run.record.task;
    let best = run.best();
    let metric = task.selecting_metric().name();
    let best_value = best.and_then(|(_, metrics)| metrics.get(metric).copied().flatten());
    let title = match best {
        Some(_) => format!("{}: {metric} {}", task.name, value(best_value)),
        None => task.name.clone(),
    };
    let analysis = run.analysis.as_ref();
    let fits = analysis.filter(|analysis| best.is_none_or(|(step, _)| step == analysis.step));
    let body = html! {
        h1 { (title) }
        p.dim dir="auto" { (task.description) }
        (overview(run))
        @if run.result.is_none() {
            p.warn { "The run is not complete: this is what it has come to so far." }
        }
        (settings(run)?)
        section {
            h2 { "Training" }
            div.charts {
                (curves(run))
                @if let Some(analysis) = fits {
                    (lengths("Lengths of training examples", &analysis.train_lengths))
                }
            }
        }
        @match (fits, analysis) {
            (Some(analysis), _) => (splits(analysis)),
            (None, Some(analysis)) => p.warn {
                "What the predictions show was kept of step " (analysis.step) ", not of the best one."
            },
            (None, None) => p.warn { "The run has no evaluation whose predictions were kept." },
        }
    };
    Ok(page(&title, &body))
}

fn overview(run: &RunFiles) -> Markup {
    html! {
        dl {
            @if let Some((step, metrics)) = run.best() {
                dt { "best" }
                dd {
                    "step " (thousands(step))
                    @if let Some(result) = &run.result { " of " (thousands(result.steps)) }
                    ": "
                    @for (i, (name, of)) in metrics.iter().enumerate() {
                        @if i > 0 { ", " }
                        (name) " " (value(*of))
                    }
                }
            }
            @if let Some(result) = &run.result {
                dt { "examples" }
                dd { (thousands(result.train_examples)) " train, " (thousands(result.examples)) " "
                    (result.split) }
                dt { "time" }
                dd { (crate::report::duration(std::time::Duration::from_secs_f64(
                    result.train_seconds.clamp(0.0, 1e9)))) }
                @if result.skipped > 0 {
                    dt { "skipped" } dd { (result.skipped) " updates without a finite gradient" }
                }
            }
            dt { "export" } dd { (run.record.model.display()) }
            dt { "folder" } dd { (run.dir.display()) }
        }
    }
}

/// The settings that are shown first, by their names in `run.json`.
const FIRST: [&str; 9] = [
    "learning_rate",
    "batch_size",
    "epochs",
    "max_steps",
    "warmup",
    "features.max_length",
    "precision",
    "seed",
    "dropout",
];

/// Those that matter most and those that are not the task's defaults; the rest folded.
fn settings(run: &RunFiles) -> Result<Markup> {
    let record = &run.record;
    let all = flat(&record.settings)?;
    let defaults = flat(&TrainSettings::for_task(&record.task, record.settings.precision))?;
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        // Most settings are 32-bit floats, which are long as 64-bit ones.
        Value::Number(number) if number.is_f64() => number.as_f64().map_or(String::new(), float),
        value => value.to_string(),
    };
    // Where the machine decides, another value is no choice of the user's.
    let decided = ["precision", "eval_batch_size"];
    let changed = |key: &str| !decided.contains(&key) && all.get(key) != defaults.get(key);
    let entry = |key: &str| {
        let value = all.get(key).map_or("none".to_owned(), shown);
        let default = defaults.get(key).map_or("none".to_owned(), shown);
        html! {
            dt { (key.trim_start_matches("features.").replace('_', " ")) }
            dd {
                @if changed(key) { strong { (value) } " " small { "default " (default) } }
                @else { (value) }
            }
        }
    };
    let (mut first, mut rest): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let others = all.keys().map(String::as_str).filter(|key| !FIRST.contains(key));
    for key in FIRST.into_iter().filter(|key| all.get(*key).is_some_and(|value| !value.is_null())) {
        first.push(key);
    }
    for key in others {
        if changed(key) { first.push(key) } else { rest.push(key) }
    }
    let data: BTreeMap<&str, String> = record
        .data
        .iter()
        .map(|file| {
            (file.split.as_str(), format!("{}, SHA-256 {}", file.path.display(), file.sha256))
        })
        .collect();
    Ok(html! {
        section {
            h2 { "Settings" }
            div.settings { @for key in first { dl { (entry(key)) } } }
            details {
                summary { "all settings, data and command" }
                div.settings { @for key in rest { dl { (entry(key)) } } }
                dl { @for (split, file) in data { dt { (split) } dd { (file) } } }
                pre { (command(&record.command)) }
            }
        }
    })
}

/// A number as it would be typed.
fn float(value: f64) -> String {
    let value = value as f32;
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { value.to_string() }
}

/// A command as it can be typed again.
fn command(words: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Losses, each metric of the development splits, learning rate and gradient's norm.
fn curves(run: &RunFiles) -> Markup {
    let curves = &run.curves;
    let task = &run.record.task;
    let mut losses = vec![Series {
        name: "train".into(),
        points: curves.steps.iter().map(|line| (line.step as f64, line.loss)).collect(),
    }];
    let of_split = |split: &str, value: &dyn Fn(&crate::run::EvaluationLine) -> Option<f64>| {
        let lines = curves.evaluations.iter().filter(|line| line.split == split);
        let points = lines.filter_map(|line| Some((line.step as f64, value(line)?))).collect();
        Series { name: split.to_owned(), points }
    };
    losses.extend(task.dev.iter().map(|split| of_split(&split.name, &|line| line.loss)));
    let best = run.best();
    let metrics = task.metrics.iter().map(|metric| {
        let name = metric.name();
        let value = |line: &crate::run::EvaluationLine| line.metrics.get(name).copied().flatten();
        let series: Vec<_> = task.dev.iter().map(|split| of_split(&split.name, &value)).collect();
        let mark = best.and_then(|(step, metrics)| {
            let value = metrics.get(name).copied().flatten()?;
            Some((step as f64, value, format!("best: {value:.4} at step {step}")))
        });
        (name, series, mark)
    });
    let rate = curves.steps.iter().map(|line| (line.step as f64, line.learning_rate));
    let norm = curves.steps.iter().filter_map(|line| Some((line.step as f64, line.grad_norm?)));
    let single = |title: &'static str, points: Vec<(f64, f64)>| {
        let series = [Series { name: title.into(), points }];
        line_chart(&LineChart { title, x: "step", series: &series, mark: None })
    };
    html! {
        @for (title, series, mark) in metrics {
            (line_chart(&LineChart { title, x: "step", series: &series, mark }))
        }
        (line_chart(&LineChart { title: "loss", x: "step", series: &losses, mark: None }))
        (single("learning rate", rate.collect()))
        (single("gradient norm", norm.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_they_are_typed() {
        let shown = [0.001_f32, 5e-5, 0.1, 1.0, 0.0].map(|value| float(f64::from(value)));
        assert_eq!(shown, ["0.001", "5e-5", "0.1", "1", "0"]);
    }

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["tfbert", "train", "--task", "it's my.json"].map(str::to_owned);
        assert_eq!(command(&words), r"tfbert train --task 'it'\''s my.json'");
    }
}
