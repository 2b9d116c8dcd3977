//! Layer normalisation (Ba, Kiros and Hinton, 2016) of a residual sum, and its gradient.

use super::dropout::Dropout;
use super::math::{dot, sum};
use super::{BLOCK_ROWS, Block, Element, Kernels, add_up};

/// Arguments and results of [`add_norm_forward`]: N rows of width H.
pub(in crate::runtime) struct NormForward<'a, T> {
    /// A dense layer's product, `[N, H]`.
    pub(in crate::runtime) x: &'a [T],
    /// Its bias, `[H]`.
    pub(in crate::runtime) bias: &'a [f32],
    /// What `x` is added to, `[N, H]`.
    pub(in crate::runtime) residual: &'a [T],
    /// Scale, `[H]`.
    pub(in crate::runtime) gamma: &'a [f32],
    /// Offset, `[H]`.
    pub(in crate::runtime) beta: &'a [f32],
    /// Added to the variance.
    pub(in crate::runtime) epsilon: f32,
    /// Dropout of `x + bias`.
    pub(in crate::runtime) drop: Dropout,
    /// The result, `[N, H]`.
    pub(in crate::runtime) y: &'a mut [T],
    /// The rows with mean 0 and variance 1, `[N, H]`.
    pub(in crate::runtime) normed: &'a mut [T],
    /// The inverse of each row's standard deviation, `[N, 1]`.
    pub(in crate::runtime) inverse: &'a mut [f32],
}

/// `_add_norm_forward`: `LayerNorm(residual + dropout(x + bias))`.
pub(in crate::runtime) fn add_norm_forward<T: Element>(kernels: &Kernels, of: NormForward<'_, T>) {
    let NormForward { bias, gamma, beta, epsilon, drop, .. } = of;
    let size = BLOCK_ROWS * bias.len().max(1);
    let inputs = of.x.chunks(size).zip(of.residual.chunks(size));
    let outputs = of.y.chunks_mut(size).zip(of.normed.chunks_mut(size));
    let blocks = inputs.zip(outputs).zip(of.inverse.chunks_mut(BLOCK_ROWS)).enumerate();
    let forward = |(block, (((x, residual), (y, normed)), inverse))| {
        let rows =
            NormForward { x, bias, residual, gamma, beta, epsilon, drop, y, normed, inverse };
        Forward { first: block * size, rows }
    };
    kernels.run(blocks.map(forward).collect());
}

/// A block of rows. `first` is the index of its first element in the whole tensor, on which the dropout mask depends.
struct Forward<'a, T> {
    first: usize,
    rows: NormForward<'a, T>,
}

impl<T: Element> Block for Forward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let NormForward { x, bias, residual, gamma, beta, epsilon, drop, y, normed, inverse } =
            self.rows;
        let width = bias.len();
        let mut z = vec![0.0; width];
        let inputs = x.chunks_exact(width).zip(residual.chunks_exact(width));
        let outputs = y.chunks_exact_mut(width).zip(normed.chunks_exact_mut(width));
        for (row, (((x, residual), (y, normed)), inverse)) in
            inputs.zip(outputs).zip(inverse).enumerate()
        {
            for ((z, x), bias) in z.iter_mut().zip(x).zip(bias) {
                *z = x.get() + bias;
            }
            drop.apply(self.first + row * width, &mut z);
            for (z, residual) in z.iter_mut().zip(residual) {
                *z += residual.get();
            }
            *inverse = standardise(&mut z, epsilon);
            for (normed, z) in normed.iter_mut().zip(&z) {
                *normed = T::of(*z);
            }
            for ((y, z), (gamma, beta)) in y.iter_mut().zip(&z).zip(gamma.iter().zip(beta)) {
                *y = T::of(z.mul_add(*gamma, *beta));
            }
        }
    }
}

/// Gives a row mean 0 and variance 1; the result is the inverse of its standard deviation.
#[inline(always)]
pub(super) fn standardise(z: &mut [f32], epsilon: f32) -> f32 {
    let factor = 1.0 / z.len() as f32;
    let mean = sum(z) * factor;
    for z in z.iter_mut() {
        *z -= mean;
    }
    let variance = dot(z, z) * factor;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for z in z.iter_mut() {
        *z *= inverse;
    }
    inverse
}

/// Arguments and results of [`add_norm_backward`]: N rows of width H.
pub(in crate::runtime) struct NormBackward<'a, T> {
    /// Of [`NormForward`].
    pub(in crate::runtime) normed: &'a [T],
    /// Of [`NormForward`].
    pub(in crate::runtime) inverse: &'a [f32],
    /// Of [`NormForward`].
    pub(in crate::runtime) gamma: &'a [f32],
    /// The gradient of `y` from the matrix product that reads it, `[N, H]`. A residual sum reads `y` too, so that the
    /// whole gradient is `dy + dresidual`.
    pub(in crate::runtime) dy: &'a [T],
    /// The gradient of `y` from the residual sum that reads it, `[N, H]`.
    pub(in crate::runtime) dresidual: &'a [T],
    /// Of [`NormForward`].
    pub(in crate::runtime) drop: Dropout,
    /// The gradient of `x`, `[N, H]`.
    pub(in crate::runtime) dx: &'a mut [T],
    /// Of the bias, `[H]`.
    pub(in crate::runtime) dbias: &'a mut [f32],
    /// Of the residual, `[N, H]`.
    pub(in crate::runtime) dz: &'a mut [T],
    /// Of the scale, `[H]`.
    pub(in crate::runtime) dgamma: &'a mut [f32],
    /// Of the offset, `[H]`.
    pub(in crate::runtime) dbeta: &'a mut [f32],
}

