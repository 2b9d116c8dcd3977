//! WordPiece through the `tokenizers` crate, from an export's `tokenizer.json`.

use std::path::Path;

use tokenizers::{EncodeInput, Encoding};

use crate::error::{Error, Result};

/// A tokenizer that neither truncates nor pads: sequences are cut where they are laid out.
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

    /// Token ids, without offsets (which cost time).
    ///
    /// # Errors
    ///
    /// The tokenizer's own.
    pub fn encode_ids<'s>(&self, input: impl Into<EncodeInput<'s>>) -> Result<Encoding> {
        self.inner.encode_fast(input, true).map_err(|error| Error::new(error.to_string()))
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
}
