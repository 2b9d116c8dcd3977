//! Labels and endings: precision, recall and F1 of each, confusions, calibration, mistakes.

use super::mistakes::{Mistakes, Wrong};
use super::{Confusion, Findings, Reliability, Row, Table, misfit};
use crate::dataset::{Dataset, Input, Labels, Target};
use crate::error::Result;
use crate::metric::Counts;
use crate::prediction::Prediction;
use crate::task::Task;

/// Of labels: a row for each, in their order, by the names that the task shows for them.
///
/// # Errors
///
/// An example without a label, or a prediction that is not a label.
pub fn classes(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let names = task.shown_labels(labels.names());
    let found = Found::new(dataset, predictions, names.len())?;
    let columns = ["precision", "recall", "f1"].map(str::to_owned).to_vec();
    let row = |(name, counts): (&String, &Counts)| Row {
        name: name.clone(),
        values: vec![counts.precision(), counts.recall(), counts.f1()],
        support: Some(counts.gold),
    };
    let rows = names.iter().zip(found.counts(names.len()).iter()).map(row).collect();
    let mistakes = found.mistakes(dataset, most, |i| {
        let Input::Text { text, text_pair } = &dataset.examples[i].input else { return None };
        Some(Wrong::class(text, text_pair.as_deref(), names, found.gold[i], found.label[i]))
    });
    Ok(Findings {
        tables: vec![Table { by: "class".into(), columns, rows }],
        confusion: Some(Confusion::new(names, &found.label, &found.gold)),
        reliability: found.reliability(),
        mistakes,
        ..Findings::default()
    })
}

/// Of endings: the accuracy by the position of the right one, counted from 0.
///
/// # Errors
///
/// An example without a right ending, or a prediction that is not an ending.
pub fn endings(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let endings = |prediction: &Prediction| match prediction {
        Prediction::Class { probabilities, .. } => probabilities.len(),
        _ => 0,
    };
    let positions = predictions.iter().map(endings).max().unwrap_or(0);
    let found = Found::new(dataset, predictions, positions)?;
    let row = |(position, counts): (usize, &Counts)| Row {
        name: position.to_string(),
        values: vec![counts.recall()],
        support: Some(counts.gold),
    };
    let rows = found.counts(positions).iter().enumerate().map(row).collect();
    let mistakes = found.mistakes(dataset, most, |i| {
        Wrong::ending(&dataset.examples[i].input, found.gold[i], found.label[i])
    });
    Ok(Findings {
        tables: vec![Table { by: "right ending".into(), columns: vec!["accuracy".into()], rows }],
        reliability: found.reliability(),
        mistakes,
        ..Findings::default()
    })
}

/// Labels and probabilities of all examples.
struct Found {
    gold: Vec<usize>,
    label: Vec<usize>,
    /// Of the predicted label.
    probability: Vec<f32>,
    /// Of the gold label.
    gold_probability: Vec<f32>,
}

impl Found {
    fn new(dataset: &Dataset, predictions: &[Prediction], width: usize) -> Result<Self> {
        let mut found = Self {
            gold: Vec::new(),
            label: Vec::new(),
            probability: Vec::new(),
            gold_probability: Vec::new(),
        };
        for (example, prediction) in dataset.examples.iter().zip(predictions) {
            let (Some(Target::Class(gold)), Prediction::Class { label, probabilities }) =
                (&example.target, prediction)
            else {
                return Err(misfit(dataset, example));
            };
            if *gold >= width || *label >= width {
                return Err(misfit(dataset, example));
            }
            found.gold.push(*gold);
            found.label.push(*label);
            let probability = |of: usize| probabilities.get(of).copied().unwrap_or(f32::NAN);
            found.probability.push(probability(*label));
            found.gold_probability.push(probability(*gold));
        }
        Ok(found)
    }

    fn counts(&self, width: usize) -> Vec<Counts> {
        let mut counts = vec![Counts::default(); width];
        for (&gold, &label) in self.gold.iter().zip(&self.label) {
            counts[gold].gold += 1;
            counts[label].predicted += 1;
            counts[gold].correct += usize::from(gold == label);
        }
        counts
    }

    fn reliability(&self) -> Option<Reliability> {
        let right = self.gold.iter().zip(&self.label).map(|(gold, label)| gold == label);
        Reliability::new(self.probability.iter().copied().zip(right))
    }

