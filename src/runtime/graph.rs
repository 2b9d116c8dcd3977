//! A SavedModel in a session: its signatures resolved once, its saver, its runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use tensorflow::{
    DataType, Graph, Operation, SavedModelBundle, SessionOptions, SessionRunArgs, Shape, Tensor,
    TensorType,
};

use super::cluster::Server;
use super::feed::{Feed, Feeds};
use super::library::Library;
use super::proto::{MetaGraphDef, RunExperimental, RunOptions, SaverDef};
use super::rewrite::WithKernels;
use super::session::{Threads, explain, status_text};
use super::trace::{self, Trace};
use crate::error::{Error, Result};
use crate::saved_model::{Description, EXPORT_ANEW, Signature, TensorSpec};

/// One signature's tensors in the graph, by name.
#[derive(Debug, Clone)]
struct Call {
    inputs: BTreeMap<String, Place>,
    outputs: BTreeMap<String, Place>,
}

/// A tensor of the graph: an operation, and which of its outputs.
type Place = (Operation, i32);

fn feed<'v>(args: &mut SessionRunArgs<'v>, values: &'v [(&Place, Feed)]) {
    for ((operation, index), value) in values {
        match value {
            Feed::Ints(tensor) => args.add_feed(operation, *index, tensor),
            Feed::Floats(tensor) => args.add_feed(operation, *index, tensor),
            Feed::Bool(tensor) => args.add_feed(operation, *index, tensor),
        }
    }
}

/// A loaded SavedModel.
pub(super) struct LoadedGraph {
    path: PathBuf,
    bundle: SavedModelBundle,
    graph: Graph,
    calls: BTreeMap<String, Call>,
    saver: Option<SaverDef>,
    has_kernels: bool,
    /// The metadata of the last traced run; `None` while runs are not traced.
    traced: Mutex<Option<Vec<u8>>>,
    /// Runs use the library, and the compiled programs that it holds.
    _library: Library,
}

impl LoadedGraph {
    /// Loads the SavedModel in `path` and checks its signatures against `expected`.
    pub(super) fn load(
        library: &Library,
        path: &Path,
        threads: Threads,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        Self::load_with(library, path, path, &threads.options(None)?, expected)
    }

    /// As [`LoadedGraph::load`], the training graph in `path` of an export, with this program's kernels where the
    /// processor has the instructions for them.
    pub(super) fn load_training(
        library: &Library,
        export: &Description,
        path: &Path,
        threads: Threads,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        let options = threads.options(None)?;
        Self::load_with_kernels(library, export, path, threads, &options, expected)
    }

    /// As [`LoadedGraph::load_training`], in a session on the server of a worker.
    pub(super) fn load_on(
        server: &Server,
        library: &Library,
        export: &Description,
        path: &Path,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        let threads = server.threads();
        let options = threads.options(Some(&server.worker()))?;
        Self::load_with_kernels(library, export, path, threads, &options, expected)
    }

    fn load_with_kernels(
        library: &Library,
        export: &Description,
        path: &Path,
        threads: Threads,
        options: &SessionOptions,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        let kernels = WithKernels::make(library, export, path, threads)?;
        let source = kernels.as_ref().map_or(path, WithKernels::path);
        let mut loaded = Self::load_with(library, path, source, options, expected)?;
        loaded.has_kernels = kernels.is_some();
        let weights = path.join("variables/variables");
        if loaded.has_kernels && weights.with_extension("index").exists() {
            loaded.restore(&weights)?;
        }
        Ok(loaded)
    }

    /// Loads the SavedModel in `source`, which stands for that in `path`.
    fn load_with(
        library: &Library,
        path: &Path,
        source: &Path,
        options: &SessionOptions,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        let mut graph = Graph::new();
        let bundle =
            SavedModelBundle::load(options, ["serve"], &mut graph, source).map_err(|status| {
                Error::new(format!("TensorFlow could not load it: {}", status_text(&status)))
                    .at(path)
                    .hint(EXPORT_ANEW)
            })?;
        #[allow(deprecated)] // The safe form shows signatures only, not the saver.
        let saver = saver_def(&bundle.meta_graph_def)
            .map_err(|error| Error::new(format!("its description is damaged: {error}")).at(path))?;
        let mut calls = BTreeMap::new();
        for (name, signature) in expected {
            let call = resolve(&graph, &bundle, name, signature).map_err(|what| {
                Error::new(what)
                    .at(path)
                    .hint(format!("the file is not what its `tfbert.json` says; {EXPORT_ANEW}"))
            })?;
            calls.insert(name.clone(), call);
        }
        Ok(Self {
            path: path.to_owned(),
            bundle,
            graph,
            calls,
            saver,
            has_kernels: false,
            traced: Mutex::new(None),
            _library: library.clone(),
        })
    }

    /// Runs a signature and returns the named outputs, which are float32.
    pub(super) fn run(
        &self,
        signature: &str,
        feeds: Feeds<'_>,
        fetches: &[&str],
    ) -> Result<Vec<Tensor<f32>>> {
        self.run_as(signature, feeds, fetches, false)
    }

