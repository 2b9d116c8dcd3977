//! The input of the metrics of tags: entities as `conlleval` counts them.

use super::{Details, pairs};
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::metric::{self, MetricInput};
use crate::prediction::Prediction;
use crate::task::Task;

/// Counts entities, overall and in the details by type, under the names that Hugging Face's
/// `run_ner` gives them: `PER_precision`, `PER_recall`, `PER_f1`, `PER_number` (gold entities), and
/// `accuracy`, the share of words whose tag is right.
///
/// # Errors
///
/// A sentence without tags, or with another number of predicted ones.
pub fn tags(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let names = |tags: &[usize]| -> Option<Vec<&str>> {
        tags.iter().map(|&tag| labels.names().get(tag).map(String::as_str)).collect()
    };
    let (pred, gold): (Vec<_>, Vec<_>) =
        pairs(dataset, predictions, |prediction, target| match (prediction, target) {
            (Prediction::Tags { tags, .. }, Target::Tags(gold)) if tags.len() == gold.len() => {
                Some((names(tags)?, names(gold)?))
            }
            _ => None,
        })?
        .into_iter()
        .unzip();
    let found = metric::entity_scores(&pred, &gold);
    let mut details = Details::from([("accuracy".into(), found.token_accuracy())]);
    if task.tags_are_entities() {
        for (entity_type, counts) in &found.by_type {
            for (name, value) in [
                ("precision", counts.precision()),
                ("recall", counts.recall()),
                ("f1", counts.f1()),
                ("number", Some(counts.gold as f64)),
            ] {
                details.insert(format!("{entity_type}_{name}"), value);
            }
        }
    }
    Ok((MetricInput::Tags(found), details))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::MetricName;
    use crate::prediction::tagged::tagged;
    use crate::scores::Scores;
    use crate::stages::score;
    use crate::task;

    fn score_tags(gold: &[&str], predicted: &[&str]) -> Result<Scores> {
        let (labels, dataset, predictions) = tagged(gold, predicted, 1.0);
        score(&task::find("conll2003").unwrap(), &dataset, &labels, &predictions)
    }

    #[test]
    fn entities_are_scored_overall_and_by_type() {
        let scores =
            score_tags(&["B-PER I-PER O B-LOC", "B-PER O"], &["B-PER I-PER O O", "O B-PER"])
                .unwrap();
        // gold: 2 PER, 1 LOC; predicted: 2 PER, of which one is right
        assert_eq!(scores.get(MetricName::Precision), Some(1.0 / 2.0));
        assert_eq!(scores.get(MetricName::Recall), Some(1.0 / 3.0));
        assert_eq!(scores.get(MetricName::F1), Some(2.0 / 5.0));
        assert_eq!(scores.details["PER_f1"], Some(2.0 / 4.0));
        assert_eq!(scores.details["PER_number"], Some(2.0));
        assert_eq!(scores.details["LOC_precision"], None);
        assert_eq!(scores.details["LOC_recall"], Some(0.0));
        assert_eq!(scores.details["accuracy"], Some(3.0 / 6.0));
    }

    #[test]
    fn a_sentence_with_a_tag_too_few_names_its_line() {
        let error = score_tags(&["O", "O O"], &["O", "O"]).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(11));
    }

    #[test]
    fn sentences_without_entities_leave_f1_undefined() {
        let scores = score_tags(&["O O"], &["O O"]).unwrap();
        assert_eq!(scores.get(MetricName::F1), None);
        assert_eq!(scores.details["accuracy"], Some(1.0));
    }
}