    /// The mistakes, the least probable gold label first.
    fn mistakes(
        &self,
        dataset: &Dataset,
        most: usize,
        wrong: impl Fn(usize) -> Option<Wrong>,
    ) -> Mistakes {
        let badness = |i: usize| {
            (self.gold[i] != self.label[i]).then(|| -f64::from(self.gold_probability[i]))
        };
        Mistakes::collect(dataset, most, badness, |i| {
            let mut wrong = wrong(i)?;
            wrong.set_probabilities(self.probability[i], self.gold_probability[i]);
            Some(wrong)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Example;
    use crate::task;

    fn example(i: usize, input: Input, gold: usize) -> Example {
        Example { id: i.to_string(), line: i + 2, input, target: Some(Target::Class(gold)) }
    }

    fn class(probabilities: &[f32]) -> Prediction {
        let label = usize::from(probabilities[1] > probabilities[0]);
        Prediction::Class { label, probabilities: probabilities.to_vec() }
    }

    #[test]
    fn classes_have_shown_names_and_the_surest_mistake_comes_first() {
        let task = task::find("sst2").unwrap();
        let labels = Labels::new(task.labels.clone().unwrap());
        let text = |text: &str| Input::Text { text: text.into(), text_pair: None };
        let examples = [("a", 0), ("b", 1), ("c", 1), ("d", 0)];
        let examples = examples.iter().enumerate();
        let examples = examples.map(|(i, (name, gold))| example(i, text(name), *gold)).collect();
        let dataset = Dataset { path: "dev.tsv".into(), examples, split: "dev".into() };
        let predictions =
            [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.125, 0.875]].map(|p| class(&p));
        let found = classes(&task, &dataset, &labels, &predictions, 1).unwrap();
        let rows = &found.tables[0].rows;
        assert_eq!(rows[0].name, "negative");
        // Of `negative`: 1 right, 2 predicted, 2 gold.
        assert_eq!(rows[0].values, [Some(0.5), Some(0.5), Some(0.5)]);
        assert_eq!(found.mistakes.total, 2);
        let [worst] = found.mistakes.worst.as_slice() else { panic!("{:?}", found.mistakes) };
        assert_eq!((worst.id.as_str(), worst.line), ("3", 5));
        let Wrong::Class { gold, predicted, probability, .. } = &worst.wrong else { panic!() };
        assert_eq!(
            (gold.as_str(), predicted.as_str(), *probability),
            ("negative", "positive", 0.875)
        );
        assert_eq!(found.confusion.unwrap().matrix, [[1, 1], [1, 1]]);
    }

    #[test]
    fn endings_are_counted_by_the_position_of_the_right_one() {
        let task = task::find("swag").unwrap();
        let choices = || Input::Choices {
            context: "c".into(),
            start: "s".into(),
            endings: vec!["x".into(), "y".into()],
        };
        let examples = vec![example(0, choices(), 0), example(1, choices(), 1)];
        let dataset = Dataset { path: "val.csv".into(), examples, split: "dev".into() };
        let predictions = [class(&[0.75, 0.25]), class(&[0.75, 0.25])];
        let found = endings(&task, &dataset, &Labels::default(), &predictions, 9).unwrap();
        let rows = &found.tables[0].rows;
        assert_eq!([&rows[0].values[..], &rows[1].values[..]], [[Some(1.0)], [Some(0.0)]]);
        let Wrong::Ending { endings, gold, predicted, .. } = &found.mistakes.worst[0].wrong else {
            panic!("{:?}", found.mistakes)
        };
        assert_eq!((endings.len(), *gold, *predicted), (2, 1, 0));
    }

    #[test]
    fn an_example_without_a_label_is_an_error_at_its_line() {
        let task = task::find("sst2").unwrap();
        let labels = Labels::new(task.labels.clone().unwrap());
        let mut without = example(0, Input::Text { text: "a".into(), text_pair: None }, 0);
        without.target = None;
        let dataset =
            Dataset { path: "dev.tsv".into(), examples: vec![without], split: "dev".into() };
        let error = classes(&task, &dataset, &labels, &[class(&[0.5, 0.5])], 9).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(2));
    }
}
