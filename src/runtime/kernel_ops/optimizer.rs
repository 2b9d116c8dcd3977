//! The optimiser's operations: AdamW's update of a variable, and the updates of single rows of the word embeddings.
//! A row of that table is not updated in every step. When a batch reads it, or all rows are needed, all steps since its
//! last update are made up for at once.
//! `super::call` has the other operations.

use super::super::kernels::{self, CaughtUp, Clip, Constants, Element, Kernels, Missed};
use super::api::Outcome;
use super::call::expect;
use super::context::{Context, Plain, Truth};

/// `update(variable, m, v, terms, clip, constants)`.
pub(super) fn update<T: Plain + Element>(kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
    let (mut weights, mut m, mut v) =
        (c.changed::<f32>(0)?, c.changed::<f32>(1)?, c.changed::<f32>(2)?);
    let after = c.inputs().saturating_sub(7);
    let terms = terms::<T>(c, 3, after)?;
    let elements = weights.elements();
    expect(m.elements() == elements && v.elements() == elements)?;
    expect(terms.iter().all(|term| term.len() == elements))?;
    let clip = Clip { factor: c.scalar(after)?, finite: c.scalar::<Truth>(after + 1)?.get() };
    let constants = constants(c, after + 2)?;
    let (weights, m, v) = (weights.values_mut()?, m.values_mut()?, v.values_mut()?);
    kernels::update(kernels, [weights, m, v], &terms, clip, constants);
    Ok(())
}

/// `move(variable, m, v, constants, scales)`.
pub(super) fn move_table(kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
    let mut weights = c.changed::<f32>(0)?;
    let (m, v) = (c.values(1)?, c.values(2)?);
    expect(m.len() == weights.elements() && v.len() == m.len())?;
    let scales = [c.scalar(8)?, c.scalar(9)?];
    kernels::move_table(kernels, weights.values_mut()?, m, v, constants(c, 3)?, scales);
    Ok(())
}

/// `scale_moments(m, v, scales)`.
pub(super) fn scale_moments(kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
    let (mut m, mut v) = (c.changed::<f32>(0)?, c.changed::<f32>(1)?);
    kernels::scale_moments(kernels, m.values_mut()?, v.values_mut()?, scales(c, 2)?);
    Ok(())
}

/// `row_square_sums(terms)`.
pub(super) fn row_square_sums<T: Plain + Element>(
    kernels: &Kernels,
    c: &Context<'_>,
) -> Outcome<()> {
    let terms = terms::<T>(c, 0, c.inputs())?;
    let shape = &c.input(0)?.shape;
    expect(shape.len() == 2 && terms.iter().all(|term| term.len() == terms[0].len()))?;
    let mut sums = c.output::<f32>(0, &[shape[0], 1])?;
    kernels::row_square_sums(kernels, &terms, c.input(0)?.dim(1), sums.values_mut()?);
    Ok(())
}

/// `missed(steps, count)`.
pub(super) fn missed(c: &Context<'_>) -> Outcome<()> {
    let (steps, count) = (c.values::<f32>(0)?, c.scalar(1)?);
    let window = c.input(0)?.dim(0);
    expect(steps.len() == 3 * window)?;
    let rows = window as i64 + 1;
    let mut coefficients = c.output::<f32>(0, &[rows, kernels::NODES as i64])?;
    let mut epsilons = c.output::<f32>(1, &[kernels::NODES as i64])?;
    let mut factors = c.output::<f32>(2, &[rows])?;
    let of = Missed {
        coefficients: coefficients.values_mut()?,
        epsilons: epsilons.values_mut()?,
        factors: factors.values_mut()?,
    };
    kernels::missed(steps, count, of);
    Ok(())
}

/// `caught_up(missed, weights, m, v, scales)`.
pub(super) fn caught_up(kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
    let (coefficients, factors) = (c.values(0)?, c.values::<f32>(2)?);
    let epsilons = c.values(1)?.try_into();
    let epsilons =
        epsilons.map_err(|_| "the epsilons are not as many as there are nodes".to_owned())?;
    let (weights, m, v) = (c.values::<f32>(3)?, c.values(4)?, c.values(5)?);
    let shape = &c.input(3)?.shape;
    expect(coefficients.len() == kernels::NODES * factors.len())?;
    expect(c.input(3)?.dim(0) == factors.len() && m.len() == weights.len() && v.len() == m.len())?;
    let (mut new_weights, mut new_m) = (c.output::<f32>(0, shape)?, c.output::<f32>(1, shape)?);
    let mut new_v = c.output::<f32>(2, shape)?;
    let of = CaughtUp {
        coefficients,
        epsilons,
        factors,
        weights,
        m,
        v,
        scales: scales(c, 6)?,
        new_weights: new_weights.values_mut()?,
        new_m: new_m.values_mut()?,
        new_v: new_v.values_mut()?,
    };
    kernels::caught_up(kernels, of);
    Ok(())
}

/// The arguments from `first` up to `after`, which are the terms of a gradient.
fn terms<'c, T: Plain>(c: &'c Context<'_>, first: usize, after: usize) -> Outcome<Vec<&'c [T]>> {
    expect(first < after)?;
    (first..after).map(|index| c.values(index)).collect()
}

/// The constants of an update, five arguments from `first` on.
fn constants(c: &Context<'_>, first: usize) -> Outcome<Constants> {
    Ok(Constants {
        decay: c.scalar(first)?,
        rate: c.scalar(first + 1)?,
        beta1: c.scalar(first + 2)?,
        beta2: c.scalar(first + 3)?,
        epsilon: c.scalar(first + 4)?,
    })
}

/// The moments' scales, an argument of two elements.
fn scales(c: &Context<'_>, index: usize) -> Outcome<[f32; 2]> {
    Ok(c.values::<f32>(index)?.try_into().map_err(|_| "the scales are not two numbers")?)
}
