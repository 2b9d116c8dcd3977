//! `tfbert doctor`: each line is ok, or has the command that solves the problem.

use std::path::{Path, PathBuf};

use tfbert::cli::{Cli, DoctorArgs};
use tfbert::error::{Error, Result};
use tfbert::runtime::{Amx, Device, Library, Process, TrainingSession};
use tfbert::saved_model::places::Places;
use tfbert::saved_model::{Description, Export, TrainedModel, is_unfinished};
use tfbert::task;

use super::models::export_command;

pub fn run(args: &DoctorArgs, cli: &Cli) -> Result<()> {
    let mut report = Report { problems: 0 };
    let device = Device::detect(cli.tensorflow.as_deref());
    let library =
        Process::prepare(&device, &super::process_options(cli, "")).and_then(Process::load);
    match &library {
        Ok(library) => {
            let (version, found) = (library.version(), library.found());
            report.ok(
                "TensorFlow",
                &format!("{version} at {} (by {})", found.library.display(), found.by),
            )?;
        }
        Err(error) => report.problem("TensorFlow", error)?,
    }
    report.ok("processor", &processor(&device))?;
    gpus(&mut report, &device)?;
    let places = match &args.saved_models {
        Some(dir) => vec![dir.clone()],
        None => Places::of_process().iter().map(|place| place.dir.clone()).collect(),
    };
    let found: Vec<PathBuf> = places.iter().flat_map(|dir| exports(dir)).collect();
    report.ok("folders of exports", &folders_of_exports(args))?;
    if found.is_empty() {
        report.problem(
            "exports",
            &Error::new("none found").hint(export_command("minilm-l6", "all")),
        )?;
    }
    let mut read = Vec::new();
    for dir in &found {
        // `python_export --keep-head` writes a model beside the export.
        if TrainedModel::is_at(dir).unwrap_or(false) {
            match TrainedModel::read(dir) {
                Ok(trained) => report.ok("trained model", &described(&trained.model))?,
                Err(error) => report.problem("trained model", &error)?,
            }
            continue;
        }
        match Export::read(dir) {
            Ok(export) => {
                report.ok("export", &described(&export.model))?;
                read.push(export);
            }
            Err(error) => report.problem("export", &error)?,
        }
    }
    if let (Ok(library), Some(export), None) = (&library, read.first(), aborts(&device)) {
        devices(&mut report, library, &device, export)?;
    }
    for leftover in places.iter().flat_map(|dir| folders(dir, is_unfinished)) {
        report.ok(
            "unfinished export",
            &format!(
                "{}: an export that is being written, or was killed; the next export removes it",
                leftover.display()
            ),
        )?;
    }
    data(&mut report, &args.data_dir)?;
    match report.problems {
        0 => Ok(()),
        1 => Err(Error::new("1 problem found")),
        many => Err(Error::new(format!("{many} problems found"))),
    }
}

struct Report {
    problems: usize,
}

impl Report {
    fn ok(&self, name: &str, what: &str) -> Result<()> {
        super::print_line(format!("ok   {name}: {what}"))
    }

    fn problem(&mut self, name: &str, error: &Error) -> Result<()> {
        self.problems += 1;
        super::print_line(format!("FIX  {name}: {}", error.to_string().replace('\n', "\n     ")))
    }
}

/// The GPUs that the driver lists, and why TensorFlow cannot use them.
fn gpus(report: &mut Report, device: &Device) -> Result<()> {
    let Some(gpus) = device.gpus() else { return Ok(()) };
    for gpu in &gpus.all {
        let (major, minor) = gpu.compute_capability;
        let memory = gpu.memory as f64 / f64::from(1 << 30);
        let line = format!(
            "{}, {memory:.0} GiB, compute capability {major}.{minor}, driver {} (CUDA {}.{})",
            gpu.name, gpus.driver, gpus.cuda.0, gpus.cuda.1
        );
        report.ok("GPU", &line)?;
    }
    match aborts(device).or_else(|| device.why_no_gpu()) {
        // A choice of the user's is no problem.
        Some(why) if device.gpu().is_none() && !gpus.all.is_empty() => {
            let hint = why.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
            report.ok("GPU", &format!("not used: {}{hint}", why.what()))
        }
        Some(why) if device.gpu().is_some() => report.problem("GPU", &why),
        _ => Ok(()),
    }
}

