//! Registers this program's kernels as TensorFlow operations, through the C API (`tensorflow/c/ops.h` and
//! `tensorflow/c/kernels.h`).
//!
//! Each operation takes a list of arguments and gives a list of results, as `PartitionedCall` does, the operation that
//! calls a function. So `super::rewrite` can turn a call of a function into an operation without touching the node's
//! inputs, or the nodes that read its results. Where a function takes variables, the operation takes their values.

mod api;
mod call;
mod context;
mod optimizer;
mod ram;

use std::ffi::{CStr, CString};
use std::sync::OnceLock;

use self::api::{Api, Failure, Opaque, Outcome, Status};
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
        let api = Api::find(library).map_err(|error| error.to_string().into());
        let registered = api.and_then(|api| {
            Function::ALL.into_iter().try_for_each(|function| register_one(&api, function))?;
            Ok(Registered { api, kernels })
        });
        let warn = |reason: &Failure| {
            log::warn!(
                "TensorFlow takes no kernels of this program ({reason}): XLA compiles these \
                 functions, and training is slower"
            );
        };
        registered.inspect_err(warn).ok()
    });
    registered.is_some()
}

fn register_one(api: &Api, function: Function) -> Outcome<()> {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (name, device) = (text(function.operation()), text("CPU"));
    let status = Status::new(api);
    // SAFETY: builders are used before they are registered, which consumes them; texts outlive the calls.
    #[allow(unsafe_code)]
    unsafe {
        let builder = (api.TF_NewOpDefinitionBuilder)(name.as_ptr());
        for attribute in [
            "Tin: list(type) >= 0",
            "Tout: list(type) >= 0",
            "function: int",
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

/// Makes the kernel of a node: a [`Call`] with the node's attributes.
extern "C" fn create(context: Opaque) -> Opaque {
    let Some(Some(Registered { api, .. })) = REGISTERED.get() else {
        return std::ptr::null_mut();
    };
    let status = Status::new(api);
    match read_call(api, context, &status) {
        Ok(call) => Box::into_raw(Box::new(call)).cast(),
        Err(failure) => {
            status.set(failure);
            // SAFETY: TensorFlow keeps the context valid until this function returns.
            #[allow(unsafe_code)]
            unsafe {
                (api.TF_OpKernelConstruction_Failure)(context, status.raw());
            }
            std::ptr::null_mut()
        }
    }
}

/// Reads a node's attributes.
fn read_call(api: &Api, context: Opaque, status: &Status<'_>) -> Outcome<Call> {
    let integer = |name: &CStr| -> Outcome<usize> {
        let mut value = 0;
        // SAFETY: TensorFlow keeps the context valid until `create` returns; the name and the value outlive the call.
        #[allow(unsafe_code)]
        unsafe {
            let get = api.TF_OpKernelConstruction_GetAttrInt64;
            get(context, name.as_ptr(), &mut value, status.raw());
        }
        status.ok()?;
        let value = usize::try_from(value);
        Ok(value.map_err(|_| format!("{} is negative", name.to_string_lossy()))?)
    };
    let float = |name: &CStr| {
        let mut value = 0.0;
        // SAFETY: as in `integer`.
        #[allow(unsafe_code)]
        unsafe {
            let get = api.TF_OpKernelConstruction_GetAttrFloat;
            get(context, name.as_ptr(), &mut value, status.raw());
        }
        status.ok().map(|()| value)
    };
    let function = Function::ALL.get(integer(c"function")?).copied();
    Ok(Call {
        function: function.ok_or("there is no function of that number")?,
        heads: integer(c"heads")?.max(1),
        epsilon: float(c"epsilon")?,
        scale: float(c"scale")?,
    })
}

extern "C" fn delete(call: Opaque) {
    if !call.is_null() {
        // SAFETY: `call` points to the `Call` that `create` allocated, and TensorFlow frees it once.
        #[allow(unsafe_code)]
        unsafe {
            drop(Box::from_raw(call.cast::<Call>()));
        }
    }
}

extern "C" fn compute(call: Opaque, context: Opaque) {
    let Some(Some(Registered { api, kernels })) = REGISTERED.get() else { return };
    // SAFETY: `create` allocated the `Call` that `call` points to. `delete` frees it, which TensorFlow calls after the
    // last `compute`.
    #[allow(unsafe_code)]
    let call = unsafe { *call.cast::<Call>() };
    let changed = call.function.changed_variables();
    let open = || Context::open(api, context, changed);
    let run = || open().and_then(|context| call.run(kernels, &context));
    // A panic must not leave this function.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("a defect of tfbert".into()));
    if let Err(failure) = outcome {
        let status = Status::new(api);
        status.set(failure.in_operation(call.function.operation()));
        // SAFETY: both live for the time of this call.
        #[allow(unsafe_code)]
        unsafe {
            (api.TF_OpKernelContext_Failure)(context, status.raw());
        }
    }
}
