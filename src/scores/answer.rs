//! The input of the metrics of answers, by the rules of SQuAD's official scripts.

use super::Details;
use crate::dataset::{Dataset, Labels, Target};
use crate::error::{Error, Result};
use crate::metric::{
    BestThresholds, MetricInput, QuestionScore, SpanMeans, SquadVersion, attainable_thresholds,
    official_thresholds, score_question, span_scores,
};
use crate::prediction::Prediction;
use crate::task::Task;

/// Scores one answer for each question, as fractions from 0 to 1.
///
/// The values are those of the answers as they are, so at the null threshold that they were made
/// with. For a task whose questions may have no answer, the details are
///
/// - `has_answer_exact_match`, `has_answer_f1`, `has_answer_total` and the same for `no_answer`
///   (`HasAns_…`, `NoAns_…` of `evaluate-v2.0.py`),
/// - `best_f1`, `best_f1_threshold`, `best_exact_match`, `best_exact_match_threshold`: the highest
///   values over all null thresholds, found in one pass over the best spans, and the thresholds
///   that give them,
/// - `official_best_f1` and so on: the same as the script finds them, which treats questions of
///   equal null odds one by one (see [`official_thresholds`]).
///
/// # Errors
///
/// A question without known answers, or a prediction that is no span.
pub fn answers(
    task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let version =
        if task.version_2_with_negative { SquadVersion::V2_0 } else { SquadVersion::V1_1 };
    let mut question_scores = Vec::with_capacity(predictions.len());
    let mut best_span_scores = Vec::new();
    let mut null_odds = Vec::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let error = |what: &str| {
            Error::new(format!("question `{}`: {what}", example.id))
                .at_line(&dataset.path, example.line)
        };
        let Some(Target::Answers(answers)) = &example.target else {
            return Err(error("its answers are not known, so it cannot be scored"));
        };
        let Prediction::Span(span) = prediction else {
            return Err(error("the prediction is no span"));
        };
        let golds: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        question_scores.push(score_question(version, &span.text, &golds));
        if let Some(odds) = span.null_odds {
            let best = span.best_span().map_or("", |best| &best.text);
            best_span_scores.push(score_question(version, best, &golds));
            null_odds.push(odds);
        }
    }
    let totals = span_scores(&question_scores);
    let mut details = Details::new();
    if task.version_2_with_negative {
        add_means(&mut details, "has_answer", &totals.has_answer);
        add_means(&mut details, "no_answer", &totals.no_answer);
        add_thresholds(&mut details, &best_span_scores, &null_odds);
    }
    Ok((MetricInput::Answers(totals), details))
}

fn add_means(details: &mut Details, kind: &str, means: &SpanMeans) {
    details.insert(format!("{kind}_exact_match"), means.exact_match);
    details.insert(format!("{kind}_f1"), means.f1);
    details.insert(format!("{kind}_total"), Some(means.total as f64));
}

fn add_thresholds(details: &mut Details, scores: &[QuestionScore], null_odds: &[f64]) {
    let mut add = |prefix: &str, found: Option<BestThresholds>| {
        for (name, best) in [
            ("best_exact_match", found.map(|found| found.exact_match)),
            ("best_f1", found.map(|found| found.f1)),
        ] {
            details.insert(format!("{prefix}{name}"), best.map(|best| best.value));
            details.insert(format!("{prefix}{name}_threshold"), best.map(|best| best.threshold));
        }
    };
    add("", attainable_thresholds(scores, null_odds));
    add("official_", official_thresholds(scores, null_odds));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Answer, Example, Input};
    use crate::metric::MetricName;
    use crate::prediction::{Candidate, SpanPrediction};
    use crate::scores::Scores;
    use crate::stages::score;
    use crate::task::find;

    fn scored(task: &Task, dataset: &Dataset, predictions: &[Prediction]) -> Result<Scores> {
        score(task, dataset, &Labels::default(), predictions)
    }

    fn dataset(golds: &[Option<&[&str]>]) -> Dataset {
        let examples = golds
            .iter()
            .enumerate()
            .map(|(i, golds)| Example {
                id: format!("q{i}"),
                line: i + 1,
                input: Input::Question { question: "who?".into(), context: "red moon".into() },
                target: golds.map(|golds| {
                    let answer = |text: &&str| Answer { text: (*text).into(), start: 0 };
                    Target::Answers(golds.iter().map(answer).collect())
                }),
            })
            .collect();
        Dataset { path: "dev.json".into(), examples, split: "dev".into() }
    }

    fn answer(best: &str, null_odds: Option<f64>) -> Prediction {
        let candidate = Candidate { text: best.into(), start: Some(0), ..Candidate::default() };
        let mut span = SpanPrediction { text: String::new(), n_best: vec![candidate], null_odds };
        span.apply_null_threshold(0.0);
        Prediction::Span(span)
    }

    #[test]
    fn values_come_in_the_order_of_the_task_as_fractions() {
        let dataset = dataset(&[Some(&["moon"]), Some(&["sea", "red moon"])]);
        let predictions = [answer("the moon", None), answer("moon", None)];
        let found = scored(&find("squad").unwrap(), &dataset, &predictions).unwrap();
        // f1: 1, and against `red moon` 2 · 1 · ½ / 1½
        let f1 = (1.0 + 2.0 / 3.0) / 2.0;
        assert_eq!(found.values, [(MetricName::F1, Some(f1)), (MetricName::ExactMatch, Some(0.5))]);
        assert!(found.details.is_empty());
    }

    #[test]
    fn the_best_threshold_looks_at_answers_that_were_withdrawn() {
        let dataset = dataset(&[Some(&["moon"]), Some(&["moon"]), Some(&[]), Some(&[])]);
        let predictions = [
            answer("moon", Some(-3.0)),
            // Withdrawn at threshold 0, though right.
            answer("moon", Some(1.0)),
            answer("moon", Some(2.0)),
            answer("moon", Some(-1.0)),
        ];
        let found = scored(&find("squad2").unwrap(), &dataset, &predictions).unwrap();
        assert_eq!(found.get(MetricName::F1), Some(2.0 / 4.0));
        let detail = |name: &str| found.details[name];
        assert_eq!(detail("has_answer_f1"), Some(0.5));
        assert_eq!(detail("has_answer_total"), Some(2.0));
        assert_eq!(detail("no_answer_exact_match"), Some(0.5));
        assert_eq!(detail("best_f1"), Some(3.0 / 4.0));
        // At -3 the first question is answered; at 1 both are, at the price of the last.
        assert_eq!(detail("best_f1_threshold"), Some(-3.0));
        assert_eq!(detail("official_best_f1"), Some(3.0 / 4.0));
        assert_eq!(found.details.len(), 14);
    }

    #[test]
    fn a_question_that_cannot_be_scored_is_named() {
        let task = find("squad").unwrap();
        let error = scored(&task, &dataset(&[None]), &[answer("moon", None)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dev.json:1: question `q0`: its answers are not known, so it cannot be scored"
        );
        let mut task = task;
        task.metrics = vec![MetricName::Accuracy];
        let error = scored(&task, &dataset(&[]), &[]).unwrap_err();
        assert!(error.what().contains("`accuracy` does not fit the head `span`"), "{error}");
    }
}
