//! A model of the training step: what each part would take at the machine's measured rates, beside what
//! it took.

use serde::Serialize;

use super::{BatchShape, CHOICES, Products};
use crate::model::Precision;
use crate::saved_model::Encoder;
use crate::task::Head;

/// Bytes of a 32-bit float.
const FLOAT: f64 = 4.0;

/// What a machine computes and moves, measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Floating-point operations a second of large matrix products, in the number format of the step.
    pub flops: f64,
    /// Bytes a second between memory and cores: see [`super::bandwidth`].
    pub bytes: f64,
    /// Operations that the session computes at the same time.
    pub operations: usize,
}

/// The parts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Products of activations and weights, and the gradients of both.
    MatrixProducts,
    /// Attention's products: scores, and the mix of values.
    AttentionProducts,
    /// What lies between products: biases, GELU, LayerNorm, dropout, soft-max, heads split and merged.
    BetweenProducts,
    /// The gradients' norm and AdamW.
    Update,
    /// Weights from 32 bits to bf16.
    Casts,
    /// Operations of no other part.
    Other,
    /// Time in which threads waited: the step's time without that of its operations.
    Waiting,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::MatrixProducts,
        Self::AttentionProducts,
        Self::BetweenProducts,
        Self::Update,
        Self::Casts,
        Self::Other,
        Self::Waiting,
    ];

    /// The part that a traced operation belongs to, by TensorFlow's name of its type.
    fn of(operation: &str) -> Self {
        let has = |part: &str| operation.contains(part);
        if has("BatchMatMul") {
            Self::AttentionProducts
        } else if has("MatMul") {
            Self::MatrixProducts
        } else if has("TfbertAdamW") {
            Self::Update
        } else if operation == "PartitionedCall"
            || has("Tfbert")
            || has("Softmax")
            || has("Transpose")
        {
            // Compiled functions that write no variable, and kernels of this program.
            Self::BetweenProducts
        } else if operation == "StatefulPartitionedCall"
            || has("Resource")
            || operation == "AssignVariableOp"
            || ["L2Loss", "Sqrt", "RealDiv", "Mul", "AddV2", "Sub"].contains(&operation)
        {
            // Compiled functions that change variables, and what moves rows of the word embeddings.
            Self::Update
        } else if operation == "Cast" {
            Self::Casts
        } else if has("Concat") || has("Split") || has("AddN") {
            Self::BetweenProducts
        } else {
            Self::Other
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::MatrixProducts => "matrix products",
            Self::AttentionProducts => "attention's products",
            Self::BetweenProducts => "between products",
            Self::Update => "norm and AdamW",
            Self::Casts => "weights to bf16",
            Self::Other => "other operations",
            Self::Waiting => "waiting",
        }
    }
}

/// A part of a step: its work, and its time in seconds of the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PartTime {
    /// The part.
    pub part: Part,
    /// Floating-point operations that are counted.
    pub flop: f64,
    /// Bytes that have to be moved, each tensor read and written once.
    pub bytes: f64,
    /// The seconds that this takes at the machine's rates.
    pub at_rates: f64,
    /// The seconds that it took.
    pub measured: f64,
}

/// A step and its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The shape, `32x128`.
    pub shape: String,
    /// Seconds of a step without a trace.
    pub step_seconds: f64,
    /// Seconds that the counted work takes at the machine's rates.
    pub at_rates: f64,
    /// The parts.
    pub parts: Vec<PartTime>,
}

impl Explanation {
    /// The part that loses the most time against the machine's rates.
    pub fn farthest(&self) -> Option<&PartTime> {
        let lost = |time: &&PartTime| time.measured - time.at_rates;
        self.parts.iter().max_by(|a, b| lost(a).total_cmp(&lost(b)))
    }
}

/// What a step is made of.
pub struct StepWork<'a> {
    /// The encoder's sizes.
    pub encoder: &'a Encoder,
    /// The head.
    pub head: Head,
    /// Rows and length.
    pub shape: BatchShape,
    /// The number format of matrix products.
    pub precision: Precision,
}

