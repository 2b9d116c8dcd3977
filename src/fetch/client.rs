//! Downloads a file with the program `curl`. A download that was interrupted is continued.
//!
//! curl uses the system's certificates and proxies. A client with TLS as a crate would add 15 crates and
//! most of a minute of processor time to every build.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::report::Progress;

/// The environment variable that names another server.
pub(super) const MIRROR_VARIABLE: &str = "TFBERT_DATA_MIRROR";

/// How often a transfer without any new byte is tried again.
const RETRIES: u32 = 3;

/// A transfer that receives nothing for this many seconds is tried again.
const SILENCE: &str = "60";

/// A client of the official servers, or of a mirror.
pub(super) struct Client {
    mirror: Option<String>,
}

/// What is to be done after a transfer that failed.
enum Failure {
    /// Try again from the byte after the last one.
    GoOn(String),
    /// Try again from the first byte.
    StartOver(String),
    /// Nothing.
    Final(Error),
}

impl Client {
    /// A client that replaces the servers of all addresses by `mirror`, such as `http://host/folder`.
    pub(super) fn new(mirror: Option<String>) -> Result<Self> {
        let mirror = mirror.filter(|mirror| !mirror.is_empty());
        if let Some(mirror) = &mirror
            && !["http://", "https://"].iter().any(|scheme| mirror.starts_with(scheme))
        {
            return Err(Error::usage(format!(
                "{MIRROR_VARIABLE} is `{mirror}`, which is no address"
            ))
            .hint(format!("set it as in `{MIRROR_VARIABLE}=http://localhost:8000`")));
        }
        Ok(Self { mirror })
    }

    /// The address that is asked for an official one.
    pub(super) fn address(&self, url: &str) -> String {
        let Some(mirror) = &self.mirror else { return url.to_owned() };
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        format!("{}/{}", mirror.trim_end_matches('/'), path.map_or("", |(_, path)| path))
    }

    /// Appends to `file`, which is at `path`, what it lacks of the file at an official address, which
    /// has about `bytes`. A server that does not send parts of files sends all of it.
    ///
    /// # Errors
    ///
    /// The server refuses, the connection is cut again and again, or the disk is full. What has come
    /// stays in `file`.
    pub(super) fn download(&self, url: &str, file: &File, path: &Path, bytes: u64) -> Result<()> {
        let url = &self.address(url);
        let name = url.rsplit('/').next().unwrap_or(url);
        let mut done = length(file);
        if done > 0 {
            log::info!("{name}: continuing after {:.1} MB", done as f64 / 1e6);
        }
        let mut progress = Progress::of_bytes(name, bytes, done);
        let mut retries = 0;
        let result = loop {
            let failed = transfer(url, file, path, &mut progress);
            let failure = match failed {
                Ok(()) => break Ok(()),
                Err(Failure::Final(error)) => break Err(error),
                Err(Failure::GoOn(failure)) => failure,
                Err(Failure::StartOver(failure)) => {
                    if let Err(error) = file.set_len(0) {
                        break Err(Error::io("write", path, &error));
                    }
                    failure
                }
            };
            retries = if length(file) > done { 1 } else { retries + 1 };
            done = length(file);
            if retries > RETRIES {
                break Err(Error::new(format!("{url}: {failure}")).hint(format!(
                    "the same command continues the download; another server can be named in the \
                     variable `{MIRROR_VARIABLE}`"
                )));
            }
            progress.suspend(|| log::info!("{name}: {failure}; trying again"));
            sleep(Duration::from_millis(500) * retries);
        };
        progress.finish();
        result
    }
}

fn length(file: &File) -> u64 {
    file.metadata().map_or(0, |facts| facts.len())
}

