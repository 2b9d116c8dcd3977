//! A file of inputs as a stream: windows of rows, of which one is computed while the next is read and
//! tokenised. Memory is bounded by two windows, whatever the size of the file.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use serde_json::{Map, Value};

use super::Request;
use crate::dataset::{Dataset, Example, Input, InputFile, InputRow, Row};
use crate::error::{Error, Result};
use crate::evaluate::EncodedDataset;
use crate::model::Predictor;
use crate::report::Progress;

/// Most rows of a window: enough that rows of one length make whole batches.
const MOST_ROWS: usize = 8192;

/// Rows of the first window; each that follows has twice as many. The first predictions come soon.
const FIRST_ROWS: usize = 64;

/// A window ends also when its texts have so many bytes.
const MOST_BYTES: usize = 8 << 20;

/// Rows that were predicted together.
pub struct Window {
    /// The rows as the file has them.
    pub rows: Vec<Row>,
    /// Each row's example; of a question about several passages the first.
    pub examples: Vec<Example>,
    /// An object for each row, as `tfbert predict` prints it.
    pub objects: Vec<Map<String, Value>>,
}

/// A window that is read and tokenised.
struct Encoded {
    rows: Vec<Row>,
    data: EncodedDataset,
    bytes_read: u64,
}

/// Predicts the rows of a file behind the first `skip` and gives them to `take` in their order.
/// Returns the number of rows that were predicted.
///
/// # Errors
///
/// A row cannot be read (those before it have been given), the model or `take` fails, or a signal
/// came.
pub fn stream(
    request: &Request<'_>,
    file: &InputFile<'_>,
    skip: usize,
    model: &dyn Predictor,
    mut take: impl FnMut(Window) -> Result<()>,
) -> Result<usize> {
    let start = Instant::now();
    let total = file.bytes().unwrap_or(0);
    let mut progress: Option<Progress> = None;
    let (mut done, mut cut) = (0, 0);
    std::thread::scope(|scope| {
        let (sender, windows) = sync_channel(1);
        scope.spawn(move || {
            if let Err(error) = read(request, file, skip, &sender) {
                // Whoever no longer listens does not need it.
                let _ = sender.send(Err(error));
            }
        });
        for window in windows {
            let Encoded { rows, data, bytes_read } = window?;
            let progress = progress.get_or_insert_with(|| Progress::of_bytes("predict", total, 0));
            cut += data.features.truncated;
            let objects =
                request.objects(&data, model).map_err(|error| at_rows(error, skip + done))?;
            done += rows.len();
            let step = request.examples_of_a_row();
            let examples = data.dataset.examples.into_iter().step_by(step).collect();
            take(Window { rows, examples, objects })?;
            let rate = done as f64 / start.elapsed().as_secs_f64().max(1e-9);
            let rows = skip + done;
            progress.update(bytes_read as usize, || format!("{rows} rows, {rate:.0} rows/s"));
        }
        Ok(())
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    if done > 0 {
        request.warn_of_cut(cut, done * request.examples_of_a_row());
        let seconds = start.elapsed().as_secs_f64();
        let rate = done as f64 / seconds.max(1e-9);
        log::info!("{done} rows in {seconds:.1}s, {rate:.0}/s");
    } else if skip == 0 {
        return Err(Error::new("it is empty; expected something to predict").at(file.path()));
    }
    Ok(done)
}

/// A signal's error, with the number of rows that were predicted.
fn at_rows(error: Error, rows: usize) -> Error {
    match error.kind() {
        crate::error::ErrorKind::Interrupted(signal) => {
            Error::interrupted(signal, format_args!("after {rows} rows"))
        }
        _ => error,
    }
}

/// Reads and tokenises window after window.
fn read(
    request: &Request<'_>,
    file: &InputFile<'_>,
    skip: usize,
    sender: &SyncSender<Result<Encoded>>,
) -> Result<()> {
    let mut rows = file.rows()?;
    for _ in 0..skip {
        rows.advance()?;
    }
    let mut most = FIRST_ROWS;
    loop {
        let (mut kept, mut examples) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut failed = None;
        while examples.len() < most && bytes < MOST_BYTES {
            match rows.advance() {
                Ok(Some(InputRow { row, example })) => {
                    let more = request.about_each_passage(example);
                    bytes += more.iter().map(size).sum::<usize>() + row_size(&row);
                    kept.push(row);
                    examples.extend(more);
                }
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let is_last = kept.is_empty();
        if !is_last {
            let path = file.path().to_owned();
            let dataset = Dataset { path, examples, split: "predict".into() };
            let window = request.encode(dataset).map(|data| Encoded {
                rows: kept,
                data,
                bytes_read: rows.bytes_read(),
            });
            if sender.send(window).is_err() {
                return Ok(());
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if is_last {
            return Ok(());
        }
        most = (2 * most).min(MOST_ROWS);
    }
}

/// The bytes of the texts of an example.
fn size(example: &Example) -> usize {
    match &example.input {
        Input::Text { text, text_pair } => text.len() + text_pair.as_ref().map_or(0, String::len),
        Input::Question { question, context } => question.len() + context.len(),
        Input::Words(words) => words.iter().map(String::len).sum(),
        Input::SplitText { text, .. } => text.len(),
        Input::Choices { context, start, endings } => {
            context.len() + start.len() + endings.iter().map(String::len).sum::<usize>()
        }
    }
}

fn row_size(row: &Row) -> usize {
    match row {
        Row::Object(text) => text.len(),
        Row::Fields(texts) | Row::Lines(texts) => texts.iter().map(String::len).sum(),
    }
}
