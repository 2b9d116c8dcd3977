//! The final model in other programs: TensorFlow's own Python, and what `tfbert export` writes.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use common::{fail, root, succeed, tfbert, train_tiny};
use serde_json::Value;
use tfbert::feature::Tokenizer;

/// The probabilities of texts, computed by ONNX Runtime.
const ONNX: &str = "
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + '/model.onnx')
found = []
for ids in json.loads(sys.argv[2]):
    ids = numpy.array([ids], 'int32')
    feed = {'input_ids': ids, 'attention_mask': ids * 0 + 1, 'token_type_ids': ids * 0}
    found.append(session.run(['probabilities'], feed)[0][0].tolist())
print(json.dumps(found))
";

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

/// A trained run, which the tests of this file read and do not change.
static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
    let run = Path::new(env!("CARGO_TARGET_TMPDIR")).join("served-run");
    succeed(train_tiny(&run).arg("--overwrite"));
    run
});

/// Runs a script with the Python that made the exports; its last line as JSON.
fn python(script: &str, arguments: &[&Path]) -> Value {
    let python = root().join(".venv/bin/python");
    assert!(python.is_file(), "run `make venv` first");
    let mut command = Command::new(python);
    command.current_dir(root()).args(["-c", script]).args(arguments);
    serde_json::from_str(succeed(&mut command).lines().last().unwrap()).unwrap()
}

