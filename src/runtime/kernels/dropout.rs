//! Dropout's random bytes, as `random_words` of `python_export/fused.py` draws them.

use super::{Block, Element, Kernels};

/// Elements whose mask is drawn at once.
const AT_ONCE: usize = 64;

/// Dropout at one place of the graph.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Dropout {
    /// The key of the mask.
    pub(in crate::runtime) key: [u32; 2],
    /// An element is kept where its random byte is at least this.
    pub(in crate::runtime) threshold: u8,
    /// The factor on kept elements.
    pub(in crate::runtime) scale: f32,
}

impl Dropout {
    /// Drops elements of a row, and scales the others. The row's first element has the number `first` among those of
    /// the tensor, a multiple of 4.
    #[inline(always)]
    pub(super) fn apply(self, first: usize, row: &mut [f32]) {
        if self.threshold == 0 {
            for value in row {
                *value *= self.scale;
            }
            return;
        }
        let keep = |value: &mut f32, byte| {
            *value = if byte >= self.threshold { *value * self.scale } else { 0.0 };
        };
        let mut number = first;
        let mut chunks = row.chunks_exact_mut(AT_ONCE);
        for values in &mut chunks {
            let bytes = random_bytes(number, self.key);
            for index in 0..AT_ONCE {
                keep(&mut values[index], bytes[index]);
            }
            number += AT_ONCE;
        }
        let bytes = random_bytes(number, self.key);
        chunks.into_remainder().iter_mut().zip(bytes).for_each(|(value, byte)| keep(value, byte));
    }
}

/// The random bytes of the elements from `first` on, a multiple of 4.
#[inline(always)]
fn random_bytes(first: usize, key: [u32; 2]) -> [u8; AT_ONCE] {
    let mut words = [0u32; AT_ONCE / 4];
    for (index, word) in words.iter_mut().enumerate() {
        *word = random_word((first / 4 + index) as u32, key);
    }
    let mut bytes = [0u8; AT_ONCE];
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// A word's random bits: a hash of its number and the key.
#[inline(always)]
fn random_word(number: u32, key: [u32; 2]) -> u32 {
    let fold = |word: u32, by: u32| word ^ (word >> by);
    let word = fold(number.wrapping_add(key[0]), 16).wrapping_mul(0x21F0_AAAD);
    let word = fold(word.wrapping_add(key[1]), 15).wrapping_mul(0x735A_2D97);
    fold(word, 15)
}

/// `_draw`: the random words of a tensor's elements, four bytes each.
pub(in crate::runtime) fn draw(kernels: &Kernels, key: [u32; 2], words: &mut [u32]) {
    const WORDS: usize = 1 << 14;
    let blocks = words.chunks_mut(WORDS).enumerate();
    kernels.run(blocks.map(|(block, words)| Draw { first: block * WORDS, key, words }).collect());
}

struct Draw<'a> {
    first: usize,
    key: [u32; 2],
    words: &'a mut [u32],
}

impl Block for Draw<'_> {
    #[inline(always)]
    fn compute(self) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word = random_word((self.first + index) as u32, self.key);
        }
    }
}

/// Elements of a block of [`drop_elements`], a multiple of 4.
const BLOCK: usize = 1 << 14;

/// `_drop`: x after dropout.
pub(in crate::runtime) fn drop_elements<T: Element>(
    kernels: &Kernels,
    x: &[T],
    drop: Dropout,
    y: &mut [T],
) {
    let blocks = x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)).enumerate();
    let block = |(block, (x, y))| Elements { first: block * BLOCK, x, drop, y };
    kernels.run(blocks.map(block).collect());
}

/// Some elements. `first` is the number of the first of them in the tensor.
struct Elements<'a, T> {
    first: usize,
    x: &'a [T],
    drop: Dropout,
    y: &'a mut [T],
}

impl<T: Element> Block for Elements<'_, T> {
    #[inline(always)]
    fn compute(self) {
        const ROW: usize = 512;
        let mut row = [0.0f32; ROW];
        let chunks = self.x.chunks(ROW).zip(self.y.chunks_mut(ROW)).enumerate();
        for (chunk, (x, y)) in chunks {
            let row = &mut row[..x.len()];
            for (to, x) in row.iter_mut().zip(x) {
                *to = x.get();
            }
            self.drop.apply(self.first + chunk * ROW, row);
            for (y, from) in y.iter_mut().zip(&*row) {
                *y = T::of(*from);
            }
        }
    }
}
