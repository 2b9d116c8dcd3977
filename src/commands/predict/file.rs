//! Prediction of a file, to a file or to stdout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tfbert::cli::PredictArgs;
use tfbert::dataset::{InputFile, InputFormat, InputRequest, ReadTyped};
use tfbert::error::Result;
use tfbert::model::Predictor;
use tfbert::predict::{OutputMode, Passage, Request, RowFile, stream};
use tfbert::report::{Added, RowFormat, RowWriter};
use tfbert::saved_model::TrainedModel;

use crate::commands::{print_line, print_or_end};

/// The file of `--file`, or stdin.
pub(super) fn input<'a>(
    args: &'a PredictArgs,
    trained: &'a TrainedModel,
    passages: &[Passage],
    typed: ReadTyped<'a>,
) -> Result<InputFile<'a>> {
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let head = trained.model.head;
    let format = match args.format {
        Some(format) => format,
        None => InputFormat::of_file(path, head)?,
    };
    InputFile::open(&InputRequest {
        path,
        format,
        task: &trained.training.task,
        texts: args.text.as_deref().unwrap_or_default(),
        text_pair: args.text_pair.as_deref(),
        context: passages.first().map(|passage| Arc::clone(&passage.text)),
        typed,
    })
}

/// The file of `--output`, before it is opened.
pub(super) struct Output {
    path: PathBuf,
    mode: OutputMode,
    writer: RowWriter,
}

/// What rows look like with their predictions.
fn writer(
    args: &PredictArgs,
    trained: &TrainedModel,
    format: RowFormat,
    input: &InputFile<'_>,
) -> RowWriter {
    let head = trained.model.head;
    let labels = trained.training.task.shown_labels(&trained.training.labels);
    let added = Added::new(&args.prefix, labels, head, args.top_k);
    RowWriter::new(format, input.header().to_vec(), added).separated_by(input.delimiter())
}

impl Output {
    /// The output that the flags ask for; `None` for stdout.
    pub(super) fn plan(
        args: &PredictArgs,
        trained: &TrainedModel,
        input: &InputFile<'_>,
    ) -> Result<Option<Self>> {
        let Some(path) = &args.output else { return Ok(None) };
        let format = RowFormat::of_file(path, trained.model.head)?;
        let mode = match (args.resume, args.overwrite) {
            (true, _) => OutputMode::Resume,
            (_, true) => OutputMode::Overwrite,
            _ => OutputMode::New,
        };
        RowFile::check(path, input.path(), mode)?;
        let writer = writer(args, trained, format, input);
        Ok(Some(Self { path: path.clone(), mode, writer }))
    }

    /// Predicts the rows of a file and writes them.
    pub(super) fn write(
        self,
        request: &Request<'_>,
        input: &InputFile<'_>,
        model: &dyn Predictor,
    ) -> Result<()> {
        let mut file = RowFile::open(&self.path, self.mode, self.writer, input)?;
        let before = file.rows();
        let done = stream(request, input, before, model, |window| file.write(window));
        let done = match done {
            Ok(done) => done,
            Err(error) if file.is_empty() => {
                file.discard();
                return Err(error);
            }
            Err(error) if error.hint_text().is_some() => return Err(error),
            Err(error) => {
                return Err(
                    error.hint("the rows predicted so far are kept; continue with `--resume`")
                );
            }
        };
        file.finish()?;
        print_line(format!("{}: {} rows", self.path.display(), before + done))
    }
}

/// Predicts the rows of a file and prints a JSON object for each: of a table the row with its
/// prediction, of other files the text with its prediction.
pub(super) fn print(
    request: &Request<'_>,
    input: &InputFile<'_>,
    model: &dyn Predictor,
) -> Result<()> {
    let labels = request.trained.training.task.shown_labels(&request.trained.training.labels);
    let head = request.trained.model.head;
    let is_table =
        !matches!(input.format(), InputFormat::Lines | InputFormat::Squad | InputFormat::Conll);
    let added = Added::new("", labels, head, None);
    let mut writer = RowWriter::new(RowFormat::Jsonl, input.header().to_vec(), added);
    stream(request, input, 0, model, |window| {
        if !is_table {
            return window.objects.into_iter().map(Value::Object).try_for_each(print_or_end);
        }
        let mut text = Vec::new();
        for ((row, example), object) in window.rows.iter().zip(&window.examples).zip(window.objects)
        {
            writer
                .write(row, example, object, &mut text)
                .map_err(|error| error.at_line(input.path(), example.line))?;
        }
        print_or_end(String::from_utf8_lossy(&text).trim_end_matches('\n'))
    })
    .map(drop)
}
