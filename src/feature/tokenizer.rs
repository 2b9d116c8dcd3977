//! The `tokenizers` crate, from an export's `tokenizer.json`.

use std::ops::Range;
use std::path::Path;

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{
    EncodeInput, Encoding, ModelWrapper, Normalizer, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, Token,
};

use crate::error::{Error, Result};

/// A tokenizer that neither truncates nor pads: sequences are cut where features are made.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// The file is missing or no tokenizer.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, &error))?;
        Self::from_bytes(&bytes).map_err(|error| error.at(path))
    }

    /// A tokenizer from the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// They are no tokenizer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| Error::new(format!("it is not a tokenizer: {error}")))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::new(error.to_string()))?;
        Ok(Self { inner })
    }

    /// Checks that the encoder has an embedding for every id and every segment that this tokenizer
    /// gives: `vocab_size` ids, and `segments` segments in sequences of one text, or of two where
    /// `joins_texts`.
    ///
    /// # Errors
    ///
    /// The tokenizer gives an id or a segment past the encoder's.
    pub fn check_fits(&self, vocab_size: usize, segments: usize, joins_texts: bool) -> Result<()> {
        let entries = self.inner.get_vocab_size(true);
        if entries > vocab_size {
            return Err(Error::new(format!(
                "the tokenizer has {entries} entries, but the encoder has embeddings for \
                 {vocab_size} (`vocab_size`)"
            ))
            .hint("export the model again: its tokenizer.json belongs to another encoder"));
        }
        let (_, given) = self.join(0, joins_texts.then_some(0))?;
        let given = given.into_iter().max().map_or(1, |last| last as usize + 1);
        if given > segments {
            let texts = if joins_texts { "two texts" } else { "a text" };
            return Err(Error::usage(format!(
                "the tokenizer joins {texts} in {given} segments, but the encoder has embeddings \
                 for {segments} (`type_vocab_size`)"
            ))
            .hint(if joins_texts {
                "use an encoder with 2 segments, or a task of single texts"
            } else {
                "export the model again: its tokenizer.json belongs to another encoder"
            }));
        }
        Ok(())
    }

    /// The ids of a text's word pieces, without special tokens around it, however long it is. A
    /// special token that is typed in the text (`[SEP]`) is read as that token, as Hugging Face's
    /// tokenizers do.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn pieces(&self, text: &str) -> Result<Vec<i32>> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|error| Error::new(error.to_string()))?;
        Ok(encoding.get_ids().iter().map(|&id| id as i32).collect())
    }

    /// Where the words of a text stand in it, in bytes: the parts that the tokenizer's normaliser and
    /// pre-tokenizer make before it cuts them into pieces, without white space around them.
    ///
    /// BERT's tokenizer splits at white space, splits punctuation off and takes each Chinese character
    /// by itself. A part is also split where a script that is written without spaces begins or ends,
    /// so that a name in Latin letters inside Japanese text is a word. Initials with full stops (`U.N.`)
    /// stay one word, as in the usual training files. A tokenizer without a pre-tokenizer splits at white
    /// space.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn words(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut words: Vec<Range<usize>> = Vec::new();
        for part in self.parts(text)? {
            // Parts that come from one character (a normaliser may write `½` as three) are one word.
            let start = words.last().map_or(part.start, |last| part.start.max(last.end));
            let part = text.get(start..part.end.max(start)).ok_or_else(|| {
                Error::new("the tokenizer splits a text inside a character; expected whole ones")
            })?;
            // A part may hold the space before its word, or be the whole text.
            for word in part.split_whitespace() {
                let mut at = start + word.as_ptr().addr() - part.as_ptr().addr();
                for run in runs_of_one_script(word) {
                    words.push(at..at + run.len());
                    at += run.len();
                }
            }
        }
        Ok(join_initials(text, &words))
    }

    /// The parts of a text before it is cut into pieces, in bytes.
    fn parts(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let failed = |error: tokenizers::Error| Error::new(error.to_string());
        let mut split = PreTokenizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            split.normalize(|part| normalizer.normalize(part)).map_err(failed)?;
        }
        let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() else {
            let whole = 0..text.len();
            return Ok(Vec::from([whole]));
        };
        pre_tokenizer.pre_tokenize(&mut split).map_err(failed)?;
        let parts = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Ok(parts.into_iter().map(|(_, (start, end), _)| start..end).collect())
    }

    /// The ids of a word of a sentence that is cut into words. Byte-level tokenizers (RoBERTa's) read
    /// it with the space before it, as Hugging Face's do with `add_prefix_space`.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub(super) fn word_pieces(&self, word: &str) -> Result<Vec<i32>> {
        let needs_space = match self.inner.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::ByteLevel(byte_level)) => !byte_level.add_prefix_space,
            _ => false,
        };
        // The reference adds the space to the text between special tokens.
        let is_special = self.inner.get_added_vocabulary().is_special_token(word);
        if needs_space && !is_special {
            self.pieces(&format!(" {word}"))
        } else {
            self.pieces(word)
        }
    }

    /// Tokens with their byte offsets; `special` adds `[CLS]` and `[SEP]`.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn encode<'s>(&self, input: impl Into<EncodeInput<'s>>, special: bool) -> Result<Encoding> {
        self.inner.encode(input, special).map_err(|error| Error::new(error.to_string()))
    }

    /// The id of a token, for example `[CLS]`.
    pub fn token_id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }

    /// The id of the token that hides another (BERT's `[MASK]`, RoBERTa's `<mask>`).
    ///
    /// # Errors
    ///
    /// The vocabulary has no such token.
    pub fn mask_token_id(&self) -> Result<i32> {
        let id = ["[MASK]", "<mask>"].iter().find_map(|token| self.token_id(token));
        id.ok_or_else(|| {
            Error::new("the tokenizer has no mask token; expected `[MASK]` or `<mask>`")
        })
    }

    /// How many entries the vocabulary has, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The entries in the order of their ids.
    pub fn vocabulary(&self) -> Vec<String> {
        let entry = |id| self.inner.id_to_token(id as u32).unwrap_or_default();
        (0..self.vocab_size()).map(entry).collect()
    }

    /// An entry of the vocabulary as text: `film` for `Ġfilm` of a byte-level vocabulary. An entry that
    /// is part of a character stands for itself.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn entry_text(&self, id: u32) -> Result<String> {
        let text =
            self.inner.decode(&[id], false).map_err(|error| Error::new(error.to_string()))?;
        let text = text.trim();
        if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
            return Ok(self.inner.id_to_token(id).unwrap_or_default());
        }
        Ok(text.to_owned())
    }

    /// The id of the token for text that the vocabulary has no piece for (BERT's `[UNK]`).
    ///
    /// # Errors
    ///
    /// The vocabulary has no such token.
    pub(super) fn unknown_id(&self) -> Result<i32> {
        let token = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => Some(&model.unk_token),
            ModelWrapper::WordLevel(model) => Some(&model.unk_token),
            ModelWrapper::BPE(model) => model.unk_token.as_ref(),
            ModelWrapper::Unigram(_) => None,
        };
        // RoBERTa's model names none: every byte has a piece. The token is there all the same.
        let token = token.map_or("<unk>", String::as_str);
        self.token_id(token).ok_or_else(|| {
            Error::new(
                "the tokenizer has no token for unknown text; expected one, as BERT's `[UNK]`",
            )
        })
    }

    /// The ids and segments of a text that is the one token `first`, or of a pair whose second text
    /// is the one token `second`, as the post-processor joins them.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub(super) fn join(&self, first: u32, second: Option<u32>) -> Result<(Vec<u32>, Vec<u32>)> {
        let text = |id| Encoding::from_tokens(vec![Token::new(id, String::new(), (0, 0))], 0);
        let joined = self
            .inner
            .post_process(text(first), second.map(text), true)
            .map_err(|error| Error::new(error.to_string()))?;
        Ok((joined.get_ids().to_vec(), joined.get_type_ids().to_vec()))
    }
}

