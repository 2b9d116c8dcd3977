//! A training SavedModel: weights, optimiser and step behind the [`Model`] trait.

use std::fs;
use std::path::{Path, PathBuf};

use super::contract::{self, ASSETS};
use super::graph::{Division, Feed, LoadedGraph, SessionConfig};
use super::memory::release_memory;
use super::trace::Trace;
use super::trained::{inputs, logits};
use crate::batch::{Batch, BatchLabels};
use crate::error::{Error, Result};
use crate::model::{
    Batching, Contract, Logits, Model, Precision, Predictor, StepOutcome, StepSettings,
};
use crate::task::Head;

/// A model that learns.
pub struct TrainingModel {
    dir: PathBuf,
    graph: LoadedGraph,
    contract: Contract,
    precision: Precision,
    config: SessionConfig,
    /// Whether batches are computed as two halves.
    halves: bool,
}

impl TrainingModel {
    /// Loads the export in `dir`, to compute with `precision`.
    ///
    /// # Errors
    ///
    /// There is none, it was trained already, or differs from its contract.
    pub fn load(dir: &Path, precision: Precision, config: SessionConfig) -> Result<Self> {
        let contract = contract::read(dir)?;
        if contract.signatures.is_empty() {
            return Err(Error::new(
                "this SavedModel is a trained model, which has no train signature",
            )
            .at(dir)
            .hint("name an export with `--model saved_models/ENCODER/HEAD`"));
        }
        if !contract.precisions.contains(&precision) {
            return Err(Error::usage(format!("the export has no signatures in {precision}"))
                .at(dir)
                .hint("choose another `--precision`"));
        }
        // Exports of before have none.
        let has_halves = [TRAIN, ACCUMULATE]
            .iter()
            .all(|call| contract.signatures.contains_key(&signature(call, precision, true)));
        let division = if has_halves { Division::Halves } else { Division::Operations };
        let config = SessionConfig { division, ..config };
        let graph = LoadedGraph::load(dir, config, &contract.signatures)?;
        let on_cpu = graph.on_cpu();
        if on_cpu && !has_halves {
            log::info!(
                "{}: this export is of an earlier version; one made anew with `python -m \
                 python_export --force …` trains faster",
                dir.display()
            );
        }
        let halves = has_halves && on_cpu;
        Ok(Self { dir: dir.to_owned(), graph, contract, precision, config, halves })
    }

    /// The devices that it computes on: name and type.
    pub fn devices(&self) -> Vec<(String, String)> {
        self.graph.devices()
    }

    /// Traces runs from now on, which slows them down.
    pub fn start_trace(&self) {
        self.graph.start_trace();
    }

    /// The trace of the last run; later runs are not traced.
    ///
    /// # Errors
    ///
    /// TensorFlow's trace cannot be read.
    pub fn take_trace(&self) -> Result<Trace> {
        self.graph.take_trace()
    }

    fn learning_signature(&self, call: &str) -> String {
        signature(call, self.precision, self.halves)
    }

    /// The inputs of a signature that computes a loss.
    fn labelled(&self, signature: &str, batch: &Batch) -> Vec<(&'static str, Feed)> {
        let mut feeds = inputs(&self.contract, batch);
        let (rows, length) = (batch.rows, batch.length);
        let shape: &[usize] = match self.contract.head {
            Head::Span => &[rows, 2],
            Head::Tag => &[rows, length],
            Head::Classify | Head::Regress | Head::Choice => &[rows],
        };
        feeds.push(match &batch.labels {
            BatchLabels::Ints(labels) => ("labels", Feed::ints(shape, labels)),
            BatchLabels::Floats(labels) => ("labels", Feed::floats(shape, labels)),
        });
        let weights: &[usize] =
            if self.contract.head == Head::Tag { &[rows, length] } else { &[rows] };
        if self.graph.takes(signature, "sample_weight") {
            feeds.push(("sample_weight", Feed::floats(weights, &batch.sample_weight)));
        }
        feeds
    }

    /// The inputs of one (micro-)batch of a training step.
    fn learning(
        &self,
        signature: &str,
        batch: &Batch,
        weight_sum: f32,
        settings: &StepSettings,
        seed: [i32; 2],
    ) -> Vec<(&'static str, Feed)> {
        let mut feeds = self.labelled(signature, batch);
        feeds.push(("weight_sum", Feed::float(weight_sum)));
        feeds.push(("dropout", Feed::float(settings.dropout)));
        feeds.push(("seed", Feed::ints(&[2], &seed)));
        if self.graph.takes(signature, "label_smoothing") {
            feeds.push(("label_smoothing", Feed::float(settings.label_smoothing)));
        }
        feeds
    }
}

const TRAIN: &str = "train";
const ACCUMULATE: &str = "accumulate";

