//! The functions of an export's training graph for which this program has kernels.

use super::proto::NodeDef;

/// Number formats, by their numbers in TensorFlow's `types.proto`.
pub(super) const FLOAT: i32 = 1;
pub(super) const UINT8: i32 = 4;
pub(super) const BFLOAT16: i32 = 14;
pub(super) const UINT32: i32 = 22;

/// The number format of an argument or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// That of the computation: float32 or bfloat16, the same everywhere in a call.
    Computed,
    Float,
    Byte,
    Word,
}

impl Format {
    fn fits(self, computed: i32, found: i32) -> bool {
        found
            == match self {
                Self::Computed => computed,
                Self::Float => FLOAT,
                Self::Byte => UINT8,
                Self::Word => UINT32,
            }
    }
}

use Format::{Byte as B, Computed as X, Float as F, Word as W};

/// A function of `python_export/fused.py` or `python_export/attention.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    AddNormBackward,
    AddNormForward,
    Draw,
    DropProbabilities,
    EmbedBackward,
    EmbedForward,
    GeluBackward,
    GeluForward,
    Merge,
    MergeParts,
    ScaleAndOffset,
    ScoresGradient,
    Split,
    Unmerge,
}

impl Function {
    pub(super) const ALL: [Self; 14] = [
        Self::AddNormBackward,
        Self::AddNormForward,
        Self::Draw,
        Self::DropProbabilities,
        Self::EmbedBackward,
        Self::EmbedForward,
        Self::GeluBackward,
        Self::GeluForward,
        Self::Merge,
        Self::MergeParts,
        Self::ScaleAndOffset,
        Self::ScoresGradient,
        Self::Split,
        Self::Unmerge,
    ];

    /// The function's name in Python without the leading underscore: `gelu_forward` for `_gelu_forward`.
    fn name(self) -> &'static str {
        match self {
            Self::AddNormBackward => "add_norm_backward",
            Self::AddNormForward => "add_norm_forward",
            Self::Draw => "draw",
            Self::DropProbabilities => "drop_probabilities",
            Self::EmbedBackward => "embed_backward",
            Self::EmbedForward => "embed_forward",
            Self::GeluBackward => "gelu_backward",
            Self::GeluForward => "gelu_forward",
            Self::Merge => "merge",
            Self::MergeParts => "merge_parts",
            Self::ScaleAndOffset => "scale_and_offset",
            Self::ScoresGradient => "scores_gradient",
            Self::Split => "split",
            Self::Unmerge => "unmerge",
        }
    }

    /// The name of the TensorFlow operation that this program registers for it.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::AddNormBackward => "TfbertAddNormBackward",
            Self::AddNormForward => "TfbertAddNormForward",
            Self::Draw => "TfbertDraw",
            Self::DropProbabilities => "TfbertDropProbabilities",
            Self::EmbedBackward => "TfbertEmbedBackward",
            Self::EmbedForward => "TfbertEmbedForward",
            Self::GeluBackward => "TfbertGeluBackward",
            Self::GeluForward => "TfbertGeluForward",
            Self::Merge => "TfbertMerge",
            Self::MergeParts => "TfbertMergeParts",
            Self::ScaleAndOffset => "TfbertScaleAndOffset",
            Self::ScoresGradient => "TfbertScoresGradient",
            Self::Split => "TfbertSplit",
            Self::Unmerge => "TfbertUnmerge",
        }
    }

    /// The formats of arguments and results.
    fn signature(self) -> (&'static [Format], &'static [Format]) {
        match self {
            Self::AddNormBackward => (&[X, F, F, X, X, W, B, F], &[X, F, X, F, F]),
            Self::AddNormForward => (&[X, F, X, F, F, W, B, F], &[X, X, F]),
            Self::Draw => (&[X, W], &[W]),
            Self::DropProbabilities => (&[X, B, W, B, F], &[X, X]),
            Self::EmbedBackward => (&[X, F, F, X, X, W, B, F], &[F, F, F]),
            Self::EmbedForward => (&[F, F, F, F, F, W, B, F], &[X, X, F]),
            Self::GeluBackward => (&[X, F, X, X], &[X]),
            Self::GeluForward => (&[X, F], &[X]),
            Self::Merge => (&[X], &[X]),
            Self::ScaleAndOffset => (&[X, F], &[X]),
            Self::ScoresGradient => (&[X, X, X, X, W, B, F], &[X, X]),
            // Up to three parts: see `has_formats`.
            Self::MergeParts => (&[X, X, X], &[X]),
            Self::Split => (&[X, F, F], &[X, X, X]),
            Self::Unmerge => (&[X, X], &[X]),
        }
    }

    /// The function that a node of a graph calls, if it is one of these.
    pub(super) fn called_by(node: &NodeDef) -> Option<Self> {
        if node.op != "PartitionedCall" {
            return None;
        }
        // Such as `__inference__gelu_forward_1234`.
        let called = node.attr.get("f")?.func.as_ref()?.name.strip_prefix("__inference__")?;
        let (name, number) = called.rsplit_once('_')?;
        let function = Self::ALL.into_iter().find(|function| function.name() == name)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && function.has_formats(&node.types("Tin"), &node.types("Tout")))
            .then_some(function)
    }

    fn has_formats(self, inputs: &[i32], outputs: &[i32]) -> bool {
        let (mut expected_inputs, mut expected_outputs) = self.signature();
        match self {
            Self::MergeParts => expected_inputs = &expected_inputs[..inputs.len().clamp(1, 3)],
            Self::Split => expected_outputs = &expected_outputs[..outputs.len().clamp(1, 3)],
            _ => {}
        }
        let fits = |computed, expected: &[Format], found: &[i32]| {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(format, found)| format.fits(computed, *found))
        };
        [FLOAT, BFLOAT16].into_iter().any(|computed| {
            fits(computed, expected_inputs, inputs) && fits(computed, expected_outputs, outputs)
        })
    }
}
