//! The built-in tasks, a row each.

use std::sync::LazyLock;

use super::{Column, Columns, Defaults, Format, Head, Repairs, Split, Task, TextColumns};
use crate::metric::MetricName::{
    Accuracy, ExactMatch, F1, MatthewsCorrelation, Pearson, Perplexity, Precision, Recall, Spearman,
};

/// The built-in tasks in the order in which they are listed.
pub fn tasks() -> &'static [Task] {
    &TASKS
}

static TASKS: LazyLock<Vec<Task>> = LazyLock::new(|| {
    vec![
        Task {
            description: "is a sentence acceptable English? (GLUE)".into(),
            columns: Columns { text: text_at(3), label: at(1), ..Columns::default() },
            test: vec![Split {
                columns: Some(Columns {
                    id: named("index"),
                    text: text_named("sentence"),
                    ..Columns::default()
                }),
                ..submitted("test", "test.tsv", "CoLA.tsv")
            }],
            labels: labels(&["0", "1"]),
            label_names: labels(&["unacceptable", "acceptable"]),
            metrics: vec![MatthewsCorrelation],
            ..glue("cola", "CoLA")
        },
        Task {
            description: "is a film review's sentence positive? (GLUE)".into(),
            columns: single("sentence", "label"),
            test: vec![indexed_test(single("sentence", "label"), "SST-2.tsv")],
            labels: labels(&["0", "1"]),
            label_names: labels(&["negative", "positive"]),
            ..glue("sst2", "SST-2")
        },
        Task {
            description: "does one sentence paraphrase the other? (GLUE)".into(),
            columns: pair("#1 String", "#2 String", "Quality"),
            test: vec![indexed_test(pair("#1 String", "#2 String", "Quality"), "MRPC.tsv")],
            labels: labels(&["0", "1"]),
            label_names: labels(&["not_equivalent", "equivalent"]),
            metrics: vec![F1, Accuracy],
            ..glue("mrpc", "MRPC")
        },
        Task {
            description: "how alike are two sentences, from 0 to 5? (GLUE)".into(),
            head: Head::Regress,
            columns: pair("sentence1", "sentence2", "score"),
            test: vec![indexed_test(pair("sentence1", "sentence2", "score"), "STS-B.tsv")],
            score_range: Some([0.0, 5.0]),
            metrics: vec![Pearson, Spearman],
            ..glue("stsb", "STS-B")
        },
        Task {
            description: "do two questions ask the same? (GLUE)".into(),
            columns: pair("question1", "question2", "is_duplicate"),
            test: vec![Split {
                columns: Some(Columns {
                    id: named("id"),
                    label: None,
                    ..pair("question1", "question2", "is_duplicate")
                }),
                ..submitted("test", "test.tsv", "QQP.tsv")
            }],
            labels: labels(&["0", "1"]),
            label_names: labels(&["not_duplicate", "duplicate"]),
            metrics: vec![F1, Accuracy],
            // Some of its questions hold a line feed.
            repairs: Repairs { join_cut_rows: true, ..Repairs::default() },
            ..glue("qqp", "QQP")
        },
        Task {
            description: "does the first sentence entail or contradict the second? (GLUE)".into(),
            columns: pair("sentence1", "sentence2", "gold_label"),
            dev: vec![
                split("dev_matched", "dev_matched.tsv"),
                split("dev_mismatched", "dev_mismatched.tsv"),
            ],
            test: vec![
                Split {
                    name: "test_matched".into(),
                    file: "test_matched.tsv".into(),
                    ..indexed_test(pair("sentence1", "sentence2", "gold_label"), "MNLI-m.tsv")
                },
                Split {
                    name: "test_mismatched".into(),
                    file: "test_mismatched.tsv".into(),
                    ..indexed_test(pair("sentence1", "sentence2", "gold_label"), "MNLI-mm.tsv")
                },
            ],
            labels: labels(&["contradiction", "entailment", "neutral"]),
            // GLUE's files lack these rows, MultiNLI's own have them.
            repairs: Repairs { no_label: Some("-".into()), ..Repairs::default() },
            ..glue("mnli", "MNLI")
        },
        Task {
            description: "does the sentence answer the question? (GLUE)".into(),
            columns: pair("question", "sentence", "label"),
            test: vec![indexed_test(pair("question", "sentence", "label"), "QNLI.tsv")],
            labels: labels(&["entailment", "not_entailment"]),
            ..glue("qnli", "QNLI")
        },
        Task {
            description: "does the first text entail the second? (GLUE)".into(),
            columns: pair("sentence1", "sentence2", "label"),
            test: vec![indexed_test(pair("sentence1", "sentence2", "label"), "RTE.tsv")],
            labels: labels(&["entailment", "not_entailment"]),
            ..glue("rte", "RTE")
        },
        Task {
            description: "is the pronoun replaced by what it means? (GLUE)".into(),
            columns: pair("sentence1", "sentence2", "label"),
            test: vec![indexed_test(pair("sentence1", "sentence2", "label"), "WNLI.tsv")],
            labels: labels(&["0", "1"]),
            label_names: labels(&["not_entailment", "entailment"]),
            ..glue("wnli", "WNLI")
        },
        Task {
            description: "GLUE's diagnostic pairs, predicted by an MNLI model".into(),
            train: None,
            dev: vec![],
            columns: pair("sentence1", "sentence2", "label"),
            test: vec![Split {
                file: "AX.tsv".into(),
                ..indexed_test(pair("sentence1", "sentence2", "label"), "AX.tsv")
            }],
            labels: labels(&["contradiction", "entailment", "neutral"]),
            model_of: Some("mnli".into()),
            ..glue("ax", "AX")
        },
        Task {
            description: "which words of the passage answer the question? (SQuAD 1.1)".into(),
            train: Some(split("train", "train-v1.1.json")),
            dev: vec![split("dev", "dev-v1.1.json")],
            defaults: Defaults { batch_size: 12, learning_rate: 3e-5, ..squad_defaults() },
            ..squad("squad")
        },
        Task {
            description: "the same, and some questions have no answer (SQuAD 2.0)".into(),
            train: Some(split("train", "train-v2.0.json")),
            dev: vec![split("dev", "dev-v2.0.json")],
            version_2_with_negative: true,
            defaults: Defaults { batch_size: 48, learning_rate: 5e-5, ..squad_defaults() },
            ..squad("squad2")
        },
        Task {
            name: "swag".into(),
            description: "which ending follows from the context? (SWAG)".into(),
            head: Head::Choice,
            folder: "swag".into(),
            train: Some(split("train", "train.csv")),
            dev: vec![split("dev", "val.csv")],
            test: vec![Split {
                columns: Some(Columns { label: None, ..swag_columns() }),
                ..split("test", "test.csv")
            }],
            columns: swag_columns(),
            metrics: vec![Accuracy],
            defaults: Defaults { batch_size: 16, learning_rate: 2e-5, ..Defaults::default() },
            ..Task::empty()
        },
        Task {
            name: "conll2003".into(),
            description: "which words name persons, organisations, places, others? (CoNLL-2003)"
                .into(),
            head: Head::Tag,
            format: Format::Conll,
            folder: "conll2003".into(),
            train: Some(split("train", "train.txt")),
            dev: vec![split("dev", "valid.txt")],
            test: vec![split("test", "test.txt")],
            labels: labels(&[
                "O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC",
            ]),
            metrics: vec![F1, Precision, Recall],
            ..Task::empty()
        },
        Task {
            name: "mlm".into(),
            description: "which words are hidden in a plain text? (further pre-training)".into(),
            head: Head::Masked,
            format: Format::Text,
            folder: "mlm".into(),
            train: Some(split("train", "train.txt")),
            dev: vec![split("dev", "dev.txt")],
            metrics: vec![Perplexity, Accuracy],
            ..Task::empty()
        },
    ]
});

