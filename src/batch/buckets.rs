//! Lengths to pad to: close to the lengths of the data, and not too many, since each is a shape to compile or prepare.

/// The lengths to which the batches of a data set are padded, ascending. A batch gets the smallest that holds its
/// longest row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets(Vec<usize>);

impl Buckets {
    /// Chooses lengths that make `padding + shape_cost · shapes` least, by dynamic programming
    /// over all lengths. (Multiples of 8 alone would pad SST-2's 13 tokens by a quarter.)
    ///
    /// `lengths` are those of batches of `rows` sequences, which are padded alike; `shape_cost` is the
    /// time that another shape costs, as the number of padding tokens that take as long. No length exceeds
    /// `max_length`.
    pub fn choose(
        lengths: impl Iterator<Item = usize>,
        rows: usize,
        shape_cost: usize,
        max_length: usize,
    ) -> Self {
        let mut counts = vec![0usize; max_length + 1];
        for length in lengths {
            counts[length.clamp(1, max_length)] += rows;
        }
        let Some(last) = counts.iter().rposition(|&count| count > 0) else {
            return Self(vec![1]);
        };
        // best[end] is the least cost of the batches whose longest row has at most `end` tokens, if `end` is
        // one of the chosen lengths; from[end] is the chosen length before it.
        let mut best = vec![usize::MAX; last + 1];
        let mut from = vec![0; last + 1];
        best[0] = 0;
        for end in 1..=last {
            let mut waste = 0;
            for start in (0..end).rev() {
                let cost = best[start].saturating_add(waste).saturating_add(shape_cost);
                // Among equals the wider span wins: it is the fewer shapes.
                if cost <= best[end] {
                    best[end] = cost;
                    from[end] = start;
                }
                waste += counts[start] * (end - start);
            }
        }
        let mut chosen = Vec::new();
        let mut end = last;
        while end > 0 {
            chosen.push(end);
            end = from[end];
        }
        chosen.reverse();
        Self(chosen)
    }

    /// The smallest of the lengths that holds `length`.
    pub fn fit(&self, length: usize) -> usize {
        let at = self.0.partition_point(|&bucket| bucket < length);
        self.0.get(at).copied().unwrap_or_else(|| self.0[self.0.len() - 1])
    }

    /// The lengths, ascending.
    pub fn lengths(&self) -> &[usize] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dear_shape_gives_one_bucket_and_a_free_one_gives_many() {
        let lengths = [5, 12, 20, 28, 60];
        let one = Buckets::choose(lengths.into_iter(), 1, 1_000_000, 128);
        assert_eq!(one.lengths(), [60]);
        let many = Buckets::choose(lengths.into_iter(), 1, 0, 128);
        assert_eq!(many.lengths(), lengths);
    }

    #[test]
    fn two_clusters_of_lengths_get_a_bucket_each() {
        let lengths = [vec![10; 1000], vec![100; 1000]].concat();
        let buckets = Buckets::choose(lengths.into_iter(), 1, 500, 128);
        assert_eq!(buckets.lengths(), [10, 100]);
    }

    proptest! {
        #[test]
        fn every_length_fits_its_bucket(
            lengths in proptest::collection::vec(1usize..=128, 1..200),
            shape_cost in 0usize..100_000,
        ) {
            let buckets = Buckets::choose(lengths.iter().copied(), 1, shape_cost, 128);
            for length in lengths {
                prop_assert!(buckets.fit(length) >= length);
                prop_assert!(buckets.fit(length) <= 128);
            }
        }
    }
}
