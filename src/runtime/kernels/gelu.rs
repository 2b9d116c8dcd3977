//! GELU of a dense layer's product and bias: `h Φ(h)` (Hendrycks and Gimpel, 2016).

use super::math::normal_distribution;
use super::{BLOCK_ROWS, Block, Element, Kernels};

const INV_SQRT_2PI: f32 = 0.398_942_3;

/// `_gelu_forward`: GELU of `x + bias`, x and the result `[N, H]`, the bias `[H]`.
pub(in crate::runtime) fn gelu_forward<T: Element>(
    kernels: &Kernels,
    x: &[T],
    bias: &[f32],
    y: &mut [T],
) {
    let size = BLOCK_ROWS * bias.len().max(1);
    let blocks = x.chunks(size).zip(y.chunks_mut(size));
    kernels.run(blocks.map(|(x, y)| Forward { x, bias, y }).collect());
}

struct Forward<'a, T> {
    x: &'a [T],
    bias: &'a [f32],
    y: &'a mut [T],
}

impl<T: Element> Block for Forward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let width = self.bias.len();
        for (x, y) in self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width)) {
            for ((x, bias), y) in x.iter().zip(self.bias).zip(y) {
                let h = x.get() + bias;
                *y = T::of(h * normal_distribution(h).0);
            }
        }
    }
}

/// `_gelu_backward`: the gradient of `x`, from that of the result, `dy`.
pub(in crate::runtime) fn gelu_backward<T: Element>(
    kernels: &Kernels,
    x: &[T],
    bias: &[f32],
    dy: &[T],
    dx: &mut [T],
) {
    let size = BLOCK_ROWS * bias.len().max(1);
    let blocks = x.chunks(size).zip(dy.chunks(size)).zip(dx.chunks_mut(size));
    kernels.run(blocks.map(|((x, dy), dx)| Backward { x, bias, dy, dx }).collect());
}

struct Backward<'a, T> {
    x: &'a [T],
    bias: &'a [f32],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Element> Block for Backward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let width = self.bias.len();
        let rows = self.x.chunks_exact(width).zip(self.dy.chunks_exact(width));
        for ((x, dy), dx) in rows.zip(self.dx.chunks_exact_mut(width)) {
            for (((x, bias), dy), dx) in x.iter().zip(self.bias).zip(dy).zip(dx) {
                let h = x.get() + bias;
                let (probability, exponential) = normal_distribution(h);
                *dx = T::of(dy.get() * (h * INV_SQRT_2PI).mul_add(exponential, probability));
            }
        }
    }
}