/// What GLUE's tasks share.
fn glue(name: &str, folder: &str) -> Task {
    Task {
        name: name.into(),
        format: Format::Tsv,
        folder: folder.into(),
        train: Some(split("train", "train.tsv")),
        dev: vec![split("dev", "dev.tsv")],
        metrics: vec![Accuracy],
        ..Task::empty()
    }
}

/// What the two versions of SQuAD share.
fn squad(name: &str) -> Task {
    Task {
        head: Head::Span,
        format: Format::Squad,
        metrics: vec![F1, ExactMatch],
        repairs: Repairs { find_answers: true, ..Repairs::default() },
        ..glue(name, "squad")
    }
}

fn squad_defaults() -> Defaults {
    Defaults { epochs: 2, max_length: 384, ..Defaults::default() }
}

fn swag_columns() -> Columns {
    Columns {
        context: named("sent1"),
        start: named("sent2"),
        endings: ["ending0", "ending1", "ending2", "ending3"]
            .map(|n| Column::Name(n.into()))
            .into(),
        label: named("label"),
        ..Columns::default()
    }
}

fn split(name: &str, file: &str) -> Split {
    Split { name: name.into(), file: file.into(), columns: None, submission: None }
}

fn submitted(name: &str, file: &str, submission: &str) -> Split {
    Split { submission: Some(submission.into()), ..split(name, file) }
}

