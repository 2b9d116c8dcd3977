//! Question answering from files to scores, with invented logits in the model's place: each
//! function is a test of the data sets in a folder.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tfbert::dataset::{DataSource, Dataset, Input, Labels, Target};
use tfbert::feature::{Alignment, FeatureSettings, FeatureTarget, Features, Tokenizer};
use tfbert::metric::{SquadVersion, normalize_answer, score_question};
use tfbert::prediction::{FeatureLogits, Prediction, PredictionSettings, SpanPrediction};
use tfbert::scores::Scores;
use tfbert::stages::{features, predictions, score, write_predictions};
use tfbert::task::{self, Head, Task};

use crate::common::root;

/// The development sets of SQuAD 1.1 and 2.0 in a folder. Tokenised once for all tests of a crate.
pub struct Sets([Set; 2]);

impl Sets {
    /// Reads and tokenises `squad` and `squad2` below a data folder.
    pub fn new(data: &Path, tokenizer: &Tokenizer) -> Self {
        Self(["squad", "squad2"].map(|name| set(name, data, tokenizer)))
    }
}

/// A task's development set and its features.
struct Set {
    task: Task,
    dataset: Dataset,
    features: Features,
}

fn set(name: &str, data: &Path, tokenizer: &Tokenizer) -> Set {
    let task = task::find(name).unwrap();
    let labels = Labels::default();
    let source = DataSource {
        task: &task,
        split: &task.dev[0],
        data_dir: data,
        labels: &labels,
        limit: None,
    };
    let dataset = source.read().unwrap();
    let settings = FeatureSettings::from_task(&task);
    let features = features(Head::Span, &dataset, tokenizer, &settings).unwrap();
    Set { task, dataset, features }
}

impl Set {
    /// The answers for logits that are `of(feature, position, gold)`, `gold` for the first answer's
    /// start (or end).
    fn predict(
        &self,
        max_answer_length: usize,
        null_threshold: f64,
        of: impl Fn(usize, usize, bool) -> f32,
    ) -> Vec<Prediction> {
        let mut logits = FeatureLogits::new(self.features.len());
        for feature in 0..self.features.len() {
            let FeatureTarget::Span(start, end) = *self.features.target(feature) else {
                panic!("a development set has answers")
            };
            let values: Vec<f32> = (0..self.features.length(feature))
                .flat_map(|at| {
                    let here = |gold: i32| gold as usize == at;
                    [of(feature, 2 * at, here(start)), of(feature, 2 * at + 1, here(end))]
                })
                .collect();
            logits.set(feature, &values);
        }
        let settings = PredictionSettings {
            max_answer_length,
            n_best_size: 20,
            version_2_with_negative: self.task.version_2_with_negative,
            null_threshold,
            label_thresholds: Vec::new(),
        };
        let found = predictions(Head::Span, &self.dataset, &self.features, &logits, &settings);
        let found = found.unwrap();
        assert_eq!(found.len(), self.dataset.examples.len(), "one prediction for each question");
        found
    }

    fn score(&self, predictions: &[Prediction]) -> Scores {
        score(&self.task, &self.dataset, &Labels::default(), predictions).unwrap()
    }

    /// The text from the first to the last piece that an example's first answer touches, and how
    /// many pieces that are.
    fn answer_in_pieces(&self, example: usize) -> Option<(&str, usize)> {
        let Input::Question { context, .. } = &self.dataset.examples[example].input else {
            panic!("a question")
        };
        (0..self.features.len()).filter(|&f| self.features.example(f) == example).find_map(|f| {
            let FeatureTarget::Span(start @ 1.., end) = *self.features.target(f) else {
                return None;
            };
            let Some(Alignment::Window { context_start, pieces, .. }) = self.features.alignment(f)
            else {
                panic!("a window")
            };
            let offsets = self.features.offsets(pieces.clone());
            let first = offsets[start as usize - context_start].0 as usize;
            let last = offsets[end as usize - context_start].1 as usize;
            Some((&context[first..last], (end - start) as usize + 1))
        })
    }
}

fn span(prediction: &Prediction) -> &SpanPrediction {
    match prediction {
        Prediction::Span(span) => span,
        other => panic!("{other:?}"),
    }
}

/// Numbers from -3 to 3 that look drawn, the same in every run (SplitMix64).
fn noise(seed: usize) -> f32 {
    let mut z = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z >> 40) as f32 / (1u64 << 24) as f32) * 6.0 - 3.0
}

