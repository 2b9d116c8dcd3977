//! The training file's features: tokenised before, or now.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use tfbert::cli::TrainArgs;
use tfbert::dataset::{self, Labels};
use tfbert::error::{Error, Result};
use tfbert::feature::{Cache, CacheKey, FeatureStore, StoreWriter};
use tfbert::files::fingerprint;
use tfbert::report::Progress;
use tfbert::run::DataRecord;
use tfbert::settings::TrainSettings;
use tfbert::stages::features;
use tfbert::task::{Format, Split, Task};

use crate::commands::{cache_folder, report_truncated, tokenizer, tokenizer_path};

/// What is read, and how it is cut.
pub(super) struct Input<'a> {
    pub(super) task: &'a Task,
    pub(super) split: &'a Split,
    pub(super) data_dir: &'a Path,
    /// The file as it is.
    pub(super) data: &'a DataRecord,
    pub(super) labels: &'a Labels,
    pub(super) settings: &'a TrainSettings,
    pub(super) model_dir: &'a Path,
}

impl Input<'_> {
    /// Features from the cache, which gets them if it lacks them.
    ///
    /// With them comes how long it took to tokenise, where that was done.
    pub(super) fn features(&self, args: &TrainArgs) -> Result<(FeatureStore, Option<Duration>)> {
        let mut took = None;
        let mut fill = |into: &mut StoreWriter| {
            let start = Instant::now();
            let filled = self.fill(into);
            took = Some(start.elapsed());
            filled
        };
        let store = match cache_folder(&args.cache).map(Cache::new) {
            Some(cache) => cache.get(&self.key(&self.tokenizer_sha256()?), fill),
            None => {
                let mut writer = StoreWriter::in_memory();
                fill(&mut writer).map(|()| writer.finish())
            }
        }?;
        let summary = store.summary();
        report_truncated(
            &self.split.name,
            summary.truncated,
            summary.examples,
            &self.settings.features,
        );
        Ok((store, took))
    }

    fn tokenizer_sha256(&self) -> Result<String> {
        Ok(fingerprint(&tokenizer_path(self.model_dir))?.sha256)
    }

    fn key<'k>(&'k self, tokenizer_sha256: &'k str) -> CacheKey<'k> {
        CacheKey {
            task: self.task,
            labels: self.labels.names(),
            features: self.settings.features,
            limit: self.settings.limit_train,
            data_sha256: &self.data.sha256,
            tokenizer_sha256,
        }
    }

    /// Reads and tokenises part by part.
    fn fill(&self, into: &mut StoreWriter) -> Result<()> {
        let tokenizer = tokenizer(self.model_dir)?;
        let lines = match self.task.format {
            Format::Squad => 0, // Its lines tell nothing of its length.
            _ => line_count(&self.data.path)?,
        };
        let mut progress = Progress::new("tokenise", lines, 0);
        let (task, limit) = (self.task, self.settings.limit_train);
        let mut done = 0;
        dataset::read_in_parts(task, self.split, self.data_dir, self.labels, limit, &mut |part| {
            let found = features(task.head, part, &tokenizer, &self.settings.features)?;
            into.append_part(part, &found)?;
            done += part.examples.len();
            let line = part.examples.last().map_or(0, |last| last.line);
            progress.update(if lines == 0 { done } else { line }, String::new);
            Ok(())
        })?;
        progress.finish();
        Ok(())
    }
}

fn line_count(path: &Path) -> Result<usize> {
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 16];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(lines),
            read => lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count(),
        }
    }
}
