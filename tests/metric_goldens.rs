//! The metrics against independent references: scikit-learn, SciPy, seqeval and a scorer in Python.
//!
//! `tests/golden/make_metric_goldens.py` made the goldens.

use std::collections::BTreeMap;

use serde::Deserialize;
use tfbert::metric::{
    self, Counts, LabelSets, QuestionScore, SquadVersion, entity_scores, normalize_answer,
    score_question, span_scores,
};
use tfbert::task::{ReadTags, Scheme};

#[path = "common/goldens.rs"]
mod goldens;
use goldens::{OfficialV2, assert_close, assert_official, assert_totals, golden};

/// Where a long input comes from: `Lcg` in the script.
#[derive(Deserialize)]
struct Long {
    seed: u64,
    length: usize,
    #[serde(default)]
    classes: u64,
}

/// Knuth's MMIX generator, upper 31 bits.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct ClassificationCase {
    name: String,
    #[serde(default)]
    pred: Vec<u64>,
    #[serde(default)]
    gold: Vec<u64>,
    lcg: Option<Long>,
    accuracy: Option<f64>,
    f1: Option<f64>,
    precision: Option<f64>,
    recall: Option<f64>,
    macro_f1: Option<f64>,
    matthews_correlation: Option<f64>,
}

#[test]
fn classification_metrics_are_those_of_scikit_learn() {
    let Cases { cases } = golden::<Cases<ClassificationCase>>("metrics_classification.json");
    assert_eq!(cases.len(), 33);
    for mut case in cases {
        if let Some(long) = &case.lcg {
            let mut lcg = Lcg(long.seed);
            for _ in 0..long.length {
                let gold = lcg.next() % long.classes;
                let other = if lcg.next().is_multiple_of(4) { Some(lcg.next()) } else { None };
                case.gold.push(gold);
                case.pred.push(other.map_or(gold, |n| n % long.classes));
            }
        }
        let (pred, gold) = (&case.pred[..], &case.gold[..]);
        let check = |metric: &str, actual, expected| {
            assert_close(&format!("{metric} of {}", case.name), actual, expected);
        };
        check("accuracy", metric::accuracy(pred, gold), case.accuracy);
        check("f1", metric::f1_binary(pred, gold, 1), case.f1);
        check("precision", metric::precision_binary(pred, gold, 1), case.precision);
        check("recall", metric::recall_binary(pred, gold, 1), case.recall);
        check("macro_f1", metric::macro_f1(pred, gold), case.macro_f1);
        let matthews = metric::matthews_correlation(pred, gold);
        check("matthews_correlation", matthews, case.matthews_correlation);
    }
}

#[derive(Deserialize)]
struct RegressionCase {
    name: String,
    #[serde(default)]
    pred: Vec<f64>,
    #[serde(default)]
    gold: Vec<f64>,
    lcg: Option<Long>,
    pearson: Option<f64>,
    spearman: Option<f64>,
}

#[test]
fn correlations_are_those_of_scipy() {
    let Cases { cases } = golden::<Cases<RegressionCase>>("metrics_regression.json");
    assert_eq!(cases.len(), 23);
    for mut case in cases {
        if let Some(long) = &case.lcg {
            let mut lcg = Lcg(long.seed);
            for _ in 0..long.length {
                let gold = (lcg.next() % 51) as f64 / 10.0;
                case.gold.push(gold);
                case.pred.push(gold + lcg.next() as f64 / 2f64.powi(31) * 4.0 - 2.0);
            }
        }
        let what = |metric: &str| format!("{metric} of {}", case.name);
        let (pred, gold) = (&case.pred[..], &case.gold[..]);
        assert_close(&what("pearson"), metric::pearson(pred, gold), case.pearson);
        assert_close(&what("spearman"), metric::spearman(pred, gold), case.spearman);
    }
}

