//! The embedding layer: the sum of word, position and segment embeddings, LayerNorm of it, dropout, and the gradients.

use super::dropout::Dropout;
use super::norm::{Gradient, standardise};
use super::{BLOCK_ROWS, Block, Element, Kernels, add_up};

/// Arguments and results of [`embed_forward`]: `[batch, length]` tokens of width H, N in all.
pub(in crate::runtime) struct EmbedForward<'a, T> {
    /// Rows of the word embeddings, `[N, H]`.
    pub(in crate::runtime) words: &'a [f32],
    /// Rows of the position embeddings, `[length, H]`.
    pub(in crate::runtime) positions: &'a [f32],
    /// Rows of the segment embeddings, `[N, H]`.
    pub(in crate::runtime) types: &'a [f32],
    /// Scale, `[H]`.
    pub(in crate::runtime) gamma: &'a [f32],
    /// Offset, `[H]`.
    pub(in crate::runtime) beta: &'a [f32],
    /// Added to the variance.
    pub(in crate::runtime) epsilon: f32,
    /// Dropout of the result.
    pub(in crate::runtime) drop: Dropout,
    /// The result, `[N, H]`.
    pub(in crate::runtime) y: &'a mut [T],
    /// The rows with mean 0 and variance 1, `[N, H]`.
    pub(in crate::runtime) normed: &'a mut [T],
    /// The inverse of each row's standard deviation, `[N, 1]`.
    pub(in crate::runtime) inverse: &'a mut [f32],
}

/// `_embed_forward`: `dropout(LayerNorm(words + positions + types))`.
pub(in crate::runtime) fn embed_forward<T: Element>(kernels: &Kernels, of: EmbedForward<'_, T>) {
    let EmbedForward { positions, gamma, beta, epsilon, drop, .. } = of;
    let size = BLOCK_ROWS * gamma.len().max(1);
    let inputs = of.words.chunks(size).zip(of.types.chunks(size));
    let outputs = of.y.chunks_mut(size).zip(of.normed.chunks_mut(size));
    let blocks = inputs.zip(outputs).zip(of.inverse.chunks_mut(BLOCK_ROWS)).enumerate();
    let forward = |(block, (((words, types), (y, normed)), inverse))| {
        let rows = EmbedForward {
            words,
            positions,
            types,
            gamma,
            beta,
            epsilon,
            drop,
            y,
            normed,
            inverse,
        };
        Forward { first: block * BLOCK_ROWS, rows }
    };
    kernels.run(blocks.map(forward).collect());
}

/// A block of rows. `first` is the index of its first row in the whole tensor.
struct Forward<'a, T> {
    first: usize,
    rows: EmbedForward<'a, T>,
}

impl<T: Element> Block for Forward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let of = self.rows;
        let width = of.gamma.len();
        let length = (of.positions.len() / width).max(1);
        let mut z = vec![0.0; width];
        let inputs = of.words.chunks_exact(width).zip(of.types.chunks_exact(width));
        let outputs = of.y.chunks_exact_mut(width).zip(of.normed.chunks_exact_mut(width));
        for (row, (((words, types), (y, normed)), inverse)) in
            inputs.zip(outputs).zip(of.inverse).enumerate()
        {
            let number = self.first + row;
            let positions = &of.positions[number % length * width..][..width];
            for (((z, word), position), kind) in z.iter_mut().zip(words).zip(positions).zip(types) {
                *z = word + position + kind;
            }
            *inverse = standardise(&mut z, of.epsilon);
            for ((normed, z), (gamma, beta)) in
                normed.iter_mut().zip(&mut z).zip(of.gamma.iter().zip(of.beta))
            {
                *normed = T::of(*z);
                *z = z.mul_add(*gamma, *beta);
            }
            of.drop.apply(number * width, &mut z);
            for (y, z) in y.iter_mut().zip(&z) {
                *y = T::of(*z);
            }
        }
    }
}

/// Arguments and results of [`embed_backward`]: N rows of width H.
pub(in crate::runtime) struct EmbedBackward<'a, T> {
    /// Of [`EmbedForward`].
    pub(in crate::runtime) normed: &'a [T],
    /// Of [`EmbedForward`].
    pub(in crate::runtime) inverse: &'a [f32],
    /// Of [`EmbedForward`].
    pub(in crate::runtime) gamma: &'a [f32],
    /// The gradient of `y` from the matrix product that reads it, `[N, H]`. A residual sum reads `y` too, so that the
    /// whole gradient is `dy + dresidual`.
    pub(in crate::runtime) dy: &'a [T],
    /// The gradient of `y` from the residual sum that reads it, `[N, H]`.
    pub(in crate::runtime) dresidual: &'a [T],
    /// Of [`EmbedForward`].
    pub(in crate::runtime) drop: Dropout,
    /// The gradient of the sum of the embeddings, `[N, H]`.
    pub(in crate::runtime) dz: &'a mut [f32],
    /// Of the scale, `[H]`.
    pub(in crate::runtime) dgamma: &'a mut [f32],
    /// Of the offset, `[H]`.
    pub(in crate::runtime) dbeta: &'a mut [f32],
}

/// `_embed_backward`: the gradients of [`embed_forward`].
pub(in crate::runtime) fn embed_backward<T: Element>(kernels: &Kernels, of: EmbedBackward<'_, T>) {
    let EmbedBackward { gamma, drop, .. } = of;
    let width = gamma.len().max(1);
    let size = BLOCK_ROWS * width;
    let count = of.normed.len().div_ceil(size);
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| vec![0.0; count * width]);
    let inputs = of.normed.chunks(size).zip(of.inverse.chunks(BLOCK_ROWS));
    let inputs = inputs.zip(of.dy.chunks(size).zip(of.dresidual.chunks(size)));
    let sums = dgamma.chunks_exact_mut(width).zip(dbeta.chunks_exact_mut(width));
    let blocks = inputs.zip(of.dz.chunks_mut(size)).zip(sums).enumerate().map(
        |(block, ((((normed, inverse), (dy, dresidual)), dz), (dgamma, dbeta)))| {
            let rows =
                EmbedBackward { normed, inverse, gamma, dy, dresidual, drop, dz, dgamma, dbeta };
            Backward { first: block * size, rows }
        },
    );
    kernels.run(blocks.collect());
    add_up(&dgamma, of.dgamma);
    add_up(&dbeta, of.dbeta);
}

/// A block of rows. `first` is the index of its first element in the whole tensor, on which the dropout mask depends.
/// `dgamma` and `dbeta` are sums over this block alone, and 0 before it is computed.
struct Backward<'a, T> {
    first: usize,
    rows: EmbedBackward<'a, T>,
}

impl<T: Element> Block for Backward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let of = self.rows;
        let width = of.gamma.len();
        let mut scratch = Gradient::new(width);
        let inputs = of.normed.chunks_exact(width).zip(of.inverse);
        let inputs = inputs.zip(of.dy.chunks_exact(width).zip(of.dresidual.chunks_exact(width)));
        for (row, (((normed, inverse), (dy, dresidual)), dz)) in
            inputs.zip(of.dz.chunks_exact_mut(width)).enumerate()
        {
            for ((sum, dy), dresidual) in scratch.dy.iter_mut().zip(dy).zip(dresidual) {
                *sum = dy.get() + dresidual.get();
            }
            of.drop.apply(self.first + row * width, &mut scratch.dy);
            scratch.of_row(normed, *inverse, of.gamma, of.dgamma, of.dbeta);
            dz.copy_from_slice(&scratch.dz);
        }
    }
}
