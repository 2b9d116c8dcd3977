//! Word pieces to sequences, as the tokenizer's template joins them: BERT's `[CLS] text [SEP]` and
//! `[CLS] text [SEP] pair [SEP]`, cut to a length.

use super::Tokenizer;
use crate::error::{Error, Result};

/// How one text, or two, become a sequence: the special tokens around them, and the segments.
///
/// It is taken from the post-processor of `tokenizer.json`, so that a tokenizer of another family
/// (RoBERTa's `<s> A </s></s> B </s>`, all in one segment) brings its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SequenceTemplate {
    single: Form,
    pair: Form,
    max_length: usize,
}

/// The special tokens of one form. A single text has none between and no second text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    before: Vec<i32>,
    between: Vec<i32>,
    after: Vec<i32>,
    /// Where the second segment begins.
    second_segment: SegmentStart,
}

/// Where the second segment begins, relative to the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SegmentStart {
    /// There is one segment.
    Nowhere,
    /// So many tokens behind the end of the first text.
    BehindFirst(usize),
}

/// A sequence of token ids, special tokens included, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenSequence {
    pub(super) input_ids: Vec<i32>,
    /// The position at which the second segment begins; their number where there is one segment.
    pub(super) second_segment: usize,
    /// Whether pieces were cut off.
    pub(super) truncated: bool,
}

impl SequenceTemplate {
    /// The tokenizer's template for sequences of at most `max_length` ids, special tokens included.
    ///
    /// # Errors
    ///
    /// The length leaves no room between the special tokens, or the template is of no known form.
    pub(super) fn new(tokenizer: &Tokenizer, max_length: usize) -> Result<Self> {
        let template = Self {
            single: Form::read(tokenizer, false)?,
            pair: Form::read(tokenizer, true)?,
            max_length,
        };
        let special = template.pair.special_tokens();
        if max_length <= special {
            return Err(Error::usage(format!(
                "the maximum length is {max_length}; expected more than the {special} special \
                 tokens of a pair"
            ))
            .hint("set it with `--max-length N`"));
        }
        Ok(template)
    }

    /// How many pieces a single text may have.
    pub(super) fn single_room(&self) -> usize {
        self.max_length - self.single.special_tokens()
    }

    /// How many pieces the second text of a pair may have beside a first one of `first` pieces.
    pub(super) fn second_room(&self, first: usize) -> usize {
        self.max_length.saturating_sub(self.pair.special_tokens() + first)
    }

    /// The position of the first piece of a single text.
    pub(super) fn single_start(&self) -> usize {
        self.single.before.len()
    }

    /// The position of the first piece of the second text of a pair, behind `first` pieces.
    pub(super) fn second_start(&self, first: usize) -> usize {
        self.pair.before.len() + first + self.pair.between.len()
    }

    /// A single text, cut at its end.
    pub(super) fn single(&self, pieces: &[i32]) -> TokenSequence {
        let kept = &pieces[..pieces.len().min(self.single_room())];
        self.single.join(kept, &[], kept.len() < pieces.len())
    }

    /// A pair, cut at the ends of its texts as Hugging Face's `longest_first` does: the longer one
    /// loses pieces until both are equally long, then both do.
    pub(super) fn pair(&self, first: &[i32], second: &[i32]) -> TokenSequence {
        let room = self.max_length - self.pair.special_tokens();
        let (keep_first, keep_second) = longest_first(first.len(), second.len(), room);
        let truncated = keep_first < first.len() || keep_second < second.len();
        self.pair.join(&first[..keep_first], &second[..keep_second], truncated)
    }
}

