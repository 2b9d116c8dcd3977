//! One error type for people: what failed, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure it is: the process's exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Anything else: data, files, a computation. Exit code 1.
    Other,
    /// The arguments do not fit together or do not fit the files. Exit code 2, as clap's own.
    Usage,
    /// The device has no memory left for a batch. Exit code 1.
    OutOfMemory,
    /// A loss or gradient is not a finite number. Exit code 1.
    NotFinite,
    /// Another worker of the cluster ended or cannot be reached: the same command may succeed when it is
    /// given again. Exit code 138, after which Kubeflow's TFJob starts a replica again.
    OtherWorker,
    /// A process that this one started ended with this exit code.
    Exited(u8),
    /// Nobody reads what the command prints any more, as after `| head`. Nothing is said. Exit code 141,
    /// which is what shells report of a process that SIGPIPE ended.
    OutputClosed,
    /// A signal, of this number, asked to stop. Exit code 128 + the number: 130 after Ctrl-C, 143
    /// after SIGTERM, which is what shells report of a process that a signal ended.
    Interrupted(i32),
}

impl ErrorKind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Other | Self::OutOfMemory | Self::NotFinite => 1,
            Self::Usage => 2,
            Self::OtherWorker => 138,
            Self::OutputClosed => 141,
            Self::Exited(code) => code,
            Self::Interrupted(signal) => 128u8.saturating_add(signal as u8),
        }
    }
}

/// A failure: what happened, the place in a file if there is one, and the next step.
///
/// Printed as
///
/// ```text
/// error: data/SST-2/train.tsv:17: expected 2 columns, found 1
/// hint: …
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    what: String,
    place: Option<Place>,
    hint: Option<String>,
    kind: ErrorKind,
}

/// A place in a file. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, where one is known.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

impl Error {
    /// A failure described by `what`: one sentence without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        let what = readable(what.into());
        Self(Box::new(Parts { what, place: None, hint: None, kind: ErrorKind::Other }))
    }

    /// A failure of the user's arguments: [`ErrorKind::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(what).of_kind(ErrorKind::Usage)
    }

    /// A computation that memory did not suffice for: [`ErrorKind::OutOfMemory`]. The command adds
    /// the hint, since it knows which of its flags need less.
    pub fn out_of_memory(what: impl Into<String>) -> Self {
        Self::new(what).of_kind(ErrorKind::OutOfMemory)
    }

    /// A loss or gradient that is not a finite number: [`ErrorKind::NotFinite`].
    pub fn not_finite(what: impl Into<String>) -> Self {
        Self::new(what).of_kind(ErrorKind::NotFinite)
    }

    /// The end of another worker: [`ErrorKind::OtherWorker`].
    pub fn other_worker(what: impl Into<String>) -> Self {
        Self::new(what).of_kind(ErrorKind::OtherWorker)
    }

    /// The failure of a process that this one started: [`ErrorKind::Exited`].
    pub fn exited(code: u8, what: impl Into<String>) -> Self {
        Self::new(what).of_kind(ErrorKind::Exited(code))
    }

    /// The end of a command whose output nobody reads any more: [`ErrorKind::OutputClosed`].
    pub fn output_closed() -> Self {
        Self::new("stdout was closed").of_kind(ErrorKind::OutputClosed)
    }

    /// Work that a signal ended: [`ErrorKind::Interrupted`], `stopped by SIGTERM WHEN`.
    pub fn interrupted(signal: i32, when: impl fmt::Display) -> Self {
        let name = match signal {
            1 => "SIGHUP".to_owned(),
            2 => "Ctrl-C".to_owned(),
            15 => "SIGTERM".to_owned(),
            number => format!("signal {number}"),
        };
        Self::new(format!("stopped by {name} {when}")).of_kind(ErrorKind::Interrupted(signal))
    }

    fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// An operating system's error while doing `action` (an infinitive, `read`) to `path`.
    pub fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("could not {action} it: {error}")).at(path)
    }

    /// Names the file.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.place = Some(Place { path: path.to_owned(), line: None });
        self
    }

    /// Names the file and the line, counted from 1.
    #[must_use]
    pub fn at_line(mut self, path: &Path, line: usize) -> Self {
        self.0.place = Some(Place { path: path.to_owned(), line: Some(line) });
        self
    }

    /// Says what to do next, best a command that can be typed.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says what to do next where memory ran out; another error stays as it is.
    #[must_use]
    pub fn hint_if_out_of_memory(self, hint: &str) -> Self {
        if self.kind() == ErrorKind::OutOfMemory { self.hint(hint) } else { self }
    }

    /// Says what was being done, before what failed: `step 7: …`. Kind, place and hint stay.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.what = format!("{doing}: {}", self.0.what);
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// What failed, without place and hint.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Where it failed.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// What to do next.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// A message that a terminal can show, whatever text of a file or a library is part of it: control
/// characters but line feeds are escaped, and the middle of a very long one is left out.
fn readable(what: String) -> String {
    const START: usize = 600;
    const END: usize = 200;
    let is_control = |c: char| c.is_control() && c != '\n';
    let what = if what.contains(is_control) {
        let escape = |c: char| match is_control(c) {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        };
        what.chars().map(escape).collect()
    } else {
        what
    };
    let length = what.chars().count();
    if length <= START + END {
        return what;
    }
    let start: String = what.chars().take(START).collect();
    let end: String = what.chars().skip(length - END).collect();
    format!("{start} … {end}")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.what)?;
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_place_then_cause_then_hint() {
        let error = Error::new("expected 2 columns, found 1")
            .at_line(Path::new("train.tsv"), 17)
            .hint("separate columns by tabs");
        assert_eq!(
            error.to_string(),
            "train.tsv:17: expected 2 columns, found 1\nhint: separate columns by tabs"
        );
    }

    #[test]
    fn exit_codes_follow_from_the_kind_and_are_those_of_shells() {
        assert_eq!(Error::new("").exit_code(), 1);
        assert_eq!(Error::out_of_memory("").exit_code(), 1);
        assert_eq!(Error::not_finite("").exit_code(), 1);
        assert_eq!(Error::usage("").exit_code(), 2);
        assert_eq!(Error::other_worker("").exit_code(), 138);
        assert_eq!(Error::output_closed().exit_code(), 141);
        assert_eq!(Error::exited(137, "").exit_code(), 137);
        assert_eq!(Error::interrupted(2, "").exit_code(), 130);
        assert_eq!(Error::interrupted(15, "").exit_code(), 143);
    }

    #[test]
    fn context_keeps_the_kind_and_a_hint_for_memory_is_given_to_no_other_error() {
        let hint = "use a smaller `--batch-size`";
        let error = Error::out_of_memory("no memory").context("step 7").hint_if_out_of_memory(hint);
        assert_eq!(error.what(), "step 7: no memory");
        assert_eq!((error.kind(), error.hint_text()), (ErrorKind::OutOfMemory, Some(hint)));
        assert_eq!(Error::new("no disk").hint_if_out_of_memory(hint).hint_text(), None);
    }

    #[test]
    fn a_message_is_readable_whatever_a_file_holds() {
        let error =
            Error::new(format!("unknown label `{}\r\u{1b}[2J`; expected `a`", "x".repeat(9999)));
        assert!(error.what().chars().count() < 900, "{}", error.what().chars().count());
        assert!(!error.what().contains(['\r', '\u{1b}']), "{error}");
        assert!(error.what().ends_with("`; expected `a`"), "{error}");
        assert_eq!(Error::new("two\nlines").what(), "two\nlines");
    }
}
