//! A small HTTP server that answers as a test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How one request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With what was asked for, all or the part.
    Serve,
    /// As [`Answer::Serve`], and the connection is cut after so many bytes.
    Cut(usize),
    /// With the whole file, whatever part was asked for.
    Whole,
    /// With a status and no file.
    Status(&'static str),
    /// With another path.
    Redirect(&'static str),
}

/// Files by path, and for each path the answers to its first requests; later ones get
/// [`Answer::Serve`].
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(files: &[(&str, Vec<u8>)], answers: &[(&str, &[Answer])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
        let mut answers: BTreeMap<String, Vec<Answer>> = answers
            .iter()
            .map(|(path, answers)| ((*path).to_owned(), answers.iter().rev().cloned().collect()))
            .collect();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((path, first)) = read_request(&stream) else { continue };
                seen.lock().unwrap().push(format!("{path} {first}"));
                let answer = answers.get_mut(&path).and_then(Vec::pop).unwrap_or(Answer::Serve);
                let _ = reply(stream, files.get(&path), first, &answer);
            }
        });
        Self { address, requests }
    }

    /// Each request: its path, and the first byte that it asks for.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<(String, usize)> {
    let (mut path, mut first) = (None, 0);
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        }
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            first = range.trim_end_matches('-').parse().ok()?;
        }
    }
    Some((path?, first))
}

fn reply(
    mut stream: TcpStream,
    file: Option<&Vec<u8>>,
    first: usize,
    answer: &Answer,
) -> std::io::Result<()> {
    let head =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}");
    let empty = "Content-Length: 0\r\n\r\n";
    let Some(file) = file else {
        let text = match answer {
            Answer::Redirect(path) => head("302 Found", &format!("Location: {path}\r\n{empty}")),
            Answer::Status(status) => head(status, empty),
            _ => head("404 Not Found", empty),
        };
        return stream.write_all(text.as_bytes());
    };
    let first = if matches!(answer, Answer::Whole) { 0 } else { first };
    let cut = match answer {
        Answer::Cut(bytes) => *bytes,
        Answer::Status(status) => return stream.write_all(head(status, empty).as_bytes()),
        _ => file.len(),
    };
    let total = file.len();
    if first >= total {
        let range = format!("Content-Range: bytes */{total}\r\n{empty}");
        return stream.write_all(head("416 Range Not Satisfiable", &range).as_bytes());
    }
    let length = format!("Content-Length: {}\r\n\r\n", total - first);
    let text = match first {
        0 => head("200 OK", &length),
        _ => head(
            "206 Partial Content",
            &format!("Content-Range: bytes {first}-{}/{total}\r\n{length}", total - 1),
        ),
    };
    stream.write_all(text.as_bytes())?;
    stream.write_all(&file[first..(first + cut).min(total)])?;
    stream.flush()?;
    // What the client still sends is read, so that the end of the connection is no reset.
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
