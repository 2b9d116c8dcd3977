//! TensorFlow's own server, through which the workers of a cluster sum their gradients.

use std::ffi::CStr;

use prost::Message;
use tensorflow_sys_runtime as tf;

use super::library::Library;
use super::proto::{ClusterDef, JobDef, ServerDef};
use super::session::{Threads, Worker};
use crate::error::{Error, Result};

const JOB: &str = "worker";

/// The server of this process. It lives as long as the process: TensorFlow cannot stop one.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where its sessions run.
    target: String,
    index: usize,
    count: usize,
    threads: Threads,
}

impl Server {
    /// Starts the server of worker `index` of those at `addresses`, `host:port` each. Its sessions have
    /// `threads`.
    ///
    /// # Errors
    ///
    /// Its port is in use, or an address is none.
    pub(super) fn start(
        _library: &Library,
        addresses: &[String],
        index: usize,
        threads: Threads,
    ) -> Result<Self> {
        let count = addresses.len();
        let worker = Worker { index, target: String::new() };
        let definition = ServerDef {
            cluster: Some(ClusterDef {
                job: vec![JobDef {
                    name: JOB.into(),
                    tasks: (0..).zip(addresses.iter().cloned()).collect(),
                }],
            }),
            job_name: JOB.into(),
            task_index: i32::try_from(index).unwrap_or(i32::MAX),
            default_session_config: Some(threads.config(Some(&worker))),
            protocol: "grpc".into(),
        };
        let failed = |why: String| {
            let address = addresses.get(index).map_or("", String::as_str);
            Error::usage(format!("TensorFlow's server could not start at {address}: {why}"))
                .hint("see that no other process has the port, and that all addresses are right")
        };
        let target = start(&definition.encode_to_vec()).map_err(failed)?;
        Ok(Self { target, index, count, threads })
    }

    /// The number of workers.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The threads of its sessions.
    pub(super) fn threads(&self) -> Threads {
        self.threads
    }

    /// What a session on the server says of itself.
    pub(super) fn worker(&self) -> Worker {
        Worker { index: self.index, target: self.target.clone() }
    }
}

/// Starts a server that is described by a serialised `ServerDef`; where its sessions run.
#[allow(unsafe_code)]
fn start(definition: &[u8]) -> std::result::Result<String, String> {
    // SAFETY: the library is loaded, as `Server::start` asks for. The status is made here and freed
    // once; the server is never freed, so that its target stays valid; its text is copied.
    unsafe {
        let status = tf::TF_NewStatus();
        let ok = || -> std::result::Result<(), String> {
            if tf::TF_GetCode(status) == tf::TF_OK {
                return Ok(());
            }
            Err(CStr::from_ptr(tf::TF_Message(status)).to_string_lossy().into_owned())
        };
        let server = tf::TF_NewServer(definition.as_ptr().cast(), definition.len(), status);
        let started = ok().and_then(|()| {
            tf::TF_ServerStart(server, status);
            ok()?;
            Ok(CStr::from_ptr(tf::TF_ServerTarget(server)).to_string_lossy().into_owned())
        });
        tf::TF_DeleteStatus(status);
        started
    }
}
