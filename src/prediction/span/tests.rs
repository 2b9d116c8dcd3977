use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::feature::{FeatureSettings, Tokenizer, questions};

const TOKENIZER: &[u8] = include_bytes!("../../../tests/golden/question_tokenizer.json");
const WINDOWS: &str = include_str!("../../../tests/golden/question_windows.json");
const PREDICTIONS: &str = include_str!("../../../tests/golden/question_predictions.json");

#[derive(Deserialize)]
struct Golden<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct WindowsCase {
    name: String,
    question: String,
    context: String,
    max_length: usize,
    stride: usize,
    max_query_length: usize,
}

#[derive(Deserialize)]
struct PredictionCase {
    case: usize,
    max_answer_length: usize,
    n_best_size: usize,
    version_2_with_negative: bool,
    null_threshold: f64,
    /// Start and end of each position of each window, times 65536.
    logits: Vec<Vec<(i32, i32)>>,
    text: String,
    null_odds: Option<f64>,
    n_best: Vec<GoldenCandidate>,
}

#[derive(Deserialize)]
struct GoldenCandidate {
    text: String,
    probability: f64,
    start_logit: f32,
    end_logit: f32,
}

const SETTINGS: PredictionSettings = PredictionSettings {
    max_answer_length: 30,
    n_best_size: 20,
    version_2_with_negative: false,
    null_threshold: 0.0,
    label_thresholds: Vec::new(),
};

fn dataset(questions: &[(&str, &str)]) -> Dataset {
    let examples = questions
        .iter()
        .enumerate()
        .map(|(i, (question, context))| Example {
            id: format!("q{i}"),
            line: i + 1,
            input: Input::Question { question: (*question).into(), context: (*context).into() },
            target: None,
        })
        .collect();
    Dataset { path: PathBuf::from("dev.json"), examples, split: "dev".into() }
}

fn windows(dataset: &Dataset, max_length: usize, doc_stride: usize, query: usize) -> Features {
    let settings = FeatureSettings { max_length, doc_stride, max_query_length: query };
    let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
    questions(dataset, &tokenizer, &settings).unwrap()
}

/// Logits from a function of feature, position and whether it is the end.
fn logits(features: &Features, of: impl Fn(usize, usize, bool) -> f32) -> FeatureLogits {
    let mut logits = FeatureLogits::new(features.len());
    for feature in (0..features.len()).rev() {
        let length = features.length(feature);
        let values: Vec<f32> = (0..length)
            .flat_map(|position| [of(feature, position, false), of(feature, position, true)])
            .collect();
        logits.set(feature, &values);
    }
    logits
}

fn spans_of(
    dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    settings: &PredictionSettings,
) -> Vec<SpanPrediction> {
    let predictions = spans(dataset, features, logits, settings).unwrap();
    assert_eq!(predictions.len(), dataset.examples.len());
    let span = |prediction| match prediction {
        Prediction::Span(span) => span,
        other => panic!("{other:?}"),
    };
    predictions.into_iter().map(span).collect()
}

#[test]
fn answers_and_n_best_are_those_of_run_squad() {
    let windows_cases: Golden<WindowsCase> = serde_json::from_str(WINDOWS).unwrap();
    let golden: Golden<PredictionCase> = serde_json::from_str(PREDICTIONS).unwrap();
    assert!(golden.cases.len() > 30);
    for case in &golden.cases {
        let source = &windows_cases.cases[case.case];
        let dataset = dataset(&[(&source.question, &source.context)]);
        let features = windows(&dataset, source.max_length, source.stride, source.max_query_length);
        let logits = logits(&features, |feature, position, end| {
            let (start, last) = case.logits[feature][position];
            (if end { last } else { start }) as f32 / 65536.0
        });
        let settings = PredictionSettings {
            max_answer_length: case.max_answer_length,
            n_best_size: case.n_best_size,
            version_2_with_negative: case.version_2_with_negative,
            null_threshold: case.null_threshold,
            label_thresholds: Vec::new(),
        };
        let found = spans_of(&dataset, &features, &logits, &settings).remove(0);
        assert_eq!(found.text, case.text, "{}", source.name);
        assert_eq!(found.null_odds, case.null_odds, "{}", source.name);
        assert_eq!(found.n_best.len(), case.n_best.len(), "{}", source.name);
        for (found, expected) in found.n_best.iter().zip(&case.n_best) {
            assert_eq!(found.text, expected.text, "{}", source.name);
            assert_eq!(found.start_logit, expected.start_logit, "{}", source.name);
            assert_eq!(found.end_logit, expected.end_logit, "{}", source.name);
            let difference = f64::from(found.probability) - expected.probability;
            assert!(difference.abs() < 1e-6, "{}: {difference}", source.name);
        }
    }
}

