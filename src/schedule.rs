//! The learning rate over a run: linear warm-up, then linear decay to 0.
//!
//! Hugging Face's `get_linear_schedule_with_warmup`: step `s`, counted from 0, of `total` trains
//! with `peak · s / warmup` while `s < warmup`, then with `peak · (total - s) / (total - warmup)`.

/// A run's learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f32,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Steps of the run.
    pub total: usize,
}

impl Schedule {
    /// A schedule whose warm-up takes `ratio` of the steps, rounded up as Hugging Face's Trainer
    /// does (`math.ceil`).
    pub fn with_warmup_ratio(peak: f32, ratio: f64, total: usize) -> Self {
        Self { peak, warmup: (total as f64 * ratio).ceil() as usize, total }
    }

    /// The learning rate of a step counted from 0.
    pub fn learning_rate(&self, step: usize) -> f32 {
        let factor = if step < self.warmup {
            step as f64 / self.warmup.max(1) as f64
        } else {
            let left = self.total.saturating_sub(step);
            left as f64 / self.total.saturating_sub(self.warmup).max(1) as f64
        };
        (f64::from(self.peak) * factor) as f32
    }
}
