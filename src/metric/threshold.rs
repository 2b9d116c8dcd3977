//! SQuAD 2.0's null threshold: from which null odds on a question is left unanswered.
//!
//! `null_odds` holds for each question how much more the model believes in no answer than in its
//! best answer: any finite number, larger for "no answer" (Google's BERT takes the difference of
//! the scores). A question is left unanswered where its odds are **greater** than the threshold.
//! The predictions scored are the best answers, before any threshold.

use serde::{Deserialize, Serialize};

use super::span::QuestionScore;

/// The best value of a metric over the thresholds, and the threshold that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestThreshold {
    /// The metric at this threshold, a fraction.
    pub value: f64,
    /// Questions whose null odds are greater are left unanswered.
    pub threshold: f64,
}

/// The best thresholds of both metrics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestThresholds {
    /// For the share of exact matches.
    pub exact_match: BestThreshold,
    /// For the mean F1.
    pub f1: BestThreshold,
}

/// The scores after the answers of all questions whose null odds exceed `threshold` are withdrawn:
/// right where the question has no answer, wrong where it has one.
///
/// # Panics
///
/// If the lists differ in length.
pub fn apply_null_threshold(
    scores: &[QuestionScore],
    null_odds: &[f64],
    threshold: f64,
) -> Vec<QuestionScore> {
    assert_same_length(scores, null_odds);
    scores
        .iter()
        .zip(null_odds)
        .map(|(score, odds)| if *odds > threshold { withdrawn(score) } else { *score })
        .collect()
}

/// `best_exact`, `best_f1` and their thresholds as `evaluate-v2.0.py` finds them, for comparison
/// with published figures. `None` for no questions and when odds are not finite.
///
/// Starting from no question answered, the questions are answered one by one in the order of their
/// odds (equal odds in the order of the list), and the first best sum is kept. So, as in the script,
///
/// - equal odds are told apart, although no threshold can;
/// - the threshold is 0 where it is best to answer nothing, whatever the odds;
/// - any text counts as an answer to a question without one, even if it normalises to nothing.
///
/// To choose the threshold that a model is used with, take [`attainable_thresholds`].
///
/// # Panics
///
/// If the lists differ in length.
pub fn official_thresholds(scores: &[QuestionScore], null_odds: &[f64]) -> Option<BestThresholds> {
    let order = by_rising_odds(scores, null_odds)?;
    let mut sweep = Sweep::new(scores);
    let gain = |score: &QuestionScore, value: f64| match (score.has_answer, score.answered) {
        (true, _) => value,
        (false, true) => -1.0,
        (false, false) => 0.0,
    };
    for i in order {
        let score = &scores[i];
        sweep.exact_match.sum += gain(score, score.exact_match);
        sweep.f1.sum += gain(score, score.f1);
        sweep.offer(null_odds[i]);
    }
    Some(sweep.best(0.0))
}

/// The thresholds at which [`span_scores`](super::span_scores) of [`apply_null_threshold`] are
/// highest, and these values. `None` for no questions and when odds are not finite.
///
/// Of several best thresholds the lowest that is some question's odds is given. Where it is best to
/// answer nothing, the threshold is 0, or just below the lowest odds if these are not positive.
///
/// # Panics
///
/// If the lists differ in length.
pub fn attainable_thresholds(
    scores: &[QuestionScore],
    null_odds: &[f64],
) -> Option<BestThresholds> {
    let order = by_rising_odds(scores, null_odds)?;
    let mut sweep = Sweep::new(scores);
    for tied in order.chunk_by(|&a, &b| null_odds[a] == null_odds[b]) {
        for score in tied.iter().map(|&i| &scores[i]) {
            let without = withdrawn(score);
            sweep.exact_match.sum += score.exact_match - without.exact_match;
            sweep.f1.sum += score.f1 - without.f1;
        }
        sweep.offer(null_odds[tied[0]]);
    }
    let lowest = null_odds[order[0]];
    Some(sweep.best(if lowest > 0.0 { 0.0 } else { lowest.next_down() }))
}

