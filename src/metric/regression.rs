//! Metrics of numbers: Pearson's and Spearman's correlation.
//!
//! `pred` and `gold` are parallel lists; lists of different lengths are a programming error and
//! panic.

/// Pearson's correlation coefficient, as SciPy's `pearsonr`:
///
/// `Σ (xᵢ − x̄)(yᵢ − ȳ) / √(Σ (xᵢ − x̄)² · Σ (yᵢ − ȳ)²)`
///
/// `None` for fewer than two pairs, when one list is constant, and when a value is not finite.
///
/// The values are centred first and each list is divided by its norm, so a large common offset or
/// a large scale costs no digits.
///
/// # Panics
///
/// If the lists differ in length.
pub fn pearson(pred: &[f64], gold: &[f64]) -> Option<f64> {
    assert_same_length(pred, gold);
    let (x, y) = (unit_deviations(pred)?, unit_deviations(gold)?);
    let r: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    // Rounding may carry the product past the ends of the range.
    Some(r.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation coefficient, as SciPy's `spearmanr`: Pearson's correlation of the
/// ranks, equal values sharing the mean of their ranks.
///
/// `None` for fewer than two pairs, when one list is constant, and when a value is not a number.
///
/// # Panics
///
/// If the lists differ in length.
pub fn spearman(pred: &[f64], gold: &[f64]) -> Option<f64> {
    assert_same_length(pred, gold);
    pearson(&average_ranks(pred)?, &average_ranks(gold)?)
}

/// `values` less their mean, divided by the norm of that; `None` where this has no direction: fewer
/// than two values, all of them equal, or one not finite.
fn unit_deviations(values: &[f64]) -> Option<Vec<f64>> {
    let first = *values.first()?;
    if values.iter().all(|v| *v == first) || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut deviations = values.to_vec();
    // The mean of large values is rounded; the second pass takes away what the first one left.
    for _ in 0..2 {
        let mean = deviations.iter().sum::<f64>() / deviations.len() as f64;
        deviations.iter_mut().for_each(|d| *d -= mean);
    }
    // Dividing by the largest first keeps the squares from overflowing and from vanishing.
    let largest = deviations.iter().fold(0.0f64, |max, d| max.max(d.abs()));
    deviations.iter_mut().for_each(|d| *d /= largest);
    let norm = deviations.iter().map(|d| d * d).sum::<f64>().sqrt();
    deviations.iter_mut().for_each(|d| *d /= norm);
    deviations.iter().all(|d| d.is_finite()).then_some(deviations)
}

/// The rank of each value, from 1, ties sharing their mean rank; `None` when a value is not a number.
fn average_ranks(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // Not by `total_cmp`, to which 0.0 and -0.0 differ.
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        // Ranks start + 1 to start + n; their mean.
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        start += tied.len();
    }
    Some(ranks)
}

fn assert_same_length(pred: &[f64], gold: &[f64]) {
    assert_eq!(pred.len(), gold.len(), "one prediction a gold value");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_close(actual: Option<f64>, expected: f64) {
        let actual = actual.expect("a defined value");
        assert!((actual - expected).abs() < 1e-15, "{actual} != {expected}");
    }

    #[test]
    fn pearson_is_covariance_over_both_deviations() {
        // means 2 and 3; deviations -1 0 1 and -2 1 1
        assert_close(
            pearson(&[1.0, 2.0, 3.0], &[1.0, 4.0, 4.0]),
            (-1.0 * -2.0 + 0.0 * 1.0 + 1.0 * 1.0)
                / ((1.0 + 0.0 + 1.0) * (4.0 + 1.0 + 1.0f64)).sqrt(),
        );
    }

    #[test]
    fn spearman_is_pearson_of_ranks_with_ties_sharing_theirs() {
        assert_eq!(
            average_ranks(&[10.0, -1.0, 10.0, 3.0]),
            Some(vec![(3.0 + 4.0) / 2.0, 1.0, (3.0 + 4.0) / 2.0, 2.0])
        );
        assert_eq!(average_ranks(&[0.0, -0.0]), Some(vec![1.5, 1.5]));
        let (pred, gold) = ([10.0, -1.0, 10.0, 3.0], [4.0, 1.0, 2.0, 3.0]);
        assert_eq!(spearman(&pred, &gold), pearson(&[3.5, 1.0, 3.5, 2.0], &[4.0, 1.0, 2.0, 3.0]));
    }

    #[test]
    fn fewer_than_two_pairs_or_a_constant_leave_both_undefined() {
        for metric in [pearson, spearman] {
            assert_eq!(metric(&[], &[]), None);
            assert_eq!(metric(&[1.0], &[2.0]), None);
            assert_eq!(metric(&[5.0, 5.0, 5.0], &[1.0, 2.0, 3.0]), None);
            assert_eq!(metric(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1]), None);
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_leaves_both_undefined() {
        for metric in [pearson, spearman] {
            assert_eq!(metric(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]), None);
        }
        assert_eq!(pearson(&[1.0, f64::INFINITY], &[1.0, 2.0]), None);
        // An infinite value has a rank.
        assert_close(spearman(&[1.0, f64::INFINITY], &[1.0, 2.0]), 1.0);
    }

    #[test]
    fn a_large_offset_and_extreme_scales_cost_no_digits() {
        let (x, y) = ([1.0, 2.0, 3.0, 5.0], [2.0, 1.0, 4.0, 4.0]);
        let expected = pearson(&x, &y).unwrap();
        for (offset, scale) in [(1e9, 1.0), (0.0, 1e200), (0.0, 1e-200), (-4e12, 2.0)] {
            let moved = x.map(|x| offset + scale * x);
            assert_close(pearson(&moved, &y), expected);
        }
    }

    proptest! {
        #[test]
        fn correlation_lies_between_minus_one_and_one_and_is_symmetric(
            pairs in prop::collection::vec((-5.0f64..5.0, 0u8..6), 0..50)
        ) {
            let (pred, gold): (Vec<f64>, Vec<f64>) =
                pairs.into_iter().map(|(p, g)| (p, f64::from(g))).unzip();
            for metric in [pearson, spearman] {
                let value = metric(&pred, &gold);
                prop_assert!(value.is_none_or(|v| (-1.0..=1.0).contains(&v)));
                prop_assert_eq!(value, metric(&gold, &pred));
            }
        }

        #[test]
        fn spearman_sees_only_the_order(
            pairs in prop::collection::vec((-5.0f64..5.0, -5.0f64..5.0), 2..50)
        ) {
            let (pred, gold): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let doubled: Vec<f64> = pred.iter().map(|p| 2.0 * p).collect();
            prop_assert_eq!(spearman(&pred, &gold), spearman(&doubled, &gold));
        }
    }
}