impl Form {
    /// The form in which the tokenizer joins a text, or a pair of texts.
    fn read(tokenizer: &Tokenizer, pair: bool) -> Result<Self> {
        // Ids that no vocabulary has stand for the texts.
        const FIRST: u32 = u32::MAX;
        const SECOND: u32 = u32::MAX - 1;
        let (ids, segments) = tokenizer.join(FIRST, pair.then_some(SECOND))?;
        let unknown_form = || {
            let what = if pair { "a pair of texts" } else { "a text" };
            Error::new(format!(
                "the tokenizer joins {what} in a way that is not supported: tokens {ids:?} in the \
                 segments {segments:?}, where {FIRST} is the first text and {SECOND} the second; \
                 expected a special token first, then the texts in order, in segment 0 or in \
                 segments 0 and 1"
            ))
            .hint("export the model again from a BERT checkpoint")
        };
        let specials = |ids: &[u32]| ids.iter().map(|&id| i32::try_from(id).ok()).collect();
        let parts: Vec<Option<Vec<i32>>> =
            ids.split(|&id| id == FIRST || id == SECOND).map(specials).collect();
        let first = ids.iter().position(|&id| id == FIRST);
        let second = ids.iter().position(|&id| id == SECOND);
        let (before, between, after) = match (parts.as_slice(), first, second) {
            ([Some(before), Some(after)], Some(_), None) => (before, &Vec::new(), after),
            ([Some(before), Some(between), Some(after)], Some(first), Some(second))
                if first < second =>
            {
                (before, between, after)
            }
            _ => return Err(unknown_form()),
        };
        let switch = segments.iter().position(|&segment| segment != 0);
        let second_segment = match switch {
            None => SegmentStart::Nowhere,
            Some(at) if at > before.len() && segments[at..].iter().all(|&segment| segment == 1) => {
                SegmentStart::BehindFirst(at - before.len() - 1)
            }
            Some(_) => return Err(unknown_form()),
        };
        // The heads of single texts look at the first position.
        let starts_later =
            matches!(second_segment, SegmentStart::BehindFirst(tokens) if tokens > between.len());
        if before.is_empty() || starts_later {
            return Err(unknown_form());
        }
        Ok(Self {
            before: before.clone(),
            between: between.clone(),
            after: after.clone(),
            second_segment,
        })
    }

    fn special_tokens(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }

    fn join(&self, first: &[i32], second: &[i32], truncated: bool) -> TokenSequence {
        let input_ids =
            [&self.before, first, &self.between, second, &self.after].map(<[i32]>::as_ref).concat();
        let second_segment = match self.second_segment {
            SegmentStart::Nowhere => input_ids.len(),
            SegmentStart::BehindFirst(tokens) => self.before.len() + first.len() + tokens,
        };
        TokenSequence { input_ids, second_segment, truncated }
    }
}

