//! TensorBoard's events in `events.out.tfevents.*`: scalars, curves of precision and recall, and a run's
//! settings as text and for the HParams dashboard.
//!
//! A file is a row of TFRecords, each of a message `Event`.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::proto::{
    Event, HParamsPluginData, PluginData, PrCurvePluginData, ProtoValue, SessionEndInfo,
    SessionStartInfo, Summary, SummaryMetadata, SummaryValue, TensorDim, TensorProto,
    TensorShapeProto,
};
use super::record::record;
use crate::error::{Error, Result};
use crate::files::names;
use crate::model::{CurveRows, Scalars, Settings};

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

/// `DT_FLOAT` and `DT_STRING` of `tensorflow.DataType`.
const FLOAT: i32 = 1;
const STRING: i32 = 7;
/// `STATUS_SUCCESS` of `tensorboard.hparams.Status`.
const SUCCESS: i32 = 1;

/// A value that a plugin shows.
fn plugin_value(tag: &str, plugin: &str, content: Vec<u8>, tensor: TensorProto) -> SummaryValue {
    let plugin_data = Some(PluginData { plugin_name: plugin.into(), content });
    SummaryValue {
        tag: tag.into(),
        simple_value: None,
        tensor: Some(tensor),
        metadata: Some(SummaryMetadata { plugin_data }),
    }
}

/// A tensor without values.
fn tensor(dtype: i32, shape: &[usize]) -> TensorProto {
    let dim = shape.iter().map(|&size| TensorDim { size: size as i64 }).collect();
    TensorProto { dtype, tensor_shape: Some(TensorShapeProto { dim }), ..TensorProto::default() }
}

/// A value of the HParams dashboard, all of which is in its metadata.
fn hparams_value(tag: &str, data: &HParamsPluginData) -> SummaryValue {
    let tensor = TensorProto { float_val: vec![0.0], ..tensor(FLOAT, &[]) };
    plugin_value(tag, "hparams", data.encode_to_vec(), tensor)
}

/// A setting as the HParams dashboard has it; what has no value is left out.
fn hparam(value: &serde_json::Value) -> Option<ProtoValue> {
    use serde_json::Value;
    let none = ProtoValue::default();
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(ProtoValue { bool_value: Some(*value), ..none }),
        Value::Number(number) => Some(ProtoValue { number_value: number.as_f64(), ..none }),
        Value::String(text) => Some(ProtoValue { string_value: Some(text.clone()), ..none }),
        other => Some(ProtoValue { string_value: Some(other.to_string()), ..none }),
    }
}

impl EventFile {
    fn append_values(&mut self, step: usize, value: Vec<SummaryValue>) -> Result<()> {
        self.append(&Event {
            wall_time: now(),
            step: step as i64,
            summary: Some(Summary { value }),
            ..Event::default()
        })
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
        let value = |(tag, value): &(String, f64)| SummaryValue {
            tag: tag.clone(),
            simple_value: Some(*value as f32),
            ..SummaryValue::default()
        };
        self.append_values(step, values.iter().map(value).collect())
    }

    fn describe(&mut self, settings: &Settings, text: &str) -> Result<()> {
        let hparams =
            settings.iter().filter_map(|(name, value)| Some((name.clone(), hparam(value)?)));
        let start = SessionStartInfo { hparams: hparams.collect() };
        let data = HParamsPluginData { session_start_info: Some(start), ..Default::default() };
        let string_val = vec![text.as_bytes().to_vec()];
        let tensor = TensorProto { string_val, ..tensor(STRING, &[]) };
        self.append_values(
            0,
            vec![
                hparams_value("_hparams_/session_start_info", &data),
                plugin_value("settings", "text", Vec::new(), tensor),
            ],
        )
    }

    fn complete(&mut self) -> Result<()> {
        let end = SessionEndInfo { status: SUCCESS };
        let data = HParamsPluginData { session_end_info: Some(end), ..Default::default() };
        self.append_values(0, vec![hparams_value("_hparams_/session_end_info", &data)])
    }

    fn write_curves(&mut self, step: usize, curves: &[(String, CurveRows)]) -> Result<()> {
        let Some((_, rows)) = curves.first() else { return Ok(()) };
        let width = rows[0].len();
        let data = PrCurvePluginData { num_thresholds: width as u32, ..Default::default() };
        let value = |(tag, rows): &(String, CurveRows)| {
            let tensor =
                TensorProto { float_val: rows.concat(), ..tensor(FLOAT, &[rows.len(), width]) };
            plugin_value(tag, "pr_curves", data.encode_to_vec(), tensor)
        };
        self.append_values(step, curves.iter().map(value).collect())
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

    #[test]
    fn a_curve_is_a_tensor_of_six_rows_for_the_pr_curves_dashboard() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EventFile::new(dir.path());
        file.open(0).unwrap();
        let rows: CurveRows = std::array::from_fn(|i| vec![i as f32; 201]);
        file.write_curves(7, &[("dev/precision_recall/1".to_owned(), rows)]).unwrap();
        file.write_curves(8, &[]).unwrap();
        let events = events(dir.path());
        assert_eq!(events.iter().map(|event| event.step).collect::<Vec<_>>(), [0, 7]);
        let value = &events[1].summary.as_ref().unwrap().value[0];
        let plugin = value.metadata.as_ref().unwrap().plugin_data.as_ref().unwrap();
        assert_eq!(plugin.plugin_name, "pr_curves");
        let data = PrCurvePluginData::decode(plugin.content.as_slice()).unwrap();
        assert_eq!(data, PrCurvePluginData { version: 0, num_thresholds: 201 });
        let tensor = value.tensor.as_ref().unwrap();
        let sizes: Vec<i64> =
            tensor.tensor_shape.as_ref().unwrap().dim.iter().map(|dim| dim.size).collect();
        assert_eq!(sizes, [6, 201]);
        assert_eq!(tensor.float_val.len(), 6 * 201);
        assert_eq!(tensor.float_val[201], 1.0);
    }

    #[test]
    fn settings_come_first_as_text_and_for_the_hparams_dashboard() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::from([
            ("learning_rate".to_owned(), 1e-4.into()),
            ("precision".to_owned(), "f32".into()),
            ("max_steps".to_owned(), serde_json::Value::Null),
            ("amsgrad".to_owned(), false.into()),
        ]);
        let mut file = EventFile::new(dir.path());
        file.open(0).unwrap();
        file.describe(&settings, "| setting |").unwrap();
        file.complete().unwrap();
        let events = events(dir.path());
        let values: Vec<_> =
            events[1..].iter().flat_map(|e| &e.summary.as_ref().unwrap().value).collect();
        let plugin = |i: usize| values[i].metadata.as_ref().unwrap().plugin_data.as_ref().unwrap();
        assert_eq!(plugin(0).plugin_name, "hparams");
        let start = HParamsPluginData::decode(plugin(0).content.as_slice()).unwrap();
        let hparams = start.session_start_info.unwrap().hparams;
        assert_eq!(hparams.keys().collect::<Vec<_>>(), ["amsgrad", "learning_rate", "precision"]);
        assert_eq!(hparams["learning_rate"].number_value, Some(1e-4));
        assert_eq!(hparams["amsgrad"].bool_value, Some(false));
        assert_eq!(plugin(1).plugin_name, "text");
        assert_eq!(values[1].tensor.as_ref().unwrap().string_val, [b"| setting |"]);
        let end = HParamsPluginData::decode(plugin(2).content.as_slice()).unwrap();
        assert_eq!(end.session_end_info.unwrap().status, SUCCESS);
    }
}