    /// As [`LoadedGraph::run`], outputs of another type. With `sums` the run sums over workers: the
    /// first of all runs that say so, and each after it, must be the same on every worker.
    pub(super) fn run_as<T: TensorType>(
        &self,
        signature: &str,
        feeds: Feeds<'_>,
        fetches: &[&str],
        sums: bool,
    ) -> Result<Vec<Tensor<T>>> {
        let call = self.call(signature)?;
        let values = self.values(signature, call, feeds)?;
        let mut args = SessionRunArgs::new();
        feed(&mut args, &values);
        let mut tokens = Vec::new();
        for name in fetches {
            let (operation, index) = call.outputs.get(*name).ok_or_else(|| {
                Error::new(format!("signature `{signature}` has no output `{name}`")).at(&self.path)
            })?;
            tokens.push(args.request_fetch(operation, *index));
        }
        let traced = self.traced().is_some();
        if traced || sums {
            args.set_run_options(&run_options(traced, sums));
        }
        args.set_request_metadata(traced);
        self.bundle.session.run(&mut args).map_err(|status| explain(&status))?;
        if traced {
            *self.traced() = args.get_metadata().map(<[u8]>::to_vec);
        }
        tokens
            .into_iter()
            .map(|token| args.fetch(token).map_err(|status| explain(&status)))
            .collect()
    }

    /// Traces runs from now on.
    pub(super) fn start_trace(&self) {
        *self.traced() = Some(Vec::new());
    }

    /// The trace of the last run; later runs are not traced.
    pub(super) fn take_trace(&self) -> Result<Trace> {
        Trace::decode(&self.traced().take().unwrap_or_default())
    }

    fn traced(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.traced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a signature for its effect; its outputs, of any type, are dropped.
    pub(super) fn run_for_effect(&self, signature: &str, feeds: Feeds<'_>) -> Result<()> {
        let call = self.call(signature)?;
        let values = self.values(signature, call, feeds)?;
        let mut args = SessionRunArgs::new();
        feed(&mut args, &values);
        for (operation, index) in call.outputs.values() {
            args.request_fetch(operation, *index);
        }
        self.bundle.session.run(&mut args).map_err(|status| explain(&status))
    }

    /// Whether the graph has a signature.
    pub(super) fn has(&self, signature: &str) -> bool {
        self.calls.contains_key(signature)
    }

    fn call(&self, signature: &str) -> Result<&Call> {
        self.calls.get(signature).ok_or_else(|| {
            Error::new(format!("the model has no signature `{signature}`")).at(&self.path)
        })
    }

    /// The value for each input of a signature.
    fn values<'c>(
        &self,
        signature: &str,
        call: &'c Call,
        feeds: Feeds<'_>,
    ) -> Result<Vec<(&'c Place, Feed)>> {
        let names = call.inputs.keys().map(String::as_str);
        let values = feeds
            .for_inputs(names)
            .map_err(|what| Error::new(format!("signature `{signature}` {what}")).at(&self.path))?;
        Ok(call.inputs.values().zip(values.into_iter().map(|(_, value)| value)).collect())
    }

    /// Writes all variables as a checkpoint with this prefix; makes its folder.
    pub(super) fn save(&self, prefix: &Path) -> Result<()> {
        if let Some(folder) = prefix.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("make", folder, &error))?;
        }
        let saver = self.saver()?;
        let (filename, filename_index) = self.tensor(&saver.filename_tensor_name)?;
        let (save, save_index) = self.tensor(&saver.save_tensor_name)?;
        let name = path_tensor(prefix)?;
        let mut args = SessionRunArgs::new();
        args.add_feed(&filename, filename_index, &name);
        args.request_fetch(&save, save_index);
        self.bundle.session.run(&mut args).map_err(|status| {
            Error::new(format!("the weights could not be written: {}", status_text(&status)))
                .at(prefix)
                .hint("see that the disk has room and the folder can be written")
        })
    }

    /// Reads all variables from the checkpoint with this prefix.
    pub(super) fn restore(&self, prefix: &Path) -> Result<()> {
        let saver = self.saver()?;
        let (filename, filename_index) = self.tensor(&saver.filename_tensor_name)?;
        let restore = self.operation(&saver.restore_op_name)?;
        let name = path_tensor(prefix)?;
        let mut args = SessionRunArgs::new();
        args.add_feed(&filename, filename_index, &name);
        args.add_target(&restore);
        self.bundle.session.run(&mut args).map_err(|status| {
            Error::new(format!("the weights could not be read: {}", status_text(&status)))
                .at(prefix)
        })
    }

    /// Drops the graph without closing TensorFlow's session. For a process that is about to end: closing the
    /// session takes TensorFlow time, and the operating system frees all memory at the end anyway.
    pub(super) fn drop_at_end_of_process(self) {
        let Self { bundle, .. } = self;
        std::mem::forget(bundle);
    }

    /// Whether kernels of this program compute parts of the graph.
    pub(super) fn has_kernels(&self) -> bool {
        self.has_kernels
    }

    /// Whether the session computes on anything but CPUs.
    pub(super) fn on_gpu(&self) -> bool {
        self.devices().iter().any(|(_, kind)| kind != "CPU")
    }

    /// The devices of the session: name and type.
    pub(super) fn devices(&self) -> Vec<(String, String)> {
        self.bundle.session.device_list().map_or_else(
            |_| Vec::new(),
            |devices| devices.into_iter().map(|d| (d.name, d.device_type)).collect(),
        )
    }

    fn saver(&self) -> Result<&SaverDef> {
        self.saver
            .as_ref()
            .ok_or_else(|| Error::new("it does not say how its variables are saved").at(&self.path))
    }

    fn operation(&self, name: &str) -> Result<Operation> {
        self.graph.operation_by_name(name).ok().flatten().ok_or_else(|| {
            Error::new(format!("its saver names `{name}`, which the graph does not have"))
                .at(&self.path)
        })
    }

    /// The tensor of a name such as `save/filename:0`.
    fn tensor(&self, name: &str) -> Result<(Operation, i32)> {
        let (operation, index) = tensor_name(name);
        Ok((self.operation(operation)?, index))
    }
}

