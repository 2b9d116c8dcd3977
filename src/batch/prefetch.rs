//! Batches prepared on a thread of their own, beside the step.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Batches that may wait to be taken.
const AHEAD: usize = 4;

/// Items of another thread, in order, and the time spent waiting for them.
pub struct Prefetched<T> {
    receiver: Receiver<T>,
    waited: Duration,
}

impl<T> Prefetched<T> {
    /// How long the taker waited for items so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl<T> Iterator for Prefetched<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let start = Instant::now();
        let item = self.receiver.recv().ok();
        self.waited += start.elapsed();
        item
    }
}

/// Runs `take` on this thread while `items` are computed on another, a few ahead.
pub fn prefetch<T: Send, R>(
    items: impl Iterator<Item = T> + Send,
    take: impl FnOnce(&mut Prefetched<T>) -> R,
) -> R {
    let (sender, receiver) = sync_channel(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || {
            for item in items {
                if sender.send(item).is_err() {
                    break; // The taker has stopped.
                }
            }
        });
        let mut items = Prefetched { receiver, waited: Duration::ZERO };
        take(&mut items)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_all_of_them() {
        let sum = prefetch(0..1000, |items| {
            items.enumerate().map(|(i, item)| usize::from(i == item)).sum::<usize>()
        });
        assert_eq!(sum, 1000);
    }

    #[test]
    fn a_taker_that_stops_early_does_not_hang() {
        assert_eq!(prefetch(0.., |items| items.take(3).count()), 3);
    }
}
