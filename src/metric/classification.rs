//! Metrics of classes: accuracy, precision, recall, F1, Matthews correlation.
//!
//! Labels are any ordered type, usually the number of a class. `pred` and `gold` are parallel lists;
//! lists of different lengths are a programming error and panic.

use std::collections::BTreeMap;

use super::counts::{Counts, ratio};

/// Share of predictions that equal their gold label; `None` for no examples.
///
/// # Panics
///
/// If the lists differ in length.
pub fn accuracy<L: PartialEq>(pred: &[L], gold: &[L]) -> Option<f64> {
    assert_same_length(pred, gold);
    let right = pred.iter().zip(gold).filter(|(p, g)| p == g).count();
    ratio(right, gold.len())
}

/// The counts behind precision, recall and F1 of the class `positive`.
///
/// # Panics
///
/// If the lists differ in length.
pub fn binary_counts<L: PartialEq>(pred: &[L], gold: &[L], positive: L) -> Counts {
    assert_same_length(pred, gold);
    let mut counts = Counts::default();
    for (p, g) in pred.iter().zip(gold) {
        let (predicted, there) = (*p == positive, *g == positive);
        counts.predicted += usize::from(predicted);
        counts.gold += usize::from(there);
        counts.correct += usize::from(predicted && there);
    }
    counts
}

/// Precision of the class `positive`; `None` when it was never predicted.
///
/// # Panics
///
/// If the lists differ in length.
pub fn precision_binary<L: PartialEq>(pred: &[L], gold: &[L], positive: L) -> Option<f64> {
    binary_counts(pred, gold, positive).precision()
}

/// Recall of the class `positive`; `None` when it is never the gold label.
///
/// # Panics
///
/// If the lists differ in length.
pub fn recall_binary<L: PartialEq>(pred: &[L], gold: &[L], positive: L) -> Option<f64> {
    binary_counts(pred, gold, positive).recall()
}

/// F1 of the class `positive`, `2·TP / (2·TP + FP + FN)`, as scikit-learn's
/// `f1_score(average="binary")`; `None` when the class is neither predicted nor a gold label.
///
/// # Panics
///
/// If the lists differ in length.
pub fn f1_binary<L: PartialEq>(pred: &[L], gold: &[L], positive: L) -> Option<f64> {
    binary_counts(pred, gold, positive).f1()
}

