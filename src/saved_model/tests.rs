use std::fs;

use super::*;

/// A folder with a SavedModel of this description.
fn saved_model(description: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["saved_model.pb", VARIABLES, "assets.extra/serving/saved_model.pb"] {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::write(dir.path().join(ASSETS).join(FILE), description).unwrap();
    dir
}

/// What all descriptions have.
fn common() -> serde_json::Value {
    serde_json::json!({
        "contract_version": 1, "tfbert_version": "0.1.0", "head": "classify",
        "encoder": Encoder::toy(), "max_length": 16, "do_lower_case": true,
        "precisions": ["f32"], "weights_sha256": "",
    })
}

fn export() -> serde_json::Value {
    let mut export = common();
    export["signatures"] = serde_json::json!({ "init": { "inputs": {}, "outputs": {} } });
    export
}

fn training(name: &str) -> TrainingRecord {
    let mut task = crate::task::tasks()[0].clone();
    task.name = name.into();
    TrainingRecord {
        features: FeatureSettings::from_task(&task),
        task,
        labels: vec!["0".into(), "1".into()],
        precision: Precision::F32,
        metrics: BTreeMap::new(),
        null_threshold: None,
        scheme: None,
        label_thresholds: Vec::new(),
    }
}

#[test]
fn an_export_that_is_not_finished_is_refused_as_such() {
    let parent = tempfile::tempdir().unwrap();
    for name in [".classify.partial-7-c0ffee", ".classify.old-7-c0ffee"] {
        let dir = parent.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("saved_model.pb"), "").unwrap();
        let error = Export::read(&dir).unwrap_err();
        assert!(error.what().contains("not finished"), "{error}");
    }
    assert!(!is_unfinished(&parent.path().join("classify")));
    assert!(!is_unfinished(&parent.path().join(".classify")));
}

#[test]
fn an_export_of_another_contract_version_names_both() {
    let dir = saved_model("{\"contract_version\": 99}");
    let error = Export::read(dir.path()).unwrap_err();
    assert!(error.what().contains("version is 99, this tfbert reads 1 to 3"), "{error}");
}

#[test]
fn a_trained_task_whose_name_would_leave_its_folder_is_refused() {
    let read = |name: &str| {
        let mut description = common();
        description["trained"] = serde_json::to_value(training(name)).unwrap();
        TrainedModel::read(saved_model(&description.to_string()).path())
    };
    assert!(read("cola").is_ok());
    let error = read("../elsewhere").unwrap_err();
    assert!(error.what().contains("`name`"), "{error}");
}

#[test]
fn what_training_makes_of_an_export_is_read_as_a_trained_model_and_not_as_an_export() {
    let dir = saved_model(&export().to_string());
    let export = Export::read(dir.path()).unwrap();
    let error = TrainedModel::read(dir.path()).unwrap_err();
    assert!(error.hint_text().unwrap().contains("tfbert train"), "{error}");

    let dir = saved_model(&export.trained_json(training("cola")).unwrap());
    let trained = TrainedModel::read(dir.path()).unwrap();
    assert_eq!(trained.training, training("cola"));
    assert_eq!(trained.model, Description { dir: dir.path().to_owned(), ..export.model });
    let error = Export::read(dir.path()).unwrap_err();
    assert!(error.what().contains("a trained model"), "{error}");
}

#[test]
fn a_folder_without_a_saved_model_is_answered_with_the_export_command() {
    let dir = tempfile::tempdir().unwrap();
    let error = Export::read(dir.path()).unwrap_err();
    assert!(error.hint_text().unwrap().contains("python -m python_export"), "{error}");
    for (folder, head) in [("span", "span"), ("model", "classify")] {
        let error = Export::read(&dir.path().join(folder)).unwrap_err();
        let wanted = format!("--head {head} ");
        assert!(error.hint_text().unwrap().contains(&wanted), "{error}");
    }
}
