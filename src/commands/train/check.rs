//! What was found in a task's files, and what training would do with it.

use serde::Serialize;
use tfbert::dataset::Labels;
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::{FeatureSizes as _, FeatureStore};
use tfbert::inspect::{self, InputScan, SplitReport};
use tfbert::saved_model::Description;
use tfbert::settings::TrainSettings;
use tfbert::train::{self, Facts, StepPlan};

use super::request::{Files, Request};

/// Everything that was read for training.
pub(super) struct Found<'a> {
    settings: &'a TrainSettings,
    model: &'a Description,
    labels: &'a Labels,
    train: &'a FeatureStore,
    dev: &'a [EncodedDataset],
    plan: StepPlan,
    /// How often each label occurs in each development split.
    dev_counts: Vec<(String, Vec<usize>)>,
}

impl<'a> Found<'a> {
    pub(super) fn new(
        settings: &'a TrainSettings,
        model: &'a Description,
        labels: &'a Labels,
        train: &'a FeatureStore,
        dev: &'a [EncodedDataset],
    ) -> Self {
        let counts =
            |dev: &EncodedDataset| (dev.dataset.split.clone(), inspect::count_labels(&dev.dataset));
        Self {
            settings,
            model,
            labels,
            train,
            dev,
            plan: StepPlan::new(settings, train.len()),
            dev_counts: dev.iter().map(counts).collect(),
        }
    }

    /// Logs the labels with their counts, for tasks that have labels. Where they were found in the
    /// training file, its counts were logged then, unless `--limit-train` takes a part of it.
    pub(super) fn log_labels(&self, listed: bool) {
        if self.labels.is_empty() {
            return;
        }
        let taken = self.train.summary().examples;
        let limited = self.settings.limit_train.is_some_and(|limit| limit <= taken);
        let name = match limited {
            true => format!("train (the first {taken} examples of the file)"),
            false => "train".to_owned(),
        };
        let train = (name.as_str(), &self.train.summary().label_counts);
        let dev = self.dev_counts.iter().map(|(split, counts)| (split.as_str(), counts));
        for (split, counts) in (listed || limited).then_some(train).into_iter().chain(dev) {
            let counts = inspect::label_counts(self.labels, counts);
            log::info!("{split} labels: {}", inspect::label_text(&counts));
        }
    }

    fn warnings(&self) -> Vec<String> {
        train::warnings(&Facts {
            settings: self.settings,
            plan: &self.plan,
            features: self.train.len(),
            layers: self.model.encoder.num_hidden_layers,
            labels: self.labels,
            train_counts: &self.train.summary().label_counts,
            dev_counts: &self.dev_counts,
        })
    }

    /// Logs what would train to nothing, or to less than was asked for.
    pub(super) fn warn(&self) {
        self.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    }

    /// Reads the training file once more, for what its features do not tell.
    pub(super) fn report(
        &self,
        request: &Request<'_>,
        files: &Files<'_>,
        shape_cost: usize,
    ) -> Result<Report> {
        let mut training = InputScan::default();
        files.train.read_in_parts(|part, _| {
            training.add(&part.examples, None);
            Ok(())
        })?;
        let summary = self.train.summary();
        let labels = inspect::label_counts(self.labels, &summary.label_counts);
        let path = files.records[0].path.clone();
        let split = &files.train.split.name;
        let mut splits = vec![training.report(split, path, self.train, summary.truncated, labels)];
        for (dev, (split, counts)) in self.dev.iter().zip(&self.dev_counts) {
            let mut scan = InputScan::default();
            scan.add(&dev.dataset.examples, Some(&training));
            let labels = inspect::label_counts(self.labels, counts);
            let (path, features) = (dev.dataset.path.clone(), &dev.features);
            let report = scan.report(split, path, features, features.truncated, labels);
            splits.push(SplitReport { in_training: Some(scan.in_training()), ..report });
        }
        Ok(Report {
            task: request.task.name.clone(),
            splits,
            plan: self.plan_report(shape_cost),
            warnings: self.warnings(),
        })
    }

    fn plan_report(&self, shape_cost: usize) -> PlanReport {
        let settings = self.settings;
        let lengths =
            self.plan.batch_lengths(self.train, settings, shape_cost, self.model.max_length);
        let lengths = lengths.lengths().to_vec();
        let rows = settings.batch_size.div_ceil(settings.accumulate.max(1));
        let longest = lengths.last().copied().unwrap_or(0);
        let sequences = rows * self.train.choices().max(1);
        let memory =
            inspect::training_memory(&self.model.encoder, sequences, longest, settings.precision);
        PlanReport {
            epochs: settings.epochs,
            steps_per_epoch: self.plan.per_epoch,
            steps: self.plan.total(),
            warmup_steps: self.plan.schedule.warmup,
            evaluations: self.plan.evaluations(),
            batch_size: settings.batch_size,
            accumulate: settings.accumulate,
            batch_lengths: lengths,
            memory_bytes: memory,
        }
    }
}

/// The lengths that batches are padded to; of many, how many they are.
fn lengths_text(lengths: &[usize]) -> String {
    const SHOWN: usize = 8;
    match lengths {
        [first, .., last] if lengths.len() > SHOWN => {
            format!("one of {} lengths from {first} to {last} word pieces", lengths.len())
        }
        _ => {
            let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
            format!("{} word pieces", lengths.join(", "))
        }
    }
}

/// What `tfbert data check` prints.
#[derive(Serialize)]
pub(super) struct Report {
    task: String,
    splits: Vec<SplitReport>,
    plan: PlanReport,
    warnings: Vec<String>,
}

/// What training would do.
#[derive(Serialize)]
struct PlanReport {
    epochs: usize,
    steps_per_epoch: usize,
    steps: usize,
    warmup_steps: usize,
    evaluations: usize,
    batch_size: usize,
    accumulate: usize,
    /// The lengths that batches are padded to, in word pieces.
    batch_lengths: Vec<usize>,
    /// About the most that training takes.
    memory_bytes: u64,
}

impl Report {
    /// Lines for people.
    pub(super) fn lines(&self, max_length: usize) -> Vec<String> {
        let mut lines: Vec<String> =
            self.splits.iter().flat_map(|split| split.lines(max_length)).collect();
        let plan = &self.plan;
        lines.push(format!(
            "plan: {} steps ({} an epoch), {} of them warm-up, {} evaluations",
            plan.steps, plan.steps_per_epoch, plan.warmup_steps, plan.evaluations
        ));
        let lengths = lengths_text(&plan.batch_lengths);
        let parts = if plan.accumulate > 1 {
            format!(" in {} parts", plan.accumulate)
        } else {
            String::new()
        };
        lines.push(format!(
            "  batches of {} rows{parts}, padded to {}; about {} MiB of memory",
            plan.batch_size,
            lengths,
            plan.memory_bytes >> 20
        ));
        lines.push(match self.warnings.len() {
            0 => "nothing was trained; no problem was found".to_owned(),
            1 => "nothing was trained; 1 warning".to_owned(),
            many => format!("nothing was trained; {many} warnings"),
        });
        lines
    }

    /// One line of JSON.
    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::new(format!("could not write JSON: {error}")))
    }
}
