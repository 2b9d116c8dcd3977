//! A TensorFlow for GPUs on a machine that has none, or hides it.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{root, text, train_tiny};

/// The TensorFlow of the project's environment.
fn tensorflow() -> PathBuf {
    let lib = root().join(".venv/lib");
    let pythons = fs::read_dir(&lib).unwrap().map(|entry| entry.unwrap().path());
    let packages = pythons.map(|python| python.join("site-packages/tensorflow"));
    packages.into_iter().find(|package| package.is_dir()).expect("run `make venv` first")
}

/// The same library in a folder that says it is built for CUDA.
fn built_for_gpus(at: &Path) -> PathBuf {
    let package = at.join("tensorflow");
    fs::create_dir_all(package.join("python/platform")).unwrap();
    for name in ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] {
        symlink(tensorflow().join(name), package.join(name)).unwrap();
    }
    let info = "build_info = {('cuda_version', '12.5.1'), ('is_cuda_build', True)}\n";
    fs::write(package.join("python/platform/build_info.py"), info).unwrap();
    package
}

#[test]
fn a_tensorflow_for_gpus_says_in_a_line_that_it_computes_on_the_cpu() {
    let dir = tempfile::tempdir().unwrap();
    let package = built_for_gpus(dir.path());
    let mut command = train_tiny(&dir.path().join("run"));
    command.env("CUDA_VISIBLE_DEVICES", "").arg("--tensorflow").arg(&package);
    let output = command.args(["--max-steps", "1"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let lines = stderr.lines().filter(|line| line.ends_with(": computing on the CPU"));
    assert_eq!(lines.count(), 1, "{stderr}");
}
