//! What training starts from: an export, or a trained model with the export that it came from.

use std::path::{Path, PathBuf};

use tfbert::cli::TrainArgs;
use tfbert::dataset::Labels;
use tfbert::error::{Error, Result};
use tfbert::files::fingerprint;
use tfbert::run::StartRecord;
use tfbert::saved_model::places::MODELS_FOLDER;
use tfbert::saved_model::{Export, TrainedModel};
use tfbert::task::Task;

use crate::commands::models::{default_export, find_export, model_to_train};

/// A trained model that training starts from.
pub(super) struct Start {
    pub(super) trained: TrainedModel,
}

/// The export that is trained, and the trained model whose weights it gets first.
pub(super) fn read(args: &TrainArgs, task: &Task) -> Result<(Export, Option<Start>)> {
    let Some(dir) = &args.model else {
        refuse_export(args)?;
        return Ok((Export::read(&default_export(task.head)?)?, None));
    };
    let dir = model_to_train(dir, task.head)?;
    if !TrainedModel::is_at(&dir)? {
        refuse_export(args)?;
        return Ok((Export::read(&dir)?, None));
    }
    let trained = TrainedModel::read(&dir)?;
    let export = export_of(args, &trained, task)?;
    check_same_encoder(&trained, &export)?;
    Ok((export, Some(Start { trained })))
}

fn refuse_export(args: &TrainArgs) -> Result<()> {
    match &args.export {
        Some(export) => Err(Error::usage("`--export` is for a trained model after `--model`")
            .hint(format!("to start from an export, give `--model {}`", export.display()))),
        None => Ok(()),
    }
}

/// The export that the model was trained from, with the head that the task needs.
fn export_of(args: &TrainArgs, trained: &TrainedModel, task: &Task) -> Result<Export> {
    if let Some(dir) = &args.export {
        return Export::read(&model_to_train(dir, task.head)?);
    }
    let name = &trained.model.encoder.name;
    let known = trained.export.as_ref().and_then(|export| export.parent());
    let known: Option<PathBuf> = known.map(|encoder| encoder.join(task.head.name()));
    let there = known.clone().filter(|dir| dir.join("saved_model.pb").is_file());
    if let Some(dir) = there.or_else(|| find_export(name, task.head)) {
        return Export::read(&dir);
    }
    let dir = known.unwrap_or_else(|| Path::new(MODELS_FOLDER).join(name).join(task.head.name()));
    Err(Error::new(format!(
        "training needs the graph of the export `{name}` with the head `{}`, which is not at {}",
        task.head,
        dir.display()
    ))
    .at(&trained.model.dir)
    .hint("name it with `--export DIR`"))
}

/// Refuses an export whose weights or tokens are not those of the model.
fn check_same_encoder(trained: &TrainedModel, export: &Export) -> Result<()> {
    let (model, other) = (&trained.model, &export.model);
    let sha256 = |path: PathBuf| fingerprint(&path).map(|file| file.sha256);
    let what = if model.encoder != other.encoder {
        "sizes of the encoder"
    } else if sha256(model.tokenizer())? != sha256(other.tokenizer())? {
        "tokenizer"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("the {what} of {} differ from the model's", other.dir.display()))
        .at(&model.dir)
        .hint("name the export that the model was trained from with `--export DIR`"))
}

impl Start {
    /// Whether the head is kept: the task has the same kind of head and the same labels.
    pub(super) fn keeps_head(&self, task: &Task, labels: &Labels) -> bool {
        self.trained.model.head == task.head && self.trained.training.labels == labels.names()
    }

    /// Says what training starts from.
    pub(super) fn announce(&self, task: &Task, labels: &Labels) {
        let known = &self.trained.training;
        let dir = self.trained.model.dir.display();
        let from = &known.task.name;
        if self.keeps_head(task, labels) {
            log::info!("starting from {dir} (task `{from}`), with its head");
        } else if self.trained.model.head == task.head {
            log::info!(
                "starting from {dir} (task `{from}`), with a new head: its labels are {}, the task's {}",
                tfbert::text::listed(known.labels.iter().map(String::as_str)),
                tfbert::text::listed(labels.names().iter().map(String::as_str)),
            );
        } else {
            log::info!(
                "starting from {dir} (task `{from}`), with a new head: it has `{}`, the task needs `{}`",
                self.trained.model.head,
                task.head
            );
        }
    }

    /// What the run records of it.
    pub(super) fn record(&self) -> Result<StartRecord> {
        let data = self.trained.weights().with_extension("data-00000-of-00001");
        let sha256 = fingerprint(&data)?.sha256;
        Ok(StartRecord { model: self.trained.model.dir.clone(), sha256 })
    }
}
