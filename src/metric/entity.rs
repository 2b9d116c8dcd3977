//! Metrics of tags: entities by conlleval's rules, their precision, recall and F1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, ratio};

/// A run of words that is one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity<'a> {
    /// What follows the first hyphen in the tags, such as `PER`.
    pub entity_type: &'a str,
    /// The first word, counted from 0.
    pub start: usize,
    /// One past the last word.
    pub end: usize,
}

/// The entities of one sentence, in order, from the tags of its words.
///
/// The rules are those of CoNLL's `conlleval` (and of seqeval's default mode), which give a meaning
/// to IOB1, to IOB2 and to any mixture or mistake:
///
/// - an entity starts at every `B-`, and at an `I-` that follows `O` or another type;
/// - it ends before `O`, before the next entity, and with the sentence.
///
/// So `I-PER I-PER` is one entity, `I-PER B-PER` are two, and `B-PER I-LOC` are two as well. As in
/// seqeval, `E-` ends an entity and `S-` is one of a single word (IOBES). Any other prefix counts
/// as `I-`; a tag without hyphen is `O`, unless it is one of the letters `B`, `I`, `E`, `S` alone,
/// which has the empty type.
pub fn entities<T: AsRef<str>>(tags: &[T]) -> Vec<Entity<'_>> {
    let mut found: Vec<Entity> = Vec::new();
    let mut previous = (Prefix::Outside, "");
    for (i, tag) in tags.iter().enumerate() {
        let current = split(tag.as_ref());
        if starts_entity(previous, current) {
            found.push(Entity { entity_type: current.1, start: i, end: i + 1 });
        } else if current.0 != Prefix::Outside
            && let Some(open) = found.last_mut()
        {
            open.end = i + 1;
        }
        previous = current;
    }
    found
}

/// The part of a tag before the hyphen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

/// A tag's prefix and type.
fn split(tag: &str) -> (Prefix, &str) {
    let (prefix, entity_type) = tag.split_once('-').unwrap_or((tag, ""));
    let prefix = match prefix {
        "O" | "." => return (Prefix::Outside, ""),
        "B" => Prefix::Begin,
        "E" => Prefix::End,
        "S" => Prefix::Single,
        "I" => Prefix::Inside,
        _ if tag.contains('-') => Prefix::Inside,
        _ => return (Prefix::Outside, ""),
    };
    (prefix, entity_type)
}

/// Whether an entity starts at `current`. If not, and `current` is not outside, it goes on with the
/// entity of `previous`.
fn starts_entity(previous: (Prefix, &str), current: (Prefix, &str)) -> bool {
    match current.0 {
        Prefix::Outside => false,
        Prefix::Begin | Prefix::Single => true,
        Prefix::Inside | Prefix::End => {
            let closed = matches!(previous.0, Prefix::Outside | Prefix::End | Prefix::Single);
            closed || previous.1 != current.1
        }
    }
}

/// Entity scores of a data set, with the counts that they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityScores {
    /// Entities of all types.
    pub overall: Counts,
    /// Entities by type, for every type that is predicted or gold.
    pub by_type: BTreeMap<String, Counts>,
    /// Words whose tag is right, letter by letter.
    pub correct_tokens: usize,
    /// Words.
    pub tokens: usize,
}

impl EntityScores {
    /// Share of words whose tag is right, `O` included, as conlleval's `accuracy`; `None` for no
    /// words.
    pub fn token_accuracy(&self) -> Option<f64> {
        ratio(self.correct_tokens, self.tokens)
    }
}

/// Counts entities over sentences as `conlleval` does: a predicted entity is right if a gold one
/// has the same first word, last word and type. [`Counts`] gives precision, recall and F1
/// (conlleval prints 0 where they are undefined).
///
/// `pred` and `gold` hold for each sentence the tags of its words.
///
/// # Panics
///
/// If the numbers of sentences, or of words in a sentence, differ.
pub fn entity_scores<P, G, T, U>(pred: &[P], gold: &[G]) -> EntityScores
where
    P: AsRef<[T]>,
    G: AsRef<[U]>,
    T: AsRef<str>,
    U: AsRef<str>,
{
    assert_eq!(pred.len(), gold.len(), "one prediction a sentence");
    let mut scores = EntityScores::default();
    for (pred, gold) in pred.iter().zip(gold) {
        scores.add_sentence(pred.as_ref(), gold.as_ref());
    }
    for counts in scores.by_type.values() {
        scores.overall += *counts;
    }
    scores
}

