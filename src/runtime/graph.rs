//! A SavedModel in a session: its signatures resolved once, its saver, its runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use tensorflow::{
    Code, DataType, Graph, Operation, SavedModelBundle, SessionOptions, SessionRunArgs, Shape,
    Status, Tensor,
};

use super::compiled;
use super::proto::{
    ConfigProto, Experimental, GpuOptions, GraphOptions, MetaGraphDef, RewriterConfig, SaverDef,
};
use super::trace::{self, Trace};
use crate::error::{Error, Result};
use crate::model::{Batching, Signature, TensorSpec};

/// Tokens of a batch whose tensors stay in the cache of the core that computes them, in the rough:
/// MiniLM-L6 took the least time for each token with 700 to 1,500 at a time, 5 % more with 5,600;
/// BERT-base had no preference above 500. The same for any number of threads, and in training, since
/// the last digits of a row's logits depend on what it is padded to.
const CACHED_TOKENS: usize = 1024;

/// What the threads of a session divide among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Division {
    /// Each operation, two of which run at a time.
    #[default]
    Operations,
    /// The halves of each batch, which the graph computes beside each other.
    Halves,
    /// Batches: each thread computes its own, as where there are many to predict.
    Batches,
}

/// How sessions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionConfig {
    /// Threads; 0 is one for each core.
    pub threads: usize,
    /// What they divide.
    pub division: Division,
}

impl SessionConfig {
    fn all_threads(self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The threads of one operation, and how many operations run at a time.
    pub(super) fn parallelism(self) -> (usize, usize) {
        let threads = self.all_threads();
        match self.division {
            // An operation that is not split has no parts that wait for each other.
            Division::Batches => (1, threads),
            Division::Halves if threads == 2 => (1, 2),
            // Two operations at a time: beside the chain of gradients, each weight's own can be
            // computed, and small operations leave cores free. More threads than two are a pool that
            // both take theirs from.
            Division::Operations | Division::Halves => (threads, threads.min(2)),
        }
    }

    pub(super) fn options(self) -> Result<SessionOptions> {
        let (of_an_operation, operations) = self.parallelism();
        let config = ConfigProto {
            intra_op_parallelism_threads: i32::try_from(of_an_operation).unwrap_or(0),
            inter_op_parallelism_threads: i32::try_from(operations).unwrap_or(0),
            gpu_options: Some(GpuOptions { allow_growth: true }),
            use_per_session_threads: false,
            experimental: Some(Experimental {
                // No copies of the graph for what is never asked: to extend it, or to see its parts.
                optimize_for_static_graph: true,
                disable_output_partition_graphs: true,
            }),
            // Grappler finds nothing to gain in graphs whose element-wise runs are compiled already;
            // it took over a second of each load (`docs/performance.md`).
            graph_options: Some(GraphOptions {
                rewrite_options: Some(RewriterConfig { disable_meta_optimizer: true }),
            }),
        };
        let mut options = SessionOptions::new();
        options.set_config(&config.encode_to_vec()).map_err(|status| explain(&status))?;
        Ok(options)
    }
}

/// A value that is fed.
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

fn tensor<T: tensorflow::TensorType + Copy>(shape: &[usize], values: &[T]) -> Tensor<T> {
    let dims: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
    let mut tensor = Tensor::new(&dims);
    tensor.copy_from_slice(values);
    tensor
}

/// One signature's tensors in the graph: an operation, and which of its outputs.
#[derive(Debug, Clone)]
struct Call {
    inputs: BTreeMap<String, (Operation, i32)>,
    outputs: BTreeMap<String, (Operation, i32)>,
}

/// A loaded SavedModel.
pub(super) struct LoadedGraph {
    path: PathBuf,
    bundle: SavedModelBundle,
    graph: Graph,
    calls: BTreeMap<String, Call>,
    saver: Option<SaverDef>,
    /// What runs tell when they are traced; `None` while they are not.
    traced: Mutex<Option<Vec<u8>>>,
}

impl LoadedGraph {
    /// Loads the SavedModel in `path` and checks its signatures against `expected`.
    pub(super) fn load(
        path: &Path,
        config: SessionConfig,
        expected: &BTreeMap<String, Signature>,
    ) -> Result<Self> {
        let mut graph = Graph::new();
        let bundle = SavedModelBundle::load(&config.options()?, ["serve"], &mut graph, path)
            .map_err(|status| {
                Error::new(format!("TensorFlow could not load it: {}", status_text(&status)))
                    .at(path)
                    .hint("export it anew with `python -m python_export --force …`")
            })?;
        #[allow(deprecated)] // The safe form shows signatures only, not the saver.
        let saver = saver_def(&bundle.meta_graph_def)
            .map_err(|error| Error::new(format!("its description is damaged: {error}")).at(path))?;
        let mut calls = BTreeMap::new();
        for (name, signature) in expected {
            let call = resolve(&graph, &bundle, name, signature).map_err(|what| {
                Error::new(what).at(path).hint(
                    "the file is not what its `tfbert.json` says; export it anew with \
                     `python -m python_export --force …`",
                )
            })?;
            calls.insert(name.clone(), call);
        }
        Ok(Self { path: path.to_owned(), bundle, graph, calls, saver, traced: Mutex::new(None) })
    }

