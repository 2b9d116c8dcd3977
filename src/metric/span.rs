//! Metrics of question answering: SQuAD's exact match and F1, in both versions' rules.
//!
//! Each question is scored once by [`score_question`]; totals and null thresholds are then cheap
//! passes over the scores.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::normalize::normalize_answer;

/// Which of SQuAD's official scripts sets the rules.
///
/// They differ only where an answer normalises to nothing. Version 1.1 gives F1 0 to two answers
/// without words. Version 2.0 gives 1, drops such gold answers, and asks a question that has none
/// left to be answered by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SquadVersion {
    /// `evaluate-v1.1.py`: every question has an answer.
    #[serde(rename = "1.1")]
    V1_1,
    /// `evaluate-v2.0.py`: an empty prediction says that there is no answer.
    #[serde(rename = "2.0")]
    V2_0,
}

/// The score of one question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuestionScore {
    /// 1 if the prediction equals a gold answer after normalisation, else 0.
    pub exact_match: f64,
    /// The best F1 of the prediction's words against a gold answer's, from 0 to 1.
    pub f1: f64,
    /// Whether the question has a gold answer.
    pub has_answer: bool,
    /// Whether the prediction is an answer, that is, not the empty text.
    pub answered: bool,
}

/// Scores one prediction against the question's gold answers: the best over them counts.
///
/// `golds` are the texts as the data set has them, none for a question without an answer. (Version
/// 1.1 has no such question and its script stops at one; here it asks for an empty prediction.)
pub fn score_question(version: SquadVersion, prediction: &str, golds: &[&str]) -> QuestionScore {
    let normalized_prediction = normalize_answer(prediction);
    let mut normalized_golds: Vec<String> =
        golds.iter().map(|gold| normalize_answer(gold)).collect();
    if version == SquadVersion::V2_0 {
        normalized_golds.retain(|gold| !gold.is_empty());
    }
    if normalized_golds.is_empty() {
        normalized_golds.push(String::new());
    }
    let exact = normalized_golds.contains(&normalized_prediction);
    let f1 = normalized_golds
        .iter()
        .map(|gold| word_f1(version, &normalized_prediction, gold))
        .fold(0.0, f64::max);
    QuestionScore {
        exact_match: f64::from(u8::from(exact)),
        f1,
        has_answer: !golds.is_empty(),
        answered: !prediction.is_empty(),
    }
}

/// F1 of the words of two normalised answers, a word counting as often as it stands in both.
fn word_f1(version: SquadVersion, prediction: &str, gold: &str) -> f64 {
    let predicted: Vec<&str> = prediction.split_whitespace().collect();
    let gold: Vec<&str> = gold.split_whitespace().collect();
    if predicted.is_empty() || gold.is_empty() {
        let agree = predicted.is_empty() && gold.is_empty();
        return f64::from(u8::from(agree && version == SquadVersion::V2_0));
    }
    let mut unmatched: HashMap<&str, usize> = HashMap::new();
    for word in &gold {
        *unmatched.entry(word).or_default() += 1;
    }
    let mut same = 0u32;
    for word in &predicted {
        if let Some(count @ 1..) = unmatched.get_mut(word) {
            *count -= 1;
            same += 1;
        }
    }
    if same == 0 {
        return 0.0;
    }
    // Not the shorter 2·same / (predicted + gold), because the scripts round in this order.
    let precision = f64::from(same) / predicted.len() as f64;
    let recall = f64::from(same) / gold.len() as f64;
    (2.0 * precision * recall) / (precision + recall)
}

/// Means over a set of questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpanMeans {
    /// Share of exact matches; `None` for no questions.
    pub exact_match: Option<f64>,
    /// Mean F1; `None` for no questions.
    pub f1: Option<f64>,
    /// How many questions there are.
    pub total: usize,
}

/// Means over all questions and over the two kinds that SQuAD 2.0's script tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpanScores {
    /// All questions (`exact`, `f1`, `total` of the script).
    pub all: SpanMeans,
    /// Questions that have an answer (`HasAns_…`).
    pub has_answer: SpanMeans,
    /// Questions that have none (`NoAns_…`).
    pub no_answer: SpanMeans,
}

/// The scores of a complete data set, one [`QuestionScore`] a question.
///
/// The script of version 2.0 leaves a question without prediction out of its overall means, that
/// of version 1.1 counts it as 0; here every question has a prediction.
pub fn span_scores(scores: &[QuestionScore]) -> SpanScores {
    SpanScores {
        all: means(scores.iter()),
        has_answer: means(scores.iter().filter(|score| score.has_answer)),
        no_answer: means(scores.iter().filter(|score| !score.has_answer)),
    }
}

