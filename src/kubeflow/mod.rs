//! Progress of a run for Kubeflow Trainer, which shows it in the status of the run's TrainJob.
//!
//! The controller sets three variables in the containers of a TrainJob, and takes the status as JSON over
//! HTTPS: <https://github.com/kubeflow/trainer/tree/master/docs/proposals/2779-trainjob-progress>.

mod endpoint;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use endpoint::Endpoint;
pub use status::Status;

/// The controller asks for no more than one status in this time.
const BETWEEN: Duration = Duration::from_secs(5);

/// What waits to be sent.
#[derive(Default)]
struct Pending {
    status: Option<Status>,
    closed: bool,
}

type Shared = Arc<(Mutex<Pending>, Condvar)>;

/// Sends statuses from a thread of its own. A status that cannot be sent is a warning: training goes on.
pub struct Reporter {
    shared: Shared,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Starts the thread.
    pub fn start(endpoint: Endpoint) -> Self {
        Self::start_every(endpoint, BETWEEN)
    }

    fn start_every(endpoint: Endpoint, between: Duration) -> Self {
        let shared = Shared::default();
        let sending = Arc::clone(&shared);
        let thread = thread::spawn(move || send_all(&endpoint, &sending, between));
        Self { shared, thread: Some(thread) }
    }

    /// Has the status sent, unless a newer one comes before its turn.
    pub fn report(&self, status: Status) {
        let (pending, changed) = &*self.shared;
        pending.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
        changed.notify_one();
    }
}

/// Sends the last status, which takes a few seconds at most.
impl Drop for Reporter {
    fn drop(&mut self) {
        let (pending, changed) = &*self.shared;
        pending.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send_all(endpoint: &Endpoint, shared: &Shared, between: Duration) {
    let mut next = Instant::now();
    let mut is_failing = false;
    loop {
        let (status, closed) = wait(shared, next);
        if let Some(status) = status {
            let sent = endpoint.send(&status);
            if let Err(why) = &sent
                && !is_failing
            {
                log::warn!("the status of the TrainJob could not be sent to {endpoint}: {why}");
            }
            is_failing = sent.is_err();
            next = Instant::now() + between;
        }
        if closed {
            return;
        }
    }
}

/// Waits for a status whose turn has come, or for the end; says whether it is the end.
fn wait(shared: &Shared, next: Instant) -> (Option<Status>, bool) {
    let (pending, changed) = &**shared;
    let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = next.saturating_duration_since(Instant::now());
        if pending.closed || pending.status.is_some() && left.is_zero() {
            return (pending.status.take(), pending.closed);
        }
        let has_status = pending.status.is_some();
        pending = match has_status {
            true => changed.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0,
            false => changed.wait(pending).unwrap_or_else(PoisonError::into_inner),
        };
    }
}
