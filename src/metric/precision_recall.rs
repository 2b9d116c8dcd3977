//! Precision and recall of a class, by the probability from which it is predicted.

/// The counts of a class at [`THRESHOLDS`](Self::THRESHOLDS) thresholds, evenly spaced from 0 to 1. An
/// example is predicted to be of the class if its probability is at least the threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionRecallCurve {
    /// Examples of the class that are predicted.
    pub true_positives: Vec<usize>,
    /// Examples of other classes that are predicted.
    pub false_positives: Vec<usize>,
}

impl PrecisionRecallCurve {
    /// The number of thresholds, that of TensorBoard's summaries.
    pub const THRESHOLDS: usize = 201;

    /// Counts examples: the probability of the class, and whether it is the right one. A probability
    /// that is not finite counts as 0.
    pub fn new(examples: impl IntoIterator<Item = (f32, bool)>) -> Self {
        let mut right = vec![0; Self::THRESHOLDS];
        let mut wrong = vec![0; Self::THRESHOLDS];
        let last = Self::THRESHOLDS - 1;
        for (probability, is_right) in examples {
            // The cast takes what is not a number, or below 0, to 0.
            let reached = (f64::from(probability) * last as f64) as usize;
            let counts = if is_right { &mut right } else { &mut wrong };
            counts[reached.min(last)] += 1;
        }
        for counts in [&mut right, &mut wrong] {
            for i in (0..last).rev() {
                counts[i] += counts[i + 1];
            }
        }
        Self { true_positives: right, false_positives: wrong }
    }

    /// Six rows, each of a value for every threshold: true positives, false positives, true negatives,
    /// false negatives, precision and recall; both are 0 where nothing is predicted.
    pub fn rows(&self) -> [Vec<f32>; 6] {
        let values = |of: &dyn Fn(usize) -> f64| -> Vec<f32> {
            (0..Self::THRESHOLDS).map(|i| of(i) as f32).collect()
        };
        let (right, wrong) = (&self.true_positives, &self.false_positives);
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        [
            values(&|i| right[i] as f64),
            values(&|i| wrong[i] as f64),
            values(&|i| (wrong[0] - wrong[i]) as f64),
            values(&|i| (right[0] - right[i]) as f64),
            values(&|i| share(right[i], right[i] + wrong[i])),
            values(&|i| share(right[i], right[0])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_has_the_counts_of_the_examples_that_reach_it() {
        let examples =
            [(0.0, false), (0.1, true), (0.5, false), (0.5, true), (0.995, true), (1.0, true)];
        let curve = PrecisionRecallCurve::new(examples);
        for i in 0..PrecisionRecallCurve::THRESHOLDS {
            let threshold = i as f32 / 200.0;
            let count =
                |class| examples.iter().filter(|e| e.1 == class && e.0 >= threshold).count();
            assert_eq!(curve.true_positives[i], count(true), "{threshold}");
            assert_eq!(curve.false_positives[i], count(false), "{threshold}");
        }
        let rows = curve.rows();
        let at_half = rows.each_ref().map(|row| row[100]);
        assert_eq!(at_half, [3.0, 1.0, 1.0, 1.0, 0.75, 0.75]);
    }

    #[test]
    fn without_examples_and_beyond_0_and_1_there_is_a_curve_too() {
        assert!(PrecisionRecallCurve::new([]).rows().concat().iter().all(|value| *value == 0.0));
        let odd = [(f32::NAN, true), (-1.0, true), (2.0, true), (f32::INFINITY, false)];
        let curve = PrecisionRecallCurve::new(odd);
        assert_eq!((curve.true_positives[0], curve.true_positives[1]), (3, 1));
        assert_eq!(curve.false_positives[200], 1);
    }
}
