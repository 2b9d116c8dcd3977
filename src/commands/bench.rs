//! `tfbert bench`.

use std::time::Instant;

use serde_json::json;
use tfbert::bench::{self, BenchSettings, Measurement};
use tfbert::cli::{BenchArgs, Cli};
use tfbert::error::{Error, Result};
use tfbert::model::Model;
use tfbert::runtime::{Device, TrainingSession, matmul_peak, peak_memory};
use tfbert::saved_model::{Description, Export};
use tfbert::task::Head;

use super::models::{default_export, model_to_train};
use super::print_line;

mod explain;
mod profile;

/// What to do where memory runs out.
const MEMORY_HINT: &str = "try smaller `--shapes`";

pub fn run(args: &BenchArgs, cli: &Cli) -> Result<()> {
    let start = Instant::now();
    let device = Device::detect(cli.tensorflow.as_deref());
    let process = super::training_process(cli, &device, &args.cache, args.threads, MEMORY_HINT)?;
    let folder = match &args.model {
        Some(named) => model_to_train(named, Head::Classify)?,
        None => default_export(Head::Classify)?,
    };
    let export = Export::read(&folder)?;
    check_lengths(args, &export)?;
    let precision = super::precision(&device, args.precision);
    let threads = args.threads.unwrap_or(0);
    let library = process.load()?;
    let Description { head, encoder, .. } = &export.model;
    // First, since a process has the threads of its first session.
    let whole_step = super::whole_step(&device, args.whole_step, &export);
    explain::check(args.explain, whole_step)?;
    let mut model = TrainingSession::load(&library, &export, precision, threads, whole_step)?;
    model.init(bench::num_labels(*head), args.seed)?;
    let start_seconds = start.elapsed().as_secs_f64();
    let peak = matmul_peak(&library, precision, threads)?;
    let settings = BenchSettings {
        head: *head,
        encoder: encoder.clone(),
        warmup: args.warmup,
        steps: args.steps,
        eval: args.eval,
        seed: args.seed,
    };
    print_line(format!(
        "{} {} in {precision}; matrix products reach {:.0} GFLOP/s here",
        encoder.name,
        head,
        peak / 1e9
    ))?;
    print_line(header(args.eval))?;
    let mut found = Vec::new();
    for &shape in &args.shapes {
        let measured = bench::measure(&mut model, shape, &settings, Some(peak), peak_memory)
            .map_err(|error| {
                error.hint_if_out_of_memory("memory ran out: name smaller `--shapes`")
            })?;
        print_line(row(&measured))?;
        found.push(measured);
    }
    let mut explained = Vec::new();
    if args.explain {
        let rates = explain::rates(&device, threads, peak);
        for (&shape, measured) in args.shapes.iter().zip(&found) {
            // The minimum, not the median: the table's other column is of the fastest traced step.
            let seconds = measured.min_step_seconds;
            let step = explain::step(&mut model, shape, &settings, precision, rates, seconds)?;
            print_line(explain::table(&step, rates))?;
            explained.push(json!({ "rates": rates, "step": step }));
        }
    }
    let profiles = match &args.profile {
        Some(dir) => profile::traces(&mut model, dir, &args.shapes, &settings, precision)?,
        None => serde_json::Map::new(),
    };
    if args.json {
        let mut result = json!({
            "shapes": found,
            "precision": precision,
            "whole_step": whole_step,
            "model": folder,
            "encoder": encoder.name,
            "head": head,
            "peak_gflops_per_second": peak / 1e9,
            "peak_memory_bytes": peak_memory(),
            "start_seconds": start_seconds,
            "seconds": start.elapsed().as_secs_f64(),
        });
        if !explained.is_empty() {
            result["explained"] = explained.into();
        }
        if !profiles.is_empty() {
            result["profiles"] = profiles.into();
        }
        print_line(result)?;
    }
    Ok(())
}

/// Refuses a length that the encoder has no positions for.
fn check_lengths(args: &BenchArgs, export: &Export) -> Result<()> {
    let max_length = export.model.max_length;
    match args.shapes.iter().find(|shape| shape.length > max_length) {
        None => Ok(()),
        Some(shape) => Err(Error::usage(format!(
            "`--shapes {shape}`: its length is above the encoder's {max_length}"
        ))
        .at(&export.model.dir)),
    }
}

fn header(eval: bool) -> String {
    let mut text = format!(
        "{:>9} {:>8} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6} {:>6} {:>8}",
        "shape",
        "first s",
        "step s",
        "min s",
        "steps/s",
        "tokens/s",
        "GFLOP",
        "peak",
        "input",
        "memory"
    );
    if eval {
        text += &format!(" {:>9} {:>9}", "eval s", "eval ex/s");
    }
    text
}

fn row(measured: &Measurement) -> String {
    let mut text = format!(
        "{:>9} {:>8.2} {:>9.4} {:>9.4} {:>8.2} {:>9.0} {:>8.1} {:>5.1}% {:>5.1}% {:>4.0} MiB",
        measured.shape,
        measured.first_step_seconds,
        measured.step_seconds,
        measured.min_step_seconds,
        measured.steps_per_second,
        measured.tokens_per_second,
        measured.step_gflop,
        100.0 * measured.peak_share.unwrap_or(f64::NAN),
        100.0 * measured.input_wait,
        measured.peak_memory_bytes as f64 / f64::from(1 << 20),
    );
    if let (Some(seconds), Some(rate)) = (measured.eval_seconds, measured.eval_examples_per_second)
    {
        text += &format!(" {seconds:>9.4} {rate:>9.0}");
    }
    text
}
