//! Answers: exact match and F1 by answer length, calibration, wrong answers beside gold.

use super::mistakes::{Mistakes, Piece, Wrong, cut};
use super::{Findings, Reliability, Row, Table, misfit};
use crate::dataset::{Answer, Dataset, Input, Labels, Target};
use crate::error::Result;
use crate::metric::{QuestionScore, SquadVersion, score_question};
use crate::prediction::{Prediction, SpanPrediction};
use crate::task::Task;

/// Characters of the passage that are kept around an answer.
const AROUND: usize = 200;

/// The most answers that are listed for a question.
const MOST_ANSWERS: usize = 5;

/// Answer lengths in words: the name of a range, and its longest.
const LENGTHS: [(&str, usize); 5] = [
    ("1 word", 1),
    ("2 words", 2),
    ("3 to 4 words", 4),
    ("5 to 8 words", 8),
    ("9 words or more", usize::MAX),
];
const NO_ANSWER: &str = "no answer";

/// Exact match and F1 by the words of the shortest accepted answer; calibration of the answers'
/// probabilities by exact match; answers whose F1 is below 1, the surest of the worst first.
///
/// # Errors
///
/// A question whose answers are not known, or a prediction that is no span.
pub fn answers(
    task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let version =
        if task.version_2_with_negative { SquadVersion::V2_0 } else { SquadVersion::V1_1 };
    let mut found = Vec::with_capacity(predictions.len());
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let (Some(Target::Answers(gold)), Prediction::Span(span)) = (&example.target, prediction)
        else {
            return Err(misfit(dataset, example));
        };
        let golds: Vec<&str> = gold.iter().map(|answer| answer.text.as_str()).collect();
        found.push((span, gold, score_question(version, &span.text, &golds)));
    }
    let reliability = Reliability::new(
        found
            .iter()
            .filter_map(|(span, _, score)| Some((probability(span)?, score.exact_match > 0.0))),
    );
    let badness = |i: usize| {
        let (span, _, score) = &found[i];
        let sure = f64::from(probability(span).unwrap_or(0.0));
        // F1 decides, then the probability, which is at most 1.
        (score.f1 < 1.0).then_some(2.0 * (1.0 - score.f1) + 0.001 * sure)
    };
    let mistakes = Mistakes::collect(dataset, most, badness, |i| {
        let (span, gold, score) = &found[i];
        let Input::Question { question, context } = &dataset.examples[i].input else {
            return None;
        };
        let mut texts: Vec<String> = gold.iter().map(|answer| cut(&answer.text)).collect();
        texts.sort_unstable();
        texts.dedup();
        texts.truncate(MOST_ANSWERS);
        Some(Wrong::Answer {
            question: cut(question),
            passage: pieces(context, gold, span),
            gold: texts,
            predicted: cut(&span.text),
            probability: probability(span),
            f1: score.f1,
        })
    });
    Ok(Findings {
        tables: vec![by_length(found.iter().map(|(_, gold, score)| (*gold, score)))],
        reliability,
        mistakes,
        ..Findings::default()
    })
}

/// The probability of the answer among the best spans.
fn probability(span: &SpanPrediction) -> Option<f32> {
    span.n_best.iter().find(|best| best.text == span.text).map(|best| best.probability)
}

fn by_length<'a>(found: impl Iterator<Item = (&'a Vec<Answer>, &'a QuestionScore)>) -> Table {
    let mut sums = [(0_usize, 0.0_f64, 0.0_f64); LENGTHS.len() + 1];
    for (gold, score) in found {
        let words = gold.iter().map(|answer| answer.text.split_whitespace().count()).min();
        let place = match words {
            Some(words) => LENGTHS.iter().position(|(_, longest)| words <= *longest),
            None => None,
        };
        let (count, exact, f1) = &mut sums[place.unwrap_or(LENGTHS.len())];
        *count += 1;
        *exact += score.exact_match;
        *f1 += score.f1;
    }
    let names = LENGTHS.iter().map(|(name, _)| *name).chain([NO_ANSWER]);
    let rows =
        names.zip(sums).filter(|(_, (count, ..))| *count > 0).map(|(name, (count, exact, f1))| {
            Row {
                name: name.into(),
                values: vec![Some(exact / count as f64), Some(f1 / count as f64)],
                support: Some(count),
            }
        });
    Table {
        by: "answer length".into(),
        columns: vec!["exact_match".into(), "f1".into()],
        rows: rows.collect(),
    }
}

