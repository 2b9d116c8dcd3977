use super::*;
/// A question's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanPrediction {
    /// The answer; empty for none.
    pub text: String,
    /// The best spans, most probable first.
    pub n_best: Vec<Candidate>,
    /// Null score less the best span's score (SQuAD 2.0).
    pub null_odds: Option<f64>,
}
/// One of the best spans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidate {
    /// Cut from the passage; empty for no answer.
    pub text: String,
    /// Where it stands in the passage, in Unicode characters; `None` for no answer.
    pub start: Option<usize>,
    /// Among the question's candidates.
    pub probability: f32,
    /// Logit of the start.
    pub start_logit: f32,
    /// Logit of the end.
    pub end_logit: f32,
}
pub(super) fn predictions(
    _: &Dataset,
    _: &Features,
    _: &FeatureLogits,
    _: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    unimplemented!()
}
