//! Flags of `tfbert setup`.

use std::path::PathBuf;

use clap::Args;

use crate::task::Head;

/// Arguments of `tfbert setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The encoder to export: `minilm-l6`, a checkpoint's folder, or a model on the Hugging Face Hub as
    /// OWNER/NAME.
    #[arg(long, value_name = "ENCODER", default_value = "minilm-l6")]
    pub encoder: String,

    /// The head to export, such as `classify`, or `all` of them (about 90 MB each for minilm-l6).
    #[arg(long, value_name = "HEAD", default_value = "all", value_parser = head)]
    pub head: String,

    /// The Python that the environment is made with, 3.11 to 3.13 [default: `python3`, else
    /// `python3.11` and so on].
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,

    /// Install TensorFlow with CUDA's libraries (about 6 GB).
    #[arg(long)]
    pub gpu: bool,

    /// Replace exports that are there in another form.
    #[arg(long)]
    pub force: bool,
}

fn head(text: &str) -> Result<String, String> {
    let names = || Head::ALL.into_iter().map(Head::name).chain(["all"]);
    match names().any(|name| name == text) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected one of {}", names().collect::<Vec<_>>().join(", "))),
    }
}
