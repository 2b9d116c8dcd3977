//! The order in which a process comes to use TensorFlow: a [`Process`] whose environment is set, then
//! the loaded [`Library`], then models, which are loaded with it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::compiled::{CompiledPrograms, XLA_FLAGS};
use super::device::Device;
use super::find::{Found, INSTALL, TENSORFLOW_DIR, find, linked};
use super::session::Threads;
use super::{abort, kernel_ops, quiet};
use crate::error::{Error, Result};

/// How a process uses TensorFlow.
#[derive(Debug, Clone, Default)]
pub struct ProcessOptions {
    /// The library's folder, where the user names one.
    pub folder: Option<PathBuf>,
    /// Whether TensorFlow logs.
    pub verbose: bool,
    /// The folder for compiled programs, where they are kept.
    pub cache: Option<PathBuf>,
    /// Threads; 0 is one for each core.
    pub threads: usize,
    /// Whether weights stay as they are once they are read: inference, not training.
    pub frozen_weights: bool,
    /// What the user can do where memory runs out: flags of the command that runs.
    pub memory_hint: &'static str,
}

/// A process that is ready to load TensorFlow: the library is found, and the environment is set.
#[derive(Debug)]
pub struct Process {
    found: Found,
    device: Device,
    verbose: bool,
    memory_hint: &'static str,
    /// Held while the library is used.
    _compiled: Option<CompiledPrograms>,
}

impl Process {
    /// Finds the library and sets this process's environment for it: what TensorFlow logs, which
    /// kernels oneDNN chooses, where compiled programs are kept. Call it before any thread is started.
    ///
    /// # Errors
    ///
    /// The library is not found, or the folder of links to it cannot be written.
    pub fn prepare(device: &Device, options: &ProcessOptions) -> Result<Self> {
        let found = find(options.folder.as_deref())?;
        let mut variables: Vec<(&str, OsString)> = vec![
            ("TF_CPP_MIN_LOG_LEVEL", log_level(options.verbose).into()),
            (TENSORFLOW_DIR, linked(&found.library)?.into_os_string()),
        ];
        let unset = |name: &str| std::env::var_os(name).is_none();
        let chosen = device.variables(options.frozen_weights);
        variables.extend(chosen.into_iter().filter(|(name, _)| unset(name)));
        let compiled = match &options.cache {
            Some(cache) if unset(XLA_FLAGS) => {
                CompiledPrograms::open(cache, &found.library, options.threads)
            }
            _ => None,
        };
        variables.extend(compiled.as_ref().map(|compiled| (XLA_FLAGS, compiled.flags().into())));
        for (name, value) in variables {
            // SAFETY: commands call this function before they start a thread, so that nothing else
            // reads the environment at the same time.
            #[allow(unsafe_code)]
            unsafe {
                std::env::set_var(name, value);
            }
        }
        let ProcessOptions { verbose, memory_hint, .. } = *options;
        let device = device.clone();
        Ok(Self { found, device, verbose, memory_hint, _compiled: compiled })
    }

    /// Loads the library.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not TensorFlow.
    pub fn load(self) -> Result<Library> {
        let symbols = {
            // The library logs while it is opened, before it has read its log level.
            let _quiet = (!self.verbose).then(quiet::stderr).flatten();
            let symbols = check(&self.found)?;
            tensorflow::library::load().map_err(|error| {
                Error::new(format!("TensorFlow's library could not be loaded: {error}"))
                    .at(&self.found.library)
                    .hint("run `tfbert doctor`, which names what is wrong")
            })?;
            symbols
        };
        abort::explain(self.memory_hint);
        if let Some(notice) = self.device.notice() {
            log::info!("{notice}");
        }
        let version = tensorflow::version().map_err(|error| {
            Error::new(format!("TensorFlow's version is not text: {error}")).at(&self.found.library)
        })?;
        Ok(Library(Arc::new(Loaded { version, process: self, symbols })))
    }
}

/// TensorFlow's library, loaded. Models hold it, and with it the lock on the compiled programs that
/// they use.
#[derive(Debug, Clone)]
pub struct Library(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    version: String,
    process: Process,
    /// For functions of the C API that the crate `tensorflow` does not have. It is never closed: TensorFlow does not
    /// survive being unloaded.
    symbols: std::mem::ManuallyDrop<libloading::Library>,
}

impl Library {
    /// TensorFlow's version.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The library's file, and how it was found.
    pub fn found(&self) -> &Found {
        &self.0.process.found
    }

    /// Registers this program's kernels, once for the process; whether they can be used.
    pub(super) fn register_kernels(&self, threads: Threads) -> bool {
        let device = self.device();
        device.has_kernels()
            && kernel_ops::register(&self.0.symbols, device.processor(), threads.within_operation)
    }

    /// The device that the process was prepared for.
    pub fn device(&self) -> &Device {
        &self.0.process.device
    }
}

/// Checks that a file is a shared library with the C API: the crate `tensorflow` panics where a
/// function is missing.
fn check(found: &Found) -> Result<std::mem::ManuallyDrop<libloading::Library>> {
    let refuse = |what: String| {
        Error::new(what).at(&found.library).hint(format!(
            "name another with `--tensorflow DIR`, or install TensorFlow with: {INSTALL}"
        ))
    };
    // SAFETY: opening a library runs its initialisers; the user or their environment named it.
    #[allow(unsafe_code)]
    let library = unsafe { libloading::Library::new(&found.library) }
        .map_err(|error| refuse(format!("it is not a shared library that loads here: {error}")))?;
    for symbol in ["TF_Version", "TF_LoadSessionFromSavedModel", "TF_SessionRun"] {
        // SAFETY: the symbol is looked up and never called.
        #[allow(unsafe_code)]
        let known = unsafe { library.get::<*const ()>(symbol.as_bytes()) };
        if known.is_err() {
            return Err(refuse(format!("it is not TensorFlow: it has no function `{symbol}`")));
        }
    }
    Ok(std::mem::ManuallyDrop::new(library))
}

/// The least level of messages in TensorFlow's log: with `-v` warnings, since below them each compiled
/// program that is read is a message, unless the user's own variable says otherwise.
fn log_level(verbose: bool) -> String {
    let own = || std::env::var("TF_CPP_MIN_LOG_LEVEL").ok().filter(|level| !level.is_empty());
    match verbose {
        true => own().unwrap_or_else(|| "1".into()),
        false => "3".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libtensorflow.so");
        fs::write(&library, "not a library").unwrap();
        let found = find(Some(dir.path())).unwrap();
        let process = Process {
            found,
            device: Device::detect(Some(dir.path())),
            verbose: false,
            memory_hint: "",
            _compiled: None,
        };
        let error = process.load().unwrap_err();
        assert_eq!(error.place().unwrap().path, library);
    }
}
