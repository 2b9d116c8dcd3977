//! The learning rate over a run: a warm-up from 0 to the peak, then what the scheduler says.
//!
//! The formulas are those of Hugging Face's `transformers.optimization`, under its names. Step `s`,
//! counted from 0, of `total` trains with `peak · s / warmup` while `s < warmup`, then with
//!
//! - `linear`: `peak · (total - s) / (total - warmup)`;
//! - `cosine`: `peak · (1 + cos(π · (s - warmup) / (total - warmup))) / 2`;
//! - `constant_with_warmup`: `peak`;
//! - `constant`: `peak` from the first step on, without warm-up.

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decay {
    /// It falls in a line to 0.
    #[default]
    Linear,
    /// It falls to 0 as half a cosine.
    Cosine,
    /// It stays at the peak.
    None,
}

/// A run's learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f32,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Steps of the run.
    pub total: usize,
    /// What follows the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// The steps of a warm-up that takes `ratio` of the steps, rounded up as Hugging Face's Trainer
    /// does (`math.ceil`).
    pub fn warmup_steps(ratio: f64, total: usize) -> usize {
        (total as f64 * ratio).ceil() as usize
    }

    /// The learning rate of a step counted from 0.
    pub fn learning_rate(&self, step: usize) -> f32 {
        let steps = self.total.saturating_sub(self.warmup).max(1) as f64;
        let factor = if step < self.warmup {
            step as f64 / self.warmup.max(1) as f64
        } else {
            match self.decay {
                Decay::Linear => self.total.saturating_sub(step) as f64 / steps,
                Decay::Cosine => {
                    let progress = (step - self.warmup) as f64 / steps;
                    (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
                }
                Decay::None => 1.0,
            }
        };
        (f64::from(self.peak) * factor) as f32
    }
}