#[test]
fn start_and_end_are_chosen_together() {
    // By themselves the best start is `sea` and the best end `the`, before it.
    let dataset = dataset(&[("who", "the moon and sea")]);
    let features = windows(&dataset, 16, 1, 4);
    // [CLS] who [SEP] the moon and sea [SEP]
    let starts = [9.0, 9.0, 9.0, 0.0, 3.0, 0.0, 4.0, 9.0];
    let ends = [9.0, 9.0, 9.0, 4.0, 0.0, 3.0, 0.0, 9.0];
    let logits = logits(&features, |_, at, end| if end { ends[at] } else { starts[at] });
    let found = spans_of(&dataset, &features, &logits, &SETTINGS).remove(0);
    assert_eq!(found.text, "moon and");
    let best = &found.n_best[0];
    assert_eq!((best.start, best.start_logit, best.end_logit), (Some(4), 3.0, 3.0));
    let short = PredictionSettings { max_answer_length: 1, ..SETTINGS };
    assert_eq!(spans_of(&dataset, &features, &logits, &short)[0].text, "the");
}

#[test]
fn the_answer_is_cut_from_the_passage_as_it_is_written() {
    let dataset = dataset(&[("who", "Käthe  LANDETE , 1969")]);
    let features = windows(&dataset, 32, 1, 4);
    let found = spans_of(
        &dataset,
        &features,
        &logits(&features, |_, at, end| {
            let last = features.length(0) - 2;
            f32::from(u8::from(if end { at == last } else { at == 3 }))
        }),
        &SETTINGS,
    );
    assert_eq!(found[0].text, "Käthe  LANDETE , 1969");
    assert_eq!(found[0].n_best[0].start, Some(0));
}

#[test]
fn equal_spans_come_in_the_order_of_the_passage() {
    let dataset = dataset(&[("who", "the moon and sea")]);
    let features = windows(&dataset, 16, 1, 4);
    let found =
        spans_of(&dataset, &features, &logits(&features, |_, _, _| 0.5), &SETTINGS).remove(0);
    let texts: Vec<_> = found.n_best.iter().map(|candidate| candidate.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "the",
            "the moon",
            "the moon and",
            "the moon and sea",
            "moon",
            "moon and",
            "moon and sea",
            "and",
            "and sea",
            "sea"
        ]
    );
    assert!(found.n_best.iter().all(|candidate| candidate.probability == 0.1));
}

#[test]
fn null_odds_decide_whether_there_is_an_answer() {
    let dataset = dataset(&[("who", "the moon and the land of the sea")]);
    let features = windows(&dataset, 10, 2, 2);
    assert_eq!(features.len(), 2, "two windows");
    // Null scores 3 + 3 in the first window and 1 + 1 in the second; the best span 2 + 1.5.
    let logits = logits(&features, |feature, at, end| match (at, end) {
        (0, _) => [3.0, 1.0][feature],
        (4, false) => 2.0,
        (4, true) => 1.5,
        _ => 0.0,
    });
    let settings = PredictionSettings { version_2_with_negative: true, ..SETTINGS };
    let mut found = spans_of(&dataset, &features, &logits, &settings).remove(0);
    assert_eq!(found.null_odds, Some(2.0 - 3.5));
    assert_eq!(found.text, "moon");
    let null = found.n_best.iter().find(|candidate| candidate.start.is_none()).unwrap();
    assert_eq!((null.text.as_str(), null.start_logit, null.end_logit), ("", 1.0, 1.0));
    found.apply_null_threshold(-1.5);
    assert_eq!(found.text, "moon", "odds that equal the threshold do not exceed it");
    found.apply_null_threshold(-1.6);
    assert_eq!(found.text, "");
    assert_eq!(found.best_span().unwrap().text, "moon");
    let strict = PredictionSettings { null_threshold: -2.0, ..settings };
    assert_eq!(spans_of(&dataset, &features, &logits, &strict)[0], {
        found.apply_null_threshold(-2.0);
        found
    });
}

#[test]
fn null_is_kept_beside_the_n_best_where_it_ranks_below_them() {
    let dataset = dataset(&[("who", "the moon and sea")]);
    let features = windows(&dataset, 16, 1, 4);
    let settings = PredictionSettings { version_2_with_negative: true, n_best_size: 2, ..SETTINGS };
    let logits = logits(&features, |_, at, _| at as f32);
    let found = spans_of(&dataset, &features, &logits, &settings).remove(0);
    let texts: Vec<_> = found.n_best.iter().map(|candidate| candidate.text.as_str()).collect();
    assert_eq!(texts, ["sea", "and sea", ""]);
}

