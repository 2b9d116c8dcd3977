//! Tests that are listed as ignored, with the reason, where the machine lacks what they need.

use std::borrow::Cow;

use libtest_mimic::{Arguments, Completion, Trial};

/// How a test ends that did not panic: it passed, or what the machine lacks.
pub type Ran = Result<(), Cow<'static, str>>;

/// A test of this name.
pub fn trial(name: &str, test: impl FnOnce() -> Ran + Send + 'static) -> Trial {
    Trial::ignorable_test(name, || {
        Ok(test().map_or_else(Completion::ignored_with, |()| Completion::Completed))
    })
}

/// Runs the tests that the process's arguments choose, and ends the process.
pub fn run(trials: Vec<Trial>) -> ! {
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}
