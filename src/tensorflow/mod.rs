//! TensorFlow's C API: the only place that names the crates `tensorflow` and `prost`.

use std::path::Path;

use crate::error::Result;

mod contract;
mod graph;
pub mod library;
mod proto;
mod trained;
mod training;

pub use contract::read as read_contract;
pub use graph::SessionConfig;
pub use trained::TrainedModel;
pub use training::TrainingModel;

/// Finds and loads the library, quiet unless `verbose`; its version.
///
/// # Errors
///
/// See [`library::find`] and [`library::load`].
pub fn start(option: Option<&Path>, verbose: bool) -> Result<(library::Found, String)> {
    library::set_log_level(verbose);
    let found = library::find(option)?;
    let version = library::load(&found, verbose)?;
    Ok((found, version))
}
