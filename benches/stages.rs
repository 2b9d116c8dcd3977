//! The stages around the model, on generated data: `cargo bench`, or `cargo bench tokenisation`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tfbert::batch::{BatchLayout, Buckets, evaluation_plan, training_plan};
use tfbert::dataset::{Answer, Dataset, Example, Input, Target};
use tfbert::feature::{FeatureSettings, Features, Tokenizer};
use tfbert::metric::{
    SquadVersion, accuracy, entity_scores, f1_binary, matthews_correlation, pearson,
    score_question, spearman,
};
use tfbert::prediction::{FeatureLogits, PredictionSettings};
use tfbert::stages::{features, predictions};
use tfbert::task::Head;

const WORDS: [&str; 24] = [
    "the",
    "a",
    "film",
    "river",
    "city",
    "quietly",
    "measured",
    "answer",
    "was",
    "found",
    "in",
    "1969",
    "unbelievable",
    "re-entry",
    "of",
    "and",
    "O'Neill",
    "naïve",
    "system",
    "orbit",
    "under",
    "(about",
    "twelve)",
    "years.",
];

const SETTINGS: FeatureSettings =
    FeatureSettings { max_length: 384, doc_stride: 128, max_query_length: 64 };

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

fn text(rng: &mut ChaCha8Rng, words: usize) -> String {
    let words: Vec<&str> =
        (0..words).map(|_| *WORDS.choose(rng).expect("there are words")).collect();
    words.join(" ")
}

fn dataset(inputs: impl Iterator<Item = (Input, Target)>) -> Dataset {
    let examples = inputs
        .enumerate()
        .map(|(i, (input, target))| Example {
            id: i.to_string(),
            line: i + 1,
            input,
            target: Some(target),
        })
        .collect();
    Dataset { path: "generated".into(), examples, split: "train".into() }
}

/// Sentences of 3 to 40 words.
fn sentences(count: usize) -> Dataset {
    let mut rng = rng();
    dataset((0..count).map(|i| {
        let words = rng.random_range(3..=40);
        let input = Input::Text { text: text(&mut rng, words), text_pair: None };
        (input, Target::Class(i % 2))
    }))
}

/// Passages of 150 to 500 words with five questions each.
fn questions(passages: usize) -> Dataset {
    let mut rng = rng();
    let mut inputs = Vec::new();
    for _ in 0..passages {
        let words = rng.random_range(150..=500);
        let context: Arc<str> = text(&mut rng, words).into();
        for _ in 0..5 {
            let question = text(&mut rng, 10);
            // The first whole word after a place near the front; places are in characters.
            let after = rng.random_range(0..100);
            let space = context.chars().skip(after).position(|c| c == ' ');
            let start = after + space.expect("words are short") + 1;
            let text = context.chars().skip(start).take_while(|&c| c != ' ').collect();
            let input = Input::Question { question, context: Arc::clone(&context) };
            inputs.push((input, Target::Answers(vec![Answer { text, start }])));
        }
    }
    dataset(inputs.into_iter())
}

fn tokenizer(name: &str) -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    Tokenizer::read(&path).expect("the golden tokenizer is there")
}

fn tokenise(head: Head, dataset: &Dataset) -> Features {
    features(head, dataset, &tokenizer("uncased_tokenizer.json"), &SETTINGS)
        .expect("generated examples can be tokenised")
}

fn tokenisation(criterion: &mut Criterion) {
    let tokenizer = tokenizer("uncased_tokenizer.json");
    let mut group = criterion.benchmark_group("tokenisation");
    for (name, head, dataset) in
        [("sentences", Head::Classify, sentences(2000)), ("questions", Head::Span, questions(40))]
    {
        group.throughput(Throughput::Elements(dataset.examples.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| features(head, black_box(&dataset), &tokenizer, &SETTINGS));
        });
    }
    group.finish();
}