#[test]
fn python_loads_the_final_model_and_gives_the_probabilities_of_predict() {
    let model = RUN.join("model");
    let texts = ["a good film", "not bad at all, but much too long", "dull"];
    let lines = succeed(tfbert().arg("predict").arg("--model").arg(&model).args(texts));
    let tokenizer = Tokenizer::read(&model.join("assets.extra/tokenizer.json")).unwrap();
    let ids = texts.map(|text| tokenizer.encode(text, true).unwrap().get_ids().to_vec());
    let ids = serde_json::to_string(&ids).unwrap();
    let served = python(SCRIPT, &[&model, Path::new(&ids)]);
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

/// Compares the weights of a folder in Hugging Face's layout with the variables of a SavedModel, bit
/// by bit, and prints what the folder is read as.
const COMPARE: &str = "
import json, os, sys
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import numpy, safetensors.numpy
from python_export.tests.session import read_checkpoint
from python_export.tests.test_hugging_face import read_table
from python_export.weights import read_encoder
model, folder = sys.argv[1:]
with open(model + '/assets.extra/tfbert.json') as file:
    contract = json.load(file)
layers = contract['encoder']['num_hidden_layers']
expected = read_table(
    contract['hugging_face'], read_checkpoint(model + '/variables/variables'), layers
)
found = safetensors.numpy.load_file(folder + '/model.safetensors')
assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
differ = [name for name, value in found.items() if value.tobytes() != expected[name].tobytes()]
shapes = [name for name, value in found.items() if value.shape != expected[name].shape]
checkpoint = read_encoder(folder)
again = [name for name, value in checkpoint.tensors.items()
         if value.tobytes() != expected['bert.' + name].tobytes()]
with open(model + '/assets.extra/tokenizer.json') as file:
    same_tokenizer = json.load(file) == json.loads(checkpoint.tokenizer)
print(json.dumps({'differ': differ + shapes + again, 'weights': len(found),
    'same_tokenizer': same_tokenizer, 'notes': checkpoint.notes,
    'lower': checkpoint.do_lower_case, 'family': checkpoint.family.model_type}))
";

fn export(to: &str, dir: &Path) -> Command {
    let mut command = tfbert();
    command.arg("export").arg(&*RUN).args(["--to", to]).arg(dir);
    command
}

#[test]
fn a_run_exported_for_transformers_has_the_models_weights_bit_by_bit_and_is_read_back_as_them() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let stdout = succeed(&mut export("hugging-face", &out));
    assert_eq!(stdout, format!("exported: {}\n", out.display()));
    let found = python(COMPARE, &[&RUN.join("model"), &out]);
    assert_eq!(found["differ"], Value::Array(Vec::new()), "{found}");
    assert_eq!(
        (&found["weights"], &found["same_tokenizer"]),
        (&41.into(), &true.into()),
        "{found}"
    );
    assert_eq!(found["notes"], Value::Array(Vec::new()), "{found}");
    let config: Value =
        serde_json::from_str(&fs::read_to_string(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["id2label"], serde_json::json!({"0": "negative", "1": "positive"}));
    assert_eq!(config["label2id"], serde_json::json!({"negative": 0, "positive": 1}));
    assert_eq!(config["problem_type"], "single_label_classification");
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    let record = fs::read_to_string(RUN.join("run.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    for part in
        ["pipeline_tag: text-classification", "| learning_rate | 0.001 |", "| dev | accuracy |"]
    {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(card.contains(record["data"][0]["sha256"].as_str().unwrap()), "{card}");
    // The same folder again: refused, then replaced.
    let stderr = fail(&mut export("hugging-face", &out));
    assert!(stderr.contains("--overwrite"), "{stderr}");
    succeed(export("hugging-face", &out).arg("--overwrite"));
    let names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["out"], "nothing is left beside the export");
}

#[test]
fn a_model_of_an_older_export_cannot_be_exported_for_transformers_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    for part in ["assets.extra", "variables"] {
        fs::create_dir_all(model.join(part)).unwrap();
    }
    for name in ["saved_model.pb", "variables/variables.index"] {
        fs::copy(RUN.join("model").join(name), model.join(name)).unwrap();
    }
    let description = RUN.join("model/assets.extra/tfbert.json");
    let mut description: Value =
        serde_json::from_str(&fs::read_to_string(description).unwrap()).unwrap();
    description.as_object_mut().unwrap().remove("hugging_face");
    fs::write(model.join("assets.extra/tfbert.json"), description.to_string()).unwrap();
    let out = dir.path().join("out");
    let stderr = fail(tfbert().arg("export").arg(&model).args(["--to", "hugging-face"]).arg(&out));
    assert!(stderr.contains("python -m python_export"), "{stderr}");
    assert!(!out.exists());
}

#[test]
fn onnx_runtime_gives_the_probabilities_of_predict() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let interpreter = root().join(".venv/bin/python");
    let stdout = succeed(export("onnx", &out).arg("--python").arg(&interpreter));
    assert_eq!(stdout, format!("exported: {}\n", out.display()));
    let texts = ["a good film", "not bad at all, but much too long", "dull"];
    let lines = succeed(tfbert().arg("predict").arg("--model").arg(RUN.join("model")).args(texts));
    let tokenizer = Tokenizer::read(&out.join("tokenizer.json")).unwrap();
    let ids = texts.map(|text| tokenizer.encode(text, true).unwrap().get_ids().to_vec());
    let found = python(ONNX, &[&out, Path::new(&serde_json::to_string(&ids).unwrap())]);
    for (line, found) in lines.lines().zip(found.as_array().unwrap()) {
        let expected: Value = serde_json::from_str(line).unwrap();
        for (label, found) in ["negative", "positive"].iter().zip(found.as_array().unwrap()) {
            let difference =
                expected["probabilities"][label].as_f64().unwrap() - found.as_f64().unwrap();
            assert!(difference.abs() < 1e-5, "{line}: {found}");
        }
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.contains("library_name: onnx"), "{card}");
    assert!(card.contains("| input | `input_ids` | int32 | [?, ?] |"), "{card}");
    let request: Value =
        serde_json::from_str(&fs::read_to_string(out.join("request.json")).unwrap()).unwrap();
    assert!(request["inputs"]["input_ids"].is_array(), "{request}");
}

#[test]
fn without_tf2onnx_the_message_has_the_command_that_installs_it() {
    let dir = tempfile::tempdir().unwrap();
    // Stands for a Python with TensorFlow, but without tf2onnx and onnxruntime.
    let interpreter = dir.path().join("python");
    fs::write(&interpreter, "#!/bin/sh\necho tf2onnx onnxruntime\n").unwrap();
    fs::set_permissions(&interpreter, fs::Permissions::from_mode(0o755)).unwrap();
    let out = dir.path().join("out");
    let stderr = fail(export("onnx", &out).arg("--python").arg(&interpreter));
    assert!(stderr.contains("lacks tf2onnx, onnxruntime"), "{stderr}");
    assert!(stderr.contains("-m pip install tf2onnx=="), "{stderr}");
    // A conversion that fails leaves nothing behind.
    fs::write(&interpreter, "#!/bin/sh\n[ \"$2\" = -c ] || exit 3\n").unwrap();
    let stderr = fail(export("onnx", &out).arg("--python").arg(&interpreter));
    assert!(stderr.contains("failed (exit code 3)"), "{stderr}");
    assert!(!out.exists());
}

/// Loads a version folder as TensorFlow Serving does, sends it every warm-up record and the request,
/// and prints their shapes and what the request's rows get.
///
/// The messages are built from TensorFlow Serving's `prediction_log.proto`, `predict.proto` and
/// `model.proto`, by the numbers of their fields.
const SERVE: &str = "
import json, os, sys
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2
folder = sys.argv[1]
pool = descriptor_pool.Default()
file = descriptor_pb2.FileDescriptorProto(name='log.proto', package='serving', syntax='proto3')
file.dependency.append(tensor_pb2.DESCRIPTOR.name)
def message(name, *fields):
    kind = file.message_type.add(name=name)
    for field, number, of in fields:
        added = kind.field.add(name=field, number=number, label=1, type=11 if of else 9)
        if of:
            added.type_name = of
    return kind
message('ModelSpec', ('name', 1, None), ('signature_name', 3, None))
request = message('PredictRequest', ('model_spec', 1, '.serving.ModelSpec'))
entry = request.nested_type.add(name='InputsEntry')
entry.options.map_entry = True
entry.field.add(name='key', number=1, label=1, type=9)
entry.field.add(name='value', number=2, label=1, type=11, type_name='.tensorflow.TensorProto')
request.field.add(name='inputs', number=2, label=3, type=11,
                  type_name='.serving.PredictRequest.InputsEntry')
message('PredictLog', ('request', 1, '.serving.PredictRequest'))
message('PredictionLog', ('predict_log', 6, '.serving.PredictLog'))
pool.Add(file)
log = message_factory.GetMessageClass(pool.FindMessageTypeByName('serving.PredictionLog'))
signatures = tf.saved_model.load(folder, tags=['serve']).signatures
replayed = []
records = folder + '/assets.extra/tf_serving_warmup_requests'
for record in tf.data.TFRecordDataset(records):
    request = log.FromString(record.numpy()).predict_log.request
    inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
    outputs = signatures[request.model_spec.signature_name](**inputs)
    replayed.append([request.model_spec.name, *outputs['logits'].shape.as_list()])
with open(folder + '/request.json') as file:
    request = json.load(file)
inputs = {name: tf.constant(rows, tf.int32) for name, rows in request['inputs'].items()}
outputs = signatures[request['signature_name']](**inputs)
print(json.dumps({'replayed': replayed, 'logits': outputs['logits'].numpy().tolist(),
    'probabilities': outputs['probabilities'].numpy().tolist()}))
";

#[test]
fn a_version_folder_replays_its_warm_up_requests_and_answers_its_request_as_predict_does() {
    let dir = tempfile::tempdir().unwrap();
    let stderr = fail(&mut export("serving", &dir.path().join("films")));
    assert!(stderr.contains("films/1"), "{stderr}");
    let version = dir.path().join("films/1");
    let stdout = succeed(&mut export("serving", &version));
    assert_eq!(stdout, format!("exported: {}\n", version.display()));
    let found = python(SERVE, &[&version]);
    assert_eq!(found["replayed"], serde_json::json!([["films", 1, 2], ["films", 4, 2]]), "{found}");
    // The request has the first sentences of the development file.
    let dev = fs::read_to_string(root().join("data/SST-2/dev.tsv")).unwrap();
    let texts = dev.lines().skip(1).take(4).map(|line| line.rsplit_once('\t').unwrap().0);
    let predicted = succeed(tfbert().arg("predict").arg("--model").arg(&version).args(texts));
    let rows = found["probabilities"].as_array().unwrap();
    assert_eq!(predicted.lines().count(), rows.len());
    for (line, row) in predicted.lines().zip(rows) {
        let line: Value = serde_json::from_str(line).unwrap();
        let difference =
            line["probabilities"]["positive"].as_f64().unwrap() - row[1].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{line}: {row}");
    }
    let page = fs::read_to_string(version.join("README.md")).unwrap();
    assert!(page.contains("| `serving_default` | `attention_mask` int32 [?, ?]<br>"), "{page}");
    assert!(page.contains("from `dev.tsv`"), "{page}");
    assert!(page.contains("/models/films\" -e MODEL_NAME=films "), "{page}");
    let batching = fs::read_to_string(version.join("batching_parameters.txt")).unwrap();
    assert!(batching.contains("max_batch_size { value: 32 }"), "{batching}");
}
