//! Timing training steps and evaluations of a model on synthetic full-length batches.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::batch::{BatchLayout, PlannedBatch, prefetch};
use crate::error::Result;
use crate::feature::{FeatureTarget, Features, Sequence};
use crate::model::{Batch, Model, StepInputs};
use crate::optimizer::AdamW;
use crate::saved_model::Encoder;
use crate::task::Head;

mod bandwidth;
mod explain;

pub use bandwidth::bandwidth;
pub use explain::{Explanation, Part, PartTime, Rates, StepWork};

/// Labels of the heads that take any number of them; as many as CoNLL-2003 has tags.
const TAGS: usize = 9;
/// Endings of a multiple-choice example, as in SWAG.
const CHOICES: usize = 4;

/// Rows and length of a batch, written `32x128`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchShape {
    /// Examples.
    pub rows: usize,
    /// Word pieces a sequence.
    pub length: usize,
}

impl fmt::Display for BatchShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.length)
    }
}

impl FromStr for BatchShape {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|&number: &usize| number > 0);
        text.split_once('x')
            .and_then(|(rows, length)| Some(Self { rows: number(rows)?, length: number(length)? }))
            .filter(|shape| shape.length >= 2)
            .ok_or_else(|| {
                "expected rows and length such as `32x128`, with a length of at least 2".into()
            })
    }
}

/// The model that is measured, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchSettings {
    /// The model's head.
    pub head: Head,
    /// The model's encoder.
    pub encoder: Encoder,
    /// Steps before the first that is timed.
    pub warmup: usize,
    /// Timed steps, at least 1.
    pub steps: usize,
    /// Whether evaluation is timed beside training.
    pub eval: bool,
    /// Seed of token ids, labels and dropout.
    pub seed: u64,
}

/// What was measured of a shape. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The shape, `32x128`.
    pub shape: String,
    /// The first training step, which compiles.
    pub first_step_seconds: f64,
    /// What the first training step took longer than the median of the timed ones.
    pub compiling_seconds: f64,
    /// The median of the timed training steps.
    pub step_seconds: f64,
    /// The fastest of them.
    pub min_step_seconds: f64,
    /// How many were timed.
    pub steps: usize,
    /// Training steps a second.
    pub steps_per_second: f64,
    /// Examples trained on a second.
    pub examples_per_second: f64,
    /// Word pieces trained on a second.
    pub tokens_per_second: f64,
    /// Arithmetic of a training step in units of 10⁹ operations; see [`step_flops`].
    pub step_gflop: f64,
    /// That arithmetic by `step_seconds`.
    pub gflops_per_second: f64,
    /// `gflops_per_second` by the machine's measured peak, where that was measured.
    pub peak_share: Option<f64>,
    /// Time that steps waited for batches, as a share of their time.
    pub input_wait: f64,
    /// Padding as a share of the batches' positions.
    pub padding: f64,
    /// The process's highest resident memory so far, in bytes.
    pub peak_memory_bytes: u64,
    /// The first evaluation, which compiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_eval_seconds: Option<f64>,
    /// The median of the timed evaluations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_seconds: Option<f64>,
    /// Examples evaluated a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_examples_per_second: Option<f64>,
}

