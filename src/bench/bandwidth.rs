//! The machine's rate of moving bytes between memory and cores.

use std::hint::black_box;
use std::time::Instant;

/// Numbers of each of a thread's three arrays: 64 MiB, more than the caches of most cores hold.
const NUMBERS: usize = 16 << 20;
/// Passes; the fastest counts, since others share the machine.
const PASSES: usize = 5;

/// Bytes a second that `threads` threads (at least 1) move together in `a = b + s · c`, the STREAM
/// benchmark's triad: two reads and a write.
pub fn bandwidth(threads: usize) -> f64 {
    bandwidth_of(threads.max(1), NUMBERS)
}

fn bandwidth_of(threads: usize, numbers: usize) -> f64 {
    let total: f64 = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || bytes_per_second(numbers))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    });
    total.max(1.0)
}

fn bytes_per_second(numbers: usize) -> f64 {
    let mut a = vec![0.0f32; numbers];
    let (b, c) = (vec![1.0f32; numbers], vec![2.0f32; numbers]);
    let mut fastest = f64::INFINITY;
    for pass in 0..PASSES {
        let scale = black_box(pass as f32);
        let start = Instant::now();
        for ((a, b), c) in a.iter_mut().zip(&b).zip(&c) {
            *a = b + scale * c;
        }
        black_box(&mut a);
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    (3 * numbers * size_of::<f32>()) as f64 / fastest.max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_moves_bytes() {
        for threads in [1, 3] {
            let found = bandwidth_of(threads, 1000);
            assert!(found.is_finite() && found > 1.0, "{found}");
        }
    }
}