/// Why TensorFlow would end the process as soon as it computes on the GPU.
fn aborts(device: &Device) -> Option<Error> {
    let (major, minor) = device.gpu()?.compute_capability;
    (major >= 10).then(|| {
        Error::new(format!(
            "TensorFlow 2.21 ends the process on a GPU of compute capability {major}.{minor} \
             (tensorflow/tensorflow issue 111958)"
        ))
        .hint("compute on the CPU with the variable `CUDA_VISIBLE_DEVICES=`")
    })
}

/// The devices of a session.
fn devices(report: &mut Report, library: &Library, device: &Device, export: &Export) -> Result<()> {
    let precision = device.precision();
    let model = match TrainingSession::load(library, export, precision, 0, false) {
        Ok(model) => model,
        Err(error) => return report.problem("devices", &error),
    };
    let found = model.devices();
    let names: Vec<String> = found
        .iter()
        .map(|(name, kind)| format!("{kind} ({})", name.rsplit("device:").next().unwrap_or("")))
        .collect();
    let line = format!("{}; `tfbert train --precision auto` is {precision}", names.join(", "));
    report.ok("devices", &line)?;
    if device.gpu().is_some() && found.iter().all(|(_, kind)| kind != "GPU") {
        let error = Error::new("TensorFlow sees no GPU, although the driver lists one").hint(
            "a CUDA library is missing: `tfbert doctor -v` shows which; \
             `.venv/bin/pip install 'tensorflow[and-cuda]==2.21.0'` installs them all",
        );
        report.problem("GPU", &error)?;
    }
    Ok(())
}

/// An export in a line.
fn described(model: &Description) -> String {
    format!(
        "{}: {} {}, {} layers × {}, up to {} word pieces, contract {}",
        model.dir.display(),
        model.encoder.name,
        model.head,
        model.encoder.num_hidden_layers,
        model.encoder.hidden_size,
        model.max_length,
        model.contract_version,
    )
}

fn processor(device: &Device) -> String {
    let processor = device.processor();
    let word = |has: bool| if has { "yes" } else { "no" };
    format!(
        "{} cores, AVX2 {}, AVX-512 {}, AVX-512 bf16 {}, AMX bf16 {}; oneDNN: {}; \
         training, apart from matrix products: {}",
        device.cores(),
        word(processor.avx2),
        word(processor.avx512),
        word(processor.avx512_bf16),
        match processor.amx {
            Amx::Absent => "no",
            Amx::Usable => "yes",
            Amx::Hidden => "hidden by the hypervisor (oneDNN is kept to AVX-512)",
        },
        device.onednn().describe(),
        device.kernels().map_or_else(
            || "functions that XLA compiles".to_owned(),
            |instructions| format!("kernels of tfbert ({instructions})"),
        ),
    )
}

/// The folders in which exports are looked for, in this order.
fn folders_of_exports(args: &DoctorArgs) -> String {
    match &args.saved_models {
        Some(dir) => dir.display().to_string(),
        None => Places::of_process().describe(),
    }
}

/// The SavedModels two levels below a folder: `<encoder>/<head>`.
fn exports(dir: &Path) -> Vec<PathBuf> {
    let is_export = |path: &Path| !is_unfinished(path) && path.join("saved_model.pb").is_file();
    folders(dir, is_export)
}

/// The folders two levels below a folder that are wanted, sorted.
fn folders(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let inner = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let mut found: Vec<PathBuf> =
        inner(dir).iter().flat_map(|encoder| inner(encoder)).filter(|path| wanted(path)).collect();
    found.sort();
    found
}

fn data(report: &mut Report, data_dir: &Path) -> Result<()> {
    let mut present = Vec::new();
    let mut absent = Vec::new();
    for task in task::tasks() {
        // A task that only predicts has test files alone.
        let test = task.test.iter().filter(|_| task.train.is_none());
        let mut needed = task.train.iter().chain(&task.dev).chain(test);
        let there = needed.all(|split| task.path(split, data_dir).is_file());
        if there { present.push(task.name.as_str()) } else { absent.push(task.name.as_str()) }
    }
    if present.is_empty() {
        // Only built-in tasks need them.
        return report.ok(
            "data",
            &format!(
                "{}: no files of built-in tasks (`tfbert data fetch sst2` fetches some; `--data-dir DIR` and \
                 the variable `TFBERT_DATA` name another folder)",
                data_dir.display()
            ),
        );
    }
    let absent = if absent.is_empty() {
        String::new()
    } else {
        format!("; not there: {}", absent.join(", "))
    };
    report.ok("data", &format!("{}: {}{absent}", data_dir.display(), present.join(", ")))
}
