//! Schemes in which the words of entities are tagged, and IOB2, in which all of them are read.

use serde::{Deserialize, Serialize};

use crate::metric;

/// How the tags of a word say where entities begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `B-` only at the first word of an entity that follows another of its type, else `I-`.
    Iob1,
    /// `B-` at the first word of every entity, `I-` at the others.
    Iob2,
    /// As IOB2, but `E-` at the last word, and `S-` at an entity's only word.
    #[serde(alias = "iobes")]
    Bioes,
    /// As IOB2, but `L-` at the last word, and `U-` at an entity's only word.
    #[serde(alias = "bioul")]
    Bilou,
}

/// The part of a tag before its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Outside,
    Begin,
    Inside,
    /// `E-` or `L-`.
    Last,
    /// `S-` or `U-`.
    Only,
}

impl Scheme {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iob1 => "IOB1",
            Self::Iob2 => "IOB2",
            Self::Bioes => "BIOES",
            Self::Bilou => "BILOU",
        }
    }

    /// The tags of a sentence in this scheme, from tags that [`ReadTags::read`] could have given. IOB2
    /// returns the tags unchanged. The other schemes write an entity whose first tag is `I-` like one
    /// whose first tag is `B-`.
    pub fn write(self, tags: &[&str]) -> Vec<String> {
        let mut written: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        if self == Self::Iob2 {
            return written;
        }
        let mut before: Option<metric::Entity<'_>> = None;
        for entity in metric::entities(tags) {
            let follows = before.is_some_and(|before| {
                before.end == entity.start && before.entity_type == entity.entity_type
            });
            let last = entity.end - 1;
            for (word, tag) in written.iter_mut().enumerate().take(entity.end).skip(entity.start) {
                let prefix = match (self, word == entity.start, word == last) {
                    (Self::Iob1, true, _) if !follows => "I",
                    (Self::Bioes, true, true) => "S",
                    (Self::Bilou, true, true) => "U",
                    (_, true, _) => "B",
                    (Self::Bioes, false, true) => "E",
                    (Self::Bilou, false, true) => "L",
                    _ => "I",
                };
                *tag = format!("{prefix}-{}", entity.entity_type);
            }
            before = Some(entity);
        }
        written
    }

    /// Whether one of its tags has this first letter.
    fn has(self, letter: &str) -> bool {
        match self {
            Self::Iob1 | Self::Iob2 => matches!(letter, "B" | "I"),
            Self::Bioes => matches!(letter, "B" | "I" | "E" | "S"),
            Self::Bilou => matches!(letter, "B" | "I" | "L" | "U"),
        }
    }
}

/// Reads tags of any scheme as IOB2, and sees which scheme a file has.
///
/// An entity begins at `B-`, `S-` and `U-`, and at another tag that follows `O`, an entity's end or
/// another type; so do `conlleval` and seqeval count. The entities stay the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadTags {
    /// The scheme that the task names.
    named: Option<Scheme>,
    /// Entities that begin with `I-`, `E-` or `L-`.
    begun_inside: usize,
    /// Entities that begin with `B-` where IOB1 has `I-`.
    begun: usize,
    /// Whether a tag has `E-` or `S-`.
    bioes: bool,
    /// Whether a tag has `L-` or `U-`.
    bilou: bool,
}

/// A tag that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTag {
    /// The word, counted from 0.
    pub word: usize,
    /// What is wrong.
    pub what: String,
}

impl ReadTags {
    /// A reader of a task's tags. A tag that is not of the scheme that the task names is refused.
    pub fn new(named: Option<Scheme>) -> Self {
        Self { named, ..Self::default() }
    }

