//! TensorFlow's C API: the only module that names the crates `tensorflow` and `prost`.
//!
//! [`Device`] answers what is chosen for the machine; [`Process`], [`Library`] and the two sessions are
//! the order in which TensorFlow is used.

mod abort;
mod bundle;
mod cluster;
mod compiled;
mod device;
mod events;
mod feed;
mod find;
mod functions;
mod gpu;
mod graph;
mod isa;
mod kernel_ops;
mod kernels;
mod library;
mod memory;
mod numa;
mod peak;
mod prediction;
mod processor;
mod proto;
mod quiet;
mod record;
mod rewrite;
mod session;
mod signal;
mod trace;
mod training;
mod variables;
mod warmup;

pub(crate) use bundle::entries as checkpoint_entries;
pub use cluster::Server;
pub use device::{Device, OneDnn, WorkSplit};
pub use events::EventFile;
pub use find::{Found, project_environment};
pub use gpu::{Gpu, Gpus};
pub(crate) use graph::parse_saver;
pub use library::{Library, Process, ProcessOptions};
pub use memory::peak_memory;
pub use numa::{numa_nodes, on_processors};
pub use peak::matmul_peak;
pub use prediction::PredictionSession;
pub use processor::{Amx, Processor};
pub use quiet::restore_stderr;
pub use session::Threads;
pub use signal::send_signal;
pub use trace::{OpTime, Trace, TracedOp};
pub use training::TrainingSession;
pub use variables::Variables;
pub use warmup::warmup_requests;
