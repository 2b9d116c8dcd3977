//! What lies between attention's matrix products and its soft-max (Vaswani et al., 2017).

use super::dropout::Dropout;
use super::math::short_dot;
use super::{Block, Element, Kernels};

/// Elements of a block of a function that treats each element alike.
const BLOCK_ELEMENTS: usize = 1 << 14;

/// The sizes of a tensor of scores, `[batch, heads, queries, keys]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Scores {
    pub(in crate::runtime) heads: usize,
    pub(in crate::runtime) queries: usize,
    pub(in crate::runtime) keys: usize,
}

impl Scores {
    /// Elements of a sequence.
    fn elements(self) -> usize {
        self.heads * self.queries * self.keys
    }
}

/// `_scale_and_offset`: `scale * products + offset`. The offset is `[batch, 1, 1, keys]` or
/// `[batch, 1, queries, keys]`.
pub(in crate::runtime) fn scale_and_offset<T: Element>(
    kernels: &Kernels,
    of: Scores,
    products: &[T],
    offset: &[f32],
    scale: f32,
    scores: &mut [T],
) {
    let size = of.elements().max(1);
    let sequences = (products.len() / size).max(1);
    let offsets = offset.chunks((offset.len() / sequences).max(1));
    let blocks = products.chunks(size).zip(offsets).zip(scores.chunks_mut(size));
    let block = |((products, offset), scores)| Scale { of, products, offset, scale, scores };
    kernels.run(blocks.map(block).collect());
}

/// One sequence.
struct Scale<'a, T> {
    of: Scores,
    products: &'a [T],
    offset: &'a [f32],
    scale: f32,
    scores: &'a mut [T],
}

impl<T: Element> Block for Scale<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let keys = self.of.keys.max(1);
        let rows = self.products.chunks_exact(keys).zip(self.scores.chunks_exact_mut(keys));
        // Offsets repeat for each head, or for each query.
        let offsets = self.offset.chunks_exact(keys).cycle();
        for ((products, scores), offset) in rows.zip(offsets) {
            for ((x, score), offset) in products.iter().zip(scores).zip(offset) {
                *score = T::of(x.get().mul_add(self.scale, *offset));
            }
        }
    }
}

/// `_drop_probabilities`: p after dropout, and p with its sign changed where it was dropped. `random` has a byte for
/// each element, and may have more.
pub(in crate::runtime) fn drop_probabilities<T: Element>(
    kernels: &Kernels,
    p: &[T],
    random: &[u8],
    drop: Dropout,
    kept: &mut [T],
    signed: &mut [T],
) {
    let inputs = p.chunks(BLOCK_ELEMENTS).zip(random.chunks(BLOCK_ELEMENTS));
    let outputs = kept.chunks_mut(BLOCK_ELEMENTS).zip(signed.chunks_mut(BLOCK_ELEMENTS));
    let block = |((p, random), (kept, signed))| Probabilities { p, random, drop, kept, signed };
    kernels.run(inputs.zip(outputs).map(block).collect());
}

struct Probabilities<'a, T> {
    p: &'a [T],
    random: &'a [u8],
    drop: Dropout,
    kept: &'a mut [T],
    signed: &'a mut [T],
}

impl<T: Element> Block for Probabilities<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let inputs = self.p.iter().zip(self.random);
        for ((p, random), (kept, signed)) in inputs.zip(self.kept.iter_mut().zip(self.signed)) {
            let p = p.get();
            let is_kept = *random >= self.drop.threshold;
            *kept = T::of(if is_kept { p * self.drop.scale } else { 0.0 });
            *signed = T::of(if is_kept { p } else { -p });
        }
    }
}

/// Arguments and results of [`scores_gradient`].
pub(in crate::runtime) struct ScoresGradient<'a, T> {
    /// Of [`drop_probabilities`], `[batch, heads, queries, keys]`.
    pub(in crate::runtime) signed: &'a [T],
    /// The gradient of the probabilities after dropout, of the same shape.
    pub(in crate::runtime) dkept: &'a [T],
    /// The result of attention, `[batch * queries, heads * size]`.
    pub(in crate::runtime) merged: &'a [T],
    /// Its gradient.
    pub(in crate::runtime) dmerged: &'a [T],
    /// The factor on the scores.
    pub(in crate::runtime) scale: f32,
    /// Dropout of the probabilities.
    pub(in crate::runtime) drop: Dropout,
    /// The gradient of the scores before scaling, of the shape of `signed`.
    pub(in crate::runtime) dscores: &'a mut [T],
    /// The probabilities after dropout again.
    pub(in crate::runtime) kept: &'a mut [T],
}

/// `_scores_gradient`, as `python_export/attention.py` describes it.
pub(in crate::runtime) fn scores_gradient<T: Element>(
    kernels: &Kernels,
    of: Scores,
    a: ScoresGradient<'_, T>,
) {
    let ScoresGradient { scale, drop, .. } = a;
    let size = of.elements().max(1);
    let sequences = (a.signed.len() / size).max(1);
    let merged_size = (a.merged.len() / sequences).max(1);
    let probabilities = a.signed.chunks(size).zip(a.dkept.chunks(size));
    let contexts = a.merged.chunks(merged_size).zip(a.dmerged.chunks(merged_size));
    let outputs = a.dscores.chunks_mut(size).zip(a.kept.chunks_mut(size));
    let blocks = probabilities.zip(contexts).zip(outputs).map(
        |(((signed, dkept), (merged, dmerged)), (dscores, kept))| {
            let one = ScoresGradient { signed, dkept, merged, dmerged, scale, drop, dscores, kept };
            Gradient { of, one }
        },
    );
    kernels.run(blocks.collect());
}

/// One sequence.
struct Gradient<'a, T> {
    of: Scores,
    one: ScoresGradient<'a, T>,
}

impl<T: Element> Block for Gradient<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let Scores { heads, queries, keys } = self.of;
        let (queries, keys) = (queries.max(1), keys.max(1));
        let a = self.one;
        let width = a.merged.len() / queries;
        let size = width / heads.max(1);
        let inputs = a.signed.chunks_exact(keys).zip(a.dkept.chunks_exact(keys));
        let outputs = a.dscores.chunks_exact_mut(keys).zip(a.kept.chunks_exact_mut(keys));
        for (row, ((signed, dkept), (dscores, kept))) in inputs.zip(outputs).enumerate() {
            let (head, query) = (row / queries, row % queries);
            let merged = &a.merged[query * width + head * size..][..size];
            let dmerged = &a.dmerged[query * width + head * size..][..size];
            let total = short_dot(merged, dmerged);
            for (((signed, dkept), dscore), kept) in signed.iter().zip(dkept).zip(dscores).zip(kept)
            {
                let signed = signed.get();
                let is_kept = signed > 0.0;
                let dp = if is_kept { dkept.get() * a.drop.scale } else { 0.0 };
                *dscore = T::of(signed.abs() * (dp - total) * a.scale);
                *kept = T::of(if is_kept { signed * a.drop.scale } else { 0.0 });
            }
        }
    }
}
