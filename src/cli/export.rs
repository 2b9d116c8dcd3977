//! Flags of `tfbert export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where an exported model is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// A folder that transformers loads: config.json, model.safetensors, tokenizer files.
    HuggingFace,
    /// A version folder of TensorFlow Serving, such as `DIR/1`: the SavedModel, requests to warm it up,
    /// a request to send.
    Serving,
    /// A folder with `model.onnx` for ONNX Runtime, and the tokenizer. It is converted by Python with
    /// tf2onnx and compared with the model.
    Onnx,
}

/// Arguments of `tfbert export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder of a run, such as `runs/sst2`, or of a trained model.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,

    /// Where the model is used.
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: ExportForm,

    /// The folder to write.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Replace the export that the folder holds.
    #[arg(long)]
    pub overwrite: bool,

    /// For `--to onnx`, the Python that has TensorFlow, tf2onnx and onnxruntime [default: that of
    /// `.venv`, else that of `tfbert setup`, else `python3`].
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
}
