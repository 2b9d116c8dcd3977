//! How the workers find each other at the start.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::link::{Handler, Link};
use super::message::{LONGEST_GREETING, Message, PROTOCOL, read_message, write_message};
use super::workers::Workers;
use crate::error::{Error, Result};
use crate::files::{Digest, Sha256, hex};

/// How long a process that connects may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// How long a worker waits before it tries again to reach the chief.
const AGAIN: Duration = Duration::from_millis(250);
/// How often a wait looks at its other conditions.
const LOOK: Duration = Duration::from_millis(100);
/// Connections that may be greeted at the same time.
const GREETED_AT_ONCE: usize = 64;

/// What a worker waits with and for.
pub(super) struct Start<'a> {
    pub(super) workers: &'a Workers,
    /// What all workers know and a stranger does not.
    pub(super) token: &'a str,
    pub(super) timeout: Duration,
    pub(super) handler: Arc<dyn Handler>,
    /// The error of a wait that a signal ends.
    pub(super) stopped: &'a dyn Fn() -> Option<Error>,
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// That the sender knows the token, without the token.
fn proof(token: &str, nonce: [u8; 16], index: u32) -> String {
    let mut hasher = Sha256::new();
    hasher.update(nonce);
    hasher.update(index.to_le_bytes());
    hasher.update(token);
    hex(&hasher.finalize())
}

/// A worker that has shown that it belongs to the cluster, or why one may not take part.
type Greeted = std::result::Result<(usize, TcpStream), Error>;

/// Waits for every other worker; their connections, in the order of the workers.
pub(super) fn gather(start: &Start<'_>) -> Result<Vec<Arc<Link>>> {
    let workers = start.workers;
    let address = workers.control_address();
    let listener = listen(&address)?;
    let (sender, receiver) = channel();
    let expected = (workers.sha256(), start.token.to_owned(), workers.count());
    let closing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let accepting = Arc::clone(&closing);
    thread::spawn(move || accept(&listener, &expected, &sender, &accepting));
    let links = receive(start, &receiver);
    closing.store(true, std::sync::atomic::Ordering::SeqCst);
    links
}

fn listen(address: &str) -> Result<TcpListener> {
    let failed = |error: &io::Error| {
        let failed =
            Error::usage(format!("the control channel cannot listen at {address}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => failed.hint(
                "another process has the port; end it, or choose another with `--control-port PORT`",
            ),
            _ => failed.hint("the chief's address must be one of this machine"),
        }
    };
    let listener = TcpListener::bind(resolve(address)?.as_slice()).map_err(|e| failed(&e))?;
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    Ok(listener)
}

fn resolve(address: &str) -> Result<Vec<SocketAddr>> {
    address.to_socket_addrs().map(Iterator::collect).map_err(|error| {
        Error::usage(format!("the address {address} is not known: {error}"))
            .hint("check the names and ports of the workers")
    })
}

/// Greets whoever connects, each on a thread of its own, until `closing`.
fn accept(
    listener: &TcpListener,
    expected: &(String, String, usize),
    found: &Sender<Greeted>,
    closing: &std::sync::atomic::AtomicBool,
) {
    let at_once = Arc::new(());
    while !closing.load(std::sync::atomic::Ordering::SeqCst) {
        let Ok((stream, from)) = listener.accept() else {
            thread::sleep(LOOK / 5);
            continue;
        };
        if Arc::strong_count(&at_once) > GREETED_AT_ONCE {
            continue; // The connection is closed; a worker tries again.
        }
        let (expected, found) = (expected.clone(), found.clone());
        let place = Arc::clone(&at_once);
        thread::spawn(move || {
            let _place = place;
            match greet(stream, &expected) {
                Ok(Some(greeted)) => drop(found.send(greeted)),
                Ok(None) => log::warn!("{from} was refused: it has another `TFBERT_CLUSTER_TOKEN`"),
                Err(error) => {
                    log::warn!("{from} connected, but is not a worker of this cluster: {error}");
                }
            }
        });
    }
}

/// Asks who it is. A stranger is an error, or `None`.
fn greet(stream: TcpStream, expected: &(String, String, usize)) -> io::Result<Option<Greeted>> {
    let (workers_sha256, token, count) = expected;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.set_write_timeout(Some(GREETING))?;
    let nonce: [u8; 16] = rand::random();
    write_message(&mut &stream, &Message::Challenge { nonce })?;
    let deadline = Instant::now() + GREETING;
    let hello = read_message(&mut Until { stream: &stream, deadline }, LONGEST_GREETING)?;
    let Message::Hello { protocol, version: theirs, index, workers_sha256: list, proof: shown } =
        hello
    else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not say who it is"));
    };
    if shown != proof(token, nonce, index) {
        let what = "the chief has another `TFBERT_CLUSTER_TOKEN`".to_owned();
        write_message(&mut &stream, &Message::Refused { what })?;
        return Ok(None);
    }
    let refuse = |what: String| -> io::Result<Option<Greeted>> {
        write_message(&mut &stream, &Message::Refused { what: what.clone() })?;
        Ok(Some(Err(Error::usage(what))))
    };
    let own = version();
    if protocol != PROTOCOL || theirs != own {
        return refuse(format!("worker {index} is tfbert {theirs}, the chief {own}"));
    }
    if list != *workers_sha256 {
        return refuse(format!("worker {index} has another list of workers than the chief"));
    }
    let index = index as usize;
    if index == 0 || index >= *count {
        return refuse(format!(
            "a process connected as worker {index}; expected 1 to {}",
            count - 1
        ));
    }
    Ok(Some(Ok((index, stream))))
}

