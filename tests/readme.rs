//! README says what the program does.

use std::fs;
use std::path::Path;

#[test]
fn readme_lists_every_task_with_its_head_and_metrics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for task in tfbert::task::tasks() {
        let metrics: Vec<_> = task.metrics.iter().map(|metric| metric.name()).collect();
        let line = format!(
            "| `{}` | {} | {} | {} |",
            task.name,
            task.head,
            metrics.join(", "),
            task.description
        );
        assert!(readme.contains(&line), "README lacks the line\n{line}");
    }
}
