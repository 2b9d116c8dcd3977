//! The input of the metrics of sets of labels, and the thresholds of the best F1.

use super::{Details, pairs};
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::metric::{self, LabelSets, MetricInput};
use crate::prediction::Prediction;
use crate::task::{Task, Threshold};

/// Predicted and gold labels. In the details, of each label: `LABEL_precision`, `LABEL_recall`,
/// `LABEL_f1` and `LABEL_number` (examples that have it); and where the task finds thresholds, those of
/// the highest F1 on these examples: `best_threshold` or `LABEL_best_threshold`.
///
/// # Errors
///
/// An example without a target, or a prediction that is not of these labels.
pub fn label_sets(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let found = pairs(dataset, predictions, |prediction, target| match (prediction, target) {
        (
            Prediction::Labels { labels: predicted, probabilities },
            Target::Labels { labels: gold, .. },
        ) if probabilities.len() == labels.len()
            && predicted.iter().chain(gold).all(|&label| label < labels.len()) =>
        {
            Some((predicted, probabilities, gold))
        }
        _ => None,
    })?;
    let sets = LabelSets {
        labels: labels.len(),
        predicted: found.iter().map(|(predicted, ..)| (*predicted).clone()).collect(),
        gold: found.iter().map(|(.., gold)| (*gold).clone()).collect(),
    };
    let mut details = Details::new();
    for (name, counts) in labels.names().iter().zip(sets.by_label()) {
        for (what, value) in [
            ("precision", counts.precision()),
            ("recall", counts.recall()),
            ("f1", counts.f1()),
            ("number", Some(counts.gold as f64)),
        ] {
            details.insert(format!("{name}_{what}"), value);
        }
    }
    // The probabilities of these labels and whether each is gold.
    let columns = |which: &dyn Fn(usize) -> bool| -> (Vec<f32>, Vec<bool>) {
        let rows = found.iter().flat_map(|(_, probabilities, gold)| {
            let labels = probabilities.iter().enumerate().filter(|(label, _)| which(*label));
            labels.map(|(label, &probability)| (probability, gold.contains(&label)))
        });
        rows.unzip()
    };
    let best = |which: &dyn Fn(usize) -> bool| {
        let (probabilities, gold) = columns(which);
        metric::best_label_threshold(&probabilities, &gold)
    };
    match task.threshold {
        Threshold::Fixed(_) => {}
        Threshold::One => {
            details.insert(BEST_THRESHOLD.to_owned(), best(&|_| true));
        }
        Threshold::PerLabel => {
            for (label, name) in labels.names().iter().enumerate() {
                details.insert(format!("{name}_{BEST_THRESHOLD}"), best(&|other| other == label));
            }
        }
    }
    Ok((MetricInput::LabelSets(sets), details))
}

const BEST_THRESHOLD: &str = "best_threshold";

/// The probability from which on each label is predicted: what [`label_sets`] found for these details,
/// else the task's own number or [`metric::DEFAULT_THRESHOLD`].
pub fn label_thresholds(task: &Task, labels: &Labels, details: &Details) -> Vec<f64> {
    let found = |key: &str| details.get(key).copied().flatten();
    let of_label = |name: &String| match task.threshold {
        Threshold::Fixed(threshold) => Some(threshold),
        Threshold::One => found(BEST_THRESHOLD),
        Threshold::PerLabel => found(&format!("{name}_{BEST_THRESHOLD}")),
    };
    let threshold = |name| of_label(name).unwrap_or(metric::DEFAULT_THRESHOLD);
    labels.names().iter().map(threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Example, Input};
    use crate::metric::MetricName;
    use crate::stages::score;
    use crate::task::{self, Head};

    const PROBABILITIES: [[f32; 2]; 3] = [[0.9, 0.2], [0.3, 0.1], [0.2, 0.05]];

    fn task() -> Task {
        let mut task = task::find("sst2").unwrap();
        task.head = Head::Multilabel;
        task.metrics = vec![MetricName::MicroF1, MetricName::SubsetAccuracy];
        task
    }

    fn dataset() -> Dataset {
        let gold: [&[usize]; 3] = [&[0, 1], &[0], &[]];
        let example = |(i, gold): (usize, &&[usize])| Example {
            id: i.to_string(),
            line: i + 2,
            input: Input::Text { text: String::new(), text_pair: None },
            target: Some(Target::Labels { labels: gold.to_vec(), of: 2 }),
        };
        let examples = gold.iter().enumerate().map(example).collect();
        Dataset { path: "dev.csv".into(), examples, split: "dev".into() }
    }

    fn predictions(threshold: f64) -> Vec<Prediction> {
        let prediction = |probabilities: &[f32; 2]| {
            let mut prediction =
                Prediction::Labels { labels: Vec::new(), probabilities: probabilities.to_vec() };
            prediction.apply_label_thresholds(&[threshold]);
            prediction
        };
        PROBABILITIES.iter().map(prediction).collect()
    }

    #[test]
    fn one_threshold_or_one_for_each_label_is_found_from_the_probabilities() {
        let labels = Labels::new(vec!["a".into(), "b".into()]);
        let mut task = task();
        let scored = |task: &Task| score(task, &dataset(), &labels, &predictions(0.5)).unwrap();
        let scores = scored(&task);
        assert_eq!(scores.get(MetricName::MicroF1), Some(2.0 / 4.0));
        assert_eq!(scores.get(MetricName::SubsetAccuracy), Some(1.0 / 3.0));
        assert_eq!(scores.details["a_recall"], Some(0.5));
        assert_eq!(scores.details["b_precision"], None);
        let one = label_thresholds(&task, &labels, &scores.details);
        assert!(one[0] == one[1] && one[0] > 0.1 && one[0] <= 0.2, "{one:?}");
        let at_best = score(&task, &dataset(), &labels, &predictions(one[0])).unwrap();
        // At 0.2 the third example has a label too many.
        assert_eq!(at_best.get(MetricName::MicroF1), Some(6.0 / 7.0));

        task.threshold = Threshold::PerLabel;
        let each = label_thresholds(&task, &labels, &scored(&task).details);
        assert!(each[0] > 0.2 && each[0] <= 0.3 && each[1] > 0.1 && each[1] <= 0.2, "{each:?}");
        task.threshold = Threshold::Fixed(0.25);
        assert_eq!(label_thresholds(&task, &labels, &scored(&task).details), [0.25, 0.25]);
    }

    #[test]
    fn a_prediction_of_other_labels_names_its_line() {
        let labels = Labels::new(vec!["a".into(), "b".into(), "c".into()]);
        let error = score(&task(), &dataset(), &labels, &predictions(0.5)).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
    }
}
