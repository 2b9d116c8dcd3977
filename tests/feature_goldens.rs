//! Token ids against Hugging Face's, which `golden/make_tag_goldens.py`,
//! `golden/make_subword_goldens.py` and `golden/make_modernbert_goldens.py` wrote down.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tfbert::dataset::{Answer, Dataset, Example, Input, Target};
use tfbert::feature::{
    Alignment, FeatureSettings, FeatureTarget, Features, NO_TAG, Sequence, Tokenizer,
};
use tfbert::stages::features;
use tfbert::task::Head;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct Golden<T> {
        cases: Vec<T>,
    }
    let text = fs::read_to_string(golden(name)).unwrap();
    serde_json::from_str::<Golden<T>>(&text).unwrap().cases
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::read(&golden(&format!("{name}_tokenizer.json"))).unwrap()
}

fn dataset(inputs: Vec<(Input, Option<Target>)>) -> Dataset {
    let example = |(i, (input, target)): (usize, (Input, Option<Target>))| Example {
        id: i.to_string(),
        line: i + 1,
        input,
        target,
    };
    let examples = inputs.into_iter().enumerate().map(example).collect();
    Dataset { path: "golden".into(), examples, split: "dev".into() }
}

fn settings(max_length: usize) -> FeatureSettings {
    FeatureSettings { max_length, doc_stride: 128, max_query_length: 64 }
}

/// A text as a unit and how often it is repeated.
type Unit = (String, usize);

fn whole((unit, times): &Unit) -> String {
    unit.repeat(*times)
}

#[derive(Deserialize)]
struct TextCase {
    name: String,
    tokenizer: String,
    text: Unit,
    text_pair: Option<Unit>,
    max_length: usize,
    input_ids: Vec<i32>,
    second_segment: usize,
    truncated: bool,
}

#[test]
fn texts_and_pairs_have_the_ids_that_hugging_face_gives_them() {
    let cases: Vec<TextCase> = cases("text_ids.json");
    assert!(cases.len() > 500, "{}", cases.len());
    check_texts(&cases, &["uncased", "cased"]);
}

#[test]
fn texts_and_pairs_have_the_ids_that_hugging_faces_roberta_and_xlm_roberta_give_them() {
    let cases: Vec<TextCase> = cases("subword_text_ids.json");
    assert!(cases.len() > 100, "{}", cases.len());
    check_texts(&cases, &["byte_level", "unigram"]);
}

#[test]
fn texts_pairs_and_words_have_the_ids_that_hugging_faces_modernbert_gives_them() {
    let texts: Vec<TextCase> = cases("modernbert_text_ids.json");
    assert!(texts.len() > 50, "{}", texts.len());
    check_texts(&texts, &["modernbert"]);
    let words: Vec<WordCase> = cases("modernbert_word_ids.json");
    assert!(words.len() >= 9, "{}", words.len());
    check_words(&words, ["[CLS]", "[SEP]", "[UNK]"]);
}

fn check_texts(cases: &[TextCase], tokenizers: &[&str]) {
    let known: Vec<_> = tokenizers.iter().map(|name| (name, tokenizer(name))).collect();
    for case in cases {
        let (_, tokenizer) = known.iter().find(|(name, _)| **name == case.tokenizer).unwrap();
        let input =
            Input::Text { text: whole(&case.text), text_pair: case.text_pair.as_ref().map(whole) };
        let dataset = dataset(vec![(input, Some(Target::Class(1)))]);
        let found =
            features(Head::Classify, &dataset, tokenizer, &settings(case.max_length)).unwrap();
        let at = format!("{} ({}, {})", case.name, case.tokenizer, case.max_length);
        assert_eq!(found.len(), 1, "{at}");
        let expected = Sequence { input_ids: &case.input_ids, second_segment: case.second_segment };
        assert_eq!(found.sequence(0, 0), expected, "{at}");
        assert_eq!(found.truncated, usize::from(case.truncated), "{at}");
        assert_eq!(*found.target(0), FeatureTarget::Class(1), "{at}");
    }
}

#[test]
fn a_pair_of_huge_texts_is_cut_in_no_time() {
    // The tokenizer's own truncation makes an encoding for every two of the parts that it cuts off,
    // here some hundred million of them.
    let long = |unit: &str| unit.repeat(20_000);
    let input = Input::Text { text: long("so it goes "), text_pair: Some(long("and on ")) };
    let dataset = dataset(vec![(input, None)]);
    let found = features(Head::Classify, &dataset, &tokenizer("uncased"), &settings(8)).unwrap();
    assert_eq!(found.length(0), 8);
    assert_eq!(found.truncated, 1);
}

