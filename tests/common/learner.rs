//! A small model that learns, without TensorFlow: logistic regression on bags of token ids, with
//! momentum. Everything that training hands to a model takes part in its arithmetic (learning
//! rate, seeds of dropout, bias powers), so that whatever a resumed run gets wrong shows.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use tfbert::error::{Error, Result};
use tfbert::model::{
    ATTENTION_MASK, Batch, BatchProfile, EncoderFacts, Forward, Logits, Model, Predictor,
    StepInputs, StepOutcome,
};

/// The model as an encoder.
pub const FACTS: EncoderFacts =
    EncoderFacts { max_length: 16, num_hidden_layers: 1, pad_token_id: 0 };

/// Two batches are evaluated at the same time, so that they end in any order.
pub const PROFILE: BatchProfile =
    BatchProfile { parallel_batches: 2, batch_tokens: None, shape_cost: 4500 };

/// Token ids below this exist.
pub const VOCABULARY: usize = 32;

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The loss of this step, counted from 1, is not a number.
    Nan(u64),
    /// The loss of this step is infinite, its gradient is not.
    InfiniteLoss(u64),
    /// The signal to stop comes during this step.
    Stop(u64),
    /// The signal comes during the first evaluation after this step.
    StopInEvaluation(u64),
    /// The weights of this step cannot be written.
    Save(u64),
    /// This step runs out of memory.
    Memory(u64),
}

/// The model.
pub struct Learner {
    weights: Vec<f32>,
    momentum: Vec<f32>,
    /// Calls to `train` since `init`, wherever they were made.
    pub steps: u64,
    /// Whether `flush` has to come before an evaluation.
    is_behind: bool,
    pub fault: Option<Fault>,
    pub stop: Arc<AtomicI32>,
    /// The features that were evaluated, in any order within an evaluation.
    pub evaluated: Mutex<Vec<usize>>,
    /// The features that were trained on, in order.
    pub trained: Vec<usize>,
}

impl Learner {
    pub fn new() -> Self {
        Self {
            weights: Vec::new(),
            momentum: Vec::new(),
            steps: 0,
            is_behind: false,
            fault: None,
            stop: Arc::new(AtomicI32::new(0)),
            evaluated: Mutex::default(),
            trained: Vec::new(),
        }
    }

    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The probability of class 1 of each row.
    fn probabilities(&self, batch: &Batch) -> Vec<f32> {
        let length = batch.length();
        let ids = batch.input_ids().ints();
        let mask = batch.inputs[ATTENTION_MASK].ints();
        let row = |row: usize| {
            let positions = row * length..(row + 1) * length;
            let sum: f32 = ids[positions.clone()]
                .iter()
                .zip(&mask[positions])
                .map(|(&id, &mask)| self.weights[id as usize] * mask as f32)
                .sum();
            1.0 / (1.0 + (-sum).exp())
        };
        (0..batch.rows()).map(row).collect()
    }

    fn losses(batch: &Batch, probabilities: &[f32]) -> Vec<f32> {
        probabilities
            .iter()
            .zip(batch.labels.ints())
            .zip(batch.sample_weight.floats())
            .map(|((p, &label), weight)| -weight * (if label == 1 { *p } else { 1.0 - p }).ln())
            .collect()
    }
}

impl Predictor for Learner {
    fn forward(&self, batch: &Batch) -> Result<Forward> {
        if matches!(self.fault, Some(Fault::StopInEvaluation(step)) if step <= self.steps) {
            self.stop.store(2, Ordering::SeqCst);
        }
        assert!(!self.is_behind, "an evaluation needs `flush`");
        self.evaluated.lock().unwrap().extend(&batch.features);
        let probabilities = self.probabilities(batch);
        let loss = Self::losses(batch, &probabilities).iter().map(|&loss| f64::from(loss)).sum();
        let values = probabilities.iter().flat_map(|&p| [(1.0 - p).ln(), p.ln()]).collect();
        let logits = Logits { values, shape: vec![batch.rows(), 2] };
        Ok(Forward { logits, loss: Some(loss) })
    }
}

impl Model for Learner {
    fn init(&mut self, _num_labels: usize, seed: u64) -> Result<()> {
        self.weights = (0..VOCABULARY).map(|id| ((seed + id as u64) % 7) as f32 * 1e-2).collect();
        self.momentum = vec![0.0; VOCABULARY];
        self.steps = 0;
        Ok(())
    }

