//! Flags of several workers.

use clap::Args;

use super::values::{reduce_precision, wait_seconds, workers};
use crate::cluster::ClusterFlags;
use crate::model::Precision;

/// Which workers there are.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Train with several workers (docs/workers.md): the address of each one's TensorFlow server, the
    /// chief's first; or `slurm` or `kubernetes`, where one of these starts them [default: what
    /// `TF_CONFIG` says].
    #[arg(long, value_name = "HOST:PORT,…")]
    pub cluster: Option<String>,

    /// Which worker of `--cluster` this one is, counted from 0.
    #[arg(long, value_name = "N")]
    pub worker_index: Option<usize>,

    /// Port at which the chief listens for the other workers [default: the first above its server's
    /// that no worker on its host uses].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub control_port: Option<u16>,

    /// How long to wait for all workers to start.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = wait_seconds)]
    pub start_timeout: usize,

    /// Number format in which workers sum gradients, f32 or bf16 [default: that of `--precision`].
    #[arg(long, value_name = "FORMAT", value_parser = reduce_precision)]
    pub reduce_precision: Option<Precision>,
}

impl ClusterArgs {
    /// What is said of the workers.
    pub fn flags(&self) -> ClusterFlags {
        ClusterFlags {
            cluster: self.cluster.clone(),
            worker_index: self.worker_index,
            control_port: self.control_port,
        }
    }
}

/// Arguments of `tfbert launch`.
#[derive(Debug, Clone, Args)]
pub struct LaunchArgs {
    /// Number of workers.
    #[arg(long, value_name = "N", value_parser = workers)]
    pub workers: usize,

    /// TensorFlow's threads of each worker [default: the cores divided by the workers].
    #[arg(long, value_parser = super::values::threads)]
    pub threads: Option<usize>,

    /// The command that each worker runs: `train` and its flags.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
