//! The report of a run as a page: awkward texts, many classes and many mistakes, every head.
//!
//! The pages stay in `target/tmp/report/`, to be looked at in a browser.

mod common;

use std::fs;
use std::path::Path;

use common::root;
use tfbert::analysis::{self, Analysis, Findings, Lengths, MOST_MISTAKES};
use tfbert::dataset::{Answer, Dataset, Example, Input, Labels, Target};
use tfbert::prediction::{Candidate, Prediction, SpanPrediction};
use tfbert::report::html::{run_page, write_run_page};
use tfbert::run::{Curves, RunAnalysis, RunFiles, RunRecord};
use tfbert::task::{self, Task};

const ARABIC: &str = "كان الفيلم ممتعاً ومؤثراً، لكن نهايته لم تكن مقنعة (3/5).";
const MARKUP: &str =
    "<script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\" </p></body>";

fn dataset(rows: impl IntoIterator<Item = (Input, Target)>) -> Dataset {
    let example = |(i, (input, target)): (usize, (Input, Target))| Example {
        id: i.to_string(),
        line: i + 2,
        input,
        target: Some(target),
    };
    let examples = rows.into_iter().enumerate().map(example).collect();
    Dataset { path: "dev.tsv".into(), examples, split: "dev".into() }
}

/// A run of a task with these findings on its development split.
fn run(task: Task, examples: usize, findings: Findings) -> RunFiles {
    let record = fs::read_to_string(root().join("fuzz/corpus/run_json/run")).unwrap();
    let mut record: RunRecord = serde_json::from_str(&record).unwrap();
    let metric = task.selecting_metric().name().to_owned();
    let mut lines = String::new();
    for step in 1..=60 {
        let loss = 0.2 + 0.5 * (-f64::from(step) / 20.0).exp();
        let rate = 5e-5 * (1.0 - f64::from(step) / 60.0);
        lines += &format!(
            "{{\"step\":{step},\"loss\":{loss},\"learning_rate\":{rate},\"grad_norm\":{}}}\n",
            1.0 + loss
        );
        if step % 20 == 0 {
            let value = [0.81, 0.86, 0.85][step as usize / 20 - 1];
            lines += &format!(
                "{{\"step\":{step},\"split\":\"dev\",\"loss\":{},\"metrics\":{{\"{metric}\":{value}}}}}\n",
                loss + 0.05
            );
        }
    }
    record.task = task;
    let lengths = (0..examples).map(|i| 8 + (i * 7919) % 97 + (i * 31) % 23);
    let lengths = Lengths::new(lengths.map(|length| length.min(96)), 96, examples / 20);
    let split = Analysis {
        split: "dev".into(),
        examples,
        metrics: [(metric, Some(0.86))].into(),
        lengths: lengths.clone(),
        findings,
    };
    RunFiles {
        dir: "runs/example".into(),
        record,
        result: None,
        curves: Curves::parse(&lines, Path::new("metrics.jsonl")).unwrap(),
        analysis: Some(RunAnalysis { step: 40, train_lengths: lengths, splits: vec![split] }),
    }
}

/// The page, which is also kept to be looked at.
fn page(name: &str, run: &RunFiles) -> String {
    let page = run_page(run).unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{name}.html")), &page).unwrap();
    assert!(!page.contains("NaN") && !page.contains("http://"), "{name}");
    page
}

/// `count` examples of `classes` labels, of which every second is a mistake.
fn of_classes(classes: usize, count: usize) -> (Task, Findings) {
    let mut task = task::find("sst2").unwrap();
    let names: Vec<String> = (0..classes).map(|i| format!("class <{i}>")).collect();
    (task.labels, task.label_names) = (None, None);
    let rows = dataset((0..count).map(|i| {
        let text = match i % 4 {
            1 => format!("{i} {ARABIC}"),
            3 => format!("{i} {MARKUP}"),
            _ => format!("{i} the seats were cramped and the sound far too loud ").repeat(3),
        };
        (Input::Text { text, text_pair: None }, Target::Class(i / 2 % classes))
    }));
    let predictions: Vec<Prediction> = (0..count)
        .map(|i| {
            let label = (i / 2 + i % 2 * (1 + i % 3)) % classes;
            let sure = 0.5 + (i % 500) as f32 / 1001.0;
            let mut probabilities = vec![(1.0 - sure) / (classes - 1) as f32; classes];
            probabilities[label] = sure;
            Prediction::Class { label, probabilities }
        })
        .collect();
    let labels = Labels::new(names);
    let found = analysis::classes(&task, &rows, &labels, &predictions, MOST_MISTAKES).unwrap();
    (task, found)
}

#[test]
fn two_hundred_classes_and_ten_thousand_mistakes_with_markup_make_a_page_of_bounded_size() {
    let (task, findings) = of_classes(200, 20_000);
    assert_eq!(findings.mistakes.total, 10_000);
    let page = page("classes", &run(task, 20_000, findings));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("200 of 10,000"), "the count is said");
    assert!(page.contains("&lt;script&gt;alert") && !page.contains("<script"), "escaped");
    assert!(!page.contains("<img") && page.matches("</body>").count() == 1, "escaped");
    assert!(page.contains("dir=\"auto\""));
    let start = page.find("Most frequent confusions").unwrap();
    assert!(page[start..].matches("class &lt;").count() > 50);
}

