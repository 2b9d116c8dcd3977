//! Counts behind precision, recall and F1.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What precision, recall and F1 are made of.
///
/// Kept instead of the three values, because counts of parts of a data set add up and rates do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Predicted and right (true positives).
    pub correct: usize,
    /// Predicted (true and false positives).
    pub predicted: usize,
    /// There to be found (true positives and false negatives).
    pub gold: usize,
}

impl Counts {
    /// `correct / predicted`; `None` when nothing was predicted.
    pub fn precision(self) -> Option<f64> {
        ratio(self.correct, self.predicted)
    }

    /// `correct / gold`; `None` when there is nothing to be found.
    pub fn recall(self) -> Option<f64> {
        ratio(self.correct, self.gold)
    }

    /// The harmonic mean of precision and recall as `2·correct / (predicted + gold)`; `None` when
    /// nothing was predicted and there is nothing to be found.
    ///
    /// In this form, which is scikit-learn's since 1.3, F1 is 0 and not undefined where only one of
    /// precision and recall is undefined: something was missed or invented, and nothing was right.
    pub fn f1(self) -> Option<f64> {
        ratio(2 * self.correct, self.predicted + self.gold)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.correct += other.correct;
        self.predicted += other.predicted;
        self.gold += other.gold;
    }
}

/// `numerator / denominator`; `None` when the denominator is 0.
pub(super) fn ratio(numerator: usize, denominator: usize) -> Option<f64> {
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(correct: usize, predicted: usize, gold: usize) -> Counts {
        Counts { correct, predicted, gold }
    }

    #[test]
    fn rates_are_ratios_of_counts() {
        let three_of_four = counts(3, 4, 6);
        assert_eq!(three_of_four.precision(), Some(3.0 / 4.0));
        assert_eq!(three_of_four.recall(), Some(3.0 / 6.0));
        // 2 · (3/4 · 3/6) / (3/4 + 3/6) = 6/10
        assert_eq!(three_of_four.f1(), Some(6.0 / 10.0));
    }

    #[test]
    fn nothing_predicted_leaves_precision_undefined_and_f1_zero() {
        let all_missed = counts(0, 0, 6);
        assert_eq!(all_missed.precision(), None);
        assert_eq!(all_missed.recall(), Some(0.0));
        assert_eq!(all_missed.f1(), Some(0.0));
    }

    #[test]
    fn nothing_at_all_leaves_everything_undefined() {
        let nothing = Counts::default();
        assert_eq!(nothing.precision(), None);
        assert_eq!(nothing.recall(), None);
        assert_eq!(nothing.f1(), None);
    }

    #[test]
    fn counts_of_parts_add_up() {
        let mut sum = counts(1, 2, 3);
        sum += counts(4, 5, 6);
        assert_eq!(sum, counts(1 + 4, 2 + 5, 3 + 6));
    }
}
