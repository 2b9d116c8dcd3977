//! SQuAD's normalisation of answers, exactly as Python computes it.

use super::word::{is_python_space, is_python_word};

/// An answer as SQuAD's official scripts (`evaluate-v1.1.py`, `evaluate-v2.0.py`) compare it: lower
/// case, without ASCII punctuation, without the articles *a*, *an*, *the* as whole words, words
/// joined by single spaces.
///
/// The steps are taken in the scripts' order, and with Python's meaning of lower case, word
/// boundary and white space, because the scores are compared with those of the scripts:
///
/// - lower case may be longer than the text (`İ` becomes `i` and a combining dot), and a capital
///   sigma that ends a word becomes `ς`;
/// - only ASCII punctuation goes: `“`, `–`, `。` and fullwidth signs stay, and stay part of a word;
/// - punctuation goes before articles, so `the-end` is `theend` and keeps its letters, but `a.` is
///   an article;
/// - a combining mark is a word boundary, so of `a` with a separate accent only the accent stays;
/// - white space is what `str.split()` splits at: Unicode's and the separators U+001C to U+001F.
pub fn normalize_answer(text: &str) -> String {
    let mut text = text.to_lowercase();
    text.retain(|c| !c.is_ascii_punctuation());
    let text = without_articles(&text);
    let words: Vec<&str> = text.split(is_python_space).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The text with a space in place of every whole word *a*, *an* and *the*.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, tail) = split_where(rest, |c| !is_python_word(c));
        let (between, next) = split_where(tail, is_python_word);
        kept.push_str(if matches!(word, "a" | "an" | "the") { " " } else { word });
        kept.push_str(between);
        rest = next;
    }
    kept
}

/// The text before the first character that `at` holds for, and the rest.
fn split_where(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalize_answer;

    #[test]
    fn case_punctuation_articles_and_white_space_do_not_count() {
        assert_eq!(normalize_answer("  The  Apollo\tprogramme! "), "apollo programme");
        assert_eq!(normalize_answer("$1,000.50"), "100050");
        assert_eq!(normalize_answer("a b an c the d"), "b c d");
        assert_eq!(normalize_answer(""), "");
        assert_eq!(normalize_answer("The... (a) an!"), "");
    }

    #[test]
    fn articles_go_as_whole_words_only_and_after_punctuation() {
        assert_eq!(normalize_answer("another theme, Anna"), "another theme anna");
        assert_eq!(normalize_answer("the-end"), "theend");
        assert_eq!(normalize_answer("the_end"), "theend");
        assert_eq!(normalize_answer("The End"), "end");
        assert_eq!(normalize_answer("the“end”"), "“end”");
        assert_eq!(normalize_answer("a1 1a"), "a1 1a");
    }

    #[test]
    fn punctuation_beyond_ascii_stays() {
        assert_eq!(normalize_answer("“a–b”"), "“ –b”");
        assert_eq!(normalize_answer("東京。"), "東京。");
        assert_eq!(normalize_answer("Ｔｈｅ　ＣＡＰ！"), "ｔｈｅ ｃａｐ！");
    }

    #[test]
    fn lower_case_is_the_full_mapping() {
        assert_eq!(normalize_answer("İZMİR"), "i\u{307}zmi\u{307}r");
        assert_eq!(normalize_answer("ΟΔΟΣ ΣΑΣ"), "οδος σας");
        assert_eq!(normalize_answer("STRASSE ẞ"), "strasse ß");
    }

    #[test]
    fn marks_end_a_word_as_they_do_in_python() {
        // an accent, a Devanagari vowel sign and a circled letter: alphabetic to Unicode and to
        // Rust's `\b`, but no letters to Python's `re`
        assert_eq!(normalize_answer("a\u{300}"), "\u{300}");
        assert_eq!(normalize_answer("a\u{93e}"), "\u{93e}");
        assert_eq!(normalize_answer("theⓐ"), "ⓐ");
        assert_eq!(normalize_answer("à"), "à");
    }

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(normalize_answer("x\u{1c}y\u{a0}z\u{3000}w\u{85}v"), "x y z w v");
        // the zero-width space is none
        assert_eq!(normalize_answer("x\u{200b}y"), "x\u{200b}y");
    }

    proptest! {
        #[test]
        fn no_article_punctuation_or_double_space_is_left(text in "[aAnNtThHeE .,_\u{300}\u{a0}x-]{0,30}") {
            let normalized = normalize_answer(&text);
            prop_assert!(!normalized.contains(|c: char| c.is_ascii_punctuation()));
            prop_assert!(normalized.split(' ').all(|w| !["a", "an", "the"].contains(&w)));
            prop_assert!(!normalized.contains("  "));
            prop_assert_eq!(normalized.trim(), &normalized);
        }

        #[test]
        fn any_text_is_normalised_without_a_panic(text in any::<String>()) {
            normalize_answer(&text);
        }
    }
}
