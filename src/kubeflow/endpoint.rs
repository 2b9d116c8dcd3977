//! Where a TrainJob's status is sent to.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::Status;

const URL: &str = "KUBEFLOW_TRAINER_SERVER_URL";
const CA_CERT: &str = "KUBEFLOW_TRAINER_SERVER_CA_CERT";
const TOKEN: &str = "KUBEFLOW_TRAINER_SERVER_TOKEN";

/// How long sending may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The controller's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    /// The file with the certificates of the authorities that the server's certificate may be of.
    ca_cert: PathBuf,
    /// The file with the token that says which TrainJob this is. Kubernetes replaces it from time to time.
    token: PathBuf,
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
        Some(Self { url, ca_cert: file(CA_CERT)?, token: file(TOKEN)? })
    }

    /// Sends a status; otherwise why it was not taken.
    pub(super) fn send(&self, status: &Status) -> Result<(), String> {
        let failed = |path: &PathBuf, why: std::io::Error| format!("{}: {why}", path.display());
        // Both files are read anew, since Kubernetes replaces them.
        let token = fs::read_to_string(&self.token).map_err(|error| failed(&self.token, error))?;
        let pem = fs::read(&self.ca_cert).map_err(|error| failed(&self.ca_cert, error))?;
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate<'static>> = certificates.collect();
        if certificates.is_empty() {
            return Err(format!("{}: it holds no certificate", self.ca_cert.display()));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build();
        let config = ureq::Agent::config_builder()
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .tls_config(tls)
            .build();
        let sent = config
            .new_agent()
            .post(&self.url)
            .header("Authorization", &format!("Bearer {}", token.trim()))
            .header("Content-Type", "application/json")
            .send(status.to_json().as_str());
        sent.map(drop).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
