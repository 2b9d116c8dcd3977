//! How sessions run, and what their failures mean.

use prost::Message;
use tensorflow::{Code, SessionOptions, Status};

use super::compiled;
use super::proto::{ConfigProto, Experimental, GpuOptions, GraphOptions, RewriterConfig};
use crate::error::{Error, Result};

/// The threads of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Threads that share the parts of an operation.
    pub within_operation: usize,
    /// Operations that are computed at the same time.
    pub operations: usize,
}

impl Threads {
    /// Options of a session with these threads.
    pub(super) fn options(self) -> Result<SessionOptions> {
        let config = ConfigProto {
            intra_op_parallelism_threads: i32::try_from(self.within_operation).unwrap_or(0),
            inter_op_parallelism_threads: i32::try_from(self.operations).unwrap_or(0),
            gpu_options: Some(GpuOptions { allow_growth: true }),
            use_per_session_threads: false,
            experimental: Some(Experimental {
                // No copies of the graph for what is never asked: to extend it, or to see its parts.
                optimize_for_static_graph: true,
                disable_output_partition_graphs: true,
            }),
            // TensorFlow's graph optimiser (Grappler) has nothing to gain in the outer graphs and takes
            // over a second of each load. Functions are optimised as their own attributes say.
            graph_options: Some(GraphOptions {
                rewrite_options: Some(RewriterConfig { disable_meta_optimizer: true }),
            }),
        };
        let mut options = SessionOptions::new();
        options.set_config(&config.encode_to_vec()).map_err(|status| explain(&status))?;
        Ok(options)
    }
}

/// TensorFlow's message without its trace of the graph.
pub(super) fn status_text(status: &Status) -> String {
    let text = status.to_string();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    first.trim().to_owned()
}

/// A failed run as an error for people.
pub(super) fn explain(status: &Status) -> Error {
    let text = status_text(status);
    let what = format!("TensorFlow failed: {text}");
    match status.code() {
        _ if text.contains(compiled::PREFIX) => Error::new(what).hint(
            "a compiled program could not be kept or read: see that the disk has room, name another \
             folder with `--cache-dir DIR`, or give `--no-cache`",
        ),
        Code::ResourceExhausted => Error::out_of_memory(what),
        _ => Error::new(what).hint("run again with `-v` to see TensorFlow's own log"),
    }
}
