//! The final model in TensorFlow's own Python, as any other program would load it.

mod common;

use std::process::Command;

use common::{root, succeed, tfbert, train_tiny};
use serde_json::Value;
use tfbert::feature::Tokenizer;

const SCRIPT: &str = "
import json, os, sys
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow as tf
folder, texts = sys.argv[1], json.loads(sys.argv[2])
serve = tf.saved_model.load(folder).signatures['serving_default']
found = []
for ids in texts:
    input_ids = tf.constant([ids], tf.int32)
    outputs = serve(
        input_ids=input_ids,
        attention_mask=tf.ones_like(input_ids),
        token_type_ids=tf.zeros_like(input_ids),
    )
    found.append(outputs['probabilities'].numpy()[0].tolist())
variables = [name for name, _ in tf.train.list_variables(folder + '/variables/variables')]
print(json.dumps({'probabilities': found, 'variables': variables}))
";

#[test]
fn python_loads_the_final_model_and_gives_the_probabilities_of_predict() {
    let python = root().join(".venv/bin/python");
    assert!(python.is_file(), "run `make venv` first");
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    succeed(&mut train_tiny(&run));
    let model = run.join("model");
    let texts = ["a good film", "not bad at all, but much too long", "dull"];
    let lines = succeed(tfbert().arg("predict").arg("--model").arg(&model).args(texts));
    let tokenizer = Tokenizer::read(&model.join("assets.extra/tokenizer.json")).unwrap();
    let ids = texts.map(|text| tokenizer.encode(text, true).unwrap().get_ids().to_vec());
    let ids = serde_json::to_string(&ids).unwrap();
    let served = succeed(Command::new(python).args(["-c", SCRIPT]).arg(&model).arg(ids));
    let served: Value = serde_json::from_str(served.lines().last().unwrap()).unwrap();
    for (line, expected) in lines.lines().zip(served["probabilities"].as_array().unwrap()) {
        let found: Value = serde_json::from_str(line).unwrap();
        for (label, expected) in ["negative", "positive"].iter().zip(expected.as_array().unwrap()) {
            let difference =
                found["probabilities"][label].as_f64().unwrap() - expected.as_f64().unwrap();
            assert!(difference.abs() < 1e-5, "{line}: {expected}");
        }
    }
    let variables = served["variables"].as_array().unwrap();
    let optimiser = |name: &&Value| name.as_str().is_some_and(|name| name.contains("optimizer"));
    assert_eq!(variables.iter().find(optimiser), None, "the model holds optimiser slots");
    assert!(variables.len() > 20);
}
