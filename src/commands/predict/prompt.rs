//! Prediction of what a person types.

use std::io::Write;
use std::path::Path;

use tfbert::error::Result;
use tfbert::model::Predictor;
use tfbert::predict::{self, Request};
use tfbert::task::Head;
use tfbert::text::Lines;

use crate::commands::print_line;

/// What is asked for one prediction, part after part.
fn parts(head: Head, is_pair: bool, has_passage: bool) -> &'static [&'static str] {
    match head {
        Head::Span if has_passage => &["question"],
        Head::Span => &["question", "passage"],
        Head::Choice => &["context", "endings, with tabs between"],
        Head::Tag => &["sentence"],
        _ if is_pair => &["first text", "second text"],
        _ => &["text"],
    }
}

/// Predicts what a person types until the end of input (Ctrl-D).
pub(super) fn run(request: &Request<'_>, model: &dyn Predictor) -> Result<()> {
    let is_pair = request.trained.training.task.columns.text_pair.is_some();
    let head = request.trained.model.head;
    let parts = parts(head, is_pair, !request.passages.is_empty());
    eprintln!("Type the {} and press Enter; Ctrl-D ends.", parts.join(", then the "));
    let mut lines = Lines::new(Path::new("stdin"), Box::new(std::io::stdin().lock()));
    while let Some(text) = ask(&mut lines, parts)? {
        match predict::predict(request, &[text], model) {
            Ok(found) => found.iter().try_for_each(print_line)?,
            Err(error) => eprintln!("error: {error}"),
        }
    }
    eprintln!();
    Ok(())
}

/// All parts of one prediction, with tabs between; `None` at the end of input.
fn ask(lines: &mut Lines<'_>, parts: &[&str]) -> Result<Option<String>> {
    let mut typed: Vec<String> = Vec::new();
    while typed.len() < parts.len() {
        eprint!("{}> ", parts[typed.len()]);
        let _ = std::io::stderr().flush();
        match lines.advance()? {
            None => return Ok(None),
            Some(line) if line.trim().is_empty() => {}
            // A tab inside a part but the last would end it.
            Some(line) if typed.len() + 1 < parts.len() => typed.push(line.replace('\t', " ")),
            Some(line) => typed.push(line.to_owned()),
        }
    }
    Ok(Some(typed.join("\t")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_asked_for_until_it_has_a_text() {
        let typed = "one\ttab\n\ntwo\nthree\n";
        let mut lines = Lines::new(Path::new("stdin"), Box::new(typed.as_bytes()));
        let parts = parts(Head::Classify, true, false);
        assert_eq!(ask(&mut lines, parts).unwrap().as_deref(), Some("one tab\ttwo"));
        assert_eq!(ask(&mut lines, parts).unwrap(), None);
    }
}
