//! A trained model in a session: the serving graph and its weights.

use std::collections::BTreeMap;

use super::abort;
use super::device::WorkSplit;
use super::feed::{Feed, Feeds};
use super::graph::LoadedGraph;
use super::library::Library;
use crate::error::{Error, Result};
use crate::model::{Batch, BatchProfile, Forward, Logits, Precision, Predictor};
use crate::saved_model::{Description, TensorSpec, TrainedModel};

/// A model that predicts.
pub struct PredictionSession {
    graph: LoadedGraph,
    /// The name of the signature that it runs.
    signature: String,
    /// The same signature's inputs.
    inputs: BTreeMap<String, TensorSpec>,
    profile: BatchProfile,
}

impl PredictionSession {
    /// Loads a trained model, to predict with `precision` on `threads` threads (0 is one for each core).
    ///
    /// # Errors
    ///
    /// It lacks the precision, TensorFlow cannot load it, or it differs from its description.
    pub fn load(
        library: &Library,
        trained: &TrainedModel,
        precision: Precision,
        threads: usize,
        split: WorkSplit,
    ) -> Result<Self> {
        let device = library.device();
        device.check(precision)?;
        let Description { dir, serving_signatures, .. } = &trained.model;
        let signature = format!("predict_{precision}");
        let inputs = serving_signatures
            .get(&signature)
            .ok_or_else(|| {
                Error::usage(format!("the model has no signature `{signature}`"))
                    .at(dir)
                    .hint("choose another `--precision`")
            })?
            .inputs
            .clone();
        let session_threads = device.threads(threads, split);
        let graph = LoadedGraph::load(library, dir, session_threads, serving_signatures)?;
        let profile = device.profile(graph.on_gpu(), threads, split);
        Ok(Self { graph, signature, inputs, profile })
    }

    /// How batches are best laid out for it.
    pub fn profile(&self) -> BatchProfile {
        self.profile
    }

    /// Has TensorFlow prepare what it leaves to the first run of a signature: its functions'
    /// graphs and kernels, which take longer than a batch of short rows.
    ///
    /// # Errors
    ///
    /// The computation fails.
    pub fn warm_up(&self) -> Result<()> {
        self.graph.run(&self.signature, smallest(&self.inputs), &["logits"]).map(drop)
    }
}

/// The least that inputs take: zeros, with 1 for every open dimension.
fn smallest(inputs: &BTreeMap<String, TensorSpec>) -> Feeds<'static> {
    let mut feeds = Feeds::default();
    for (name, spec) in inputs {
        let shape: Vec<usize> =
            spec.shape.iter().map(|dim| dim.map_or(1, |dim| dim as usize)).collect();
        let size = shape.iter().product();
        let value = match spec.dtype.as_str() {
            "float32" => Feed::floats(&shape, &vec![0.0; size]),
            _ => Feed::ints(&shape, &vec![0; size]),
        };
        feeds.add(name.clone(), value);
    }
    feeds
}

impl Predictor for PredictionSession {
    fn forward(&self, batch: &Batch) -> Result<Forward> {
        abort::note(batch);
        let outputs = self.graph.run(&self.signature, Feeds::of(batch), &["logits"])?;
        Ok(Forward { logits: logits(&outputs[0]), loss: None })
    }
}

/// A fetched tensor as logits.
pub(super) fn logits(tensor: &tensorflow::Tensor<f32>) -> Logits {
    Logits {
        values: tensor.to_vec(),
        shape: tensor.dims().iter().map(|&dim| dim as usize).collect(),
    }
}