/// Reads until a moment, however slowly the bytes come.
struct Until<'s> {
    stream: &'s TcpStream,
    deadline: Instant,
}

impl io::Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        io::Read::read(&mut self.stream, into)
    }
}

fn receive(start: &Start<'_>, greeted: &Receiver<Greeted>) -> Result<Vec<Arc<Link>>> {
    let workers = start.workers;
    let mut links: Vec<Option<Arc<Link>>> = vec![None; workers.count() - 1];
    let until = Instant::now() + start.timeout;
    let to_all = |links: &[Option<Arc<Link>>], message: &Message| {
        links.iter().flatten().for_each(|link| drop(link.send(message)));
    };
    let end = |links: &[Option<Arc<Link>>], error: Error, permanent: bool| {
        let what = error.what().to_owned();
        let hint = error.hint_text().map(str::to_owned);
        to_all(links, &Message::Ended { worker: 0, what, hint, permanent });
        thread::sleep(LOOK);
        error
    };
    while links.iter().any(Option::is_none) {
        if let Some(error) = (start.stopped)() {
            return Err(end(&links, error, false));
        }
        match greeted.recv_timeout(LOOK) {
            Ok(Ok((index, stream))) if links[index - 1].is_none() => {
                let link = Link::start(index, stream, Arc::clone(&start.handler));
                if let Ok(link) = link {
                    start.handler.joined(&link);
                    links[index - 1] = Some(link);
                }
            }
            Ok(Ok((index, stream))) => {
                let what = format!("worker {index} is connected already");
                drop(write_message(&mut &stream, &Message::Refused { what }));
            }
            Ok(Err(error)) => return Err(end(&links, error, true)),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                let missing: Vec<String> = (1..workers.count())
                    .filter(|index| links[index - 1].is_none())
                    .map(|index| workers.name(index))
                    .collect();
                let error = late(&missing.join(", "), start.timeout);
                return Err(end(&links, error, false));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    to_all(&links, &Message::Welcome);
    Ok(links.into_iter().flatten().collect())
}

/// The error of a wait that was too long.
fn late(missing: &str, timeout: Duration) -> Error {
    Error::other_worker(format!("{missing} did not connect within {} seconds", timeout.as_secs()))
        .hint(
            "start every worker within `--start-timeout SECONDS`, and see that each can reach the \
         addresses of all others",
        )
}

/// Connects with the chief, and waits until all workers are there.
pub(super) fn reach(start: &Start<'_>) -> Result<Arc<Link>> {
    let until = Instant::now() + start.timeout;
    let workers = start.workers;
    let link = loop {
        if let Some(error) = (start.stopped)() {
            return Err(error);
        }
        match introduce(start) {
            Ok(Ok(stream)) => {
                let failed = |error| Error::new(format!("the control channel failed: {error}"));
                break Link::start(0, stream, Arc::clone(&start.handler)).map_err(failed)?;
            }
            Ok(Err(refused)) => return Err(refused),
            Err(why) if Instant::now() >= until => {
                log::debug!("{}: {why}", workers.control_address());
                return Err(late(&workers.name(0), start.timeout));
            }
            Err(_) => thread::sleep(AGAIN),
        }
    };
    start.handler.joined(&link);
    // The chief waits as long as it is told, which may be longer than this worker's timeout.
    let stop = || (start.stopped)().is_some();
    match link.receive(None, &stop) {
        Some(Message::Welcome) => Ok(link),
        _ => {
            let what = "the chief did not answer as tfbert does";
            Err((start.stopped)().unwrap_or_else(|| Error::other_worker(what)))
        }
    }
}

/// Says who this is. The outer error is one that may pass; the inner one is the chief's refusal.
fn introduce(start: &Start<'_>) -> io::Result<Result<TcpStream>> {
    let workers = start.workers;
    let addresses = resolve(&workers.control_address()).map_err(io::Error::other)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let stream = match TcpStream::connect_timeout(&address, GREETING) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(GREETING))?;
        stream.set_write_timeout(Some(GREETING))?;
        let Message::Challenge { nonce } = read_message(&mut &stream, LONGEST_GREETING)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let index = workers.index() as u32;
        let hello = Message::Hello {
            protocol: PROTOCOL,
            version: version(),
            index,
            workers_sha256: workers.sha256(),
            proof: proof(start.token, nonce, index),
        };
        write_message(&mut &stream, &hello)?;
        // The chief answers at once: it refuses, or says that it lives.
        return Ok(match read_message(&mut &stream, LONGEST_GREETING)? {
            Message::Refused { what } => {
                Err(Error::usage(format!("{} refuses this process: {what}", workers.name(0))))
            }
            Message::Beat => Ok(stream),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        });
    }
    Err(last)
}

#[cfg(test)]
mod tests;