fn means<'a>(scores: impl Iterator<Item = &'a QuestionScore>) -> SpanMeans {
    let (mut exact_match, mut f1, mut total) = (0.0, 0.0, 0);
    for score in scores {
        exact_match += score.exact_match;
        f1 += score.f1;
        total += 1;
    }
    let mean = |sum: f64| (total > 0).then(|| sum / total as f64);
    SpanMeans { exact_match: mean(exact_match), f1: mean(f1), total }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SquadVersion::{V1_1, V2_0};
    use super::*;

    fn score(version: SquadVersion, prediction: &str, golds: &[&str]) -> (f64, f64) {
        let score = score_question(version, prediction, golds);
        (score.exact_match, score.f1)
    }

    #[test]
    fn an_answer_that_differs_in_form_only_matches_exactly() {
        for version in [V1_1, V2_0] {
            assert_eq!(score(version, "the Saturn V.", &["Saturn V"]), (1.0, 1.0));
        }
    }

    #[test]
    fn f1_is_the_overlap_of_words() {
        // 2 of 3 predicted words are right, 2 of 4 gold words are found
        let (precision, recall) = (2.0 / 3.0, 2.0 / 4.0);
        let expected = 2.0 * precision * recall / (precision + recall);
        for version in [V1_1, V2_0] {
            assert_eq!(
                score(version, "red blue green", &["red blue black white"]),
                (0.0, expected)
            );
            assert_eq!(score(version, "red", &["blue"]), (0.0, 0.0));
        }
    }

    #[test]
    fn a_repeated_word_counts_as_often_as_it_stands_in_both() {
        // "b b b" against "b b c": 2 of 3 and 2 of 3
        assert_eq!(score(V1_1, "b b b", &["b b c"]), (0.0, 2.0 / 3.0));
    }

    #[test]
    fn the_best_gold_answer_counts() {
        // against "one two" 1 of 1 and 1 of 2; against "three" nothing
        let expected = 2.0 * 1.0 * 0.5 / (1.0 + 0.5);
        assert_eq!(score(V1_1, "two", &["three", "one two"]), (0.0, expected));
        assert_eq!(score(V1_1, "two", &["one two", "two"]), (1.0, 1.0));
    }

    #[test]
    fn a_question_without_answer_wants_an_empty_prediction() {
        assert_eq!(score(V2_0, "", &[]), (1.0, 1.0));
        assert_eq!(score(V2_0, "something", &[]), (0.0, 0.0));
        assert_eq!(score(V2_0, "", &["something"]), (0.0, 0.0));
        // words that normalise to nothing answer nothing
        assert_eq!(score(V2_0, "The!", &[]), (1.0, 1.0));
    }

    #[test]
    fn answers_without_words_score_by_version() {
        assert_eq!(score(V1_1, "the", &["a"]), (1.0, 0.0));
        assert_eq!(score(V2_0, "the", &["a"]), (1.0, 1.0));
        // 2.0 drops the gold answer without words as long as another is left
        assert_eq!(score(V1_1, "", &["the", "moon"]), (1.0, 0.0));
        assert_eq!(score(V2_0, "", &["the", "moon"]), (0.0, 0.0));
    }

    #[test]
    fn the_score_keeps_whether_there_is_an_answer_and_was_a_prediction() {
        let score = score_question(V2_0, "The!", &[]);
        assert!(score.answered && !score.has_answer);
        let score = score_question(V2_0, "", &["moon"]);
        assert!(!score.answered && score.has_answer);
    }

    #[test]
    fn means_are_told_apart_by_whether_there_is_an_answer() {
        let scores = [
            score_question(V2_0, "moon", &["moon"]),
            score_question(V2_0, "red moon", &["moon"]),
            score_question(V2_0, "moon", &[]),
            score_question(V2_0, "", &[]),
        ];
        let half_right = 2.0 * 0.5 * 1.0 / (0.5 + 1.0);
        let result = span_scores(&scores);
        assert_eq!(result.all.total, 4);
        assert_eq!(result.all.exact_match, Some((1.0 + 0.0 + 0.0 + 1.0) / 4.0));
        assert_eq!(result.all.f1, Some((1.0 + half_right + 0.0 + 1.0) / 4.0));
        assert_eq!(result.has_answer.total, 2);
        assert_eq!(result.has_answer.f1, Some((1.0 + half_right) / 2.0));
        assert_eq!(result.no_answer.total, 2);
        assert_eq!(result.no_answer.exact_match, Some((0.0 + 1.0) / 2.0));
    }

    #[test]
    fn no_questions_leave_the_means_undefined() {
        let result = span_scores(&[]);
        for means in [result.all, result.has_answer, result.no_answer] {
            assert_eq!((means.exact_match, means.f1, means.total), (None, None, 0));
        }
    }

    proptest! {
        #[test]
        fn f1_is_symmetric_lies_between_zero_and_one_and_is_one_for_the_same_words(
            prediction in "[abc ]{0,12}", gold in "[abc ]{0,12}"
        ) {
            for version in [V1_1, V2_0] {
                let (exact, f1) = score(version, &prediction, &[&gold]);
                prop_assert!((0.0..=1.0).contains(&f1));
                prop_assert_eq!(f1, score(version, &gold, &[&prediction]).1);
                let words = !normalize_answer(&gold).is_empty();
                prop_assert!(exact == 0.0 || f1 == 1.0 || (version == V1_1 && !words));
            }
        }

        #[test]
        fn another_gold_answer_never_lowers_a_score(
            prediction in "[bc ]{0,6}", first in "[bc]{1,6}", second in "[bc]{1,6}"
        ) {
            for version in [V1_1, V2_0] {
                let one = score(version, &prediction, &[&first]);
                let two = score(version, &prediction, &[&first, &second]);
                prop_assert!(two.0 >= one.0 && two.1 >= one.1);
            }
        }
    }
}