/// Blocks of scripts that are written without spaces between words, apart from Chinese characters,
/// which BERT's tokenizer takes by themselves.
const SCRIPTS_WITHOUT_SPACES: [(char, char); 8] = [
    ('\u{e00}', '\u{e7f}'),   // Thai
    ('\u{e80}', '\u{eff}'),   // Lao
    ('\u{1000}', '\u{109f}'), // Burmese
    ('\u{1780}', '\u{17ff}'), // Khmer
    ('\u{3040}', '\u{309f}'), // Hiragana
    ('\u{30a0}', '\u{30ff}'), // Katakana
    ('\u{31f0}', '\u{31ff}'), // Katakana, small letters
    ('\u{ff66}', '\u{ff9d}'), // Katakana, half width
];

/// The words with two or more letters that have a full stop each, without a gap, as one.
fn join_initials(text: &str, words: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut joined = Vec::with_capacity(words.len());
    let is_letter = |word: &Range<usize>| {
        let mut letters = text[word.clone()].chars();
        letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
    };
    let mut at = 0;
    while at < words.len() {
        let mut end = at;
        while let Some([letter, stop]) = words.get(end..end + 2)
            && is_letter(letter)
            && &text[stop.clone()] == "."
            && letter.end == stop.start
            && (end == at || words[end - 1].end == letter.start)
        {
            end += 2;
        }
        // One letter with a full stop may end a sentence.
        if end - at < 4 {
            end = at + 1;
        }
        joined.push(words[at].start..words[end - 1].end);
        at = end;
    }
    joined
}

