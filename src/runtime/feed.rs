//! Values for the inputs of a signature.

use std::borrow::Cow;

use tensorflow::{Tensor, TensorType};

use crate::model::{self, Batch, TensorData};

/// A value as TensorFlow takes it.
pub(super) enum Feed {
    Ints(Tensor<i32>),
    Floats(Tensor<f32>),
    Bool(Tensor<bool>),
}

impl Feed {
    /// Integers of a shape.
    pub(super) fn ints(shape: &[usize], values: &[i32]) -> Self {
        Self::Ints(tensor(shape, values))
    }

    /// Floats of a shape.
    pub(super) fn floats(shape: &[usize], values: &[f32]) -> Self {
        Self::Floats(tensor(shape, values))
    }

    /// One number.
    pub(super) fn float(value: f32) -> Self {
        Self::Floats(tensor(&[], &[value]))
    }

    /// One truth value.
    pub(super) fn bool(value: bool) -> Self {
        Self::Bool(tensor(&[], &[value]))
    }
}

impl From<&model::Tensor> for Feed {
    fn from(tensor: &model::Tensor) -> Self {
        match &tensor.data {
            TensorData::Ints(values) => Self::ints(&tensor.shape, values),
            TensorData::Floats(values) => Self::floats(&tensor.shape, values),
        }
    }
}

fn tensor<T: TensorType + Copy>(shape: &[usize], values: &[T]) -> Tensor<T> {
    let dims: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
    let mut tensor = Tensor::new(&dims);
    tensor.copy_from_slice(values);
    tensor
}

/// Values that a run of a signature may be fed, by name.
#[derive(Default)]
pub(super) struct Feeds<'a> {
    batch: Option<&'a Batch>,
    /// Values that the signature must have inputs for.
    arguments: Vec<(Cow<'static, str>, Feed)>,
    /// Values that a signature may do without.
    defaults: Vec<(&'static str, Feed)>,
}

impl<'a> Feeds<'a> {
    /// The tensors of a batch, of which a signature takes those that it names.
    pub(super) fn of(batch: &'a Batch) -> Self {
        Self { batch: Some(batch), ..Self::default() }
    }

    /// Adds a value that the signature must have an input for.
    pub(super) fn add(&mut self, name: impl Into<Cow<'static, str>>, value: Feed) {
        self.arguments.push((name.into(), value));
    }

    /// Adds the value of an option that is off: a signature without the input computes the same.
    pub(super) fn add_default(&mut self, name: &'static str, value: Feed) {
        self.defaults.push((name, value));
    }

    /// The value for each of a signature's inputs, in their order.
    ///
    /// # Errors
    ///
    /// An argument that the signature does not know, or an input that has no value.
    pub(super) fn for_inputs<'n>(
        self,
        inputs: impl Iterator<Item = &'n str>,
    ) -> Result<Vec<(&'n str, Feed)>, String> {
        let Self { batch, arguments, mut defaults } = self;
        let other = |name: &str| match batch.and_then(|batch| batch.tensor(name)) {
            Some(tensor) => Some(Feed::from(tensor)),
            None => {
                let place = defaults.iter().position(|(known, _)| *known == name)?;
                Some(defaults.swap_remove(place).1)
            }
        };
        match_inputs(inputs, arguments, other)
    }
}

/// The value for each of `inputs`: of `arguments`, all of which must be inputs, else what `other` has.
fn match_inputs<'n, V>(
    inputs: impl Iterator<Item = &'n str>,
    mut arguments: Vec<(Cow<'static, str>, V)>,
    mut other: impl FnMut(&str) -> Option<V>,
) -> Result<Vec<(&'n str, V)>, String> {
    let mut found = Vec::new();
    for name in inputs {
        let value = match arguments.iter().position(|(known, _)| known == name) {
            Some(place) => arguments.swap_remove(place).1,
            None => other(name).ok_or_else(|| {
                format!("needs the input `{name}`, which this version does not give")
            })?,
        };
        found.push((name, value));
    }
    match arguments.first() {
        Some((name, _)) => Err(format!("has no input `{name}`")),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a batch has.
    fn batch(name: &str) -> Option<i32> {
        ["input_ids", "attention_mask", "token_type_ids"]
            .iter()
            .position(|known| *known == name)
            .map(|place| place as i32)
    }

    #[test]
    fn a_signature_is_fed_the_tensors_that_it_names_and_no_others() {
        let inputs = ["attention_mask", "dropout", "input_ids"];
        let found = match_inputs(inputs.into_iter(), vec![("dropout".into(), 7)], batch).unwrap();
        assert_eq!(found, [("attention_mask", 1), ("dropout", 7), ("input_ids", 0)]);
    }

    #[test]
    fn an_input_without_a_value_is_an_error() {
        let inputs = ["input_ids", "position_ids"];
        let error = match_inputs(inputs.into_iter(), Vec::new(), batch).unwrap_err();
        assert!(error.contains("needs the input `position_ids`"), "{error}");
    }

    #[test]
    fn an_argument_that_the_signature_does_not_name_is_an_error() {
        let arguments = vec![("momentum".into(), 1)];
        let error = match_inputs(["input_ids"].into_iter(), arguments, batch).unwrap_err();
        assert_eq!(error, "has no input `momentum`");
    }
}
