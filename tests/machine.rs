//! Tests that want something of the machine: root, TensorBoard in `.venv`, the real data sets in
//! `TFBERT_DATA`, or transformers in `.venv-peers`. Where it is missing they are listed as ignored, with the reason.

#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "common/goldens.rs"]
mod goldens;
#[path = "common/interrupted.rs"]
mod interrupted;
#[path = "common/questions.rs"]
mod questions;
#[path = "common/trials.rs"]
mod trials;
#[path = "machine/workers.rs"]
mod workers;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use common::{fail, last_json, root, succeed, text, tfbert, train_tiny};
use goldens::{OfficialV2, assert_close, assert_official, golden};
use interrupted::{Ended, alone, begin, complete, names, resume};
use serde::Deserialize;
use serde_json::{Value, json};
use tfbert::dataset::{DataSource, Input, Labels, Target};
use tfbert::feature::Tokenizer;
use tfbert::metric::{QuestionScore, SquadVersion, score_question, span_scores};
use tfbert::task;
use trials::{Ran, trial};
use workers::{
    a_cut_network_ends_all_workers_and_the_run_goes_on_from_its_checkpoint,
    a_full_disk_of_the_chief_ends_all_workers_and_is_named,
};

fn main() {
    /// Each test under its function's name.
    macro_rules! trials {
        ($($test:ident,)*) => {
            vec![$(trial(stringify!($test), $test),)*]
        };
    }
    trials::run(trials![
        a_disk_that_fills_or_is_read_only_costs_nothing_that_was_complete,
        a_cut_network_ends_all_workers_and_the_run_goes_on_from_its_checkpoint,
        a_full_disk_of_the_chief_ends_all_workers_and_is_named,
        real_data_sets_are_read_whole,
        squads_development_sets_score_as_the_python_scorer_has_it,
        known_answers_of_squads_own_files_are_found,
        scores_of_squads_own_files_are_the_scorers,
        answers_of_squads_own_files_are_of_their_passage,
        tensorboard_reads_curves_settings_and_hparams,
        a_real_setting_scores_within_the_band_of_the_trainer_of_hugging_face,
        transformers_loads_an_export_of_every_head_and_gives_the_models_logits,
    ])
}

/// The folder of the real data sets, if it holds this file.
fn real_data(file: &str) -> Result<PathBuf, Cow<'static, str>> {
    let folder = std::env::var_os("TFBERT_DATA").map(PathBuf::from);
    let folder = folder.ok_or("TFBERT_DATA does not name the folder of the real data sets")?;
    if folder.join(file).is_file() {
        Ok(folder)
    } else {
        Err(format!("TFBERT_DATA lacks {file}").into())
    }
}

/// A small disk, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option},size=16m");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn a_disk_that_fills_or_is_read_only_costs_nothing_that_was_complete() -> Ran {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&dir.path().join("disk")).ok_or("mounting a small disk needs root")?;
    let run = disk.0.join("run");
    begin(&run);
    let kept = complete(&run);
    // All but 256 KiB of the rest is taken.
    let free = Command::new("df").args(["--output=avail", "-k"]).arg(&disk.0).output().unwrap();
    let free: usize = text(&free).0.lines().last().unwrap().trim().parse().unwrap();
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![1; (free - 256) << 10]).unwrap();
    let stderr = fail(&mut resume(&run));
    assert!(stderr.contains("see that the disk has room"), "{stderr}");
    assert_eq!(names(&run), kept, "what was complete stays, and nothing else");
    // Not a byte is free.
    let _ = fs::write(disk.0.join("more"), vec![1; 2 << 20]);
    fail(&mut resume(&run));
    assert_eq!(names(&run), kept);
    fs::remove_file(disk.0.join("more")).unwrap();
    fs::remove_file(&filler).unwrap();
    disk.remount("ro");
    let stderr = fail(&mut resume(&run));
    assert!(stderr.contains("Read-only file system"), "{stderr}");
    disk.remount("rw");
    let stdout = succeed(&mut resume(&run));
    Ended::new(&run, &stdout).assert_equals_uninterrupted("on a full disk");
    Ok(())
}

