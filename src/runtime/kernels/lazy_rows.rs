//! The updates that rows of a table missed, made together, as `python_export/lazy_rows.py` describes them.

use std::f64::consts::PI;

use super::{BLOCK_ROWS, Block, Kernels};

/// Points at which `1 / (x + E)` is interpolated.
pub(in crate::runtime) const NODES: usize = 4;

// These keep logarithms and quotients finite where all E are the same, and where epsilon is 0.
const SMALLEST_HALF_SPREAD: f64 = 1e-4;
const SMALLEST_EPSILON: f64 = 1e-30;

/// What rows need to make up for the steps that they missed: the results of [`missed`]. W is the number of steps that
/// the window has room for.
pub(in crate::runtime) struct Missed<'a> {
    /// `[W + 1, NODES]`, by the number of steps that a row already has.
    pub(in crate::runtime) coefficients: &'a mut [f32],
    /// `[NODES]`.
    pub(in crate::runtime) epsilons: &'a mut [f32],
    /// The product of the missed steps' factors `1 - d`, `[W + 1]`.
    pub(in crate::runtime) factors: &'a mut [f32],
}

/// `_missed`: what rows need to make up for the steps that they missed. `steps`, `[W, 3]`, has a, E and the product of
/// `1 - d` of each step, of which the first `count` are taken.
pub(in crate::runtime) fn missed(steps: &[f32], count: f32, of: Missed<'_>) {
    let (steps, _) = steps.as_chunks::<3>();
    // The window's first step stands for all where none is taken.
    let taken = &steps[..(count.max(0.0) as usize).min(steps.len())];
    let counted = if taken.is_empty() { &steps[..steps.len().min(1)] } else { taken };
    let log = |[_, epsilon, _]: &[f32; 3]| f64::from(*epsilon).max(SMALLEST_EPSILON).ln();
    let logs = || counted.iter().map(log);
    let (least, most) = (logs().fold(f64::MAX, f64::min), logs().fold(f64::MIN, f64::max));
    let middle = 0.5 * (least + most);
    let half = (0.5 * (most - least)).max(SMALLEST_HALF_SPREAD);
    let angles: [f64; NODES] = std::array::from_fn(|node| (node as f64 + 0.5) * PI / NODES as f64);
    for (epsilon, angle) in of.epsilons.iter_mut().zip(angles) {
        *epsilon = (middle + half * angle.cos()).exp() as f32;
    }

    let now = taken.last().map_or(1.0, |[_, _, product]| f64::from(*product));
    let quotient = |number: f64, by: f32| if by == 0.0 { 0.0 } else { number / f64::from(by) };
    let products = std::iter::once(1.0).chain(steps.iter().map(|[_, _, product]| *product));
    for (factor, product) in of.factors.iter_mut().zip(products) {
        *factor = quotient(now, product) as f32;
    }

    of.coefficients.fill(0.0);
    let (rows, _) = of.coefficients.as_chunks_mut::<NODES>();
    let mut sums = [0.0; NODES];
    for (row, step) in rows.iter_mut().zip(taken).rev() {
        let [amount, _, product] = *step;
        let amount = quotient(f64::from(amount) * now, product);
        let position = ((log(step) - middle) / half).clamp(-1.0, 1.0);
        let weights = weights_of_nodes(position.acos(), angles);
        for ((sum, weight), coefficient) in sums.iter_mut().zip(weights).zip(row) {
            *sum += amount * weight;
            *coefficient = *sum as f32;
        }
    }
}

/// The interpolated value at the point `cos(angle)` is a weighted sum of the values at Chebyshev's nodes, the points
/// `cos(angles)`. These are the weights.
fn weights_of_nodes(angle: f64, angles: [f64; NODES]) -> [f64; NODES] {
    angles.map(|node| {
        let terms = (1..NODES).map(|k| 2.0 * (k as f64 * angle).cos() * (k as f64 * node).cos());
        (1.0 + terms.sum::<f64>()) / NODES as f64
    })
}

/// Arguments and results of [`caught_up`]: N rows of width H.
pub(in crate::runtime) struct CaughtUp<'a> {
    /// Of each row, `[N, NODES]`.
    pub(in crate::runtime) coefficients: &'a [f32],
    /// Of [`Missed`].
    pub(in crate::runtime) epsilons: [f32; NODES],
    /// Of each row, `[N]`.
    pub(in crate::runtime) factors: &'a [f32],
    /// `[N, H]`.
    pub(in crate::runtime) weights: &'a [f32],
    /// The stored first moments, `[N, H]`.
    pub(in crate::runtime) m: &'a [f32],
    /// The stored second moments, `[N, H]`.
    pub(in crate::runtime) v: &'a [f32],
    /// The moments are stored divided by these.
    pub(in crate::runtime) scales: [f32; 2],
    /// The weights after the steps that the rows missed, `[N, H]`.
    pub(in crate::runtime) new_weights: &'a mut [f32],
    /// The first moments, `[N, H]`.
    pub(in crate::runtime) new_m: &'a mut [f32],
    /// The second moments, `[N, H]`.
    pub(in crate::runtime) new_v: &'a mut [f32],
}

/// `_caught_up`: rows after the steps that they missed.
pub(in crate::runtime) fn caught_up(kernels: &Kernels, of: CaughtUp<'_>) {
    let CaughtUp { epsilons, scales, .. } = of;
    let size = BLOCK_ROWS * (of.weights.len() / of.factors.len().max(1)).max(1);
    let rows = of.coefficients.chunks(BLOCK_ROWS * NODES).zip(of.factors.chunks(BLOCK_ROWS));
    let stored = of.weights.chunks(size).zip(of.m.chunks(size).zip(of.v.chunks(size)));
    let moments = of.new_m.chunks_mut(size).zip(of.new_v.chunks_mut(size));
    let results = of.new_weights.chunks_mut(size).zip(moments);
    let blocks = rows.zip(stored).zip(results).map(
        |(((coefficients, factors), (weights, (m, v))), (new_weights, (new_m, new_v)))| CaughtUp {
            coefficients,
            epsilons,
            factors,
            weights,
            m,
            v,
            scales,
            new_weights,
            new_m,
            new_v,
        },
    );
    kernels.run(blocks.collect());
}

impl Block for CaughtUp<'_> {
    #[inline(always)]
    fn compute(self) {
        let [first, second] = self.scales;
        let width = (self.weights.len() / self.factors.len().max(1)).max(1);
        let (coefficients, _) = self.coefficients.as_chunks::<NODES>();
        let moments = self.m.chunks_exact(width).zip(self.v.chunks_exact(width));
        let stored = self.weights.chunks_exact(width).zip(moments);
        let rows = coefficients.iter().zip(self.factors).zip(stored);
        for (((coefficients, factor), (weights, (m, v))), moved) in
            rows.zip(self.new_weights.chunks_exact_mut(width))
        {
            for ((moved, weight), (m, v)) in moved.iter_mut().zip(weights).zip(m.iter().zip(v)) {
                let root = v.sqrt();
                let mut sum = 0.0;
                for (coefficient, epsilon) in coefficients.iter().zip(self.epsilons) {
                    sum += coefficient / (root + epsilon);
                }
                *moved = factor * weight - m * sum;
            }
        }
        for (scaled, m) in self.new_m.iter_mut().zip(self.m) {
            *scaled = first * m;
        }
        for (scaled, v) in self.new_v.iter_mut().zip(self.v) {
            *scaled = second * v;
        }
    }
}
