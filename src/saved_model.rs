//! What a SavedModel says of itself in `assets.extra/tfbert.json`: an [`Export`], which can be trained,
//! or a [`TrainedModel`], which predicts. See `docs/contract.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::feature::{FeatureSettings, Tokenizer};
use crate::model::{EncoderFacts, Precision};
use crate::prediction::PredictionSettings;
use crate::task::{Head, Scheme, Task};

mod hugging_face;
pub mod places;

pub use hugging_face::{HuggingFace, Weight};

/// The newest version of the interface between exports and tfbert (`docs/contract.md`) that this program reads.
const CONTRACT_VERSION: u32 = 3;

/// The first version whose training graphs call functions by names and with arguments that are fixed, so that this
/// program's kernels can replace them.
const NAMES_FUNCTIONS: u32 = 3;

/// The oldest version of that interface that this program reads. Exports of version 1 update all rows of the word
/// embeddings in every step, so they have no signature `flush`, which brings rows up to date that were left out.
const OLDEST_CONTRACT_VERSION: u32 = 1;

/// A SavedModel's folder for files that TensorFlow does not read.
pub const ASSETS: &str = "assets.extra";

/// The description's file in [`ASSETS`].
const FILE: &str = "tfbert.json";

/// The hint for a file of an export that cannot be used.
pub const EXPORT_ANEW: &str =
    "make the export anew: `python -m python_export --force` with the other flags that made it";

/// What exports and trained models both say of themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The SavedModel's folder.
    pub dir: PathBuf,
    /// The contract version that its graphs follow.
    pub contract_version: u32,
    /// Version of the package that exported it.
    pub tfbert_version: String,
    /// The head.
    pub head: Head,
    /// The encoder's sizes.
    pub encoder: Encoder,
    /// The longest sequence in tokens, special tokens included.
    pub max_length: usize,
    /// Whether the tokenizer lower-cases.
    pub do_lower_case: bool,
    /// Number formats that it has signatures for.
    pub precisions: Vec<Precision>,
    /// SHA-256 of the encoder's weights file.
    pub weights_sha256: String,
    /// How transformers stores the model; `None` where it has none that computes the same, and in
    /// exports of older versions.
    pub hugging_face: Option<HuggingFace>,
    /// The signatures of the serving graph.
    pub serving_signatures: BTreeMap<String, Signature>,
}

/// A model to train: its graph has signatures for training. A serving graph lies beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// What it says of itself.
    pub model: Description,
    /// The signatures of the training graph.
    pub signatures: BTreeMap<String, Signature>,
    /// The signatures of the whole-step graph; empty in an export without that graph.
    pub whole_step_signatures: BTreeMap<String, Signature>,
    /// Those of the graph of several workers; none where it was not exported.
    pub workers_signatures: BTreeMap<String, Signature>,
    /// The labels of a head that the checkpoint brought and that `init` keeps, in the order of the
    /// logits; `None` where `init` draws the head.
    pub kept_labels: Option<Vec<String>>,
}

/// A model that was trained: the serving graph and its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
    /// What it says of itself.
    pub model: Description,
    /// How it was trained, on what, and how well.
    pub training: TrainingRecord,
    /// The export that it was trained from, where that is known.
    pub export: Option<PathBuf>,
}

/// The encoder's sizes, by the names of Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Encoder {
    pub name: String,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    pub initializer_range: f64,
    pub pad_token_id: i32,
    /// The kind of encoder, as in `config.json`.
    #[serde(default = "bert")]
    pub model_type: String,
    /// The width of the embeddings. If it differs from `hidden_size`, a matrix projects them to that
    /// width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
}

/// The kind of an encoder that names none.
fn bert() -> String {
    "bert".into()
}

/// One signature: its tensors by argument name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Signature {
    pub inputs: BTreeMap<String, TensorSpec>,
    pub outputs: BTreeMap<String, TensorSpec>,
}

/// Type and shape of a tensor; an open dimension is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// TensorFlow's name of the type (`int32`, `float32`, …).
    pub dtype: String,
    /// The dimensions.
    pub shape: Vec<Option<i64>>,
}

