//! AdamW's numbers: flags, settings of a run, and inputs of the training graph in one place.
//!
//! A new number is a field of [`AdamW`], a line in [`AdamW::inputs`], and its use in
//! `python_export/optimizer.py`.

use clap::ArgAction;
use serde::{Deserialize, Serialize};

use crate::model::Tensor;

/// The numbers of AdamW, all but the learning rate, which the schedule gives. A field that an older
/// `run.json` lacks needs a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
pub struct AdamW {
    /// Decoupled weight decay, on all but biases and LayerNorm.
    #[arg(long, allow_negative_numbers = true, value_parser = non_negative, default_value_t = 0.01)]
    pub weight_decay: f32,
    /// Adam's first decay rate.
    #[arg(skip = Self::default().beta1)]
    pub beta1: f32,
    /// Adam's second decay rate.
    #[arg(skip = Self::default().beta2)]
    pub beta2: f32,
    /// Adam's epsilon, outside the root.
    #[arg(skip = Self::default().epsilon)]
    pub epsilon: f32,
    /// Leave out Adam's bias correction, as Google's BERT does.
    // Hugging Face corrects it.
    #[arg(long = "no-bias-correction", action = ArgAction::SetFalse)]
    pub bias_correction: bool,
    /// Scale gradients down to this global norm; 0 turns it off.
    #[arg(long, allow_negative_numbers = true, value_parser = non_negative, default_value_t = 1.0)]
    pub max_grad_norm: f32,
    /// Factor on the learning rate from each layer to the one below.
    #[arg(long, allow_negative_numbers = true, value_parser = non_negative, default_value_t = 1.0)]
    pub layer_decay: f32,
    /// Freeze the weights of the lowest N parts: 1 is the embeddings, 2 also the first layer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub freeze: usize,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            bias_correction: true,
            max_grad_norm: 1.0,
            layer_decay: 1.0,
            freeze: 0,
        }
    }
}

impl AdamW {
    /// The inputs of an update by their names in `docs/contract.md`: for a step counted from 0, at
    /// its learning rate, of an encoder of so many layers.
    pub fn inputs(
        &self,
        learning_rate: f32,
        step: usize,
        layers: usize,
    ) -> Vec<(&'static str, Tensor)> {
        // 0 stands for no correction.
        let power = |beta: f32| {
            if self.bias_correction { f64::from(beta).powi(step as i32 + 1) as f32 } else { 0.0 }
        };
        let number = |value: f32| Tensor::from_floats(&[], vec![value]);
        let scale = self.layer_scale(layers);
        vec![
            ("learning_rate", number(learning_rate)),
            ("layer_scale", Tensor::from_floats(&[scale.len()], scale)),
            ("weight_decay", number(self.weight_decay)),
            ("beta1", number(self.beta1)),
            ("beta2", number(self.beta2)),
            ("epsilon", number(self.epsilon)),
            ("beta1_power", number(power(self.beta1))),
            ("beta2_power", number(power(self.beta2))),
            ("max_grad_norm", number(self.max_grad_norm)),
        ]
    }

    /// The factor on the learning rate of embeddings, each layer from the bottom, and the head.
    ///
    /// The head has 1; each part has `layer_decay` times what the part above it has; the lowest
    /// `freeze` parts have 0.
    pub fn layer_scale(&self, layers: usize) -> Vec<f32> {
        let parts = layers + 2;
        (0..parts)
            .map(|part| {
                if part < self.freeze {
                    0.0
                } else {
                    self.layer_decay.powi((parts - 1 - part) as i32)
                }
            })
            .collect()
    }
}

/// Parses a flag's number from 0.
pub(crate) fn non_negative(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|rate: &f32| rate.is_finite() && *rate >= 0.0)
        .ok_or_else(|| "expected a number from 0".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        adamw: AdamW,
    }

    fn parse(flags: &[&str]) -> AdamW {
        Command::parse_from(std::iter::once(&"tfbert").chain(flags)).adamw
    }

    fn input(adamw: &AdamW, name: &str) -> Vec<f32> {
        let inputs = adamw.inputs(0.5, 2, 2);
        let (_, tensor) = inputs.iter().find(|(known, _)| *known == name).unwrap();
        tensor.floats().to_vec()
    }

    #[test]
    fn without_flags_the_numbers_are_the_defaults() {
        assert_eq!(parse(&[]), AdamW::default());
    }

    #[test]
    fn flags_change_their_numbers_alone() {
        let given = parse(&["--no-bias-correction", "--weight-decay", "0", "--freeze", "2"]);
        let wanted =
            AdamW { bias_correction: false, weight_decay: 0.0, freeze: 2, ..AdamW::default() };
        assert_eq!(given, wanted);
    }

    #[test]
    fn layer_decay_and_freeze_scale_from_the_head_down() {
        let adamw = AdamW { layer_decay: 0.5, freeze: 2, ..AdamW::default() };
        assert_eq!(input(&adamw, "layer_scale"), [0.0, 0.0, 0.5, 1.0]);
        assert_eq!(input(&adamw, "learning_rate"), [0.5]);
    }

    #[test]
    fn the_powers_of_bias_correction_count_steps_from_1_and_are_0_without_it() {
        let adamw = AdamW { beta1: 0.5, ..AdamW::default() };
        assert_eq!(input(&adamw, "beta1_power"), [0.125]);
        let without = AdamW { bias_correction: false, ..adamw };
        assert_eq!(input(&without, "beta1_power"), [0.0]);
    }
}
