//! Which examples of a training file are its development part (see
//! [`DevFromTrain`](crate::task::DevFromTrain)).
//!
//! Examples with the same text (of questions: with the same passage) form a group, which is never
//! divided. Each group has the hash of its text and the seed. Of each label the groups with the
//! smallest hashes become the development part, until it has its share of the label's examples; the
//! part that the last whole group left over or took too much is made up for by the next label. So a
//! file has the same parts wherever it is read, and rows that are added later move few of the others.

use std::collections::HashMap;
use std::path::Path;

use super::{Example, Input, Labels, Target, reader};
use crate::error::{Error, Result};
use crate::files::{Digest, Sha256};
use crate::task::{DevFromTrain, Split, Task};

/// The development part of a file, by the number of each example counted from 0.
#[derive(Debug)]
pub(super) struct DevRows(Vec<bool>);

impl DevRows {
    /// Reads a training file and draws its development part. Memory: about 40 bytes an example.
    ///
    /// # Errors
    ///
    /// Those of reading, or the file has too few texts to divide.
    pub(super) fn draw(
        task: &Task,
        split: &Split,
        path: &Path,
        labels: &Labels,
        rule: DevFromTrain,
    ) -> Result<Self> {
        let ranks = ranks(labels);
        let mut groups = Groups::default();
        let mut reader = reader::open(task, split, path, labels)?;
        while let Some(example) = reader.next_example()? {
            groups.add(key(&example, rule.seed), stratum(&example, &ranks));
        }
        let rows = groups.dev_rows(rule.share);
        let dev = rows.0.iter().filter(|&&is_dev| is_dev).count();
        if rows.0.is_empty() || 0 < dev && dev < rows.0.len() {
            return Ok(rows);
        }
        let unit = if task.head.asks_about_passage() { "passages" } else { "texts" };
        Err(Error::new(format!(
            "its {} examples have {} different {unit}, too few for a development part of {}",
            rows.0.len(),
            groups.list.len(),
            rule.share
        ))
        .at(path)
        .hint("name a development file of its own under `dev` in the task file"))
    }

    /// Whether the example of this number, counted from 0, is of the development part.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.get(number).copied().unwrap_or(false)
    }
}

/// Examples with one text.
#[derive(Debug)]
struct Group {
    key: u64,
    stratum: usize,
    examples: usize,
}

#[derive(Debug, Default)]
struct Groups {
    list: Vec<Group>,
    by_key: HashMap<u64, u32>,
    /// The group of each example.
    of_example: Vec<u32>,
}

impl Groups {
    fn add(&mut self, key: u64, stratum: usize) {
        let next = self.list.len() as u32;
        let group = *self.by_key.entry(key).or_insert(next);
        if group == next {
            self.list.push(Group { key, stratum, examples: 0 });
        }
        self.list[group as usize].examples += 1;
        self.of_example.push(group);
    }

    fn dev_rows(&self, share: f64) -> DevRows {
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_unstable_by_key(|&group| (self.list[group].stratum, self.list[group].key));
        let mut is_dev = vec![false; self.list.len()];
        let (mut seen, mut taken) = (0, 0);
        for stratum in order.chunk_by(|&a, &b| self.list[a].stratum == self.list[b].stratum) {
            let examples: usize = stratum.iter().map(|&group| self.list[group].examples).sum();
            seen += examples;
            // What is missing so far, but of no label more than its own share, rounded up.
            let missing = (share * seen as f64).round() as usize;
            let wanted =
                missing.saturating_sub(taken).min((share * examples as f64).ceil() as usize);
            let mut found = 0;
            // One group of each label stays in training.
            for &group in &stratum[..stratum.len() - 1] {
                let size = self.list[group].examples;
                // A group is taken if more than half of it is still wanted.
                if found < wanted && 2 * (wanted - found) >= size {
                    is_dev[group] = true;
                    found += size;
                }
            }
            taken += found;
        }
        DevRows(self.of_example.iter().map(|&group| is_dev[group as usize]).collect())
    }
}

/// What examples are drawn evenly from: the label, where there is one for an example.
fn stratum(example: &Example, ranks: &[usize]) -> usize {
    match &example.target {
        Some(Target::Class(class)) => ranks.get(*class).copied().unwrap_or(0),
        _ => 0,
    }
}

