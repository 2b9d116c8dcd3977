//! A trained model: a SavedModel of the weights alone, as TensorFlow Serving takes it.

use std::path::Path;

use super::graph::{Feed, LoadedGraph, SessionConfig};
use super::{abort, contract};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::{Batching, Contract, Logits, Precision, Predictor};

/// A model that predicts.
pub struct TrainedModel {
    graph: LoadedGraph,
    contract: Contract,
    signature: String,
    batching: Batching,
}

impl TrainedModel {
    /// Loads the trained model in `dir`, to predict with `precision`.
    ///
    /// # Errors
    ///
    /// There is none, it is an export that was not trained, or differs from its contract.
    pub fn load(dir: &Path, precision: Precision, config: SessionConfig) -> Result<Self> {
        let contract = contract::read(dir)?;
        if contract.trained.is_none() {
            return Err(Error::new("this SavedModel is an export that has not been trained")
                .at(dir)
                .hint("train it with `tfbert train --task NAME`, which writes `runs/NAME/model`"));
        }
        let graph = LoadedGraph::load(dir, config, &contract.serving_signatures)?;
        let batching = graph.batching(config);
        Ok(Self { graph, contract, signature: format!("predict_{precision}"), batching })
    }

    /// Has TensorFlow prepare what it leaves to the first run of a signature: its functions'
    /// graphs and kernels, which take longer than a batch of short rows.
    ///
    /// # Errors
    ///
    /// The computation fails.
    pub fn warm_up(&self) -> Result<()> {
        self.predict(&Batch::smallest(self.contract.head)).map(drop)
    }
}

impl Predictor for TrainedModel {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn predict(&self, batch: &Batch) -> Result<Logits> {
        let mut outputs =
            self.graph.run(&self.signature, &inputs(&self.contract, batch), &["logits"])?;
        Ok(logits(&outputs.remove(0)))
    }
}

/// The inputs that every signature shares.
pub(super) fn inputs<'a>(contract: &Contract, batch: &Batch) -> Vec<(&'a str, Feed)> {
    abort::note(batch);
    let shape: &[usize] = match contract.head {
        crate::task::Head::Choice => &[batch.rows, batch.choices, batch.length],
        _ => &[batch.rows, batch.length],
    };
    vec![
        ("input_ids", Feed::ints(shape, &batch.input_ids)),
        ("attention_mask", Feed::ints(shape, &batch.attention_mask)),
        ("token_type_ids", Feed::ints(shape, &batch.token_type_ids)),
    ]
}

/// A fetched tensor as logits.
pub(super) fn logits(tensor: &tensorflow::Tensor<f32>) -> Logits {
    Logits {
        values: tensor.to_vec(),
        shape: tensor.dims().iter().map(|&dim| dim as usize).collect(),
    }
}
