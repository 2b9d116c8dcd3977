//! What a person sees while it runs, and what a run leaves behind.

mod progress;
pub mod squad;

pub use progress::{Progress, duration};
