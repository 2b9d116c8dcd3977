//! The control channel of a cluster that is complete: barriers, comparisons, evaluations, and the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::compare::{Ledger, difference};
use super::join::{self, Start};
use super::link::{Handler, Link, SILENCE};
use super::message::{Message, PART};
use super::workers::Workers;
use crate::error::{Error, ErrorKind, Result};

/// How long a process that ends leaves its last messages to the network.
const FLUSH: Duration = Duration::from_millis(300);

/// Prints why this process cannot go on, and ends it with the error's exit code.
///
/// Another thread may wait inside TensorFlow for a worker that is gone, which nothing but the end of
/// the process ends.
pub type EndProcess = Box<dyn Fn(&Error) + Send + Sync>;

/// How the workers of a cluster find each other.
pub struct StartOptions {
    /// What all workers know and a stranger does not.
    pub token: String,
    /// How long the others are waited for.
    pub timeout: Duration,
    /// The number of a signal that asks to stop, 0 before one comes.
    pub stop: Arc<AtomicI32>,
    /// Called when another worker has ended.
    pub end_process: EndProcess,
}

/// This worker's place in a cluster, and its connections: the chief's to all others, another one's to
/// the chief.
pub struct Cluster {
    workers: Workers,
    links: Vec<Arc<Link>>,
    state: Arc<State>,
    stop: Arc<AtomicI32>,
    stops: AtomicBool,
}

/// What the threads of the links share.
struct State {
    workers: Workers,
    /// Set by the first end; what comes after it is its consequence.
    ended: AtomicBool,
    end_process: EndProcess,
    /// The chief's links, to which it passes on that a worker ended.
    links: Mutex<Vec<Arc<Link>>>,
    norms: Mutex<Ledger<u32>>,
    sums: Mutex<Ledger<Vec<i32>>>,
}

impl State {
    /// Ends this process because of a worker, on the chief all others before.
    /// `hint` says what to do about it, where the worker knows.
    fn end(&self, worker: usize, what: String, hint: Option<String>, permanent: bool) {
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        if self.workers.is_chief() {
            let (worker, what, hint) = (worker as u32, what.clone(), hint.clone());
            self.tell_all(&Message::Ended { worker, what, hint, permanent });
        }
        let error = if permanent { Error::usage(what) } else { Error::other_worker(what) };
        let again = "start all workers again with the same command and `--resume`";
        let hint = hint.or_else(|| (!permanent).then(|| again.to_owned()));
        (self.end_process)(&hint.into_iter().fold(error, Error::hint));
    }

    fn tell_all(&self, message: &Message) {
        // A worker that hangs must not keep the others waiting.
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for link in links {
            let message = message.clone();
            thread::spawn(move || drop(link.send(&message)));
        }
        thread::sleep(FLUSH);
    }

    /// Notes a value that must be the same on all workers.
    fn compare<T: PartialEq>(
        &self,
        ledger: &Mutex<Ledger<T>>,
        place: (usize, u64),
        value: T,
        of: &str,
    ) {
        let (worker, step) = place;
        let other = ledger.lock().unwrap_or_else(PoisonError::into_inner).note(worker, step, value);
        if let Some(other) = other {
            let (one, two) = (worker.max(other), worker.min(other));
            let what = format!(
                "after step {step} the {of} of {} is not that of {}",
                self.workers.name(one),
                self.workers.name(two)
            );
            self.end(one, what, None, false);
        }
    }
}

impl Handler for State {
    fn message(&self, peer: usize, message: Message) -> Option<Message> {
        match message {
            Message::Step { step, norm } => {
                self.compare(&self.norms, (peer, step), norm, "gradient's norm");
            }
            Message::Sums { step, sums } if step > 0 => {
                self.compare(&self.sums, (peer, step), sums, "weights' checksum");
            }
            Message::Ended { worker, what, hint, permanent } => {
                let worker = if self.workers.is_chief() { peer } else { worker as usize };
                self.end(worker, what, hint, permanent);
            }
            other => return Some(other),
        }
        None
    }

    fn joined(&self, link: &Arc<Link>) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(link));
    }

    fn lost(&self, peer: usize, why: &str) {
        self.end(peer, format!("{} {why}", self.workers.name(peer)), None, false);
    }
}

