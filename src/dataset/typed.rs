//! A user's own line of text to what the model reads of it.

use std::sync::Arc;

use super::Input;
use crate::error::{Error, Result};

/// A line, and what is known beside it.
#[derive(Debug, Clone, Copy)]
pub struct TypedText<'a> {
    /// The line.
    pub line: &'a str,
    /// Whether the task's examples are pairs of texts.
    pub is_pair: bool,
    /// The passage that questions are about, where all are about one.
    pub context: Option<&'a Arc<str>>,
}

/// A text or, separated by a tab, a pair of texts.
///
/// # Errors
///
/// The task has pairs, and the line no tab.
pub fn typed_text(typed: TypedText<'_>) -> Result<Input> {
    if !typed.is_pair {
        return Ok(Input::Text { text: typed.line.to_owned(), text_pair: None });
    }
    match typed.line.split_once('\t') {
        Some((text, pair)) => {
            Ok(Input::Text { text: text.to_owned(), text_pair: Some(pair.to_owned()) })
        }
        None => Err(Error::usage("expected two texts with a tab between")
            .hint("in a shell, write a tab as $'first text\\tsecond text'")),
    }
}

/// A question about the given passage or, separated by a tab, a question and its passage.
///
/// # Errors
///
/// There is no passage.
pub fn typed_question(typed: TypedText<'_>) -> Result<Input> {
    let (question, context) = match (typed.context, typed.line.split_once('\t')) {
        (Some(context), _) => (typed.line, Arc::clone(context)),
        (None, Some((question, context))) => (question, context.into()),
        (None, None) => {
            return Err(Error::usage("a question needs its passage").hint(
                "name the passage's file with `--context FILE`, or write question, tab, passage",
            ));
        }
    };
    Ok(Input::Question { question: question.to_owned(), context })
}

/// A context and its endings, with tabs between.
///
/// # Errors
///
/// Fewer than two endings.
pub fn typed_choices(typed: TypedText<'_>) -> Result<Input> {
    let mut parts = typed.line.split('\t').map(str::to_owned);
    let context = parts.next().unwrap_or_default();
    let endings: Vec<String> = parts.collect();
    if endings.len() < 2 {
        return Err(Error::usage("expected a context and at least two endings, with tabs between"));
    }
    Ok(Input::Choices { context, start: String::new(), endings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> TypedText<'_> {
        TypedText { line, is_pair: false, context: None }
    }

    #[test]
    fn a_pair_without_a_tab_is_refused() {
        let pair = |line| typed_text(TypedText { is_pair: true, ..typed(line) });
        assert!(pair("only one").is_err());
        let expected = Input::Text { text: "one".into(), text_pair: Some("two".into()) };
        assert_eq!(pair("one\ttwo").unwrap(), expected);
    }

    #[test]
    fn a_question_is_about_the_given_passage_or_brings_its_own() {
        let own = typed_question(typed("who?\tthe moon")).unwrap();
        assert_eq!(own, Input::Question { question: "who?".into(), context: "the moon".into() });
        let context: Arc<str> = "the sun".into();
        let given = TypedText { context: Some(&context), ..typed("who?\tthe moon") };
        let Input::Question { question, context: found } = typed_question(given).unwrap() else {
            panic!();
        };
        assert_eq!((question.as_str(), &found), ("who?\tthe moon", &context));
        assert!(typed_question(typed("who?")).is_err());
    }

    #[test]
    fn one_ending_is_no_choice() {
        assert!(typed_choices(typed("he sat\tand rose")).is_err());
        let Input::Choices { endings, .. } = typed_choices(typed("he sat\ta\tb")).unwrap() else {
            panic!();
        };
        assert_eq!(endings, ["a", "b"]);
    }
}
