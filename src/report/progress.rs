//! Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Plain lines come at most this often.
const BETWEEN_LINES: Duration = Duration::from_secs(15);

/// The progress of something long.
#[derive(Debug)]
pub struct Progress {
    label: String,
    total: usize,
    done: usize,
    start: Instant,
    /// Work done before `start`, by a run that is resumed.
    before: usize,
    bar: Option<ProgressBar>,
    next_line: Instant,
    /// Whether the units are bytes.
    bytes: bool,
}

impl Progress {
    /// Begins `total` units of work (0 where unknown), called `label`, of which `done` are done.
    pub fn new(label: &str, total: usize, done: usize) -> Self {
        let template = match total {
            0 => "{prefix:>9} {pos}  {msg}",
            _ => "{prefix:>9} {wide_bar:.cyan/dim} {pos}/{len}  {msg}",
        };
        Self::with_template(template, label, total, done)
    }

    /// Begins to read or transfer about `total` bytes (0 where unknown), of which `done` are done.
    pub fn of_bytes(label: &str, total: u64, done: u64) -> Self {
        let template = match total {
            0 => "{prefix:>9} {decimal_bytes}  {msg}",
            _ => "{prefix:>9} {wide_bar:.cyan/dim} {decimal_bytes}/{decimal_total_bytes}  {msg}",
        };
        let progress = Self::with_template(template, label, total as usize, done as usize);
        Self { bytes: true, ..progress }
    }

    fn with_template(template: &str, label: &str, total: usize, done: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(total as u64),
                ProgressDrawTarget::stderr_with_hz(8),
            );
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.set_position(done as u64);
            bar
        });
        let start = Instant::now();
        Self {
            label: label.to_owned(),
            total,
            done,
            start,
            before: done,
            bar,
            next_line: start + BETWEEN_LINES,
            bytes: false,
        }
    }

    /// `done` units are done now; `message` says how it stands.
    pub fn update(&mut self, done: usize, message: impl FnOnce() -> String) {
        self.done = done;
        let now = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(joined(&[&message(), &self.pace(now)]));
            }
            None if now >= self.next_line => {
                self.next_line = now + BETWEEN_LINES;
                let shown = format!("{} {}", self.label, self.amount());
                log::info!("{}", joined(&[&shown, &message(), &self.pace(now)]));
            }
            None => {}
        }
    }

    /// Runs `action`, which writes to stderr, without the bar in its way.
    pub fn suspend<R>(&self, action: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(action),
            None => action(),
        }
    }

    /// Ends it and removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    /// What is done of all: `12/96`, or `1.2/9.6 MB`.
    fn amount(&self) -> String {
        let megabytes = |bytes: usize| format!("{:.1}", bytes as f64 / 1e6);
        match (self.bytes, self.total) {
            (false, 0) => self.done.to_string(),
            (false, total) => format!("{}/{total}", self.done),
            (true, 0) => format!("{} MB", megabytes(self.done)),
            (true, total) => format!("{}/{} MB", megabytes(self.done), megabytes(total)),
        }
    }

    fn pace(&self, now: Instant) -> String {
        let seconds = now.duration_since(self.start).as_secs_f64();
        let here = self.done.saturating_sub(self.before);
        if here == 0 || seconds <= 0.0 {
            return String::new();
        }
        let rate = here as f64 / seconds;
        let shown = match self.bytes {
            true => format!("{:.1} MB/s", rate / 1e6),
            false => format!("{rate:.2}/s"),
        };
        if self.total == 0 {
            return shown;
        }
        let left = self.total.saturating_sub(self.done) as f64 / rate;
        format!("{shown}  {} left", duration(Duration::from_secs_f64(left)))
    }
}

/// The parts that are not empty, in one line.
fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

/// A duration for people: `8s`, `2m05s`, `1h02m`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_megabytes_and_an_unknown_total_is_left_out() {
        let amount = |progress: Progress| progress.amount();
        assert_eq!(amount(Progress::new("train", 96, 12)), "12/96");
        assert_eq!(amount(Progress::new("predict", 0, 12)), "12");
        assert_eq!(amount(Progress::of_bytes("predict", 9_600_000, 1_234_000)), "1.2/9.6 MB");
        assert_eq!(amount(Progress::of_bytes("predict", 0, 500_000)), "0.5 MB");
        assert_eq!(joined(&["train 12/96", "", "8s left"]), "train 12/96  8s left");
    }

    #[test]
    fn durations_are_short_and_readable() {
        let shown = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([shown(8), shown(125), shown(3720)], ["8s", "2m05s", "1h02m"]);
    }
}
