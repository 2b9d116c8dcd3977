//! Training with this program's kernels beside training with the functions that XLA compiles, of the same export. An
//! export of contract version 2 is trained without kernels.

mod common;

use std::path::Path;

use common::{files, losses, succeed, tfbert, tiny, train_export, without_kernels};
use tfbert::runtime::Device;

/// The losses of six steps of training on the shipped sample of SST-2. Every batch has a row of eight tokens, so that
/// all are padded to eight, whatever a length costs.
fn trained(model: &Path, run: &Path, flags: &[&str]) -> Vec<f64> {
    let mut train = train_export(model, run);
    succeed(train.args(["--log-steps", "1", "--max-length", "8"]).args(flags));
    losses(run)
}

/// The operations of a traced step.
fn operations(model: &Path) -> String {
    let trace = tempfile::tempdir().unwrap();
    let mut bench = tfbert();
    bench.args(["bench", "--shapes", "4x12", "--steps", "1", "--precision", "f32", "--model"]);
    succeed(bench.arg(model).arg(format!("--profile={}", trace.path().display())))
}

/// Whether kernels run here; says so where they do not.
fn has_kernels() -> bool {
    let has = Device::detect(None).has_kernels();
    if !has {
        println!(
            "skipped: no kernels run here (`tfbert doctor` names the processor's instructions)"
        );
    }
    has
}

#[test]
fn a_step_runs_kernels_in_place_of_compiled_functions() {
    let dir = tempfile::tempdir().unwrap();
    let old = without_kernels(&tiny("classify"), &dir.path().join("old"));
    assert!(!operations(&old).contains("Tfbert"));
    if has_kernels() {
        let found = operations(&tiny("classify"));
        for name in
            ["AddNormBackward", "GeluForward", "EmbedForward", "AdamWRowSquareSums", "AdamWUpdate"]
        {
            assert!(found.contains(&format!("Tfbert{name}")), "{name}: {found}");
        }
    }
}

#[test]
fn with_kernels_training_compiles_nothing() {
    if !has_kernels() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let old = without_kernels(&tiny("classify"), &dir.path().join("old"));
    // The update is another signature where gradients are accumulated.
    for accumulate in ["1", "2"] {
        let programs = |model: &Path, name: &str| {
            let run = dir.path().join(format!("{name}-{accumulate}"));
            let cache = run.with_extension("cache");
            let mut train = train_export(model, &run);
            let flags = ["--max-steps", "3", "--accumulate", accumulate];
            succeed(train.args(flags).env("TFBERT_CACHE", &cache));
            files(&cache, "xla_compile_cache").len()
        };
        assert_eq!(programs(&tiny("classify"), "with"), 0);
        assert!(programs(&old, "without") > 0);
    }
}

#[test]
fn losses_with_kernels_are_those_without_within_rounding() {
    if !has_kernels() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| dir.path().join(name);
    let old = without_kernels(&tiny("classify"), &run("old"));
    for flags in [
        ["--threads", "1"],
        ["--threads", "2"],
        ["--threads", "4"],
        ["--accumulate", "2"],
        // The state of rows that no batch reads is made up for at every checkpoint.
        ["--save-steps", "2"],
    ] {
        let name = flags.concat();
        let with = trained(&tiny("classify"), &run(&format!("with{name}")), &flags);
        let without = trained(&old, &run(&format!("without{name}")), &flags);
        assert_eq!((with.len(), without.len()), (6, 6), "{name}");
        for (step, (with, without)) in with.iter().zip(&without).enumerate() {
            // Dropout is on: its masks are the same.
            assert!((with - without).abs() < 2e-5, "{name}, step {step}: {with}, {without}");
        }
    }
}
