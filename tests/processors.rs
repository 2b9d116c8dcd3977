//! Training and evaluation as on other processors, briefly. `make test-processors` runs all tests so.

mod common;
#[path = "common/trials.rs"]
mod trials;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::{fail, last_json, losses, succeed, tfbert, tiny};
use trials::{Ran, trial};

/// oneDNN's limits, each with the instructions that the processor must have, as Linux names them.
const PROCESSORS: [(&str, &str); 5] = [
    ("SSE41", "sse4_1"),
    ("AVX2", "avx2"),
    ("AVX512_CORE", "avx512f"),
    ("AVX512_CORE_BF16", "avx512_bf16"),
    ("AVX512_CORE_AMX", "amx_bf16"),
];
const LIMIT: &str = "ONEDNN_MAX_CPU_ISA";
const ONEDNN: &str = "TF_ENABLE_ONEDNN_OPTS";
/// The highest CPUID leaf that describes AMX's tiles; some hypervisors hide it.
const AMX_PALETTES_LEAF: usize = 0x1d;

fn main() {
    let mut trials: Vec<_> = PROCESSORS
        .into_iter()
        .map(|(limit, _)| {
            let name = format!("training_and_evaluation_hold_with_{}", limit.to_lowercase());
            trial(&name, move || can_be(limit).map(|()| training_and_evaluation_hold(limit, "1")))
        })
        .collect();
    // Without oneDNN its limit changes nothing, so one is enough.
    trials.push(trial("training_and_evaluation_hold_without_onednn", || {
        training_and_evaluation_hold("AVX2", "0");
        Ok(())
    }));
    trials.push(trial("bf16_that_a_limit_hides_from_onednn_is_refused", || {
        can_be("AVX512_CORE").map(|()| hidden_bf16_is_refused())
    }));
    trials::run(trials)
}

/// Whether this machine can be taken for one with a limit, and why not.
fn can_be(limit: &str) -> Ran {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let fact = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
    };
    let (_, needed) = PROCESSORS.iter().find(|(name, _)| *name == limit).unwrap();
    if !fact("flags").split_whitespace().any(|flag| flag == *needed) {
        return Err(format!("this processor has no {needed}").into());
    }
    let leaf = fact("cpuid level").parse().unwrap_or(AMX_PALETTES_LEAF);
    if *needed == "amx_bf16" && leaf < AMX_PALETTES_LEAF {
        return Err("the hypervisor hides the layout of AMX's tiles".into());
    }
    Ok(())
}

/// Four steps in one shape, in the number format of `auto` unless `more` names one.
fn train(run: &Path) -> Command {
    let mut command = tfbert();
    command
        .args(["train", "--task", "sst2", "--data-dir", "data", "--limit-train", "64"])
        .args(["--limit-dev", "16", "--epochs", "1", "--batch-size", "16", "--max-length", "16"])
        .args([
            "--learning-rate",
            "1e-3",
            "--log-steps",
            "1",
            "--dropout",
            "0",
            "--json",
            "--model",
        ])
        .arg(tiny("classify"))
        .arg("--output")
        .arg(run)
        .env_remove(LIMIT)
        .env_remove(ONEDNN);
    command
}

/// The losses of a run without limits, in 32-bit floats.
fn expected() -> &'static [f64] {
    static EXPECTED: OnceLock<Vec<f64>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        succeed(train(&run).args(["--precision", "f32"]));
        losses(&run)
    })
}

/// Losses are those of the plain processor, and `tfbert eval` repeats the scores.
fn training_and_evaluation_hold(limit: &str, onednn: &str) {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let trained = last_json(&succeed(train(&run).env(LIMIT, limit).env(ONEDNN, onednn)));
    let (found, expected) = (losses(&run), expected());
    assert_eq!((found.len(), expected.len()), (4, 4));
    let tolerance = if trained["precision"] == "f32" { 1e-4 } else { 2e-2 };
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < tolerance * b, "{found:?}\n{expected:?}");
    }
    let mut eval = tfbert();
    eval.args(["eval", "--task", "sst2", "--data-dir", "data", "--limit-dev", "16", "--json"]);
    eval.env(LIMIT, limit).env(ONEDNN, onednn).arg("--model").arg(run.join("model"));
    assert_eq!(last_json(&succeed(&mut eval))["metrics"], trained["metrics"]);
}

/// TensorFlow asks the processor, calls for oneDNN's bf16 products, and would end the process.
fn hidden_bf16_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = train(&dir.path().join("run"));
    command.env(LIMIT, "AVX2").env(ONEDNN, "1").args(["--precision", "bf16"]);
    let stderr = fail(&mut command);
    assert!(stderr.contains("no bf16 products") && stderr.contains("--precision f32"), "{stderr}");
}
