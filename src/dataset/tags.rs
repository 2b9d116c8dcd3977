//! What the readers of tagged sentences have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Labels, Target};
use crate::error::{Error, Result};
use crate::task::{ReadTags, Task};

/// Reads the tags of a file's sentences, entities as IOB2.
pub(super) struct Tags {
    /// `None` for tags that stand for themselves, such as parts of speech.
    entities: Option<ReadTags>,
}

impl Tags {
    /// For the files of a task.
    pub(super) fn new(task: &Task) -> Self {
        Self { entities: task.tags_are_entities().then(|| ReadTags::new(task.scheme)) }
    }

    /// What the tags say of the scheme of the file.
    pub(super) fn entities(&self) -> Option<&ReadTags> {
        self.entities.as_ref()
    }

    /// Rewrites a sentence's tags. `line` gives the line of a word.
    ///
    /// # Errors
    ///
    /// A tag is of no scheme, or of another than those before it.
    pub(super) fn read(
        &mut self,
        tags: &mut [String],
        path: &Path,
        line: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let Some(entities) = &mut self.entities else { return Ok(()) };
        let letters = ["B-", "I-", "E-", "S-", "L-", "U-"];
        let prefixed = tags.iter().any(|tag| letters.iter().any(|letter| tag.starts_with(letter)));
        entities.read(tags).map_err(|bad| {
            let error = Error::new(bad.what).at_line(path, line(bad.word));
            if prefixed {
                return error;
            }
            error.hint(
                "for tags that are no entities, such as parts of speech, give the task the metric \
                 `accuracy` alone",
            )
        })
    }

    /// The target of a sentence with these tags.
    ///
    /// # Errors
    ///
    /// A tag is not one of the labels.
    pub(super) fn target(
        tags: &[String],
        labels: &Labels,
        path: &Path,
        line: impl Fn(usize) -> usize,
    ) -> Result<Target> {
        let index = |(word, tag): (usize, &String)| {
            labels.parse(tag).map_err(|error| error.at_line(path, line(word)))
        };
        tags.iter().enumerate().map(index).collect::<Result<_>>().map(Target::Tags)
    }

    /// Adds to the tags that a file has, with their counts, `O` and both tags of every type.
    pub(super) fn complete(&self, counts: &mut BTreeMap<String, usize>) {
        if self.entities.is_none() {
            return;
        }
        let types: BTreeSet<_> =
            counts.keys().filter_map(|tag| tag.get(2..)).map(str::to_owned).collect();
        for entity_type in types {
            counts.entry(format!("B-{entity_type}")).or_insert(0);
            counts.entry(format!("I-{entity_type}")).or_insert(0);
        }
        counts.entry("O".into()).or_insert(0);
    }

    /// What was read otherwise than it stands in the file, in sentences.
    pub(super) fn changed(&self) -> Vec<String> {
        self.entities.iter().filter_map(ReadTags::changed).collect()
    }
}