#[test]
fn few_classes_have_a_whole_confusion_matrix() {
    let (task, findings) = of_classes(4, 400);
    let page = page("four", &run(task, 400, findings));
    assert!(page.contains("Confusion matrix"));
    assert!(page.contains("best: 0.8600 at step 40"));
}

#[test]
fn sentences_show_gold_and_predicted_entities() {
    let task = task::find("conll2003").unwrap();
    let labels = Labels::new(task.labels.clone().unwrap());
    let tag = |name: &str| labels.names().iter().position(|label| label == name).unwrap();
    let words = ["Neil", "Armstrong", "<b>landed</b>", "in", "رام", "الله"].map(str::to_owned);
    let gold = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"].map(tag).to_vec();
    let wrong = ["B-PER", "O", "O", "O", "B-LOC", "I-LOC"].map(tag).to_vec();
    let rows = dataset([(Input::Words(words.to_vec()), Target::Tags(gold))]);
    let prediction = Prediction::Tags { probabilities: vec![0.9; 6], tags: wrong };
    let found = analysis::tags(&task, &rows, &labels, &[prediction], MOST_MISTAKES).unwrap();
    let page = page("tags", &run(task, 1, found));
    assert!(page.contains("<mark class=\"predicted\"><bdi>Neil</bdi><b>PER</b></mark>"), "{page}");
    assert!(page.contains("<mark class=\"gold\"><bdi>رام الله</bdi><b>LOC</b></mark>"));
    assert!(page.contains("&lt;b&gt;landed"));
}

#[test]
fn wrong_answers_stand_in_their_passage_beside_gold() {
    let task = task::find("squad2").unwrap();
    let context = "The committee met in Oslo in 1962, and again in <Bergen> in 1964. ".repeat(30);
    let question = || Input::Question {
        question: "Where did it meet first?".into(),
        context: context.as_str().into(),
    };
    let answer = Answer { text: "Oslo".into(), start: 21 };
    let rows = dataset([
        (question(), Target::Answers(vec![answer])),
        (question(), Target::Answers(Vec::new())),
    ]);
    let span = |text: &str, start: usize| {
        let best = Candidate {
            text: text.into(),
            start: Some(start),
            probability: 0.7,
            ..Candidate::default()
        };
        Prediction::Span(SpanPrediction { text: text.into(), n_best: vec![best], null_odds: None })
    };
    let predictions = [span("<Bergen>", 48), span("1962", 29)];
    let found =
        analysis::answers(&task, &rows, &Labels::default(), &predictions, MOST_MISTAKES).unwrap();
    let page = page("answers", &run(task, 2, found));
    assert!(page.contains("<mark class=\"gold\">Oslo</mark>"), "{page}");
    assert!(page.contains("<mark class=\"predicted\">&lt;Bergen&gt;</mark>"));
    assert!(page.contains("no answer"));
}

#[test]
fn numbers_have_a_scatter_and_endings_are_listed() {
    let task = task::find("stsb").unwrap();
    let text = || Input::Text { text: MARKUP.into(), text_pair: Some(ARABIC.into()) };
    let gold = |i: usize| (i % 51) as f32 / 10.0;
    let rows = dataset((0..300).map(|i| (text(), Target::Score(gold(i)))));
    let predictions: Vec<_> = (0..300)
        .map(|i| Prediction::Score(gold(i) * 0.8 + 0.4 + (i * 37 % 11) as f32 / 10.0))
        .collect();
    let found =
        analysis::numbers(&task, &rows, &Labels::default(), &predictions, MOST_MISTAKES).unwrap();
    let shown = page("numbers", &run(task, 300, found));
    assert!(shown.matches("class=\"point\"").count() == 300);

    let task = task::find("swag").unwrap();
    let choices = Input::Choices {
        context: "She opens the <door>.".into(),
        start: "She".into(),
        endings: ["sings.", "walks in.", "falls.", "<i>sleeps</i>."].map(str::to_owned).to_vec(),
    };
    let rows = dataset([(choices, Target::Class(1))]);
    let prediction = Prediction::Class { label: 3, probabilities: vec![0.1, 0.2, 0.1, 0.6] };
    let found =
        analysis::endings(&task, &rows, &Labels::default(), &[prediction], MOST_MISTAKES).unwrap();
    let shown = page("endings", &run(task, 1, found));
    assert!(shown.contains("<mark class=\"gold\">She walks in.</mark>"), "{shown}");
}

#[test]
fn a_run_without_evaluation_has_a_report_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(root().join("fuzz/corpus/run_json/run"), dir.path().join("run.json")).unwrap();
    let path = write_run_page(&RunFiles::read(dir.path()).unwrap()).unwrap();
    let page = fs::read_to_string(path).unwrap();
    assert!(page.contains("The run is not complete"), "{page}");
    let error = RunFiles::read(&dir.path().join("elsewhere")).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}