/// GLUE's test files number their rows in a column `index` and have no label.
fn indexed_test(columns: Columns, submission: &str) -> Split {
    Split {
        columns: Some(Columns { id: named("index"), label: None, ..columns }),
        ..submitted("test", "test.tsv", submission)
    }
}

fn single(text: &str, label: &str) -> Columns {
    Columns { text: text_named(text), label: named(label), ..Columns::default() }
}

fn pair(text: &str, text_pair: &str, label: &str) -> Columns {
    Columns { text_pair: text_named(text_pair), ..single(text, label) }
}

fn named(name: &str) -> Option<Column> {
    Some(Column::Name(name.into()))
}

fn at(index: usize) -> Option<Column> {
    Some(Column::Index(index))
}

fn text_named(name: &str) -> Option<TextColumns> {
    named(name).map(TextColumns::from)
}

fn text_at(index: usize) -> Option<TextColumns> {
    at(index).map(TextColumns::from)
}

fn labels(labels: &[&str]) -> Option<Vec<String>> {
    Some(labels.iter().map(|&label| label.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = tasks().iter().map(|task| &task.name).collect();
        assert_eq!(names.len(), tasks().len());
    }

    #[test]
    fn every_row_survives_being_written_and_read_as_a_file() {
        for task in tasks() {
            let json = serde_json::to_string_pretty(task).unwrap();
            assert_eq!(&serde_json::from_str::<Task>(&json).unwrap(), task, "{json}");
        }
    }

    #[test]
    fn every_row_has_metrics_and_files_and_a_description() {
        for task in tasks() {
            assert!(!task.metrics.is_empty(), "{}", task.name);
            assert!(task.splits().count() > 0, "{}", task.name);
            assert!(!task.description.is_empty(), "{}", task.name);
            assert_eq!(task.train.is_none(), task.model_of.is_some(), "{}", task.name);
        }
    }

    #[test]
    fn labels_that_are_numbers_are_shown_by_name() {
        for task in tasks() {
            let labels = task.labels.clone().unwrap_or_default();
            let shown = task.shown_labels(&labels);
            assert!(shown.iter().all(|name| name.parse::<f64>().is_err()), "{}", task.name);
            assert_eq!(shown.len(), labels.len(), "{}", task.name);
        }
        // Labels of another model are shown as they are.
        let sst2 = tasks().iter().find(|task| task.name == "sst2").unwrap();
        let others = ["no".to_owned(), "yes".to_owned()];
        assert_eq!(sst2.shown_labels(&others), others);
    }

    #[test]
    fn a_test_file_of_sst2_has_no_label() {
        let sst2 = tasks().iter().find(|task| task.name == "sst2").unwrap();
        assert!(sst2.columns_of(&sst2.test[0]).label.is_none());
    }
}
