//! Metrics of sets of labels, where an example has any number of labels, and the threshold from which
//! on a label is predicted.

use super::counts::{Counts, ratio};

/// The predicted and the gold labels of a whole data set. The lists are parallel, an element for each
/// example, which names each of its labels once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSets {
    /// How many labels there are.
    pub labels: usize,
    /// What the model predicted.
    pub predicted: Vec<Vec<usize>>,
    /// What is right.
    pub gold: Vec<Vec<usize>>,
}

impl LabelSets {
    /// The counts of each label.
    ///
    /// # Panics
    ///
    /// If the lists differ in length, or a label is not below `labels`.
    pub fn by_label(&self) -> Vec<Counts> {
        let mut counts = vec![Counts::default(); self.labels];
        for (predicted, gold) in self.pairs() {
            for &label in predicted {
                counts[label].predicted += 1;
                counts[label].correct += usize::from(gold.contains(&label));
            }
            gold.iter().for_each(|&label| counts[label].gold += 1);
        }
        counts
    }

    fn pairs(&self) -> impl Iterator<Item = (&Vec<usize>, &Vec<usize>)> {
        assert_eq!(self.predicted.len(), self.gold.len(), "one prediction for each example");
        self.predicted.iter().zip(&self.gold)
    }
}

/// F1 of all labels of all examples counted together, as scikit-learn's `f1_score(average="micro")`;
/// `None` where no label is predicted or gold.
///
/// # Panics
///
/// As [`LabelSets::by_label`].
pub fn micro_f1(sets: &LabelSets) -> Option<f64> {
    let mut all = Counts::default();
    sets.by_label().into_iter().for_each(|counts| all += counts);
    all.f1()
}

/// Mean of the F1 of every label that is predicted or gold, each label counting the same, as
/// scikit-learn's `f1_score(average="macro", zero_division=nan)`; `None` where there is no such label.
///
/// # Panics
///
/// As [`LabelSets::by_label`].
pub fn label_macro_f1(sets: &LabelSets) -> Option<f64> {
    let f1: Vec<f64> = sets.by_label().into_iter().filter_map(Counts::f1).collect();
    (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
}

/// Mean over the examples of the F1 of their labels, as scikit-learn's
/// `f1_score(average="samples", zero_division=1.0)`: an example without labels of which none is
/// predicted is right. `None` for no examples.
///
/// # Panics
///
/// If the lists differ in length.
pub fn samples_f1(sets: &LabelSets) -> Option<f64> {
    let f1 = sets.pairs().map(|(predicted, gold)| {
        let correct = predicted.iter().filter(|label| gold.contains(label)).count();
        Counts { correct, predicted: predicted.len(), gold: gold.len() }.f1().unwrap_or(1.0)
    });
    let f1: Vec<f64> = f1.collect();
    (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64)
}

/// Share of examples whose labels are exactly right, as scikit-learn's `accuracy_score`; `None` for no
/// examples.
///
/// # Panics
///
/// If the lists differ in length.
pub fn subset_accuracy(sets: &LabelSets) -> Option<f64> {
    let equal = |(predicted, gold): &(&Vec<usize>, &Vec<usize>)| {
        predicted.len() == gold.len() && predicted.iter().all(|label| gold.contains(label))
    };
    ratio(sets.pairs().filter(equal).count(), sets.gold.len())
}

/// The probability from which on a label is predicted where no other was found.
pub const DEFAULT_THRESHOLD: f64 = 0.5;

/// The threshold of the highest F1: a label is predicted where its probability is not below it.
/// `probabilities` and `gold` are parallel, an element for each label of each example that the
/// threshold is for. `None` where no label is gold or a probability is not a number.
///
/// The pairs are sorted once, and labels predicted one after the other from the most probable down. A
/// threshold stands in the middle between the least probable label that is predicted and the next, or at
/// [`DEFAULT_THRESHOLD`] if that is between them. Of several best thresholds the one nearest to
/// [`DEFAULT_THRESHOLD`] is given.
///
/// # Panics
///
/// If the lists differ in length.
pub fn best_label_threshold(probabilities: &[f32], gold: &[bool]) -> Option<f64> {
    assert_eq!(probabilities.len(), gold.len(), "one probability for each label");
    let there = gold.iter().filter(|&&gold| gold).count();
    if there == 0 || probabilities.iter().any(|probability| probability.is_nan()) {
        return None;
    }
    let mut pairs: Vec<(f64, bool)> =
        probabilities.iter().map(|&p| f64::from(p)).zip(gold.iter().copied()).collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut correct, mut predicted) = (0, 0);
    let mut best: Option<(f64, f64)> = None;
    for equal in pairs.chunk_by(|one, other| one.0 == other.0) {
        predicted += equal.len();
        correct += equal.iter().filter(|(_, gold)| *gold).count();
        let next = pairs.get(predicted).map_or(0.0, |(probability, _)| *probability);
        let threshold = between(next, equal[0].0);
        let f1 = ratio(2 * correct, predicted + there).unwrap_or(0.0);
        let off = |threshold: f64| (threshold - DEFAULT_THRESHOLD).abs();
        let better = best.is_none_or(|(best_f1, best_threshold)| {
            f1 > best_f1 || f1 == best_f1 && off(threshold) < off(best_threshold)
        });
        if better {
            best = Some((f1, threshold));
        }
    }
    best.map(|(_, threshold)| threshold)
}

