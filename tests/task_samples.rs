//! Every task from its sample files to its metrics, with a predictor that knows the answers.

use std::path::Path;

use tfbert::dataset::{self, DataSource, Dataset, Labels};
use tfbert::feature::{FeatureSettings, FeatureTarget, Features, NO_TAG, Tokenizer};
use tfbert::metric::MetricName;
use tfbert::prediction::{FeatureLogits, Prediction, PredictionSettings};
use tfbert::scores::Scores;
use tfbert::stages::{features, predictions, score, write_predictions};
use tfbert::task::{self, Head, Split, Task};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tokenizer() -> Tokenizer {
    Tokenizer::read(&repository().join("tests/golden/uncased_tokenizer.json")).unwrap()
}

/// Logits that say what the targets say, and nothing where there is no target.
fn perfect_logits(task: &Task, features: &Features, labels: &Labels) -> FeatureLogits {
    let mut all = FeatureLogits::new(features.len());
    let width = task.head.logits_width(labels.len());
    for feature in 0..features.len() {
        let rows = match task.head {
            Head::Classify | Head::Multilabel | Head::Regress => 1,
            Head::Choice => features.sequences(feature),
            Head::Span | Head::Tag => features.length(feature),
            Head::Masked => 2,
        };
        let mut logits = vec![0.0; rows * width];
        match features.target(feature) {
            FeatureTarget::None => {}
            FeatureTarget::Class(class) => logits[*class as usize] = 1.0,
            FeatureTarget::Score(score) => logits[0] = *score,
            FeatureTarget::Labels { labels, .. } => {
                logits.fill(-1.0);
                labels.iter().for_each(|&label| logits[label as usize] = 1.0);
            }
            FeatureTarget::Span(0, 0) if !task.version_2_with_negative => {}
            FeatureTarget::Span(start, end) => {
                let certainty = if *start == 0 { 1.0 } else { 10.0 };
                logits[*start as usize * width] = certainty;
                logits[*end as usize * width + 1] = certainty;
            }
            // Two hidden words, of which the model is certain.
            FeatureTarget::Words { .. } => logits.fill(0.0),
            FeatureTarget::Tags(tags) => {
                for (position, &tag) in tags.iter().enumerate().filter(|(_, tag)| **tag != NO_TAG) {
                    logits[position * width + tag as usize] = 1.0;
                }
            }
        }
        all.set(feature, &logits);
    }
    all
}

struct Walked {
    dataset: Dataset,
    features: Features,
    predictions: Vec<Prediction>,
    scores: Option<Scores>,
}

/// One file from the disk to the prediction files.
fn walk(task: &Task, split: &Split, labels: &Labels, settings: &FeatureSettings) -> Walked {
    let at = format!("{} {}", task.name, split.name);
    let data_dir = &repository().join("data");
    let dataset = DataSource { task, split, data_dir, labels, limit: None }
        .read()
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    let features = features(task.head, &dataset, &tokenizer(), settings)
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    let logits = perfect_logits(task, &features, labels);
    let settings = PredictionSettings {
        max_answer_length: task.defaults.max_answer_length,
        n_best_size: task.defaults.n_best_size,
        version_2_with_negative: task.version_2_with_negative,
        null_threshold: 0.0,
        label_thresholds: Vec::new(),
    };
    let predictions = predictions(task.head, &dataset, &features, &logits, &settings).unwrap();
    assert_eq!(predictions.len(), dataset.examples.len(), "{at}: one prediction an example");

    let dir = tempfile::tempdir().unwrap();
    let files = write_predictions(task, split, &dataset, labels, &predictions, dir.path()).unwrap();
    for file in &files {
        assert!(file.metadata().unwrap().len() > 0, "{at}: {}", file.display());
    }
    if let Some(submission) = &split.submission {
        let text = std::fs::read_to_string(dir.path().join(submission)).unwrap();
        assert_eq!(text.lines().count(), dataset.examples.len() + 1, "{at}");
    }

    let has_targets = dataset.examples.iter().all(|example| example.target.is_some());
    let scores = has_targets.then(|| score(task, &dataset, labels, &predictions).unwrap());
    Walked { dataset, features, predictions, scores }
}

