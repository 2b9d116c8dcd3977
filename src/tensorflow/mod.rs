//! TensorFlow's C API: the only place that names the crates `tensorflow` and `prost`.

mod contract;
mod events;
mod graph;
mod library;
mod processor;
mod proto;
mod quiet;
mod trained;
mod training;

pub use contract::read as read_contract;
pub use events::EventFile;
pub use graph::SessionConfig;
pub use library::{Found, Library};
pub use processor::{Amx, Processor};
pub use trained::TrainedModel;
pub use training::TrainingModel;