#[derive(Deserialize)]
struct Rates {
    correct: usize,
    predicted: usize,
    gold: usize,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

#[derive(Deserialize)]
struct EntityCase {
    name: String,
    pred: Vec<String>,
    gold: Vec<String>,
    token_accuracy: Option<f64>,
    overall: Rates,
    by_type: BTreeMap<String, Rates>,
}

#[test]
fn entity_scores_are_those_of_seqeval() {
    let Cases { cases } = golden::<Cases<EntityCase>>("metrics_entity.json");
    assert_eq!(cases.len(), 24);
    for case in cases {
        let tags = |sentences: &[String]| -> Vec<Vec<String>> {
            sentences
                .iter()
                .map(|sentence| sentence.split_whitespace().map(str::to_owned).collect())
                .collect()
        };
        let scores = entity_scores(&tags(&case.pred), &tags(&case.gold));
        let check = |what: &str, actual: Counts, expected: &Rates| {
            let what = format!("{what} of {}", case.name);
            let counts = (actual.correct, actual.predicted, actual.gold);
            assert_eq!(counts, (expected.correct, expected.predicted, expected.gold), "{what}");
            assert_close(&format!("precision, {what}"), actual.precision(), expected.precision);
            assert_close(&format!("recall, {what}"), actual.recall(), expected.recall);
            assert_close(&format!("f1, {what}"), actual.f1(), expected.f1);
        };
        check("all entities", scores.overall, &case.overall);
        let types: Vec<_> = scores.by_type.keys().collect();
        assert_eq!(types, case.by_type.keys().collect::<Vec<_>>(), "types of {}", case.name);
        for (entity_type, expected) in &case.by_type {
            check(entity_type, scores.by_type[entity_type], expected);
        }
        assert_close(&case.name, scores.token_accuracy(), case.token_accuracy);
    }
}

#[derive(Deserialize)]
struct SchemeRates {
    precision: f64,
    recall: f64,
    f1: f64,
    support: usize,
}

#[derive(Deserialize)]
struct SchemeCase {
    name: String,
    gold: Vec<String>,
    pred: Vec<String>,
    overall: SchemeRates,
    by_type: BTreeMap<String, SchemeRates>,
}

#[test]
fn entities_of_every_scheme_are_scored_as_seqeval_does_strictly() {
    let Cases { cases } = golden::<Cases<SchemeCase>>("metrics_schemes.json");
    let schemes = [Scheme::Iob1, Scheme::Iob2, Scheme::Bioes, Scheme::Bilou];
    assert_eq!(cases.len(), schemes.len());
    for (case, scheme) in cases.into_iter().zip(schemes) {
        let read = |sentences: &[String]| -> Vec<Vec<String>> {
            let mut reader = ReadTags::default();
            let sentences = sentences.iter().map(|sentence| {
                let own: Vec<String> = sentence.split(' ').map(str::to_owned).collect();
                let mut tags = own.clone();
                reader.read(&mut tags).unwrap();
                let names: Vec<&str> = tags.iter().map(String::as_str).collect();
                assert_eq!(scheme.write(&names), own, "{}", case.name);
                tags
            });
            let sentences = sentences.collect();
            assert_eq!(reader.scheme(), Some(scheme));
            sentences
        };
        let scores = entity_scores(&read(&case.pred), &read(&case.gold));
        let check = |what: &str, actual: Counts, expected: &SchemeRates| {
            let what = format!("{what} of {}", case.name);
            assert_eq!(actual.gold, expected.support, "{what}");
            assert_close(&what, actual.precision(), Some(expected.precision));
            assert_close(&what, actual.recall(), Some(expected.recall));
            assert_close(&what, actual.f1(), Some(expected.f1));
        };
        check("all entities", scores.overall, &case.overall);
        assert_eq!(scores.by_type.len(), case.by_type.len());
        for (entity_type, expected) in &case.by_type {
            check(entity_type, scores.by_type[entity_type], expected);
        }
    }
}

#[derive(Deserialize)]
struct LabelSetsCase {
    name: String,
    labels: usize,
    pred: Vec<Vec<usize>>,
    gold: Vec<Vec<usize>>,
    micro_f1: Option<f64>,
    macro_f1: Option<f64>,
    samples_f1: Option<f64>,
    subset_accuracy: Option<f64>,
}

#[test]
fn metrics_of_sets_of_labels_are_those_of_scikit_learn() {
    let Cases { cases } = golden::<Cases<LabelSetsCase>>("metrics_label_sets.json");
    assert_eq!(cases.len(), 11);
    for case in cases {
        let sets = LabelSets { labels: case.labels, predicted: case.pred, gold: case.gold };
        let name = &case.name;
        assert_close(name, metric::micro_f1(&sets), case.micro_f1);
        assert_close(name, metric::label_macro_f1(&sets), case.macro_f1);
        assert_close(name, metric::samples_f1(&sets), case.samples_f1);
        assert_close(name, metric::subset_accuracy(&sets), case.subset_accuracy);
    }
}

#[derive(Deserialize)]
struct SpanCase {
    prediction: String,
    golds: Vec<String>,
    normalized: Vec<String>,
    #[serde(rename = "1.1")]
    v1: Option<(f64, f64)>,
    #[serde(rename = "2.0")]
    v2: (f64, f64),
}

#[derive(Deserialize)]
struct TotalsCase {
    name: String,
    golds: Vec<Vec<String>>,
    predictions: Vec<String>,
    null_odds: Vec<f64>,
    threshold: f64,
    without_odds: OfficialV2,
    with_odds: OfficialV2,
}

#[derive(Deserialize)]
struct SpanGolden {
    cases: Vec<SpanCase>,
    totals: Vec<TotalsCase>,
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn awkward_answers_score_as_the_python_scorer_has_it() {
    let SpanGolden { cases, .. } = golden("metrics_span.json");
    assert_eq!(cases.len(), 436);
    for case in cases {
        let texts = std::iter::once(&case.prediction).chain(&case.golds);
        let normalized: Vec<String> = texts.map(|text| normalize_answer(text)).collect();
        assert_eq!(normalized, case.normalized, "{:?} {:?}", case.prediction, case.golds);
        let expected = [(SquadVersion::V1_1, case.v1), (SquadVersion::V2_0, Some(case.v2))];
        for (version, expected) in expected {
            let Some((exact_match, f1)) = expected else { continue };
            let score = score_question(version, &case.prediction, &as_strs(&case.golds));
            let what = format!("{version:?}: {:?} for {:?}", case.prediction, case.golds);
            assert_eq!(score.exact_match, exact_match, "{what}");
            assert_close(&what, Some(score.f1), Some(f1));
        }
    }
}

#[test]
fn totals_and_best_thresholds_are_those_of_the_python_scorer() {
    let SpanGolden { totals, .. } = golden("metrics_span.json");
    assert_eq!(totals.len(), 10);
    for case in totals {
        let scores: Vec<QuestionScore> = case
            .predictions
            .iter()
            .zip(&case.golds)
            .map(|(prediction, golds)| {
                score_question(SquadVersion::V2_0, prediction, &as_strs(golds))
            })
            .collect();
        assert_totals(&case.name, &span_scores(&scores), &case.without_odds);
        assert_official(&case.name, &scores, &case.null_odds, case.threshold, &case.with_odds);
    }
}

#[derive(Deserialize)]
struct UnicodeBlock {
    ranges: Vec<(u32, u32)>,
    fnv: String,
}

#[derive(Deserialize)]
struct UnicodeGolden {
    blocks: Vec<UnicodeBlock>,
}

/// FNV-1a, 64 bits.
fn fnv(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn every_character_is_normalised_as_in_python() {
    let UnicodeGolden { blocks } = golden("metrics_unicode.json");
    let mut characters = 0;
    for block in blocks {
        let forms: Vec<String> = block
            .ranges
            .iter()
            .flat_map(|&(first, last)| first..=last)
            .map(|code| char::from_u32(code).expect("no surrogates"))
            .map(|c| normalize_answer(&format!("x The{c}A x {c} ΑΣ{c}Σ")))
            .collect();
        characters += forms.len();
        assert_eq!(fnv(&forms.join("\n")), block.fnv, "characters {:x?}", block.ranges);
    }
    assert_eq!(characters, 144_760);
}
