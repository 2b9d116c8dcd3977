//! Who the workers are.

use crate::error::{Error, Result};
use crate::files::{Digest, Sha256, hex};

/// The most workers of a cluster: a mistyped number is an error, and not thousands of connections.
pub(crate) const MOST_WORKERS: usize = 1024;

/// All workers of a cluster, and which of them this process is. Worker 0 is the chief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    addresses: Vec<String>,
    index: usize,
    control_port: u16,
}

impl Workers {
    /// The workers at `addresses`, each `host:port` of its TensorFlow server.
    ///
    /// Without a `control_port` the control channel has the first port above the chief's that no worker
    /// on the chief's host has.
    ///
    /// # Errors
    ///
    /// An address is not `host:port` or occurs twice, there is no worker `index`, or no port is free.
    pub fn new(addresses: Vec<String>, index: usize, control_port: Option<u16>) -> Result<Self> {
        if addresses.is_empty() || addresses.len() > MOST_WORKERS {
            return Err(Error::usage(format!(
                "the cluster has {} workers; expected 1 to {MOST_WORKERS}",
                addresses.len()
            )));
        }
        for (place, address) in addresses.iter().enumerate() {
            split(address)?;
            if addresses[..place].contains(address) {
                return Err(Error::usage(format!("two workers have the address `{address}`")));
            }
        }
        if index >= addresses.len() {
            return Err(Error::usage(format!(
                "there is no worker {index}: the cluster has {}, counted from 0",
                addresses.len()
            )));
        }
        let control_port = match control_port {
            Some(port) => port,
            None => free_port(&addresses)?,
        };
        Ok(Self { addresses, index, control_port })
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// Which of them this process is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether this process is the one that writes the run's folder.
    pub fn is_chief(&self) -> bool {
        self.index == 0
    }

    /// The addresses of the workers' TensorFlow servers, `host:port`.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The address at which the chief listens for the other drivers.
    pub fn control_address(&self) -> String {
        let host = self.addresses[0].rsplit_once(':').map_or("", |(host, _)| host);
        format!("{host}:{}", self.control_port)
    }

    /// A worker for people: `worker 1 (10.0.0.2:2222)`.
    pub fn name(&self, worker: usize) -> String {
        let address = self.addresses.get(worker).map_or("unknown", String::as_str);
        let chief = if worker == 0 { ", the chief" } else { "" };
        format!("worker {worker} ({address}{chief})")
    }

    /// A hash of all addresses, by which workers with another list are told apart.
    pub(super) fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for address in &self.addresses {
            hasher.update(address.as_bytes());
            hasher.update([0]);
        }
        hex(&hasher.finalize())
    }
}

/// Host and port of an address.
fn split(address: &str) -> Result<(&str, u16)> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let port = |text: &str| text.parse().ok().filter(|&port: &u16| port > 0);
    let has_control = address.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/');
    parts.and_then(|(host, text)| Some((host, port(text)?))).filter(|_| !has_control).ok_or_else(
        || {
            Error::usage(format!(
                "`{address}` is not the address of a worker; expected `host:port`"
            ))
        },
    )
}

fn free_port(addresses: &[String]) -> Result<u16> {
    let (host, chief) = split(&addresses[0])?;
    let taken: Vec<u16> = addresses
        .iter()
        .filter_map(|address| split(address).ok())
        .filter(|(other, _)| *other == host)
        .map(|(_, port)| port)
        .collect();
    (chief..u16::MAX).map(|port| port + 1).find(|port| !taken.contains(port)).ok_or_else(|| {
        Error::usage(format!("no port above {chief} is free for the control channel"))
            .hint("choose one with `--control-port PORT`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(addresses: &[&str], index: usize) -> Result<Workers> {
        Workers::new(addresses.iter().map(|&address| address.to_owned()).collect(), index, None)
    }

    #[test]
    fn the_control_channel_has_a_port_that_no_worker_of_the_host_has() {
        let apart = workers(&["a:2222", "b:2223"], 1).unwrap();
        assert_eq!(apart.control_address(), "a:2223");
        let together = workers(&["a:2222", "a:2223", "a:2224"], 0).unwrap();
        assert_eq!(together.control_address(), "a:2225");
        assert_eq!(workers(&["[::1]:2222"], 0).unwrap().control_address(), "[::1]:2223");
    }

    #[test]
    fn what_is_no_list_of_workers_is_refused_by_name() {
        for (addresses, index, part) in [
            (&["a"][..], 0, "`a` is not the address of a worker"),
            (&[":1"], 0, "`:1` is not the address"),
            (&["a:0"], 0, "`a:0` is not the address"),
            (&["a:70000"], 0, "`a:70000` is not the address"),
            (&["a b:1"], 0, "`a b:1` is not the address"),
            (&["a:1", "a:1"], 0, "two workers have the address `a:1`"),
            (&["a:1", "a:2"], 2, "there is no worker 2"),
            (&["a:65535"], 0, "no port above 65535"),
        ] {
            let error = workers(addresses, index).unwrap_err();
            assert!(error.what().contains(part), "{error}");
            assert_eq!(error.exit_code(), 2, "{error}");
        }
        assert!(workers(&[], 0).is_err());
    }

    #[test]
    fn another_order_of_the_workers_has_another_hash() {
        let hash = |addresses: &[&str]| workers(addresses, 0).unwrap().sha256();
        assert_ne!(hash(&["a:1", "b:1"]), hash(&["b:1", "a:1"]));
        assert_eq!(hash(&["a:1", "b:1"]), hash(&["a:1", "b:1"]));
    }
}
