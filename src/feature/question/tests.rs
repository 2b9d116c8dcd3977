use std::path::PathBuf;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::dataset::Answer;

const TOKENIZER: &[u8] = include_bytes!("../../../tests/golden/question_tokenizer.json");
const GOLDEN: &str = include_str!("../../../tests/golden/question_windows.json");

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    question: String,
    context: String,
    max_length: usize,
    stride: usize,
    max_query_length: usize,
    truncated: bool,
    answer: Option<GoldenAnswer>,
    windows: Vec<GoldenWindow>,
}

#[derive(Deserialize)]
struct GoldenAnswer {
    text: String,
    start: usize,
}

#[derive(Deserialize)]
struct GoldenWindow {
    input_ids: Vec<i32>,
    second_segment: usize,
    context_start: usize,
    offsets: Vec<(usize, usize)>,
    span: Option<(i32, i32)>,
    max_context: Vec<u8>,
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_bytes(TOKENIZER).unwrap()
}

fn example(question: &str, context: &Arc<str>, target: Option<Target>) -> Example {
    let input = Input::Question { question: question.into(), context: Arc::clone(context) };
    Example { id: "q1".into(), line: 7, input, target }
}

fn answer(text: &str, start: usize) -> Option<Target> {
    Some(Target::Answers(vec![Answer { text: text.into(), start }]))
}

fn dataset(examples: Vec<Example>) -> Dataset {
    Dataset { path: PathBuf::from("train.json"), examples, split: "train".into() }
}

fn settings(max_length: usize, doc_stride: usize, max_query_length: usize) -> FeatureSettings {
    FeatureSettings { max_length, doc_stride, max_query_length }
}

/// A window's alignment: position of the first piece, offsets, run of most context.
fn window(features: &Features, feature: usize) -> (usize, &[(u32, u32)], Range<usize>) {
    match features.alignment(feature) {
        Some(Alignment::Window { context_start, pieces, max_context }) => {
            (*context_start, features.offsets(pieces.clone()), max_context.clone())
        }
        other => panic!("expected a window, found {other:?}"),
    }
}

