//! `tfbert predict`.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use tfbert::cli::{Cli, PredictArgs};
use tfbert::dataset::{InputFile, TypedText};
use tfbert::error::{Error, Result};
use tfbert::model::Precision;
use tfbert::predict::{self, Request};
use tfbert::report::Shown;
use tfbert::runtime::{Device, Library, PredictionSession, WorkSplit};
use tfbert::saved_model::TrainedModel;
use tfbert::stages;
use tfbert::task::{self, Head};

use super::eval::{default_model, trained_model};
use super::models::model_folder;
use super::precision;

mod file;
mod passages;
mod prompt;

/// Where the texts come from.
enum Texts<'a> {
    Arguments,
    Prompt,
    File(Box<InputFile<'a>>),
}

pub fn run(args: &PredictArgs, cli: &Cli) -> Result<()> {
    let trained = match (&args.task, &args.model) {
        (Some(name), model) => {
            let task = task::find(name)?;
            let dir = model.clone().unwrap_or_else(|| default_model(&task));
            trained_model(&task, &dir)?
        }
        (None, Some(dir)) => TrainedModel::read(&model_folder(dir)?)?,
        (None, None) => unreachable!("clap wants one of them"),
    };
    let device = Device::detect(cli.tensorflow.as_deref());
    let number_format = match args.precision {
        Some(argument) => precision(&device, argument),
        // `eval` keeps the format of training, to repeat its scores. Predictions need not repeat them
        // on a device where bf16 is not faster.
        None if device.precision() == Precision::F32 => Precision::F32,
        None => trained.training.precision,
    };
    let process = super::inference_process(cli, &device, number_format);
    check_flags(args, trained.model.head)?;
    let passages = passages::read(&args.context)?;
    refuse_files(args)?;
    let tokenizer = trained.model.read_tokenizer(&trained.training.task)?;
    let typed = |typed: TypedText<'_>| stages::typed_input(trained.model.head, typed, &tokenizer);
    let texts = if !args.texts.is_empty() {
        Texts::Arguments
    } else if args.file.is_none() && std::io::stdin().is_terminal() {
        Texts::Prompt
    } else {
        Texts::File(Box::new(file::input(args, &trained, &passages, &typed)?))
    };
    let output = match &texts {
        Texts::File(input) => file::Output::plan(args, &trained, input)?,
        _ => None,
    };
    // What is written to a file can be continued; else Ctrl-C ends a prediction at once.
    let stop = match &output {
        Some(_) => super::stop_signal()?,
        None => Arc::new(AtomicI32::new(0)),
    };
    let library = process?.load()?;
    let rows = args.batch_size.unwrap_or_else(|| device.evaluation_rows());
    let split = match &texts {
        Texts::Arguments if args.texts.len() <= rows => WorkSplit::Operations,
        Texts::Prompt => WorkSplit::Operations,
        _ => WorkSplit::Batches,
    };
    let model = load(args, &library, &trained, split, number_format)?;
    let request = Request {
        trained: &trained,
        tokenizer: &tokenizer,
        passages: &passages,
        shown: Shown {
            threshold: args.threshold,
            top_k: args.top_k,
            null_threshold: args.null_threshold,
        },
        profile: model.profile(),
        rows,
        stop: &stop,
    };
    let done = match (&texts, output) {
        (Texts::Arguments, _) => predict::predict(&request, &args.texts, &model)
            .and_then(|found| found.iter().try_for_each(super::print_or_end)),
        (Texts::Prompt, _) => prompt::run(&request, &model),
        (Texts::File(input), Some(output)) => output.write(&request, input, &model),
        (Texts::File(input), None) => file::print(&request, input, &model),
    };
    done.map_err(|error| error.hint_if_out_of_memory(super::BATCH_MEMORY_HINT))
}

fn load(
    args: &PredictArgs,
    library: &Library,
    trained: &TrainedModel,
    split: WorkSplit,
    number_format: Precision,
) -> Result<PredictionSession> {
    let threads = args.threads.unwrap_or(0);
    PredictionSession::load(library, trained, number_format, threads, split)
}

/// Refuses flags that are for other heads.
fn check_flags(args: &PredictArgs, head: Head) -> Result<()> {
    let refuse = |flag: &str, what: &str| {
        Err(Error::usage(format!("`{flag}` is for {what}; this model has the head `{head}`")))
    };
    let ranks = head.labels_each_row()
        || head.has_endings()
        || head.asks_about_passage()
        || head == Head::Multilabel;
    if !args.context.is_empty() && !head.asks_about_passage() {
        return refuse("--context", "questions about a passage");
    }
    if args.null_threshold.is_some() && !head.asks_about_passage() {
        return refuse("--null-threshold", "questions about a passage");
    }
    if args.top_k.is_some() && !ranks {
        return refuse("--top-k", "labels, endings and answers");
    }
    if args.threshold.is_some() && !ranks {
        return refuse("--threshold", "labels, endings and answers");
    }
    Ok(())
}

/// Refuses a text that is the name of a file: it was meant as one.
fn refuse_files(args: &PredictArgs) -> Result<()> {
    let Some(file) = args.texts.iter().find(|text| Path::new(text).is_file()) else {
        return Ok(());
    };
    let hint = if args.context.is_empty() {
        format!("to predict what is in it, give `--file {file}`")
    } else {
        format!("for another passage give `--context {file}` too, for questions `--file {file}`")
    };
    Err(Error::usage(format!("`{file}` is a file, not a text to predict")).hint(hint))
}
