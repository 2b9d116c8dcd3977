//! Arguments and results of a call of an operation, as slices.

use std::ffi::c_int;

use super::super::functions::{BFLOAT16, BOOL, FLOAT, UINT8, UINT32};
use super::super::kernels::{Bf16, Dropout};
use super::api::{Api, Opaque, Outcome, Status};

/// Arguments and results of one call.
pub(super) struct Context<'a> {
    api: &'a Api,
    context: Opaque,
    /// The number of arguments that the operation changes. They are the first ones; `inputs` has those after them.
    changed: usize,
    inputs: Vec<Tensor<'a>>,
}

/// A reference to a tensor of TensorFlow's.
pub(super) struct Tensor<'a> {
    api: &'a Api,
    tensor: Opaque,
    pub(super) shape: Vec<i64>,
}

impl Drop for Tensor<'_> {
    fn drop(&mut self) {
        // SAFETY: this object owns the reference, and drops it once.
        #[allow(unsafe_code)]
        unsafe {
            (self.api.TF_DeleteTensor)(self.tensor);
        }
    }
}

/// An element of a tensor, and its number in `types.proto`. Each value of these types is valid for any bits.
pub(super) trait Plain: Copy + 'static {
    const NUMBER: i32;
}

impl Plain for f32 {
    const NUMBER: i32 = FLOAT;
}

impl Plain for Bf16 {
    const NUMBER: i32 = BFLOAT16;
}

impl Plain for u8 {
    const NUMBER: i32 = UINT8;
}

impl Plain for u32 {
    const NUMBER: i32 = UINT32;
}

/// A truth value: a byte, 0 for false.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Truth(u8);

impl Truth {
    pub(super) fn get(self) -> bool {
        self.0 != 0
    }
}

impl Plain for Truth {
    const NUMBER: i32 = BOOL;
}

impl Tensor<'_> {
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product()
    }

    /// The dimension `index`.
    pub(super) fn dim(&self, index: usize) -> usize {
        self.shape.get(index).map_or(1, |&dim| usize::try_from(dim).unwrap_or(0))
    }

    /// The number of the format in `types.proto`.
    pub(super) fn number(&self) -> i32 {
        // SAFETY: this object owns a reference to the tensor.
        #[allow(unsafe_code)]
        unsafe {
            (self.api.TF_TensorType)(self.tensor)
        }
    }

    fn data<T: Plain>(&self) -> Outcome<*mut T> {
        if self.number() != T::NUMBER {
            let (found, expected) = (self.number(), T::NUMBER);
            return Err(format!("a tensor has the type {found}, expected {expected}").into());
        }
        // SAFETY: this object owns a reference to the tensor.
        #[allow(unsafe_code)]
        let data = unsafe { (self.api.TF_TensorData)(self.tensor) };
        let data = data.cast::<T>();
        if self.elements() > 0 && (data.is_null() || !data.is_aligned()) {
            return Err("a tensor has no memory".into());
        }
        Ok(data)
    }

    pub(super) fn values<T: Plain>(&self) -> Outcome<&[T]> {
        let (data, elements) = (self.data::<T>()?, self.elements());
        if elements == 0 {
            return Ok(&[]);
        }
        // SAFETY: the memory holds `elements` values of this type, and nothing writes to an argument.
        #[allow(unsafe_code)]
        unsafe {
            Ok(std::slice::from_raw_parts(data, elements))
        }
    }

    pub(super) fn values_mut<T: Plain>(&mut self) -> Outcome<&mut [T]> {
        let (data, elements) = (self.data::<T>()?, self.elements());
        if elements == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the memory holds `elements` values of this type. Only this call knows it: it is new, or that of an
        // argument that nothing else holds.
        #[allow(unsafe_code)]
        unsafe {
            Ok(std::slice::from_raw_parts_mut(data, elements))
        }
    }
}

impl<'a> Context<'a> {
    /// Reads the arguments of a call but for the first `changed`, which the operation changes: [`Context::changed`] takes
    /// each of those.
    pub(super) fn open(api: &'a Api, context: Opaque, changed: usize) -> Outcome<Self> {
        // SAFETY: TensorFlow keeps the context valid until the kernel returns.
        #[allow(unsafe_code)]
        let count = unsafe { (api.TF_NumInputs)(context) };
        let count = usize::try_from(count).unwrap_or(0);
        let mut this = Self { api, context, changed, inputs: Vec::new() };
        this.inputs =
            (changed..count).map(|index| this.read_input(index)).collect::<Outcome<_>>()?;
        Ok(this)
    }

