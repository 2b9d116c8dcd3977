//! Progress on screen, and predictions as files.

mod conll;
mod glue;
mod jsonl;
mod predictions;
mod progress;
pub mod squad;

pub use predictions::{
    PredictionFile, write_answers, write_json_lines, write_labels_or_scores, write_tags,
};
use predictions::{label_name, misfit, tag_names};
pub use progress::{Progress, duration};
