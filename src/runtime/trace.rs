//! Where a step's time goes: TensorFlow's own trace of it, operation by operation.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use serde::Serialize;

use super::proto::RunMetadata;
use crate::error::{Error, Result};

/// `RunOptions.FULL_TRACE`.
pub(super) const FULL_TRACE: i32 = 3;

/// One execution of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedOp {
    /// The name in the graph.
    pub name: String,
    /// The operation's type, such as `MatMul`.
    pub kind: String,
    /// The device, such as `/job:localhost/replica:0/task:0/device:CPU:0`.
    pub device: String,
    /// The thread that ran it.
    pub thread: u32,
    /// When it began, in microseconds since the first of the trace.
    pub start_micros: f64,
    /// How long it took, in microseconds. A compiled function is one operation.
    pub micros: f64,
}

/// The operations of one run, in the order in which they began.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// The executions.
    pub ops: Vec<TracedOp>,
}

/// The time of all executions of a type of operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpTime {
    /// The operation's type.
    pub op: String,
    /// Executions.
    pub calls: usize,
    /// Their time in seconds.
    pub seconds: f64,
    /// Their time as a share of all operations' time.
    pub share: f64,
}

impl Trace {
    /// Reads the metadata of a run that was traced.
    pub(super) fn decode(metadata: &[u8]) -> Result<Self> {
        let metadata = RunMetadata::decode(metadata)
            .map_err(|error| Error::new(format!("TensorFlow's trace cannot be read: {error}")))?;
        let mut ops = Vec::new();
        for device in metadata.step_stats.unwrap_or_default().dev_stats {
            for node in device.node_stats {
                let kind = kind(&node.timeline_label, &node.node_name);
                ops.push(TracedOp {
                    kind,
                    name: node.node_name,
                    device: device.device.clone(),
                    thread: node.thread_id,
                    start_micros: node.all_start_micros as f64 + node.op_start_rel_micros as f64,
                    micros: node.op_end_rel_micros.saturating_sub(node.op_start_rel_micros).max(0)
                        as f64,
                });
            }
        }
        let first = ops.iter().map(|op| op.start_micros).fold(f64::INFINITY, f64::min);
        for op in &mut ops {
            op.start_micros -= first;
        }
        ops.sort_by(|a, b| a.start_micros.total_cmp(&b.start_micros));
        leave_out_callers(&mut ops);
        Ok(Self { ops })
    }

    /// The time of all operations, in seconds.
    pub fn seconds(&self) -> f64 {
        self.ops.iter().map(|op| op.micros).sum::<f64>() / 1e6
    }

    /// The types of operations by their time, longest first.
    pub fn by_type(&self) -> Vec<OpTime> {
        let mut times: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
        for op in &self.ops {
            let time = times.entry(&op.kind).or_default();
            time.0 += 1;
            time.1 += op.micros;
        }
        let all = 1e6 * self.seconds();
        let mut times: Vec<OpTime> = times
            .into_iter()
            .map(|(op, (calls, micros))| OpTime {
                op: op.to_owned(),
                calls,
                seconds: micros / 1e6,
                share: if all > 0.0 { micros / all } else { 0.0 },
            })
            .collect();
        times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        times
    }

    /// Writes the trace in Chrome's Trace Event Format, which chrome://tracing and Perfetto show.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write_chrome(&self, path: &Path) -> Result<()> {
        let events: Vec<_> = self.ops.iter().map(event).collect();
        let text = serde_json::json!({ "displayTimeUnit": "ms", "traceEvents": events });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("make", folder, &error))?;
        }
        std::fs::write(path, text.to_string()).map_err(|error| Error::io("write", path, &error))
    }
}

/// Leaves out the calls of the functions that the others are in, whose time would count again.
///
/// TensorFlow does not tell what called what. Such a call holds most of the others within its time,
/// which a compiled function, whose inside is not traced, never does.
fn leave_out_callers(ops: &mut Vec<TracedOp>) {
    let within = |call: &TracedOp, op: &TracedOp| {
        call.start_micros <= op.start_micros
            && op.start_micros + op.micros <= call.start_micros + call.micros
    };
    let calls: Vec<bool> = ops
        .iter()
        .map(|op| {
            op.kind.ends_with("PartitionedCall")
                && 2 * ops.iter().filter(|other| within(op, other)).count() > ops.len()
        })
        .collect();
    let mut calls = calls.into_iter();
    ops.retain(|_| !calls.next().unwrap_or(false));
}

