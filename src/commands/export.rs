//! `tfbert export`.

use std::path::Path;

use tfbert::cli::{Cli, ExportArgs, ExportForm};
use tfbert::error::Result;
use tfbert::export::{self, SIGNATURE, Source};
use tfbert::runtime::{Device, Library, Process, Variables, warmup_requests};

use super::models::model_folder;
use super::print_line;

mod onnx;

pub fn run(args: &ExportArgs, cli: &Cli) -> Result<()> {
    let source = Source::read(&model_folder(&args.run)?)?;
    let dir = export::absolute(&args.dir);
    match args.to {
        ExportForm::HuggingFace => hugging_face(args, cli, &source, &dir)?,
        ExportForm::Serving => {
            let encode = |name: &str, requests: &[_]| warmup_requests(name, SIGNATURE, requests);
            export::write_serving(&source, &dir, args.overwrite, &encode)?;
        }
        ExportForm::Onnx => {
            export::check_onnx(&source, &dir, args.overwrite)?;
            let python = onnx::find_python(args.python.as_deref())?;
            let stop = super::stop_signal()?;
            let convert = |model: &_, request: &_, file: &_| {
                onnx::convert(&python, &stop, model, request, file)
            };
            export::write_onnx(&source, &dir, args.overwrite, &convert)?;
        }
    }
    print_line(format!("exported: {}", args.dir.display()))
}

fn hugging_face(args: &ExportArgs, cli: &Cli, source: &Source, dir: &Path) -> Result<()> {
    export::check_hugging_face(source, dir, args.overwrite)?;
    let variables = Variables::open(&library(cli)?, &source.trained.model.dir)?;
    export::write_hugging_face(source, dir, args.overwrite, &mut |path| variables.read(path))
}

fn library(cli: &Cli) -> Result<Library> {
    let device = Device::detect(cli.tensorflow.as_deref());
    Process::prepare(&device, &super::process_options(cli, "")).and_then(Process::load)
}