/// One run of curl.
fn transfer(
    url: &str,
    file: &File,
    path: &Path,
    progress: &mut Progress,
) -> std::result::Result<(), Failure> {
    let begun = length(file);
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--location", "--max-redirs", "10"]);
    command.args(["--connect-timeout", SILENCE, "--speed-time", SILENCE, "--speed-limit", "1"]);
    command.args(["--user-agent", concat!("tfbert/", env!("CARGO_PKG_VERSION"))]);
    command.args(["--proto", "=http,https", "--write-out", "%{http_code}"]);
    command.args(["--continue-at", "-", "--output"]).arg(path).args(["--", url]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| {
        Failure::Final(
            Error::new(format!("could not start the program `curl`: {error}"))
                .hint("install curl, on Debian and Ubuntu with `sudo apt install curl`"),
        )
    })?;
    let (status, code, message) = wait(child, file, progress)
        .map_err(|error| Failure::Final(Error::new(format!("curl was lost: {error}"))))?;
    if let Some(signal) = status.signal() {
        return Err(Failure::Final(
            Error::interrupted(signal, "before the file was complete")
                .hint("the same command continues the download"),
        ));
    }
    judge(url, status.code().unwrap_or(0), &code, message.trim(), begun)
}

/// Waits for curl to end and shows how far it is: its status, the HTTP status, and its message.
fn wait(
    mut child: Child,
    file: &File,
    progress: &mut Progress,
) -> std::io::Result<(std::process::ExitStatus, String, String)> {
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        progress.update(length(file) as usize, String::new);
        sleep(Duration::from_millis(30));
    };
    let (mut code, mut message) = (String::new(), String::new());
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut code)?;
    }
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut message)?;
    }
    Ok((status, code, message))
}

/// What follows from curl's exit code, as its manual lists them, and from the HTTP status. `begun` is the
/// byte that was asked for.
fn judge(
    url: &str,
    exit: i32,
    status: &str,
    message: &str,
    begun: u64,
) -> std::result::Result<(), Failure> {
    // `curl: (18) transfer closed with …`
    let message = message.split_once(") ").map_or(message, |(_, message)| message);
    let failure =
        || if message.is_empty() { format!("curl ended with {exit}") } else { message.into() };
    match exit {
        0 => Ok(()),
        22 if status == "416" && begun > 0 => {
            Err(Failure::StartOver("the file on the server is shorter than what was there".into()))
        }
        22 if status == "429" || status.starts_with('5') => {
            Err(Failure::GoOn(format!("the server answers {status}")))
        }
        22 => Err(Failure::Final(Error::new(format!("{url}: the server answers {status}")).hint(format!(
            "the file may have moved: another server can be named in the variable `{MIRROR_VARIABLE}`"
        )))),
        23 => Err(Failure::Final(
            Error::new(format!("could not write what was downloaded: {}", failure())).hint(
                "make room on the disk and give the same command again, which continues the \
                 download; or name another folder with `--data-dir DIR`",
            ),
        )),
        33 | 36 => Err(Failure::StartOver("the server sends no parts of files".into())),
        // No name, no connection, cut, too slow, no answer.
        5 | 6 | 7 | 16 | 18 | 28 | 35 | 52 | 55 | 56 | 92 => Err(Failure::GoOn(failure())),
        _ => Err(Failure::Final(Error::new(format!("{url}: {}", failure())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_replaces_the_server_and_keeps_the_path() {
        let address = |mirror: &str| {
            Client::new(Some(mirror.into())).unwrap().address("https://a.org/glue/data/RTE.zip")
        };
        assert_eq!(address(""), "https://a.org/glue/data/RTE.zip");
        assert_eq!(address("http://b:80/"), "http://b:80/glue/data/RTE.zip");
        assert_eq!(address("https://b/mirror"), "https://b/mirror/glue/data/RTE.zip");
        assert!(Client::new(Some("b.org".into())).is_err());
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_an_error() {
        let kind = |exit, status, begun| match judge("u", exit, status, "curl: (1) why", begun) {
            Ok(()) => "done",
            Err(Failure::GoOn(_)) => "go on",
            Err(Failure::StartOver(_)) => "start over",
            Err(Failure::Final(_)) => "final",
        };
        assert_eq!(kind(0, "206", 5), "done");
        assert_eq!([kind(18, "200", 0), kind(22, "503", 0), kind(22, "429", 5)], ["go on"; 3]);
        assert_eq!([kind(22, "416", 5), kind(33, "200", 5)], ["start over"; 2]);
        assert_eq!([kind(22, "404", 0), kind(22, "416", 0), kind(60, "000", 0)], ["final"; 3]);
        let Err(Failure::GoOn(why)) = judge("u", 7, "000", "curl: (7) Could not connect", 0) else {
            panic!("it is tried again");
        };
        assert_eq!(why, "Could not connect");
    }
}