/// How a run is done, serialised.
fn run_options(traced: bool, sums: bool) -> Vec<u8> {
    // TensorFlow counts the runs with this key, and sums those of the same count.
    let experimental = sums.then_some(RunExperimental { collective_graph_key: 1 });
    let trace_level = if traced { trace::FULL_TRACE } else { 0 };
    RunOptions { trace_level, experimental }.encode_to_vec()
}

/// How a graph's variables are saved, from its description.
fn saver_def(meta_graph_def: &[u8]) -> std::result::Result<Option<SaverDef>, prost::DecodeError> {
    MetaGraphDef::decode(meta_graph_def).map(|graph| graph.saver_def)
}

/// For `fuzz/`: whether bytes are the description of a graph with a saver.
pub(crate) fn parse_saver(meta_graph_def: &[u8]) -> bool {
    let saver = saver_def(meta_graph_def);
    saver.is_ok_and(|saver| {
        saver.is_some_and(|saver| !tensor_name(&saver.filename_tensor_name).0.is_empty())
    })
}

/// The operation and output of a name such as `save/filename:0`.
fn tensor_name(name: &str) -> (&str, i32) {
    match name.rsplit_once(':') {
        Some((operation, index)) => (operation, index.parse().unwrap_or(0)),
        None => (name, 0),
    }
}

/// Finds a signature's tensors, and compares types and shapes with the contract.
fn resolve(
    graph: &Graph,
    bundle: &SavedModelBundle,
    name: &str,
    expected: &Signature,
) -> std::result::Result<Call, String> {
    let known = bundle
        .meta_graph_def()
        .get_signature(name)
        .map_err(|_| format!("the graph has no signature `{name}`"))?;
    let find =
        |kind: &str, info: Option<&tensorflow::TensorInfo>, argument: &str, spec: &TensorSpec| {
            let info =
                info.ok_or_else(|| format!("signature `{name}` has no {kind} `{argument}`"))?;
            let found = spec_of(info.dtype(), info.shape());
            if found != *spec {
                return Err(format!(
                    "{kind} `{argument}` of signature `{name}` is {}, the contract says {}",
                    shown(&found),
                    shown(spec)
                ));
            }
            let tensor = info.name();
            let operation = graph
                .operation_by_name(&tensor.name)
                .ok()
                .flatten()
                .ok_or_else(|| format!("the graph lacks the operation `{}`", tensor.name))?;
            Ok((operation, tensor.index))
        };
    let mut call = Call { inputs: BTreeMap::new(), outputs: BTreeMap::new() };
    for (argument, spec) in &expected.inputs {
        let found = find("input", known.inputs().get(argument), argument, spec)?;
        call.inputs.insert(argument.clone(), found);
    }
    for (argument, spec) in &expected.outputs {
        let found = find("output", known.outputs().get(argument), argument, spec)?;
        call.outputs.insert(argument.clone(), found);
    }
    if let Some(more) = known.inputs().keys().find(|key| !expected.inputs.contains_key(*key)) {
        return Err(format!(
            "signature `{name}` needs the input `{more}`, which the contract does not name"
        ));
    }
    Ok(call)
}

fn spec_of(dtype: DataType, shape: &Shape) -> TensorSpec {
    let shape: Option<Vec<Option<i64>>> = shape.clone().into();
    TensorSpec { dtype: dtype_name(dtype), shape: shape.unwrap_or_default() }
}

fn dtype_name(dtype: DataType) -> String {
    match dtype {
        DataType::Float => "float32".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Bool => "bool".into(),
        DataType::BFloat16 => "bfloat16".into(),
        DataType::String => "string".into(),
        other => other.to_string(),
    }
}

fn shown(spec: &TensorSpec) -> String {
    let dims: Vec<_> =
        spec.shape.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string())).collect();
    format!("{} [{}]", spec.dtype, dims.join(", "))
}

fn path_tensor(path: &Path) -> Result<Tensor<String>> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::new("TensorFlow takes only paths that are UTF-8").at(path))?;
    Ok(Tensor::from(text.to_owned()))
}