/// A complete event (`"ph": "X"`) of the Trace Event Format; times are microseconds.
fn event(op: &TracedOp) -> serde_json::Value {
    serde_json::json!({
        "name": op.kind,
        "cat": "op",
        "ph": "X",
        "ts": op.start_micros,
        "dur": op.micros,
        "pid": op.device,
        "tid": op.thread,
        "args": { "name": op.name },
    })
}

/// The type in a label such as `name = MatMul(a, b)`; nodes without one are known by their name.
fn kind(label: &str, name: &str) -> String {
    label
        .split_once(" = ")
        .and_then(|(_, call)| call.split_once('('))
        .map_or(name, |(kind, _)| kind)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::proto::{DeviceStepStats, NodeExecStats, StepStats};

    fn node(name: &str, label: &str, start: i64, micros: i64) -> NodeExecStats {
        NodeExecStats {
            node_name: name.into(),
            all_start_micros: start,
            op_start_rel_micros: 2,
            op_end_rel_micros: 2 + micros,
            timeline_label: label.into(),
            thread_id: 0,
        }
    }

    fn trace() -> Trace {
        let node_stats = vec![
            node("layer/b", "layer/b = MatMul(a, w)", 1_030, 30),
            node("layer/a", "layer/a = MatMul(x, w)", 1_000, 20),
            node("c", "c = Cast(layer/b)", 1_070, 50),
            node("d", "", 1_200, 0),
        ];
        let device = DeviceStepStats { device: "/device:CPU:0".into(), node_stats };
        let metadata = RunMetadata { step_stats: Some(StepStats { dev_stats: vec![device] }) };
        Trace::decode(&metadata.encode_to_vec()).unwrap()
    }

    #[test]
    fn time_is_summed_by_type_and_the_longest_comes_first() {
        let times = trace().by_type();
        let shown: Vec<_> = times.iter().map(|t| (t.op.as_str(), t.calls)).collect();
        // MatMul and Cast take 50 µs each, of 100 µs in all; "d" has no label and no time.
        assert_eq!(shown, [("Cast", 1), ("MatMul", 2), ("d", 1)]);
        assert_eq!(times[1].seconds, 50e-6);
        assert_eq!(times[1].share, 0.5);
    }

    #[test]
    fn a_chrome_trace_has_an_event_for_each_execution_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new").join("trace.json");
        trace().write_chrome(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let events = found["traceEvents"].as_array().unwrap();
        let times: Vec<_> = events
            .iter()
            .map(|e| (e["ts"].as_f64().unwrap(), e["dur"].as_f64().unwrap()))
            .collect();
        assert_eq!(times, [(0.0, 20.0), (30.0, 30.0), (70.0, 50.0), (200.0, 0.0)]);
        assert_eq!(events[1]["args"]["name"], "layer/b");
    }

    #[test]
    fn a_call_of_the_function_that_most_operations_are_in_is_left_out() {
        let mut ops = trace().ops;
        let call = TracedOp {
            name: "all".into(),
            kind: "StatefulPartitionedCall".into(),
            device: "/device:CPU:0".into(),
            thread: 0,
            start_micros: 0.0,
            micros: 300.0,
        };
        let island = TracedOp { name: "island".into(), micros: 10.0, ..call.clone() };
        ops.extend([call, island]);
        leave_out_callers(&mut ops);
        let names: Vec<_> = ops.iter().map(|op| op.name.as_str()).collect();
        assert_eq!(names, ["layer/a", "layer/b", "c", "d", "island"]);
    }

    #[test]
    fn bytes_that_are_no_trace_are_an_error() {
        assert!(Trace::decode(&[0xff, 0xff, 0xff]).is_err());
    }
}