/// Measures the training step of a model on batches of one shape, and its evaluation on request.
///
/// The model must be initialised for [`num_labels`] labels; it is trained by this. `peak` is the
/// rate of the machine's matrix products in operations a second, `memory` tells the highest
/// resident memory in bytes.
///
/// # Errors
///
/// The computation fails, for want of memory for example.
pub fn measure(
    model: &mut dyn Model,
    shape: BatchShape,
    settings: &BenchSettings,
    peak: Option<f64>,
    memory: impl Fn() -> u64,
) -> Result<Measurement> {
    let BenchSettings { head, encoder, .. } = settings;
    let head = *head;
    let batches = SyntheticBatches::new(settings, shape);
    let mut steps = Timer::default();
    let (waited, padding) =
        prefetch(batches.take(1 + settings.warmup + settings.steps), |items| {
            let (mut waited, mut padding) = (Duration::ZERO, 0.0);
            for step in 0..1 + settings.warmup + settings.steps {
                let wait_before = items.waited();
                // The wait is the step's: a run that is slow to lay batches out trains slowly.
                let start = Instant::now();
                let Some(batch) = items.next() else { break };
                train_step(model, &batch, step, settings)?;
                steps.push(start.elapsed());
                if step > settings.warmup {
                    waited += items.waited() - wait_before;
                }
                let positions = batch.sequences() * batch.length();
                padding = 1.0 - batch.tokens() as f64 / positions as f64;
            }
            Ok::<_, crate::error::Error>((waited, padding))
        })?;
    let timed = steps.timed(settings.warmup);
    let step_seconds = median(timed);
    let flops = step_flops(encoder, head, shape);
    let sequences = head.sequences(CHOICES);
    let mut measurement = Measurement {
        shape: shape.to_string(),
        first_step_seconds: steps.0[0],
        compiling_seconds: (steps.0[0] - step_seconds).max(0.0),
        step_seconds,
        min_step_seconds: timed.iter().copied().fold(f64::INFINITY, f64::min),
        steps: timed.len(),
        steps_per_second: 1.0 / step_seconds,
        examples_per_second: shape.rows as f64 / step_seconds,
        tokens_per_second: (shape.rows * sequences * shape.length) as f64 / step_seconds,
        step_gflop: flops / 1e9,
        gflops_per_second: flops / 1e9 / step_seconds,
        peak_share: peak.map(|peak| flops / step_seconds / peak),
        input_wait: waited.as_secs_f64() / timed.iter().sum::<f64>(),
        padding,
        peak_memory_bytes: memory(),
        first_eval_seconds: None,
        eval_seconds: None,
        eval_examples_per_second: None,
    };
    if settings.eval {
        let mut evaluations = Timer::default();
        let batches = SyntheticBatches::new(settings, shape);
        for batch in batches.take(1 + settings.warmup + settings.steps) {
            let start = Instant::now();
            model.forward(&batch)?;
            evaluations.push(start.elapsed());
        }
        let seconds = median(evaluations.timed(settings.warmup));
        measurement.first_eval_seconds = Some(evaluations.0[0]);
        measurement.eval_seconds = Some(seconds);
        measurement.eval_examples_per_second = Some(shape.rows as f64 / seconds);
        measurement.peak_memory_bytes = memory();
    }
    Ok(measurement)
}

/// One training step on a synthetic batch, as [`measure`] times it.
///
/// # Errors
///
/// The computation fails.
pub fn one_step(model: &mut dyn Model, shape: BatchShape, settings: &BenchSettings) -> Result<()> {
    let batch = SyntheticBatches::new(settings, shape).draw();
    train_step(model, &batch, 0, settings)
}

/// One evaluation of a synthetic batch, as [`measure`] times it.
///
/// # Errors
///
/// The computation fails.
pub fn one_evaluation(
    model: &dyn Model,
    shape: BatchShape,
    settings: &BenchSettings,
) -> Result<()> {
    let batch = SyntheticBatches::new(settings, shape).draw();
    model.forward(&batch).map(drop)
}

/// How many labels [`measure`] gives a head.
pub fn num_labels(head: Head) -> usize {
    match head {
        Head::Classify | Head::Span => 2,
        Head::Multilabel | Head::Tag => TAGS,
        Head::Regress | Head::Choice | Head::Masked => 1,
    }
}

/// The floating-point operations of one training step, counted from its matrix products alone.
///
/// Forward, a matrix product takes two operations (multiply, add) for each weight and token, and
/// attention's two products (scores, and the mix of values) two for each pair of positions and
/// each hidden unit:
///
/// ```text
/// a layer = 2 · tokens · (4 h² + 2 h i)  +  2 · 2 · sequences · length² · h
/// ```
///
/// with `h` hidden and `i` intermediate units. A head that reads the first position alone
/// ([`Head::reads_first_position`]) needs the keys and values of all tokens in the last layer, and everything else
/// for one token of each sequence:
///
/// ```text
/// its last layer = 2 · tokens · 2 h²  +  2 · sequences · (2 h² + 2 h i)  +  2 · 2 · sequences · length · h
/// ```
///
/// The backward pass takes twice as many operations as the forward pass. For the weights of a whole layer this
/// gives the usual 6 · parameters · tokens (Kaplan et al. 2020, section 2.1, with attention added). Two
/// parts are not counted: the embeddings, which are read and not multiplied, and the head, which is small.
pub fn step_flops(encoder: &Encoder, head: Head, shape: BatchShape) -> f64 {
    let Products { weights, attention, .. } = Products::count(encoder, head, shape);
    weights + attention
}

/// What the matrix products of a training step compute.
struct Products {
    /// Operations of the products with weights.
    weights: f64,
    /// Operations of attention's products.
    attention: f64,
    /// The positions whose output is computed, of all layers together.
    positions: f64,
}

