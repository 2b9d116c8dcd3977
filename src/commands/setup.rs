//! `tfbert setup`: the Python environment and an export, in the user's data folder.
//!
//! Each step first checks whether it is done. So the same command continues a setup that was
//! stopped.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicI32;

use tfbert::cli::SetupArgs;
use tfbert::error::{Error, ErrorKind, Result};
use tfbert::files::{DISK_HINT, Digest, Sha256, free_bytes, hex, user_data_folder, write_file};
use tfbert::saved_model::places::user_models_folder;

use super::child;

mod package;

/// Versions of Python for which TensorFlow 2.21 is published.
const PYTHONS: [&str; 3] = ["3.11", "3.12", "3.13"];

/// The environment's folder in the user's data folder.
const ENVIRONMENT: &str = "venv";
/// The Python of an environment, in its folder.
const PYTHON: &str = "bin/python";

/// In an environment: the SHA-256 of what was installed. It is written last.
const INSTALLED: &str = ".tfbert-installed";

/// Free disk space in bytes that installing the environment needs, downloads included: with
/// TensorFlow for CPUs, and with TensorFlow and CUDA's libraries for GPUs.
const ROOM: [u64; 2] = [3 << 30, 10 << 30];

pub fn run(args: &SetupArgs) -> Result<()> {
    let no_home = || Error::new("there is no home folder").hint("set the variable `XDG_DATA_HOME`");
    let folder = user_data_folder().ok_or_else(no_home)?;
    let models = user_models_folder().ok_or_else(no_home)?;
    fs::create_dir_all(&folder)
        .map_err(|error| Error::io("create", &folder, &error).hint(DISK_HINT))?;
    let _lock = lock(&folder)?;
    let sources = folder.join("python");
    package::write(&sources)?;
    let environment = folder.join(ENVIRONMENT);
    let stop = super::stop_signal()?;
    install(args, &sources.join("python_export"), &environment, &stop)?;
    log::info!("exporting {} with the head {} to {}", args.encoder, args.head, models.display());
    let mut export = Command::new(environment.join(PYTHON));
    // `-P`: no package of the working folder is imported.
    export
        .args(["-P", "-m", "python_export", "--encoder", &args.encoder])
        .env("PYTHONPATH", &sources);
    export.args(["--head", &args.head, "--output"]).arg(&models);
    if args.force {
        export.arg("--force");
    }
    run_step(&mut export, &stop, "the export failed").map_err(|error| match error.hint_text() {
        Some(_) => error,
        None => error.hint("its message is above; `tfbert setup` with the same flags tries again"),
    })?;
    log::info!(
        "next: `tfbert train --data FILE`, or `tfbert data fetch sst2` and `tfbert train --task sst2`"
    );
    Ok(())
}

/// The Python of the environment that `tfbert setup` makes; `None` without a home folder.
pub(super) fn environment_python() -> Option<PathBuf> {
    Some(user_data_folder()?.join(ENVIRONMENT).join(PYTHON))
}

/// Keeps two setups from writing the same files.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".setup.lock");
    let file = File::create(&path).map_err(|error| Error::io("write", &path, &error))?;
    file.try_lock().map_err(|_| {
        Error::new("another `tfbert setup` is at work").at(folder).hint("wait until it has ended")
    })?;
    Ok(file)
}

/// Makes the environment, unless it is there with the packages that this version needs.
fn install(args: &SetupArgs, package: &Path, environment: &Path, stop: &AtomicI32) -> Result<()> {
    let lock = if args.gpu { "requirements-gpu.lock" } else { "requirements.lock" };
    let locks = [lock, "encoders.lock"];
    let mut hash = Sha256::new();
    for name in locks {
        hash.update(package::text(name));
    }
    let wanted = hex(&hash.finalize());
    let marker = environment.join(INSTALLED);
    if fs::read_to_string(&marker).is_ok_and(|known| known == wanted) {
        log::info!("the environment is complete: {}", environment.display());
        return Ok(());
    }
    let python = find_python(args.python.as_deref())?;
    check_room(environment, ROOM[usize::from(args.gpu)])?;
    let kind = if args.gpu { "with CUDA's libraries" } else { "for CPUs" };
    log::info!("installing TensorFlow 2.21 {kind} into {}", environment.display());
    // `--clear` where another version was installed; what pip downloaded is in its cache.
    let clear = marker.is_file().then_some("--clear");
    let mut venv = Command::new(&python);
    run_for_progress(
        venv.args(["-m", "venv"]).args(clear).arg(environment),
        stop,
        "could not make the environment",
    )
    .map_err(|error| error.hint("on Debian and Ubuntu: `sudo apt install python3-venv`"))?;
    for name in locks {
        let mut pip = Command::new(environment.join(PYTHON));
        pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--require-hashes"]);
        if !std::io::stderr().is_terminal() {
            pip.arg("--quiet");
        }
        if name == "encoders.lock" {
            pip.arg("--no-deps");
        }
        pip.arg("-r").arg(package.join(name));
        run_for_progress(&mut pip, stop, "could not install the packages").map_err(|error| {
            error.hint(
                "pip's message is above; `tfbert setup` with the same flags continues from here",
            )
        })?;
    }
    write_file(&marker, &wanted)
}

/// Refuses to begin where the disk is too small.
fn check_room(folder: &Path, needed: u64) -> Result<()> {
    let free = free_bytes(folder).map_err(|error| Error::io("read", folder, &error))?;
    if free >= needed {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::new(format!(
        "the environment needs about {:.0} GiB, and the disk has {:.1} GiB",
        gib(needed),
        gib(free)
    ))
    .at(folder)
    .hint("make room, or name a folder on another disk in the variable `XDG_DATA_HOME`"))
}

/// The Python that was named, or the first of the usual names that is one of [`PYTHONS`].
fn find_python(named: Option<&Path>) -> Result<PathBuf> {
    let others = PYTHONS.map(|version| PathBuf::from(format!("python{version}")));
    let candidates = match named {
        Some(python) => vec![python.to_owned()],
        None => [PathBuf::from("python3")].into_iter().chain(others).collect(),
    };
    let mut seen = Vec::new();
    for python in candidates {
        match version(&python) {
            Some(version) if PYTHONS.contains(&version.as_str()) => return Ok(python),
            Some(version) => seen.push(format!("`{}` is Python {version}", python.display())),
            None => seen.push(format!("`{}` does not run", python.display())),
        }
    }
    Err(Error::new(format!("no Python {} was found: {}", PYTHONS.join(", "), seen.join(", ")))
        .hint("install one, or name it with `--python PATH`"))
}

/// The version of a Python, such as `3.12`.
fn version(python: &Path) -> Option<String> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// Runs a program. What it prints on stdout goes to stderr, where progress belongs.
fn run_for_progress(command: &mut Command, stop: &AtomicI32, failed: &str) -> Result<()> {
    if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
        command.stdout(Stdio::from(stderr));
    }
    run_step(command, stop, failed)
}

fn run_step(command: &mut Command, stop: &AtomicI32, failed: &str) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let child = command.spawn().map_err(|error| Error::io("start", &program, &error))?;
    let done = child::wait(child, stop, failed, "before setup was complete");
    done.map(drop).map_err(|error| match error.kind() {
        ErrorKind::Interrupted(_) => {
            error.hint("`tfbert setup` with the same flags continues from here")
        }
        _ => error,
    })
}