/// Every file is read whole, and has as many examples as its description says.
fn real_data_sets_are_read_whole() -> Ran {
    let data = real_data("SST-2/train.tsv")?;
    let data = data.as_path();
    let counts = [
        ("cola", "train", 8551),
        ("cola", "dev", 1043),
        ("cola", "test", 1063),
        ("sst2", "train", 67349),
        ("sst2", "dev", 872),
        ("sst2", "test", 1821),
        ("mrpc", "train", 3668),
        ("mrpc", "dev", 408),
        ("mrpc", "test", 1725),
        ("stsb", "train", 5749),
        ("stsb", "dev", 1500),
        ("stsb", "test", 1379),
        ("qqp", "dev", 40400),
        ("mnli", "train", 14361),
        ("mnli", "dev_matched", 9815),
        ("mnli", "dev_mismatched", 999),
        ("qnli", "train", 10293),
        ("qnli", "dev", 5463),
        ("qnli", "test", 5463),
        ("rte", "train", 2490),
        ("rte", "dev", 277),
        ("rte", "test", 3000),
        ("wnli", "train", 635),
        ("wnli", "dev", 71),
        ("wnli", "test", 146),
        ("squad", "train", 87_599),
        ("squad", "dev", 10_570),
        ("squad2", "dev", 11_873),
        ("swag", "train", 600),
        ("swag", "dev", 500),
        ("conll2003", "train", 14041),
        ("conll2003", "dev", 3250),
        ("conll2003", "test", 3453),
    ];
    for (name, split, expected) in counts {
        let task = task::find(name).unwrap();
        let labels = Labels::of_task(&task, data).unwrap();
        let split = task.split(split).unwrap();
        let source =
            DataSource { task: &task, split, data_dir: data, labels: &labels, limit: None };
        let dataset = source.read().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(dataset.examples.len(), expected, "{name} {}", split.name);
        if name == "squad2" {
            let none = Some(Target::Answers(Vec::new()));
            let without = dataset.examples.iter().filter(|example| example.target == none).count();
            assert_eq!(without, 5_945);
        }
        if name == "conll2003" && split.name == "train" {
            let words = dataset.examples.iter().map(|example| match &example.input {
                Input::Words(words) => words.len(),
                other => panic!("{other:?}"),
            });
            assert_eq!(words.sum::<usize>(), 203_621);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct DevCase<T> {
    file: String,
    questions: usize,
    #[serde(default)]
    threshold: f64,
    result: T,
}

#[derive(Deserialize)]
struct OfficialV1 {
    exact_match: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct DevGolden {
    cases: (DevCase<OfficialV1>, DevCase<OfficialV2>),
}

/// Scores the predictions that `rule_prediction` in `span_goldens.py` makes, and gives `rule_odds`.
fn score_rule(path: &Path, version: SquadVersion) -> (Vec<QuestionScore>, Vec<f64>) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let dataset: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().unwrap().clone();
    let (mut scores, mut null_odds) = (Vec::new(), Vec::new());
    for paragraph in list(&dataset, "data").iter().flat_map(|article| list(article, "paragraphs")) {
        let words: Vec<&str> = paragraph["context"].as_str().unwrap().split(' ').collect();
        for question in list(&paragraph, "qas") {
            let answers = list(&question, "answers");
            let golds: Vec<&str> = answers.iter().map(|a| a["text"].as_str().unwrap()).collect();
            let first = golds.first().copied().unwrap_or("");
            let i = scores.len();
            let rest = &words[i % words.len()..];
            let passage = rest[..rest.len().min(i % 7)].join(" ");
            let prediction = match i % 6 {
                0 => first.to_owned(),
                1 => passage,
                2 => String::new(),
                3 => format!("The {first}!"),
                4 => format!("{passage} {first}"),
                _ => first.to_uppercase(),
            };
            scores.push(score_question(version, &prediction, &golds));
            let spread = (i as i64 * 7919 % 1000 - 500) as f64 / 100.0;
            null_odds.push(spread + if golds.is_empty() { 6.0 } else { 0.0 });
        }
    }
    (scores, null_odds)
}

fn squads_development_sets_score_as_the_python_scorer_has_it() -> Ran {
    let folder = real_data("squad/dev-v1.1.json")?.join("squad");
    let DevGolden { cases: (v1, v2) } = golden("metrics_squad_dev.json");

    let (scores, _) = score_rule(&folder.join(&v1.file), SquadVersion::V1_1);
    assert_eq!(scores.len(), v1.questions);
    let all = span_scores(&scores).all;
    assert_close("exact match of 1.1", all.exact_match, Some(v1.result.exact_match / 100.0));
    assert_close("F1 of 1.1", all.f1, Some(v1.result.f1 / 100.0));

    let (scores, null_odds) = score_rule(&folder.join(&v2.file), SquadVersion::V2_0);
    assert_eq!(scores.len(), v2.questions);
    assert_official("dev-v2.0.json", &scores, &null_odds, v2.threshold, &v2.result);
    Ok(())
}

/// SQuAD's own development sets, tokenised with the vocabulary that lies beside them.
fn squads_own_files() -> Result<&'static questions::Sets, Cow<'static, str>> {
    static SETS: OnceLock<questions::Sets> = OnceLock::new();
    real_data("squad/dev-v1.1.json")?;
    let data = real_data("vocab/bert-base-uncased-vocab.txt")?;
    let vocabulary = fs::read_to_string(data.join("vocab/bert-base-uncased-vocab.txt")).unwrap();
    let json = fs::read(root().join("tests/golden/question_tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    let ids: serde_json::Map<_, _> =
        vocabulary.lines().enumerate().map(|(id, piece)| (piece.into(), id.into())).collect();
    for token in json["added_tokens"].as_array_mut().unwrap() {
        token["id"] = ids[token["content"].as_str().unwrap()].clone();
    }
    for (name, token) in json["post_processor"]["special_tokens"].as_object_mut().unwrap() {
        token["ids"] = vec![ids[name].clone()].into();
    }
    json["model"]["vocab"] = ids.into();
    Ok(SETS.get_or_init(|| {
        let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
        questions::Sets::new(&data, &tokenizer)
    }))
}

fn known_answers_of_squads_own_files_are_found() -> Ran {
    questions::known_answers_are_found(squads_own_files()?);
    Ok(())
}

fn scores_of_squads_own_files_are_the_scorers() -> Ran {
    questions::scores_are_the_scorers(squads_own_files()?);
    Ok(())
}

fn answers_of_squads_own_files_are_of_their_passage() -> Ran {
    questions::answers_are_of_their_passage(squads_own_files()?);
    Ok(())
}

/// Trains `sst2-6400`, a setting of benches/reproduce, with one seed. The band about the Trainer's mean
/// is wide enough for another seed, since machines round differently: four standard deviations, and
/// no less than 1.5 points, since few seeds may lie close together by chance.
fn a_real_setting_scores_within_the_band_of_the_trainer_of_hugging_face() -> Ran {
    let data = real_data("SST-2/train.tsv")?;
    let results = fs::read(root().join("benches/reproduce/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    let setting = &results["sst2-6400"];
    let trainer = &setting["last"]["accuracy"]["sides"]["trainer"];
    let number = |name: &str| trainer[name].as_f64().unwrap();
    let (mean, limit) = (number("mean"), (4.0 * number("sd")).max(0.015));

    let dir = tempfile::tempdir().unwrap();
    let command = setting["command"].as_str().unwrap().replace("--seed N", "--seed 1");
    let mut train = tfbert();
    train.args(command.split(' ').skip(1)).arg("--json").arg("--data-dir").arg(&data);
    train.arg("--model").arg(root().join("target/exports/minilm-l6/classify"));
    let result = last_json(&succeed(train.arg("--output").arg(dir.path().join("run"))));
    let accuracy = result["metrics"]["accuracy"].as_f64().unwrap();
    assert!(
        (accuracy - mean).abs() < limit,
        "accuracy {accuracy}; the Trainer's seeds have {mean}, and {limit} is the most away"
    );
    Ok(())
}

/// Loads each folder with transformers, and prints inputs and logits, the weights that were missing or
/// left over, and everything that transformers logged.
const TRANSFORMERS: &str = "
import json, logging, sys, warnings
warnings.simplefilter('error', UserWarning)
import torch, transformers
class Lines(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []
    def emit(self, record):
        self.lines.append(record.getMessage())
logged = Lines()
for name in ('transformers', 'huggingface_hub', 'safetensors'):
    logging.getLogger(name).addHandler(logged)
texts = ['a good film', 'Not bad at all, but MUCH too long: caf\\u00e9 \\u4e1c\\u4eac', 'dull']
found = []
for folder in sys.argv[1:]:
    with open(folder + '/config.json') as file:
        kind = getattr(transformers, json.load(file)['architectures'][0])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, loaded = kind.from_pretrained(folder, output_loading_info=True)
    pair = 'Question' in kind.__name__ or 'Choice' in kind.__name__
    first = ['who?'] * 3 if pair else texts
    inputs = dict(tokenizer(first, texts if pair else None, padding=True, return_tensors='pt'))
    if 'Choice' in kind.__name__:
        inputs = {name: ids[None] for name, ids in inputs.items()}
    with torch.no_grad():
        outputs = model.eval()(**inputs)
    if 'Question' in kind.__name__:
        logits = torch.stack([outputs.start_logits, outputs.end_logits], -1)
    else:
        logits = outputs.logits
    found.append({'inputs': {name: ids.tolist() for name, ids in inputs.items()},
        'logits': logits.tolist(), 'keys': [*loaded['missing_keys'], *loaded['unexpected_keys']]})
print(json.dumps({'logged': logged.lines, 'models': found}))
";

/// The largest difference between the logits of each SavedModel and those in the file of
/// [`TRANSFORMERS`], over what is not padding.
const DIFFERENCES: &str = "
import json, os, sys
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import numpy, tensorflow as tf
with open(sys.argv[1]) as file:
    models = json.load(file)['models']
differences = []
for folder, model in zip(sys.argv[2:], models, strict=True):
    serve = tf.saved_model.load(folder).signatures['serving_default']
    inputs = {name: tf.constant(ids, tf.int32) for name, ids in model['inputs'].items()}
    logits, expected = serve(**inputs)['logits'].numpy(), numpy.array(model['logits'])
    if logits.ndim == 3:
        kept = numpy.array(model['inputs']['attention_mask']) > 0
        logits, expected = logits[kept], expected[kept]
    differences.append(float(numpy.abs(logits - expected).max()))
print(json.dumps(differences))
";

fn transformers_loads_an_export_of_every_head_and_gives_the_models_logits() -> Ran {
    let peers = root().join(".venv-peers/bin/python");
    let installed = peers.is_file()
        && Command::new(&peers)
            .args(["-c", "import torch, transformers"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !installed {
        return Err("transformers is not in .venv-peers: `make bench-peers` installs it".into());
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut models, mut exports) = (Vec::new(), Vec::new());
    for (task, head) in [
        ("sst2", "classify"),
        ("stsb", "regress"),
        ("squad", "span"),
        ("conll2003", "tag"),
        ("swag", "choice"),
    ] {
        let (run, export) = (dir.path().join(task), dir.path().join(format!("{task}-export")));
        let mut train = tfbert();
        train.args(["train", "--task", task, "--data-dir", "data", "--limit-train", "16"]);
        train.args(["--limit-dev", "8", "--max-steps", "2", "--max-length", "128"]);
        train.args(["--doc-stride", "32", "--learning-rate", "1e-2", "--precision", "f32"]);
        succeed(train.arg("--model").arg(common::tiny(head)).arg("--output").arg(&run));
        succeed(tfbert().arg("export").arg(&run).args(["--to", "hugging-face"]).arg(&export));
        models.push(run.join("model"));
        exports.push(export);
    }
    let found = succeed(Command::new(&peers).args(["-c", TRANSFORMERS]).args(&exports));
    let found = found.lines().last().unwrap();
    let file = dir.path().join("transformers.json");
    fs::write(&file, found).unwrap();
    let found: Value = serde_json::from_str(found).unwrap();
    assert_eq!(found["logged"], Value::Array(Vec::new()));
    for model in found["models"].as_array().unwrap() {
        assert_eq!(model["keys"], Value::Array(Vec::new()));
    }
    let python = root().join(".venv/bin/python");
    let mut compare = Command::new(python);
    let differences =
        last_json(&succeed(compare.args(["-c", DIFFERENCES]).arg(&file).args(&models)));
    let differences: Vec<f64> = serde_json::from_value(differences).unwrap();
    assert_eq!(differences.len(), models.len());
    assert!(differences.iter().all(|&difference| difference < 1e-5), "{differences:?}");
    Ok(())
}

/// What TensorBoard's own reader finds in a run's folder.
const TENSORBOARD: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.pr_curve import plugin_data_pb2 as pr_curve_data_pb2
CURVE = 'dev/precision_recall/positive'
found = EventAccumulator(sys.argv[1])
found.Reload()
data = lambda tag: plugin_data_pb2.HParamsPluginData.FromString(
    found.SummaryMetadata(tag).plugin_data.content)
curve = found.Tensors(CURVE)[0]
hparams = data('_hparams_/session_start_info').session_start_info.hparams
print(json.dumps({
    'scalars': {t: [[e.step, e.value] for e in found.Scalars(t)] for t in found.Tags()['scalars']},
    'learning_rate': hparams['learning_rate'].number_value,
    'task': hparams['task'].string_value,
    'complete': data('_hparams_/session_end_info').session_end_info.status,
    'curve': curve.tensor_proto.float_val[:],
    'curve_step': curve.step,
    'thresholds': pr_curve_data_pb2.PrCurvePluginData.FromString(
        found.SummaryMetadata(CURVE).plugin_data.content).num_thresholds,
    'text': found.Tensors('settings')[0].tensor_proto.string_val[0].decode(),
}))
";

fn tensorboard_reads_curves_settings_and_hparams() -> Ran {
    let python = root().join(".venv/bin/python");
    let mut import = Command::new(&python);
    let installed = import.args(["-c", "import tensorboard"]).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        return Err("TensorBoard is not installed in .venv".into());
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let result = last_json(&succeed(&mut train_tiny(&run)));
    let found = succeed(Command::new(python).args(["-c", TENSORBOARD]).arg(&run));
    let found: Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    let accuracy = &found["scalars"]["dev/accuracy"][0];
    assert_eq!(accuracy[0], result["best_step"]);
    let difference =
        accuracy[1].as_f64().unwrap() - result["metrics"]["accuracy"].as_f64().unwrap();
    assert!(difference.abs() < 1e-6, "{found}");
    assert!(found["scalars"]["train/loss"].as_array().is_some_and(|losses| !losses.is_empty()));
    // At threshold 0 every example is predicted, so the counts are those of the labels.
    let curve: Vec<f64> = serde_json::from_value(found["curve"].clone()).unwrap();
    assert_eq!((curve.len(), &found["thresholds"]), (6 * 201, &json!(201)));
    assert_eq!(curve[0] + curve[201], result["examples"].as_f64().unwrap(), "{found}");
    assert_eq!((found["curve_step"].as_u64(), curve[5 * 201]), (accuracy[0].as_u64(), 1.0));
    assert_eq!(found["complete"], 1);
    assert_eq!(found["task"], "sst2");
    assert!((found["learning_rate"].as_f64().unwrap() - 1e-3).abs() < 1e-9, "{found}");
    assert!(found["text"].as_str().unwrap().contains("| batch_size | 16 |"), "{found}");
    Ok(())
}
