//! `tfbert doctor`: each line is ok, or has the command that mends it.

use std::path::{Path, PathBuf};

use tfbert::cli::{Cli, DoctorArgs};
use tfbert::error::{Error, Result};
use tfbert::runtime::{self, Amx, Library, Processor, TrainingModel};
use tfbert::task;

pub fn run(args: &DoctorArgs, cli: &Cli) -> Result<()> {
    let mut report = Report { troubles: 0 };
    let library = Library::prepare(&super::library_options(cli))
        .and_then(|library| library.load().map(|version| (library, version)));
    match &library {
        Ok((library, version)) => {
            let found = library.found();
            report.ok(
                "TensorFlow",
                &format!("{version} at {} (by {})", found.library.display(), found.by),
            )?;
        }
        Err(error) => report.trouble("TensorFlow", error)?,
    }
    report.ok("processor", &processor())?;
    let exports = exports(&args.saved_models);
    if exports.is_empty() {
        report.trouble(
            "exports",
            &Error::new("none found").at(&args.saved_models).hint(
                "export one with `python -m python_export --encoder minilm-l6 --head classify \
                 --output saved_models`",
            ),
        )?;
    }
    for export in &exports {
        match runtime::read_contract(export) {
            Ok(contract) => report.ok(
                "export",
                &format!(
                    "{}: {} {}, {} layers × {}, up to {} word pieces, contract {}",
                    export.display(),
                    contract.encoder.name,
                    contract.head,
                    contract.encoder.num_hidden_layers,
                    contract.encoder.hidden_size,
                    contract.max_length,
                    contract.contract_version
                ),
            )?,
            Err(error) => report.trouble("export", &error)?,
        }
    }
    if let (Ok(_), Some(export)) = (&library, exports.first()) {
        let precision = super::precision(tfbert::cli::PrecisionArg::Auto);
        match TrainingModel::load(export, precision, super::session(None)) {
            Ok(model) => {
                let devices: Vec<String> = model
                    .devices()
                    .into_iter()
                    .map(|(name, kind)| {
                        format!("{kind} ({})", name.rsplit("device:").next().unwrap_or(""))
                    })
                    .collect();
                report.ok(
                    "devices",
                    &format!(
                        "{}; `tfbert train --precision auto` is {precision}",
                        devices.join(", ")
                    ),
                )?;
            }
            Err(error) => report.trouble("devices", &error)?,
        }
    }
    data(&mut report, &args.data_dir)?;
    if report.troubles == 0 {
        return Ok(());
    }
    Err(Error::new(match report.troubles {
        1 => "1 thing wants mending".to_owned(),
        many => format!("{many} things want mending"),
    }))
}

struct Report {
    troubles: usize,
}

impl Report {
    fn ok(&self, name: &str, what: &str) -> Result<()> {
        super::print_line(format!("ok   {name}: {what}"))
    }

    fn trouble(&mut self, name: &str, error: &Error) -> Result<()> {
        self.troubles += 1;
        super::print_line(format!("FIX  {name}: {}", error.to_string().replace('\n', "\n     ")))
    }
}

fn processor() -> String {
    let processor = Processor::detect();
    let word = |has: bool| if has { "yes" } else { "no" };
    format!(
        "{} cores, AVX-512 {}, AVX-512 bf16 {}, AMX bf16 {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        word(processor.avx512),
        word(processor.avx512_bf16),
        match processor.amx {
            Amx::Absent => "no",
            Amx::Usable => "yes",
            Amx::Hidden => "hidden by the hypervisor (oneDNN is kept to AVX-512)",
        }
    )
}

/// The SavedModels two levels below a folder: `<encoder>/<head>`.
fn exports(dir: &Path) -> Vec<PathBuf> {
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let mut found: Vec<PathBuf> = folders(dir)
        .iter()
        .flat_map(|encoder| folders(encoder))
        .filter(|path| path.join("saved_model.pb").is_file())
        .collect();
    found.sort();
    found
}

fn data(report: &mut Report, data_dir: &Path) -> Result<()> {
    let mut present = Vec::new();
    let mut absent = Vec::new();
    for task in task::tasks() {
        let there =
            task.train.iter().chain(&task.dev).all(|split| task.path(split, data_dir).is_file());
        if there { present.push(task.name.as_str()) } else { absent.push(task.name.as_str()) }
    }
    if present.is_empty() {
        report.trouble(
            "data",
            &Error::new("no task's files are there").at(data_dir).hint(
                "name the folder of the data sets with `--data-dir DIR` or the variable `TFBERT_DATA`",
            ),
        )?;
        return Ok(());
    }
    let absent = if absent.is_empty() {
        String::new()
    } else {
        format!("; not there: {}", absent.join(", "))
    };
    report.ok("data", &format!("{}: {}{absent}", data_dir.display(), present.join(", ")))
}
