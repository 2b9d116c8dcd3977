//! Registers this program's kernels as TensorFlow operations, through the C API (`tensorflow/c/ops.h` and
//! `tensorflow/c/kernels.h`).
//!
//! Each operation takes a list of arguments and gives a list of results, as `PartitionedCall` does, the operation that
//! calls a function. So `super::rewrite` can turn a call of a function into an operation without touching the node's
//! inputs, or the nodes that read its results.

mod api;
mod call;
mod context;
mod ram;

use std::ffi::CString;
use std::sync::OnceLock;

use self::api::{Api, Compute, Create, Opaque, Status};
use self::call::Call;
use self::context::Context;
pub(super) use self::ram::RamFolder;
use super::functions::Function;
use super::kernels::Kernels;
use super::processor::Processor;

/// What the registered operations compute with.
struct Registered {
    api: Api,
    kernels: Kernels,
}

/// Operations are registered once for a process.
static REGISTERED: OnceLock<Option<Registered>> = OnceLock::new();

/// Registers the operations, once for the process; whether they can be used. `threads` are those of one kernel, in the
/// first call.
pub(super) fn register(
    library: &libloading::Library,
    processor: Processor,
    threads: usize,
) -> bool {
    let registered = REGISTERED.get_or_init(|| {
        let kernels = Kernels::new(processor, threads)?;
        Some(Registered { api: Api::find(library).ok()?, kernels })
    });
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let Some(registered) = registered else {
        return false;
    };
    let refused = REFUSED.get_or_init(|| {
        let reason = register_all(&registered.api).err();
        if let Some(reason) = &reason {
            log::warn!(
                "TensorFlow takes no kernels of this program ({reason}): XLA compiles these \
                 functions, and training is slower"
            );
        }
        reason
    });
    refused.is_none()
}

fn register_all(api: &Api) -> std::result::Result<(), String> {
    Function::ALL.into_iter().try_for_each(|function| register_one(api, function))
}

fn register_one(api: &Api, function: Function) -> std::result::Result<(), String> {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (name, device) = (text(function.operation()), text("CPU"));
    let (create, compute) = callbacks(function);
    let status = Status::new(api);
    // SAFETY: builders are used before they are registered, which consumes them; texts outlive the calls.
    #[allow(unsafe_code)]
    unsafe {
        let builder = (api.TF_NewOpDefinitionBuilder)(name.as_ptr());
        for attribute in [
            "Tin: list(type) >= 0",
            "Tout: list(type) >= 0",
            "heads: int",
            "epsilon: float",
            "scale: float",
        ] {
            (api.TF_OpDefinitionBuilderAddAttr)(builder, text(attribute).as_ptr());
        }
        (api.TF_OpDefinitionBuilderAddInput)(builder, text("args: Tin").as_ptr());
        (api.TF_OpDefinitionBuilderAddOutput)(builder, text("output: Tout").as_ptr());
        (api.TF_OpDefinitionBuilderSetShapeInferenceFunction)(builder, infer_shapes);
        (api.TF_RegisterOpDefinition)(builder, status.raw());
        status.ok()?;
        let builder =
            (api.TF_NewKernelBuilder)(name.as_ptr(), device.as_ptr(), create, compute, delete);
        (api.TF_RegisterKernelBuilder)(name.as_ptr(), builder, status.raw());
    }
    status.ok()
}

extern "C" fn infer_shapes(context: Opaque, status: Opaque) {
    if let Some(Some(registered)) = REGISTERED.get() {
        // SAFETY: both are TensorFlow's, for the time of this call.
        #[allow(unsafe_code)]
        unsafe {
            (registered.api.TF_ShapeInferenceContextSetUnknownShape)(context, status);
        }
    }
}

/// The functions that TensorFlow calls for an operation.
fn callbacks(function: Function) -> (Create, Compute) {
    macro_rules! create {
        ($($name:ident),*) => {
            match function {
                $(Function::$name => {
                    extern "C" fn create(context: Opaque) -> Opaque {
                        create_call(Function::$name, context)
                    }
                    create as Create
                })*
            }
        };
    }
    let create = create!(
        AddNormBackward,
        AddNormForward,
        Draw,
        DropProbabilities,
        EmbedBackward,
        EmbedForward,
        GeluBackward,
        GeluForward,
        Merge,
        MergeParts,
        ScaleAndOffset,
        ScoresGradient,
        Split,
        Unmerge
    );
    (create, compute)
}

/// Reads an operation's attributes.
fn create_call(function: Function, context: Opaque) -> Opaque {
    let Some(Some(Registered { api, .. })) = REGISTERED.get() else {
        return std::ptr::null_mut();
    };
    let (mut heads, mut epsilon, mut scale) = (1i64, 0.0f32, 1.0f32);
    let status = Status::new(api);
    // SAFETY: the context is TensorFlow's for the time of this call; the numbers are written before they are read.
    #[allow(unsafe_code)]
    unsafe {
        (api.TF_OpKernelConstruction_GetAttrInt64)(
            context,
            c"heads".as_ptr(),
            &mut heads,
            status.raw(),
        );
        if status.ok().is_ok() {
            (api.TF_OpKernelConstruction_GetAttrFloat)(
                context,
                c"epsilon".as_ptr(),
                &mut epsilon,
                status.raw(),
            );
        }
        if status.ok().is_ok() {
            (api.TF_OpKernelConstruction_GetAttrFloat)(
                context,
                c"scale".as_ptr(),
                &mut scale,
                status.raw(),
            );
        }
        if status.ok().is_err() {
            (api.TF_OpKernelConstruction_Failure)(context, status.raw());
            return std::ptr::null_mut();
        }
    }
    let heads = usize::try_from(heads).unwrap_or(1).max(1);
    Box::into_raw(Box::new(Call { function, heads, epsilon, scale })).cast()
}

extern "C" fn delete(call: Opaque) {
    if !call.is_null() {
        // SAFETY: `create_call` made it, and TensorFlow deletes it once.
        #[allow(unsafe_code)]
        unsafe {
            drop(Box::from_raw(call.cast::<Call>()));
        }
    }
}

extern "C" fn compute(call: Opaque, context: Opaque) {
    let Some(Some(Registered { api, kernels })) = REGISTERED.get() else { return };
    // SAFETY: `create_call` made it, and TensorFlow deletes it after the last call.
    #[allow(unsafe_code)]
    let call = unsafe { *call.cast::<Call>() };
    let run = || Context::open(api, context).and_then(|context| call.run(kernels, &context));
    // A panic must not leave this function.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("a defect of tfbert".into()));
    if let Err(what) = outcome {
        let status = Status::new(api);
        status.set(&format!("{}: {what}", call.function.operation()));
        // SAFETY: both live for the time of this call.
        #[allow(unsafe_code)]
        unsafe {
            (api.TF_OpKernelContext_Failure)(context, status.raw());
        }
    }
}
