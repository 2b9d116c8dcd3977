//! Goldens of metrics, and comparisons with them.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tfbert::metric::{
    QuestionScore, SpanMeans, SpanScores, apply_null_threshold, attainable_thresholds,
    official_thresholds, span_scores,
};

/// Reads a golden and refuses one without cases, which would prove nothing.
pub fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Equal within 1e-12 of the value (1e-15 for values at 0), and undefined where the reference is.
#[track_caller]
pub fn assert_close(what: &str, actual: Option<f64>, expected: Option<f64>) {
    match (actual, expected) {
        (None, None) => {}
        (Some(a), Some(e)) if (a - e).abs() <= 1e-15_f64.max(1e-12 * a.abs().max(e.abs())) => {}
        _ => panic!("{what}: {actual:?}, the reference has {expected:?}"),
    }
}

/// What `squad_scorer.py` prints for 2.0, in per cent.
#[derive(Deserialize)]
pub struct OfficialV2 {
    pub exact: f64,
    pub f1: f64,
    pub total: usize,
    #[serde(rename = "HasAns_exact")]
    pub has_answer_exact: Option<f64>,
    #[serde(rename = "HasAns_f1")]
    pub has_answer_f1: Option<f64>,
    #[serde(rename = "HasAns_total", default)]
    pub has_answer_total: usize,
    #[serde(rename = "NoAns_exact")]
    pub no_answer_exact: Option<f64>,
    #[serde(rename = "NoAns_f1")]
    pub no_answer_f1: Option<f64>,
    #[serde(rename = "NoAns_total", default)]
    pub no_answer_total: usize,
    pub best_exact: Option<f64>,
    pub best_exact_thresh: Option<f64>,
    pub best_f1: Option<f64>,
    pub best_f1_thresh: Option<f64>,
}

pub fn assert_totals(what: &str, actual: &SpanScores, expected: &OfficialV2) {
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
pub fn assert_official(
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