    /// Rewrites the tags of a sentence as IOB2.
    ///
    /// # Errors
    ///
    /// A tag is of no scheme, of another than the task's, or of BIOES where others are of BILOU.
    pub fn read(&mut self, tags: &mut [String]) -> Result<(), BadTag> {
        let mut previous = (Prefix::Outside, String::new());
        for (word, tag) in tags.iter_mut().enumerate() {
            let (prefix, entity_type) = self.parse(tag).map_err(|what| BadTag { word, what })?;
            let entity_type = entity_type.to_owned();
            let same_type = previous.0 != Prefix::Outside && previous.1 == entity_type;
            let open = matches!(previous.0, Prefix::Begin | Prefix::Inside);
            let begins = match prefix {
                Prefix::Outside => false,
                Prefix::Begin | Prefix::Only => true,
                Prefix::Inside | Prefix::Last => !(open && same_type),
            };
            if begins {
                self.begun_inside += usize::from(matches!(prefix, Prefix::Inside | Prefix::Last));
                self.begun += usize::from(prefix == Prefix::Begin && !same_type);
            }
            if prefix != Prefix::Outside {
                *tag = format!("{}-{entity_type}", if begins { "B" } else { "I" });
            }
            previous = (prefix, entity_type);
        }
        Ok(())
    }

    /// The prefix and the type of a tag.
    fn parse<'t>(&mut self, tag: &'t str) -> Result<(Prefix, &'t str), String> {
        if tag == "O" {
            return Ok((Prefix::Outside, ""));
        }
        let shown = crate::text::excerpt(tag);
        let (letter, entity_type) = tag.split_once('-').unwrap_or_default();
        let prefix = match letter {
            "B" => Prefix::Begin,
            "I" => Prefix::Inside,
            "E" | "L" => Prefix::Last,
            "S" | "U" => Prefix::Only,
            _ => Prefix::Outside,
        };
        if prefix == Prefix::Outside || entity_type.is_empty() {
            return Err(format!(
                "the tag is `{shown}`; expected `O`, `B-TYPE` or `I-TYPE` (IOB1, IOB2), or those of BIOES \
                 or BILOU"
            ));
        }
        if let Some(named) = self.named.filter(|named| !named.has(letter)) {
            return Err(format!("the tag is `{shown}`, and `scheme` is {}", named.name()));
        }
        self.bioes |= matches!(letter, "E" | "S");
        self.bilou |= matches!(letter, "L" | "U");
        if self.bioes && self.bilou {
            return Err(format!(
                "the tag is `{shown}`; expected tags of BIOES or of BILOU, not of both in one file"
            ));
        }
        Ok((prefix, entity_type))
    }

    /// The scheme: the task's, or that of the tags that were read; `None` where these have no entity.
    pub fn scheme(&self) -> Option<Scheme> {
        self.named.or(match self {
            Self { bioes: true, .. } => Some(Scheme::Bioes),
            Self { bilou: true, .. } => Some(Scheme::Bilou),
            Self { begun: 1.., .. } => Some(Scheme::Iob2),
            Self { begun_inside: 1.., .. } => Some(Scheme::Iob1),
            _ => None,
        })
    }

    /// What was read otherwise than it stands in the file, in a sentence.
    pub fn changed(&self) -> Option<String> {
        match self.scheme()? {
            Scheme::Iob2 if self.begun_inside == 0 => None,
            Scheme::Iob2 => {
                let entities = self.begun_inside;
                Some(format!(
                    "entities that begin without `B-`: {entities}; read as if they had it"
                ))
            }
            other => Some(format!(
                "the tags are {}; they are read as IOB2, and predictions are written in {0}",
                other.name()
            )),
        }
    }
}

