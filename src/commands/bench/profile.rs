//! `tfbert bench --profile`.

use std::path::Path;

use serde_json::{Map, Value, json};
use tfbert::bench::{self, BatchShape, BenchSettings};
use tfbert::error::Result;
use tfbert::model::Precision;
use tfbert::runtime::{OpTime, Trace, TrainingSession};

use crate::commands::print_line;

/// Rows of a profile's table.
const TOP: usize = 25;

/// Traces three training steps of each shape, and with `--eval` three evaluations of a batch. The fastest
/// of the three is printed as a table, and its trace is written to a file in `dir`.
pub(super) fn traces(
    model: &mut TrainingSession,
    dir: &Path,
    shapes: &[BatchShape],
    settings: &BenchSettings,
    precision: Precision,
) -> Result<Map<String, Value>> {
    let mut profiles = Map::new();
    for &shape in shapes {
        for (of, name) in [("step", ""), ("evaluation", "eval-")] {
            if of == "evaluation" && !settings.eval {
                continue;
            }
            let trace = fastest_trace(model, |model| match of {
                "step" => bench::one_step(model, shape, settings),
                _ => bench::one_evaluation(model, shape, settings),
            })?;
            let path = dir.join(format!("trace-{name}{precision}-{shape}.json"));
            trace.write_chrome(&path)?;
            let times = trace.by_type();
            print_line(table(shape, of, &times))?;
            print_line(format!("trace: {}", path.display()))?;
            profiles.insert(
                format!("{name}{shape}"),
                json!({ "ops": times.get(..TOP).unwrap_or(&times), "trace": path }),
            );
        }
    }
    Ok(profiles)
}

/// The trace of the fastest of three runs. The others may not be typical: in the first run operations wait
/// for newly allocated memory, and now and then a step brings all rows of the word embeddings up to date.
pub(super) fn fastest_trace(
    model: &mut TrainingSession,
    run: impl Fn(&mut TrainingSession) -> Result<()>,
) -> Result<Trace> {
    let mut traced = || {
        model.start_trace();
        run(model)?;
        model.take_trace()
    };
    let mut fastest = traced()?;
    for _ in 1..3 {
        let trace = traced()?;
        if trace.seconds() < fastest.seconds() {
            fastest = trace;
        }
    }
    Ok(fastest)
}

/// A table of the time in each type of operation.
fn table(shape: BatchShape, of: &str, times: &[OpTime]) -> String {
    let row = |seconds: f64, share: f64, calls: usize, of: &str| {
        format!("\n{:>9.2} {:>5.1}% {calls:>6}  {of}", 1e3 * seconds, 100.0 * share)
    };
    let all: f64 = times.iter().map(|time| time.seconds).sum();
    let mut table = format!("\n{shape}: {:.1} ms in operations of one traced {of}\n", 1e3 * all);
    table += &format!("{:>9} {:>6} {:>6}  operation", "ms", "share", "calls");
    for time in times.iter().take(TOP) {
        table += &row(time.seconds, time.share, time.calls, &time.op);
    }
    if let Some(rest) = times.get(TOP..).filter(|rest| !rest.is_empty()) {
        let seconds: f64 = rest.iter().map(|time| time.seconds).sum();
        let share: f64 = rest.iter().map(|time| time.share).sum();
        let calls: usize = rest.iter().map(|time| time.calls).sum();
        table += &row(seconds, share, calls, &format!("{} other types", rest.len()));
    }
    table
}
