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

/// A session's place among the workers of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worker {
    /// Which worker it belongs to.
    pub(super) index: usize,
    /// The server that runs it.
    pub(super) target: String,
}

impl Threads {
    /// Options of a session with these threads, of a worker where there are several.
    pub(super) fn options(self, worker: Option<&Worker>) -> Result<SessionOptions> {
        let mut options = SessionOptions::new();
        let config = self.config(worker).encode_to_vec();
        options.set_config(&config).map_err(|status| explain(&status))?;
        if let Some(worker) = worker {
            let target = worker.target.as_str();
            options.set_target(target).map_err(|error| Error::new(error.to_string()))?;
        }
        Ok(options)
    }

    /// How a session with these threads runs.
    pub(super) fn config(self, worker: Option<&Worker>) -> ConfigProto {
        ConfigProto {
            // Variables and computations stay on the worker; only sums leave it.
            device_filters: worker
                .map(|worker| format!("/job:worker/task:{}", worker.index))
                .into_iter()
                .collect(),
            intra_op_parallelism_threads: i32::try_from(self.within_operation).unwrap_or(0),
            inter_op_parallelism_threads: i32::try_from(self.operations).unwrap_or(0),
            gpu_options: Some(GpuOptions { allow_growth: true }),
            use_per_session_threads: false,
            experimental: Some(Experimental {
                collective_group_leader: worker
                    .map(|_| "/job:worker/replica:0/task:0".to_owned())
                    .unwrap_or_default(),
                // No copies of the graph for what is never asked: to extend it, or to see its parts.
                optimize_for_static_graph: true,
                disable_output_partition_graphs: true,
            }),
            // TensorFlow's graph optimiser (Grappler) has nothing to gain in the outer graphs and takes
            // over a second of each load. Functions are optimised as their own attributes say.
            graph_options: Some(GraphOptions {
                rewrite_options: Some(RewriterConfig { disable_meta_optimizer: true }),
            }),
        }
    }
}

/// TensorFlow's message without its trace of the graph.
pub(super) fn status_text(status: &Status) -> String {
    reason(&status.to_string())
}

/// The reason in TensorFlow's message: its first line, without the name of the server that reports it and without the
/// functions (`{{function_node NAME}} `) that the operation is in.
fn reason(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("no reason given");
    let line = match (first.split_once("From /job:"), lines.next()) {
        (Some((code, server)), Some(next)) if server.ends_with(':') => format!("{code}{next}"),
        _ => first.to_owned(),
    };
    let mut parts = line.split("{{function_node ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once("}}").map_or(part, |(_, rest)| rest.trim_start())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_line_that_does_not_name_the_server() {
        let text = "ResourceExhausted: From /job:worker/replica:0/task:0:\nrun/weights; No space\n\t [[Save]]";
        assert_eq!(reason(text), "ResourceExhausted: run/weights; No space");
        assert_eq!(reason("Internal: broken\n\t [[{{node x}}]]"), "Internal: broken");
        assert_eq!(
            reason("Aborted: From /job:worker/replica:0/task:0:"),
            reason("\nAborted: From /job:worker/replica:0/task:0:")
        );
        assert_eq!(reason(""), "no reason given");
    }

    #[test]
    fn the_reason_does_not_name_the_functions_that_an_operation_is_in() {
        let text = "Internal: {{function_node __inference_train_1}} {{function_node __inference_train_1}} Add: broken";
        assert_eq!(reason(text), "Internal: Add: broken");
    }
}
