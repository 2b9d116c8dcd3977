//! The `tokenizers` crate, from an export's `tokenizer.json`.

use std::path::Path;

use tokenizers::{EncodeInput, Encoding, ModelWrapper, Token};

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

    /// The ids of a text's word pieces, without special tokens, however long it is.
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn pieces(&self, text: &str) -> Result<Vec<i32>> {
        let encoding =
            self.inner.encode_fast(text, false).map_err(|error| Error::new(error.to_string()))?;
        Ok(encoding.get_ids().iter().map(|&id| id as i32).collect())
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
        token.and_then(|token| self.token_id(token)).ok_or_else(|| {
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