impl Cluster {
    /// Waits until all workers are there.
    ///
    /// # Errors
    ///
    /// One does not come in time, is of another version or has another list of workers; the control
    /// channel's port is in use; a signal came.
    pub fn start(workers: Workers, options: StartOptions) -> Result<Self> {
        let StartOptions { token, timeout, stop, end_process } = options;
        let others: Vec<String> = (0..workers.count())
            .filter(|&other| workers.is_chief() && other > 0 || other == 0 && !workers.is_chief())
            .map(|other| workers.name(other))
            .collect();
        log::info!(
            "{} of {}; waiting for {}",
            workers.name(workers.index()),
            workers.count(),
            others.join(", ")
        );
        let state = Arc::new(State {
            workers: workers.clone(),
            ended: AtomicBool::new(false),
            end_process,
            links: Mutex::default(),
            norms: Mutex::new(Ledger::new(workers.count())),
            sums: Mutex::new(Ledger::new(workers.count())),
        });
        let stopped = || stopped(&stop);
        let start = Start {
            workers: &workers,
            token: &token,
            timeout,
            handler: Arc::clone(&state) as Arc<dyn Handler>,
            stopped: &stopped,
        };
        let links =
            if workers.is_chief() { join::gather(&start)? } else { vec![join::reach(&start)?] };
        log::info!("all {} workers are connected", workers.count());
        Ok(Self { workers, links, state, stop, stops: AtomicBool::new(false) })
    }

    /// The workers.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Whether this process is the one that writes the run's folder.
    pub fn is_chief(&self) -> bool {
        self.workers.is_chief()
    }

    /// Compares what the workers train with what the chief does. The chief says whether its run is
    /// `complete`; returns what it said.
    ///
    /// # Errors
    ///
    /// A worker would train something else, which ends all of them; a signal came.
    pub fn agree(&self, facts: &BTreeMap<String, String>, complete: bool) -> Result<bool> {
        if !self.is_chief() {
            let json =
                serde_json::to_string(facts).map_err(|error| Error::new(error.to_string()))?;
            self.send(&Message::Facts { json })?;
            let Message::Agreed { complete } = self.receive_from_chief(true)? else {
                return Err(self.chief_is_unexpected());
            };
            return Ok(complete);
        }
        for link in &self.links {
            let name = self.workers.name(link.peer);
            let Message::Facts { json } = self.receive(link, true)? else {
                return Err(unexpected(&name));
            };
            let found = serde_json::from_str(&json).map_err(|_| unexpected(&name))?;
            if let Some(what) = difference(&name, &found, facts) {
                return Err(Error::usage(what)
                    .hint("give all workers the same flags, data files and export"));
            }
        }
        self.send(&Message::Agreed { complete })?;
        Ok(complete)
    }

    /// Waits until all workers have loaded the model, and compares the checksums of their weights.
    ///
    /// # Errors
    ///
    /// They differ, which ends all workers; a signal came.
    pub fn begin(&self, sums: &[i32]) -> Result<()> {
        if !self.is_chief() {
            self.send(&Message::Sums { step: 0, sums: sums.to_vec() })?;
            return match self.receive_from_chief(true)? {
                Message::Begin => Ok(()),
                _ => Err(self.chief_is_unexpected()),
            };
        }
        for link in &self.links {
            let name = self.workers.name(link.peer);
            match self.receive(link, true)? {
                Message::Sums { sums: found, .. } if found == sums => {}
                Message::Sums { .. } => {
                    return Err(Error::other_worker(format!(
                        "the first weights of {name} are not the chief's"
                    ))
                    .hint("give all workers the same export and the same version of TensorFlow"));
                }
                _ => return Err(unexpected(&name)),
            }
        }
        self.send(&Message::Begin)
    }