fn assert_perfect(at: &str, task: &Task, scores: &Scores) {
    let names: Vec<_> = scores.values.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, task.metrics, "{at}");
    for (name, value) in &scores.values {
        let value = value.unwrap_or_else(|| panic!("{at}: {name} is undefined"));
        assert!((value - 1.0).abs() < 1e-9, "{at}: {name} is {value}");
    }
}

/// Walks all files of a task; those of training and development must have targets.
fn walk_all(task: &Task, settings: &FeatureSettings) {
    let labels = Labels::of_task(task, &repository().join("data")).unwrap();
    for split in task.splits() {
        let at = format!("{} {}", task.name, split.name);
        let walked = walk(task, split, &labels, settings);
        let is_test = task.test.iter().any(|test| test.name == split.name);
        match &walked.scores {
            Some(scores) => assert_perfect(&at, task, scores),
            None => assert!(is_test, "{at} has no targets"),
        }
    }
}

#[test]
fn every_task_goes_from_its_sample_files_to_perfect_metrics() {
    assert_eq!(task::tasks().len(), 15);
    for task in task::tasks() {
        walk_all(task, &FeatureSettings::from_task(task));
    }
}

#[test]
fn a_task_of_the_users_own_goes_the_same_way() {
    let task = task::load(&repository().join("data/my-task/my-task.json")).unwrap();
    assert!(task.labels.is_none(), "its labels are found in the training file");
    walk_all(&task, &FeatureSettings::from_task(&task));
    let labels = Labels::of_task(&task, Path::new("/elsewhere")).unwrap();
    assert!(labels.len() > 2 && labels.names().is_sorted(), "{:?}", labels.names());
}

#[test]
fn a_task_with_any_number_of_labels_goes_the_same_way() {
    let task = task::load(&repository().join("data/my-topics/my-topics.json")).unwrap();
    walk_all(&task, &FeatureSettings::from_task(&task));
    let labels = Labels::of_task(&task, Path::new("/elsewhere")).unwrap();
    assert_eq!(labels.names(), ["culture", "health", "money", "sport", "transport", "weather"]);
}

#[test]
fn examples_beyond_the_length_limit_lose_text_but_not_their_prediction() {
    for task in task::tasks().iter().filter(|task| task.head != Head::Span) {
        walk_all(task, &FeatureSettings { max_length: 9, ..FeatureSettings::from_task(task) });
    }
}

#[test]
fn a_long_sentence_is_tagged_in_windows_and_scored_whole() {
    let task = task::find("conll2003").unwrap();
    let labels = Labels::of_task(&task, &repository().join("data")).unwrap();
    let settings = FeatureSettings { max_length: 12, ..FeatureSettings::from_task(&task) };
    let walked = walk(&task, &task.dev[0], &labels, &settings);
    assert!(walked.features.len() > walked.dataset.examples.len(), "no sentence was long");
    assert_perfect("windows", &task, walked.scores.as_ref().unwrap());
    for (example, prediction) in walked.dataset.examples.iter().zip(&walked.predictions) {
        let (dataset::Input::Words(words), Prediction::Tags { tags, .. }) =
            (&example.input, prediction)
        else {
            panic!("{example:?}");
        };
        assert_eq!(words.len(), tags.len(), "line {}", example.line);
    }
}

#[test]
fn a_predictor_that_errs_is_not_scored_as_perfect() {
    let task = task::find("conll2003").unwrap();
    let labels = Labels::of_task(&task, &repository().join("data")).unwrap();
    let walked = walk(&task, &task.dev[0], &labels, &FeatureSettings::from_task(&task));
    let mut predictions = walked.predictions;
    let with_entity = predictions.iter_mut().find_map(|prediction| match prediction {
        Prediction::Tags { tags, .. } if tags.iter().any(|&tag| labels.names()[tag] != "O") => {
            Some(tags)
        }
        _ => None,
    });
    with_entity.expect("the sample has entities").fill(labels.index("O").unwrap());
    let scores = score(&task, &walked.dataset, &labels, &predictions).unwrap();
    assert!(scores.get(MetricName::Recall).unwrap() < 1.0);
    assert_eq!(scores.get(MetricName::Precision), Some(1.0));
}