impl StepWork<'_> {
    /// The floating-point operations and the bytes of a part.
    ///
    /// Operations are those of [`super::step_flops`]. Bytes are counted with `t` = positions · hidden,
    /// `i` = positions · intermediate, `a` = positions · heads · length elements of the number format, for
    /// each layer and the gradient included:
    ///
    /// ```text
    /// bias and GELU              5 i      read, write; gradient: read twice, write
    /// LayerNorm twice           16 t      read product and residual, write result and normalised; the same back
    /// heads split and merged    16 t      queries, keys, values, result: read and write, and back
    /// soft-max and dropout       6 a      read, write, write; gradient: read twice, write
    /// ```
    ///
    /// Positions are all tokens. For a head that reads the first position alone, they are the first token of each
    /// sequence in the last layer; its keys and values are still those of all tokens.
    ///
    /// AdamW reads weight, two moments and the gradient of each half and writes the first three, after the
    /// norm has read the gradients. The position embeddings are only read and moved (three reads, one write).
    /// A batch reads a row of the word embeddings for each token, and ten floats are counted for each element of it:
    /// four to bring the row up to date (read weight and two moments, write weight), six to update it (read and write
    /// all three). The head `masked` multiplies by the whole table of word embeddings, so all its rows are counted,
    /// with four floats an element like the position embeddings.
    fn work(&self, part: Part) -> (f64, f64) {
        let sequences = (self.shape.rows * self.head.sequences(CHOICES)) as f64;
        let (length, encoder) = (self.shape.length as f64, self.encoder);
        let (hidden, layers) = (encoder.hidden_size as f64, encoder.num_hidden_layers as f64);
        let intermediate = encoder.intermediate_size as f64;
        let tokens = sequences * length;
        let products = Products::count(encoder, self.head, self.shape);
        let element = if self.precision == Precision::Bf16 { FLOAT / 2.0 } else { FLOAT };
        let kernels = layers * hidden * (4.0 * hidden + 2.0 * intermediate);
        let positions = (encoder.max_position_embeddings + encoder.type_vocab_size) as f64;
        let words = encoder.vocab_size as f64;
        let tables = hidden
            * match self.head {
                Head::Masked => 4.0 * (positions + words),
                _ => 4.0 * positions + 10.0 * tokens.min(words),
            };
        match part {
            Part::MatrixProducts => (products.weights, 0.0),
            Part::AttentionProducts => (products.attention, 0.0),
            Part::BetweenProducts => {
                let attention = encoder.num_attention_heads as f64 * length;
                let of_position = 5.0 * intermediate + 24.0 * hidden + 6.0 * attention;
                let keys_and_values = layers * tokens * 8.0 * hidden;
                (0.0, (products.positions * of_position + keys_and_values) * element)
            }
            Part::Update => {
                let dense = kernels * (6.0 * FLOAT + 2.0 * 2.0 * element);
                (0.0, dense + tables * FLOAT)
            }
            Part::Casts if self.precision == Precision::Bf16 => (0.0, kernels * (FLOAT + element)),
            Part::Casts | Part::Other | Part::Waiting => (0.0, 0.0),
        }
    }

    /// Explains a step of `step_seconds` by the operations of a traced one: their types and seconds.
    pub fn explain<'o>(
        &self,
        rates: Rates,
        step_seconds: f64,
        operations: impl IntoIterator<Item = (&'o str, f64)>,
    ) -> Explanation {
        let mut measured = [0.0; Part::ALL.len()];
        let mut at_work = 0.0;
        for (operation, seconds) in operations {
            // Several are computed at the same time, so each stands for a share of the step.
            let seconds = seconds / rates.operations as f64;
            measured[Part::of(operation) as usize] += seconds;
            at_work += seconds;
        }
        measured[Part::Waiting as usize] = (step_seconds - at_work).max(0.0);
        let parts: Vec<PartTime> = Part::ALL
            .into_iter()
            .map(|part| {
                let (flop, bytes) = self.work(part);
                let at_rates = flop / rates.flops + bytes / rates.bytes;
                PartTime { part, flop, bytes, at_rates, measured: measured[part as usize] }
            })
            .collect();
        Explanation {
            shape: self.shape.to_string(),
            step_seconds,
            at_rates: parts.iter().map(|part| part.at_rates).sum(),
            parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::step_flops;

    const RATES: Rates = Rates { flops: 1e9, bytes: 1e9, operations: 2 };

    fn explained(precision: Precision, operations: &[(&str, f64)]) -> Explanation {
        let shape = BatchShape { rows: 4, length: 8 };
        let work = StepWork { encoder: &Encoder::toy(), head: Head::Classify, shape, precision };
        work.explain(RATES, 0.1, operations.iter().copied())
    }

    fn part(of: &Explanation, part: Part) -> PartTime {
        *of.parts.iter().find(|time| time.part == part).unwrap()
    }

    #[test]
    fn the_products_of_the_parts_are_those_of_the_step() {
        let found = explained(Precision::F32, &[]);
        let flop: f64 = found.parts.iter().map(|part| part.flop).sum();
        let shape = BatchShape { rows: 4, length: 8 };
        assert_eq!(flop, step_flops(&Encoder::toy(), Head::Classify, shape));
    }

    #[test]
    fn bytes_are_counted_by_hand_for_a_toy() {
        // hidden 2, intermediate 8, 1 layer, 1 head, 50 + 16 + 2 rows of embeddings; 4 × 8 tokens.
        let f32 = explained(Precision::F32, &[]);
        // The only layer computes keys and values of 32 tokens, and the rest for the first tokens of 4 sequences.
        let between = 4 * (5 * 8 + 24 * 2 + 6 * 8) + 32 * 8 * 2;
        assert_eq!(part(&f32, Part::BetweenProducts).bytes, f64::from(4 * between));
        let (kernels, tables) = (2 * (4 * 2 + 2 * 8), 2 * (18 * 4 + 32 * 10));
        assert_eq!(part(&f32, Part::Update).bytes, f64::from(kernels * 40 + tables * 4));
        assert_eq!(part(&f32, Part::Casts).bytes, 0.0);
        let bf16 = explained(Precision::Bf16, &[]);
        assert_eq!(part(&bf16, Part::BetweenProducts).bytes, f64::from(2 * between));
        assert_eq!(part(&bf16, Part::Casts).bytes, f64::from(kernels * 6));
    }

    #[test]
    fn operations_are_told_apart_and_what_they_leave_is_waiting() {
        let found = explained(
            Precision::F32,
            &[
                ("_MklMatMul", 0.06),
                ("MatMul", 0.02),
                ("_MklBatchMatMulV2", 0.02),
                ("PartitionedCall", 0.005),
                ("TfbertGeluForward", 0.005),
                ("_MklSoftmax", 0.01),
                ("StatefulPartitionedCall", 0.01),
                ("TfbertAdamWUpdate", 0.01),
                ("ResourceApplyAdam", 0.01),
                ("Cast", 0.002),
                ("StridedSlice", 0.004),
            ],
        );
        let seconds = |of| (part(&found, of).measured * 1e6).round() as i64;
        assert_eq!(seconds(Part::MatrixProducts), 40_000);
        assert_eq!(seconds(Part::AttentionProducts), 10_000);
        assert_eq!(seconds(Part::BetweenProducts), 10_000);
        assert_eq!(seconds(Part::Update), 15_000);
        assert_eq!(seconds(Part::Casts), 1_000);
        assert_eq!(seconds(Part::Other), 2_000);
        assert_eq!(seconds(Part::Waiting), 22_000);
        assert_eq!(found.farthest().unwrap().part, Part::MatrixProducts);
    }
}