    /// Runs a signature and returns the named outputs, which are float32.
    pub(super) fn run(
        &self,
        signature: &str,
        feeds: &[(&str, Feed)],
        fetches: &[&str],
    ) -> Result<Vec<Tensor<f32>>> {
        let call = self.calls.get(signature).ok_or_else(|| {
            Error::new(format!("the model has no signature `{signature}`")).at(&self.path)
        })?;
        let mut args = SessionRunArgs::new();
        for (name, feed) in feeds {
            let (operation, index) = call.inputs.get(*name).ok_or_else(|| {
                Error::new(format!("signature `{signature}` has no input `{name}`")).at(&self.path)
            })?;
            match feed {
                Feed::Ints(tensor) => args.add_feed(operation, *index, tensor),
                Feed::Floats(tensor) => args.add_feed(operation, *index, tensor),
                Feed::Bool(tensor) => args.add_feed(operation, *index, tensor),
            }
        }
        let mut tokens = Vec::new();
        for name in fetches {
            let (operation, index) = call.outputs.get(*name).ok_or_else(|| {
                Error::new(format!("signature `{signature}` has no output `{name}`")).at(&self.path)
            })?;
            tokens.push(args.request_fetch(operation, *index));
        }
        let traced = self.traced().is_some();
        if traced {
            args.set_run_options(&trace::run_options());
            args.set_request_metadata(true);
        }
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

    /// Runs a signature for its effect: fetches an output of any type and drops it.
    pub(super) fn run_for_effect(&self, signature: &str, feeds: &[(&str, Feed)]) -> Result<()> {
        let call = self.calls.get(signature).ok_or_else(|| {
            Error::new(format!("the model has no signature `{signature}`")).at(&self.path)
        })?;
        let mut args = SessionRunArgs::new();
        for (name, feed) in feeds {
            let Some((operation, index)) = call.inputs.get(*name) else { continue };
            match feed {
                Feed::Ints(tensor) => args.add_feed(operation, *index, tensor),
                Feed::Floats(tensor) => args.add_feed(operation, *index, tensor),
                Feed::Bool(tensor) => args.add_feed(operation, *index, tensor),
            }
        }
        for (operation, index) in call.outputs.values() {
            args.request_fetch(operation, *index);
        }
        self.bundle.session.run(&mut args).map_err(|status| explain(&status))
    }

    /// Whether a signature takes this input.
    pub(super) fn takes(&self, signature: &str, input: &str) -> bool {
        self.calls.get(signature).is_some_and(|call| call.inputs.contains_key(input))
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

    /// How batches are best given to it in a session of this configuration.
    pub(super) fn batching(&self, config: SessionConfig) -> Batching {
        if !self.on_cpu() {
            return Batching::default();
        }
        let at_a_time = match config.division {
            Division::Batches => config.all_threads(),
            Division::Operations | Division::Halves => Batching::default().at_a_time,
        };
        Batching { at_a_time, tokens: Some(CACHED_TOKENS) }
    }

    /// Whether the session has no device but CPUs.
    pub(super) fn on_cpu(&self) -> bool {
        self.devices().iter().all(|(_, kind)| kind == "CPU")
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
        return Err(format!("signature `{name}` wants `{more}`, which the contract does not name"));
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

/// TensorFlow's message without its trace of the graph.
fn status_text(status: &Status) -> String {
    let text = status.to_string();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    first.trim().to_owned()
}

/// A failed run as an error for people.
pub(super) fn explain(status: &Status) -> Error {
    let text = status_text(status);
    let what = format!("TensorFlow failed: {text}");
    match status.code() {
        _ if text.contains(compiled::PREFIX) => Error::new(what).hint(
            "a compiled program could not be kept or read: see that the disk has room, name another \
             folder with `--cache-dir DIR`, or give `--no-cache`",
        ),
        Code::ResourceExhausted => Error::out_of_memory(what),
        _ => Error::new(what).hint("run again with `-v` to see TensorFlow's own log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_take_a_half_or_a_batch_each_and_split_no_operation() {
        let parallelism = |threads, division| SessionConfig { threads, division }.parallelism();
        assert_eq!(parallelism(2, Division::Halves), (1, 2));
        assert_eq!(parallelism(2, Division::Batches), (1, 2));
        assert_eq!(parallelism(2, Division::Operations), (2, 2));
        assert_eq!(parallelism(8, Division::Halves), (8, 2));
        assert_eq!(parallelism(8, Division::Batches), (1, 8));
        for division in [Division::Halves, Division::Batches, Division::Operations] {
            assert_eq!(parallelism(1, division), (1, 1));
        }
    }
}
