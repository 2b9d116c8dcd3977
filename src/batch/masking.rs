//! Which tokens of a sequence are hidden (Devlin et al., 2018, section 3.1): 15 % of them, in whole
//! words. Of those 80 % become the mask token, 10 % another entry of the vocabulary, and 10 % stay.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::feature::NO_TAG;

/// The share of the tokens that is hidden.
const SHARE: f64 = 0.15;

/// The most positions that are hidden in a sequence of `length` tokens.
pub(super) fn most_hidden(length: usize) -> usize {
    ((length as f64 * SHARE).round() as usize).max(1)
}

/// What a sequence's hidden tokens are drawn from.
pub(super) struct Masking<'a> {
    /// The number of each position's word, or [`NO_TAG`] for special tokens.
    pub(super) words: &'a [i32],
    /// The id of the mask token.
    pub(super) mask_token_id: i32,
    /// The number of ids.
    pub(super) vocab_size: i32,
}

impl Masking<'_> {
    /// Hides tokens of `ids`, and returns the position and the id of each in the order of positions.
    /// A sequence that has mask tokens already is left as it is: their positions are asked for, with
    /// the mask token's id.
    pub(super) fn hide(&self, ids: &mut [i32], seed: u64, sequence: u64) -> Vec<(usize, i32)> {
        let typed: Vec<(usize, i32)> =
            ids.iter().copied().enumerate().filter(|&(_, id)| id == self.mask_token_id).collect();
        if !typed.is_empty() {
            return typed;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(sequence);
        let mut hidden: Vec<(usize, i32)> =
            self.choose(&mut rng).into_iter().map(|position| (position, ids[position])).collect();
        hidden.sort_unstable();
        for &(position, _) in &hidden {
            let draw: f64 = rng.random();
            if draw < 0.8 {
                ids[position] = self.mask_token_id;
            } else if draw < 0.9 {
                ids[position] = rng.random_range(0..self.vocab_size);
            }
        }
        hidden
    }

    /// The positions of whole words, at most [`most_hidden`] of the text's tokens.
    fn choose(&self, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut words: Vec<Vec<usize>> = Vec::new();
        let mut last = NO_TAG;
        for (position, &word) in self.words.iter().enumerate() {
            match words.last_mut() {
                _ if word == NO_TAG => {}
                Some(positions) if word == last => positions.push(position),
                _ => words.push(vec![position]),
            }
            last = word;
        }
        let tokens: usize = words.iter().map(Vec::len).sum();
        let room = most_hidden(tokens);
        words.shuffle(rng);
        let mut chosen = Vec::with_capacity(room);
        for word in &words {
            if chosen.len() + word.len() <= room {
                chosen.extend_from_slice(word);
            }
        }
        // A text of nothing but a long word: its first piece.
        if let (true, Some(word)) = (chosen.is_empty(), words.first()) {
            chosen.push(word[0]);
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 words of 1, 2 or 3 pieces between two special tokens.
    fn words() -> Vec<i32> {
        let mut words = vec![NO_TAG];
        words.extend((0..40).flat_map(|word| vec![word; 1 + word as usize % 3]));
        words.push(NO_TAG);
        words
    }

    fn masking(words: &[i32]) -> Masking<'_> {
        Masking { words, mask_token_id: 4, vocab_size: 1000 }
    }

    #[test]
    fn whole_words_are_hidden_and_no_more_than_fifteen_percent_of_the_tokens() {
        let words = words();
        let before: Vec<i32> = (0..words.len() as i32).map(|id| 100 + id).collect();
        for sequence in 0..200 {
            let mut ids = before.clone();
            let hidden = masking(&words).hide(&mut ids, 1, sequence);
            assert!((1..=12).contains(&hidden.len()), "{hidden:?}");
            for &(position, id) in &hidden {
                assert_eq!(id, before[position]);
                let whole = (0..words.len()).filter(|&other| words[other] == words[position]);
                assert!(whole.clone().all(|other| hidden.iter().any(|&(at, _)| at == other)));
            }
            let changed = (0..ids.len()).filter(|&at| ids[at] != before[at]);
            for at in changed {
                assert!(hidden.iter().any(|&(position, _)| position == at));
            }
        }
    }

    #[test]
    fn four_fifths_become_the_mask_token_a_tenth_another_and_a_tenth_stay() {
        let words = words();
        let before: Vec<i32> = (0..words.len() as i32).map(|id| 100 + id).collect();
        let (mut all, mut masked, mut same) = (0, 0, 0);
        for sequence in 0..2000 {
            let mut ids = before.clone();
            for (position, id) in masking(&words).hide(&mut ids, 7, sequence) {
                all += 1;
                masked += usize::from(ids[position] == 4);
                same += usize::from(ids[position] == id);
            }
        }
        let share = |count: usize| count as f64 / all as f64;
        assert!((share(masked) - 0.8).abs() < 0.02, "{}", share(masked));
        assert!((share(same) - 0.1).abs() < 0.02, "{}", share(same));
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_another_seed_others() {
        let words = words();
        let draw = |seed| {
            let mut ids = vec![9; words.len()];
            masking(&words).hide(&mut ids, seed, 3)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn mask_tokens_that_are_there_are_asked_for_and_nothing_is_hidden() {
        let mut ids = vec![2, 50, 4, 51, 4, 3];
        let words = [NO_TAG, 0, 1, 2, 3, NO_TAG];
        assert_eq!(masking(&words).hide(&mut ids, 1, 0), [(2, 4), (4, 4)]);
        assert_eq!(ids, [2, 50, 4, 51, 4, 3]);
    }

    #[test]
    fn a_single_long_word_loses_its_first_piece_and_no_words_nothing() {
        let words = [NO_TAG, 0, 0, 0, NO_TAG];
        assert_eq!(masking(&words).hide(&mut [2, 7, 8, 9, 3], 1, 0), [(1, 7)]);
        assert_eq!(masking(&[NO_TAG, NO_TAG]).hide(&mut [2, 3], 1, 0), []);
    }
}