/// A model that knows the answers scores all but those that word pieces cannot express.
pub fn known_answers_are_found(sets: &Sets) {
    for set in &sets.0 {
        let know = |_, _, gold: bool| if gold { 10.0 } else { 0.0 };
        for (longest, exact) in [(usize::MAX, true), (30, false)] {
            let predictions = set.predict(longest, 0.0, know);
            let (mut too_long, mut wider, mut right) = (0, 0, 0);
            for (index, example) in set.dataset.examples.iter().enumerate() {
                let Some(Target::Answers(answers)) = &example.target else { panic!("answers") };
                let golds: Vec<_> = answers.iter().map(|gold| gold.text.as_str()).collect();
                let text = &span(&predictions[index]).text;
                let version = if set.task.version_2_with_negative {
                    SquadVersion::V2_0
                } else {
                    SquadVersion::V1_1
                };
                if score_question(version, text, &golds).exact_match == 1.0 {
                    right += 1;
                    continue;
                }
                let (said, pieces) = set.answer_in_pieces(index).expect("an answer");
                if pieces > longest {
                    too_long += 1;
                } else {
                    // The answer begins or ends inside a word piece.
                    assert_ne!(normalize_answer(said), normalize_answer(golds[0]));
                    assert_eq!(text, said, "question {}", example.id);
                    wider += 1;
                }
            }
            let total = set.dataset.examples.len();
            assert_eq!(right + too_long + wider, total);
            assert!(!exact || too_long == 0);
            let scores = set.score(&predictions);
            let share = right as f64 / total as f64;
            assert_eq!(scores.get(tfbert::metric::MetricName::ExactMatch), Some(share));
            assert!(share > 0.99 || longest == 30, "{share}");
        }
    }
}

/// What the independent scorer prints for files that `write_predictions` wrote.
fn scorer(set: &Set, predictions: &[Prediction], with_odds: bool) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let labels = Labels::default();
    let split = &set.task.dev[0];
    write_predictions(&set.task, split, &set.dataset, &labels, predictions, dir.path()).unwrap();
    let mut command = Command::new(root().join(".venv/bin/python"));
    command.arg(root().join("tests/golden/squad_scorer.py")).arg(&set.dataset.path);
    command.arg(dir.path().join("dev/predictions.json"));
    if with_odds {
        command.arg(dir.path().join("dev/null_odds.json"));
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compares fractions with the scorer's percentages.
fn assert_same(scorer: &Value, ours: &[(&str, Option<f64>)]) {
    for (name, ours) in ours {
        let theirs = scorer[name].as_f64().unwrap_or_else(|| panic!("no `{name}` in {scorer}"));
        let ours = ours.unwrap_or_else(|| panic!("`{name}` is undefined"));
        let scale = if name.ends_with("thresh") || name.ends_with("total") { 1.0 } else { 100.0 };
        assert!((ours * scale - theirs).abs() < 1e-9, "{name}: {} and {theirs}", ours * scale);
    }
}

/// The independent scorer reads the prediction files and finds the same scores.
pub fn scores_are_the_scorers(sets: &Sets) {
    use tfbert::metric::MetricName::{ExactMatch, F1};
    for set in &sets.0 {
        // Often right, often near, sometimes far off.
        let hesitate = |feature: usize, at: usize, gold: bool| {
            noise(feature * 1009 + at) + if gold { 3.5 } else { 0.0 }
        };
        let predictions = set.predict(30, 0.0, hesitate);
        let scores = set.score(&predictions);
        let f1 = scores.get(F1).unwrap();
        assert!((0.1..0.9).contains(&f1), "the test wants right and wrong answers: {f1}");
        let printed = scorer(set, &predictions, false);
        if !set.task.version_2_with_negative {
            let ours = [("exact_match", scores.get(ExactMatch)), ("f1", scores.get(F1))];
            assert_same(&printed, &ours);
            continue;
        }
        let detail = |name: &str| scores.details[name];
        assert_same(
            &printed,
            &[
                ("exact", scores.get(ExactMatch)),
                ("f1", scores.get(F1)),
                ("HasAns_exact", detail("has_answer_exact_match")),
                ("HasAns_f1", detail("has_answer_f1")),
                ("HasAns_total", detail("has_answer_total")),
                ("NoAns_exact", detail("no_answer_exact_match")),
                ("NoAns_f1", detail("no_answer_f1")),
                ("NoAns_total", detail("no_answer_total")),
            ],
        );
        // The script searches thresholds over answers from which none was withdrawn.
        let all = set.predict(30, f64::INFINITY, hesitate);
        let printed = scorer(set, &all, true);
        assert_same(
            &printed,
            &[
                ("best_exact", detail("official_best_exact_match")),
                ("best_exact_thresh", detail("official_best_exact_match_threshold")),
                ("best_f1", detail("official_best_f1")),
                ("best_f1_thresh", detail("official_best_f1_threshold")),
            ],
        );
        // What we choose instead is what the model then scores.
        let threshold = detail("best_f1_threshold").unwrap();
        let chosen = set.score(&set.predict(30, threshold, hesitate));
        let difference = chosen.get(F1).unwrap() - detail("best_f1").unwrap();
        assert!(difference.abs() < 1e-12, "{difference}");
    }
}

/// Every answer is a part of its passage.
pub fn answers_are_of_their_passage(sets: &Sets) {
    for set in &sets.0 {
        let predictions =
            set.predict(30, f64::INFINITY, |feature, at, _| noise(feature * 1009 + at));
        for (example, prediction) in set.dataset.examples.iter().zip(&predictions) {
            let Input::Question { context, .. } = &example.input else { panic!("a question") };
            let span = span(prediction);
            assert!(!span.text.is_empty() && context.contains(&span.text), "{}", example.id);
        }
    }
}
