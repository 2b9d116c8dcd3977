//! One question's answers in several passages, ranked together.

use super::span::{Candidate, SpanPrediction, score, set_probabilities};

/// The answers to a question in all its passages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MergedAnswers {
    /// The passage's number and the answer, the best first. Probabilities are over all of them, with
    /// "no answer" where questions may have none.
    pub candidates: Vec<(usize, Candidate)>,
    /// How much "no answer" scores above the best answer.
    pub null_odds: Option<f64>,
    /// The probability that no passage has the answer.
    pub no_answer_probability: Option<f32>,
}

/// Ranks the answers of all passages by the sum of their logits. "No answer" has the least score that
/// it has in a passage, as among the windows of one.
pub fn merge_answers(passages: &[&SpanPrediction]) -> MergedAnswers {
    let mut found: Vec<(usize, Candidate)> = Vec::new();
    let mut null: Option<Candidate> = None;
    for (passage, span) in passages.iter().enumerate() {
        for candidate in &span.n_best {
            if candidate.start.is_some() {
                found.push((passage, candidate.clone()));
            } else if span.null_odds.is_some()
                && null.as_ref().is_none_or(|least| score(candidate) < score(least))
            {
                null = Some(candidate.clone());
            }
        }
    }
    // The sort is stable: of equal answers that of the first passage comes first.
    found.sort_by(|(_, a), (_, b)| score(b).total_cmp(&score(a)));
    let best = found.first().map_or(0.0, |(_, best)| score(best));
    let null_odds = null.as_ref().map(|null| score(null) - best);
    let mut all: Vec<&mut Candidate> = found.iter_mut().map(|(_, candidate)| candidate).collect();
    all.extend(&mut null);
    set_probabilities(&mut all);
    let no_answer_probability = null.map(|null| null.probability);
    MergedAnswers { candidates: found, null_odds, no_answer_probability }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str, logit: f32) -> Candidate {
        Candidate {
            text: text.into(),
            start: (!text.is_empty()).then_some(0),
            start_logit: logit,
            ..Candidate::default()
        }
    }

    fn span(candidates: &[(&str, f32)], null_odds: Option<f64>) -> SpanPrediction {
        let n_best = candidates.iter().map(|&(text, logit)| candidate(text, logit)).collect();
        SpanPrediction { n_best, null_odds, ..SpanPrediction::default() }
    }

    #[test]
    fn answers_of_all_passages_are_ranked_together_and_no_answer_counts_once() {
        let one = span(&[("a", 1.0), ("", 3.0)], Some(2.0));
        let two = span(&[("b", 2.0), ("", 1.5)], Some(-0.5));
        let merged = merge_answers(&[&one, &two]);
        let texts: Vec<_> =
            merged.candidates.iter().map(|(passage, c)| (*passage, c.text.as_str())).collect();
        assert_eq!(texts, [(1, "b"), (0, "a")]);
        assert_eq!(merged.null_odds, Some(-0.5));
        let sum: f32 = merged.candidates.iter().map(|(_, c)| c.probability).sum();
        let (exp, no_answer) = (f64::exp, merged.no_answer_probability.unwrap());
        assert!((sum + no_answer - 1.0).abs() < 1e-6);
        let expected = exp(1.5) / (exp(1.5) + exp(2.0) + exp(1.0));
        assert!((f64::from(no_answer) - expected).abs() < 1e-6);
    }

    #[test]
    fn one_passage_keeps_its_answers() {
        let merged = merge_answers(&[&span(&[("a", 1.0)], None)]);
        assert_eq!(merged.candidates[0].1.probability, 1.0);
        assert_eq!((merged.null_odds, merged.no_answer_probability), (None, None));
        assert_eq!(merge_answers(&[&span(&[("", 0.0)], None)]), MergedAnswers::default());
    }
}
