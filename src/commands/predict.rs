//! `tfbert predict`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicI32;

use tfbert::cli::{Cli, PredictArgs};
use tfbert::error::{Error, Result};
use tfbert::predict::{self, Request};
use tfbert::runtime::{Device, PredictionSession, WorkSplit};
use tfbert::saved_model::TrainedModel;
use tfbert::task;
use tfbert::text::{self, Lines};

use super::eval::{default_model, trained_model};
use super::precision;

pub fn run(args: &PredictArgs, cli: &Cli) -> Result<()> {
    let device = Device::detect(cli.tensorflow.as_deref());
    let number_format = precision(&device, args.precision);
    let process = super::inference_process(cli, &device, number_format);
    // Ctrl-C ends a prediction at once: there is nothing to keep.
    let stop = AtomicI32::new(0);
    let trained = match (&args.task, &args.model) {
        (Some(name), model) => {
            let task = task::find(name)?;
            let dir = model.clone().unwrap_or_else(|| default_model(&task));
            trained_model(&task, &dir)?
        }
        (None, Some(dir)) => TrainedModel::read(dir)?,
        (None, None) => unreachable!("clap wants one of them"),
    };
    if args.context.is_some() && !trained.training.task.head.asks_about_passage() {
        return Err(Error::usage(format!(
            "`--context` is for questions about a passage; this model has the head `{}`",
            trained.training.task.head
        )));
    }
    let context =
        args.context.as_deref().map(|path| text::read_file(path, MAX_CONTEXT)).transpose()?;
    let asks = args.texts.is_empty() && args.file.is_none() && std::io::stdin().is_terminal();
    let (texts, path) = if asks { (Vec::new(), None) } else { given(args)? };
    let library = process?.load()?;
    let rows = args.batch_size.unwrap_or_else(|| device.evaluation_rows());
    let split = if texts.len() > rows { WorkSplit::Batches } else { WorkSplit::Operations };
    let threads = args.threads.unwrap_or(0);
    let model = PredictionSession::load(&library, &trained, number_format, threads, split)?;
    let tokenizer = trained.model.read_tokenizer(&trained.training.task)?;
    let request = Request {
        trained: &trained,
        tokenizer: &tokenizer,
        profile: model.profile(),
        context: context.as_deref(),
        rows,
        stop: &stop,
    };
    if asks {
        return prompt(&request, &model);
    }
    let predictions = predict::predict(&request, &texts, path.as_deref(), &model)
        .map_err(|error| error.hint_if_out_of_memory(super::BATCH_MEMORY_HINT))?;
    print(&predictions)
}

/// Largest file of a passage, in bytes.
const MAX_CONTEXT: usize = 1 << 30;

/// Prints a line for each prediction.
fn print(predictions: &[serde_json::Value]) -> Result<()> {
    predictions.iter().try_for_each(super::print_line)
}

/// Predicts what a person types, line after line, until the end of input (Ctrl-D).
fn prompt(request: &Request<'_>, model: &PredictionSession) -> Result<()> {
    let ask = || {
        eprint!("> ");
        let _ = std::io::stderr().flush();
    };
    ask();
    let mut lines = Lines::new(Path::new("stdin"), Box::new(std::io::stdin().lock()));
    while let Some(line) = lines.advance()? {
        if !line.trim().is_empty() {
            match predict::predict(request, &[line.to_owned()], None, model) {
                Ok(predictions) => print(&predictions)?,
                Err(error) => eprintln!("error: {error}"),
            }
        }
        ask();
    }
    eprintln!();
    Ok(())
}

/// The texts, and the file they come from.
fn given(args: &PredictArgs) -> Result<(Vec<String>, Option<std::path::PathBuf>)> {
    if !args.texts.is_empty() {
        return Ok((args.texts.clone(), None));
    }
    let mut lines = match &args.file {
        Some(path) if path != Path::new("-") => Lines::open(path)?,
        _ => Lines::new(Path::new("stdin"), Box::new(std::io::stdin().lock())),
    };
    let mut texts = Vec::new();
    while let Some(line) = lines.advance()? {
        texts.push(line.to_owned());
    }
    let path = lines.path().to_owned();
    if texts.is_empty() {
        return Err(Error::new("it is empty; expected a text on each line").at(&path));
    }
    Ok((texts, Some(path)))
}
