//! The worst mistakes with their texts.

use maud::{Markup, html};

use super::thousands;
use crate::analysis::{Mistake, Mistakes, Piece, Wrong};
use crate::metric::entities;

/// Mistakes that are open when the page is loaded.
const OPEN: usize = 20;

/// The worst mistakes, the first few open.
pub(super) fn mistakes(mistakes: &Mistakes) -> Markup {
    if mistakes.worst.is_empty() {
        return html! {};
    }
    let (open, rest) = mistakes.worst.split_at(mistakes.worst.len().min(OPEN));
    let are_numbers = matches!(open[0].wrong, Wrong::Score { .. });
    html! {
        h3 {
            @if are_numbers { "Largest errors" } @else { "Worst mistakes" }
            " " small { (thousands(mistakes.worst.len())) " of " (thousands(mistakes.total)) }
        }
        (key(&open[0].wrong))
        @for mistake in open { (one(mistake)) }
        @if !rest.is_empty() {
            details {
                summary { (rest.len()) " more" }
                @for mistake in rest { (one(mistake)) }
            }
        }
    }
}

/// What the marks stand for.
fn key(wrong: &Wrong) -> Markup {
    match wrong {
        Wrong::Answer { .. } => html! {
            p.dim {
                mark.gold { "accepted answer" } " " mark.predicted { "predicted answer" } " "
                mark.both { "both" }
            }
        },
        Wrong::Tags { .. } => html! {
            p.dim { mark.gold { "right" } " " mark.predicted { "missed, or wrongly predicted" } }
        },
        _ => html! {},
    }
}

fn one(mistake: &Mistake) -> Markup {
    html! {
        article.mistake {
            header {
                span { "line " (mistake.line) }
                @if !follows_from_line(mistake) { span { "id " (mistake.id) } }
                (summary(&mistake.wrong))
            }
            (texts(&mistake.wrong))
        }
    }
}

/// Whether the identifier is only the row's number, which files without identifiers have.
fn follows_from_line(mistake: &Mistake) -> bool {
    mistake.id.parse::<usize>().is_ok_and(|id| id < mistake.line && mistake.line <= id + 2)
}

fn summary(wrong: &Wrong) -> Markup {
    match wrong {
        Wrong::Class { gold, gold_probability, predicted, probability, .. } => html! {
            span { "gold " bdi.gold { (gold) } " " (format!("{gold_probability:.3}")) }
            span { "predicted " bdi.predicted { (predicted) } " " (format!("{probability:.3}")) }
        },
        Wrong::Ending { gold, gold_probability, predicted, probability, .. } => html! {
            span { "gold " span.gold { (gold) } " " (format!("{gold_probability:.3}")) }
            span { "predicted " span.predicted { (predicted) } " " (format!("{probability:.3}")) }
        },
        Wrong::Score { gold, predicted, .. } => html! {
            span { "gold " span.gold { (format!("{gold:.3}")) } }
            span { "predicted " span.predicted { (format!("{predicted:.3}")) } }
            span { "error " (format!("{:+.3}", predicted - gold)) }
        },
        Wrong::Answer { probability, f1, .. } => html! {
            span { "F1 " (format!("{f1:.2}")) }
            @if let Some(probability) = probability {
                span { "probability " (format!("{probability:.3}")) }
            }
        },
        Wrong::Tags { wrong, .. } => html! { span { (wrong) " wrong" } },
    }
}

fn texts(wrong: &Wrong) -> Markup {
    match wrong {
        Wrong::Class { text, text_pair, .. } | Wrong::Score { text, text_pair, .. } => html! {
            p dir="auto" { (text) }
            @if let Some(pair) = text_pair { p dir="auto" { (pair) } }
        },
        Wrong::Ending { context, start, endings, gold, predicted, .. } => html! {
            p dir="auto" { (context) }
            @for (i, ending) in endings.iter().enumerate() {
                p dir="auto" {
                    span.label { (i)
                        @if i == *gold { " gold" } @else if i == *predicted { " predicted" }
                    }
                    @let text = html! { (start) " " (ending) };
                    @if i == *gold { mark.gold { (text) } }
                    @else if i == *predicted { mark.predicted { (text) } }
                    @else { (text) }
                }
            }
        },
        Wrong::Answer { question, passage, gold, predicted, .. } => html! {
            p dir="auto" { strong { (question) } }
            p { span.label { "gold" } span.gold dir="auto" {
                @if gold.is_empty() { "no answer" } @else { (gold.join(" | ")) }
            } }
            p { span.label { "predicted" } span.predicted dir="auto" {
                @if predicted.is_empty() { "no answer" } @else { (predicted) }
            } }
            p dir="auto" { @for piece in passage { (marked(piece)) } }
        },
        Wrong::Tags { words, gold, predicted, .. } => html! {
            p { span.label { "gold" } bdi { (sentence(words, gold, predicted)) } }
            p { span.label { "predicted" } bdi { (sentence(words, predicted, gold)) } }
        },
    }
}

fn marked(piece: &Piece) -> Markup {
    html! {
        @match (piece.gold, piece.predicted) {
            (true, true) => mark.both { (piece.text) },
            (true, false) => mark.gold { (piece.text) },
            (false, true) => mark.predicted { (piece.text) },
            (false, false) => (piece.text),
        }
    }
}

/// A sentence with its entities marked: those that `other` has too, and the rest. Tags that are no
/// entities are marked where they differ.
fn sentence(words: &[String], tags: &[String], other: &[String]) -> Markup {
    let length = words.len().min(tags.len()).min(other.len());
    let (words, tags, other) = (&words[..length], &tags[..length], &other[..length]);
    let (found, known) = (entities(tags), entities(other));
    let mut parts = Vec::new();
    let mut at = 0;
    let plain = |from: usize, to: usize| {
        let differs = |i: usize| found.is_empty() && known.is_empty() && tags[i] != other[i];
        html! {
            @for i in from..to {
                @if differs(i) { mark.predicted { bdi { (words[i]) } b { (tags[i]) } } }
                @else { (words[i]) }
                " "
            }
        }
    };
    for entity in &found {
        parts.push(plain(at, entity.start));
        let text = words[entity.start..entity.end].join(" ");
        let class = if known.contains(entity) { "gold" } else { "predicted" };
        parts.push(html! { mark class=(class) { bdi { (text) } b { (entity.entity_type) } } " " });
        at = entity.end;
    }
    parts.push(plain(at, words.len()));
    html! { @for part in parts { (part) } }
}