/// What training adds to the description of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// The task's row, so that the model can be used without naming it again.
    pub task: Task,
    /// The labels in the order of the logits; empty for heads without labels.
    pub labels: Vec<String>,
    /// The precision of the development scores.
    pub precision: Precision,
    /// How training cut examples, and so prediction does.
    #[serde(flatten)]
    pub features: FeatureSettings,
    /// Development scores by split, then by metric; `null` is undefined.
    pub metrics: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// Answers whose null score beats the best span by more than this are empty (SQuAD 2.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_threshold: Option<f64>,
    /// The scheme of the training file's tags, for tags of entities; `labels` are those of IOB2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The probability from which on each label is predicted, in the order of `labels`, for the head
    /// `multilabel`; empty for other heads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_thresholds: Vec<f64>,
}

/// `tfbert.json` as it lies on disk. Exports have `signatures`, trained models have `trained`.
#[derive(Serialize, Deserialize)]
struct DescriptionFile {
    contract_version: u32,
    tfbert_version: String,
    head: Head,
    encoder: Encoder,
    max_length: usize,
    do_lower_case: bool,
    precisions: Vec<Precision>,
    weights_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hugging_face: Option<HuggingFace>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    signatures: BTreeMap<String, Signature>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    whole_step_signatures: BTreeMap<String, Signature>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    workers_signatures: BTreeMap<String, Signature>,
    #[serde(default)]
    serving_signatures: BTreeMap<String, Signature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_labels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trained: Option<TrainingRecord>,
    /// The folder of the export that a trained model was trained from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    export: Option<PathBuf>,
}

impl Description {
    /// Whether its training graphs' functions are those for which this program has kernels.
    pub fn names_functions(&self) -> bool {
        self.contract_version >= NAMES_FUNCTIONS
    }

    /// What batches and training must know of the encoder.
    pub fn encoder_facts(&self) -> EncoderFacts {
        EncoderFacts {
            max_length: self.max_length,
            num_hidden_layers: self.encoder.num_hidden_layers,
            pad_token_id: self.encoder.pad_token_id,
        }
    }

    /// The tokenizer's file.
    pub fn tokenizer(&self) -> PathBuf {
        self.dir.join(ASSETS).join("tokenizer.json")
    }

    /// Reads the tokenizer and checks that the encoder has embeddings for all ids and segments that
    /// it gives to the sequences of a task.
    ///
    /// # Errors
    ///
    /// The file is missing or no tokenizer, or the tokenizer and the encoder do not fit.
    pub fn read_tokenizer(&self, task: &Task) -> Result<Tokenizer> {
        let path = self.tokenizer();
        let tokenizer = Tokenizer::read(&path).map_err(|error| error.hint(EXPORT_ANEW))?;
        let Encoder { vocab_size, type_vocab_size, .. } = self.encoder;
        tokenizer
            .check_fits(vocab_size, type_vocab_size, task.joins_texts())
            .map_err(|error| error.at(&path))?;
        Ok(tokenizer)
    }
}

/// Whether a folder has the name under which `python_export` writes an export or replaces one
/// (`.classify.partial-…`, `.classify.old-…`).
pub fn is_unfinished(dir: &Path) -> bool {
    let name = dir.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') && (name.contains(".partial-") || name.contains(".old-"))
}

impl TrainingRecord {
    /// How logits become predictions of a task with this model.
    pub fn prediction(&self, task: &Task) -> PredictionSettings {
        PredictionSettings {
            max_answer_length: task.defaults.max_answer_length,
            n_best_size: task.defaults.n_best_size,
            version_2_with_negative: task.version_2_with_negative,
            null_threshold: self.null_threshold.unwrap_or(0.0),
            label_thresholds: self.label_thresholds.clone(),
        }
    }
}

