//! `tfbert completions` and `tfbert man`: what shells and manuals know of the commands; words as shells
//! read them.

use std::fs;
use std::io::Write;

use clap::CommandFactory;
use tfbert::cli::{Cli, CompletionsArgs, ManArgs};
use tfbert::error::{Error, Result};

use super::print_line;

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tfbert", &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(format!("could not write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes the manual pages.
pub fn man(args: &ManArgs) -> Result<()> {
    let dir = &args.dir;
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .map_err(|error| Error::io("write", dir, &error))?;
    print_line(format!(
        "{}: read them with `man -l {}`",
        dir.display(),
        dir.join("tfbert.1").display()
    ))
}

/// A word as a shell reads it, in quotes where it needs them.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_with_signs_of_the_shell_are_quoted() {
        assert_eq!(quoted("runs/sst2"), "runs/sst2");
        assert_eq!(quoted("my file"), "'my file'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
