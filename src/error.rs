//! One error type for people: what failed, where, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Exit code of a command that failed.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code of a command whose arguments do not fit, as clap's own.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a command that Ctrl-C ended.
pub const EXIT_INTERRUPTED: u8 = 130;

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
    exit_code: u8,
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
        Self(Box::new(Parts {
            what: what.into(),
            place: None,
            hint: None,
            exit_code: EXIT_FAILURE,
        }))
    }

    /// A failure of the user's arguments; the process ends with [`EXIT_USAGE`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(what).exit_with(EXIT_USAGE)
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

    /// Sets the process's exit code.
    #[must_use]
    pub fn exit_with(mut self, code: u8) -> Self {
        self.0.exit_code = code;
        self
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.0.exit_code
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
}
