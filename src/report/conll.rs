//! Tags in CoNLL's columns, as the script `conlleval` reads them.

use std::fmt::Write;

use super::tag_names;
use crate::dataset::{Dataset, Example, Labels, Target};
use crate::error::Result;
use crate::prediction::Prediction;
use crate::task::Scheme;

/// For each word a line: word, gold tag (where the file tells it), predicted tag, with a space between
/// them, or a tab where a word has a space; after each sentence a blank line. The tags are written in
/// `scheme`.
///
/// # Errors
///
/// A prediction is not a list of these labels.
pub(super) fn text(
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    scheme: Scheme,
) -> Result<String> {
    let has_space = |example: &Example| {
        example.input.words().is_some_and(|words| words.iter().any(|word| word.contains(' ')))
    };
    let gap = if dataset.examples.iter().any(has_space) { '\t' } else { ' ' };
    let mut text = String::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let (Some(words), Prediction::Tags { tags, .. }) = (example.input.words(), prediction)
        else {
            return Err(super::misfit(dataset, example));
        };
        let tags = scheme.write(&tag_names(dataset, example, labels, tags)?);
        let gold = match &example.target {
            Some(Target::Tags(gold)) => {
                Some(scheme.write(&tag_names(dataset, example, labels, gold)?))
            }
            _ => None,
        };
        if words.len() != tags.len() {
            return Err(super::misfit(dataset, example));
        }
        for (i, (word, tag)) in words.iter().zip(&tags).enumerate() {
            let line = match gold.as_ref().and_then(|gold| gold.get(i)) {
                Some(gold) => writeln!(text, "{word}{gap}{gold}{gap}{tag}"),
                None => writeln!(text, "{word}{gap}{tag}"),
            };
            line.expect("writing to a text does not fail");
        }
        text.push('\n');
    }
    Ok(text)
}
