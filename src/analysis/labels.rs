//! Any number of labels: precision, recall and F1 of each, calibration, mistakes.

use super::mistakes::{Mistakes, Wrong, cut};
use super::{Findings, Reliability, Row, Table, misfit};
use crate::dataset::{Dataset, Input, Labels, Target};
use crate::error::Result;
use crate::metric::LabelSets;
use crate::prediction::Prediction;
use crate::task::Task;

/// A row for each label, in their order, and the examples with most labels missed or wrongly predicted.
/// Calibration is that of each label of each example.
///
/// # Errors
///
/// An example without a target, or a prediction that is not of these labels.
pub fn label_sets(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let names = task.shown_labels(labels.names());
    let mut sets = LabelSets { labels: names.len(), ..LabelSets::default() };
    let mut probabilities: Vec<&[f32]> = Vec::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        match (&example.target, prediction) {
            (
                Some(Target::Labels { labels: gold, .. }),
                Prediction::Labels { labels: predicted, probabilities: of_each },
            ) if of_each.len() == names.len()
                && gold.iter().chain(predicted).all(|&label| label < names.len()) =>
            {
                sets.gold.push(gold.clone());
                sets.predicted.push(predicted.clone());
                probabilities.push(of_each);
            }
            _ => return Err(misfit(dataset, example)),
        }
    }
    let rows = names.iter().zip(sets.by_label()).map(|(name, counts)| Row {
        name: name.clone(),
        values: vec![counts.precision(), counts.recall(), counts.f1()],
        support: Some(counts.gold),
    });
    let table = Table {
        by: "label".into(),
        columns: ["precision", "recall", "f1"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    };
    let of_labels = probabilities.iter().zip(&sets.gold).flat_map(|(probabilities, gold)| {
        let labels = probabilities.iter().enumerate();
        labels.map(|(label, &probability)| (probability, gold.contains(&label)))
    });
    let reliability = Reliability::new(of_labels);
    let differ = |i: usize| {
        let (gold, predicted) = (&sets.gold[i], &sets.predicted[i]);
        let missed = gold.iter().filter(|label| !predicted.contains(label));
        missed.chain(predicted.iter().filter(|label| !gold.contains(label))).count()
    };
    let badness = |i: usize| Some(differ(i)).filter(|&labels| labels > 0).map(|n| n as f64);
    let mistakes = Mistakes::collect(dataset, most, badness, |i| {
        let Input::Text { text, text_pair } = &dataset.examples[i].input else { return None };
        let listed = |labels: &[usize]| match labels {
            [] => "no label".to_owned(),
            labels => {
                labels.iter().map(|&label| names[label].as_str()).collect::<Vec<_>>().join(", ")
            }
        };
        // Of several labels the least probable.
        let lowest = |labels: &[usize]| {
            let of_labels = labels.iter().map(|&label| probabilities[i][label]);
            of_labels.filter(|probability| probability.is_finite()).fold(1.0, f32::min)
        };
        Some(Wrong::Class {
            text: cut(text),
            text_pair: text_pair.as_deref().map(cut),
            gold: listed(&sets.gold[i]),
            gold_probability: lowest(&sets.gold[i]),
            predicted: listed(&sets.predicted[i]),
            probability: lowest(&sets.predicted[i]),
        })
    });
    Ok(Findings { tables: vec![table], reliability, mistakes, ..Findings::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Example;
    use crate::task;

    #[test]
    fn each_label_has_its_row_and_the_example_with_most_wrong_labels_comes_first() {
        let task = task::find("sst2").unwrap();
        let labels = Labels::new(["a", "b", "c"].map(str::to_owned).into());
        let gold: [&[usize]; 3] = [&[0], &[0, 1], &[2]];
        let examples = gold.iter().enumerate().map(|(i, gold)| Example {
            id: i.to_string(),
            line: i + 1,
            input: Input::Text { text: format!("text {i}"), text_pair: None },
            target: Some(Target::Labels { labels: gold.to_vec(), of: 3 }),
        });
        let dataset =
            Dataset { path: "dev.csv".into(), examples: examples.collect(), split: "dev".into() };
        let prediction = |labels: &[usize], probabilities: [f32; 3]| Prediction::Labels {
            labels: labels.to_vec(),
            probabilities: probabilities.to_vec(),
        };
        let predictions = [
            prediction(&[0], [0.75, 0.25, 0.25]),
            prediction(&[2], [0.25, 0.25, 0.75]),
            prediction(&[], [0.25, 0.25, 0.25]),
        ];
        let found = label_sets(&task, &dataset, &labels, &predictions, 10).unwrap();
        let [a, b, c] = found.tables[0].rows.as_slice() else { panic!("{found:?}") };
        assert_eq!(a.values, [Some(1.0), Some(0.5), Some(2.0 / 3.0)]);
        assert_eq!((b.values[2], b.support), (Some(0.0), Some(1)));
        assert_eq!(c.values, [Some(0.0), Some(0.0), Some(0.0)]);
        assert_eq!(found.mistakes.total, 2);
        let Wrong::Class { gold, predicted, .. } = &found.mistakes.worst[0].wrong else { panic!() };
        assert_eq!((gold.as_str(), predicted.as_str()), ("a, b", "c"));
        let Wrong::Class { predicted, .. } = &found.mistakes.worst[1].wrong else { panic!() };
        assert_eq!(predicted, "no label");
    }
}
