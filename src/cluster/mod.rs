//! Several workers that train one model: who they are, and the channel over which their drivers talk.
//!
//! Gradients go through TensorFlow's own servers (`runtime`). This module knows no TensorFlow: it finds
//! out which worker this process is ([`Workers`]), and connects each worker with the first, the chief
//! ([`Cluster`]). Over that control channel the workers compare what they train, notice within seconds
//! when one of them ends, and share out evaluations. `docs/workers.md` describes it.

mod channel;
mod checkpoint;
mod compare;
mod discover;
mod join;
mod link;
mod message;
mod slurm;
mod workers;

pub use channel::{Cluster, EndProcess, StartOptions};
pub use checkpoint::Checkpoint;
pub(crate) use discover::parse_tf_config;
pub use discover::{ClusterFlags, find};
pub(crate) use message::parse_message;
pub(crate) use slurm::parse_hosts;
pub(crate) use workers::MOST_WORKERS;
pub use workers::Workers;
