//! Question answering from files to scores on the samples in `data/`, with invented logits in the
//! model's place. `machine.rs` does the same on SQuAD's own files.

mod common;
#[path = "common/questions.rs"]
mod questions;

use std::fs;

use common::root;
use tfbert::feature::Tokenizer;

fn samples() -> questions::Sets {
    let json = fs::read(root().join("tests/golden/question_tokenizer.json")).unwrap();
    questions::Sets::new(&root().join("data"), &Tokenizer::from_bytes(&json).unwrap())
}

#[test]
fn a_model_that_knows_the_answers_scores_all_but_those_that_word_pieces_cannot_say() {
    questions::known_answers_are_found(&samples());
}

#[test]
fn the_scorer_reads_the_prediction_files_and_finds_our_scores() {
    questions::scores_are_the_scorers(&samples());
}

#[test]
fn every_answer_is_a_stretch_of_its_passage() {
    questions::answers_are_of_their_passage(&samples());
}