#[test]
fn ids_offsets_windows_and_spans_are_those_of_hugging_face() {
    let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
    let tokenizer = tokenizer();
    assert!(golden.cases.len() > 100);
    for case in &golden.cases {
        let context: Arc<str> = case.context.as_str().into();
        let target = case.answer.as_ref().and_then(|gold| answer(&gold.text, gold.start));
        let dataset = dataset(vec![example(&case.question, &context, target)]);
        let settings = settings(case.max_length, case.stride, case.max_query_length);
        let features = questions(&dataset, &tokenizer, &settings).unwrap();
        let name = format!("{} at {}", case.name, case.max_length);
        assert_eq!(features.len(), case.windows.len(), "{name}");
        assert_eq!(features.truncated, usize::from(case.truncated), "{name}");
        for (i, expected) in case.windows.iter().enumerate() {
            let sequence = features.sequence(i, 0);
            assert_eq!(sequence.input_ids, expected.input_ids, "{name}, window {i}");
            assert_eq!(sequence.second_segment, expected.second_segment, "{name}, window {i}");
            let (context_start, offsets, max_context) = window(&features, i);
            assert_eq!(context_start, expected.context_start, "{name}, window {i}");
            let characters = |byte: u32| context[..byte as usize].chars().count();
            let offsets: Vec<_> =
                offsets.iter().map(|&(from, to)| (characters(from), characters(to))).collect();
            assert_eq!(offsets, expected.offsets, "{name}, window {i}");
            let run: Vec<u8> =
                (0..offsets.len()).map(|piece| max_context.contains(&piece).into()).collect();
            assert_eq!(run, expected.max_context, "{name}, window {i}");
            let span = match features.target(i) {
                FeatureTarget::Span(start, end) => Some((*start, *end)),
                FeatureTarget::None => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(span, expected.span, "{name}, window {i}");
        }
    }
}

#[test]
fn a_window_that_cuts_the_answer_off_has_none() {
    let context: Arc<str> = "the sea of the moon and the land".into();
    let dataset = dataset(vec![example("who", &context, answer("moon and", 15))]);
    // room 4, shared 1: the sea of the | the moon and the | the land
    let features = questions(&dataset, &tokenizer(), &settings(8, 1, 2)).unwrap();
    let targets: Vec<_> = (0..3).map(|i| features.target(i).clone()).collect();
    use FeatureTarget::Span;
    assert_eq!(targets, [Span(0, 0), Span(4, 5), Span(0, 0)]);
}

#[test]
fn an_answer_takes_in_all_pieces_of_a_character_that_is_taken_apart() {
    let context: Arc<str> = "the 한 moon".into();
    let dataset = dataset(vec![example("who", &context, answer("한", 4))]);
    let features = questions(&dataset, &tokenizer(), &settings(16, 1, 4)).unwrap();
    let (_, offsets, _) = window(&features, 0);
    assert_eq!(offsets, [(0, 3), (4, 7), (4, 7), (4, 7), (8, 12)]);
    assert_eq!(features.target(0), &FeatureTarget::Span(4, 6));
}

#[test]
fn a_question_without_answer_points_at_cls_and_an_unknown_one_nowhere() {
    let context: Arc<str> = "the moon".into();
    let examples = vec![
        example("who", &context, Some(Target::Answers(vec![]))),
        example("who", &context, None),
    ];
    let features = questions(&dataset(examples), &tokenizer(), &settings(16, 1, 4)).unwrap();
    assert_eq!(features.target(0), &FeatureTarget::Span(0, 0));
    assert_eq!(features.target(1), &FeatureTarget::None);
}

#[test]
fn a_long_question_is_cut_and_counted() {
    let context: Arc<str> = "the moon".into();
    let examples =
        vec![example("who who who", &context, None), example("who who who who", &context, None)];
    let features = questions(&dataset(examples), &tokenizer(), &settings(16, 1, 3)).unwrap();
    assert_eq!(features.truncated, 1);
    assert_eq!(features.sequence(0, 0), features.sequence(1, 0));
}

#[test]
fn questions_of_a_passage_share_its_offsets() {
    let context: Arc<str> = "the moon".into();
    let examples = (0..3).map(|_| example("who", &context, None)).collect();
    let features = questions(&dataset(examples), &tokenizer(), &settings(16, 1, 4)).unwrap();
    assert_eq!(features.offsets, [(0, 3), (4, 8)]);
    assert_eq!(window(&features, 2), (3, &[(0, 3), (4, 8)][..], 0..2));
}

#[test]
fn settings_that_leave_no_room_say_what_to_change() {
    let context: Arc<str> = "the moon".into();
    let dataset = dataset(vec![example("who", &context, None)]);
    for settings in [settings(3, 0, 64), settings(0, 0, 0)] {
        let error = questions(&dataset, &tokenizer(), &settings).unwrap_err();
        assert!(error.what().contains("more than the 3 special tokens of a pair"), "{error}");
        assert!(error.hint_text().unwrap().contains("--max-length"), "{error}");
    }
    for settings in [settings(128, 128, 64), settings(16, 9, 4)] {
        let error = questions(&dataset, &tokenizer(), &settings).unwrap_err();
        assert!(error.what().contains("neighbouring windows"), "{error}");
        assert!(error.hint_text().unwrap().contains("--doc-stride"), "{error}");
    }
    assert!(questions(&dataset, &tokenizer(), &settings(16, 8, 4)).is_ok());
}

#[test]
fn an_example_of_another_head_names_its_line() {
    let mut wrong = example("who", &"the moon".into(), None);
    wrong.input = Input::Words(vec!["moon".into()]);
    let context: Arc<str> = "the moon".into();
    let dataset = dataset(vec![example("who", &context, None), wrong]);
    let error = questions(&dataset, &tokenizer(), &settings(16, 1, 4)).unwrap_err();
    assert_eq!(error.to_string(), "train.json:7: expected a question about a passage");
}

#[test]
fn a_tokenizer_that_is_not_berts_is_refused() {
    let mut json: serde_json::Value = serde_json::from_slice(TOKENIZER).unwrap();
    json["post_processor"] = serde_json::Value::Null;
    let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
    let dataset = dataset(vec![example("who", &"the moon".into(), None)]);
    let error = questions(&dataset, &tokenizer, &settings(16, 1, 4)).unwrap_err();
    assert!(error.what().contains("expected a special token first"), "{error}");
}

#[test]
fn chunks_hold_every_example_once_and_part_no_passage() {
    let contexts: Vec<Arc<str>> = (0..5).map(|i| format!("moon {i}").into()).collect();
    let examples: Vec<_> =
        (0..3 * CHUNK).map(|i| example("who", &contexts[(i / 2500).min(4)], None)).collect();
    let chunks: Vec<_> = chunks(&examples).collect();
    assert_eq!(chunks.iter().map(|chunk| chunk.len()).sum::<usize>(), examples.len());
    assert!(chunks.len() > 1);
    for pair in chunks.windows(2) {
        assert!(!pair[0].last().unwrap().same_passage(&pair[1][0]));
    }
    let features = questions(&dataset(examples), &tokenizer(), &settings(16, 1, 4)).unwrap();
    assert!((0..features.len()).all(|feature| features.example(feature) == feature));
}

/// Words and signs, of which some make several pieces or none.
fn passage() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "moon",
        "landing",
        "Käthe",
        "東京",
        "🚀",
        "1969",
        "\u{200b}",
        "the",
        ",",
        "cre\u{301}",
        "  ",
        "한국",
    ]);
    prop::collection::vec(word, 1..80).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn windows_cover_every_piece_and_neighbours_share_the_stride(
        pieces in 0usize..400, room in 1usize..60, shared in 0usize..60
    ) {
        let shared = shared % room;
        let windows = windows(pieces, room, shared);
        prop_assert_eq!(windows[0].start, 0);
        prop_assert_eq!(windows.last().unwrap().end, pieces);
        for pair in windows.windows(2) {
            prop_assert_eq!(pair[0].len(), room);
            prop_assert_eq!(pair[0].end - pair[1].start, shared);
            prop_assert!(pair[1].end > pair[0].end, "no window lies in another");
        }
    }

    #[test]
    fn every_piece_has_the_most_context_in_exactly_one_window(
        pieces in 0usize..300, room in 1usize..40, shared in 0usize..40
    ) {
        let windows = windows(pieces, room, shared % room);
        let mut owners = vec![0; pieces];
        for (index, window) in windows.iter().enumerate() {
            let run = max_context(&windows, index);
            for piece in run {
                owners[window.start + piece] += 1;
            }
        }
        prop_assert!(owners.iter().all(|&count| count == 1), "{:?}", owners);
    }

    #[test]
    fn an_answer_that_fits_is_whole_in_a_window_and_stands_at_its_offsets(
        context in passage(), from in 0usize..1000, length in 1usize..40, stride in 0usize..12
    ) {
        let characters: Vec<char> = context.chars().collect();
        let start = from % characters.len();
        let end = (start + length).min(characters.len());
        let text: String = characters[start..end].iter().collect();
        let context: Arc<str> = context.into();
        let dataset = dataset(vec![example("who was it?", &context, answer(&text, start))]);
        let features = questions(&dataset, &tokenizer(), &settings(24, stride, 8)).unwrap();
        let bytes = byte_offset(&context, start).unwrap();
        let bytes = bytes..bytes + text.len();
        let touched = features
            .offsets
            .iter()
            .filter(|(from, to)| (*to as usize) > bytes.start && (*from as usize) < bytes.end)
            .count();
        let mut held = 0;
        for feature in 0..features.len() {
            let (context_start, offsets, _) = window(&features, feature);
            let FeatureTarget::Span(first, last) = *features.target(feature) else {
                panic!("a span")
            };
            if (first, last) == (0, 0) {
                continue;
            }
            held += 1;
            let (first, last) = (first as usize - context_start, last as usize - context_start);
            prop_assert_eq!(last + 1 - first, touched);
            // What the answer's ends cut off of a piece is the only thing that is not in the answer.
            prop_assert!(offsets[first].1 as usize > bytes.start);
            prop_assert!((offsets[last].0 as usize) < bytes.end);
        }
        // The next window begins at most `room - stride` pieces on, so that stride + 1 pieces fit.
        if touched > 0 && touched <= stride + 1 {
            prop_assert!(held > 0, "{touched} pieces are in no window");
        }
        if touched == 0 {
            prop_assert_eq!(held, 0);
        }
    }
}
