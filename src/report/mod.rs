//! What a person sees while it runs, and what a run leaves behind.

mod conll;
mod glue;
mod jsonl;
mod predictions;
mod progress;
pub mod squad;

pub use predictions::write_predictions;
use predictions::{label_name, misfit, tag_names};
pub use progress::{Progress, duration};
