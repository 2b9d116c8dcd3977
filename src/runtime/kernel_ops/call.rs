//! What each operation computes: its arguments are checked, its results allocated, and its kernel runs.

use std::ffi::c_int;

use super::super::functions::{BFLOAT16, FLOAT, Function};
use super::super::kernels::{
    self, Bf16, Element, EmbedBackward, EmbedForward, Heads, Kernels, NormBackward, NormForward,
    Scores, ScoresGradient,
};
use super::api::Outcome;
use super::context::{Context, Plain, Tensor};
use super::optimizer;

/// A node of the graph that runs as a kernel: the function that it computes, and its attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) heads: usize,
    pub(super) epsilon: f32,
    pub(super) scale: f32,
}

/// An error unless `holds`, a condition on the shapes of the arguments.
pub(super) fn expect(holds: bool) -> Outcome<()> {
    if holds { Ok(()) } else { Err("the arguments' shapes do not fit together".into()) }
}

impl Call {
    /// Computes the results of a call.
    pub(super) fn run(self, kernels: &Kernels, context: &Context<'_>) -> Outcome<()> {
        let number = match self.function {
            Function::EmbedForward => context.output_type(0),
            Function::Move | Function::ScaleMoments => FLOAT,
            Function::Update => context.input(3)?.number(),
            _ => context.input(0)?.number(),
        };
        match number {
            FLOAT => self.run_in::<f32>(kernels, context),
            BFLOAT16 => self.run_in::<Bf16>(kernels, context),
            other => Err(format!("it does not compute with the type {other}").into()),
        }
    }

    fn run_in<T: Plain + Element>(self, kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
        match self.function {
            Function::GeluForward => {
                let (x, bias) = (c.values::<T>(0)?, c.values::<f32>(1)?);
                expect(!bias.is_empty() && x.len().is_multiple_of(bias.len()))?;
                let mut y = c.output::<T>(0, &c.input(0)?.shape)?;
                kernels::gelu_forward(kernels, x, bias, y.values_mut()?);
            }
            Function::GeluBackward => {
                let (x, bias, dy) = (c.values::<T>(0)?, c.values::<f32>(1)?, c.values::<T>(3)?);
                expect(!bias.is_empty() && x.len().is_multiple_of(bias.len()))?;
                expect(x.len() == dy.len())?;
                let mut dx = c.output::<T>(0, &c.input(0)?.shape)?;
                kernels::gelu_backward(kernels, x, bias, dy, dx.values_mut()?);
            }
            Function::AddNormForward => self.add_norm_forward::<T>(kernels, c)?,
            Function::AddNormBackward => self.add_norm_backward::<T>(kernels, c)?,
            Function::EmbedForward => self.embed_forward::<T>(kernels, c)?,
            Function::EmbedBackward => self.embed_backward::<T>(kernels, c)?,
            Function::Split => self.split::<T>(kernels, c)?,
            Function::Merge | Function::MergeParts => {
                let first = c.input(0)?;
                let of = heads(first);
                let parts = (0..c.inputs()).map(|index| c.values::<T>(index));
                let parts = parts.collect::<Outcome<Vec<_>>>()?;
                expect(parts.iter().all(|part| part.len() == first.elements()))?;
                let width = parts.len() * of.heads * of.size;
                let shape = [(first.dim(0) * of.length) as i64, width as i64];
                let mut merged = c.output::<T>(0, &shape)?;
                kernels::merge(kernels, of, &parts, merged.values_mut()?);
            }
            Function::Unmerge => {
                let (merged, like) = (c.values::<T>(0)?, c.input(1)?);
                expect(merged.len() == like.elements())?;
                let mut output = c.output::<T>(0, &like.shape)?;
                kernels::unmerge(kernels, heads(like), merged, output.values_mut()?);
            }
            Function::ScaleAndOffset => {
                let (x, offset) = (c.input(0)?, c.values::<f32>(1)?);
                let of = scores(x);
                let per_sequence = offset.len() / x.dim(0).max(1);
                expect([of.keys, of.keys * of.queries].contains(&per_sequence))?;
                let mut y = c.output::<T>(0, &x.shape)?;
                let x = x.values::<T>()?;
                kernels::scale_and_offset(kernels, of, x, offset, self.scale, y.values_mut()?);
            }
            Function::Draw => {
                let words = c.input(0)?.elements().div_ceil(4);
                let key = c.values::<u32>(1)?.try_into();
                let key = key.map_err(|_| "the key is not two words")?;
                let mut random = c.output::<u32>(0, &[words as i64])?;
                kernels::draw(kernels, key, random.values_mut()?);
            }
            Function::Drop => {
                let (x, drop) = (c.values::<T>(0)?, c.dropout(1)?);
                let mut y = c.output::<T>(0, &c.input(0)?.shape)?;
                kernels::drop_elements(kernels, x, drop, y.values_mut()?);
            }
            Function::DropProbabilities => {
                let (p, random) = (c.values::<T>(0)?, c.values::<u8>(1)?);
                expect(random.len() >= p.len())?;
                let shape = &c.input(0)?.shape;
                let (mut kept, mut signed) = (c.output::<T>(0, shape)?, c.output::<T>(1, shape)?);
                let drop = c.dropout(2)?;
                let (kept, signed) = (kept.values_mut()?, signed.values_mut()?);
                kernels::drop_probabilities(kernels, p, random, drop, kept, signed);
            }
            Function::ScoresGradient => self.scores_gradient::<T>(kernels, c)?,
            Function::CaughtUp => optimizer::caught_up(kernels, c)?,
            Function::Missed => optimizer::missed(c)?,
            Function::Move => optimizer::move_table(kernels, c)?,
            Function::RowSquareSums => optimizer::row_square_sums::<T>(kernels, c)?,
            Function::ScaleMoments => optimizer::scale_moments(kernels, c)?,
            Function::Update => optimizer::update::<T>(kernels, c)?,
        }
        Ok(())
    }