/// `_add_norm_backward`: the gradients of [`add_norm_forward`].
pub(in crate::runtime) fn add_norm_backward<T: Element>(
    kernels: &Kernels,
    of: NormBackward<'_, T>,
) {
    let NormBackward { gamma, drop, .. } = of;
    let width = gamma.len().max(1);
    let size = BLOCK_ROWS * width;
    let count = of.normed.len().div_ceil(size);
    let [mut dbias, mut dgamma, mut dbeta] = [(); 3].map(|()| vec![0.0; count * width]);
    let inputs = of.normed.chunks(size).zip(of.inverse.chunks(BLOCK_ROWS));
    let inputs = inputs.zip(of.dy.chunks(size).zip(of.dresidual.chunks(size)));
    let outputs = of.dx.chunks_mut(size).zip(of.dz.chunks_mut(size));
    let sums = dgamma.chunks_exact_mut(width).zip(dbeta.chunks_exact_mut(width));
    let sums = sums.zip(dbias.chunks_exact_mut(width));
    let blocks = inputs.zip(outputs).zip(sums).enumerate().map(
        |(block, ((((normed, inverse), (dy, dresidual)), (dx, dz)), ((dgamma, dbeta), dbias)))| {
            let rows = NormBackward {
                normed,
                inverse,
                gamma,
                dy,
                dresidual,
                drop,
                dx,
                dbias,
                dz,
                dgamma,
                dbeta,
            };
            Backward { first: block * size, rows }
        },
    );
    kernels.run(blocks.collect());
    add_up(&dbias, of.dbias);
    add_up(&dgamma, of.dgamma);
    add_up(&dbeta, of.dbeta);
}

/// A block of rows. `first` is the index of its first element in the whole tensor, on which the dropout mask depends.
/// `dbias`, `dgamma` and `dbeta` are sums over this block alone, and 0 before it is computed.
struct Backward<'a, T> {
    first: usize,
    rows: NormBackward<'a, T>,
}

impl<T: Element> Block for Backward<'_, T> {
    #[inline(always)]
    fn compute(self) {
        let of = self.rows;
        let width = of.gamma.len();
        let mut scratch = Gradient::new(width);
        let inputs = of.normed.chunks_exact(width).zip(of.inverse);
        let inputs = inputs.zip(of.dy.chunks_exact(width).zip(of.dresidual.chunks_exact(width)));
        let outputs = of.dx.chunks_exact_mut(width).zip(of.dz.chunks_exact_mut(width));
        for (row, (((normed, inverse), (dy, dresidual)), (dx, dz))) in
            inputs.zip(outputs).enumerate()
        {
            for ((sum, dy), dresidual) in scratch.dy.iter_mut().zip(dy).zip(dresidual) {
                *sum = dy.get() + dresidual.get();
            }
            scratch.of_row(normed, *inverse, of.gamma, of.dgamma, of.dbeta);
            for (dz, found) in dz.iter_mut().zip(&scratch.dz) {
                *dz = T::of(*found);
            }
            of.drop.apply(self.first + row * width, &mut scratch.dz);
            for (dx, found) in dx.iter_mut().zip(&scratch.dz) {
                *dx = T::of(*found);
            }
            for (dbias, found) in of.dbias.iter_mut().zip(&scratch.dz) {
                *dbias += found;
            }
        }
    }
}

/// The gradient of one row's layer normalisation.
pub(super) struct Gradient {
    /// The gradient of the result, `[H]`: the argument.
    pub(super) dy: Vec<f32>,
    /// The gradient of the row before normalisation, `[H]`.
    pub(super) dz: Vec<f32>,
    normed: Vec<f32>,
}

impl Gradient {
    pub(super) fn new(width: usize) -> Self {
        let [dy, dz, normed] = [(); 3].map(|()| vec![0.0; width]);
        Self { dy, dz, normed }
    }

    /// Computes `dz` from `dy`, and adds to the gradients of scale and offset.
    #[inline(always)]
    pub(super) fn of_row<T: Element>(
        &mut self,
        normed: &[T],
        inverse: f32,
        gamma: &[f32],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        let width = gamma.len();
        let (dy, dz, z) = (&self.dy[..width], &mut self.dz[..width], &mut self.normed[..width]);
        // Loops that write to one place each: a compiler makes vector instructions of them without asking at run time
        // which of many slices overlap.
        for (z, normed) in z.iter_mut().zip(normed) {
            *z = normed.get();
        }
        for ((dz, dy), gamma) in dz.iter_mut().zip(dy).zip(gamma) {
            *dz = dy * gamma;
        }
        for ((dgamma, dy), z) in dgamma.iter_mut().zip(dy).zip(&*z) {
            *dgamma += dy * z;
        }
        for (dbeta, dy) in dbeta.iter_mut().zip(dy) {
            *dbeta += dy;
        }
        let factor = 1.0 / width as f32;
        let mean = sum(dz) * factor;
        let covariance = dot(dz, z) * factor;
        for (dz, z) in dz.iter_mut().zip(&*z) {
            *dz = (*dz - mean - z * covariance) * inverse;
        }
    }
}
