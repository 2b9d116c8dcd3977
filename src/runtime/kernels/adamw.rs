//! AdamW (Loshchilov and Hutter, 2019), as `python_export/optimizer.py` describes it.

use super::math::dot;
use super::{Block, Element, Kernels};

/// Elements of a block.
const BLOCK: usize = 1 << 15;

/// How many elements of the gradient are computed at a time, in a buffer that fits into the L1 cache.
const AT_ONCE: usize = 1024;

/// What is done to a gradient first.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Clip {
    pub(in crate::runtime) factor: f32,
    /// Whether the gradient's norm is finite: if not, the gradient counts as 0.
    pub(in crate::runtime) finite: bool,
}

/// The numbers of one update; `rate` and `epsilon` contain the bias correction.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Constants {
    pub(in crate::runtime) decay: f32,
    pub(in crate::runtime) rate: f32,
    pub(in crate::runtime) beta1: f32,
    pub(in crate::runtime) beta2: f32,
    pub(in crate::runtime) epsilon: f32,
}

impl Constants {
    /// A weight after a step with these moments.
    #[inline(always)]
    fn moved(self, weight: f32, m: f32, v: f32) -> f32 {
        (1.0 - self.decay) * weight - self.rate * m / (v.sqrt() + self.epsilon)
    }
}

/// `_update`: a variable and its two moments after a step. The gradient is the sum of `terms`. All have the same number
/// of elements.
pub(in crate::runtime) fn update<T: Element>(
    kernels: &Kernels,
    [weights, m, v]: [&mut [f32]; 3],
    terms: &[&[T]],
    clip: Clip,
    constants: Constants,
) {
    let moments = m.chunks_mut(BLOCK).zip(v.chunks_mut(BLOCK));
    let blocks = weights.chunks_mut(BLOCK).zip(moments).enumerate();
    let update = |(block, (weights, (m, v)))| Update {
        first: block * BLOCK,
        weights,
        m,
        v,
        terms,
        clip,
        constants,
    };
    kernels.run(blocks.map(update).collect());
}

/// Some elements of a variable. `first` is the place of the first of them in the terms.
struct Update<'a, T> {
    first: usize,
    weights: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    terms: &'a [&'a [T]],
    clip: Clip,
    constants: Constants,
}

impl<T: Element> Block for Update<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let Constants { beta1, beta2, .. } = self.constants;
        let mut gradient = [0.0f32; AT_ONCE];
        let moments = self.m.chunks_mut(AT_ONCE).zip(self.v.chunks_mut(AT_ONCE));
        let chunks = self.weights.chunks_mut(AT_ONCE).zip(moments);
        for (chunk, (weights, (m, v))) in chunks.enumerate() {
            let gradient = &mut gradient[..weights.len()];
            total(self.terms, self.first + chunk * AT_ONCE, gradient);
            for g in gradient.iter_mut() {
                *g = if self.clip.finite { *g * self.clip.factor } else { 0.0 };
            }
            for (m, g) in m.iter_mut().zip(&*gradient) {
                *m = beta1 * *m + (1.0 - beta1) * g;
            }
            for (v, g) in v.iter_mut().zip(&*gradient) {
                *v = beta2 * *v + (1.0 - beta2) * g * g;
            }
            for (weight, (m, v)) in weights.iter_mut().zip(m.iter().zip(&*v)) {
                *weight = self.constants.moved(*weight, *m, *v);
            }
        }
    }
}

/// The sum of the elements of each term from `first` on.
#[inline(always)]
fn total<T: Element>(terms: &[&[T]], first: usize, sum: &mut [f32]) {
    let [one, others @ ..] = terms else { return };
    for (sum, x) in sum.iter_mut().zip(&one[first..]) {
        *sum = x.get();
    }
    for term in others {
        for (sum, x) in sum.iter_mut().zip(&term[first..]) {
            *sum += x.get();
        }
    }
}

/// `_move`: a table after a step with moments that are stored divided by `scales`.
pub(in crate::runtime) fn move_table(
    kernels: &Kernels,
    weights: &mut [f32],
    m: &[f32],
    v: &[f32],
    constants: Constants,
    scales: [f32; 2],
) {
    let moments = m.chunks(BLOCK).zip(v.chunks(BLOCK));
    let blocks = weights.chunks_mut(BLOCK).zip(moments);
    kernels
        .run(blocks.map(|(weights, (m, v))| Move { weights, m, v, constants, scales }).collect());
}

struct Move<'a> {
    weights: &'a mut [f32],
    m: &'a [f32],
    v: &'a [f32],
    constants: Constants,
    scales: [f32; 2],
}

impl Block for Move<'_> {
    #[inline(always)]
    fn compute(self) {
        let [first, second] = self.scales;
        for (weight, (m, v)) in self.weights.iter_mut().zip(self.m.iter().zip(self.v)) {
            *weight = self.constants.moved(*weight, first * m, second * v);
        }
    }
}

/// `_scale_moments`: both moments, multiplied by `scales`.
pub(in crate::runtime) fn scale_moments(
    kernels: &Kernels,
    m: &mut [f32],
    v: &mut [f32],
    scales: [f32; 2],
) {
    let blocks = [m, v].into_iter().zip(scales).flat_map(|(moments, scale)| {
        moments.chunks_mut(BLOCK).map(move |values| Scale { values, scale })
    });
    kernels.run(blocks.collect());
}

struct Scale<'a> {
    values: &'a mut [f32],
    scale: f32,
}

impl Block for Scale<'_> {
    #[inline(always)]
    fn compute(self) {
        for value in self.values {
            *value *= self.scale;
        }
    }
}

/// `_row_square_sums`: the sum of each row's squares, for a gradient that is the sum of `terms`, `[rows, width]` each.
pub(in crate::runtime) fn row_square_sums<T: Element>(
    kernels: &Kernels,
    terms: &[&[T]],
    width: usize,
    sums: &mut [f32],
) {
    let width = width.max(1);
    let rows = BLOCK.div_ceil(width);
    let blocks = sums.chunks_mut(rows).enumerate();
    let squares = |(block, sums)| RowSquareSums { first: block * rows * width, terms, width, sums };
    kernels.run(blocks.map(squares).collect());
}

/// Some rows of a gradient. `first` is the place of their first element in the terms.
struct RowSquareSums<'a, T> {
    first: usize,
    terms: &'a [&'a [T]],
    width: usize,
    sums: &'a mut [f32],
}

impl<T: Element> Block for RowSquareSums<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let mut gradient = vec![0.0; self.width];
        for (row, sum) in self.sums.iter_mut().enumerate() {
            total(self.terms, self.first + row * self.width, &mut gradient);
            *sum = dot(&gradient, &gradient);
        }
    }
}
