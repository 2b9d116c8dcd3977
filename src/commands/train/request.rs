//! What a command line asks to train on what, before a file is read.

use std::time::Duration;

use tfbert::cli::TrainArgs;
use tfbert::dataset::{DataSource, Labels};
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::feature::FeatureStore;
use tfbert::run::DataRecord;
use tfbert::runtime::Device;
use tfbert::saved_model::Export;
use tfbert::settings::TrainSettings;
use tfbert::task::{Split, Task};

use super::input::Input;
use super::start::Start;
use super::{flags, start};
use crate::commands::models::export_command;
use crate::commands::{check_head, check_length, encode, precision};

/// Task, export and settings that fit each other.
pub(super) struct Request<'a> {
    pub(super) task: &'a Task,
    pub(super) export: Export,
    /// The trained model whose weights the export gets first.
    pub(super) start: Option<Start>,
    /// Without class weights, which may need the training file.
    pub(super) settings: TrainSettings,
}

impl<'t> Request<'t> {
    /// Reads the export's description, and that of the trained model that training starts from.
    pub(super) fn read(args: &TrainArgs, task: &'t Task, device: &Device) -> Result<Self> {
        training_split(task)?;
        let (export, start) = start::read(args, task)?;
        let hint = format!(
            "{}, or name another with `--model DIR`",
            export_command("minilm-l6", task.head.name())
        );
        check_head(task, &export.model, &hint)?;
        let mut settings = flags::settings(args, task, precision(device, args.precision));
        if args.eval_batch_size.is_none() {
            settings.eval_batch_size = device.evaluation_rows();
        }
        check_length(&settings.features, &export.model)?;
        check_label_smoothing(&settings, &export)?;
        Ok(Self { task, export, start, settings })
    }

    /// The task's labels: in the order of the head's where the export keeps a trained head.
    pub(super) fn labels(&self, data_dir: &std::path::Path) -> Result<Labels> {
        let labels = Labels::of_task(self.task, data_dir)?;
        let Some(kept) = &self.export.kept_labels else { return Ok(labels) };
        log::info!("training goes on with the head that the checkpoint brought");
        labels.in_order_of(self.task, kept).map_err(|error| {
            error.at(&self.export.model.dir).hint(
                "name the labels in this order under `labels` in a task file, or train a new head, \
                 exported by `python -m python_export --encoder … --head NAME`",
            )
        })
    }

    /// The task's training and development files, with their checksums.
    pub(super) fn files<'a>(
        &'a self,
        args: &'a TrainArgs,
        labels: &'a Labels,
    ) -> Result<Files<'a>> {
        let source = |split, limit| DataSource {
            task: self.task,
            split,
            data_dir: &args.data.data_dir,
            labels,
            limit,
        };
        let train = source(training_split(self.task)?, self.settings.limit_train);
        let dev: Vec<_> =
            self.task.dev.iter().map(|split| source(split, self.settings.limit_dev)).collect();
        let records = std::iter::once(&train)
            .chain(&dev)
            .map(|source| DataRecord::read(&source.split.name, &source.path()?))
            .collect::<Result<_>>()?;
        Ok(Files { train, dev, records })
    }

    /// The settings with `--class-weights`, which may depend on the training file.
    pub(super) fn with_class_weights(
        &self,
        args: &TrainArgs,
        settings: &TrainSettings,
        labels: &Labels,
        train: &FeatureStore,
    ) -> Result<TrainSettings> {
        let (given, head) = (&args.class_weights, self.task.head);
        let class_weights = flags::class_weights(given, head, labels, train.summary())?;
        Ok(TrainSettings { class_weights, ..settings.clone() })
    }
}

/// The files that a run reads.
pub(super) struct Files<'a> {
    pub(super) train: DataSource<'a>,
    pub(super) dev: Vec<DataSource<'a>>,
    /// Of the training file, then of the development files.
    pub(super) records: Vec<DataRecord>,
}

impl Files<'_> {
    /// The training file's features, and how long it took to tokenise it, if that was done.
    pub(super) fn training_features(
        &self,
        request: &Request<'_>,
        args: &TrainArgs,
    ) -> Result<(FeatureStore, Option<Duration>)> {
        Input {
            source: &self.train,
            data: &self.records[0],
            settings: &request.settings,
            model: &request.export.model,
        }
        .features(args)
    }

    /// Reads and tokenises the development files.
    pub(super) fn encode_dev(&self, request: &Request) -> Result<Vec<EncodedDataset>> {
        let tokenizer = request.export.model.read_tokenizer(request.task)?;
        let settings = &request.settings.features;
        self.dev.iter().map(|source| encode(source, &tokenizer, settings)).collect()
    }
}

/// Refuses label smoothing for a head whose loss has none.
pub(super) fn check_label_smoothing(settings: &TrainSettings, export: &Export) -> Result<()> {
    let known = export.signatures.values().any(|call| call.inputs.contains_key("label_smoothing"));
    if settings.label_smoothing == 0.0 || known {
        return Ok(());
    }
    Err(Error::usage(format!("the head `{}` has no label smoothing", export.model.head))
        .at(&export.model.dir)
        .hint("leave out `--label-smoothing`"))
}

/// The training split of a task that can be trained.
fn training_split(task: &Task) -> Result<&Split> {
    let train = task.train.as_ref().ok_or_else(|| {
        let other = task.model_of.as_deref().unwrap_or("mnli");
        Error::usage(format!(
            "task `{}` has no training file; it uses `{other}`'s model",
            task.name
        ))
        .hint(format!("train that one: `tfbert train --task {other}`"))
    })?;
    if task.dev.is_empty() {
        return Err(Error::usage(format!(
            "task `{}` has no development file, which selects the best checkpoint",
            task.name
        ))
        .hint("name one under `dev` in the task file"));
    }
    Ok(train)
}
