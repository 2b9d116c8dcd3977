use super::*;

/// A handler of links that nothing comes over.
struct Nothing;

impl Handler for Nothing {
    fn message(&self, _: usize, message: Message) -> Option<Message> {
        Some(message)
    }

    fn joined(&self, _: &Arc<Link>) {}

    fn lost(&self, _: usize, _: &str) {}
}

/// What the chief says to a process that greets it so, and how the chief's wait ends.
fn greeted(hello: impl FnOnce(Message) -> Message + Send + 'static) -> (Message, Error) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let addresses = vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
    let workers = Workers::new(addresses, 0, Some(port)).unwrap();
    let list = workers.sha256();
    let worker = thread::spawn(move || {
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(LOOK / 10),
            }
        };
        let challenge = read_message(&mut &stream, LONGEST_GREETING).unwrap();
        let Message::Challenge { nonce } = challenge else { panic!("{challenge:?}") };
        let own = Message::Hello {
            protocol: PROTOCOL,
            version: version(),
            index: 1,
            workers_sha256: list,
            proof: proof("token", nonce, 1),
        };
        write_message(&mut &stream, &hello(own)).unwrap();
        read_message(&mut &stream, LONGEST_GREETING).unwrap()
    });
    let start = Start {
        workers: &workers,
        token: "token",
        timeout: Duration::from_secs(1),
        handler: Arc::new(Nothing),
        stopped: &|| None,
    };
    let error = gather(&start).err().expect("the cluster is not complete");
    (worker.join().unwrap(), error)
}

#[test]
fn a_worker_of_another_version_is_told_so_and_ends_the_chief() {
    let (answer, error) = greeted(|hello| match hello {
        Message::Hello { protocol, index, workers_sha256, proof, .. } => {
            let version = "9.9.9".to_owned();
            Message::Hello { protocol, version, index, workers_sha256, proof }
        }
        other => other,
    });
    let what = format!("worker 1 is tfbert 9.9.9, the chief {}", version());
    assert_eq!((error.what(), error.exit_code()), (what.as_str(), 2));
    assert_eq!(answer, Message::Refused { what });
}

#[test]
fn a_process_without_the_token_is_refused_and_the_chief_waits_on() {
    let (answer, error) = greeted(|hello| match hello {
        Message::Hello { protocol, version, index, workers_sha256, .. } => {
            let proof = "of another token".to_owned();
            Message::Hello { protocol, version, index, workers_sha256, proof }
        }
        other => other,
    });
    assert!(matches!(answer, Message::Refused { what } if what.contains("TFBERT_CLUSTER_TOKEN")));
    assert!(error.what().contains("did not connect within 1 seconds"), "{error}");
    assert_eq!(error.exit_code(), 138);
}