/// A threshold that `high` reaches and `low`, which is smaller, does not.
fn between(low: f64, high: f64) -> f64 {
    if low < DEFAULT_THRESHOLD && DEFAULT_THRESHOLD <= high {
        return DEFAULT_THRESHOLD;
    }
    let middle = f64::midpoint(low, high);
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sets(labels: usize, pairs: &[(&[usize], &[usize])]) -> LabelSets {
        LabelSets {
            labels,
            predicted: pairs.iter().map(|(predicted, _)| predicted.to_vec()).collect(),
            gold: pairs.iter().map(|(_, gold)| gold.to_vec()).collect(),
        }
    }

    #[test]
    fn labels_are_counted_together_by_label_and_by_example() {
        let sets = sets(3, &[(&[0, 1], &[1, 0]), (&[0], &[]), (&[], &[]), (&[2], &[1])]);
        // Right: 0 and 1 of the first example; predicted 4, gold 3.
        assert_eq!(micro_f1(&sets), Some(4.0 / 7.0));
        // Of the labels: 2/3, 2/3, 0.
        assert!((label_macro_f1(&sets).unwrap() - 4.0 / 9.0).abs() < 1e-12);
        // Of the examples: 1, 0, 1 (nothing to find, nothing predicted), 0.
        assert_eq!(samples_f1(&sets), Some(0.5));
        assert_eq!(subset_accuracy(&sets), Some(0.5));
    }

    #[test]
    fn without_examples_or_labels_metrics_are_undefined() {
        let none = LabelSets { labels: 2, ..LabelSets::default() };
        for metric in [micro_f1, label_macro_f1, samples_f1, subset_accuracy] {
            assert_eq!(metric(&none), None);
        }
        let empty = sets(2, &[(&[], &[])]);
        assert_eq!((micro_f1(&empty), label_macro_f1(&empty)), (None, None));
        assert_eq!((samples_f1(&empty), subset_accuracy(&empty)), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn the_threshold_stands_between_what_is_predicted_and_what_is_not() {
        let threshold = |probabilities: &[f32], gold: &[u8]| {
            let gold: Vec<bool> = gold.iter().map(|&gold| gold == 1).collect();
            best_label_threshold(probabilities, &gold)
        };
        assert_eq!(threshold(&[0.25, 0.125, 0.0625], &[1, 0, 0]), Some(0.1875));
        assert_eq!(threshold(&[0.25, 0.875], &[0, 1]), Some(DEFAULT_THRESHOLD));
        assert_eq!(threshold(&[0.25, 0.125], &[1, 1]), Some(0.0625), "all are predicted");
        assert_eq!(
            threshold(&[0.75, 0.75], &[1, 0]),
            Some(DEFAULT_THRESHOLD),
            "ties stay together"
        );
        assert_eq!(threshold(&[0.75], &[0]), None, "nothing is to be found");
        assert_eq!(threshold(&[f32::NAN, 0.5], &[0, 1]), None);
        assert_eq!(threshold(&[0.0], &[1]), Some(0.0));
    }

    proptest! {
        #[test]
        fn no_other_threshold_has_a_higher_f1(
            pairs in prop::collection::vec((0u8..20, any::<bool>()), 1..30)
        ) {
            let probabilities: Vec<f32> = pairs.iter().map(|(p, _)| f32::from(*p) / 20.0).collect();
            let gold: Vec<bool> = pairs.iter().map(|(_, gold)| *gold).collect();
            let f1 = |threshold: f64| {
                let set = |is: &dyn Fn(usize) -> bool| {
                    (0..gold.len()).filter(|&i| is(i)).collect::<Vec<_>>()
                };
                let predicted = set(&|i| f64::from(probabilities[i]) >= threshold);
                micro_f1(&LabelSets {
                    labels: gold.len(),
                    predicted: vec![predicted],
                    gold: vec![set(&|i| gold[i])],
                })
            };
            let Some(best) = best_label_threshold(&probabilities, &gold) else {
                prop_assert!(!gold.contains(&true));
                return Ok(());
            };
            for step in 0..41 {
                prop_assert!(f1(f64::from(step) / 40.0) <= f1(best));
            }
        }
    }
}