impl Export {
    /// Reads and checks the description of the export in `dir`.
    ///
    /// # Errors
    ///
    /// There is no SavedModel, tfbert did not export it, it has another contract version, or it was
    /// trained already.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = DescriptionFile::read(dir)?;
        if file.signatures.is_empty() {
            return Err(Error::new(
                "this SavedModel is a trained model, which cannot be trained again",
            )
            .at(dir)
            .hint("name an export with `--model saved_models/ENCODER/HEAD`"));
        }
        // Needed only when training ends, which is too late to find that it is missing.
        check_file(dir, &Path::new(ASSETS).join("serving").join("saved_model.pb"))?;
        check_file(dir, Path::new(VARIABLES))?;
        let signatures = file.signatures.clone();
        let whole_step_signatures = file.whole_step_signatures.clone();
        if !whole_step_signatures.is_empty() {
            check_file(dir, &Path::new(WHOLE_STEP).join("saved_model.pb"))?;
        }
        let workers_signatures = file.workers_signatures.clone();
        let kept_labels = file.kept_labels.clone();
        let model = file.description(dir);
        Ok(Self { model, signatures, whole_step_signatures, workers_signatures, kept_labels })
    }

    /// The folder of the training graph, or of the whole-step graph, with its signatures.
    ///
    /// # Errors
    ///
    /// The export has no whole-step graph.
    pub fn graph(&self, whole_step: bool) -> Result<(PathBuf, &BTreeMap<String, Signature>)> {
        let dir = &self.model.dir;
        if !whole_step {
            return Ok((dir.clone(), &self.signatures));
        }
        if self.whole_step_signatures.is_empty() {
            return Err(Error::usage("the export has no whole-step graph").at(dir).hint(
                "export it anew with `python -m python_export --whole-step --force …`, or leave out \
                 `--whole-step on`",
            ));
        }
        Ok((dir.join(WHOLE_STEP), &self.whole_step_signatures))
    }

    /// The folder of the graph of several workers.
    ///
    /// # Errors
    ///
    /// The export has none.
    pub fn workers_graph(&self) -> Result<PathBuf> {
        let folder = Path::new(ASSETS).join("workers");
        let (dir, head) = (&self.model.dir, self.model.head);
        if self.workers_signatures.is_empty() {
            return Err(Error::usage("the export has no graph for several workers").at(dir).hint(
                format!(
                    "export it anew with `python -m python_export --workers --force --encoder … \
                     --head {head}`"
                ),
            ));
        }
        check_file(dir, &folder.join("saved_model.pb"))?;
        Ok(dir.join(folder))
    }

    /// The prefix of the weights' files.
    pub fn weights(&self) -> PathBuf {
        self.model.dir.join("variables").join("variables")
    }

    /// The text of the `tfbert.json` of the model that training makes of this export.
    ///
    /// # Errors
    ///
    /// None that is known: the values can all be written.
    pub fn trained_json(&self, training: TrainingRecord) -> Result<String> {
        let model = self.model.clone();
        let file = DescriptionFile {
            contract_version: model.contract_version,
            tfbert_version: model.tfbert_version,
            head: model.head,
            encoder: model.encoder,
            max_length: model.max_length,
            do_lower_case: model.do_lower_case,
            precisions: model.precisions,
            weights_sha256: model.weights_sha256,
            hugging_face: model.hugging_face,
            signatures: BTreeMap::new(),
            whole_step_signatures: BTreeMap::new(),
            workers_signatures: BTreeMap::new(),
            serving_signatures: model.serving_signatures,
            kept_labels: None,
            trained: Some(training),
            export: std::path::absolute(&model.dir).ok(),
        };
        serde_json::to_string_pretty(&file)
            .map(|json| json + "\n")
            .map_err(|error| Error::new(format!("could not write `{FILE}`: {error}")))
    }
}

impl TrainedModel {
    /// Reads and checks the description of the trained model in `dir`.
    ///
    /// # Errors
    ///
    /// There is no SavedModel, tfbert did not make it, it has another contract version, or it is an
    /// export that was not trained.
    pub fn read(dir: &Path) -> Result<Self> {
        if !dir.join("saved_model.pb").is_file() {
            return Err(no_trained_model(dir));
        }
        let mut file = DescriptionFile::read(dir)?;
        let training = file.trained.take().ok_or_else(|| {
            Error::new("this SavedModel is an export that was not trained")
                .at(dir)
                .hint("train it with `tfbert train --task NAME`, which writes `runs/NAME/model`")
        })?;
        if !dir.join(VARIABLES).is_file() {
            return Err(Error::new(format!("the model is incomplete: it has no `{VARIABLES}`"))
                .at(dir)
                .hint("train it again, or copy the whole folder `model` of its run"));
        }
        let export = file.export.take();
        Ok(Self { model: file.description(dir), training, export })
    }

    /// Whether the SavedModel in `dir` is a trained model, and no export.
    ///
    /// # Errors
    ///
    /// There is no SavedModel, or its description cannot be read.
    pub fn is_at(dir: &Path) -> Result<bool> {
        Ok(DescriptionFile::read(dir)?.trained.is_some())
    }

    /// The prefix of the weights' files.
    pub fn weights(&self) -> PathBuf {
        self.model.dir.join("variables").join("variables")
    }
}

