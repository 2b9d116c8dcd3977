//! Tags: F1 by entity type (by tag where tags are not entities), and the sentences with most mistakes.

use std::collections::BTreeMap;

use super::mistakes::{Mistakes, Wrong};
use super::{Findings, Reliability, Row, Table, misfit};
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::metric::{Counts, entities, entity_scores};
use crate::prediction::Prediction;
use crate::task::Task;

/// The most words of a sentence that are kept.
const MOST_WORDS: usize = 300;

/// Precision, recall and F1 by type, and the sentences with most entities (or words) missed or wrongly
/// predicted.
///
/// # Errors
///
/// A sentence without tags, or with another number of predicted ones.
pub fn tags(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    let shown = task.shown_labels(labels.names());
    let names = |tags: &[usize]| -> Option<Vec<&str>> {
        tags.iter().map(|&tag| shown.get(tag).map(String::as_str)).collect()
    };
    let (mut predicted, mut gold) = (Vec::new(), Vec::new());
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let found = match (prediction, &example.target) {
            (Prediction::Tags { tags, .. }, Some(Target::Tags(golds)))
                if tags.len() == golds.len() =>
            {
                names(tags).zip(names(golds))
            }
            _ => None,
        };
        let Some((tags, golds)) = found else { return Err(misfit(dataset, example)) };
        predicted.push(tags);
        gold.push(golds);
    }
    let are_entities = task.tags_are_entities();
    let by_type = if are_entities {
        entity_scores(&predicted, &gold).by_type
    } else {
        counts_of_tags(&predicted, &gold)
    };
    let row = |(name, counts): (String, Counts)| Row {
        name,
        values: vec![counts.precision(), counts.recall(), counts.f1()],
        support: Some(counts.gold),
    };
    let table = Table {
        by: if are_entities { "type" } else { "tag" }.into(),
        columns: ["precision", "recall", "f1"].map(str::to_owned).to_vec(),
        rows: by_type.into_iter().map(row).collect(),
    };
    let wrong = |i: usize| {
        if are_entities {
            wrong_entities(&predicted[i], &gold[i])
        } else {
            gold[i].iter().zip(&predicted[i]).filter(|(gold, tag)| gold != tag).count()
        }
    };
    let badness = |i: usize| Some(wrong(i)).filter(|&wrong| wrong > 0).map(|wrong| wrong as f64);
    let mistakes = Mistakes::collect(dataset, most, badness, |i| {
        let words = dataset.examples[i].input.words()?;
        let owned = |tags: &[&str]| {
            tags.iter().take(MOST_WORDS).map(|&tag| tag.to_owned()).collect::<Vec<_>>()
        };
        Some(Wrong::Tags {
            words: owned(&words),
            gold: owned(&gold[i]),
            predicted: owned(&predicted[i]),
            wrong: wrong(i),
        })
    });
    // Of words: an entity has no probability of its own.
    let probabilities = predictions.iter().flat_map(|prediction| match prediction {
        Prediction::Tags { probabilities, .. } => probabilities.as_slice(),
        _ => &[],
    });
    let right =
        predicted.iter().flatten().zip(gold.iter().flatten()).map(|(tag, gold)| tag == gold);
    let reliability = Reliability::new(probabilities.copied().zip(right));
    Ok(Findings { tables: vec![table], reliability, mistakes, ..Findings::default() })
}

/// Entities of a sentence that are missed or wrongly predicted.
fn wrong_entities(predicted: &[&str], gold: &[&str]) -> usize {
    let (predicted, gold) = (entities(predicted), entities(gold));
    let right = gold.iter().filter(|entity| predicted.contains(entity)).count();
    predicted.len() + gold.len() - 2 * right
}

/// The counts of each tag, word by word.
fn counts_of_tags(predicted: &[Vec<&str>], gold: &[Vec<&str>]) -> BTreeMap<String, Counts> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for (tag, gold) in predicted.iter().flatten().zip(gold.iter().flatten()) {
        counts.entry((*tag).to_owned()).or_default().predicted += 1;
        let of_gold = counts.entry((*gold).to_owned()).or_default();
        of_gold.gold += 1;
        of_gold.correct += usize::from(tag == gold);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::tagged::tagged;
    use crate::task;

    fn findings(gold: &[&str], predicted: &[&str]) -> Findings {
        let (labels, dataset, predictions) = tagged(gold, predicted, 0.75);
        tags(&task::find("conll2003").unwrap(), &dataset, &labels, &predictions, 9).unwrap()
    }

    #[test]
    fn types_have_rows_and_the_sentence_with_most_wrong_entities_comes_first() {
        let found = findings(
            &["B-PER I-PER O", "B-LOC O B-PER", "O"],
            &["B-PER I-PER O", "B-PER O O", "O"],
        );
        let rows = &found.tables[0].rows;
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["LOC", "PER"]);
        // PER: 1 right, 2 predicted, 2 gold.
        assert_eq!(rows[1].values, [Some(0.5), Some(0.5), Some(0.5)]);
        assert_eq!(rows[0].support, Some(1));
        assert_eq!(found.reliability.unwrap().bins[0].count, 7, "words");
        assert_eq!(found.mistakes.total, 1);
        let Wrong::Tags { wrong, predicted, .. } = &found.mistakes.worst[0].wrong else { panic!() };
        // Two gold entities are missed, and one is invented.
        assert_eq!((*wrong, predicted[0].as_str()), (3, "B-PER"));
    }
}
