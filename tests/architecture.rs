//! Modules import only what lies below them, and TensorFlow stays in its module.
//!
//! The sources are read as Rust's tokens, so that nested `use` trees and macros count, and comments
//! and texts do not.

mod common;
#[path = "common/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;

use source::SourceFile;

/// Every top-level module, from the top down: a module imports only modules after it. A new module
/// gets its place here.
const ORDER: &[&str] = &[
    // The binary, which alone joins the library's two sides: the runtime and the rest.
    "main",
    "commands",
    "fuzzing",
    "runtime",
    "cli",
    "bench",
    "train",
    "predict",
    "sweep",
    "compare",
    "evaluate",
    "inspect",
    "fetch",
    "export",
    "stages",
    "report",
    "run",
    "settings",
    "schedule",
    "optimizer",
    "analysis",
    "scores",
    "saved_model",
    "prediction",
    "batch",
    "feature",
    "dataset",
    "task",
    "metric",
    "cluster",
    "kubeflow",
    "model",
    "files",
    "text",
    "error",
];

/// Modules that import less than their place in [`ORDER`] would allow.
const ONLY: [(&str, &[&str]); 9] = [
    // What the runtime runs is named tensors: it knows no task, feature, metric or command.
    ("runtime", &["error", "files", "model", "saved_model"]),
    // Who the workers are and how they talk: nothing of what they compute.
    ("cluster", &["error", "files"]),
    ("kubeflow", &[]),
    ("model", &["error"]),
    ("schedule", &[]),
    ("metric", &[]),
    ("files", &["error"]),
    ("text", &["error"]),
    ("error", &[]),
];

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == module)
}

/// Every import of another module: the file, the line, and the module.
fn imports(file: &SourceFile) -> Vec<(usize, String)> {
    let crates = if file.in_binary() { ["crate", "tfbert"].as_slice() } else { &["crate"] };
    let mut found: Vec<(usize, String)> =
        crates.iter().flat_map(|root| file.names_after(&[root])).collect();
    found.extend(file.names_after(&vec!["super"; file.depth()]));
    found.retain(|(_, module)| *module != file.module());
    found
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let modules: BTreeSet<String> =
        source::files().iter().map(SourceFile::module).filter(|module| module != "lib").collect();
    let order: BTreeSet<String> = ORDER.iter().map(|&module| module.to_owned()).collect();
    assert_eq!(modules, order, "left: modules in src/, right: ORDER in tests/architecture.rs");
}

/// The imports of a file that point up, or that its module does not have in [`ONLY`].
fn wrong_imports(file: &SourceFile) -> Vec<String> {
    let own = file.module();
    let Some(own_rank) = rank(&own) else { return Vec::new() };
    let only = ONLY.iter().find(|(module, _)| *module == own);
    imports(file)
        .into_iter()
        .filter(|(_, other)| {
            let below = rank(other).is_some_and(|rank| rank > own_rank);
            !below || only.is_some_and(|(_, allowed)| !allowed.contains(&other.as_str()))
        })
        .map(|(line, other)| format!("{}:{line}: `{own}` imports `{other}`", file.name()))
        .collect()
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let files = source::files();
    let wrong: Vec<String> = files.iter().flat_map(wrong_imports).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen: usize = files.iter().map(|file| imports(file).len()).sum();
    assert!(seen > 100, "only {seen} imports were found");
}

#[test]
fn an_import_that_points_up_or_that_only_others_may_have_is_found() {
    for (path, text, wrong) in [
        ("src/train.rs", "use crate::runtime::Library;", 1),
        ("src/train.rs", "use crate::{error::Error, runtime::Library};", 1),
        ("src/train.rs", "use super::commands;", 1),
        ("src/train/line.rs", "fn f() { crate::cli::Cli::parse() }", 1),
        ("src/metric/span.rs", "use crate::error::Error;", 1),
        ("src/runtime/graph.rs", "use crate::task::Head;", 1),
        ("src/commands/train.rs", "use tfbert::runtime::Library; use super::prepare;", 0),
        ("src/train.rs", "use crate::model::Model; use super::error::Error;", 0),
    ] {
        let found = wrong_imports(&SourceFile::new(path, text));
        assert_eq!(found.len(), wrong, "{path}: {text}: {found:?}");
    }
}

#[test]
fn nested_imports_macros_and_paths_from_super_count_and_comments_and_tests_do_not() {
    let text = "
        //! `crate::a`
        use crate::{b::{C, D}, e};
        fn f() { g!(crate::h::i()); let text = \"crate::j\"; super::super::k::l() }
        #[cfg(test)]
        mod tests { use crate::m; }
        #[cfg(test)]
        use crate::n;
        use crate::o;
    ";
    let file = SourceFile::new("src/train/line.rs", text);
    let names: Vec<String> = imports(&file).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["b", "e", "h", "o", "k"]);
    assert_eq!(file.names_after(&["crate"])[2], (4, "h".to_owned()));
}

#[test]
fn only_the_runtime_names_the_crates_tensorflow_and_prost() {
    for file in source::files() {
        if file.module() == "runtime" {
            continue;
        }
        for name in ["tensorflow", "tensorflow_sys_runtime", "prost", "libloading"] {
            let named = file.names_after(&[name]);
            assert!(named.is_empty(), "{}:{}: `{name}`", file.name(), named[0].0);
        }
    }
}

#[test]
fn unsafe_code_stays_in_the_runtime_and_says_why() {
    for file in source::files() {
        for line in file.lines_with("unsafe") {
            assert_eq!(file.module(), "runtime", "{}:{line}: `unsafe`", file.name());
        }
        for line in file.lines_with("unsafe_code") {
            assert_eq!(file.module(), "runtime", "{}:{line}: `unsafe_code`", file.name());
        }
    }
    // Clippy checks that each `unsafe` block has its line.
    let manifest = fs::read_to_string(common::root().join("Cargo.toml")).unwrap();
    for lint in ["unsafe_code = \"deny\"", "undocumented_unsafe_blocks = \"deny\""] {
        assert!(manifest.contains(lint), "Cargo.toml lacks `{lint}`");
    }
}

#[test]
fn a_test_that_lacks_something_is_listed_as_ignored_and_does_not_pass() {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        source::rust_files(&common::root().join(folder), &mut files);
    }
    // The harness captures what a test prints, so that nobody would see a note that it was skipped.
    let note = ["eprintln!(\"", "skipped"].concat();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&note), "{}: move the test to tests/machine.rs", path.display());
    }
}