/// The folder of an export's whole-step graph.
const WHOLE_STEP: &str = "assets.extra/whole_step";

/// The file that leads to a SavedModel's weights.
const VARIABLES: &str = "variables/variables.index";

/// Refuses an export that lacks a file.
fn check_file(dir: &Path, file: &Path) -> Result<()> {
    if dir.join(file).is_file() {
        return Ok(());
    }
    Err(Error::new(format!("the export is incomplete: it has no `{}`", file.display()))
        .at(dir)
        .hint(EXPORT_ANEW))
}

impl DescriptionFile {
    fn read(dir: &Path) -> Result<Self> {
        if is_unfinished(dir) {
            return Err(Error::new(
                "this export is not finished: it is being written, or the process that wrote it \
                 was killed",
            )
            .at(dir)
            .hint(export_hint(dir)));
        }
        if !dir.join("saved_model.pb").is_file() {
            return Err(Error::new("there is no SavedModel there").at(dir).hint(export_hint(dir)));
        }
        let path = dir.join(ASSETS).join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(format!("this SavedModel was not made by tfbert: it has no `{FILE}`"))
                    .at(&path)
                    .hint(export_hint(dir))
            }
            _ => Error::io("read", &path, &error),
        })?;
        let damaged = |error: serde_json::Error| {
            Error::new(format!("the model's description is damaged: {error}"))
                .at_line(&path, error.line())
                .hint(EXPORT_ANEW)
        };
        // The version comes first: another version may have other fields.
        let Version { contract_version } = serde_json::from_str(&text).map_err(damaged)?;
        if !(OLDEST_CONTRACT_VERSION..=CONTRACT_VERSION).contains(&contract_version) {
            return Err(Error::new(format!(
                "its contract version is {contract_version}, this tfbert reads \
                 {OLDEST_CONTRACT_VERSION} to {CONTRACT_VERSION}"
            ))
            .at(&path)
            .hint(format!("{EXPORT_ANEW}, or use the tfbert version that made it")));
        }
        let file: Self = serde_json::from_str(&text).map_err(damaged)?;
        if let Some(training) = &file.trained {
            // The task's names become names of files and folders, as those of a task file do.
            training.task.check().map_err(|error| error.at(&path))?;
        }
        Ok(file)
    }

    fn description(self, dir: &Path) -> Description {
        Description {
            dir: dir.to_owned(),
            contract_version: self.contract_version,
            tfbert_version: self.tfbert_version,
            head: self.head,
            encoder: self.encoder,
            max_length: self.max_length,
            do_lower_case: self.do_lower_case,
            precisions: self.precisions,
            weights_sha256: self.weights_sha256,
            hugging_face: self.hugging_face,
            serving_signatures: self.serving_signatures,
        }
    }
}

/// For `fuzz/`: reads a description of either kind.
pub(crate) fn check_description(dir: &Path) -> Result<()> {
    DescriptionFile::read(dir).map(drop)
}

/// The error of a folder without a SavedModel where a trained one was named: with the folder that was
/// meant, where one lies in it.
fn no_trained_model(dir: &Path) -> Error {
    let named = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut inside: Vec<_> = named.filter(|path| path.join("saved_model.pb").is_file()).collect();
    inside.sort();
    let hint = match inside.last() {
        Some(model) => format!("there is one in it: `--model {}`", model.display()),
        None => "name the folder of a run, such as `runs/sst2`, or of its model".to_owned(),
    };
    Error::usage("there is no trained model").at(dir).hint(hint)
}

/// The command that exports a SavedModel with the head that the folder is named after.
fn export_hint(dir: &Path) -> String {
    let names_folder = |head: &Head| dir.file_name().is_some_and(|name| name == head.name());
    let head = Head::ALL.into_iter().find(names_folder).unwrap_or(Head::Classify);
    format!(
        "export one with `python -m python_export --encoder minilm-l6 --head {head} --output \
         saved_models`"
    )
}

#[derive(Deserialize)]
struct Version {
    contract_version: u32,
}

#[cfg(test)]
impl Encoder {
    /// The least of encoders, for tests that compute nothing with it.
    pub(crate) fn toy() -> Self {
        Self {
            name: "toy".into(),
            hidden_size: 2,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            intermediate_size: 8,
            vocab_size: 50,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            pad_token_id: 0,
            model_type: bert(),
            embedding_size: None,
        }
    }
}

#[cfg(test)]
mod tests;
