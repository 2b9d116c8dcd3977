//! The file that a stream of predictions is written to: it is whole or absent, and what was written of
//! it before an interruption is continued.

use std::fs::{self, File};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Window;
use crate::dataset::{InputFile, InputRow};
use crate::error::{Error, Result};
use crate::files::{DISK_HINT, PartialFile, partial_path};
use crate::report::{RowWriter, Written};

/// How an output begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// There must be no file.
    New,
    /// What is there is replaced.
    Overwrite,
    /// The rows that are there stay, and those that lack are added.
    Resume,
}

/// An output that is being written.
pub struct RowFile {
    file: PartialFile,
    writer: RowWriter,
    target: PathBuf,
    /// Rows that were there.
    rows: usize,
}

impl RowFile {
    /// Refuses a target that `mode` does not fit, and changes nothing.
    ///
    /// # Errors
    ///
    /// There is an output already, whole or begun, or the target is the file to predict.
    pub fn check(target: &Path, input: &Path, mode: OutputMode) -> Result<()> {
        let same = |path: &Path| path.canonicalize().ok();
        if target.exists() && same(target) == same(input) {
            return Err(Error::usage("the output is the file to predict")
                .at(target)
                .hint("choose another `--output`"));
        }
        if mode != OutputMode::New {
            return Ok(());
        }
        if target.exists() {
            return Err(Error::usage("the output is there already")
                .at(target)
                .hint("replace it with `--overwrite`, or choose another `--output`"));
        }
        if partial_path(target).exists() {
            return Err(Error::usage("an output that was interrupted is there")
                .at(&partial_path(target))
                .hint("continue it with `--resume`, or start over with `--overwrite`"));
        }
        Ok(())
    }

    /// Opens the output of the rows of `input`.
    ///
    /// # Errors
    ///
    /// The file cannot be written, another process writes it, or what is there is of other rows.
    pub fn open(
        target: &Path,
        mode: OutputMode,
        mut writer: RowWriter,
        input: &InputFile<'_>,
    ) -> Result<Self> {
        Self::check(target, input.path(), mode)?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::WouldBlock => {
                Error::new("another tfbert writes this output").at(target)
            }
            _ => Error::io("write", target, &error).hint(DISK_HINT),
        };
        if mode != OutputMode::Resume {
            let file = PartialFile::create(target).map_err(failed)?;
            return Ok(Self { file, writer, target: target.to_owned(), rows: 0 });
        }
        let partial = partial_path(target);
        let is_whole = !partial.exists() && target.exists();
        let known = if is_whole { target } else { &partial };
        let (rows, bytes) = match File::open(known) {
            Ok(output) => written(&mut writer, input, output).map_err(|error| error.at(known))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (0, 0),
            Err(error) => return Err(Error::io("read", known, &error)),
        };
        if is_whole {
            fs::rename(target, &partial).map_err(failed)?;
        }
        let mut file = PartialFile::resume(target).map_err(failed)?;
        file.file.set_len(bytes).map_err(failed)?;
        file.file.seek(SeekFrom::End(0)).map_err(failed)?;
        if rows > 0 {
            log::info!("{}: {rows} rows are there already", target.display());
        }
        Ok(Self { file, writer, target: target.to_owned(), rows })
    }

    /// Rows that need not be predicted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.file.file.metadata().is_ok_and(|data| data.len() == 0)
    }

    /// Removes an output without rows, of a command that failed before the first.
    pub fn discard(self) {
        let partial = partial_path(&self.target);
        drop(self.file);
        // One that stays is continued or replaced by the next command.
        let _ = fs::remove_file(partial);
    }

    /// Adds rows and their predictions.
    ///
    /// # Errors
    ///
    /// A row does not fit the output's form, or the disk is full.
    pub fn write(&mut self, window: Window) -> Result<()> {
        let mut text = Vec::new();
        let rows = window.rows.iter().zip(&window.examples).zip(window.objects);
        let mut wrong = None;
        for ((row, example), object) in rows {
            let length = text.len();
            if let Err(error) = self.writer.write(row, example, object, &mut text) {
                text.truncate(length);
                wrong = Some(error.context(format!("the row of line {}", example.line)));
                break;
            }
        }
        self.append(&text)?;
        wrong.map_or(Ok(()), |error| Err(error.at(&self.target)))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.file.write_all(bytes).map_err(|error| {
            Error::io("write", &self.target, &error)
                .hint(format!("{DISK_HINT}; `--resume` then continues"))
        })
    }

    /// Ends the output and gives it its name.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub fn finish(mut self) -> Result<()> {
        self.append(self.writer.end())?;
        let end = self.file.file.sync_all().and_then(|()| self.file.rename());
        end.map_err(|error| Error::io("write", &self.target, &error).hint(DISK_HINT))
    }
}

/// The rows that an output has, compared with those of the input, and the bytes that they take.
fn written(writer: &mut RowWriter, input: &InputFile<'_>, output: File) -> Result<(usize, u64)> {
    let mut output = BufReader::new(output);
    let Some(mut bytes) = writer.read_beginning(&mut output)? else { return Ok((0, 0)) };
    let mut rows = input.rows()?;
    let mut count = 0;
    while let Some(InputRow { row, example }) = rows.advance()? {
        match writer.skip(&row, &example, &mut output)? {
            Written::Row(length) => {
                bytes += length;
                count += 1;
            }
            Written::Torn => return Ok((count, bytes)),
        }
    }
    Ok((count, bytes))
}