    fn add_norm_forward<T: Plain + Element>(
        self,
        kernels: &Kernels,
        c: &Context<'_>,
    ) -> Outcome<()> {
        let (x, bias, residual) = (c.values::<T>(0)?, c.values::<f32>(1)?, c.values::<T>(2)?);
        let (gamma, beta) = (c.values::<f32>(3)?, c.values::<f32>(4)?);
        let rows = rows(x.len(), bias.len())?;
        expect(residual.len() == x.len() && gamma.len() == bias.len() && beta.len() == bias.len())?;
        let shape = &c.input(0)?.shape;
        let (mut y, mut normed) = (c.output::<T>(0, shape)?, c.output::<T>(1, shape)?);
        let mut inverse = c.output::<f32>(2, &[rows as i64, 1])?;
        let (y, normed, inverse) = (y.values_mut()?, normed.values_mut()?, inverse.values_mut()?);
        let (epsilon, drop) = (self.epsilon, c.dropout(5)?);
        let of = NormForward { x, bias, residual, gamma, beta, epsilon, drop, y, normed, inverse };
        kernels::add_norm_forward(kernels, of);
        Ok(())
    }

    fn add_norm_backward<T: Plain + Element>(
        self,
        kernels: &Kernels,
        c: &Context<'_>,
    ) -> Outcome<()> {
        let (normed, inverse) = (c.values::<T>(0)?, c.values::<f32>(1)?);
        let (gamma, dy, dresidual) = (c.values::<f32>(2)?, c.values::<T>(3)?, c.values::<T>(4)?);
        let rows = rows(normed.len(), gamma.len())?;
        expect(inverse.len() == rows && dy.len() == normed.len() && dresidual.len() == dy.len())?;
        let (shape, width) = (&c.input(0)?.shape, [gamma.len() as i64]);
        let (mut dx, mut dbias) = (c.output::<T>(0, shape)?, c.output::<f32>(1, &width)?);
        let (mut dz, mut dgamma) = (c.output::<T>(2, shape)?, c.output::<f32>(3, &width)?);
        let mut dbeta = c.output::<f32>(4, &width)?;
        let of = NormBackward {
            normed,
            inverse,
            gamma,
            dy,
            dresidual,
            drop: c.dropout(5)?,
            dx: dx.values_mut()?,
            dbias: dbias.values_mut()?,
            dz: dz.values_mut()?,
            dgamma: dgamma.values_mut()?,
            dbeta: dbeta.values_mut()?,
        };
        kernels::add_norm_backward(kernels, of);
        Ok(())
    }

    fn embed_forward<T: Plain + Element>(self, kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
        let (words, positions) = (c.values::<f32>(0)?, c.values::<f32>(1)?);
        let (types, gamma, beta) = (c.values::<f32>(2)?, c.values::<f32>(3)?, c.values::<f32>(4)?);
        let rows = rows(words.len(), gamma.len())?;
        expect(types.len() == words.len() && beta.len() == gamma.len())?;
        expect(positions.len() == gamma.len() * c.input(0)?.dim(1))?;
        let shape = [rows as i64, gamma.len() as i64];
        let (mut y, mut normed) = (c.output::<T>(0, &shape)?, c.output::<T>(1, &shape)?);
        let mut inverse = c.output::<f32>(2, &[rows as i64, 1])?;
        let of = EmbedForward::<T> {
            words,
            positions,
            types,
            gamma,
            beta,
            epsilon: self.epsilon,
            drop: c.dropout(5)?,
            y: y.values_mut()?,
            normed: normed.values_mut()?,
            inverse: inverse.values_mut()?,
        };
        kernels::embed_forward(kernels, of);
        Ok(())
    }

