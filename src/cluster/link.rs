//! One connection of the control channel: what arrives is sorted by a thread of its own, and another
//! tells the other side every second that this process lives.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::message::{LONGEST, Message, read_message, write_message};

/// How often each side says that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// After so long without a word the other side counts as gone.
pub(super) const SILENCE: Duration = Duration::from_secs(8);
/// How long a thread that waits for a message sleeps before it looks at its other conditions.
const LOOK: Duration = Duration::from_millis(100);

/// A connection to another worker.
pub(super) struct Link {
    /// The other worker.
    pub(super) peer: usize,
    stream: TcpStream,
    writer: Mutex<TcpStream>,
    inbox: Mutex<VecDeque<Message>>,
    arrived: Condvar,
    /// Whether either side has nothing left to do, so that the connection may end.
    done: AtomicBool,
}

/// What a link does with messages and with its end.
pub(super) trait Handler: Send + Sync + 'static {
    /// Takes a message at once; one that it returns waits in the link's inbox.
    fn message(&self, peer: usize, message: Message) -> Option<Message>;
    /// A worker has joined.
    fn joined(&self, link: &Arc<Link>);
    /// The connection ended, before either side was done.
    fn lost(&self, peer: usize, why: &str);
}

impl Link {
    /// Starts the threads of a connection.
    pub(super) fn start(
        peer: usize,
        stream: TcpStream,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<Self>> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let link = Arc::new(Self {
            peer,
            writer: Mutex::new(stream.try_clone()?),
            stream,
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            done: AtomicBool::new(false),
        });
        // The other side waits for the first one, so nothing may come before it.
        link.send(&Message::Beat)?;
        let reading = (Arc::clone(&link), Arc::clone(&handler));
        thread::Builder::new()
            .name("control-read".into())
            .spawn(move || reading.0.read(&reading.1))?;
        let beating = Arc::clone(&link);
        thread::Builder::new().name("control-beat".into()).spawn(move || {
            while !beating.is_done() {
                thread::sleep(BEAT);
                if let Err(error) = beating.send(&Message::Beat) {
                    beating.ended(&error, &handler);
                    return;
                }
            }
        })?;
        Ok(link)
    }

    fn read(&self, handler: &Arc<dyn Handler>) {
        loop {
            match read_message(&mut &self.stream, LONGEST) {
                Ok(Message::Beat) => {}
                Ok(message) => {
                    if message == Message::Done {
                        self.set_done();
                    }
                    if let Some(message) = handler.message(self.peer, message) {
                        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                        inbox.push_back(message);
                        self.arrived.notify_all();
                    }
                }
                Err(error) => {
                    self.ended(&error, handler);
                    return;
                }
            }
        }
    }

    fn ended(&self, error: &io::Error, handler: &Arc<dyn Handler>) {
        if self.is_done() {
            return;
        }
        self.set_done(); // The other thread need not report it again.
        let why = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("has not answered for {} seconds", SILENCE.as_secs())
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => "ended without a word".to_owned(),
            _ => format!("cannot be reached any more ({error})"),
        };
        handler.lost(self.peer, &why);
    }

    /// Sends a message.
    pub(super) fn send(&self, message: &Message) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write_message(&mut *writer, message)
    }

    /// The next message that waits, once there is one; `None` where `until` has passed, or `stop` says
    /// so.
    pub(super) fn receive(
        &self,
        until: Option<Instant>,
        stop: &dyn Fn() -> bool,
    ) -> Option<Message> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(message) = inbox.pop_front() {
                return Some(message);
            }
            if stop() || until.is_some_and(|until| Instant::now() >= until) {
                return None;
            }
            inbox =
                self.arrived.wait_timeout(inbox, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The connection may end from now on.
    pub(super) fn set_done(&self) {
        self.done.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Ends the connection.
    pub(super) fn close(&self) {
        self.set_done();
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
