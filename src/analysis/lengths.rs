//! How long examples are, as a histogram.

use serde::{Deserialize, Serialize};

/// The lengths of features in word pieces (of windows, where passages are read in windows).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lengths {
    /// The bars, from the shortest on.
    pub bars: Vec<Bar>,
    /// The longest length that is not cut.
    pub limit: usize,
    /// Examples that lost word pieces to the limit.
    pub cut: usize,
}

/// A bar of the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bar {
    /// The smallest length that counts.
    pub from: usize,
    /// One above the largest.
    pub to: usize,
    /// How many have such a length.
    pub count: usize,
}

/// The most bars.
const MOST: usize = 32;

impl Lengths {
    /// Counts lengths. `limit` is the longest that is not cut, `cut` how many examples were.
    pub fn new(lengths: impl Iterator<Item = usize> + Clone, limit: usize, cut: usize) -> Self {
        let longest = lengths.clone().max().unwrap_or(0);
        let width = (longest + 1).div_ceil(MOST).max(1);
        let mut bars: Vec<Bar> = (0..(longest + 1).div_ceil(width))
            .map(|bar| Bar { from: bar * width, to: (bar + 1) * width, count: 0 })
            .collect();
        lengths.for_each(|length| bars[length / width].count += 1);
        let first = bars.iter().position(|bar| bar.count > 0).unwrap_or(bars.len());
        Self { bars: bars.split_off(first), limit, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_in_one_bar() {
        let found = Lengths::new([3, 3, 4, 128].into_iter(), 128, 1);
        assert_eq!(found.bars.iter().map(|bar| bar.count).sum::<usize>(), 4);
        assert_eq!(found.bars.last(), Some(&Bar { from: 125, to: 130, count: 1 }));
        assert_eq!(found.bars[0], Bar { from: 0, to: 5, count: 3 });
        assert!(found.bars.len() <= MOST);
        assert!(Lengths::new(std::iter::empty(), 128, 0).bars.iter().all(|bar| bar.count == 0));
        let one = Lengths::new([7].into_iter(), 128, 0);
        assert_eq!(one.bars, [Bar { from: 7, to: 8, count: 1 }]);
    }
}
