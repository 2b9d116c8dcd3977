//! How well the probabilities of predictions agree with how often these are right.

use serde::{Deserialize, Serialize};

/// The reliability curve and the expected calibration error (Guo et al. 2017, "On Calibration of
/// Modern Neural Networks"), in bins of equal width.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reliability {
    /// Expected calibration error: the mean of |accuracy - confidence| over the examples, by bin.
    pub error: f64,
    /// The bins that hold predictions, by rising confidence.
    pub bins: Vec<Bin>,
}

/// Predictions of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Their number.
    pub count: usize,
    /// The mean of their probabilities.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// Bins from 0 to 1.
const BINS: usize = 10;

impl Reliability {
    /// From each prediction's probability, and whether it is right. `None` without predictions that
    /// have a probability.
    pub fn new(predictions: impl Iterator<Item = (f32, bool)>) -> Option<Self> {
        let mut sums = [(0_usize, 0.0_f64, 0_usize); BINS];
        for (probability, right) in predictions {
            if !(0.0..=1.0).contains(&probability) {
                continue; // Not a number: the loss diverged.
            }
            let bin = ((probability * BINS as f32) as usize).min(BINS - 1);
            let (count, confidence, correct) = &mut sums[bin];
            *count += 1;
            *confidence += f64::from(probability);
            *correct += usize::from(right);
        }
        let bins: Vec<Bin> = sums
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, confidence, correct)| Bin {
                count,
                confidence: confidence / count as f64,
                accuracy: correct as f64 / count as f64,
            })
            .collect();
        let total: usize = bins.iter().map(|bin| bin.count).sum();
        let gaps = bins.iter().map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs());
        let error = gaps.sum::<f64>() / total as f64;
        (total > 0).then_some(Self { error, bins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_mean_gap_between_probability_and_accuracy() {
        let predictions =
            [(0.75, true), (0.75, false), (0.25, false), (1.0, true), (f32::NAN, true)];
        let found = Reliability::new(predictions.into_iter()).unwrap();
        let [low, middle, high] = found.bins.as_slice() else { panic!("{found:?}") };
        assert_eq!((low.count, low.confidence, low.accuracy), (1, 0.25, 0.0));
        assert_eq!((middle.count, middle.confidence, middle.accuracy), (2, 0.75, 0.5));
        assert_eq!((high.count, high.confidence, high.accuracy), (1, 1.0, 1.0));
        // (1 · 0.25 + 2 · 0.25 + 1 · 0) / 4
        assert!((found.error - 0.1875).abs() < 1e-12);
        assert_eq!(Reliability::new(std::iter::empty()), None);
    }
}
