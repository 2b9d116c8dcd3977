//! The metrics against independent references: scikit-learn, SciPy, seqeval and a scorer in Python.
//!
//! `tests/golden/make_metric_goldens.py` made the goldens.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tfbert::metric::{
    self, Counts, QuestionScore, SpanMeans, SpanScores, SquadVersion, apply_null_threshold,
    attainable_thresholds, entity_scores, normalize_answer, official_thresholds, score_question,
    span_scores,
};

/// Reads a golden and refuses one without cases, which would prove nothing.
fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Equal within 1e-12 of the value (1e-15 for values at 0), and undefined where the reference is.
#[track_caller]
fn assert_close(what: &str, actual: Option<f64>, expected: Option<f64>) {
    match (actual, expected) {
        (None, None) => {}
        (Some(a), Some(e)) if (a - e).abs() <= 1e-15_f64.max(1e-12 * a.abs().max(e.abs())) => {}
        _ => panic!("{what}: {actual:?}, the reference has {expected:?}"),
    }
}

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
struct SpanCase {
    prediction: String,
    golds: Vec<String>,
    normalized: Vec<String>,
    #[serde(rename = "1.1")]
    v1: Option<(f64, f64)>,
    #[serde(rename = "2.0")]
    v2: (f64, f64),
}

/// What `squad_scorer.py` prints for 2.0, in per cent.
#[derive(Deserialize)]
struct OfficialV2 {
    exact: f64,
    f1: f64,
    total: usize,
    #[serde(rename = "HasAns_exact")]
    has_answer_exact: Option<f64>,
    #[serde(rename = "HasAns_f1")]
    has_answer_f1: Option<f64>,
    #[serde(rename = "HasAns_total", default)]
    has_answer_total: usize,
    #[serde(rename = "NoAns_exact")]
    no_answer_exact: Option<f64>,
    #[serde(rename = "NoAns_f1")]
    no_answer_f1: Option<f64>,
    #[serde(rename = "NoAns_total", default)]
    no_answer_total: usize,
    best_exact: Option<f64>,
    best_exact_thresh: Option<f64>,
    best_f1: Option<f64>,
    best_f1_thresh: Option<f64>,
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

fn assert_totals(what: &str, actual: &SpanScores, expected: &OfficialV2) {
    let check = |part: &str, means: SpanMeans, exact: Option<f64>, f1: Option<f64>, total| {
        let what = format!("{part} of {what}");
        assert_eq!(means.total, total, "{what}");
        assert_close(&what, means.exact_match.map(|v| 100.0 * v), exact);
        assert_close(&what, means.f1.map(|v| 100.0 * v), f1);
    };
    check("all", actual.all, Some(expected.exact), Some(expected.f1), expected.total);
    let (exact, f1) = (expected.has_answer_exact, expected.has_answer_f1);
    check("HasAns", actual.has_answer, exact, f1, expected.has_answer_total);
    let (exact, f1) = (expected.no_answer_exact, expected.no_answer_f1);
    check("NoAns", actual.no_answer, exact, f1, expected.no_answer_total);
}

/// All that the official script of 2.0 prints when it is given null odds.
fn assert_official(
    what: &str,
    scores: &[QuestionScore],
    null_odds: &[f64],
    threshold: f64,
    expected: &OfficialV2,
) {
    let kept = apply_null_threshold(scores, null_odds, threshold);
    assert_totals(what, &span_scores(&kept), expected);
    let best = official_thresholds(scores, null_odds).unwrap();
    assert_close(what, Some(100.0 * best.exact_match.value), expected.best_exact);
    assert_close(what, Some(100.0 * best.f1.value), expected.best_f1);
    assert_eq!(Some(best.exact_match.threshold), expected.best_exact_thresh, "{what}");
    assert_eq!(Some(best.f1.threshold), expected.best_f1_thresh, "{what}");

    let best = attainable_thresholds(scores, null_odds).unwrap();
    for (name, found, mean) in [
        ("exact_match", best.exact_match, (|s: SpanScores| s.all.exact_match) as fn(_) -> _),
        ("f1", best.f1, |s: SpanScores| s.all.f1),
    ] {
        let kept = apply_null_threshold(scores, null_odds, found.threshold);
        let attained = mean(span_scores(&kept));
        assert_close(&format!("attained {name} of {what}"), attained, Some(found.value));
    }
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

#[derive(Deserialize)]
struct DevCase<T> {
    file: String,
    questions: usize,
    #[serde(default)]
    threshold: f64,
    result: T,
}

#[derive(Deserialize)]
struct OfficialV1 {
    exact_match: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct DevGolden {
    cases: (DevCase<OfficialV1>, DevCase<OfficialV2>),
}

/// Scores the predictions that `rule_prediction` in `span_goldens.py` makes, and gives `rule_odds`.
fn score_rule(path: &Path, version: SquadVersion) -> (Vec<QuestionScore>, Vec<f64>) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let dataset: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().unwrap().clone();
    let (mut scores, mut null_odds) = (Vec::new(), Vec::new());
    for paragraph in list(&dataset, "data").iter().flat_map(|article| list(article, "paragraphs")) {
        let words: Vec<&str> = paragraph["context"].as_str().unwrap().split(' ').collect();
        for question in list(&paragraph, "qas") {
            let answers = list(&question, "answers");
            let golds: Vec<&str> = answers.iter().map(|a| a["text"].as_str().unwrap()).collect();
            let first = golds.first().copied().unwrap_or("");
            let i = scores.len();
            let rest = &words[i % words.len()..];
            let passage = rest[..rest.len().min(i % 7)].join(" ");
            let prediction = match i % 6 {
                0 => first.to_owned(),
                1 => passage,
                2 => String::new(),
                3 => format!("The {first}!"),
                4 => format!("{passage} {first}"),
                _ => first.to_uppercase(),
            };
            scores.push(score_question(version, &prediction, &golds));
            let spread = (i as i64 * 7919 % 1000 - 500) as f64 / 100.0;
            null_odds.push(spread + if golds.is_empty() { 6.0 } else { 0.0 });
        }
    }
    (scores, null_odds)
}

#[test]
fn squads_development_sets_score_as_the_python_scorer_has_it() {
    let Some(folder) = std::env::var_os("TFBERT_DATA") else {
        eprintln!("skipped: TFBERT_DATA, the folder of the real data sets, is not set");
        return;
    };
    let folder = PathBuf::from(folder).join("squad");
    let DevGolden { cases: (v1, v2) } = golden("metrics_squad_dev.json");

    let (scores, _) = score_rule(&folder.join(&v1.file), SquadVersion::V1_1);
    assert_eq!(scores.len(), v1.questions);
    let all = span_scores(&scores).all;
    assert_close("exact match of 1.1", all.exact_match, Some(v1.result.exact_match / 100.0));
    assert_close("F1 of 1.1", all.f1, Some(v1.result.f1 / 100.0));

    let (scores, null_odds) = score_rule(&folder.join(&v2.file), SquadVersion::V2_0);
    assert_eq!(scores.len(), v2.questions);
    assert_official("dev-v2.0.json", &scores, &null_odds, v2.threshold, &v2.result);
}
