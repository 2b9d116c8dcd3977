use std::cell::Cell;
use std::fs;

use super::*;
use crate::dataset::{Example, Input};
use crate::feature::FeatureSettings;
use crate::files::{PartialFile, partial_path};
use crate::task;

fn sentences(count: usize) -> (Dataset, Features) {
    let mut features = Features::default();
    let mut examples = Vec::new();
    for i in 0..count {
        let ids: Vec<i32> = (0..3 + i % 5).map(|j| (i * 1000 + j) as i32).collect();
        let sequence = Sequence { input_ids: &ids, second_segment: 2 };
        features.push(i, &[sequence], FeatureTarget::Class((i % 3) as i32));
        let input = Input::Text { text: String::new(), text_pair: None };
        let target = Some(Target::Class(i % 3));
        examples.push(Example { id: i.to_string(), line: i + 1, input, target });
    }
    (Dataset { path: "train.tsv".into(), examples, split: "train".into() }, features)
}

fn assert_holds(store: &FeatureStore, features: &Features) {
    assert_eq!(FeatureSizes::len(store), features.len());
    assert_eq!(store.summary().tokens, features.tokens());
    let order: Vec<usize> = (0..features.len()).rev().collect();
    let loaded = store.load(&order).unwrap();
    for (i, &feature) in order.iter().enumerate() {
        assert_eq!(store.length(feature), features.length(feature));
        assert_eq!(loaded.sequences(i), features.sequences(feature));
        for sequence in 0..features.sequences(feature) {
            assert_eq!(loaded.sequence(i, sequence), features.sequence(feature, sequence));
        }
        assert_eq!(loaded.target(i), features.target(feature));
    }
}

fn key(task: &task::Task) -> CacheKey<'_> {
    CacheKey {
        task,
        labels: &[],
        features: FeatureSettings::from_task(task),
        limit: None,
        data_sha256: "a",
        tokenizer_sha256: "b",
    }
}

/// Gets the features of a key, and whether they had to be made.
fn get(cache: &Cache, key: &CacheKey<'_>, count: usize) -> (FeatureStore, bool) {
    let filled = Cell::new(false);
    let store = cache.get(key, |into| {
        filled.set(true);
        let (dataset, features) = sentences(count);
        into.append_part(&dataset, &features)
    });
    (store.unwrap(), filled.get())
}

#[test]
fn every_kind_of_feature_is_read_back_as_it_was() {
    let mut features = Features::default();
    let one = Sequence { input_ids: &[101, 30521, 102], second_segment: 3 };
    let two = Sequence { input_ids: &[101, 102, 5, -1, 102], second_segment: 2 };
    features.push(0, &[one, two], FeatureTarget::Class(1));
    features.push(1, &[two, one], FeatureTarget::Score(-0.1));
    features.push(2, &[one, one], FeatureTarget::Span(0, 300));
    features.push(3, &[one, two], FeatureTarget::Tags([-1, 2, 0].into()));
    features.push(4, &[one, two], FeatureTarget::None);
    assert_holds(&FeatureStore::in_memory(&features), &features);
}

#[test]
fn what_was_tokenised_once_is_found_again_and_counts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().join("new/folder"));
    let task = task::find("sst2").unwrap();
    let (store, filled) = get(&cache, &key(&task), 50);
    assert!(filled);
    assert_holds(&store, &sentences(50).1);
    assert_eq!(store.summary().label_counts, [17, 17, 16]);
    let (again, filled) = get(&cache, &key(&task), 50);
    assert!(!filled);
    assert_holds(&again, &sentences(50).1);
    assert_eq!(again.summary(), store.summary());
}

#[test]
fn whatever_features_depend_on_makes_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().into());
    let (sst2, cola) = (task::find("sst2").unwrap(), task::find("cola").unwrap());
    let features = FeatureSettings { max_length: 9, ..FeatureSettings::from_task(&sst2) };
    let labels = ["yes".to_owned()];
    for other in [
        key(&sst2),
        key(&cola),
        CacheKey { labels: &labels, ..key(&sst2) },
        CacheKey { features, ..key(&sst2) },
        CacheKey { limit: Some(50), ..key(&sst2) },
        CacheKey { data_sha256: "c", ..key(&sst2) },
        CacheKey { tokenizer_sha256: "c", ..key(&sst2) },
    ] {
        assert!(get(&cache, &other, 5).1, "{other:?}");
        assert!(!get(&cache, &other, 5).1, "{other:?}");
    }
}

#[test]
fn a_damaged_file_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().into());
    let task = task::find("sst2").unwrap();
    get(&cache, &key(&task), 20);
    let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let (store, filled) = get(&cache, &key(&task), 20);
        assert!(filled, "byte {at}");
        assert_holds(&store, &sentences(20).1);
        fs::write(&path, &whole[..at]).unwrap();
        assert!(get(&cache, &key(&task), 20).1, "cut at {at}");
    }
    assert!(!get(&cache, &key(&task), 20).1);
}

#[test]
fn a_folder_that_cannot_be_written_costs_only_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let task = task::find("sst2").unwrap();
    let cache = Cache::new(file.join("below"));
    for _ in 0..2 {
        let (store, filled) = get(&cache, &key(&task), 20);
        assert!(filled);
        assert_holds(&store, &sentences(20).1);
    }
}

#[test]
fn a_disk_that_fills_costs_only_the_cache() {
    // Every write to this device fails as on a full disk.
    let full = fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let partial = PartialFile::create(&dir.path().join("features")).unwrap();
    let mut writer = StoreWriter::in_file(partial);
    writer.replace_file(full);
    let (dataset, features) = sentences(20);
    writer.append_part(&dataset, &features).unwrap();
    assert_holds(&writer.finish(), &features);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_fills_the_disk_midway_goes_on_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("features");
    let path = partial_path(&target);
    let mut all = Features::default();
    let mut writer = StoreWriter::in_file(PartialFile::create(&target).unwrap());
    let (dataset, features) = sentences(20);
    for part in 0..3 {
        if part == 1 {
            // From here on the file can only be read.
            writer.replace_file(fs::File::open(&path).unwrap());
        }
        writer.append_part(&dataset, &features).unwrap();
        for i in 0..features.len() {
            all.push(all.len(), &[features.sequence(i, 0)], features.target(i).clone());
        }
    }
    assert_holds(&writer.finish(), &all);
    assert!(!path.exists());
}

#[test]
fn while_another_process_writes_the_file_the_features_stay_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().into());
    let task = task::find("sst2").unwrap();
    let store = cache.get(&key(&task), |into| {
        assert!(get(&cache, &key(&task), 20).1);
        let (dataset, features) = sentences(20);
        into.append_part(&dataset, &features)
    });
    assert_holds(&store.unwrap(), &sentences(20).1);
    assert!(!get(&cache, &key(&task), 20).1);
}

#[test]
fn an_example_without_a_target_names_its_line_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path().into());
    let task = task::find("sst2").unwrap();
    let failed = cache.get(&key(&task), |into| {
        let (mut dataset, features) = sentences(20);
        dataset.examples[7].target = None;
        into.append_part(&dataset, &features)
    });
    assert_eq!(failed.unwrap_err().place().unwrap().line, Some(8));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
