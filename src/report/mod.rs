//! Progress on screen, predictions as files and JSON objects, and reports as pages.

mod added;
mod conll;
mod glue;
pub mod html;
mod jsonl;
mod object;
mod predictions;
mod progress;
mod rows;
mod shown;
pub mod squad;

pub use added::Added;
pub use object::{
    answer_object, ending_object, hidden_object, label_object, labels_object, score_object,
    tags_object,
};
pub use predictions::{
    PredictionFile, write_answers, write_json_lines, write_labels_or_scores, write_tags,
};
use predictions::{label_name, misfit, tag_names};
pub use progress::{Progress, duration};
pub use rows::{RowFormat, RowWriter, Written};
pub use shown::{Shown, answers_object};
