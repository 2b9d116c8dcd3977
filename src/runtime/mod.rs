//! TensorFlow's C API: the only place that names the crates `tensorflow` and `prost`.

mod abort;
mod compiled;
mod contract;
mod events;
mod graph;
mod library;
mod memory;
mod peak;
mod processor;
mod proto;
mod quiet;
mod trace;
mod trained;
mod training;

pub use contract::read as read_contract;
pub use events::EventFile;
pub(crate) use graph::parse_saver;
pub use graph::{Division, SessionConfig};
pub use library::{Found, Library, LibraryOptions};
pub use memory::peak_memory;
pub use peak::matmul_peak;
pub use processor::{Amx, Processor};
pub use trace::{OpTime, Trace, TracedOp};
pub use trained::TrainedModel;
pub use training::TrainingModel;
