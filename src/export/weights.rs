//! Variables of a SavedModel to the weights of `model.safetensors`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, View, serialize_to_file};

use crate::error::{Error, Result};
use crate::files::DISK_HINT;
use crate::model::Tensor;
use crate::saved_model::Weight;

/// A weight as it is written.
struct FileTensor {
    shape: Vec<usize>,
    /// Little-endian floats.
    bytes: Vec<u8>,
}

impl View for &FileTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes the weights, read one variable at a time, and returns how many numbers they are.
///
/// # Errors
///
/// A variable cannot be read or has another shape than its row says; the disk is full.
pub(super) fn write_safetensors(
    path: &Path,
    weights: &[Weight],
    read: &mut dyn FnMut(&str) -> Result<Tensor>,
) -> Result<usize> {
    let mut tensors = Vec::with_capacity(weights.len());
    let mut last: Option<(&str, Tensor)> = None;
    for weight in weights {
        let known = last.take().filter(|(name, _)| *name == weight.variable);
        let (name, variable) = match known {
            Some(known) => known,
            None => (weight.variable.as_str(), read(&weight.variable)?),
        };
        tensors.push((weight.name.as_str(), part(&variable, weight)?));
        last = Some((name, variable));
    }
    // transformers refuses a file that does not say so.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = tensors.iter().map(|(name, tensor)| (*name, tensor));
    serialize_to_file(views, Some(format), path).map_err(|error| {
        Error::new(format!("could not write it: {error}")).at(path).hint(DISK_HINT)
    })?;
    Ok(tensors.iter().map(|(_, tensor)| tensor.bytes.len() / 4).sum())
}

/// The part of a variable that a weight is.
fn part(variable: &Tensor, weight: &Weight) -> Result<FileTensor> {
    let (part, parts) = weight.part;
    let values = variable.floats();
    let width = variable.shape.last().copied().unwrap_or(1);
    let misfit = || {
        Error::new(format!(
            "the variable `{}` has the shape {:?}, which does not fit the weight `{}`",
            weight.variable, variable.shape, weight.name
        ))
    };
    let transposable = variable.shape.len() == 2 || !weight.transposed;
    if width == 0 || width % parts != 0 || !transposable {
        return Err(misfit());
    }
    let columns = part * (width / parts)..(part + 1) * (width / parts);
    let rows = values.len() / width;
    let mut bytes = Vec::with_capacity(4 * rows * columns.len());
    let mut put = |value: f32| bytes.extend_from_slice(&value.to_le_bytes());
    let shape = if weight.transposed {
        for column in columns.clone() {
            (0..rows).for_each(|row| put(values[row * width + column]));
        }
        vec![columns.len(), rows]
    } else {
        for row in values.chunks_exact(width) {
            row[columns.clone()].iter().for_each(|&value| put(value));
        }
        let mut shape = variable.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = columns.len();
        }
        shape
    };
    Ok(FileTensor { shape, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(name: &str, transposed: bool, part: (usize, usize)) -> Weight {
        Weight { name: name.into(), variable: "kernel".into(), transposed, part }
    }

    fn floats(tensor: &FileTensor) -> Vec<f32> {
        let numbers = tensor.bytes.chunks_exact(4);
        numbers.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    #[test]
    fn a_part_of_a_kernel_is_cut_out_and_transposed() {
        // 2 inputs, 2 parts of 2 outputs.
        let kernel = Tensor::from_floats(&[2, 4], vec![1., 2., 3., 4., 5., 6., 7., 8.]);
        let second = part(&kernel, &weight("key", true, (1, 2))).unwrap();
        assert_eq!((second.shape.as_slice(), floats(&second)), (&[2, 2][..], vec![3., 7., 4., 8.]));
        let first = part(&kernel, &weight("query", false, (0, 2))).unwrap();
        assert_eq!((first.shape.as_slice(), floats(&first)), (&[2, 2][..], vec![1., 2., 5., 6.]));
        let bias = Tensor::from_floats(&[4], vec![1., 2., 3., 4.]);
        assert_eq!(floats(&part(&bias, &weight("bias", false, (1, 2))).unwrap()), [3., 4.]);
    }

    #[test]
    fn a_variable_that_cannot_be_cut_or_transposed_is_refused() {
        let bias = Tensor::from_floats(&[4], vec![0.0; 4]);
        assert!(part(&bias, &weight("a", true, (0, 1))).is_err());
        let error = part(&bias, &weight("a", false, (0, 3))).err().unwrap();
        assert!(error.what().contains("`kernel` has the shape [4]"), "{error}");
    }

    #[test]
    fn a_variable_of_several_weights_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let weights = [weight("query", true, (0, 2)), weight("key", true, (1, 2))];
        let mut reads = 0;
        let numbers = write_safetensors(&path, &weights, &mut |name| {
            assert_eq!(name, "kernel");
            reads += 1;
            Ok(Tensor::from_floats(&[1, 2], vec![1.0, 2.0]))
        });
        assert_eq!((numbers.unwrap(), reads), (2, 1));
        let bytes = std::fs::read(&path).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("key").unwrap().data(), 2f32.to_le_bytes());
    }
}