    /// Reports the gradient's norm in the update that makes `step`, which must be the same on all
    /// workers. Waits for nobody.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn report_norm(&self, step: usize, norm: f32) -> Result<()> {
        let (step, norm) = (step as u64, norm.to_bits());
        if !self.is_chief() {
            return self.send(&Message::Step { step, norm });
        }
        self.state.compare(&self.state.norms, (0, step), norm, "gradient's norm");
        Ok(())
    }

    /// As [`Cluster::report_norm`], the checksums of all weights.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn report_sums(&self, step: usize, sums: Vec<i32>) -> Result<()> {
        let step = step as u64;
        if !self.is_chief() {
            return self.send(&Message::Sums { step, sums });
        }
        self.state.compare(&self.state.sums, (0, step), sums, "weights' checksum");
        Ok(())
    }

    /// Sends this worker's part of an evaluation to the chief.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn send_part(&self, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(PART) {
            self.send(&Message::Part { bytes: part.to_vec() })?;
        }
        self.send(&Message::PartsEnd)
    }

    /// The parts that the other workers computed of an evaluation.
    ///
    /// # Errors
    ///
    /// A worker sends something else.
    pub fn receive_parts(&self) -> Result<Vec<Vec<u8>>> {
        let receive = |link: &Arc<Link>| {
            let mut part = Vec::new();
            loop {
                match self.receive(link, false)? {
                    Message::Part { bytes } => part.extend_from_slice(&bytes),
                    Message::PartsEnd => return Ok(part),
                    _ => return Err(unexpected(&self.workers.name(link.peer))),
                }
            }
        };
        self.links.iter().map(receive).collect()
    }

    /// Whether `--patience` ends the run after an evaluation, of which the chief alone has the scores:
    /// what the chief says, on every worker.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub fn share_early_end(&self, ends: bool) -> Result<bool> {
        if self.is_chief() {
            self.send(&Message::EndsEarly { ends })?;
            return Ok(ends);
        }
        match self.receive_from_chief(false)? {
            Message::EndsEarly { ends } => Ok(ends),
            _ => Err(self.chief_is_unexpected()),
        }
    }

    /// Waits until a lost worker would have been noticed.
    ///
    /// Call it after an error of TensorFlow: the cause may be that another worker ended. The
    /// heartbeat then ends this process with that worker's name, which says more than the error.
    pub fn wait_for_cause(&self) {
        thread::sleep(SILENCE + Duration::from_secs(1));
    }

    /// Tells all workers that this one ends because of `error`, which ends them too.
    pub fn fail(&self, error: &Error) {
        if self.state.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        let permanent = error.kind() == ErrorKind::Usage;
        let place = error.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let own = self.workers.name(self.workers.index());
        let what = match permanent {
            true => format!("{place}{}", error.what()),
            false => format!("{own} ended: {place}{}", error.what()),
        };
        let worker = self.workers.index() as u32;
        let hint = error.hint_text().map(str::to_owned);
        self.state.tell_all(&Message::Ended { worker, what, hint, permanent });
    }

    /// Waits until all workers have nothing left to do.
    ///
    /// # Errors
    ///
    /// A worker sends something else.
    pub fn finish(&self) -> Result<()> {
        if !self.is_chief() {
            self.send(&Message::Done)?;
        }
        for link in &self.links {
            if self.receive(link, false)? != Message::Done {
                return Err(unexpected(&self.workers.name(link.peer)));
            }
        }
        self.state.ended.store(true, Ordering::SeqCst);
        if self.is_chief() {
            self.send(&Message::Done)?;
            thread::sleep(FLUSH);
        }
        self.links.iter().for_each(|link| link.close());
        Ok(())
    }

    /// Notes that all workers stop together, after the same step.
    pub fn set_stops(&self) {
        self.stops.store(true, Ordering::SeqCst);
    }

    /// Whether all workers stop together.
    pub fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    pub(super) fn send(&self, message: &Message) -> Result<()> {
        for link in &self.links {
            if link.send(message).is_err() {
                self.wait_for_cause();
                return Err(Error::other_worker(format!(
                    "{} cannot be reached any more",
                    self.workers.name(link.peer)
                )));
            }
        }
        Ok(())
    }

    /// The next message of the chief. With `stops` a signal ends the wait.
    pub(super) fn receive_from_chief(&self, stops: bool) -> Result<Message> {
        self.receive(&self.links[0], stops)
    }

    /// The error of a message of the chief that is not expected.
    pub(super) fn chief_is_unexpected(&self) -> Error {
        unexpected(&self.workers.name(0))
    }

    /// The next message of a link. With `stops` a signal ends the wait.
    fn receive(&self, link: &Link, stops: bool) -> Result<Message> {
        let stop = || stops && self.stop.load(Ordering::SeqCst) != 0;
        link.receive(None, &stop).ok_or_else(|| {
            stopped(&self.stop)
                .unwrap_or_else(|| Error::other_worker("the control channel is closed"))
        })
    }
}

fn stopped(stop: &AtomicI32) -> Option<Error> {
    let signal = stop.load(Ordering::SeqCst);
    (signal != 0).then(|| Error::interrupted(signal, "while it waited for the other workers"))
}

fn unexpected(name: &str) -> Error {
    Error::new(format!("{name} sent what is not expected at this point"))
}