impl EntityScores {
    /// Adds one sentence to all but `overall`.
    fn add_sentence<T: AsRef<str>, U: AsRef<str>>(&mut self, pred: &[T], gold: &[U]) {
        assert_eq!(pred.len(), gold.len(), "one predicted tag a word");
        self.tokens += gold.len();
        let equal = |(p, g): &(&T, &U)| p.as_ref() == g.as_ref();
        self.correct_tokens += pred.iter().zip(gold).filter(equal).count();

        let (predicted, gold) = (entities(pred), entities(gold));
        for entity in &predicted {
            self.counts_of(entity).predicted += 1;
        }
        for entity in &gold {
            self.counts_of(entity).gold += 1;
            // Entities of a sentence do not overlap, so they are sorted by their start.
            let same_start = predicted.binary_search_by_key(&entity.start, |p| p.start);
            if same_start.is_ok_and(|i| predicted[i] == *entity) {
                self.counts_of(entity).correct += 1;
            }
        }
    }

    fn counts_of(&mut self, entity: &Entity) -> &mut Counts {
        if !self.by_type.contains_key(entity.entity_type) {
            let new = Counts::default();
            self.by_type.insert(entity.entity_type.to_owned(), new);
        }
        self.by_type.get_mut(entity.entity_type).expect("inserted above")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(tags: &str) -> Vec<&str> {
        tags.split_whitespace().collect()
    }

    /// The entities as `TYPE start..end`.
    fn found(tags: &str) -> Vec<String> {
        entities(&words(tags))
            .iter()
            .map(|e| format!("{} {}..{}", e.entity_type, e.start, e.end))
            .collect()
    }

    fn counts(correct: usize, predicted: usize, gold: usize) -> Counts {
        Counts { correct, predicted, gold }
    }

    #[test]
    fn iob1_and_iob2_give_the_same_entities() {
        let expected = ["PER 0..2", "PER 2..3", "LOC 4..5"];
        assert_eq!(found("I-PER I-PER B-PER O I-LOC"), expected);
        assert_eq!(found("B-PER I-PER B-PER O B-LOC"), expected);
        assert_eq!(found("B-PER I-PER B-PER O I-LOC"), expected);
    }

    #[test]
    fn another_type_starts_another_entity_even_without_a_b() {
        assert_eq!(found("B-PER I-LOC I-LOC"), ["PER 0..1", "LOC 1..3"]);
        assert_eq!(found("I-PER I-LOC I-PER"), ["PER 0..1", "LOC 1..2", "PER 2..3"]);
    }

    #[test]
    fn an_entity_at_the_end_of_the_sentence_is_counted() {
        assert_eq!(found("O B-ORG I-ORG"), ["ORG 1..3"]);
        assert_eq!(found("O I-ORG"), ["ORG 1..2"]);
    }

    #[test]
    fn a_sentence_of_o_or_of_nothing_has_no_entities() {
        assert!(found("O O O").is_empty());
        assert!(found("").is_empty());
    }

    #[test]
    fn iobes_tags_end_where_they_say() {
        assert_eq!(
            found("S-PER S-PER B-LOC I-LOC E-LOC E-LOC I-LOC"),
            ["PER 0..1", "PER 1..2", "LOC 2..5", "LOC 5..6", "LOC 6..7"]
        );
    }

    #[test]
    fn a_type_may_hold_hyphens_and_may_be_missing() {
        assert_eq!(found("B-work-of-art I-work-of-art"), ["work-of-art 0..2"]);
        assert_eq!(found("B I O I"), [" 0..2", " 3..4"]);
    }

    #[test]
    fn tags_of_no_scheme_are_inside_with_a_hyphen_and_outside_without() {
        assert_eq!(found("X-PER X-PER O"), ["PER 0..2"]);
        assert!(found("NOUN VERB .").is_empty());
    }

    #[test]
    fn an_entity_is_right_only_with_both_ends_and_the_type() {
        let gold = [words("B-PER I-PER O B-LOC O B-ORG"), words("B-LOC O")];
        let pred = [words("B-PER O O B-ORG O B-ORG"), words("B-LOC B-PER")];
        let scores = entity_scores(&pred, &gold);
        // gold: PER, LOC, ORG, LOC; predicted: PER (too short), ORG (wrong type), ORG, LOC, PER
        assert_eq!(scores.overall, counts(2, 5, 4));
        assert_eq!(scores.overall.precision(), Some(2.0 / 5.0));
        assert_eq!(scores.overall.recall(), Some(2.0 / 4.0));
        assert_eq!(scores.overall.f1(), Some(2.0 * 2.0 / (5.0 + 4.0)));
        assert_eq!(scores.by_type["PER"], counts(0, 2, 1));
        assert_eq!(scores.by_type["LOC"], counts(1, 1, 2));
        assert_eq!(scores.by_type["ORG"], counts(1, 2, 1));
        // wrong tags: the second, fourth and last word
        assert_eq!(scores.token_accuracy(), Some((8.0 - 3.0) / 8.0));
    }

    #[test]
    fn entities_do_not_reach_across_sentences() {
        let (one, two) = ([words("B-PER"), words("I-PER")], [words("B-PER I-PER")]);
        assert_eq!(entity_scores(&one, &one).overall, counts(2, 2, 2));
        assert_eq!(entity_scores(&two, &two).overall, counts(1, 1, 1));
    }

    #[test]
    fn no_entities_and_no_words_leave_the_scores_undefined() {
        let none: [Vec<&str>; 0] = [];
        let scores = entity_scores(&none, &none);
        assert_eq!(scores.token_accuracy(), None);
        assert_eq!(scores.overall.f1(), None);
        let outside = [words("O O")];
        let scores = entity_scores(&outside, &outside);
        assert_eq!(scores.token_accuracy(), Some(1.0));
        assert_eq!(scores.overall.f1(), None);
        assert!(scores.by_type.is_empty());
    }

    #[test]
    #[should_panic(expected = "one predicted tag a word")]
    fn a_missing_tag_is_a_programming_error() {
        entity_scores(&[vec!["O"]], &[vec!["O", "O"]]);
    }

    fn sentence() -> impl Strategy<Value = Vec<&'static str>> {
        let tags = vec!["O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-B"];
        prop::collection::vec(prop::sample::select(tags), 0..15)
    }

    proptest! {
        #[test]
        fn every_tag_but_o_is_in_exactly_one_entity(tags in sentence()) {
            let mut covered = vec![0; tags.len()];
            for entity in entities(&tags) {
                for i in entity.start..entity.end {
                    covered[i] += 1;
                    prop_assert_eq!(tags[i].split_once('-').unwrap().1, entity.entity_type);
                }
            }
            let inside: Vec<i32> = tags.iter().map(|tag| i32::from(*tag != "O")).collect();
            prop_assert_eq!(covered, inside);
        }

        #[test]
        fn exchanging_prediction_and_gold_exchanges_precision_and_recall(
            (pred, gold) in (0usize..15).prop_flat_map(|n| {
                let tags = || prop::collection::vec(
                    prop::sample::select(vec!["O", "B-A", "I-A", "B-B", "I-B"]), n);
                (tags(), tags())
            })
        ) {
            let there = entity_scores(&[&pred], &[&gold]);
            let back = entity_scores(&[&gold], &[&pred]);
            prop_assert_eq!(there.overall.precision(), back.overall.recall());
            prop_assert_eq!(there.overall.f1(), back.overall.f1());
            prop_assert_eq!(there.token_accuracy(), back.token_accuracy());
        }
    }
}
