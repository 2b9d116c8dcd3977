//! Training with this program's kernels beside training with the functions that XLA compiles, of the same export. An
//! export of contract version 2 is trained without kernels.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{losses, succeed, tfbert, tiny, train_export, without_kernels};
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
        for name in ["AddNormBackward", "GeluForward", "EmbedForward", "RowSquareSums", "Update"] {
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
    let programs = |model: &Path, name: &str| {
        let (run, cache) = (dir.path().join(name), dir.path().join(format!("cache-{name}")));
        let mut train = train_export(model, &run);
        succeed(train.args(["--max-steps", "3", "--accumulate", "2"]).env("TFBERT_CACHE", &cache));
        let files = files_below(&cache);
        files.iter().filter(|name| name.starts_with("xla_compile_cache")).count()
    };
    assert_eq!(programs(&tiny("classify"), "with"), 0);
    let old = without_kernels(&tiny("classify"), &dir.path().join("old"));
    assert!(programs(&old, "without") > 0);
}

/// The names of all files below a folder.
fn files_below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names = |path: PathBuf| {
        if path.is_dir() {
            return files_below(&path);
        }
        vec![path.file_name().unwrap().to_string_lossy().into_owned()]
    };
    entries.flat_map(names).collect()
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
