//! Word pieces to sequences: `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`, cut to a length.

use super::Tokenizer;
use crate::error::{Error, Result};

/// BERT's special tokens and the length that sequences must not exceed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    cls: i32,
    sep: i32,
    max_length: usize,
}

/// Ids, the position at which the second segment begins (their number if there is none), and
/// whether pieces were cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Laid {
    pub(super) input_ids: Vec<i32>,
    pub(super) second_segment: usize,
    pub(super) truncated: bool,
}

impl Layout {
    /// A layout for sequences of at most `max_length` ids, special tokens included.
    ///
    /// # Errors
    ///
    /// The length leaves no room between the special tokens, or the tokenizer lacks those.
    pub(super) fn new(tokenizer: &Tokenizer, max_length: usize) -> Result<Self> {
        const PAIR: usize = 3;
        if max_length <= PAIR {
            return Err(Error::usage(format!(
                "the maximum length is {max_length}; expected more than the {PAIR} special tokens \
                 of a pair"
            ))
            .hint("set it with `--max-length N`"));
        }
        let (cls, sep) = (special(tokenizer, "[CLS]")?, special(tokenizer, "[SEP]")?);
        Ok(Self { cls, sep, max_length })
    }

    /// How many pieces a single text may have.
    pub(super) fn room(self) -> usize {
        self.max_length - 2
    }

    /// A single text, cut at its end.
    pub(super) fn single(self, pieces: &[i32]) -> Laid {
        let kept = &pieces[..pieces.len().min(self.room())];
        let mut input_ids = Vec::with_capacity(kept.len() + 2);
        input_ids.push(self.cls);
        input_ids.extend_from_slice(kept);
        input_ids.push(self.sep);
        let second_segment = input_ids.len();
        Laid { input_ids, second_segment, truncated: kept.len() < pieces.len() }
    }

    /// A pair, cut at the ends of its texts as Hugging Face's `longest_first` does: the longer one
    /// gives way until both are equally long, then both do.
    pub(super) fn pair(self, first: &[i32], second: &[i32]) -> Laid {
        let (keep_first, keep_second) =
            longest_first(first.len(), second.len(), self.max_length - 3);
        let mut input_ids = Vec::with_capacity(keep_first + keep_second + 3);
        input_ids.push(self.cls);
        input_ids.extend_from_slice(&first[..keep_first]);
        input_ids.push(self.sep);
        let second_segment = input_ids.len();
        input_ids.extend_from_slice(&second[..keep_second]);
        input_ids.push(self.sep);
        let truncated = keep_first < first.len() || keep_second < second.len();
        Laid { input_ids, second_segment, truncated }
    }
}

/// The id of a special token.
///
/// # Errors
///
/// The tokenizer lacks it.
pub(super) fn special(tokenizer: &Tokenizer, token: &str) -> Result<i32> {
    tokenizer.token_id(token).ok_or_else(|| {
        Error::new(format!("the tokenizer lacks the token `{token}`; expected BERT's WordPiece"))
    })
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

    use super::*;

    const LAYOUT: Layout = Layout { cls: 101, sep: 102, max_length: 8 };

    #[test]
    fn a_text_that_fits_stays_whole() {
        let laid = LAYOUT.single(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(laid.input_ids, [101, 1, 2, 3, 4, 5, 6, 102]);
        assert_eq!((laid.second_segment, laid.truncated), (8, false));
        let laid = LAYOUT.pair(&[1, 2], &[3, 4, 5]);
        assert_eq!(laid.input_ids, [101, 1, 2, 102, 3, 4, 5, 102]);
        assert_eq!((laid.second_segment, laid.truncated), (4, false));
    }

    #[test]
    fn the_longer_text_of_a_pair_gives_way_first() {
        let laid = LAYOUT.pair(&[1], &[2, 3, 4, 5, 6, 7]);
        assert_eq!(laid.input_ids, [101, 1, 102, 2, 3, 4, 5, 102]);
        assert!(laid.truncated);
        let laid = LAYOUT.pair(&[1, 2, 3, 4, 5, 6], &[]);
        assert_eq!(laid.input_ids, [101, 1, 2, 3, 4, 5, 102, 102]);
        // 5 pieces for two texts that are both longer than 2
        let laid = LAYOUT.pair(&[1; 9], &[2; 4]);
        assert_eq!(laid.input_ids, [101, 1, 1, 1, 102, 2, 2, 102]);
        let laid = LAYOUT.pair(&[1; 4], &[2; 4]);
        assert_eq!(laid.input_ids, [101, 1, 1, 102, 2, 2, 2, 102]);
    }

    proptest! {
        /// The rule as it is commonly told: cut one piece at a time off the longer text, and off
        /// the first of two that are equally long; sizes then differ by the odd piece at most.
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