fn batching(criterion: &mut Criterion) {
    let features = tokenise(Head::Classify, &sentences(10_000));
    let lengths = || (0..features.len()).map(|feature| features.length(feature));
    let mut group = criterion.benchmark_group("batching");
    group.throughput(Throughput::Elements(features.len() as u64));
    group.bench_function("buckets", |bencher| {
        bencher.iter(|| Buckets::choose(lengths(), 3, 12_000, 128));
    });
    let buckets = Buckets::choose(lengths(), 3, 12_000, 128);
    group.bench_function("training plan", |bencher| {
        bencher.iter(|| training_plan(&features, &buckets, 32, 1, black_box(0)));
    });
    group.bench_function("evaluation plan", |bencher| {
        bencher.iter(|| evaluation_plan(&features, black_box(128), None));
    });
    let plan = training_plan(&features, &buckets, 32, 1, 0);
    let layout =
        BatchLayout { head: Head::Classify, pad_token_id: 0, class_weights: &[], mask_seed: 0 };
    group.bench_function("lay out an epoch", |bencher| {
        bencher.iter(|| {
            for planned in &plan {
                black_box(layout.lay_out(&features, planned));
            }
        });
    });
    group.finish();
}

fn span_decoding(criterion: &mut Criterion) {
    let dataset = questions(20);
    let features = tokenise(Head::Span, &dataset);
    let mut rng = rng();
    let mut logits = FeatureLogits::new(features.len());
    for feature in 0..features.len() {
        let values: Vec<f32> =
            (0..2 * features.length(feature)).map(|_| rng.random_range(-10.0..10.0)).collect();
        logits.set(feature, &values);
    }
    let mut group = criterion.benchmark_group("span decoding");
    group.throughput(Throughput::Elements(dataset.examples.len() as u64));
    for (name, version_2_with_negative) in [("SQuAD 1.1", false), ("SQuAD 2.0", true)] {
        let settings = PredictionSettings {
            max_answer_length: 30,
            n_best_size: 20,
            version_2_with_negative,
            null_threshold: 0.0,
            label_thresholds: Vec::new(),
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| predictions(Head::Span, &dataset, &features, &logits, &settings));
        });
    }
    group.finish();
}

fn metrics(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let mut rng = rng();
    let mut classes = || (0..COUNT).map(|_| rng.random_range(0..2)).collect::<Vec<i32>>();
    let (pred, gold) = (classes(), classes());
    let mut group = criterion.benchmark_group("metrics");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("accuracy, F1 and Matthews correlation", |bencher| {
        bencher.iter(|| {
            let (pred, gold) = (black_box(&pred), black_box(&gold));
            (accuracy(pred, gold), f1_binary(pred, gold, 1), matthews_correlation(pred, gold))
        });
    });
    let mut scores = || (0..COUNT).map(|_| rng.random_range(0.0..5.0)).collect::<Vec<f64>>();
    let (x, y) = (scores(), scores());
    group.bench_function("Pearson and Spearman correlation", |bencher| {
        bencher.iter(|| (pearson(black_box(&x), &y), spearman(black_box(&x), &y)));
    });
    let mut tag = || *["O", "O", "O", "B-PER", "I-PER", "B-ORG"].choose(&mut rng).expect("tags");
    let mut tags = || -> Vec<Vec<&str>> {
        (0..COUNT / 20).map(|_| (0..20).map(|_| tag()).collect()).collect()
    };
    let (pred, gold) = (tags(), tags());
    group.bench_function("entity F1 (words)", |bencher| {
        bencher.iter(|| entity_scores(black_box(&pred), &gold));
    });
    let mut answers = || (0..COUNT / 10).map(|_| text(&mut rng, 3)).collect::<Vec<_>>();
    let (pred, gold) = (answers(), answers());
    group.throughput(Throughput::Elements(pred.len() as u64));
    group.bench_function("SQuAD's F1 and exact match", |bencher| {
        bencher.iter(|| {
            let scores = pred.iter().zip(&gold).map(|(pred, gold)| {
                score_question(SquadVersion::V1_1, black_box(pred), &[gold.as_str()]).f1
            });
            scores.sum::<f64>()
        });
    });
    group.finish();
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tokenisation, batching, span_decoding, metrics
}
criterion_main!(stages);
