//! Attention heads, split from a product and merged again.

use super::{Block, Element, Kernels};

/// The sizes of a tensor of heads, `[batch, heads, length, size]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Heads {
    pub(in crate::runtime) heads: usize,
    pub(in crate::runtime) length: usize,
    pub(in crate::runtime) size: usize,
}

impl Heads {
    /// Elements of a sequence.
    fn elements(self) -> usize {
        self.heads * self.length * self.size
    }
}

/// `_split`: the heads of `product + bias`, `[N, parts * H]`, in as many parts as there are results,
/// `[batch, heads, length, size]` each.
pub(in crate::runtime) fn split<T: Element>(
    kernels: &Kernels,
    of: Heads,
    product: &[T],
    bias: &[f32],
    parts: &mut [&mut [T]],
) {
    let count = parts.len();
    let mut blocks = Vec::new();
    for (part, heads) in parts.iter_mut().enumerate() {
        let sequences = product.chunks(of.elements().max(1) * count);
        for (product, heads) in sequences.zip(heads.chunks_mut(of.elements().max(1))) {
            blocks.push(Split { of, product, bias, part, count, heads });
        }
    }
    kernels.run(blocks);
}

/// One part of one sequence.
struct Split<'a, T> {
    of: Heads,
    product: &'a [T],
    bias: &'a [f32],
    part: usize,
    count: usize,
    heads: &'a mut [T],
}

impl<T: Element> Block for Split<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let Heads { heads, length, size } = self.of;
        let width = heads * size;
        for (head, rows) in self.heads.chunks_exact_mut((length * size).max(1)).enumerate() {
            let column = self.part * width + head * size;
            let bias = &self.bias[column..][..size];
            for (position, row) in rows.chunks_exact_mut(size).enumerate() {
                let product = &self.product[position * self.count * width + column..][..size];
                for ((row, x), bias) in row.iter_mut().zip(product).zip(bias) {
                    *row = T::of(x.get() + bias);
                }
            }
        }
    }
}

/// `_merge` and `_merge_parts`: the heads of each part, `[batch, heads, length, size]`, merged and side by side:
/// `[batch * length, parts * heads * size]`.
pub(in crate::runtime) fn merge<T: Element>(
    kernels: &Kernels,
    of: Heads,
    parts: &[&[T]],
    merged: &mut [T],
) {
    let size = of.elements().max(1);
    let sequences = merged.chunks_mut(size * parts.len().max(1)).enumerate();
    let block = |(sequence, merged)| Merge { of, parts, first: sequence * size, merged };
    kernels.run(sequences.map(block).collect());
}

/// One sequence.
struct Merge<'a, T> {
    of: Heads,
    parts: &'a [&'a [T]],
    /// The number of its first element in each part.
    first: usize,
    merged: &'a mut [T],
}

impl<T: Element> Block for Merge<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let Heads { heads, length, size } = self.of;
        let width = (heads * size).max(1);
        for (position, row) in self.merged.chunks_exact_mut(width * self.parts.len()).enumerate() {
            for (part, row) in self.parts.iter().zip(row.chunks_exact_mut(width)) {
                let part = &part[self.first..];
                for (head, to) in row.chunks_exact_mut(size).enumerate() {
                    copy(&part[(head * length + position) * size..][..size], to);
                }
            }
        }
    }
}

/// `_unmerge`: `[batch * length, heads * size]` to heads, `[batch, heads, length, size]`.
pub(in crate::runtime) fn unmerge<T: Element>(
    kernels: &Kernels,
    of: Heads,
    merged: &[T],
    heads: &mut [T],
) {
    let size = of.elements().max(1);
    let blocks = merged.chunks(size).zip(heads.chunks_mut(size));
    kernels.run(blocks.map(|(merged, heads)| Unmerge { of, merged, heads }).collect());
}

/// One sequence.
struct Unmerge<'a, T> {
    of: Heads,
    merged: &'a [T],
    heads: &'a mut [T],
}

impl<T: Element> Block for Unmerge<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let Heads { heads, length, size } = self.of;
        for (head, rows) in self.heads.chunks_exact_mut((length * size).max(1)).enumerate() {
            for (position, to) in rows.chunks_exact_mut(size).enumerate() {
                copy(&self.merged[position * heads * size + head * size..][..size], to);
            }
        }
    }
}

/// Copies a few elements, without the call that `copy_from_slice` makes.
#[inline(always)]
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
