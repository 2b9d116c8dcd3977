//! An export in a session: weights, optimiser and step behind the [`Model`] trait.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::abort;
use super::bundle;
use super::cluster::Server;
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
    Batch, BatchProfile, Forward, Model, Precision, Predictor, SharedInputs, Signals, StepInputs,
    StepOutcome,
};
use crate::saved_model::{ASSETS, EXPORT_ANEW, Export, Signature};

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
    /// Whether a step is one function that XLA compiles.
    whole_step: bool,
    /// The other workers, where there are any.
    group: Option<Group>,
    start: Option<Start>,
}

/// The workers that sum their gradients.
struct Group {
    size: usize,
    /// The number format of the sums.
    precision: Precision,
}

/// Weights that training starts from, other than the export's.
struct Start {
    weights: PathBuf,
    head: bool,
    scratch: PathBuf,
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
        let has_halves = has_halves(signatures, precision);
        let split = if has_halves { WorkSplit::HalfBatches } else { WorkSplit::Operations };
        let device = library.device();
        let session_threads = device.threads(threads, split);
        let graph = if whole_step {
            let graph = LoadedGraph::load(library, &folder, session_threads, signatures)?;
            // That graph lies without weights; a graph without them is loaded without values.
            graph.restore(&export.weights())?;
            graph
        } else {
            let model = &export.model;
            LoadedGraph::load_training(library, model, &folder, session_threads, signatures)?
        };
        let (on_gpu, has_kernels) = (graph.on_gpu(), graph.has_kernels());
        if device.gpu().is_some() && !on_gpu {
            log::warn!(
                "TensorFlow sees no GPU, although the driver lists one: computing on the CPU; \
                 `tfbert doctor` says what is missing"
            );
        }
        let is_old = !has_halves || device.has_kernels() && !export.model.names_functions();
        if !on_gpu && is_old && !whole_step {
            log::info!(
                "{}: this export is of an earlier version, and a new one trains faster: {EXPORT_ANEW}",
                dir.display()
            );
        }
        Ok(Self {
            library: library.clone(),
            export: export.clone(),
            graph,
            precision,
            threads: session_threads,
            profile: device.training_profile(on_gpu, threads, split, has_kernels),
            halves: has_halves && !on_gpu,
            whole_step,
            group: None,
            start: None,
        })
    }

    /// Starts TensorFlow's server of worker `index` of those at `addresses`, for
    /// [`TrainingSession::load_worker`] with the same export and threads.
    ///
    /// # Errors
    ///
    /// Its port is in use.
    pub fn serve(
        library: &Library,
        addresses: &[String],
        index: usize,
        threads: usize,
    ) -> Result<Server> {
        let threads = library.device().threads(threads, WorkSplit::HalfBatches);
        Server::start(library, addresses, index, threads)
    }

    /// As [`TrainingSession::load`], the graph of several workers, whose gradients are summed in the
    /// format `reduce`.
    ///
    /// # Errors
    ///
    /// As [`TrainingSession::load`]; the export has no such graph.
    pub fn load_worker(
        library: &Library,
        export: &Export,
        precision: Precision,
        threads: usize,
        server: &Server,
        reduce: Precision,
    ) -> Result<Self> {
        let path = export.workers_graph()?;
        let graph = LoadedGraph::load_on(
            server,
            library,
            &export.model,
            &path,
            &export.workers_signatures,
        )?;
        // The graph lies in a folder without variables.
        graph.restore(&export.weights())?;
        let (on_gpu, has_kernels) = (graph.on_gpu(), graph.has_kernels());
        Ok(Self {
            library: library.clone(),
            export: export.clone(),
            graph,
            precision,
            threads: server.threads(),
            profile: library.device().training_profile(
                on_gpu,
                threads,
                WorkSplit::HalfBatches,
                has_kernels,
            ),
            halves: !on_gpu,
            whole_step: false,
            group: Some(Group { size: server.count(), precision: reduce }),
            start: None,
        })
    }

    /// Has [`Model::init`] take the weights of the checkpoint `weights`: those of the encoder, and with
    /// `head` those of the head. Files in the folder `scratch` come and go meanwhile.
    pub fn start_from(&mut self, weights: &Path, head: bool, scratch: &Path) {
        self.start = Some(Start { weights: weights.to_owned(), head, scratch: scratch.to_owned() });
    }

    /// Takes the weights that [`TrainingSession::start_from`] named, with the optimiser's state that
    /// the session has.
    fn take_start(&mut self) -> Result<()> {
        let Some(Start { weights, head, scratch }) = &self.start else { return Ok(()) };
        let dir = scratch.join(".start");
        let failed = |error: std::io::Error| Error::io("write", &dir, &error);
        fs::create_dir_all(&dir).map_err(failed)?;
        let (own, merged) = (dir.join("own"), dir.join("merged"));
        let taken = self.graph.save(&own).and_then(|()| {
            let takes =
                |name: &str| name.starts_with("encoder/") || *head && name.starts_with("head/");
            bundle::merge(&self.library, &own, weights, &merged, takes)?;
            self.graph.restore(&merged)
        });
        let removed = fs::remove_dir_all(&dir).map_err(failed);
        taken.and(removed)
    }

    /// How batches are best laid out for it.
    pub fn profile(&self) -> BatchProfile {
        self.profile
    }

    /// The devices that it computes on: name and type.
    pub fn devices(&self) -> Vec<(String, String)> {
        self.graph.devices()
    }

    /// Drops this without closing TensorFlow's session. For a process that is about to end: closing the
    /// session takes TensorFlow time, and the operating system frees all memory at the end anyway.
    pub fn drop_at_end_of_process(self) {
        self.graph.drop_at_end_of_process();
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

    /// The signature of a call that updates, and adds its inputs to `feeds`.
    fn updating(&self, call: String, feeds: &mut Feeds<'_>, step: &StepInputs) -> String {
        add_update(feeds, step);
        let (Some(group), Some(shared)) = (&self.group, &step.shared) else { return call };
        feeds.add("group_size", Feed::ints(&[], &[group.size as i32]));
        let signals = [shared.signals.stop, shared.signals.save].map(|on| f32::from(u8::from(on)));
        feeds.add("signals", Feed::floats(&[2], &signals));
        add_token_rows(feeds, step);
        format!("{call}_reduce_{}", group.precision)
    }

    /// Runs an update.
    fn update(&self, call: &str, feeds: Feeds<'_>) -> Result<StepOutcome> {
        let names: &[&str] = match &self.group {
            Some(_) => &["loss", "grad_norm", "signals", "own_loss"],
            None => &["loss", "grad_norm"],
        };
        let sums = self.group.is_some();
        let outputs = self.graph.run_as::<f32>(call, feeds, names, sums)?;
        let mut outcome = StepOutcome::alone(outputs[0][0], outputs[1][0]);
        if let Some(signals) = outputs.get(2) {
            outcome.signals = Signals { stop: signals[0] > 0.0, save: signals[1] > 0.0 };
            outcome.own_loss = outputs[3][0];
        }
        Ok(outcome)
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
const APPLY: &str = "apply";
/// Exports of contract version 1 lack it: their `train` leaves no update for later.
const FLUSH: &str = "flush";

/// The signature of a call in a precision, of whole batches or of their halves.
fn signature(call: &str, precision: Precision, halves: bool) -> String {
    format!("{call}_{precision}{}", if halves { "_halves" } else { "" })
}

/// Whether a graph has signatures of halves. The whole-step graph has none, nor have exports of earlier
/// versions.
fn has_halves(signatures: &BTreeMap<String, Signature>, precision: Precision) -> bool {
    [TRAIN, ACCUMULATE]
        .iter()
        .all(|call| signatures.contains_key(&signature(call, precision, true)))
}

/// Adds the rows of the embeddings that a step of several workers reads.
fn add_token_rows(feeds: &mut Feeds<'_>, step: &StepInputs) {
    if let Some(SharedInputs { token_rows, .. }) = &step.shared {
        feeds.add("token_rows", Feed::ints(&[token_rows.len()], token_rows));
    }
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
        self.take_start()?;
        release_memory();
        Ok(())
    }

    fn train(&mut self, batches: &[Batch], inputs: &StepInputs) -> Result<StepOutcome> {
        if let [batch] = batches {
            let mut feeds = self.step_feeds(batch, inputs, inputs.dropout_seeds[0]);
            let call = self.updating(self.learning_signature(TRAIN), &mut feeds, inputs);
            return self.update(&call, feeds);
        }
        let signature = self.learning_signature(ACCUMULATE);
        let mut loss = 0.0;
        for (i, (batch, &seed)) in batches.iter().zip(&inputs.dropout_seeds).enumerate() {
            let mut feeds = self.step_feeds(batch, inputs, seed);
            feeds.add("first", Feed::bool(i == 0));
            add_token_rows(&mut feeds, inputs);
            loss += self.graph.run(&signature, feeds, &["loss"])?[0][0];
        }
        let mut feeds = Feeds::default();
        let call = self.updating(APPLY.to_owned(), &mut feeds, inputs);
        if self.group.is_some() {
            feeds.add("loss", Feed::float(loss));
            return self.update(&call, feeds);
        }
        let outputs = self.graph.run(&call, feeds, &["grad_norm"])?;
        Ok(StepOutcome::alone(loss, outputs[0][0]))
    }

    fn flush(&mut self) -> Result<()> {
        if self.graph.has(FLUSH) {
            self.graph.run_for_effect(FLUSH, Feeds::default())?;
        }
        Ok(())
    }

    fn checksum(&self) -> Result<Vec<i32>> {
        let outputs = self.graph.run_as::<i32>("checksum", Feeds::default(), &["sums"], false)?;
        Ok(outputs[0].to_vec())
    }

    fn save(&mut self, prefix: &Path) -> Result<()> {
        self.graph.save(prefix)
    }

    fn restore(&mut self, prefix: &Path) -> Result<()> {
        self.graph.restore(prefix)?;
        // The whole-step graph reads every row as it is.
        if self.whole_step { self.flush() } else { Ok(()) }
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