impl Products {
    fn count(encoder: &Encoder, head: Head, shape: BatchShape) -> Self {
        let sequences = (shape.rows * head.sequences(CHOICES)) as f64;
        let (hidden, length) = (encoder.hidden_size as f64, shape.length as f64);
        let intermediate = encoder.intermediate_size as f64;
        let tokens = sequences * length;
        // The positions whose output the last layer computes.
        let last = if head.reads_first_position() { sequences } else { tokens };
        let others = encoder.num_hidden_layers as f64 - 1.0;
        let keys_and_values = 2.0 * hidden * hidden;
        let rest = 2.0 * hidden * hidden + 2.0 * hidden * intermediate;
        let positions = others * tokens + last;
        let weights = (others + 1.0) * tokens * keys_and_values + positions * rest;
        let attention = positions * length * hidden;
        Self { weights: 3.0 * 2.0 * weights, attention: 3.0 * 4.0 * attention, positions }
    }
}

fn train_step(
    model: &mut dyn Model,
    batch: &Batch,
    step: usize,
    bench: &BenchSettings,
) -> Result<()> {
    // Small enough that hundreds of steps on noise leave the weights ordinary.
    let learning_rate = 1e-6;
    let layers = bench.encoder.num_hidden_layers;
    let inputs = StepInputs {
        update: AdamW::default().inputs(learning_rate, step, layers),
        weight_sum: batch.weight_sum(),
        dropout: 0.1,
        dropout_seeds: vec![[bench.seed as i32, step as i32]],
        label_smoothing: 0.0,
        shared: None,
    };
    model.train(std::slice::from_ref(batch), &inputs).map(drop)
}

/// Endless batches of random token ids and labels, every sequence of full length.
struct SyntheticBatches {
    head: Head,
    shape: BatchShape,
    vocab_size: usize,
    segments: usize,
    pad_token_id: i32,
    rng: ChaCha8Rng,
}

impl SyntheticBatches {
    fn new(settings: &BenchSettings, shape: BatchShape) -> Self {
        Self {
            head: settings.head,
            shape,
            vocab_size: settings.encoder.vocab_size,
            segments: settings.encoder.type_vocab_size,
            pad_token_id: settings.encoder.pad_token_id,
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
        }
    }

    fn draw(&mut self) -> Batch {
        let BatchShape { rows, length } = self.shape;
        let sequences = self.head.sequences(CHOICES);
        let second_segment = if self.segments > 1 { length / 2 } else { length };
        let mut features = Features::default();
        for row in 0..rows {
            let ids: Vec<Vec<i32>> = (0..sequences)
                .map(|_| (0..length).map(|_| self.below(self.vocab_size)).collect())
                .collect();
            let drawn: Vec<Sequence<'_>> =
                ids.iter().map(|ids| Sequence { input_ids: ids, second_segment }).collect();
            let target = self.target();
            features.push(row, &drawn, target);
        }
        let planned = PlannedBatch { features: (0..rows).collect(), rows, length };
        let layout = BatchLayout {
            head: self.head,
            pad_token_id: self.pad_token_id,
            class_weights: &[],
            mask_seed: 0,
        };
        layout.lay_out(&features, &planned)
    }

    fn target(&mut self) -> FeatureTarget {
        let length = self.shape.length;
        match self.head {
            Head::Classify => FeatureTarget::Class(self.below(num_labels(Head::Classify))),
            Head::Choice => FeatureTarget::Class(self.below(CHOICES)),
            Head::Multilabel => {
                FeatureTarget::Labels { labels: [self.below(TAGS) as u32].into(), of: TAGS as u32 }
            }
            Head::Regress => FeatureTarget::Score(self.rng.random_range(0.0..5.0)),
            Head::Span => {
                let start = self.below(length);
                FeatureTarget::Span(start, start + self.below(length - start as usize))
            }
            Head::Masked => FeatureTarget::Words {
                words: (0..length as i32).collect(),
                mask_token_id: self.vocab_size as i32 - 1,
                vocab_size: self.vocab_size as u32,
            },
            Head::Tag => FeatureTarget::Tags((0..length).map(|_| self.below(TAGS)).collect()),
        }
    }

    fn below(&mut self, end: usize) -> i32 {
        self.rng.random_range(0..end as i32)
    }
}

impl Iterator for SyntheticBatches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        Some(self.draw())
    }
}

/// The times of calls, in seconds and order: the first, the warm-up's, the timed.
#[derive(Default)]
struct Timer(Vec<f64>);

impl Timer {
    fn push(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64());
    }

    fn timed(&self, warmup: usize) -> &[f64] {
        &self.0[1 + warmup..]
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests;
