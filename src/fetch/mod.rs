//! `tfbert data fetch`: the files of a built-in task from where they are published.

use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{PartialFile, hash_reader, hex, write_file};
use crate::task::{Download, Holds, Source, Split, Task, source};

mod client;
mod mrpc;
mod unpack;

pub(crate) use unpack::unpack;

use client::{Client, MIRROR_VARIABLE};

/// What is fetched, and how.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// The folder of the data sets.
    pub data_dir: &'a Path,
    /// SHA-256 of files that are taken although they are not the published ones.
    pub accepted: &'a [String],
    /// Whether files that are there are replaced.
    pub overwrite: bool,
}

impl Fetch<'_> {
    /// Fetches the files of a task: the paths of those that were written, none where they were
    /// fetched before.
    ///
    /// # Errors
    ///
    /// The task's files cannot be fetched freely, other files are in their place, the transfer fails,
    /// a file is not the published one, or the disk is full.
    pub fn task(&self, task: &Task) -> Result<Vec<PathBuf>> {
        let source = source_of(task)?;
        let folder = self.data_dir.join(&task.folder);
        let note = folder.join(format!("SOURCE-{}.txt", task.name));
        let is_there = |split: &&Split| task.path(split, self.data_dir).is_file();
        let needed = || {
            task.train
                .iter()
                .chain(&task.dev)
                .chain(task.test.iter().filter(|_| task.train.is_none()))
        };
        if !self.overwrite {
            if note.is_file() && needed().all(|split| is_there(&split)) {
                log::info!("{}: the files of {} were fetched before", folder.display(), task.name);
                return Ok(Vec::new());
            }
            if let Some(known) = task.splits().find(is_there) {
                return Err(others_are_there(task, &task.path(known, self.data_dir)));
            }
        }
        log::info!("{}: licence: {}", task.name, source.licence);
        log::info!("{}: please cite {}", task.name, source.citation);
        let client = Client::new(std::env::var(MIRROR_VARIABLE).ok())?;
        let get = |download| self.download(&client, download, &folder);
        // None is put into its place before all are there: what is in its place is complete.
        let fetched: Vec<Fetched> = source.downloads.iter().map(get).collect::<Result<_>>()?;
        let mut written = Vec::new();
        let mut lines = Vec::new();
        for fetched in fetched {
            lines.push(format!("{}\n  sha256 {}", fetched.address, fetched.sha256));
            written.extend(fetched.place(task, &folder)?);
        }
        if task.name == "mrpc" {
            written.extend(mrpc::split(&folder)?);
        }
        if let Some(missing) = needed().find(|split| !is_there(split)) {
            return Err(Error::new(format!("the archive has no `{}`", missing.file)).at(&folder));
        }
        let note_text = format!(
            "Fetched for the task `{}` from\n{}\n\nLicence: {}\nPage: {}\nPlease cite: {}\n",
            task.name,
            lines.join("\n"),
            source.licence,
            source.page,
            source.citation
        );
        write_file(&note, &note_text)?;
        Ok(written)
    }

    /// Downloads one file beside its place, and checks that it is the published one.
    fn download(&self, client: &Client, download: &Download, folder: &Path) -> Result<Fetched> {
        let address = client.address(download.url);
        let name = download.url.rsplit('/').next().unwrap_or_default();
        let target = match download.holds {
            Holds::File(file) => folder.join(file),
            Holds::Archive => folder.join(name),
        };
        let mut partial = PartialFile::resume(&target).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                Error::new("another process fetches this file").at(&target)
            }
            _ => Error::io("write", &target, &error)
                .hint("name another folder with `--data-dir DIR`"),
        })?;
        let there = partial.file.metadata().map_or(0, |facts| facts.len());
        let may_be_complete = there == download.bytes || there > 0 && !self.accepted.is_empty();
        let is_complete = may_be_complete && self.takes(&sha256(&mut partial, &target)?, download);
        if !is_complete {
            unpack::check_room(folder, download.bytes.saturating_sub(there))?;
            log::info!("{name}: {} kB from {address}", download.bytes.div_ceil(1000));
            let transfer =
                client.download(download.url, &partial.file, partial.path(), download.bytes);
            if transfer.is_err() && partial.file.metadata().is_ok_and(|facts| facts.len() == 0) {
                partial.remove();
            }
            transfer?;
        }
        let sha256 = sha256(&mut partial, &target)?;
        if !self.takes(&sha256, download) {
            partial.remove();
            return Err(Error::new(format!(
                "{address}: its SHA-256 is {sha256}, and that of the published file is {}",
                download.sha256
            ))
            .hint(format!(
                "try again, without a mirror if there is one; if you trust what this server has, \
                 `--accept-hash {sha256}` takes it"
            )));
        }
        if sha256 != download.sha256 {
            log::warn!("{address}: taken, although it is not the published file (`--accept-hash`)");
        }
        Ok(Fetched { partial, address, sha256, holds: download.holds })
    }

    /// Whether a file of this hash is the published one, or one that the user accepts.
    fn takes(&self, sha256: &str, download: &Download) -> bool {
        let mut accepted = self.accepted.iter();
        sha256 == download.sha256 || accepted.any(|hash| hash.eq_ignore_ascii_case(sha256))
    }
}

/// A file that was downloaded and checked.
struct Fetched {
    partial: PartialFile,
    address: String,
    sha256: String,
    holds: Holds,
}

/// The source of a task's files.
fn source_of(task: &Task) -> Result<&'static Source> {
    let known = source(&task.name).filter(|_| task.base.is_none());
    let source = known.ok_or_else(|| {
        Error::usage(format!(
            "the files of task `{}` are published nowhere: they are your own",
            task.name
        ))
        .hint("`tfbert tasks` lists the tasks whose files can be fetched")
    })?;
    if source.downloads.is_empty() {
        return Err(Error::new(format!(
            "the files of task `{}` cannot be fetched: their licence does not let anybody publish them",
            task.name
        ))
        .hint(source.page));
    }
    Ok(source)
}

/// Files that were not fetched are in the place.
fn others_are_there(task: &Task, path: &Path) -> Error {
    Error::usage("there is a file already, which `tfbert data fetch` did not write").at(path).hint(
        format!(
            "fetch into another folder with `tfbert data fetch {} --data-dir DIR`, or replace the \
             files with `--overwrite`",
            task.name
        ),
    )
}

fn sha256(partial: &mut PartialFile, target: &Path) -> Result<String> {
    let hash = partial.file.seek(SeekFrom::Start(0)).and_then(|_| hash_reader(&mut partial.file));
    hash.map(|(_, hash)| hex(&hash)).map_err(|error| Error::io("read", target, &error))
}

impl Fetched {
    /// Puts the files where the task reads them.
    fn place(self, task: &Task, folder: &Path) -> Result<Vec<PathBuf>> {
        match self.holds {
            Holds::File(_) => {
                let target = self.partial.target();
                self.partial.rename().map_err(|error| Error::io("write", target, &error))?;
                Ok(vec![target.to_owned()])
            }
            Holds::Archive => {
                let wanted: Vec<&str> = task.splits().map(|split| split.file.as_str()).collect();
                let written = unpack(&self.partial.file, &wanted, folder)
                    .map_err(|error| error.context(&self.address))?;
                self.partial.remove();
                Ok(written)
            }
        }
    }
}