/// Mean of the F1 of every label that occurs in `pred` or `gold`, each label counting the same, as
/// scikit-learn's `f1_score(average="macro")`; `None` for no examples.
///
/// A label that occurs was predicted or is there to be found, so its F1 is defined (0 when it was
/// never right). A label of the task that occurs in neither list is no part of the mean.
///
/// # Panics
///
/// If the lists differ in length.
pub fn macro_f1<L: Copy + Ord>(pred: &[L], gold: &[L]) -> Option<f64> {
    let by_label = counts_by_label(pred, gold);
    let f1: Vec<f64> = by_label.values().filter_map(|counts| counts.f1()).collect();
    (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
}

/// Matthews correlation coefficient for any number of classes, as scikit-learn's
/// `matthews_corrcoef` (Gorodkin 2004, "Comparing two K-category assignments by a K-category
/// correlation coefficient"):
///
/// `(c·s − Σ pₖ·tₖ) / √((s² − Σ pₖ²) · (s² − Σ tₖ²))`
///
/// with `s` examples, `c` of them right, and class `k` predicted `pₖ` times and gold `tₖ` times.
/// `None` when the denominator is 0: no examples, or one class alone in `pred` or in `gold`
/// (scikit-learn gives 0 there).
///
/// # Panics
///
/// If the lists differ in length.
pub fn matthews_correlation<L: Copy + Ord>(pred: &[L], gold: &[L]) -> Option<f64> {
    // Integers keep the differences exact, whatever the size of the data set.
    let samples = gold.len() as i128;
    let (mut correct, mut both, mut predicted, mut there) = (0i128, 0i128, 0i128, 0i128);
    for counts in counts_by_label(pred, gold).values() {
        let (p, t) = (counts.predicted as i128, counts.gold as i128);
        correct += counts.correct as i128;
        both += p * t;
        predicted += p * p;
        there += t * t;
    }
    let covariance = correct * samples - both;
    let variance_pred = samples.pow(2) - predicted;
    let variance_gold = samples.pow(2) - there;
    (variance_pred > 0 && variance_gold > 0).then(|| {
        let norm = (variance_pred as f64 * variance_gold as f64).sqrt();
        (covariance as f64 / norm).clamp(-1.0, 1.0)
    })
}

/// The counts of every label that occurs in `pred` or `gold`.
fn counts_by_label<L: Copy + Ord>(pred: &[L], gold: &[L]) -> BTreeMap<L, Counts> {
    assert_same_length(pred, gold);
    let mut by_label: BTreeMap<L, Counts> = BTreeMap::new();
    for (p, g) in pred.iter().zip(gold) {
        by_label.entry(*p).or_default().predicted += 1;
        by_label.entry(*g).or_default().gold += 1;
        if p == g {
            by_label.entry(*p).or_default().correct += 1;
        }
    }
    by_label
}

fn assert_same_length<L>(pred: &[L], gold: &[L]) {
    assert_eq!(pred.len(), gold.len(), "one prediction a gold label");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accuracy_is_the_share_of_right_predictions() {
        assert_eq!(accuracy(&[1, 0, 2, 2], &[1, 1, 2, 0]), Some(2.0 / 4.0));
    }

    #[test]
    fn f1_counts_the_positive_class_only() {
        let (pred, gold) = ([1, 1, 1, 0, 0], [1, 0, 1, 1, 0]);
        // 2 true positives, 1 false positive, 1 false negative
        assert_eq!(f1_binary(&pred, &gold, 1), Some(2.0 * 2.0 / (2.0 * 2.0 + 1.0 + 1.0)));
        assert_eq!(precision_binary(&pred, &gold, 1), Some(2.0 / 3.0));
        assert_eq!(recall_binary(&pred, &gold, 1), Some(2.0 / 3.0));
        // and for class 0: 1 right of 2 predicted, 2 gold
        assert_eq!(f1_binary(&pred, &gold, 0), Some(2.0 / (2.0 + 2.0)));
    }

    #[test]
    fn macro_f1_is_the_mean_over_the_labels_that_occur() {
        // class 0: 1 right, 2 predicted, 1 gold; class 1: 0 right, 0 predicted, 1 gold;
        // class 7: 1 right, 1 predicted, 1 gold
        let f1 = [2.0 * 1.0 / (2.0 + 1.0), 0.0, 2.0 * 1.0 / (1.0 + 1.0)];
        assert_eq!(macro_f1(&[0, 0, 7], &[0, 1, 7]), Some((f1[0] + f1[1] + f1[2]) / 3.0));
    }

    #[test]
    fn matthews_of_two_classes_is_the_textbook_formula() {
        // TP 2, TN 1, FP 1, FN 1
        let (pred, gold) = ([1, 1, 1, 0, 0], [1, 0, 1, 1, 0]);
        let expected = (2.0 * 1.0 - 1.0 * 1.0) / (3.0f64 * 3.0 * 2.0 * 2.0).sqrt();
        let actual = matthews_correlation(&pred, &gold).unwrap();
        assert!((actual - expected).abs() < 1e-15, "{actual} != {expected}");
    }

    #[test]
    fn one_class_alone_leaves_matthews_undefined() {
        assert_eq!(matthews_correlation(&[1, 1, 1], &[0, 1, 1]), None);
        assert_eq!(matthews_correlation(&[0, 1, 1], &[1, 1, 1]), None);
        assert_eq!(matthews_correlation(&[1, 1], &[1, 1]), None);
    }

    #[test]
    fn no_examples_leave_every_metric_undefined() {
        let none: [usize; 0] = [];
        assert_eq!(accuracy(&none, &none), None);
        assert_eq!(precision_binary(&none, &none, 1), None);
        assert_eq!(recall_binary(&none, &none, 1), None);
        assert_eq!(f1_binary(&none, &none, 1), None);
        assert_eq!(macro_f1(&none, &none), None);
        assert_eq!(matthews_correlation(&none, &none), None);
    }

    #[test]
    fn f1_without_positives_anywhere_is_undefined_and_with_missed_ones_zero() {
        assert_eq!(f1_binary(&[0, 0], &[0, 0], 1), None);
        assert_eq!(f1_binary(&[0, 0], &[0, 1], 1), Some(0.0));
        assert_eq!(f1_binary(&[0, 1], &[0, 0], 1), Some(0.0));
    }

    #[test]
    #[should_panic(expected = "one prediction a gold label")]
    fn lists_of_different_lengths_are_a_programming_error() {
        accuracy(&[1, 2], &[1]);
    }

    fn labels() -> impl Strategy<Value = Vec<(u8, u8)>> {
        prop::collection::vec((0u8..4, 0u8..4), 0..60)
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_range(pairs in labels()) {
            let (pred, gold): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            for value in [accuracy(&pred, &gold), f1_binary(&pred, &gold, 1), macro_f1(&pred, &gold)] {
                prop_assert!(value.is_none_or(|v| (0.0..=1.0).contains(&v)));
            }
            let matthews = matthews_correlation(&pred, &gold);
            prop_assert!(matthews.is_none_or(|v| (-1.0..=1.0).contains(&v)));
        }

        #[test]
        fn f1_and_matthews_do_not_care_which_list_is_gold(pairs in labels()) {
            let (pred, gold): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            prop_assert_eq!(f1_binary(&pred, &gold, 1), f1_binary(&gold, &pred, 1));
            prop_assert_eq!(macro_f1(&pred, &gold), macro_f1(&gold, &pred));
            let (there, back) = (matthews_correlation(&pred, &gold), matthews_correlation(&gold, &pred));
            prop_assert_eq!(there.is_some(), back.is_some());
            prop_assert!((there.unwrap_or(0.0) - back.unwrap_or(0.0)).abs() < 1e-15);
        }

        #[test]
        fn the_order_of_the_examples_does_not_matter(
            (pairs, shuffled) in labels().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle()))
        ) {
            let (pred, gold): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let (pred2, gold2): (Vec<_>, Vec<_>) = shuffled.into_iter().unzip();
            prop_assert_eq!(accuracy(&pred, &gold), accuracy(&pred2, &gold2));
            prop_assert_eq!(macro_f1(&pred, &gold), macro_f1(&pred2, &gold2));
            prop_assert_eq!(
                matthews_correlation(&pred, &gold),
                matthews_correlation(&pred2, &gold2)
            );
        }

        #[test]
        fn the_right_answer_everywhere_scores_one(gold in prop::collection::vec(0u8..4, 1..60)) {
            prop_assert_eq!(accuracy(&gold, &gold), Some(1.0));
            prop_assert_eq!(macro_f1(&gold, &gold), Some(1.0));
            let two_classes = gold.iter().any(|label| *label != gold[0]);
            prop_assert_eq!(matthews_correlation(&gold, &gold), two_classes.then_some(1.0));
        }
    }
}
