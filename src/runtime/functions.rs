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

/// What is known of a function.
struct Facts {
    /// The name in Python without the leading underscore: `gelu_forward` for `_gelu_forward`.
    name: &'static str,
    operation: &'static str,
    /// The formats of its arguments.
    inputs: &'static [Format],
    /// The formats of its results.
    outputs: &'static [Format],
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

    fn facts(self) -> Facts {
        let facts = |name, operation, inputs, outputs| Facts { name, operation, inputs, outputs };
        match self {
            Self::AddNormBackward => facts(
                "add_norm_backward",
                "TfbertAddNormBackward",
                &[X, F, F, X, X, W, B, F],
                &[X, F, X, F, F],
            ),
            Self::AddNormForward => facts(
                "add_norm_forward",
                "TfbertAddNormForward",
                &[X, F, X, F, F, W, B, F],
                &[X, X, F],
            ),
            Self::Draw => facts("draw", "TfbertDraw", &[X, W], &[W]),
            Self::DropProbabilities => {
                facts("drop_probabilities", "TfbertDropProbabilities", &[X, B, W, B, F], &[X, X])
            }
            Self::EmbedBackward => facts(
                "embed_backward",
                "TfbertEmbedBackward",
                &[X, F, F, X, X, W, B, F],
                &[F, F, F],
            ),
            Self::EmbedForward => {
                facts("embed_forward", "TfbertEmbedForward", &[F, F, F, F, F, W, B, F], &[X, X, F])
            }
            Self::GeluBackward => facts("gelu_backward", "TfbertGeluBackward", &[X, F, X, X], &[X]),
            Self::GeluForward => facts("gelu_forward", "TfbertGeluForward", &[X, F], &[X]),
            Self::Merge => facts("merge", "TfbertMerge", &[X], &[X]),
            // Up to three parts: see `has_formats`.
            Self::MergeParts => facts("merge_parts", "TfbertMergeParts", &[X, X, X], &[X]),
            Self::ScaleAndOffset => {
                facts("scale_and_offset", "TfbertScaleAndOffset", &[X, F], &[X])
            }
            Self::ScoresGradient => {
                facts("scores_gradient", "TfbertScoresGradient", &[X, X, X, X, W, B, F], &[X, X])
            }
            // Up to three parts: see `has_formats`.
            Self::Split => facts("split", "TfbertSplit", &[X, F, F], &[X, X, X]),
            Self::Unmerge => facts("unmerge", "TfbertUnmerge", &[X, X], &[X]),
        }
    }

    /// The name of the TensorFlow operation that this program registers for it.
    pub(super) fn operation(self) -> &'static str {
        self.facts().operation
    }

    /// Its place in [`Function::ALL`]: the value of the operation's attribute `function`.
    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// The function that a node of a graph calls, if it is one of these.
    pub(super) fn called_by(node: &NodeDef) -> Option<Self> {
        if node.op != "PartitionedCall" {
            return None;
        }
        // Such as `__inference__gelu_forward_1234`.
        let called = node.attr.get("f")?.func.as_ref()?.name.strip_prefix("__inference__")?;
        let (name, number) = called.rsplit_once('_')?;
        let function = Self::ALL.into_iter().find(|function| function.facts().name == name)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && function.has_formats(&node.types("Tin"), &node.types("Tout")))
            .then_some(function)
    }

    fn has_formats(self, inputs: &[i32], outputs: &[i32]) -> bool {
        let Facts { inputs: mut expected_inputs, outputs: mut expected_outputs, .. } = self.facts();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_number_is_its_place_in_the_list() {
        for (place, function) in Function::ALL.into_iter().enumerate() {
            assert_eq!(function.number(), place);
        }
    }
}