/// The score of a question whose answer is withdrawn.
fn withdrawn(score: &QuestionScore) -> QuestionScore {
    let value = if score.has_answer { 0.0 } else { 1.0 };
    QuestionScore { exact_match: value, f1: value, answered: false, ..*score }
}

/// The questions by rising odds; `None` for no questions and when odds are not finite.
fn by_rising_odds(scores: &[QuestionScore], null_odds: &[f64]) -> Option<Vec<usize>> {
    assert_same_length(scores, null_odds);
    if scores.is_empty() || null_odds.iter().any(|odds| !odds.is_finite()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Stable, and 0.0 equals -0.0, as in Python's `sorted`.
    order.sort_by(|&a, &b| {
        let (a, b) = (null_odds[a], null_odds[b]);
        a.partial_cmp(&b).expect("finite odds")
    });
    Some(order)
}

/// The sums of both metrics while questions are answered one after the other.
struct Sweep {
    questions: usize,
    exact_match: Peak,
    f1: Peak,
}

/// A running sum of scores and its highest value so far.
#[derive(Clone, Copy)]
struct Peak {
    sum: f64,
    best: f64,
    /// The odds of the last question answered at the best; `None` before the first one.
    threshold: Option<f64>,
}

impl Sweep {
    /// No question is answered: right are those without an answer.
    fn new(scores: &[QuestionScore]) -> Sweep {
        let unanswerable = scores.iter().filter(|score| !score.has_answer).count() as f64;
        let start = Peak { sum: unanswerable, best: unanswerable, threshold: None };
        Sweep { questions: scores.len(), exact_match: start, f1: start }
    }

    /// Takes `odds` as the threshold of what is now higher than ever.
    fn offer(&mut self, odds: f64) {
        for peak in [&mut self.exact_match, &mut self.f1] {
            if peak.sum > peak.best {
                peak.best = peak.sum;
                peak.threshold = Some(odds);
            }
        }
    }

    /// The peaks as means over the questions; `answer_nothing` is the threshold of a peak at the start.
    fn best(&self, answer_nothing: f64) -> BestThresholds {
        let best = |peak: Peak| BestThreshold {
            value: peak.best / self.questions as f64,
            threshold: peak.threshold.unwrap_or(answer_nothing),
        };
        BestThresholds { exact_match: best(self.exact_match), f1: best(self.f1) }
    }
}

fn assert_same_length(scores: &[QuestionScore], null_odds: &[f64]) {
    assert_eq!(scores.len(), null_odds.len(), "null odds for each question");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::span_scores;

    fn answerable(f1: f64) -> QuestionScore {
        QuestionScore {
            exact_match: if f1 == 1.0 { 1.0 } else { 0.0 },
            f1,
            has_answer: true,
            answered: true,
        }
    }

    /// A question without an answer that was given one.
    fn fooled() -> QuestionScore {
        QuestionScore { exact_match: 0.0, f1: 0.0, has_answer: false, answered: true }
    }

    #[test]
    fn answers_above_the_threshold_are_withdrawn() {
        let scores = [answerable(1.0), answerable(1.0), fooled(), fooled()];
        let kept = apply_null_threshold(&scores, &[2.0, 2.5, 2.0, 2.5], 2.0);
        let f1: Vec<f64> = kept.iter().map(|score| score.f1).collect();
        assert_eq!(f1, [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(kept[0], scores[0]);
        assert!(!kept[1].answered && kept[1].has_answer);
    }

    #[test]
    fn the_best_threshold_keeps_what_pays() {
        let scores = [fooled(), answerable(0.5), answerable(1.0), fooled()];
        let odds = [3.0, -1.0, 1.0, -2.0];
        // sums of F1 with nothing answered and after each answer by rising odds
        let sums = [2.0, 2.0 - 1.0, 1.0 + 0.5, 1.5 + 1.0, 2.5 - 1.0];
        for best in [official_thresholds, attainable_thresholds] {
            let best = best(&scores, &odds).unwrap();
            assert_eq!(best.f1.value, sums[3] / 4.0);
            assert_eq!(best.f1.threshold, 1.0);
            // exact matches: 2, 2 - 1, 1 + 0, 1 + 1, 2 - 1: never more than nothing answered
            assert_eq!(best.exact_match.value, 2.0 / 4.0);
        }
        let official = official_thresholds(&scores, &odds).unwrap();
        assert_eq!(official.exact_match.threshold, 0.0);
        let attainable = attainable_thresholds(&scores, &odds).unwrap();
        assert_eq!(attainable.exact_match.threshold, (-2.0f64).next_down());
    }

    #[test]
    fn equal_odds_are_told_apart_by_the_script_only() {
        let (scores, odds) = ([answerable(1.0), fooled()], [1.0, 1.0]);
        let official = official_thresholds(&scores, &odds).unwrap();
        assert_eq!(official.f1.value, (1.0 + 1.0) / 2.0);
        let attainable = attainable_thresholds(&scores, &odds).unwrap();
        assert_eq!(attainable.f1.value, 1.0 / 2.0);
        assert_eq!(attainable.f1.threshold, 0.0);
    }

    #[test]
    fn a_text_without_words_answers_a_question_for_the_script_only() {
        // "the" for a question without an answer: right, since it normalises to nothing
        let harmless = QuestionScore { exact_match: 1.0, f1: 1.0, ..fooled() };
        let (scores, odds) = ([harmless, answerable(1.0)], [-1.0, 2.0]);
        // the script: 1 with nothing answered, then 1 - 1, then 0 + 1, which is not higher
        let official = official_thresholds(&scores, &odds).unwrap().f1;
        assert_eq!(official, BestThreshold { value: 1.0 / 2.0, threshold: 0.0 });
        let attainable = attainable_thresholds(&scores, &odds).unwrap().f1;
        assert_eq!(attainable, BestThreshold { value: (1.0 + 1.0) / 2.0, threshold: 2.0 });
    }

    #[test]
    fn no_questions_or_odds_that_are_not_finite_leave_the_threshold_undefined() {
        for best in [official_thresholds, attainable_thresholds] {
            assert_eq!(best(&[], &[]), None);
            assert_eq!(best(&[fooled()], &[f64::NAN]), None);
            assert_eq!(best(&[fooled()], &[f64::INFINITY]), None);
        }
    }

    fn questions() -> impl Strategy<Value = Vec<(QuestionScore, f64)>> {
        let score =
            (0u8..5, any::<bool>(), any::<bool>()).prop_map(|(quarters, has_answer, answered)| {
                match (has_answer, answered) {
                    (true, true) => answerable(f64::from(quarters) / 4.0),
                    (false, true) => fooled(),
                    (_, false) => withdrawn(&QuestionScore { has_answer, ..fooled() }),
                }
            });
        prop::collection::vec((score, (-3i8..4).prop_map(f64::from)), 1..25)
    }

    proptest! {
        #[test]
        fn no_threshold_does_better_and_the_one_given_does_as_well(questions in questions()) {
            let (scores, odds): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
            let at = |threshold| span_scores(&apply_null_threshold(&scores, &odds, threshold)).all;
            let best = attainable_thresholds(&scores, &odds).unwrap();
            // quarters, so all sums are exact
            prop_assert_eq!(at(best.f1.threshold).f1, Some(best.f1.value));
            prop_assert_eq!(at(best.exact_match.threshold).exact_match, Some(best.exact_match.value));
            for threshold in (-8..8).map(|halves| f64::from(halves) / 2.0) {
                prop_assert!(at(threshold).f1 <= Some(best.f1.value));
                prop_assert!(at(threshold).exact_match <= Some(best.exact_match.value));
            }
        }

        #[test]
        fn the_script_finds_at_least_what_a_threshold_attains_where_answers_have_words(questions in questions()) {
            let (scores, odds): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
            let official = official_thresholds(&scores, &odds).unwrap();
            let attainable = attainable_thresholds(&scores, &odds).unwrap();
            prop_assert!(official.f1.value >= attainable.f1.value);
            prop_assert!(official.exact_match.value >= attainable.exact_match.value);
        }
    }
}
