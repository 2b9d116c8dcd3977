//! Functions of float32 that compilers turn into vector instructions: no branches, no calls.

use super::Element;

/// The number of partial sums in which a row is added up. It is fixed, so that a sum has the same bits on every
/// processor. It is large because LLVM replaces a loop of 32 or fewer rounds by its rounds before it looks for vector
/// instructions, and then finds none.
const LANES: usize = 128;

/// `exp(x)` for x ≤ 0, with a relative error below 3e-7; below -87, where it is less than 2e-38, it is that at -87.
///
/// `x = n ln 2 + r` with |r| ≤ ln 2 / 2, and `exp(r)` by its Taylor polynomial of degree 6.
#[inline(always)]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    const LEAST: f32 = -87.0;
    // Adding it rounds to an integer, and leaves that integer in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    // ln 2 as a sum of which the first part has few bits, so that its product with n is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < LEAST { LEAST } else { x };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUNDING);
    let n = shifted - ROUNDING;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, clamped));
    let mut sum = 1.0f32 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum.mul_add(r, coefficient);
    }
    // The exponent's bits hold n + 127.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    sum * power
}

/// The normal distribution function at h, and `exp(-h² / 2)`.
///
/// By formula 7.1.26 of Abramowitz and Stegun, *Handbook of Mathematical Functions* (1964), for the error function,
/// whose error is at most 1.5e-7: half of that here.
#[inline(always)]
pub(super) fn normal_distribution(h: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1;
    const A: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_72, 0.254_829_6];
    let x = h.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let exponential = exp_of_negative(-0.5 * h * h);
    let t = 1.0 / P.mul_add(x, 1.0);
    let mut sum = A[0];
    for coefficient in &A[1..] {
        sum = sum.mul_add(t, *coefficient);
    }
    // Half of erfc(|x|): the tail beyond |h|.
    let tail = 0.5 * sum * t * exponential;
    (if h < 0.0 { tail } else { 1.0 - tail }, exponential)
}

/// The sum of a row's elements.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    sum_of_lanes(lanes)
}

/// The scalar product of two rows.
#[inline(always)]
pub(super) fn dot<T: Element>(x: &[T], y: &[T]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = x_chunks.remainder().iter().zip(y_chunks.remainder());
    for (x, y) in x_chunks.zip(y_chunks) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = x.get().mul_add(y.get(), *lane);
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(rest) {
        *lane = x.get().mul_add(y.get(), *lane);
    }
    sum_of_lanes(lanes)
}

/// The scalar product of two short rows: [`dot`] adds up more lanes than they have elements.
#[inline(always)]
pub(super) fn short_dot<T: Element>(x: &[T], y: &[T]) -> f32 {
    const SHORT: usize = 16;
    let ((x_chunks, x_rest), (y_chunks, y_rest)) = (x.as_chunks::<SHORT>(), y.as_chunks::<SHORT>());
    let mut lanes = [0.0f32; SHORT];
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        lanes = std::array::from_fn(|lane| x[lane].get().mul_add(y[lane].get(), lanes[lane]));
    }
    let four: [f32; 4] = halve(halve::<8, SHORT>(lanes));
    let rest = x_rest.iter().zip(y_rest);
    let rest = rest.fold(0.0f32, |sum, (x, y)| x.get().mul_add(y.get(), sum));
    (four[0] + four[2]) + (four[1] + four[3]) + rest
}

#[inline(always)]
fn sum_of_lanes(lanes: [f32; LANES]) -> f32 {
    let four: [f32; 4] =
        halve(halve::<8, 16>(halve::<16, 32>(halve::<32, 64>(halve::<64, LANES>(lanes)))));
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The sums of an array's two halves, element by element. Lengths are constants, so that this is one instruction.
#[inline(always)]
fn halve<const HALF: usize, const WHOLE: usize>(lanes: [f32; WHOLE]) -> [f32; HALF] {
    std::array::from_fn(|lane| lanes[lane] + lanes[lane + HALF])
}
