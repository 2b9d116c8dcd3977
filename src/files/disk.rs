//! How much room a disk has.

use std::io;
use std::path::Path;

/// The bytes that this user can still write to the disk of a folder, or of the nearest folder above
/// it that exists.
///
/// # Errors
///
/// The disk does not answer.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let absolute = std::path::absolute(folder)?;
    let exists = absolute.ancestors().find(|path| path.exists());
    let disk = rustix::fs::statvfs(exists.unwrap_or(Path::new("/")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_has_the_room_of_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(&dir.path().join("not/there")).unwrap() > 0);
    }
}
