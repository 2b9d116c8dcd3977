//! The task to train: a built-in one, a task file, or a data file.

use std::path::Path;

use tfbert::cli::TrainArgs;
use tfbert::dataset::infer::{DataFile, Inferred, infer};
use tfbert::error::{Error, Result};
use tfbert::evaluate::EncodedDataset;
use tfbert::files::{names, write_file};
use tfbert::task::{self, DevFromTrain, Task};

/// The task that the arguments name, or that their data file is made into.
pub(super) fn find(args: &TrainArgs) -> Result<Task> {
    let data = &args.data;
    let Some(file) = &data.file else {
        let name =
            data.task.as_deref().ok_or_else(|| Error::usage("no `--task` and no `--data`"))?;
        return task::find(name);
    };
    let Inferred { task, summary } = infer(&DataFile {
        path: file,
        dev: data.dev.as_deref(),
        dev_from_train: DevFromTrain { share: data.dev_share, seed: data.split_seed },
        text: data.text.as_deref().unwrap_or_default(),
        text_pair: data.text_pair.as_deref().unwrap_or_default(),
        label: data.label.as_deref().unwrap_or_default(),
        head: data.head,
        delimiter: data.delimiter,
        sample_by: data.sample_by,
    })?;
    log::info!("{summary}");
    Ok(task)
}

/// The task as `run.json` and `task.json` have it: one that was made of a data file finds the file
/// from everywhere.
pub(super) fn recorded(args: &TrainArgs, task: &Task) -> Result<Task> {
    if args.data.file.is_some() { Inferred::task_file(task) } else { Ok(task.clone()) }
}

/// Writes the task file of a task that was made of a data file into the run's folder.
pub(super) fn write(args: &TrainArgs, task: &Task, run: &Path) -> Result<()> {
    if args.data.file.is_none() {
        return Ok(());
    }
    let json = serde_json::to_string_pretty(&recorded(args, task)?)
        .map_err(|error| Error::new(format!("could not write JSON: {error}")))?;
    write_file(&run.join(names::TASK), &(json + "\n"))
}

/// Writes the ids of the examples that became the development part of the training file.
pub(super) fn write_dev_ids(task: &Task, dev: &[EncodedDataset], run: &Path) -> Result<()> {
    let ([dev], Some(_)) = (dev, task.dev_from_train) else { return Ok(()) };
    let ids: String = dev.dataset.examples.iter().flat_map(|e| [e.id.as_str(), "\n"]).collect();
    write_file(&run.join(names::DEV_IDS), &ids)
}
