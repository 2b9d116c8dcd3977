use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

/// A server as the controller's, without TLS: its address, and the requests that it gets, each answered
/// with `answer`.
fn serve(folder: &Path, answer: &'static str) -> (Endpoint, Receiver<String>) {
    std::fs::write(folder.join("ca.crt"), "-----BEGIN CERTIFICATE-----").unwrap();
    std::fs::write(folder.join("token"), "first\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/status", listener.local_addr().unwrap().port());
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(request) = read_request(&mut stream) {
                let _ = sender.send(request);
                let _ = write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    let endpoint = Endpoint { url, ca_cert: folder.join("ca.crt"), token: folder.join("token") };
    (endpoint, requests)
}

/// Whether the program that sends is there; without it a test shows that it is left out.
fn has_curl() -> bool {
    let found = std::process::Command::new("curl").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: the program `curl` is not installed");
    }
    found
}

/// Head and body of a request, if the client gets as far as that.
fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text += std::str::from_utf8(&buffer[..count]).unwrap();
        if text.contains("\r\n\r\n") && text.ends_with("}}") {
            return Some(text);
        }
    }
}

fn status(done: usize) -> Status {
    Status { steps: (done, 100), remaining: None, metrics: vec![("loss".into(), 0.5)] }
}

#[test]
fn the_newest_status_is_sent_with_the_token_of_the_file_and_the_last_one_at_the_end() {
    if !has_curl() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(dir.path(), "200 OK");
    let reporter = Reporter::start_every(endpoint, Duration::from_secs(3600));
    reporter.report(status(1));
    let next = || requests.recv_timeout(Duration::from_secs(60)).unwrap();
    let first = next();
    assert!(first.starts_with("POST /status HTTP/1.1\r\n"), "{first}");
    let lower = first.to_lowercase();
    assert!(lower.contains("authorization: bearer first\r\n"), "{first}");
    assert!(lower.contains("content-type: application/json\r\n"), "{first}");
    assert!(
        first.contains(r#""progressPercentage":1}"#)
            || first.contains(r#""progressPercentage":1,"#)
    );
    // Kubernetes replaces the token.
    std::fs::write(dir.path().join("token"), "second").unwrap();
    (2..=100).for_each(|done| reporter.report(status(done)));
    drop(reporter);
    let last = next();
    assert!(
        last.contains("Bearer second") && last.contains(r#""progressPercentage":100"#),
        "{last}"
    );
    assert!(requests.try_recv().is_err(), "more was sent than was due");
}

#[test]
fn a_refusal_says_why_and_without_certificate_or_token_nothing_is_sent() {
    if !has_curl() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (endpoint, requests) = serve(dir.path(), "401 Unauthorized");
    let why = endpoint.send(&status(1)).unwrap_err();
    assert!(why.contains("401"), "{why}");
    requests.recv_timeout(Duration::from_secs(60)).unwrap();
    std::fs::write(dir.path().join("ca.crt"), "nothing").unwrap();
    assert!(endpoint.send(&status(1)).unwrap_err().ends_with("ca.crt: it holds no certificate"));
    std::fs::remove_file(dir.path().join("token")).unwrap();
    assert!(endpoint.send(&status(1)).unwrap_err().contains("token: "));
    assert!(requests.try_recv().is_err(), "a request was sent");
}

#[test]
fn outside_a_trainjob_and_with_half_of_its_variables_nothing_is_sent() {
    assert_eq!(Endpoint::find(&|_| None), None);
    let url = |address: &'static str| {
        move |name: &str| name.ends_with("_URL").then(|| address.to_owned())
    };
    assert_eq!(Endpoint::find(&url("https://localhost/status")), None);
    assert_eq!(Endpoint::find(&url("http://localhost/status")), None);
}