    /// A new reference to an argument.
    fn read_input(&self, index: usize) -> Outcome<Tensor<'a>> {
        let (api, status) = (self.api, Status::new(self.api));
        let mut tensor = std::ptr::null_mut();
        // SAFETY: TensorFlow keeps the context valid until the kernel returns; `TF_GetInput` writes a new reference into
        // `tensor`.
        #[allow(unsafe_code)]
        let shape = unsafe {
            (api.TF_GetInput)(self.context, index as c_int, &mut tensor, status.raw());
            status.ok()?;
            (0..(api.TF_NumDims)(tensor)).map(|dim| (api.TF_Dim)(tensor, dim)).collect()
        };
        Ok(Tensor { api, tensor, shape })
    }

    pub(super) fn input(&self, index: usize) -> Outcome<&Tensor<'a>> {
        let tensor = index.checked_sub(self.changed).and_then(|index| self.inputs.get(index));
        tensor.ok_or_else(|| format!("argument {index} is missing").into())
    }

    /// A result that begins as a copy of an argument which the operation changes. If nothing else holds the argument's
    /// memory, the result takes that over and nothing is copied.
    pub(super) fn changed<T: Plain>(&self, index: usize) -> Outcome<Tensor<'a>> {
        // The tensor is dropped at the end of this line: TensorFlow passes its memory on only if there is no reference.
        let shape = self.read_input(index)?.shape.clone();
        let dims = c_int::try_from(shape.len()).unwrap_or(0);
        let (index, status) = (index as c_int, Status::new(self.api));
        let mut forwarded: c_int = -1;
        // SAFETY: the pointers are valid for this call, and TensorFlow keeps the context valid until the kernel returns.
        #[allow(unsafe_code)]
        let tensor = unsafe {
            (self.api.TF_ForwardInputOrAllocateOutput)(
                self.context,
                &index,
                1,
                index,
                shape.as_ptr(),
                dims,
                &mut forwarded,
                status.raw(),
            )
        };
        status.ok()?;
        let mut output = Tensor { api: self.api, tensor, shape };
        if forwarded != index {
            let input = self.read_input(index as usize)?;
            output.values_mut::<T>()?.copy_from_slice(input.values()?);
        }
        Ok(output)
    }

    /// How many arguments there are.
    pub(super) fn inputs(&self) -> usize {
        self.changed + self.inputs.len()
    }

    /// The elements of an argument.
    pub(super) fn values<T: Plain>(&self, index: usize) -> Outcome<&[T]> {
        self.input(index)?.values()
    }

    /// The element of an argument that has one.
    pub(super) fn scalar<T: Plain>(&self, index: usize) -> Outcome<T> {
        let first = self.values(index)?.first().copied();
        first.ok_or_else(|| format!("argument {index} is empty").into())
    }

    /// Dropout from three arguments, the first of them the key.
    pub(super) fn dropout(&self, index: usize) -> Outcome<Dropout> {
        let key = self.values::<u32>(index)?.try_into();
        Ok(Dropout {
            key: key.map_err(|_| "the key is not two words")?,
            threshold: self.scalar(index + 1)?,
            scale: self.scalar(index + 2)?,
        })
    }

    /// A new result.
    pub(super) fn output<T: Plain>(&self, index: c_int, shape: &[i64]) -> Outcome<Tensor<'a>> {
        let elements: usize = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product();
        let dims = c_int::try_from(shape.len()).unwrap_or(0);
        let bytes = elements * size_of::<T>();
        let status = Status::new(self.api);
        // SAFETY: the shape outlives this call, and TensorFlow keeps the context valid until the kernel returns.
        #[allow(unsafe_code)]
        let tensor = unsafe {
            (self.api.TF_AllocateOutput)(
                self.context,
                index,
                T::NUMBER,
                shape.as_ptr(),
                dims,
                bytes,
                status.raw(),
            )
        };
        status.ok()?;
        Ok(Tensor { api: self.api, tensor, shape: shape.to_vec() })
    }

    /// The format of a result.
    pub(super) fn output_type(&self, index: c_int) -> i32 {
        // SAFETY: TensorFlow keeps the context valid until the kernel returns.
        #[allow(unsafe_code)]
        unsafe {
            (self.api.TF_ExpectedOutputDataType)(self.context, index)
        }
    }

    pub(super) fn outputs(&self) -> c_int {
        // SAFETY: TensorFlow keeps the context valid until the kernel returns.
        #[allow(unsafe_code)]
        unsafe {
            (self.api.TF_NumOutputs)(self.context)
        }
    }
}
