//! The functions of TensorFlow's C API that register and run operations and that write files in memory
//! (`tensorflow/c/ops.h`, `tensorflow/c/kernels.h`, `tensorflow/c/env.h`).

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;

/// A pointer to an object of TensorFlow's, such as a `TF_Status` or a `TF_Tensor`. What it holds is not public.
pub(super) type Opaque = *mut c_void;
type Create = extern "C" fn(Opaque) -> Opaque;
type Compute = extern "C" fn(Opaque, Opaque);
type Delete = extern "C" fn(Opaque);
type InferShapes = extern "C" fn(Opaque, Opaque);

/// `TF_INTERNAL` of `TF_Code`.
const INTERNAL: c_int = 13;

macro_rules! c_api {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the C API that are called here, under their names.
        #[allow(non_snake_case)]
        pub(super) struct Api {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// Looks the functions up.
            pub(super) fn find(library: &libloading::Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: the signatures are those of TensorFlow's headers.
                #[allow(unsafe_code)]
                unsafe {
                    Ok(Self { $($name: *library.get(stringify!($name).as_bytes())?,)* })
                }
            }
        }
    };
}

c_api! {
    TF_NewStatus: fn() -> Opaque;
    TF_DeleteStatus: fn(Opaque);
    TF_SetStatus: fn(Opaque, c_int, *const c_char);
    TF_GetCode: fn(Opaque) -> c_int;
    TF_Message: fn(Opaque) -> *const c_char;
    TF_NewOpDefinitionBuilder: fn(*const c_char) -> Opaque;
    TF_OpDefinitionBuilderAddAttr: fn(Opaque, *const c_char);
    TF_OpDefinitionBuilderAddInput: fn(Opaque, *const c_char);
    TF_OpDefinitionBuilderAddOutput: fn(Opaque, *const c_char);
    TF_OpDefinitionBuilderSetShapeInferenceFunction: fn(Opaque, InferShapes);
    TF_RegisterOpDefinition: fn(Opaque, Opaque);
    TF_ShapeInferenceContextSetUnknownShape: fn(Opaque, Opaque);
    TF_NewKernelBuilder: fn(*const c_char, *const c_char, Create, Compute, Delete) -> Opaque;
    TF_RegisterKernelBuilder: fn(*const c_char, Opaque, Opaque);
    TF_OpKernelConstruction_GetAttrInt64: fn(Opaque, *const c_char, *mut i64, Opaque);
    TF_OpKernelConstruction_GetAttrFloat: fn(Opaque, *const c_char, *mut f32, Opaque);
    TF_OpKernelConstruction_Failure: fn(Opaque, Opaque);
    TF_OpKernelContext_Failure: fn(Opaque, Opaque);
    TF_NumInputs: fn(Opaque) -> c_int;
    TF_NumOutputs: fn(Opaque) -> c_int;
    TF_ExpectedOutputDataType: fn(Opaque, c_int) -> c_int;
    TF_GetInput: fn(Opaque, c_int, *mut Opaque, Opaque);
    TF_ForwardInputOrAllocateOutput:
        fn(Opaque, *const c_int, c_int, c_int, *const i64, c_int, *mut c_int, Opaque) -> Opaque;
    TF_AllocateOutput: fn(Opaque, c_int, c_int, *const i64, c_int, usize, Opaque) -> Opaque;
    TF_CreateDir: fn(*const c_char, Opaque);
    TF_DeleteRecursively: fn(*const c_char, *mut u64, *mut u64, Opaque);
    TF_NewWritableFile: fn(*const c_char, *mut Opaque, Opaque);
    TF_AppendWritableFile: fn(Opaque, *const c_char, usize, Opaque);
    TF_CloseWritableFile: fn(Opaque, Opaque);
    TF_TensorType: fn(Opaque) -> c_int;
    TF_TensorData: fn(Opaque) -> *mut c_void;
    TF_NumDims: fn(Opaque) -> c_int;
    TF_Dim: fn(Opaque, c_int) -> i64;
    TF_DeleteTensor: fn(Opaque);
}

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// A value of `TF_Code`. TensorFlow's own is kept, so that memory that runs out is reported as such.
    code: c_int,
    text: String,
}

impl Failure {
    /// The same failure, with the name of the operation in front.
    pub(super) fn in_operation(self, operation: &str) -> Self {
        Self { text: format!("{operation}: {}", self.text), ..self }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { code: INTERNAL, text }
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The result of a call, or why it failed.
pub(super) type Outcome<T> = std::result::Result<T, Failure>;

/// A status of the C API.
pub(super) struct Status<'a>(Opaque, &'a Api);

impl<'a> Status<'a> {
    pub(super) fn new(api: &'a Api) -> Self {
        // SAFETY: the function takes nothing.
        #[allow(unsafe_code)]
        let status = unsafe { (api.TF_NewStatus)() };
        Self(status, api)
    }

    /// The pointer that functions of the C API take.
    pub(super) fn raw(&self) -> Opaque {
        self.0
    }

    pub(super) fn ok(&self) -> Outcome<()> {
        // SAFETY: this object owns the status, and the message is copied before the status changes.
        #[allow(unsafe_code)]
        unsafe {
            let code = (self.1.TF_GetCode)(self.0);
            if code == 0 {
                return Ok(());
            }
            let message = CStr::from_ptr((self.1.TF_Message)(self.0));
            Err(Failure { code, text: message.to_string_lossy().into_owned() })
        }
    }

    pub(super) fn set(&self, failure: Failure) {
        let message = CString::new(failure.text).unwrap_or_default();
        // SAFETY: this object owns the status, and TensorFlow copies the message before it returns.
        #[allow(unsafe_code)]
        unsafe {
            (self.1.TF_SetStatus)(self.0, failure.code, message.as_ptr());
        }
    }
}

impl Drop for Status<'_> {
    fn drop(&mut self) {
        // SAFETY: the status is this object's own.
        #[allow(unsafe_code)]
        unsafe {
            (self.1.TF_DeleteStatus)(self.0);
        }
    }
}