    fn embed_backward<T: Plain + Element>(self, kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
        let (normed, inverse) = (c.values::<T>(0)?, c.values::<f32>(1)?);
        let (gamma, dy, dresidual) = (c.values::<f32>(2)?, c.values::<T>(3)?, c.values::<T>(4)?);
        let rows = rows(normed.len(), gamma.len())?;
        expect(inverse.len() == rows && dy.len() == normed.len() && dresidual.len() == dy.len())?;
        let width = [gamma.len() as i64];
        let (mut dz, mut dgamma) =
            (c.output::<f32>(0, &c.input(0)?.shape)?, c.output::<f32>(1, &width)?);
        let mut dbeta = c.output::<f32>(2, &width)?;
        let (dz, drop) = (dz.values_mut()?, c.dropout(5)?);
        let (dgamma, dbeta) = (dgamma.values_mut()?, dbeta.values_mut()?);
        let of = EmbedBackward { normed, inverse, gamma, dy, dresidual, drop, dz, dgamma, dbeta };
        kernels::embed_backward(kernels, of);
        Ok(())
    }

    fn split<T: Plain + Element>(self, kernels: &Kernels, c: &Context<'_>) -> Outcome<()> {
        let (product, bias, batch) = (c.values::<T>(0)?, c.values::<f32>(1)?, c.input(2)?.dim(0));
        let parts = usize::try_from(c.outputs()).unwrap_or(1).max(1);
        let rows = rows(product.len(), bias.len())?;
        let size = bias.len() / parts / self.heads;
        expect(size > 0 && bias.len() == size * parts * self.heads)?;
        expect(batch > 0 && rows.is_multiple_of(batch))?;
        let of = Heads { heads: self.heads, length: rows / batch, size };
        let shape = [batch, of.heads, of.length, of.size].map(|dim| dim as i64);
        let outputs = (0..parts).map(|part| c.output::<T>(part as c_int, &shape));
        let mut outputs = outputs.collect::<Outcome<Vec<_>>>()?;
        let values = outputs.iter_mut().map(Tensor::values_mut::<T>);
        let mut values = values.collect::<Outcome<Vec<_>>>()?;
        kernels::split(kernels, of, product, bias, &mut values);
        Ok(())
    }

    fn scores_gradient<T: Plain + Element>(
        self,
        kernels: &Kernels,
        c: &Context<'_>,
    ) -> Outcome<()> {
        let signed = c.input(0)?;
        let of = scores(signed);
        let (dkept, merged, dmerged) = (c.values::<T>(1)?, c.values::<T>(2)?, c.values::<T>(3)?);
        expect(dkept.len() == signed.elements() && merged.len() == dmerged.len())?;
        expect(merged.len().is_multiple_of((signed.dim(0) * of.queries * of.heads).max(1)))?;
        let (mut dscores, mut kept) =
            (c.output::<T>(0, &signed.shape)?, c.output::<T>(1, &signed.shape)?);
        let a = ScoresGradient {
            signed: signed.values::<T>()?,
            dkept,
            merged,
            dmerged,
            scale: self.scale,
            drop: c.dropout(4)?,
            dscores: dscores.values_mut()?,
            kept: kept.values_mut()?,
        };
        kernels::scores_gradient(kernels, of, a);
        Ok(())
    }
}

/// The numbers of heads, queries and keys of attention scores, whose shape is `[batch, heads, queries, keys]`.
fn scores(tensor: &Tensor<'_>) -> Scores {
    Scores { heads: tensor.dim(1), queries: tensor.dim(2), keys: tensor.dim(3) }
}

/// The number of heads, the length and the size of a head of a tensor of the shape `[batch, heads, length, size]`.
fn heads(tensor: &Tensor<'_>) -> Heads {
    Heads { heads: tensor.dim(1), length: tensor.dim(2), size: tensor.dim(3) }
}

/// How many rows of `width` a tensor of `elements` has. Four elements share a random word, so the width is a multiple
/// of 4.
fn rows(elements: usize, width: usize) -> Outcome<usize> {
    expect(width > 0 && width.is_multiple_of(4) && elements.is_multiple_of(width))?;
    Ok(elements / width)
}