/// The place of each label among the labels in order of their names: a model whose labels are in
/// another order divides the file alike. Endings have no names.
fn ranks(labels: &Labels) -> Vec<usize> {
    let mut sorted: Vec<&String> = labels.names().iter().collect();
    sorted.sort_unstable();
    labels.names().iter().map(|name| sorted.partition_point(|other| *other < name)).collect()
}

/// The hash of an example's text and the seed. Case and white space do not count: most models read
/// such texts alike.
fn key(example: &Example, seed: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    let mut add = |text: &str| {
        for word in text.split_whitespace() {
            hash.update(word.to_lowercase());
            hash.update(b" ");
        }
        hash.update(b"\0");
    };
    match &example.input {
        Input::Text { text, text_pair } => {
            add(text);
            text_pair.iter().for_each(|pair| add(pair));
        }
        Input::Question { context, .. } => add(context),
        Input::SplitText { text, .. } => add(text),
        Input::Words(words) => words.iter().for_each(|word| add(word)),
        Input::Choices { context, start, .. } => {
            add(context);
            add(start);
        }
    }
    let digest = hash.finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The development part of examples with these keys and labels.
    fn drawn(examples: &[(u64, usize)], share: f64) -> Vec<bool> {
        let mut groups = Groups::default();
        examples.iter().for_each(|&(key, label)| groups.add(key, label));
        groups.dev_rows(share).0
    }

    fn text(text: &str) -> Example {
        let input = Input::Text { text: text.into(), text_pair: None };
        Example { id: String::new(), line: 1, input, target: None }
    }

    #[test]
    fn texts_are_one_group_whatever_their_case_and_spaces_and_seeds_order_them_anew() {
        assert_eq!(key(&text("Refund, please"), 1), key(&text(" refund,  PLEASE\n"), 1));
        assert_ne!(key(&text("refund please"), 1), key(&text("refundplease"), 1));
        assert_ne!(key(&text("a"), 1), key(&text("a"), 2));
        let context: std::sync::Arc<str> = "the moon".into();
        let question = |question: &str| Example {
            input: Input::Question { question: question.into(), context: context.clone() },
            ..text("")
        };
        assert_eq!(key(&question("who?"), 1), key(&question("what?"), 1));
    }

    #[test]
    fn the_hash_of_a_text_is_the_same_in_every_version() {
        // python3 -c "import hashlib, struct; print(struct.unpack('<Q', hashlib.sha256(
        //     struct.pack('<Q', 1) + b'i was charged twice \0').digest()[:8])[0])"
        assert_eq!(key(&text("I was charged twice"), 1), 4094454104898613941);
    }

    #[test]
    fn labels_of_one_example_stay_in_training_and_their_share_comes_from_the_others() {
        // 10 labels of one example, one of 30: a fifth of the 30.
        let rare = (0..10).map(|label| (label as u64, label));
        let frequent = (100..130).map(|key| (key, 10));
        let dev = drawn(&rare.chain(frequent).collect::<Vec<_>>(), 0.2);
        assert_eq!(dev[..10], [false; 10]);
        assert_eq!(dev[10..].iter().filter(|&&is_dev| is_dev).count(), 6);
    }

    #[test]
    fn many_labels_of_two_examples_still_give_a_development_part() {
        let examples: Vec<_> = (0..400).map(|i| (i * 7919 % 1000, i as usize / 2)).collect();
        let dev = drawn(&examples, 0.2);
        assert_eq!(dev.iter().filter(|&&is_dev| is_dev).count(), 80);
    }

    proptest! {
        #[test]
        fn every_label_has_its_share_and_no_text_is_on_both_sides(
            examples in prop::collection::vec((0u64..300, 0usize..4), 50..400),
            share in 0.1f64..0.5,
        ) {
            let dev = drawn(&examples, share);
            prop_assert_eq!(dev.len(), examples.len());
            let mut side = HashMap::new();
            for ((key, _), is_dev) in examples.iter().zip(&dev) {
                prop_assert_eq!(*side.entry(*key).or_insert(*is_dev), *is_dev);
            }
            prop_assert!(dev.iter().any(|&is_dev| !is_dev));
            let largest = examples.iter().map(|(key, _)| examples.iter().filter(|(k, _)| k == key).count());
            let slack = 2 + largest.max().unwrap_or(0);
            let found = dev.iter().filter(|&&is_dev| is_dev).count();
            let expected = (share * examples.len() as f64).round() as usize;
            prop_assert!(found.abs_diff(expected) <= 4 * slack, "{found} of {}", examples.len());
            prop_assert_eq!(&dev, &drawn(&examples, share));
        }
    }
}
