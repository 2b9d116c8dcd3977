//! Takes a task's files out of a zip archive.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Result};
use crate::files::{DISK_HINT, PartialFile, free_bytes};

/// A file of an archive, and where it goes.
#[derive(Debug, PartialEq, Eq)]
struct Member {
    index: usize,
    bytes: u64,
    target: PathBuf,
}

/// Writes the files `wanted` and those with the terms into `folder`, each complete or not at all.
/// Returns the paths of those that the archive has.
///
/// # Errors
///
/// It is no archive, a member leads out of its folder, or the disk is full.
pub(crate) fn unpack(archive: &File, wanted: &[&str], folder: &Path) -> Result<Vec<PathBuf>> {
    let damaged = |error: ZipError| Error::new(format!("it is no sound zip archive: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(archive)).map_err(damaged)?;
    let members = choose(&mut archive, wanted, folder)?;
    check_room(folder, members.iter().map(|member| member.bytes).sum())?;
    let mut written = Vec::new();
    for member in &members {
        let failed = |error: io::Error| Error::io("write", &member.target, &error).hint(DISK_HINT);
        let mut content = archive.by_index(member.index).map_err(damaged)?;
        let mut partial = PartialFile::create(&member.target).map_err(failed)?;
        if let Err(error) = io::copy(&mut content, &mut partial.file) {
            partial.remove();
            return Err(failed(error));
        }
        written.push(partial);
    }
    for partial in &written {
        partial.rename().map_err(|error| Error::io("write", partial.target(), &error))?;
    }
    Ok(written.iter().map(|partial| partial.target().to_owned()).collect())
}

/// The members that are wanted: of several with one name, the one that lies highest.
fn choose(
    archive: &mut ZipArchive<BufReader<&File>>,
    wanted: &[&str],
    folder: &Path,
) -> Result<Vec<Member>> {
    let mut chosen: Vec<(usize, Member)> = Vec::new();
    for index in 0..archive.len() {
        let content = archive
            .by_index_raw(index)
            .map_err(|error| Error::new(format!("it is no sound zip archive: {error}")))?;
        let Some(path) = content.enclosed_name() else {
            let name = String::from_utf8_lossy(content.name_raw()).into_owned();
            return Err(Error::new(format!(
                "the archive has a member that leads out of its folder: `{name}`"
            ))
            .hint("nothing was unpacked; this is not the published file"));
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_other = path.starts_with("__MACOSX") || !content.is_file();
        if is_other || !wanted.contains(&name.as_str()) && !is_about_terms(&name) {
            continue;
        }
        let depth = path.components().count();
        let target = folder.join(&name);
        let member = Member { index, bytes: content.size(), target };
        match chosen.iter_mut().find(|(_, known)| known.target == member.target) {
            Some(known) if depth < known.0 => *known = (depth, member),
            Some(_) => {}
            None => chosen.push((depth, member)),
        }
    }
    // Terms of something that lies deeper are not those of these files.
    let top = chosen.iter().map(|(depth, _)| *depth).min().unwrap_or(0);
    chosen.retain(|(depth, member)| {
        let name = member.target.file_name().unwrap_or_default().to_string_lossy();
        *depth == top || wanted.contains(&&*name)
    });
    Ok(chosen.into_iter().map(|(_, member)| member).collect())
}

/// `LICENSE.txt`, `readme.txt` and the like.
fn is_about_terms(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["license", "licence", "readme"].iter().any(|start| name.starts_with(start))
}

/// Refuses to begin where the disk has less room than is needed.
pub(super) fn check_room(folder: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(folder).map_err(|error| Error::io("read", folder, &error))?;
    if free >= needed {
        return Ok(());
    }
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Err(Error::new(format!("{:.1} MB are needed, and the disk has {:.1} MB", mb(needed), mb(free)))
        .at(folder)
        .hint("make room, or name a folder on another disk with `--data-dir DIR`"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(members: &[(&str, &str)]) -> File {
        let mut writer = ZipWriter::new(tempfile::tempfile().unwrap());
        for (name, text) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn the_wanted_files_are_taken_from_the_highest_folder_with_their_terms() {
        let dir = tempfile::tempdir().unwrap();
        let file = archive(&[
            ("__MACOSX/RTE/train.tsv", "mac"),
            ("RTE/original/train.tsv", "original"),
            ("RTE/original/README.md", "original"),
            ("RTE/train.tsv", "train"),
            ("RTE/dev.tsv", "dev"),
            ("RTE/LICENSE.txt", "terms"),
            ("RTE/else.tsv", "else"),
        ]);
        let wanted = ["train.tsv", "dev.tsv", "test.tsv"];
        let mut written = unpack(&file, &wanted, dir.path()).unwrap();
        written.sort();
        let expected = ["LICENSE.txt", "dev.tsv", "train.tsv"].map(|name| dir.path().join(name));
        assert_eq!(written, expected);
        assert_eq!(fs::read_to_string(&expected[2]).unwrap(), "train");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_member_that_leads_out_of_the_folder_and_a_file_that_is_no_archive_write_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("RTE");
        let file = archive(&[("RTE/train.tsv", "train"), ("../../dev.tsv", "dev")]);
        let error = unpack(&file, &["train.tsv", "dev.tsv"], &folder).unwrap_err();
        assert!(error.what().contains("`../../dev.tsv`"), "{error}");
        let mut text = tempfile::tempfile().unwrap();
        text.write_all(b"<html>not found</html>").unwrap();
        let error = unpack(&text, &["train.tsv"], &folder).unwrap_err();
        assert!(error.what().contains("no sound zip archive"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
