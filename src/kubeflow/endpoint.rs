//! Where a TrainJob's status is sent to.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Status;

const URL: &str = "KUBEFLOW_TRAINER_SERVER_URL";
const CA_CERT: &str = "KUBEFLOW_TRAINER_SERVER_CA_CERT";
const TOKEN: &str = "KUBEFLOW_TRAINER_SERVER_TOKEN";

/// How many seconds sending may take.
const TIMEOUT: &str = "5";

/// The controller's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) url: String,
    /// The file with the certificates of the authorities that the server's certificate may be of.
    pub(super) ca_cert: PathBuf,
    /// The file with the token that says which TrainJob this is. Kubernetes replaces it from time to time.
    pub(super) token: PathBuf,
    /// The program that sends, and its first arguments. Tests have another one.
    pub(super) program: Vec<String>,
}

impl Endpoint {
    /// The server that the variables name; `None` outside a TrainJob. `variable` gives a variable of the
    /// environment. Where one is missing, a warning says which.
    pub fn find(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let url = variable(URL)?;
        if !url.starts_with("https://") {
            log::warn!("`{URL}` does not start with `https://`: no status is sent to it");
            return None;
        }
        let file = |name: &str| {
            let found = variable(name).map(PathBuf::from);
            if found.is_none() {
                log::warn!("`{URL}` is set and `{name}` is not: no status is sent");
            }
            found
        };
        Some(Self {
            url,
            ca_cert: file(CA_CERT)?,
            token: file(TOKEN)?,
            program: vec!["curl".into()],
        })
    }

    /// Sends a status with the program `curl`; otherwise why it was not taken.
    pub(super) fn send(&self, status: &Status) -> Result<(), String> {
        let failed = |path: &PathBuf, why: std::io::Error| format!("{}: {why}", path.display());
        // Both files are read anew, since Kubernetes replaces them.
        let token = fs::read_to_string(&self.token).map_err(|error| failed(&self.token, error))?;
        let ca_cert =
            fs::read_to_string(&self.ca_cert).map_err(|error| failed(&self.ca_cert, error))?;
        if !ca_cert.contains("BEGIN CERTIFICATE") {
            return Err(format!("{}: it holds no certificate", self.ca_cert.display()));
        }
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
        ]);
        command.args(["--max-time", TIMEOUT]);
        command.arg("--cacert").arg(&self.ca_cert).args(["--output", "/dev/null"]);
        command.args(["--config", "-", "--", &self.url]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut curl = command.spawn().map_err(|why| format!("curl could not start: {why}"))?;
        // curl reads the token from stdin: every user of the machine can see the arguments of a process.
        let request = request(token.trim(), &status.to_json());
        let written = curl.stdin.take().map(|mut stdin| stdin.write_all(request.as_bytes()));
        let output = curl.wait_with_output().map_err(|why| format!("curl was lost: {why}"))?;
        if output.status.success() && matches!(written, Some(Ok(()))) {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}, {}", output.status, message.trim()))
    }
}

/// The header and the body of a request in the form of curl's configuration files.
fn request(token: &str, body: &str) -> String {
    let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
    format!(
        "header = \"Authorization: Bearer {}\"\nheader = \"Content-Type: application/json\"\n\
         data-raw = \"{}\"\n",
        quoted(token),
        quoted(body)
    )
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_of_a_request_are_escaped_for_curl() {
        let request = request("to\"k\\en", r#"{"a":"b"}"#);
        let mut lines = request.lines();
        assert_eq!(lines.next(), Some(r#"header = "Authorization: Bearer to\"k\\en""#));
        assert_eq!(lines.nth(1), Some(r#"data-raw = "{\"a\":\"b\"}""#));
        assert_eq!(lines.next(), None);
    }
}
