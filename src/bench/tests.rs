use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::{Forward, Logits, Predictor, StepOutcome};

/// Counts its calls; the first of each kind takes 30 ms, as compiling does.
#[derive(Default)]
struct Counting {
    trained: AtomicUsize,
    evaluated: AtomicUsize,
}

impl Counting {
    fn work(calls: &AtomicUsize) {
        let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        std::thread::sleep(Duration::from_millis(if first { 30 } else { 2 }));
    }
}

impl Predictor for Counting {
    fn forward(&self, _: &Batch) -> Result<Forward> {
        Self::work(&self.evaluated);
        let logits = Logits { values: Vec::new(), shape: Vec::new() };
        Ok(Forward { logits, loss: None })
    }
}

impl Model for Counting {
    fn init(&mut self, _: usize, _: u64) -> Result<()> {
        Ok(())
    }

    fn train(&mut self, _: &[Batch], _: &StepInputs) -> Result<StepOutcome> {
        Self::work(&self.trained);
        Ok(StepOutcome::alone(1.0, 1.0))
    }

    fn save(&mut self, _: &Path) -> Result<()> {
        unreachable!("a bench does not save")
    }

    fn restore(&mut self, _: &Path) -> Result<()> {
        unreachable!("a bench does not restore")
    }

    fn export(&mut self, _: &Path, _: &Path, _: &str) -> Result<()> {
        unreachable!("a bench does not export")
    }
}

fn settings(head: Head, seed: u64) -> BenchSettings {
    BenchSettings { head, encoder: Encoder::toy(), warmup: 2, steps: 4, eval: true, seed }
}

#[test]
fn the_first_step_is_told_apart_and_warm_up_is_not_timed() {
    let mut model = Counting::default();
    let settings = settings(Head::Classify, 1);
    let shape = BatchShape { rows: 3, length: 8 };
    let found = measure(&mut model, shape, &settings, Some(1e9), || 7).unwrap();
    assert_eq!((model.trained.into_inner(), model.evaluated.into_inner()), (1 + 2 + 4, 1 + 2 + 4));
    assert_eq!(found.steps, 4);
    assert!(found.first_step_seconds >= 0.03, "{found:?}");
    assert!(found.step_seconds >= 0.002 && found.step_seconds < 0.03, "{found:?}");
    assert!(found.min_step_seconds <= found.step_seconds);
    assert_eq!(found.examples_per_second, 3.0 / found.step_seconds);
    assert_eq!(found.tokens_per_second, 24.0 / found.step_seconds);
    assert_eq!(found.padding, 0.0);
    assert_eq!(found.peak_memory_bytes, 7);
    let share = found.step_gflop / found.step_seconds;
    assert!((found.peak_share.unwrap() / share - 1.0).abs() < 1e-9);
    assert!(found.first_eval_seconds.unwrap() >= 0.03);
    assert!(found.eval_seconds.unwrap() < 0.03);
}

#[test]
fn arithmetic_is_counted_as_its_formula_says() {
    // 24 tokens and 2 · (4 · 2 + 2 · 8) = 48 weights: 2 · 24 · 48 = 2304 forward.
    // Attention: 4 · 3 rows · 8² positions · 2 units = 1536 forward. Thrice their sum: 11520.
    let shape = BatchShape { rows: 3, length: 8 };
    assert_eq!(step_flops(&Encoder::toy(), Head::Tag, shape), 11_520.0);
}

#[test]
fn of_a_head_on_the_first_position_the_last_layer_is_counted_for_that_position() {
    // Forward, keys and values of 24 tokens, from 8 weights: 2 · 24 · 8 = 384.
    // Everything else of 3 first tokens, from 40 weights: 2 · 3 · 40 = 240.
    // Attention of 3 first tokens to 8 positions: 4 · 3 · 8 · 2 units = 192.
    // Forward and backward take thrice the sum: 3 · 816 = 2448.
    let shape = BatchShape { rows: 3, length: 8 };
    assert_eq!(step_flops(&Encoder::toy(), Head::Classify, shape), 2_448.0);
    assert_eq!(step_flops(&Encoder::toy(), Head::Choice, shape), 4.0 * 2_448.0);
    // A layer below it is counted for all positions.
    let two_layers = Encoder { num_hidden_layers: 2, ..Encoder::toy() };
    assert_eq!(step_flops(&two_layers, Head::Classify, shape), 2_448.0 + 11_520.0);
}

#[test]
fn synthetic_batches_are_full_and_repeat_with_their_seed() {
    for head in Head::ALL {
        let shape = BatchShape { rows: 5, length: 6 };
        let batches =
            |seed| SyntheticBatches::new(&settings(head, seed), shape).take(3).collect::<Vec<_>>();
        assert_eq!(batches(1), batches(1));
        assert_ne!(batches(1), batches(2));
        for batch in batches(1) {
            assert_eq!(batch.tokens(), batch.input_ids().ints().len());
            assert!(batch.input_ids().ints().iter().all(|id| (0..50).contains(id)));
            assert!(batch.sample_weight.floats().iter().all(|&weight| weight == 1.0));
            if head == Head::Span {
                assert!(
                    batch.labels.ints().chunks(2).all(|span| span[0] <= span[1] && span[1] < 6)
                );
            }
        }
    }
}

#[test]
fn a_shape_is_read_as_it_is_written() {
    let shape: BatchShape = "32x128".parse().unwrap();
    assert_eq!(shape, BatchShape { rows: 32, length: 128 });
    assert_eq!(shape.to_string(), "32x128");
    for wrong in ["32", "0x128", "32x1", "32x", "axb", "32×128", "32x128x4"] {
        assert!(wrong.parse::<BatchShape>().is_err(), "{wrong}");
    }
}

#[test]
fn a_median_of_an_even_number_of_values_is_between_the_middle_two() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
}
