//! TensorBoard's events: scalars in `events.out.tfevents.*`.
//!
//! A file is a row of TFRecords, each of a message `Event`.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::proto::{Event, Summary, SummaryValue};
use super::record::record;
use crate::error::{Error, Result};
use crate::files::names;
use crate::model::Scalars;

/// The events of a run.
#[derive(Debug)]
pub struct EventFile {
    dir: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl EventFile {
    /// Events in a run's folder; nothing is written before [`Scalars::open`].
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None }
    }

    /// The newest of the folder's event files.
    fn newest(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.dir).ok()?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let newest =
            names.filter(|name| name.to_string_lossy().starts_with(names::EVENTS_PREFIX)).max()?;
        Some(self.dir.join(newest))
    }

    fn begin(&mut self, path: PathBuf) -> Result<()> {
        let file = File::create(&path).map_err(|error| Error::io("write", &path, &error))?;
        self.open = Some(Open { path, file, bytes: 0 });
        self.append(&Event {
            wall_time: now(),
            file_version: Some("brain.Event:2".into()),
            ..Event::default()
        })
    }

    fn append(&mut self, event: &Event) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(Error::new("an event was written before its file was opened"));
        };
        let record = record(&event.encode_to_vec());
        open.file.write_all(&record).map_err(|error| Error::io("write", &open.path, &error))?;
        open.bytes += record.len() as u64;
        Ok(())
    }
}

impl Scalars for EventFile {
    fn open(&mut self, bytes: u64) -> Result<()> {
        let newest = self.newest();
        let fresh = || {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let host: String =
                host.trim().chars().filter(|c| c.is_alphanumeric() || *c == '-').collect();
            let host = if host.is_empty() { "localhost" } else { &host };
            self.dir.join(format!("{}{:010}.{host}", names::EVENTS_PREFIX, now() as u64))
        };
        let Some(path) = newest.clone().filter(|_| bytes > 0) else {
            let path = newest.unwrap_or_else(fresh);
            return self.begin(path);
        };
        let failed = |error: std::io::Error| Error::io("write", &path, &error);
        let mut file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < bytes {
            log::warn!(
                "{}: it has {found} bytes, expected the {bytes} of the checkpoint; TensorBoard's \
                 curves will have a gap",
                path.display()
            );
            return self.begin(fresh());
        }
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        self.open = Some(Open { path, file, bytes });
        Ok(())
    }

    fn write(&mut self, step: usize, values: &[(String, f64)]) -> Result<()> {
        let value = values
            .iter()
            .map(|(tag, value)| SummaryValue {
                tag: tag.clone(),
                simple_value: Some(*value as f32),
            })
            .collect();
        self.append(&Event {
            wall_time: now(),
            step: step as i64,
            summary: Some(Summary { value }),
            ..Event::default()
        })
    }

    fn sync(&mut self) -> Result<u64> {
        let Some(open) = &self.open else { return Ok(0) };
        open.file.sync_data().map_err(|error| Error::io("write", &open.path, &error))?;
        Ok(open.bytes)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of the folder's only file, lengths and checksums compared.
    fn events(dir: &Path) -> Vec<Event> {
        let path = EventFile::new(dir).newest().unwrap();
        let bytes = fs::read(path).unwrap();
        let (mut at, mut events) = (0, Vec::new());
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            let data = &bytes[at + 12..at + 12 + length];
            assert_eq!(record(data), bytes[at..at + 16 + length]);
            events.push(Event::decode(data).unwrap());
            at += 16 + length;
        }
        events
    }

    #[test]
    fn what_is_written_after_a_checkpoint_is_cut_when_a_run_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let value = |value: f64| [("train/loss".to_owned(), value)];
        let mut file = EventFile::new(dir.path());
        file.open(0).unwrap();
        file.write(1, &value(0.0)).unwrap();
        let bytes = file.sync().unwrap();
        file.write(2, &value(2.0)).unwrap();
        drop(file);
        let mut file = EventFile::new(dir.path());
        file.open(bytes).unwrap();
        file.write(3, &value(3.0)).unwrap();
        let events = events(dir.path());
        assert_eq!(events.iter().map(|event| event.step).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(events[1].summary.as_ref().unwrap().value[0].simple_value, Some(0.0));
    }
}
