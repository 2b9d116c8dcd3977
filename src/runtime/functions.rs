//! The functions of an export's training graph for which this program has kernels.

use super::proto::NodeDef;

/// Number formats, by their numbers in TensorFlow's `types.proto`.
pub(super) const FLOAT: i32 = 1;
pub(super) const UINT8: i32 = 4;
pub(super) const BOOL: i32 = 10;
pub(super) const BFLOAT16: i32 = 14;
pub(super) const RESOURCE: i32 = 20;
pub(super) const UINT32: i32 = 22;

/// The number format of an argument or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// That of the computation: float32 or bfloat16, the same everywhere in a call.
    Computed,
    /// One to three of `Computed`. A list has at most one of this kind.
    Several,
    Float,
    Byte,
    Word,
    Bool,
    /// A float32 variable that the function reads.
    Read,
    /// A float32 variable that the function changes.
    Changed,
}

impl Format {
    fn fits(self, computed: i32, found: i32) -> bool {
        found
            == match self {
                Self::Computed | Self::Several => computed,
                Self::Float => FLOAT,
                Self::Byte => UINT8,
                Self::Word => UINT32,
                Self::Bool => BOOL,
                Self::Read | Self::Changed => RESOURCE,
            }
    }
}

/// Whether the formats of a call's arguments, or of its results, are those that a function has.
fn all_fit(computed: i32, expected: &[Format], found: &[i32]) -> bool {
    // What is found beyond the expected ones belongs to `Several`.
    let Some(more) = found.len().checked_sub(expected.len()) else { return false };
    let most = if expected.contains(&Format::Several) { 2 } else { 0 };
    let repeated = |format: &Format| if *format == Format::Several { 1 + more } else { 1 };
    let expected = expected.iter().flat_map(|format| std::iter::repeat_n(format, repeated(format)));
    more <= most && expected.zip(found).all(|(format, found)| format.fits(computed, *found))
}

use Format::{
    Bool, Byte as B, Changed as C, Computed as X, Float as F, Read as R, Several as XS, Word as W,
};

/// A function of `python_export`: of `fused`, `attention`, `optimizer` or `lazy_rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    AddNormBackward,
    AddNormForward,
    CaughtUp,
    Draw,
    Drop,
    DropProbabilities,
    EmbedBackward,
    EmbedForward,
    GeluBackward,
    GeluForward,
    Merge,
    MergeParts,
    Missed,
    Move,
    RowSquareSums,
    ScaleAndOffset,
    ScaleMoments,
    ScoresGradient,
    Split,
    Unmerge,
    Update,
}

/// What is known of a function.
struct Facts {
    /// The name in Python without the leading underscore: `gelu_forward` for `_gelu_forward`.
    name: &'static str,
    /// The TensorFlow operation that takes its place. Those of the optimiser begin with `TfbertAdamW`, which
    /// `bench --explain` reads.
    operation: &'static str,
    /// The formats of its arguments.
    inputs: &'static [Format],
    /// The formats of its results.
    outputs: &'static [Format],
}

impl Function {
    pub(super) const ALL: [Self; 21] = [
        Self::AddNormBackward,
        Self::AddNormForward,
        Self::CaughtUp,
        Self::Draw,
        Self::Drop,
        Self::DropProbabilities,
        Self::EmbedBackward,
        Self::EmbedForward,
        Self::GeluBackward,
        Self::GeluForward,
        Self::Merge,
        Self::MergeParts,
        Self::Missed,
        Self::Move,
        Self::RowSquareSums,
        Self::ScaleAndOffset,
        Self::ScaleMoments,
        Self::ScoresGradient,
        Self::Split,
        Self::Unmerge,
        Self::Update,
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
            Self::CaughtUp => {
                facts("caught_up", "TfbertAdamWCaughtUp", &[F, F, F, F, F, F, F], &[F, F, F])
            }
            Self::Draw => facts("draw", "TfbertDraw", &[X, W], &[W]),
            Self::Drop => facts("drop", "TfbertDrop", &[X, W, B, F], &[X]),
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
            Self::MergeParts => facts("merge_parts", "TfbertMergeParts", &[XS], &[X]),
            Self::Missed => facts("missed", "TfbertAdamWMissed", &[F, F], &[F, F, F]),
            Self::Move => facts("move", "TfbertAdamWMove", &[C, R, R, F, F, F, F, F, F, F], &[]),
            Self::RowSquareSums => {
                facts("row_square_sums", "TfbertAdamWRowSquareSums", &[XS], &[F])
            }
            Self::ScaleAndOffset => {
                facts("scale_and_offset", "TfbertScaleAndOffset", &[X, F], &[X])
            }
            Self::ScaleMoments => {
                facts("scale_moments", "TfbertAdamWScaleMoments", &[C, C, F], &[])
            }
            Self::ScoresGradient => {
                facts("scores_gradient", "TfbertScoresGradient", &[X, X, X, X, W, B, F], &[X, X])
            }
            Self::Split => facts("split", "TfbertSplit", &[X, F, F], &[XS]),
            Self::Unmerge => facts("unmerge", "TfbertUnmerge", &[X, X], &[X]),
            Self::Update => {
                facts("update", "TfbertAdamWUpdate", &[C, C, C, XS, F, Bool, F, F, F, F, F], &[])
            }
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

    /// How many of its arguments are variables. They come first.
    pub(super) fn variables(self) -> usize {
        let inputs = self.facts().inputs;
        inputs.iter().take_while(|format| matches!(format, Format::Read | Format::Changed)).count()
    }

    /// How many variables it changes. They come before those that it only reads.
    pub(super) fn changed_variables(self) -> usize {
        self.facts().inputs.iter().take_while(|format| **format == Format::Changed).count()
    }

    /// The function that a node of a graph calls, if it is one of these.
    pub(super) fn called_by(node: &NodeDef) -> Option<Self> {
        if !matches!(node.op.as_str(), "PartitionedCall" | "StatefulPartitionedCall") {
            return None;
        }
        // Such as `__inference__gelu_forward_1234`.
        let called = node.attr.get("f")?.func.as_ref()?.name.strip_prefix("__inference__")?;
        let (name, number) = called.rsplit_once('_')?;
        let function = Self::ALL.into_iter().find(|function| function.facts().name == name)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let (inputs, outputs) = (node.types("Tin"), node.types("Tout"));
        let has_inputs = node.input.len() >= inputs.len();
        (is_number && has_inputs && function.has_formats(&inputs, &outputs)).then_some(function)
    }

    fn has_formats(self, inputs: &[i32], outputs: &[i32]) -> bool {
        let facts = self.facts();
        [FLOAT, BFLOAT16].into_iter().any(|computed| {
            all_fit(computed, facts.inputs, inputs) && all_fit(computed, facts.outputs, outputs)
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
