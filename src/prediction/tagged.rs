//! Sentences with tags, for tests.

use super::Prediction;
use crate::dataset::{Dataset, Example, Input, Labels, Target};

const NAMES: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

/// Sentences whose tags are `gold`, each string a sentence, and predictions of `predicted`, of which each
/// word's has `probability`.
pub fn tagged(
    gold: &[&str],
    predicted: &[&str],
    probability: f32,
) -> (Labels, Dataset, Vec<Prediction>) {
    let indices = |tags: &str| -> Vec<usize> {
        let index = |tag| NAMES.iter().position(|name| *name == tag).unwrap();
        tags.split(' ').map(index).collect()
    };
    let example = |(i, tags): (usize, &&str)| Example {
        id: i.to_string(),
        line: 10 * i + 1,
        input: Input::Words(tags.split(' ').map(str::to_owned).collect()),
        target: Some(Target::Tags(indices(tags))),
    };
    let examples = gold.iter().enumerate().map(example).collect();
    let dataset = Dataset { path: "dev.txt".into(), examples, split: "dev".into() };
    let prediction = |tags: &&str| {
        let tags = indices(tags);
        Prediction::Tags { probabilities: vec![probability; tags.len()], tags }
    };
    let predictions = predicted.iter().map(prediction).collect();
    (Labels::new(NAMES.map(str::to_owned).into()), dataset, predictions)
}