    fn train(&mut self, batches: &[Batch], inputs: &StepInputs) -> Result<StepOutcome> {
        self.steps += 1;
        self.is_behind = true;
        match self.fault {
            Some(Fault::Nan(step)) if step == self.steps => {
                return Ok(StepOutcome::alone(f32::NAN, f32::NAN));
            }
            Some(Fault::InfiniteLoss(step)) if step == self.steps => {
                return Ok(StepOutcome::alone(f32::INFINITY, 1.0));
            }
            Some(Fault::Memory(step)) if step == self.steps => {
                return Err(Error::out_of_memory("TensorFlow failed: OOM"));
            }
            Some(Fault::Stop(step)) if step == self.steps => self.stop.store(15, Ordering::SeqCst),
            _ => {}
        }
        let weight_sum = inputs.weight_sum;
        let update = |name: &str| {
            let (_, value) = inputs.update.iter().find(|(known, _)| *known == name).unwrap();
            value.floats()[0]
        };
        let mut gradient = [0.0f32; VOCABULARY];
        let mut loss = 0.0;
        for (batch, seed) in batches.iter().zip(&inputs.dropout_seeds) {
            self.trained.extend(&batch.features);
            let probabilities = self.probabilities(batch);
            loss += Self::losses(batch, &probabilities).iter().sum::<f32>() / weight_sum;
            let (labels, weights) = (batch.labels.ints(), batch.sample_weight.floats());
            let (ids, mask) = (batch.input_ids().ints(), batch.inputs[ATTENTION_MASK].ints());
            let length = batch.length();
            for row in 0..batch.rows() {
                let error = (probabilities[row] - labels[row] as f32) * weights[row];
                for i in row * length..(row + 1) * length {
                    gradient[ids[i] as usize] += error * mask[i] as f32 / weight_sum;
                }
            }
            if inputs.dropout > 0.0 {
                gradient[(seed[0] as u32 % VOCABULARY as u32) as usize] *= 1.0 - inputs.dropout;
            }
        }
        let grad_norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        for (id, g) in gradient.iter().enumerate() {
            self.momentum[id] = update("beta1") * self.momentum[id] + g;
            self.weights[id] -=
                update("learning_rate") * self.momentum[id] / (1.0 - update("beta1_power") / 2.0);
        }
        Ok(StepOutcome::alone(loss, grad_norm))
    }

    fn flush(&mut self) -> Result<()> {
        self.is_behind = false;
        Ok(())
    }

    fn save(&mut self, prefix: &Path) -> Result<()> {
        let data = prefix.with_extension("data-00000-of-00001");
        let bytes: Vec<u8> = self
            .weights
            .iter()
            .chain(&self.momentum)
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let written = if self.fault == Some(Fault::Save(self.steps)) {
            // As a full disk does: a part, then the error.
            fs::write(&data, &bytes[..bytes.len() / 2]).ok();
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        } else {
            fs::write(&data, bytes)
        };
        written
            .and_then(|()| fs::write(prefix.with_extension("index"), self.steps.to_string()))
            .map_err(|error| Error::io("write", prefix, &error))
    }

    fn restore(&mut self, prefix: &Path) -> Result<()> {
        let read = |extension: &str| {
            let path = prefix.with_extension(extension);
            fs::read(&path).map_err(|error| Error::io("read", &path, &error))
        };
        let data = read("data-00000-of-00001")?;
        let values: Vec<f32> =
            data.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        self.weights = values[..VOCABULARY].to_vec();
        self.momentum = values[VOCABULARY..].to_vec();
        self.steps = String::from_utf8(read("index")?).unwrap().parse().unwrap();
        Ok(())
    }

    fn export(&mut self, prefix: &Path, into: &Path, description: &str) -> Result<()> {
        let data = prefix.with_extension("data-00000-of-00001");
        let bytes = fs::read(&data).map_err(|error| Error::io("read", &data, &error))?;
        fs::write(into.join("weights"), &bytes[..VOCABULARY * 4]).unwrap();
        fs::write(into.join("tfbert.json"), description).unwrap();
        Ok(())
    }
}
