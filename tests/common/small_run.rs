//! A run of the small model: its examples, settings and folder, and what two runs must have equal.

use std::fs;
use std::path::{Path, PathBuf};

use tfbert::dataset::{Dataset, Example, Input, Labels, Target};
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::{FeatureStore, FeatureTarget, Features, Sequence};
use tfbert::model::{NoScalars, Precision};
use tfbert::run::{RunFolder, RunMode, RunRecord};
use tfbert::settings::{RunOptions, TrainSettings};
use tfbert::task::{self, Task};
use tfbert::train::{self, Job, Outcome};

use super::learner::{self, Fault, Learner, VOCABULARY};

/// Training examples.
pub const TRAIN: usize = 44;
/// Development examples.
pub const DEV: usize = 21;

/// Everything of a run but its folder.
pub struct Setup {
    pub task: Task,
    pub labels: Labels,
    pub settings: TrainSettings,
    pub train: FeatureStore,
    pub dev: Vec<EncodedDataset>,
    pub options: RunOptions,
}

/// Sentences of random ids, whose class is 1 where ids of the upper half are more.
pub fn examples(count: usize, seed: usize) -> (Features, Vec<Example>) {
    let mut features = Features::default();
    let mut examples = Vec::new();
    for i in 0..count {
        let length = 3 + (i * 5 + seed) % 9;
        let ids: Vec<i32> = (0..length)
            .map(|j| 1 + ((i * 37 + j * j * 11 + seed * 13 + i * j) % (VOCABULARY - 1)) as i32)
            .collect();
        let high = ids.iter().filter(|&&id| id as usize >= VOCABULARY / 2).count();
        let class = usize::from(2 * high > length);
        let sequence = Sequence { input_ids: &ids, second_segment: length };
        features.push(i, &[sequence], FeatureTarget::Class(class as i32));
        examples.push(Example {
            id: i.to_string(),
            line: i + 2,
            input: Input::Text { text: format!("{ids:?}"), text_pair: None },
            target: Some(Target::Class(class)),
        });
    }
    (features, examples)
}

impl Setup {
    pub fn new() -> Self {
        let task = task::find("sst2").unwrap();
        let labels = Labels::new(vec!["0".into(), "1".into()]);
        let mut settings = TrainSettings::for_task(&task, Precision::F32);
        settings.epochs = 3;
        settings.batch_size = 5; // 44 examples: the last of an epoch's 9 batches has 4.
        settings.eval_batch_size = 4;
        settings.learning_rate = 0.2;
        settings.log_steps = 2;
        settings.eval_steps = Some(5);
        let (train, _) = examples(TRAIN, 1);
        let train = FeatureStore::in_memory(&train);
        let (features, examples) = examples(DEV, 2);
        let dataset = Dataset { path: "dev.tsv".into(), split: "dev".into(), examples };
        Self {
            task,
            labels,
            settings,
            train,
            dev: vec![EncodedDataset { dataset, features }],
            options: RunOptions::default(),
        }
    }

    pub fn record(&self) -> RunRecord {
        RunRecord {
            tfbert_version: "0".into(),
            tensorflow_version: "0".into(),
            whole_step: false,
            command: Vec::new(),
            task: self.task.clone(),
            labels: self.labels.names().to_vec(),
            settings: self.settings.clone(),
            options: self.options.clone(),
            model: PathBuf::new(),
            weights_sha256: String::new(),
            data: Vec::new(),
            start: None,
            directory: None,
            data_dir: None,
        }
    }

    /// Begins or resumes, as a process of its own would: with a new model.
    pub fn run(
        &self,
        dir: &Path,
        resume: bool,
        fault: Option<Fault>,
    ) -> (Result<Outcome>, Learner) {
        let mut model = Learner::new();
        model.fault = fault;
        let mode = if resume { RunMode::Resume } else { RunMode::New };
        let outcome = RunFolder::open(dir, mode, &self.record()).and_then(|folder| {
            let stop = model.stop.clone();
            let job = Job {
                task: &self.task,
                labels: &self.labels,
                settings: &self.settings,
                options: &self.options,
                train: &self.train,
                dev: &self.dev,
                encoder: learner::FACTS,
                profile: learner::PROFILE,
                describe: &|record| Ok(serde_json::to_string(&record).unwrap()),
                folder: &folder,
                resume,
                stop: &stop,
                cluster: None,
                ends_early: None,
                reporter: None,
            };
            train::train(&job, &mut model, &mut NoScalars)
        });
        (outcome, model)
    }

    /// Runs uninterrupted.
    pub fn whole(&self) -> (tempfile::TempDir, Ended) {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, model) = self.run(dir.path(), false, None);
        let ended = Ended::new(dir.path(), outcome.unwrap(), &model);
        (dir, ended)
    }
}

/// All that must be equal.
#[derive(Debug, PartialEq)]
pub struct Ended {
    pub weights: Vec<f32>,
    pub exported: Vec<u8>,
    pub contract: String,
    pub metrics: String,
    pub best: tfbert::run::Best,
    pub steps: usize,
    pub skipped: usize,
}

impl Ended {
    pub fn new(dir: &Path, outcome: Outcome, model: &Learner) -> Self {
        Self {
            weights: model.weights().to_vec(),
            exported: fs::read(dir.join("model/weights")).unwrap(),
            contract: fs::read_to_string(dir.join("model/tfbert.json")).unwrap(),
            metrics: metrics(dir),
            best: outcome.best,
            steps: outcome.steps,
            skipped: outcome.skipped,
        }
    }
}

/// The text of `metrics.jsonl`.
pub fn metrics(dir: &Path) -> String {
    fs::read_to_string(dir.join("metrics.jsonl")).unwrap()
}

/// The names of the checkpoints, sorted.
pub fn checkpoints(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("checkpoints")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The error of a run that should have been stopped.
#[track_caller]
pub fn failed(outcome: Result<Outcome>) -> Error {
    outcome.expect_err("the run should have been stopped")
}
