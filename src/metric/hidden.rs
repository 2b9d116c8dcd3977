//! Metrics of hidden words.

/// What a model said of every hidden token of a data set; the lists are parallel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HiddenTokens {
    /// The log probability of what stood there.
    pub log_probabilities: Vec<f64>,
    /// Whether nothing else was likelier.
    pub right: Vec<bool>,
}

/// The exponential of the mean negative log probability (Devlin et al., 2018, table 6); `None` without
/// tokens.
pub fn perplexity(tokens: &HiddenTokens) -> Option<f64> {
    let count = tokens.log_probabilities.len();
    let sum: f64 = tokens.log_probabilities.iter().sum();
    (count > 0).then(|| (-sum / count as f64).exp())
}

/// The share of tokens that were the likeliest; `None` without tokens.
pub fn hidden_accuracy(tokens: &HiddenTokens) -> Option<f64> {
    let right = tokens.right.iter().filter(|&&right| right).count();
    (!tokens.right.is_empty()).then(|| right as f64 / tokens.right.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_is_the_number_of_entries_that_a_guess_among_equals_has() {
        let log_probabilities = vec![-(8f64.ln()); 3];
        let tokens = HiddenTokens { log_probabilities, right: vec![true, false, false] };
        assert!((perplexity(&tokens).unwrap() - 8.0).abs() < 1e-12);
        assert!((hidden_accuracy(&tokens).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        // exp((1 + 3) / 2).
        let two = HiddenTokens { log_probabilities: vec![-1.0, -3.0], right: vec![] };
        assert!((perplexity(&two).unwrap() - 2f64.exp()).abs() < 1e-12);
        assert_eq!(perplexity(&HiddenTokens::default()), None);
    }
}