/// The passage in pieces that are gold, predicted, both or neither. What is far from all answers is
/// left out, with `…` in its place.
fn pieces(context: &str, gold: &[Answer], span: &SpanPrediction) -> Vec<Piece> {
    let predicted = span.n_best.iter().find(|best| !best.text.is_empty() && best.text == span.text);
    let predicted = predicted.and_then(|best| Some((best.start?, best.text.chars().count())));
    let gold: Vec<(usize, usize)> =
        gold.iter().map(|answer| (answer.start, answer.text.chars().count())).collect();
    let chars: Vec<char> = context.chars().collect();
    let inside = |(start, length): (usize, usize), at: usize| at >= start && at - start < length;
    let near = |(start, length): (usize, usize), at: usize| {
        at + AROUND >= start && at < start + length + AROUND
    };
    let has_answers = !gold.is_empty() || predicted.is_some();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut left_out = false;
    for (at, char) in chars.into_iter().enumerate() {
        let kept = if has_answers {
            gold.iter().copied().chain(predicted).any(|answer| near(answer, at))
        } else {
            at < 2 * AROUND
        };
        if !kept {
            if !left_out {
                pieces.push(Piece { text: "…".into(), gold: false, predicted: false });
            }
            left_out = true;
            continue;
        }
        let is_gold = gold.iter().any(|&answer| inside(answer, at));
        let is_predicted = predicted.is_some_and(|answer| inside(answer, at));
        match pieces.last_mut() {
            Some(last) if !left_out && (last.gold, last.predicted) == (is_gold, is_predicted) => {
                last.text.push(char);
            }
            _ => pieces.push(Piece {
                text: char.to_string(),
                gold: is_gold,
                predicted: is_predicted,
            }),
        }
        left_out = false;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Example;
    use crate::prediction::Candidate;
    use crate::task;

    fn span(text: &str, start: usize, probability: f32) -> SpanPrediction {
        let start = (!text.is_empty()).then_some(start);
        let best = Candidate { text: text.into(), start, probability, ..Candidate::default() };
        SpanPrediction { text: text.into(), n_best: vec![best], null_odds: None }
    }

    fn answer(text: &str, start: usize) -> Answer {
        Answer { text: text.into(), start }
    }

    #[test]
    fn answers_are_grouped_by_length_and_the_worst_are_shown_in_their_passage() {
        let task = task::find("squad2").unwrap();
        let example = |(i, gold): (usize, Vec<Answer>)| Example {
            id: format!("q{i}"),
            line: i + 1,
            input: Input::Question {
                question: "who?".into(), context: "été: Ada of Rome".into()
            },
            target: Some(Target::Answers(gold)),
        };
        let golds = vec![
            vec![answer("Ada", 5), answer("Ada of Rome", 5)],
            vec![answer("Ada of Rome", 5)],
            vec![],
        ];
        let examples = golds.into_iter().enumerate().map(example).collect();
        let dataset = Dataset { path: "dev.json".into(), examples, split: "dev".into() };
        let predictions = [span("Ada", 5, 0.75), span("Rome", 12, 0.5), span("été", 0, 0.25)];
        let predictions = predictions.map(Prediction::Span);
        let found = answers(&task, &dataset, &Labels::default(), &predictions, 9).unwrap();
        let rows: Vec<_> =
            found.tables[0].rows.iter().map(|row| (row.name.as_str(), row)).collect();
        assert_eq!(rows[0].0, "1 word");
        assert_eq!(rows[0].1.values, [Some(1.0), Some(1.0)]);
        // `Rome` against `Ada of Rome`: 2 · 1 · ⅓ / (1 + ⅓)
        assert_eq!(rows[1].0, "3 to 4 words");
        assert_eq!(rows[1].1.values, [Some(0.0), Some(0.5)]);
        assert_eq!(rows[2].0, NO_ANSWER);
        assert_eq!(found.mistakes.total, 2);
        assert_eq!(found.mistakes.worst[0].id, "q2", "F1 0 is worse than 0.5");
        let Wrong::Answer { passage, .. } = &found.mistakes.worst[1].wrong else { panic!() };
        let texts: Vec<_> =
            passage.iter().map(|p| (p.text.as_str(), p.gold, p.predicted)).collect();
        assert_eq!(
            texts,
            [("été: ", false, false), ("Ada of ", true, false), ("Rome", true, true)]
        );
        assert_eq!(found.reliability.unwrap().bins.len(), 3);
    }

    #[test]
    fn what_is_far_from_the_answers_is_left_out() {
        let context = format!("{}X{}Y", "a".repeat(1000), "b".repeat(1000));
        let found = pieces(&context, &[answer("X", 1000)], &span("Y", 2001, 0.5));
        let texts: Vec<_> = found.iter().map(|piece| piece.text.chars().count()).collect();
        assert_eq!(texts, [1, AROUND, 1, AROUND, 1, AROUND, 1]);
        assert_eq!(found[0].text, "…");
        assert!(found[2].gold && found[6].predicted);
        // Without any answer, the passage's beginning.
        let found = pieces(&context, &[], &span("", 0, 0.5));
        assert_eq!(found[0].text.chars().count(), 2 * AROUND);
    }

    #[test]
    fn an_answer_past_the_passages_end_is_no_fault() {
        let found = pieces("ab", &[answer("x", usize::MAX / 4)], &span("", 0, 0.5));
        assert_eq!(found[0].text, "…");
    }
}
