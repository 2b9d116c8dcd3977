//! Imports point down only, and TensorFlow stays in its module.

use std::fs;
use std::path::{Path, PathBuf};

/// The stages from the top down; a module imports only modules after it.
const ORDER: [&str; 19] = [
    "cli",
    "train",
    "predict",
    "evaluate",
    "stages",
    "report",
    "run",
    "settings",
    "scores",
    "runtime",
    "prediction",
    "model",
    "batch",
    "feature",
    "dataset",
    "task",
    "metric",
    "files",
    "error",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level module of a source file.
fn module(path: &Path) -> String {
    let first = path.strip_prefix(source_dir()).unwrap().components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

/// The code of a file without its unit tests, which may look anywhere.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let rank = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut wrong = Vec::new();
    for path in sources(&source_dir()) {
        let own = module(&path);
        let Some(own_rank) = rank(&own) else { continue };
        for (number, line) in code(&path).lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            for part in line.split("crate::").skip(1) {
                let name: String =
                    part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if rank(&name).is_some_and(|other| other < own_rank) {
                    wrong.push(format!("{}:{}: {own} imports {name}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_one_module_names_tensorflow_and_prost() {
    for path in sources(&source_dir()) {
        if module(&path) == "runtime" {
            continue;
        }
        for line in code(&path).lines().filter(|line| !line.trim_start().starts_with("//")) {
            let foreign = ["use tensorflow::", "use prost", "prost::", " ::tensorflow::"];
            assert!(!foreign.iter().any(|name| line.contains(name)), "{}: {line}", path.display());
        }
    }
}

#[test]
fn metric_and_schedule_import_no_other_stage() {
    for path in sources(&source_dir()) {
        if ["metric", "schedule"].contains(&module(&path).as_str()) {
            for line in code(&path).lines() {
                let other = line.contains("crate::") && !line.contains("crate::metric");
                assert!(
                    !other || line.trim_start().starts_with("//"),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_the_runtime_module_and_says_why() {
    for path in sources(&source_dir()) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if !line.contains("unsafe {") || line.trim_start().starts_with("//") {
                continue;
            }
            assert_eq!(module(&path), "runtime", "{}:{}", path.display(), number + 1);
            let before = &lines[number.saturating_sub(6)..number];
            let why = before.iter().any(|line| line.contains("SAFETY"));
            assert!(why, "{}:{}: no SAFETY line", path.display(), number + 1);
        }
    }
}