/// Labels in IOB2 for labels of any scheme: `O`, and `B-` and `I-` of every type in the order in which
/// the types come. Labels that are such a list in another order stay as they are, and so do labels of
/// which one is no tag of an entity.
pub fn iob2_labels(names: &[String]) -> Vec<String> {
    let tags: Option<Vec<(&str, &str)>> = names
        .iter()
        .filter(|name| *name != "O")
        .map(|name| name.split_once('-').filter(|(letter, _)| "BIELSU".contains(letter)))
        .collect();
    let Some(tags) = tags else { return names.to_vec() };
    let mut labels = vec!["O".to_owned()];
    for (_, entity_type) in tags {
        for label in [format!("B-{entity_type}"), format!("I-{entity_type}")] {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
    }
    let same = labels.len() == names.len() && labels.iter().all(|label| names.contains(label));
    if same { names.to_vec() } else { labels }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(tags: &str) -> Vec<String> {
        tags.split_whitespace().map(str::to_owned).collect()
    }

    fn read(tags: &str) -> (String, ReadTags) {
        let (mut tags, mut reader) = (words(tags), ReadTags::default());
        reader.read(&mut tags).unwrap();
        (tags.join(" "), reader)
    }

    const SCHEMES: [(Scheme, &str); 4] = [
        (Scheme::Iob1, "I-A I-A B-A I-B O I-B"),
        (Scheme::Iob2, "B-A I-A B-A B-B O B-B"),
        (Scheme::Bioes, "B-A E-A S-A S-B O S-B"),
        (Scheme::Bilou, "B-A L-A U-A U-B O U-B"),
    ];

    #[test]
    fn each_scheme_is_recognised_read_as_iob2_and_written_again() {
        for (scheme, tags) in SCHEMES {
            let (iob2, reader) = read(tags);
            assert_eq!(iob2, SCHEMES[1].1, "{scheme:?}");
            assert_eq!(reader.scheme(), Some(scheme));
            assert_eq!(reader.changed().is_some(), scheme != Scheme::Iob2);
            let iob2: Vec<&str> = iob2.split(' ').collect();
            assert_eq!(scheme.write(&iob2), words(tags));
        }
        assert_eq!(read("O O").1.scheme(), None);
    }

    #[test]
    fn entities_without_b_in_iob2_are_counted() {
        let (iob2, reader) = read("B-A I-B O I-A I-A");
        assert_eq!(iob2, "B-A B-B O B-A I-A");
        assert_eq!(reader.scheme(), Some(Scheme::Iob2));
        let said = reader.changed().unwrap();
        assert!(said.contains("without `B-`: 2"), "{said}");
    }

    #[test]
    fn a_tag_of_no_scheme_or_of_another_is_refused_with_its_word() {
        let refused = |named: Option<Scheme>, tags: &str| {
            ReadTags::new(named).read(&mut words(tags)).unwrap_err()
        };
        for tag in ["PER", "B-", "b-PER", "o", "-", "BPER", "X-PER", "M-PER"] {
            let BadTag { word, what } = refused(None, &format!("O {tag}"));
            assert_eq!(word, 1);
            assert!(what.contains("expected `O`, `B-TYPE` or `I-TYPE`"), "{what}");
        }
        let BadTag { what, .. } = refused(Some(Scheme::Iob2), "B-A E-A");
        assert_eq!(what, "the tag is `E-A`, and `scheme` is IOB2");
        let BadTag { word, what } = refused(None, "S-A O U-A");
        assert!(word == 2 && what.contains("not of both in one file"), "{what}");
    }

    #[test]
    fn labels_of_any_scheme_become_both_tags_of_every_type() {
        let labels = |names: &str| iob2_labels(&words(names)).join(" ");
        assert_eq!(labels("O S-X B-X I-X E-X U-Y"), "O B-X I-X B-Y I-Y");
        assert_eq!(labels("B-X I-X O"), "B-X I-X O", "in the order that the task gives");
        assert_eq!(labels("I-X O"), "O B-X I-X");
        assert_eq!(labels("NOUN VERB O"), "NOUN VERB O");
    }

    proptest! {
        #[test]
        fn whatever_is_read_keeps_its_entities_in_every_scheme(
            tags in prop::collection::vec(
                prop::sample::select(vec!["O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-B"]), 0..15)
        ) {
            let expected = format!("{:?}", metric::entities(&tags));
            let mut iob2: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
            ReadTags::default().read(&mut iob2).unwrap();
            prop_assert_eq!(format!("{:?}", metric::entities(&iob2)), &expected[..]);
            let iob2: Vec<&str> = iob2.iter().map(String::as_str).collect();
            for (scheme, _) in SCHEMES {
                let mut written = scheme.write(&iob2);
                ReadTags::new(Some(scheme)).read(&mut written).unwrap();
                prop_assert_eq!(&written, &iob2);
            }
        }
    }
}