#[test]
fn a_passage_without_pieces_gets_an_empty_answer() {
    let dataset = dataset(&[("who", "\u{200b} \u{0}"), ("who", "moon")]);
    let features = windows(&dataset, 16, 1, 4);
    let logits = logits(&features, |_, _, _| -0.25);
    let found = spans_of(&dataset, &features, &logits, &SETTINGS);
    assert_eq!((found[0].text.as_str(), found[0].null_odds), ("", None));
    assert_eq!(found[0].n_best, [Candidate { probability: 1.0, ..Candidate::default() }]);
    assert_eq!(found[1].text, "moon");
    let settings = PredictionSettings { version_2_with_negative: true, ..SETTINGS };
    let found = spans_of(&dataset, &features, &logits, &settings);
    assert_eq!((found[0].text.as_str(), found[0].null_odds), ("", Some(-0.5)));
    assert_eq!(found[0].n_best.len(), 1);
}

#[test]
fn logits_that_are_missing_or_not_finite_name_the_question() {
    let dataset = dataset(&[("who", "the moon"), ("who", "the sea")]);
    let features = windows(&dataset, 16, 1, 4);
    let nan =
        logits(&features, |feature, at, _| if (feature, at) == (1, 4) { f32::NAN } else { 0.0 });
    let error = spans(&dataset, &features, &nan, &SETTINGS).unwrap_err();
    assert_eq!(
        error.to_string().lines().next(),
        Some("dev.json:2: question `q1`: a logit is not a finite number")
    );
    let none = FeatureLogits::new(features.len());
    let error = spans(&dataset, &features, &none, &SETTINGS).unwrap_err();
    assert!(error.what().contains("question `q0` has no logits"), "{error}");
}

/// All spans that the rules allow, best first, each text once.
fn brute_force(
    context: &str,
    features: &Features,
    logits: &FeatureLogits,
    max_answer_length: usize,
) -> Vec<(f64, String)> {
    let mut all = Vec::new();
    for feature in 0..features.len() {
        let Some(Alignment::Window { context_start, pieces, max_context }) =
            features.alignment(feature)
        else {
            panic!("a window")
        };
        let offsets = features.offsets(pieces.clone());
        let values = logits.get(feature);
        for start in max_context.clone() {
            for end in start..offsets.len().min(start + max_answer_length) {
                let score = f64::from(values[2 * (context_start + start)])
                    + f64::from(values[2 * (context_start + end) + 1]);
                all.push((score, offsets[start].0, offsets[end].1));
            }
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut seen = HashSet::new();
    all.into_iter()
        .map(|(score, from, to)| (score, context[from as usize..to as usize].to_owned()))
        .filter(|(_, text)| seen.insert(text.clone()))
        .collect()
}

proptest! {
    #[test]
    fn every_question_gets_the_best_span_of_its_own_passage(
        words in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec!["moon", "Käthe", "東京", "🚀", "\u{200b}", "landing", "sea", "cre\u{301}"]),
                1..40,
            ),
            1..4,
        ),
        values in prop::collection::vec(-4i8..4, 64),
        max_answer_length in 1usize..8,
        n_best_size in 1usize..12,
        version_2_with_negative: bool,
    ) {
        let contexts: Vec<Arc<str>> = words.iter().map(|words| words.join(" ").into()).collect();
        let questions: Vec<_> = contexts.iter().map(|context| ("who?", &**context)).collect();
        let dataset = dataset(&questions);
        let features = windows(&dataset, 20, 5, 6);
        // Small whole numbers, so that there are ties.
        let logits = logits(&features, |feature, at, end| {
            f32::from(values[(feature * 31 + at * 7 + usize::from(end) * 3) % values.len()])
        });
        let settings = PredictionSettings {
            max_answer_length, n_best_size, version_2_with_negative, null_threshold: 1.0,
            label_thresholds: Vec::new(),
        };
        let found = spans_of(&dataset, &features, &logits, &settings);
        prop_assert_eq!(found.len(), contexts.len());
        for (index, (context, found)) in contexts.iter().zip(&found).enumerate() {
            prop_assert!(context.contains(&found.text));
            let alone = self::dataset(&questions[index..=index]);
            let own = windows(&alone, 20, 5, 6);
            let first = (0..features.len()).find(|&f| features.example(f) == index).unwrap();
            let mut own_logits = FeatureLogits::new(own.len());
            for feature in 0..own.len() {
                own_logits.set(feature, logits.get(first + feature));
            }
            let expected = brute_force(context, &own, &own_logits, max_answer_length);
            let spans: Vec<_> = found
                .n_best
                .iter()
                .filter(|candidate| candidate.start.is_some())
                .map(|candidate| (score(candidate), candidate.text.clone()))
                .collect();
            prop_assert_eq!(&spans[..], &expected[..n_best_size.min(expected.len())]);
            for candidate in &found.n_best {
                if let Some(start) = candidate.start {
                    let there: String = context.chars().skip(start).collect();
                    prop_assert!(there.starts_with(&candidate.text));
                }
            }
            let sum: f32 = found.n_best.iter().map(|candidate| candidate.probability).sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
            prop_assert_eq!(found.null_odds.is_some(), version_2_with_negative);
        }
    }
}