#[derive(Deserialize)]
struct WordCase {
    name: String,
    tokenizer: String,
    words: Vec<String>,
    input_ids: Vec<i32>,
    word_ids: Vec<usize>,
}

impl WordCase {
    /// The pieces of each word; the unknown one where the reference gives none.
    fn pieces(&self, unknown: i32) -> Vec<Vec<i32>> {
        let of_word = |word: usize| {
            let ids = self.word_ids.iter().zip(&self.input_ids);
            ids.filter(|(of, _)| **of == word).map(|(_, &id)| id).collect()
        };
        let or_unknown = |ids: Vec<i32>| if ids.is_empty() { vec![unknown] } else { ids };
        (0..self.words.len()).map(of_word).map(or_unknown).collect()
    }
}

fn first_pieces(features: &Features, feature: usize) -> &[(u32, u32)] {
    match features.alignment(feature) {
        Some(Alignment::Words { first_pieces }) => first_pieces,
        other => panic!("{other:?}"),
    }
}

fn tag_features(case: &WordCase, tokenizer: &Tokenizer, max_length: usize) -> Features {
    let tags = (0..case.words.len()).collect();
    let dataset = dataset(vec![(Input::Words(case.words.clone()), Some(Target::Tags(tags)))]);
    features(Head::Tag, &dataset, tokenizer, &settings(max_length)).unwrap()
}

#[test]
fn words_have_the_pieces_that_hugging_face_gives_them() {
    let cases: Vec<WordCase> = cases("word_ids.json");
    assert!(cases.len() >= 18, "{}", cases.len());
    check_words(&cases, ["[CLS]", "[SEP]", "[UNK]"]);
}

#[test]
fn words_have_the_pieces_that_hugging_faces_roberta_and_xlm_roberta_give_them() {
    let cases: Vec<WordCase> = cases("subword_word_ids.json");
    assert!(cases.len() >= 18, "{}", cases.len());
    check_words(&cases, ["<s>", "</s>", "<unk>"]);
}

fn check_words(cases: &[WordCase], [before, after, unknown]: [&str; 3]) {
    for case in cases {
        let tokenizer = tokenizer(&case.tokenizer);
        let special = |token| tokenizer.token_id(token).unwrap();
        let found = tag_features(case, &tokenizer, 128);
        let at = format!("{} ({})", case.name, case.tokenizer);
        assert_eq!((found.len(), found.truncated), (1, 0), "{at}");
        let (mut ids, mut firsts) = (vec![special(before)], Vec::new());
        for (word, pieces) in case.pieces(special(unknown)).iter().enumerate() {
            firsts.push((word as u32, ids.len() as u32));
            ids.extend(pieces);
        }
        ids.push(special(after));
        assert_eq!(found.sequence(0, 0).input_ids, ids, "{at}");
        assert_eq!(found.sequence(0, 0).second_segment, ids.len(), "{at}");
        assert_eq!(first_pieces(&found, 0), firsts, "{at}");
        let mut tags = vec![NO_TAG; ids.len()];
        for (word, position) in firsts {
            tags[position as usize] = word as i32;
        }
        assert_eq!(*found.target(0), FeatureTarget::Tags(tags.into()), "{at}");
    }
}

#[test]
fn windows_answer_for_every_word_once_with_its_own_first_piece() {
    for case in cases::<WordCase>("word_ids.json") {
        let tokenizer = tokenizer(&case.tokenizer);
        let unknown = tokenizer.token_id("[UNK]").unwrap();
        let pieces = case.pieces(unknown);
        for max_length in [4, 5, 7, 12] {
            let found = tag_features(&case, &tokenizer, max_length);
            let at = format!("{} ({}, {max_length})", case.name, case.tokenizer);
            let mut answered = Vec::new();
            for feature in 0..found.len() {
                let ids = found.sequence(feature, 0).input_ids;
                assert!(ids.len() <= max_length, "{at}");
                let FeatureTarget::Tags(tags) = found.target(feature) else { panic!("{at}") };
                let tagged = tags.iter().filter(|&&tag| tag != NO_TAG).count();
                assert_eq!(tagged, first_pieces(&found, feature).len(), "{at}");
                for &(word, position) in first_pieces(&found, feature) {
                    assert_eq!(ids[position as usize], pieces[word as usize][0], "{at}");
                    assert_eq!(tags[position as usize], word as i32, "{at}");
                    answered.push(word as usize);
                }
            }
            assert_eq!(answered, (0..case.words.len()).collect::<Vec<_>>(), "{at}");
            let cut = pieces.iter().any(|pieces| pieces.len() > max_length - 2);
            assert_eq!(found.truncated, usize::from(cut), "{at}");
        }
    }
}

