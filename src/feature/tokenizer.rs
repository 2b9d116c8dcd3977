//! WordPiece through the `tokenizers` crate, from an export's `tokenizer.json`.

use std::path::Path;

use tokenizers::utils::truncation::{TruncationParams, TruncationStrategy};
use tokenizers::{EncodeInput, Encoding};

use crate::error::{Error, Result};

/// A tokenizer that adds the special tokens and truncates as told, and never pads.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// Which text gives way when a pair is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// The longer of the two, piece by piece (Hugging Face's `longest_first`).
    LongestFirst,
    /// The second; the pieces that give way come back in windows that share `stride` pieces.
    SecondInWindows {
        /// What two neighbouring windows share.
        stride: usize,
    },
    /// None: the sequence keeps its length.
    Never,
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

    /// The same tokenizer with a length limit, special tokens included.
    ///
    /// # Errors
    ///
    /// The windows would share more than a window holds.
    pub fn truncating(&self, max_length: usize, truncation: Truncation) -> Result<Self> {
        let params = match truncation {
            Truncation::Never => None,
            Truncation::LongestFirst => Some(TruncationParams {
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                ..TruncationParams::default()
            }),
            Truncation::SecondInWindows { stride } => Some(TruncationParams {
                max_length,
                stride,
                strategy: TruncationStrategy::OnlySecond,
                ..TruncationParams::default()
            }),
        };
        let mut inner = self.inner.clone();
        inner
            .with_truncation(params)
            .map_err(|error| Error::usage(error.to_string().trim_end_matches([',', ' '])))?;
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

    /// How many special tokens a single text or a pair gets.
    pub fn special_tokens(&self, pair: bool) -> usize {
        use tokenizers::PostProcessor;
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(pair))
    }

    /// The id of a token, for example `[CLS]`.
    pub fn token_id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }
}
