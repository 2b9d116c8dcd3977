//! SHA-256, and its hexadecimal form.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
pub use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Size and SHA-256 of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let (bytes, hash) = hash_reader(&mut File::open(path)?)?;
        Ok(Self { bytes, sha256: hex(&hash) })
    }
}

/// As [`Fingerprint::of_file`], with an error for people.
///
/// # Errors
///
/// The file cannot be read.
pub fn fingerprint(path: &Path) -> Result<Fingerprint> {
    Fingerprint::of_file(path).map_err(|error| Error::io("read", path, &error))
}

/// Reads to the end: the number of bytes, and their SHA-256.
///
/// # Errors
///
/// The reader fails.
pub fn hash_reader(reader: &mut impl Read) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((bytes, hasher.finalize().into())),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// Bytes in hexadecimal, two lower-case digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_abc_is_that_of_the_standard() {
        let (bytes, hash) = hash_reader(&mut &b"abc"[..]).unwrap();
        assert_eq!(bytes, 3);
        // FIPS 180-4's example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&hash), expected);
    }
}
