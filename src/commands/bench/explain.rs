//! `tfbert bench --explain`.

use tfbert::bench::{self, BatchShape, BenchSettings, Explanation, Rates, StepWork, bandwidth};
use tfbert::error::{Error, Result};
use tfbert::model::Precision;
use tfbert::runtime::{Device, Threads, TrainingSession, WorkSplit};

use super::profile::fastest_trace;

/// The machine's rates: of matrix products as measured, of memory by a probe.
pub(super) fn rates(device: &Device, threads: usize, products: f64) -> Rates {
    let Threads { within_operation, operations } = device.threads(threads, WorkSplit::HalfBatches);
    let bytes = bandwidth(within_operation.max(operations));
    Rates { flops: products, bytes, operations }
}

/// Refuses what has no parts to explain.
pub(super) fn check(explain: bool, whole_step: bool) -> Result<()> {
    if explain && whole_step {
        return Err(Error::usage("`--explain` cannot see into a step that is one function")
            .hint("leave out `--whole-step on`"));
    }
    Ok(())
}

/// Traces steps of a shape and explains the fastest.
pub(super) fn step(
    model: &mut TrainingSession,
    shape: BatchShape,
    settings: &BenchSettings,
    precision: Precision,
    rates: Rates,
    step_seconds: f64,
) -> Result<Explanation> {
    let trace = fastest_trace(model, |model| bench::one_step(model, shape, settings))?;
    let times = trace.by_type();
    let work = StepWork { encoder: &settings.encoder, head: settings.head, shape, precision };
    Ok(work.explain(rates, step_seconds, times.iter().map(|time| (time.op.as_str(), time.seconds))))
}

/// A table for people.
pub(super) fn table(found: &Explanation, rates: Rates) -> String {
    let mut table = format!(
        "\n{}: the fastest step took {:.1} ms; at {:.0} GFLOP/s and {:.1} GB/s its counted work takes {:.1} ms\n",
        found.shape,
        1e3 * found.step_seconds,
        rates.flops / 1e9,
        rates.bytes / 1e9,
        1e3 * found.at_rates,
    );
    table += &format!(
        "{:>20} {:>9} {:>9} {:>9} {:>12} {:>6}\n",
        "part", "GFLOP", "MB", "rates ms", "measured ms", "times"
    );
    for part in &found.parts {
        let times = match part.at_rates {
            0.0 => String::new(),
            seconds => format!("{:.1}", part.measured / seconds),
        };
        table += &format!(
            "{:>20} {:>9.1} {:>9.1} {:>9.1} {:>12.1} {times:>6}\n",
            part.part.name(),
            part.flop / 1e9,
            part.bytes / 1e6,
            1e3 * part.at_rates,
            1e3 * part.measured,
        );
    }
    if let Some(part) = found.farthest() {
        table += &format!(
            "farthest from the rates: {}, by {:.1} ms",
            part.part.name(),
            1e3 * (part.measured - part.at_rates)
        );
    }
    table
}
