//! Numbers: quantiles of the error, the error by gold number, a scatter of both.

use super::mistakes::{Mistakes, Wrong, cut};
use super::{Findings, Row, Table, misfit};
use crate::dataset::{Dataset, Input, Labels, Target};
use crate::error::Result;
use crate::prediction::Prediction;
use crate::task::Task;

/// The most points of the scatter.
const MOST_POINTS: usize = 2000;

/// Ranges of gold numbers.
const RANGES: usize = 5;

/// Absolute errors by quantile, mean errors by gold number, and the largest errors.
///
/// # Errors
///
/// An example without a number, or a prediction that is not a number.
pub fn numbers(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let mut pairs = Vec::with_capacity(predictions.len());
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let (Some(Target::Score(gold)), Prediction::Score(predicted)) =
            (&example.target, prediction)
        else {
            return Err(misfit(dataset, example));
        };
        pairs.push((*gold, *predicted));
    }
    let error = |i: usize| f64::from((pairs[i].1 - pairs[i].0).abs());
    let mistakes = Mistakes::collect(
        dataset,
        most,
        |i| Some(error(i)),
        |i| {
            let Input::Text { text, text_pair } = &dataset.examples[i].input else { return None };
            let (gold, predicted) = pairs[i];
            let text_pair = text_pair.as_deref().map(cut);
            Some(Wrong::Score { text: cut(text), text_pair, gold, predicted })
        },
    );
    let step = pairs.len().div_ceil(MOST_POINTS).max(1);
    let finite = |(gold, predicted): &&(f32, f32)| gold.is_finite() && predicted.is_finite();
    Ok(Findings {
        tables: vec![quantiles(&pairs), by_gold(&pairs)],
        scatter: pairs.iter().step_by(step).filter(finite).copied().collect(),
        mistakes,
        ..Findings::default()
    })
}

/// The absolute error that so many predictions do not exceed.
fn quantiles(pairs: &[(f32, f32)]) -> Table {
    let mut errors: Vec<f64> =
        pairs.iter().map(|(gold, predicted)| f64::from((predicted - gold).abs())).collect();
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = errors.len().checked_sub(1)?;
        // The smallest error that at least this share of the predictions does not exceed.
        let rank = (share * errors.len() as f64).ceil() as usize;
        Some(errors[rank.saturating_sub(1).min(last)])
    };
    let rows = [("50 %", 0.5), ("75 %", 0.75), ("90 %", 0.9), ("95 %", 0.95), ("100 %", 1.0)];
    let rows = rows.map(|(name, share)| Row {
        name: name.into(),
        values: vec![at(share).filter(|error| error.is_finite())],
        support: None,
    });
    Table {
        by: "share of predictions".into(),
        columns: vec!["largest_error".into()],
        rows: rows.into(),
    }
}

/// Errors by ranges of the gold number: their mean (predicted less gold), and the mean of their size.
fn by_gold(pairs: &[(f32, f32)]) -> Table {
    let golds = || pairs.iter().map(|(gold, _)| f64::from(*gold));
    let (low, high) = golds().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), gold| {
        (low.min(gold), high.max(gold))
    });
    let width = (high - low) / RANGES as f64;
    let mut sums = [(0_usize, 0.0_f64, 0.0_f64); RANGES];
    for (gold, predicted) in pairs {
        let place = ((f64::from(*gold) - low) / width) as usize; // Not a number becomes 0.
        let (count, errors, sizes) = &mut sums[place.min(RANGES - 1)];
        let error = f64::from(predicted - gold);
        *count += 1;
        *errors += error;
        *sizes += error.abs();
    }
    let row = |(range, (count, errors, sizes)): (usize, &(usize, f64, f64))| {
        let from = low + width * range as f64;
        let mean = |sum: f64| Some(sum / *count as f64).filter(|mean| mean.is_finite());
        Row {
            name: format!("{from:.2} to {:.2}", from + width),
            values: vec![mean(*errors), mean(*sizes)],
            support: Some(*count),
        }
    };
    let rows = if pairs.is_empty() {
        Vec::new()
    } else {
        sums.iter().enumerate().filter(|(_, (count, ..))| *count > 0).map(row).collect()
    };
    Table {
        by: "gold score".into(),
        columns: vec!["mean_error".into(), "mean_absolute_error".into()],
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_errors_that_so_many_predictions_do_not_exceed() {
        // Errors 0, 1, 2, 3.
        let pairs = [(1.0, 1.0), (1.0, 2.0), (1.0, -1.0), (5.0, 2.0)];
        let values: Vec<_> = quantiles(&pairs).rows.iter().map(|row| row.values[0]).collect();
        assert_eq!(values, [1.0, 2.0, 3.0, 3.0, 3.0].map(Some));
        assert!(quantiles(&[]).rows.iter().all(|row| row.values == [None]));
    }

    #[test]
    fn errors_are_averaged_over_ranges_of_the_gold_number() {
        let table = by_gold(&[(0.0, 1.0), (0.5, -0.5), (5.0, 4.0), (5.0, f32::NAN)]);
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0].name, "0.00 to 1.00");
        // Errors 1 and -1: they cancel, their sizes do not.
        assert_eq!(table.rows[0].values, [Some(0.0), Some(1.0)]);
        assert_eq!(table.rows[1].values, [None, None], "not a number");
        assert!(by_gold(&[]).rows.is_empty());
        assert_eq!(by_gold(&[(2.0, 2.0)]).rows[0].support, Some(1));
    }
}
