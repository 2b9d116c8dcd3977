//! The training file's features, from the cache or tokenised now.

use std::time::{Duration, Instant};

use tfbert::cli::TrainArgs;
use tfbert::dataset::{DataSource, log_repairs};
use tfbert::error::{Error, Result};
use tfbert::feature::{Cache, CacheKey, FeatureStore, StoreWriter};
use tfbert::files::fingerprint;
use tfbert::report::Progress;
use tfbert::run::DataRecord;
use tfbert::saved_model::Description;
use tfbert::settings::TrainSettings;
use tfbert::stages::features;

use crate::commands::{cache_folder, report_cut};

/// What is read, and how it is cut.
pub(super) struct Input<'a> {
    /// The training file.
    pub(super) source: &'a DataSource<'a>,
    /// Its path and checksum.
    pub(super) data: &'a DataRecord,
    pub(super) settings: &'a TrainSettings,
    /// The model that the features are for.
    pub(super) model: &'a Description,
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
        log_repairs(&self.data.path, &summary.repairs);
        report_cut(self.source, summary.truncated, summary.examples, &self.settings.features);
        Ok((store, took))
    }

    fn tokenizer_sha256(&self) -> Result<String> {
        Ok(fingerprint(&self.model.tokenizer())?.sha256)
    }

    fn key<'k>(&'k self, tokenizer_sha256: &'k str) -> CacheKey<'k> {
        CacheKey {
            task: self.source.task,
            labels: self.source.labels.names(),
            features: self.settings.features,
            limit: self.source.limit,
            data_sha256: &self.data.sha256,
            tokenizer_sha256,
        }
    }

    /// Reads and tokenises part by part.
    fn fill(&self, into: &mut StoreWriter) -> Result<()> {
        let tokenizer = self.model.read_tokenizer(self.source.task)?;
        let path = &self.data.path;
        let size = std::fs::metadata(path).map_err(|error| Error::io("read", path, &error))?.len();
        let mut progress = Progress::of_bytes("tokenise", size, 0);
        let repairs = self.source.read_in_parts(|part, position| {
            let found = features(self.source.task.head, part, &tokenizer, &self.settings.features)?;
            into.append_part(part, &found)?;
            let done = position.bytes.min(size) as usize;
            progress.update(done, || format!("{} examples", position.examples));
            Ok(())
        })?;
        into.set_repairs(repairs);
        progress.finish();
        Ok(())
    }
}
