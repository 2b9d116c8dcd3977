use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

/// A program in curl's place: it adds its arguments and what it reads to the file `requests`, and ends as
/// curl does when the server's answer is `refusal`, or well where there is none.
fn endpoint(folder: &Path, refusal: Option<&str>) -> (Endpoint, PathBuf) {
    fs::write(folder.join("ca.crt"), "-----BEGIN CERTIFICATE-----").unwrap();
    fs::write(folder.join("token"), "first\n").unwrap();
    let (script, requests) = (folder.join("curl.sh"), folder.join("requests"));
    let end = refusal.map_or(String::new(), |why| format!("echo 'curl: (22) {why}' >&2; exit 22"));
    let file = requests.display();
    fs::write(&script, format!("{{ echo \"$@\"; cat; echo end; }} >> '{file}'\n{end}\n")).unwrap();
    let endpoint = Endpoint {
        url: "https://localhost/status".into(),
        ca_cert: folder.join("ca.crt"),
        token: folder.join("token"),
        program: vec!["sh".into(), script.to_str().unwrap().into()],
    };
    (endpoint, requests)
}

/// The requests of the file, once there are `count`.
fn wait_for(count: usize, requests: &Path) -> Vec<String> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(requests).unwrap_or_default();
        if text.matches("\nend\n").count() >= count {
            return text.split_terminator("\nend\n").map(str::to_owned).collect();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{count} requests: {text}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn status(done: usize) -> Status {
    Status { steps: (done, 100), remaining: None, metrics: vec![("loss".into(), 0.5)] }
}

#[test]
fn the_newest_status_is_sent_with_the_token_of_the_file_and_the_last_one_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (endpoint, requests) = endpoint(dir.path(), None);
    let reporter = Reporter::start_every(endpoint, Duration::from_secs(3600));
    reporter.report(status(1));
    let first = &wait_for(1, &requests)[0];
    let ca_cert = format!("--cacert {} ", dir.path().join("ca.crt").display());
    assert!(
        first.contains(&ca_cert) && first.contains(" -- https://localhost/status\n"),
        "{first}"
    );
    assert!(first.contains("\nheader = \"Authorization: Bearer first\"\n"), "{first}");
    assert!(first.contains("\nheader = \"Content-Type: application/json\"\n"), "{first}");
    assert!(first.contains(r#"\"progressPercentage\":1"#), "{first}");
    let arguments = first.lines().next().unwrap();
    assert!(!arguments.contains("first"), "the token is among the arguments: {arguments}");
    // Kubernetes replaces the token.
    fs::write(dir.path().join("token"), "second").unwrap();
    (2..=100).for_each(|done| reporter.report(status(done)));
    drop(reporter);
    let all = wait_for(2, &requests);
    assert!(all[1].contains("Bearer second"), "{}", all[1]);
    assert!(all[1].contains(r#"\"progressPercentage\":100"#), "{}", all[1]);
    assert_eq!(all.len(), 2, "more was sent than was due");
}

#[test]
fn a_refusal_says_why_and_without_certificate_or_token_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (endpoint, requests) = endpoint(dir.path(), Some("The requested URL returned error: 401"));
    let why = endpoint.send(&status(1)).unwrap_err();
    assert!(why.contains("401"), "{why}");
    fs::write(dir.path().join("ca.crt"), "nothing").unwrap();
    assert!(endpoint.send(&status(1)).unwrap_err().ends_with("ca.crt: it holds no certificate"));
    fs::remove_file(dir.path().join("token")).unwrap();
    assert!(endpoint.send(&status(1)).unwrap_err().contains("token: "));
    assert_eq!(wait_for(1, &requests).len(), 1, "a request was sent");
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