/// The signature of a call in a precision, of whole batches or of their halves.
fn signature(call: &str, precision: Precision, halves: bool) -> String {
    format!("{call}_{precision}{}", if halves { "_halves" } else { "" })
}

/// The inputs of an update.
fn update(settings: &StepSettings) -> Vec<(&'static str, Feed)> {
    vec![
        ("learning_rate", Feed::float(settings.learning_rate)),
        ("layer_scale", Feed::floats(&[settings.layer_scale.len()], &settings.layer_scale)),
        ("weight_decay", Feed::float(settings.weight_decay)),
        ("beta1", Feed::float(settings.beta1)),
        ("beta2", Feed::float(settings.beta2)),
        ("epsilon", Feed::float(settings.epsilon)),
        ("beta1_power", Feed::float(settings.beta1_power)),
        ("beta2_power", Feed::float(settings.beta2_power)),
        ("max_grad_norm", Feed::float(settings.max_grad_norm)),
    ]
}

impl Predictor for TrainingModel {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn predict(&self, batch: &Batch) -> Result<Logits> {
        Ok(self.evaluate(batch)?.0)
    }

    fn batching(&self) -> Batching {
        self.graph.batching(self.config)
    }
}

impl Model for TrainingModel {
    fn init(&mut self, num_labels: usize, seed: u64) -> Result<()> {
        let seed = [seed as u32 as i32, (seed >> 32) as u32 as i32];
        self.graph.run_for_effect(
            "init",
            &[
                ("num_labels", Feed::ints(&[], &[num_labels as i32])),
                ("seed", Feed::ints(&[2], &seed)),
            ],
        )?;
        release_memory();
        Ok(())
    }

    fn train(
        &mut self,
        batches: &[Batch],
        settings: &StepSettings,
        dropout_seeds: &[[i32; 2]],
    ) -> Result<StepOutcome> {
        let weight_sum: f32 = batches.iter().map(Batch::weight_sum).sum();
        if let [batch] = batches {
            let signature = self.learning_signature(TRAIN);
            let mut feeds =
                self.learning(&signature, batch, weight_sum, settings, dropout_seeds[0]);
            feeds.extend(update(settings));
            let outputs = self.graph.run(&signature, &feeds, &["loss", "grad_norm"])?;
            return Ok(StepOutcome { loss: outputs[0][0], grad_norm: outputs[1][0] });
        }
        let signature = self.learning_signature(ACCUMULATE);
        let mut loss = 0.0;
        for (i, (batch, &seed)) in batches.iter().zip(dropout_seeds).enumerate() {
            let mut feeds = self.learning(&signature, batch, weight_sum, settings, seed);
            feeds.push(("first", Feed::bool(i == 0)));
            loss += self.graph.run(&signature, &feeds, &["loss"])?[0][0];
        }
        let outputs = self.graph.run("apply", &update(settings), &["grad_norm"])?;
        Ok(StepOutcome { loss, grad_norm: outputs[0][0] })
    }

    fn evaluate(&self, batch: &Batch) -> Result<(Logits, f64)> {
        let signature = signature("eval", self.precision, false);
        let feeds = self.labelled(&signature, batch);
        let outputs = self.graph.run(&signature, &feeds, &["logits", "loss"])?;
        let loss = outputs[1].iter().map(|&loss| f64::from(loss)).sum();
        Ok((logits(&outputs[0]), loss))
    }

    fn save(&mut self, prefix: &Path) -> Result<()> {
        self.graph.save(prefix)
    }

    fn restore(&mut self, prefix: &Path) -> Result<()> {
        self.graph.restore(prefix)
    }

    fn export(&mut self, prefix: &Path, into: &Path, contract: &Contract) -> Result<()> {
        let assets = self.dir.join(ASSETS);
        let template = assets.join("serving").join("saved_model.pb");
        let graph = into.join("saved_model.pb");
        written(&graph, fs::copy(&template, &graph))?;
        // A graph without a folder of variables is loaded without values, which the checkpoint has.
        let serving = LoadedGraph::load(into, self.config, &contract.serving_signatures)?;
        serving.restore(prefix)?;
        serving.save(&into.join("variables").join("variables"))?;
        let target = into.join(ASSETS);
        written(&target, fs::create_dir_all(&target))?;
        for name in ["tokenizer.json", "vocab.txt"] {
            let path = target.join(name);
            written(&path, fs::copy(assets.join(name), &path))?;
        }
        let path = target.join("tfbert.json");
        let json = serde_json::to_string_pretty(contract)
            .map_err(|error| Error::new(error.to_string()).at(&path))?;
        written(&path, fs::write(&path, json + "\n"))
    }
}

fn written<T>(path: &Path, result: std::io::Result<T>) -> Result<()> {
    result.map(drop).map_err(|error| Error::io("write", path, &error))
}
