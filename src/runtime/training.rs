//! An export in a session: weights, optimiser and step behind the [`Model`] trait.

use std::fs;
use std::path::Path;

use super::abort;
use super::device::WorkSplit;
use super::feed::{Feed, Feeds};
use super::graph::LoadedGraph;
use super::library::Library;
use super::memory::release_memory;
use super::prediction::logits;
use super::session::Threads;
use super::trace::Trace;
use crate::error::{Error, Result};
use crate::model::{
    Batch, BatchProfile, Forward, Model, Precision, Predictor, StepInputs, StepOutcome,
};
use crate::saved_model::{ASSETS, Export};

/// A model that is trained.
pub struct TrainingSession {
    library: Library,
    export: Export,
    graph: LoadedGraph,
    precision: Precision,
    threads: Threads,
    profile: BatchProfile,
    /// Whether batches are computed as two halves.
    halves: bool,
}

impl TrainingSession {
    /// Loads an export, to compute with `precision` on `threads` threads (0 is one for each core).
    /// With `whole_step` it trains with the graph whose step XLA compiles as one function.
    ///
    /// # Errors
    ///
    /// It lacks the precision or the whole-step graph, TensorFlow cannot load it, or it differs from
    /// its description.
    pub fn load(
        library: &Library,
        export: &Export,
        precision: Precision,
        threads: usize,
        whole_step: bool,
    ) -> Result<Self> {
        let dir = &export.model.dir;
        if !export.model.precisions.contains(&precision) {
            return Err(Error::usage(format!("the export has no signatures in {precision}"))
                .at(dir)
                .hint("choose another `--precision`"));
        }
        library.device().check(precision)?;
        let (folder, signatures) = export.graph(whole_step)?;
        // The whole-step graph has none, nor have exports of earlier versions.
        let has_halves = [TRAIN, ACCUMULATE]
            .iter()
            .all(|call| signatures.contains_key(&signature(call, precision, true)));
        let split = if has_halves { WorkSplit::HalfBatches } else { WorkSplit::Operations };
        let device = library.device();
        let session_threads = device.threads(threads, split);
        let graph = LoadedGraph::load(library, &folder, session_threads, signatures)?;
        if whole_step {
            // That graph lies without weights; a graph without them is loaded without values.
            graph.restore(&export.weights())?;
        }
        let on_gpu = graph.on_gpu();
        if device.gpu().is_some() && !on_gpu {
            log::warn!(
                "TensorFlow sees no GPU, although the driver lists one: computing on the CPU; \
                 `tfbert doctor` says what is missing"
            );
        }
        if !on_gpu && !has_halves && !whole_step {
            log::info!(
                "{}: this export is of an earlier version; one made anew with `python -m \
                 python_export --force …` trains faster",
                dir.display()
            );
        }
        Ok(Self {
            library: library.clone(),
            export: export.clone(),
            graph,
            precision,
            threads: session_threads,
            profile: device.profile(on_gpu, threads, split),
            halves: has_halves && !on_gpu,
        })
    }

    /// How batches are best laid out for it.
    pub fn profile(&self) -> BatchProfile {
        self.profile
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

    /// The inputs of one of a training step's batches.
    fn step_feeds<'b>(&self, batch: &'b Batch, step: &StepInputs, seed: [i32; 2]) -> Feeds<'b> {
        abort::note(batch);
        let mut feeds = Feeds::of(batch);
        feeds.add("weight_sum", Feed::float(step.weight_sum));
        feeds.add("dropout", Feed::float(step.dropout));
        feeds.add("seed", Feed::ints(&[2], &seed));
        let smoothing = Feed::float(step.label_smoothing);
        if step.label_smoothing == 0.0 {
            feeds.add_default("label_smoothing", smoothing);
        } else {
            feeds.add("label_smoothing", smoothing);
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

/// Adds the inputs of an update.
fn add_update(feeds: &mut Feeds<'_>, step: &StepInputs) {
    for (name, value) in &step.update {
        feeds.add(*name, Feed::from(value));
    }
}

impl Predictor for TrainingSession {
    fn forward(&self, batch: &Batch) -> Result<Forward> {
        abort::note(batch);
        let signature = signature("eval", self.precision, false);
        let outputs = self.graph.run(&signature, Feeds::of(batch), &["logits", "loss"])?;
        let loss = outputs[1].iter().map(|&loss| f64::from(loss)).sum();
        Ok(Forward { logits: logits(&outputs[0]), loss: Some(loss) })
    }
}

impl Model for TrainingSession {
    fn init(&mut self, num_labels: usize, seed: u64) -> Result<()> {
        let seed = [seed as u32 as i32, (seed >> 32) as u32 as i32];
        let mut feeds = Feeds::default();
        feeds.add("num_labels", Feed::ints(&[], &[num_labels as i32]));
        feeds.add("seed", Feed::ints(&[2], &seed));
        self.graph.run_for_effect("init", feeds)?;
        release_memory();
        Ok(())
    }

    fn train(&mut self, batches: &[Batch], inputs: &StepInputs) -> Result<StepOutcome> {
        if let [batch] = batches {
            let signature = self.learning_signature(TRAIN);
            let mut feeds = self.step_feeds(batch, inputs, inputs.dropout_seeds[0]);
            add_update(&mut feeds, inputs);
            let outputs = self.graph.run(&signature, feeds, &["loss", "grad_norm"])?;
            return Ok(StepOutcome { loss: outputs[0][0], grad_norm: outputs[1][0] });
        }
        let signature = self.learning_signature(ACCUMULATE);
        let mut loss = 0.0;
        for (i, (batch, &seed)) in batches.iter().zip(&inputs.dropout_seeds).enumerate() {
            let mut feeds = self.step_feeds(batch, inputs, seed);
            feeds.add("first", Feed::bool(i == 0));
            loss += self.graph.run(&signature, feeds, &["loss"])?[0][0];
        }
        let mut feeds = Feeds::default();
        add_update(&mut feeds, inputs);
        let outputs = self.graph.run("apply", feeds, &["grad_norm"])?;
        Ok(StepOutcome { loss, grad_norm: outputs[0][0] })
    }

    fn save(&mut self, prefix: &Path) -> Result<()> {
        self.graph.save(prefix)
    }

    fn restore(&mut self, prefix: &Path) -> Result<()> {
        self.graph.restore(prefix)
    }

    fn export(&mut self, prefix: &Path, into: &Path, description: &str) -> Result<()> {
        let assets = self.export.model.dir.join(ASSETS);
        let template = assets.join("serving").join("saved_model.pb");
        let graph = into.join("saved_model.pb");
        written(&graph, fs::copy(&template, &graph))?;
        // A graph without a folder of variables is loaded without values, which the checkpoint has.
        let signatures = &self.export.model.serving_signatures;
        let serving = LoadedGraph::load(&self.library, into, self.threads, signatures)?;
        serving.restore(prefix)?;
        serving.save(&into.join("variables").join("variables"))?;
        let target = into.join(ASSETS);
        written(&target, fs::create_dir_all(&target))?;
        for name in ["tokenizer.json", "vocab.txt"] {
            let path = target.join(name);
            written(&path, fs::copy(assets.join(name), &path))?;
        }
        let path = target.join("tfbert.json");
        written(&path, fs::write(&path, description))
    }
}

fn written<T>(path: &Path, result: std::io::Result<T>) -> Result<()> {
    result.map(drop).map_err(|error| Error::io("write", path, &error))
}
