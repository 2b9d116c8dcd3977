//! `tfbert bench` on a tiny export: what it says, never how fast it was.

mod common;

use common::{fail, last_json, succeed, tfbert, tiny};

#[test]
fn bench_explains_a_step_by_its_parts_and_says_where_its_own_time_went() {
    let mut bench = tfbert();
    bench.args(["bench", "--shapes", "4x8", "--steps", "2", "--warmup", "1", "--explain"]);
    bench.args(["--precision", "f32", "--json", "--model"]).arg(tiny("classify"));
    let stdout = succeed(&mut bench);
    assert!(stdout.contains("matrix products") && stdout.contains("farthest"), "{stdout}");
    let found = last_json(&stdout);
    let shape = &found["shapes"][0];
    let seconds = |value: &serde_json::Value| value.as_f64().unwrap();
    assert!(seconds(&shape["compiling_seconds"]) <= seconds(&shape["first_step_seconds"]));
    assert!(seconds(&found["start_seconds"]) < seconds(&found["seconds"]));
    let explained = &found["explained"][0];
    assert!(seconds(&explained["rates"]["bytes"]) > 1.0);
    let parts = explained["step"]["parts"].as_array().unwrap();
    let part = |name: &str| parts.iter().find(|part| part["part"] == name).unwrap();
    // The traced operations of a step are found again: products, what is between them, the update.
    for name in ["matrix_products", "attention_products", "between_products", "update"] {
        assert!(seconds(&part(name)["measured"]) > 0.0, "{name}: {explained}");
    }
}

#[test]
fn a_step_that_is_one_function_is_not_explained() {
    let mut bench = tfbert();
    bench.args(["bench", "--explain", "--whole-step", "on", "--model"]).arg(tiny("classify"));
    let stderr = fail(&mut bench);
    assert!(stderr.contains("leave out `--whole-step on`"), "{stderr}");
}
