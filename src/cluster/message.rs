//! What goes over the control channel: frames of a length and a message.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The version of the messages. Another version of tfbert is told so, whatever else it sends.
pub(super) const PROTOCOL: u32 = 2;

/// The longest message of one that has not shown yet that it belongs to the cluster.
pub(super) const LONGEST_GREETING: usize = 4096;
/// The longest of all. What is longer is sent in parts of [`PART`].
pub(super) const LONGEST: usize = 64 << 20;
/// Bytes of a part of a file or of an evaluation.
pub(super) const PART: usize = 4 << 20;

/// One message. The first two are the same in every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// The chief's first: random bytes that the proof depends on.
    Challenge { nonce: [u8; 16] },
    /// A worker's first.
    Hello { protocol: u32, version: String, index: u32, workers_sha256: String, proof: String },
    /// The cluster is complete.
    Welcome,
    /// The chief does not take this process as a worker.
    Refused { what: String },
    /// The sender lives.
    Beat,
    /// What a worker trains, as a JSON object of texts.
    Facts { json: String },
    /// All workers train the same; `complete` says that nothing is left to do.
    Agreed { complete: bool },
    /// The weights' checksums, after `step` updates.
    Sums { step: u64, sums: Vec<i32> },
    /// All workers have the same weights, and may begin.
    Begin,
    /// The bits of the gradient's norm in the update that makes `step`.
    Step { step: u64, norm: u32 },
    /// The chief's checkpoint follows; without a state there is none.
    Checkpoint { state: Option<String> },
    /// Bytes of a file follow.
    File { name: String },
    /// Bytes of the file that was named last, or of a worker's part of an evaluation.
    Part { bytes: Vec<u8> },
    /// The files, or the part of the evaluation, are complete.
    PartsEnd,
    /// Whether `--patience` ends the run after the evaluation that is complete.
    EndsEarly { ends: bool },
    /// A worker ended; all others end too. `hint` says what to do about it.
    Ended { worker: u32, what: String, hint: Option<String>, permanent: bool },
    /// The sender has nothing left to do.
    Done,
}

/// Writes a message as one frame: its length as u32, little-endian, and its bytes.
pub(super) fn write_message(to: &mut impl Write, message: &Message) -> io::Result<()> {
    let mut frame = vec![0; 4];
    frame = postcard::to_extend(message, frame).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)
}

/// Reads a message of at most `longest` bytes.
pub(super) fn read_message(from: &mut impl Read, longest: usize) -> io::Result<Message> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > longest {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    // Grows with what arrives: a length alone reserves nothing.
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// For `fuzz/`: whether bytes are a frame that a worker would take.
pub(crate) fn parse_message(bytes: &[u8]) -> bool {
    read_message(&mut &bytes[..], LONGEST_GREETING).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for message in [
            Message::Challenge { nonce: [7; 16] },
            Message::Agreed { complete: true },
            Message::Sums { step: 9, sums: vec![i32::MIN, 0, i32::MAX] },
            Message::Checkpoint { state: Some("{}".into()) },
            Message::Part { bytes: vec![0, 255] },
            Message::EndsEarly { ends: true },
            Message::Ended {
                worker: 1,
                what: "the disk is full".into(),
                hint: Some("free some of it".into()),
                permanent: false,
            },
        ] {
            let mut bytes = Vec::new();
            write_message(&mut bytes, &message).unwrap();
            assert_eq!(read_message(&mut bytes.as_slice(), LONGEST).unwrap(), message);
        }
    }

    #[test]
    fn bytes_of_anything_else_are_an_error_and_reserve_no_memory() {
        let http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(!parse_message(http));
        assert!(!parse_message(&u32::MAX.to_le_bytes()));
        assert!(!parse_message(&[]));
        assert!(!parse_message(&[9, 0, 0, 0, 1]));
        let long = [&(LONGEST_GREETING as u32 + 1).to_le_bytes()[..], &[0; 8]].concat();
        assert!(!parse_message(&long));
    }
}
