//! Tags in CoNLL's columns, as the script `conlleval` reads them.

use std::fmt::Write;

use super::tag_names;
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::prediction::Prediction;

/// For each word a line: word, gold tag (where the file tells it, in IOB2), predicted tag, with a
/// space between them; after each sentence a blank line.
///
/// # Errors
///
/// A prediction is not a list of these labels.
pub(super) fn text(
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<String> {
    let mut text = String::new();
    for (example, prediction) in dataset.examples.iter().zip(predictions) {
        let (Some(words), Prediction::Tags { tags, .. }) = (example.input.words(), prediction)
        else {
            return Err(super::misfit(dataset, example));
        };
        let tags = tag_names(dataset, example, labels, tags)?;
        let gold = match &example.target {
            Some(Target::Tags(gold)) => Some(tag_names(dataset, example, labels, gold)?),
            _ => None,
        };
        if words.len() != tags.len() {
            return Err(super::misfit(dataset, example));
        }
        for (i, (word, tag)) in words.iter().zip(&tags).enumerate() {
            let line = match gold.as_ref().and_then(|gold| gold.get(i)) {
                Some(gold) => writeln!(text, "{word} {gold} {tag}"),
                None => writeln!(text, "{word} {tag}"),
            };
            line.expect("writing to a text does not fail");
        }
        text.push('\n');
    }
    Ok(text)
}