/// A word cut where a script that is written without spaces begins or ends.
fn runs_of_one_script(word: &str) -> Vec<&str> {
    let script = |c: char| SCRIPTS_WITHOUT_SPACES.iter().position(|(a, z)| (*a..=*z).contains(&c));
    let mut runs = Vec::new();
    let (mut start, mut current) = (0, None);
    for (at, character) in word.char_indices() {
        let new = script(character);
        if at > 0 && new != current {
            runs.push(&word[start..at]);
            start = at;
        }
        current = new;
    }
    runs.push(&word[start..]);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENIZER: &[u8] = include_bytes!("../../tests/golden/question_tokenizer.json");

    #[test]
    fn a_tokenizer_fits_an_encoder_with_embeddings_for_its_ids_and_segments() {
        let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
        let entries = tokenizer.inner.get_vocab_size(true);
        assert!(tokenizer.check_fits(entries, 2, true).is_ok());
        assert!(tokenizer.check_fits(entries + 7, 1, false).is_ok());
        let error = tokenizer.check_fits(entries - 1, 2, true).unwrap_err();
        assert!(error.what().contains(&format!("{entries} entries")), "{error}");
    }

    #[test]
    fn an_entry_is_shown_as_its_text_and_part_of_a_character_as_itself() {
        let shown = |json: &[u8], entry: &str| {
            let tokenizer = Tokenizer::from_bytes(json).unwrap();
            tokenizer.entry_text(tokenizer.inner.token_to_id(entry).unwrap()).unwrap()
        };
        let bytes = include_bytes!("../../tests/golden/byte_level_tokenizer.json");
        assert_eq!(shown(bytes, "Ġthe"), "the");
        assert_eq!(shown(bytes, "Ġ"), "Ġ");
        assert_eq!(shown(bytes, "ä"), "ä");
        let pieces = include_bytes!("../../tests/golden/unigram_tokenizer.json");
        assert_eq!(shown(pieces, "▁the"), "the");
        assert_eq!(shown(TOKENIZER, "##s"), "##s");
    }

    fn words_of<'t>(tokenizer: &Tokenizer, text: &'t str) -> Vec<&'t str> {
        tokenizer.words(text).unwrap().into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn a_text_is_cut_into_words_as_bert_does_and_each_is_a_part_of_the_text() {
        let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
        let words = |text| words_of(&tokenizer, text);
        assert_eq!(
            words(" Anna's in Oslo, (twice).\t"),
            ["Anna", "'", "s", "in", "Oslo", ",", "(", "twice", ")", "."]
        );
        assert_eq!(words("今日はAnnaが東京へ"), ["今", "日", "は", "Anna", "が", "東", "京", "へ"]);
        assert_eq!(
            words("マリア(Maria)とไทยOslo"),
            ["マリア", "(", "Maria", ")", "と", "ไทย", "Oslo"]
        );
        assert_eq!(words("Élodie E\u{301}lodie\u{200b} \u{0}x"), ["Élodie", "E\u{301}lodie", "x"]);
        assert_eq!(
            words("the U.N. in A. and U.S.A."),
            ["the", "U.N.", "in", "A", ".", "and", "U.S.A."]
        );
        assert!(words(" \u{a0}\n").is_empty());
    }

    #[test]
    fn two_texts_do_not_fit_an_encoder_with_one_segment() {
        let tokenizer = Tokenizer::from_bytes(TOKENIZER).unwrap();
        let error = tokenizer.check_fits(1_000_000, 1, true).unwrap_err();
        assert!(error.what().contains("2 segments"), "{error}");
        assert!(error.what().contains("`type_vocab_size`"), "{error}");
        assert!(error.hint_text().unwrap().contains("single texts"), "{error}");
    }

    #[test]
    fn two_texts_in_one_segment_fit_an_encoder_with_one() {
        let mut json: serde_json::Value = serde_json::from_slice(TOKENIZER).unwrap();
        for part in json["post_processor"]["pair"].as_array_mut().unwrap() {
            for piece in part.as_object_mut().unwrap().values_mut() {
                piece["type_id"] = 0.into();
            }
        }
        let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
        assert!(tokenizer.check_fits(1_000_000, 1, true).is_ok());
    }
}