/// How many pieces of each text stay, `room` in all. Of two texts that both exceed half the room,
/// the second gets the odd piece unless the first is longer.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let half = room / 2;
    let (short, long) = (first.min(second), first.max(second));
    let short = short.min(half);
    let long = long.min(room - short);
    if first > second { (long, short) } else { (short, long) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TOKENIZER: &[u8] = include_bytes!("../../tests/golden/question_tokenizer.json");

    fn bert() -> SequenceTemplate {
        SequenceTemplate {
            single: Form {
                before: vec![101],
                between: vec![],
                after: vec![102],
                second_segment: SegmentStart::Nowhere,
            },
            pair: Form {
                before: vec![101],
                between: vec![102],
                after: vec![102],
                second_segment: SegmentStart::BehindFirst(1),
            },
            max_length: 8,
        }
    }

    /// The template of a tokenizer whose post-processor is another one.
    fn template_of(post_processor: serde_json::Value) -> Result<SequenceTemplate> {
        let mut json: serde_json::Value = serde_json::from_slice(TOKENIZER).unwrap();
        json["post_processor"] = post_processor;
        let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
        SequenceTemplate::new(&tokenizer, 8)
    }

    #[test]
    fn a_bert_tokenizer_brings_berts_template() {
        let berts = |[cls, sep]: [i32; 2]| {
            let mut template = bert();
            for form in [&mut template.single, &mut template.pair] {
                form.before = vec![cls];
                form.after = vec![sep];
            }
            template.pair.between = vec![sep];
            template
        };
        let template = json!({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]});
        assert_eq!(template_of(template).unwrap(), berts([2, 3]));
        let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
        assert_eq!(SequenceTemplate::new(&tokenizer, 8).unwrap(), berts([2, 3]));
    }

    #[test]
    fn a_roberta_tokenizer_puts_two_separators_between_texts_of_one_segment() {
        let template = template_of(json!({
            "type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2],
            "trim_offsets": true, "add_prefix_space": false
        }))
        .unwrap();
        let pair = template.pair(&[11, 12], &[13]);
        assert_eq!(pair.input_ids, [2, 11, 12, 3, 3, 13, 3]);
        assert_eq!((pair.second_segment, template.second_start(2)), (7, 5));
        let single = template.single(&[11, 12]);
        assert_eq!((single.input_ids, single.second_segment), (vec![2, 11, 12, 3], 4));
    }

    #[test]
    fn a_template_that_is_not_supported_is_refused() {
        let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
        let text = |id: &str, segment: u32| json!({"Sequence": {"id": id, "type_id": segment}});
        let processor = |single: serde_json::Value, pair: serde_json::Value| {
            json!({
                "type": "TemplateProcessing", "single": single, "pair": pair,
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
            })
        };
        let single = json!([special("[CLS]"), text("A", 0)]);
        let turned = json!([special("[CLS]"), text("B", 0), text("A", 0)]);
        let third = json!([special("[CLS]"), text("A", 0), text("B", 2)]);
        let last = json!([text("A", 0), special("[CLS]")]);
        let pair = json!([special("[CLS]"), text("A", 0), text("B", 1)]);
        assert!(template_of(processor(single.clone(), pair.clone())).is_ok());
        for wrong in [
            serde_json::Value::Null,
            processor(single.clone(), turned),
            processor(single, third),
            processor(last, pair),
        ] {
            let error = template_of(wrong).unwrap_err();
            assert!(error.what().contains("in a way that is not supported"), "{error}");
        }
    }

    #[test]
    fn a_special_token_typed_in_a_text_is_read_as_that_token() {
        let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
        let sep = tokenizer.token_id("[SEP]").unwrap();
        let pieces = tokenizer.pieces("moon [SEP] moon").unwrap();
        assert_eq!(pieces.iter().filter(|&&id| id == sep).count(), 1);
        let moon = tokenizer.pieces("moon").unwrap();
        assert_eq!(pieces, [moon.as_slice(), &[sep], &moon].concat());
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        let single = bert().single(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(single.input_ids, [101, 1, 2, 3, 4, 5, 6, 102]);
        assert_eq!((single.second_segment, single.truncated), (8, false));
        let pair = bert().pair(&[1, 2], &[3, 4, 5]);
        assert_eq!(pair.input_ids, [101, 1, 2, 102, 3, 4, 5, 102]);
        assert_eq!((pair.second_segment, pair.truncated), (4, false));
    }

    #[test]
    fn the_longer_text_of_a_pair_is_cut_first() {
        let pair = bert().pair(&[1], &[2, 3, 4, 5, 6, 7]);
        assert_eq!(pair.input_ids, [101, 1, 102, 2, 3, 4, 5, 102]);
        assert!(pair.truncated);
        let pair = bert().pair(&[1, 2, 3, 4, 5, 6], &[]);
        assert_eq!(pair.input_ids, [101, 1, 2, 3, 4, 5, 102, 102]);
        // 5 pieces for two texts that are both longer than 2
        let pair = bert().pair(&[1; 9], &[2; 4]);
        assert_eq!(pair.input_ids, [101, 1, 1, 1, 102, 2, 2, 102]);
        let pair = bert().pair(&[1; 4], &[2; 4]);
        assert_eq!(pair.input_ids, [101, 1, 1, 102, 2, 2, 2, 102]);
    }

    proptest! {
        /// Against the rule one piece at a time: cut off the longer text, and off the first of two
        /// that are equally long. Sizes differ by one piece at most.
        #[test]
        fn pieces_are_cut_one_by_one_off_the_longer_text(
            first in 0usize..40, second in 0usize..40, room in 1usize..40
        ) {
            let (mut a, mut b) = (first, second);
            while a + b > room {
                if a >= b { a -= 1 } else { b -= 1 }
            }
            let (x, y) = longest_first(first, second, room);
            prop_assert_eq!(x + y, a + b);
            prop_assert!(x.abs_diff(a) <= 1);
            prop_assert!(x <= first && y <= second);
        }
    }
}