#[derive(Deserialize)]
struct SpanCase {
    tokenizer: String,
    question: String,
    context: String,
    answer: String,
    answer_start: usize,
    input_ids: Vec<i32>,
    span: (i32, i32),
}

#[test]
fn answers_have_the_pieces_that_overlap_them_with_roberta_and_xlm_roberta() {
    for case in cases::<SpanCase>("subword_spans.json") {
        let tokenizer = tokenizer(&case.tokenizer);
        let input =
            Input::Question { question: case.question.clone(), context: case.context.into() };
        let answer = Answer { text: case.answer.clone(), start: case.answer_start };
        let dataset = dataset(vec![(input, Some(Target::Answers(vec![answer])))]);
        let settings = FeatureSettings { max_length: 128, doc_stride: 16, max_query_length: 64 };
        let found = features(Head::Span, &dataset, &tokenizer, &settings).unwrap();
        let at = format!("{} ({})", case.answer, case.tokenizer);
        assert_eq!(found.sequence(0, 0).input_ids, case.input_ids, "{at}");
        assert_eq!(found.sequence(0, 0).second_segment, case.input_ids.len(), "{at}");
        let (first, last) = case.span;
        assert_eq!(*found.target(0), FeatureTarget::Span(first, last), "{at}");
    }
}

#[derive(Deserialize)]
struct ChoiceCase {
    name: String,
    context: String,
    start: String,
    endings: Vec<String>,
    max_length: usize,
    input_ids: Vec<Vec<i32>>,
    second_segment: Vec<usize>,
}

#[test]
fn endings_have_the_ids_that_run_swag_gives_them() {
    let cases: Vec<ChoiceCase> = cases("choice_ids.json");
    assert!(cases.len() >= 15, "{}", cases.len());
    let tokenizer = tokenizer("uncased");
    for case in cases {
        let input = Input::Choices {
            context: case.context,
            start: case.start,
            endings: case.endings.clone(),
        };
        let dataset = dataset(vec![(input, Some(Target::Class(1)))]);
        let found =
            features(Head::Choice, &dataset, &tokenizer, &settings(case.max_length)).unwrap();
        assert_eq!((found.len(), found.sequences(0)), (1, case.endings.len()), "{}", case.name);
        for (ending, input_ids) in case.input_ids.iter().enumerate() {
            let expected = Sequence { input_ids, second_segment: case.second_segment[ending] };
            assert_eq!(found.sequence(0, ending), expected, "{} {ending}", case.name);
        }
        assert_eq!(*found.target(0), FeatureTarget::Class(1));
    }
}

#[test]
fn an_example_with_fewer_endings_than_the_first_names_its_line() {
    let choices = |endings: &[&str]| Input::Choices {
        context: "a".into(),
        start: String::new(),
        endings: endings.iter().map(|&ending| ending.to_owned()).collect(),
    };
    let dataset = dataset(vec![(choices(&["b", "c", "d"]), None), (choices(&["b", "c"]), None)]);
    let error = features(Head::Choice, &dataset, &tokenizer("uncased"), &settings(16)).unwrap_err();
    assert_eq!(error.place().unwrap().line, Some(2));
    assert!(
        error.what().contains("expected 3 endings as in the first example, found 2"),
        "{error}"
    );
}

#[test]
fn a_length_without_room_for_text_is_refused_by_every_head() {
    let tokenizer = tokenizer("uncased");
    let text = Input::Text { text: "a".into(), text_pair: None };
    let choices =
        Input::Choices { context: "a".into(), start: "b".into(), endings: vec!["c".into(); 2] };
    for (head, input) in [
        (Head::Classify, text.clone()),
        (Head::Regress, text),
        (Head::Tag, Input::Words(vec!["a".into()])),
        (Head::Choice, choices),
    ] {
        let dataset = dataset(vec![(input, None)]);
        for max_length in 0..4 {
            let error = features(head, &dataset, &tokenizer, &settings(max_length)).unwrap_err();
            assert!(error.what().contains("maximum length is"), "{head} {error}");
        }
        assert_eq!(features(head, &dataset, &tokenizer, &settings(4)).unwrap().len(), 1);
    }
}
