//! The input of the metrics of classes, endings and numbers.

use super::{Details, pairs};
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::metric::MetricInput;
use crate::prediction::Prediction;
use crate::task::Task;

/// Predicted and gold labels.
///
/// # Errors
///
/// An example without a target, or a prediction that is not a class.
pub fn classes(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let (predicted, gold) = indices(dataset, predictions)?;
    Ok((MetricInput::Classes { predicted, gold }, Details::new()))
}

/// Predicted and gold positions of endings.
///
/// # Errors
///
/// An example without a target, or a prediction that is not an ending.
pub fn endings(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let (predicted, gold) = indices(dataset, predictions)?;
    Ok((MetricInput::Endings { predicted, gold }, Details::new()))
}

/// Predicted and gold numbers.
///
/// # Errors
///
/// An example without a target, or a prediction that is not a number.
pub fn numbers(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let (predicted, gold) =
        pairs(dataset, predictions, |prediction, target| match (prediction, target) {
            (Prediction::Score(score), Target::Score(gold)) => {
                Some((f64::from(*score), f64::from(*gold)))
            }
            _ => None,
        })?
        .into_iter()
        .unzip();
    Ok((MetricInput::Numbers { predicted, gold }, Details::new()))
}

fn indices(dataset: &Dataset, predictions: &[Prediction]) -> Result<(Vec<usize>, Vec<usize>)> {
    let found = pairs(dataset, predictions, |prediction, target| match (prediction, target) {
        (Prediction::Class { label, .. }, Target::Class(gold)) => Some((*label, *gold)),
        _ => None,
    })?;
    Ok(found.into_iter().unzip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Example, Input};
    use crate::metric::MetricName;
    use crate::stages::score;
    use crate::task;

    fn dataset(targets: impl IntoIterator<Item = Option<Target>>) -> Dataset {
        let example = |(i, target)| Example {
            id: format!("{i}"),
            line: i + 2,
            input: Input::Text { text: String::new(), text_pair: None },
            target,
        };
        let examples = targets.into_iter().enumerate().map(example).collect();
        Dataset { path: "dev.tsv".into(), examples, split: "dev".into() }
    }

    fn of_classes(gold: &[usize]) -> Dataset {
        dataset(gold.iter().map(|&class| Some(Target::Class(class))))
    }

    fn classes_of(pred: &[usize]) -> Vec<Prediction> {
        let class = |&label| Prediction::Class { label, probabilities: vec![0.5, 0.5] };
        pred.iter().map(class).collect()
    }

    fn labels(names: &[&str]) -> Labels {
        Labels::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn every_metric_of_two_labels_is_about_the_second() {
        let mut task = task::find("mrpc").unwrap();
        task.metrics = task.head.metrics();
        // of the label 1: 2 right, 3 predicted, 4 gold; of 0: 1 right, 3 predicted, 2 gold
        let (gold, pred) = ([1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]);
        let scores =
            score(&task, &of_classes(&gold), &labels(&["0", "1"]), &classes_of(&pred)).unwrap();
        assert_eq!(scores.get(MetricName::Accuracy), Some(3.0 / 6.0));
        assert_eq!(scores.get(MetricName::Precision), Some(2.0 / 3.0));
        assert_eq!(scores.get(MetricName::Recall), Some(2.0 / 4.0));
        assert_eq!(scores.get(MetricName::F1), Some(4.0 / 7.0));
        assert_eq!(scores.get(MetricName::MacroF1), Some((4.0 / 7.0 + 2.0 / 5.0) / 2.0));
        // (2·1 - 1·2) / √(3·4·2·3)
        assert_eq!(scores.get(MetricName::MatthewsCorrelation), Some(0.0));
        let names: Vec<_> = scores.values.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, task.metrics);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let mut task = task::find("cola").unwrap();
        task.metrics.push(MetricName::F1);
        let scores =
            score(&task, &of_classes(&[0, 0]), &labels(&["0", "1"]), &classes_of(&[0, 0])).unwrap();
        assert_eq!(
            scores.values,
            [(MetricName::MatthewsCorrelation, None), (MetricName::F1, None)]
        );
    }

    #[test]
    fn numbers_are_correlated() {
        let task = task::find("stsb").unwrap();
        let gold = dataset([1.0, 2.0, 3.0].map(|score| Some(Target::Score(score))));
        let pred = [2.0, 4.0, 16.0].map(Prediction::Score);
        let scores = score(&task, &gold, &Labels::default(), &pred).unwrap();
        assert!((scores.get(MetricName::Spearman).unwrap() - 1.0).abs() < 1e-12);
        // deviations -1, 0, 1 and -16/3, -10/3, 26/3
        let expected = 14.0 / (2.0f64 * (256.0 + 100.0 + 676.0) / 9.0).sqrt();
        assert!((scores.get(MetricName::Pearson).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn an_example_without_target_names_its_line() {
        let task = task::find("sst2").unwrap();
        let gold = dataset([Some(Target::Class(0)), None]);
        let error = score(&task, &gold, &labels(&["0", "1"]), &classes_of(&[0, 1])).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(3));
        assert!(error.what().contains("no target"), "{error}");
    }

    #[test]
    fn a_missing_prediction_is_an_error_and_not_a_smaller_list() {
        let task = task::find("sst2").unwrap();
        let error = score(&task, &of_classes(&[0, 1]), &labels(&["0", "1"]), &classes_of(&[0]))
            .unwrap_err();
        assert!(error.what().contains("expected 2 predictions"), "{error}");
    }

    #[test]
    fn f1_of_three_labels_found_in_a_file_is_refused() {
        let task = task::find("mrpc").unwrap();
        let error = score(&task, &of_classes(&[0]), &labels(&["0", "1", "2"]), &classes_of(&[0]))
            .unwrap_err();
        assert!(error.what().contains("the metric `f1` is that of the second"), "{error}");
    }
}
