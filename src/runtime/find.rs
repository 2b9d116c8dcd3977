//! Finding TensorFlow's shared library.
//!
//! Nothing of TensorFlow is needed to build: the crate `tensorflow` opens `libtensorflow.so` at
//! run time. Python's wheel has no file of that name, but its `libtensorflow_cc.so.2` exports the
//! whole C API, so a folder with a link of that name serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::files::{Digest, Sha256, hex, replace_link, user_cache_folder, user_data_folder};

/// The commands that install the library.
pub(super) const INSTALL: &str =
    "`tfbert setup`, or `python3 -m venv .venv && .venv/bin/pip install tensorflow-cpu==2.21.0`";

/// The environment variable with the library's folder; the crate `tensorflow` reads it too.
pub(super) const TENSORFLOW_DIR: &str = "TENSORFLOW_DIR";

/// A library that was found, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The shared library.
    pub library: PathBuf,
    /// What led to it (`--tensorflow`, `TENSORFLOW_DIR`, …).
    pub by: String,
}

/// Looks for the library in `--tensorflow DIR`, `TENSORFLOW_DIR`, `VIRTUAL_ENV`, `.venv` here and
/// beside the binary, the environment of `tfbert setup`, the library path, `/usr/local/lib`, and last where `python3` would import it.
///
/// # Errors
///
/// There is none, or none in the folder that the user named (the first two places).
pub(super) fn find(option: Option<&Path>) -> Result<Found> {
    let mut tried = Vec::new();
    let variable = || std::env::var_os(TENSORFLOW_DIR).filter(|dir| !dir.is_empty());
    let named = match option {
        Some(dir) => Some(("--tensorflow".to_owned(), dir.to_owned())),
        None => variable().map(|dir| (format!("the variable {TENSORFLOW_DIR}"), dir.into())),
    };
    if let Some((by, dir)) = named {
        return match in_folder(&dir) {
            Some(library) => Ok(Found { library, by }),
            None => Err(Error::new(format!("no TensorFlow library there, as {by} says"))
                .at(&dir)
                .hint(format!(
                    "name a folder with `libtensorflow.so` or a virtual environment with \
                     TensorFlow; to make one: {INSTALL}"
                ))),
        };
    }
    for (by, dir) in places() {
        if let Some(library) = in_folder(&dir) {
            return Ok(Found { library, by });
        }
        tried.push(format!("{by} ({})", dir.display()));
    }
    if let Some(library) = python_package().and_then(|dir| in_folder(&dir)) {
        return Ok(Found { library, by: "python3".into() });
    }
    tried.push("what `python3` imports".into());
    Err(Error::new(format!("TensorFlow's library was not found; tried {}", tried.join(", ")))
        .hint(format!("install it with: {INSTALL}")))
}

/// Folders to look into, each with what named it.
fn places() -> Vec<(String, PathBuf)> {
    let mut places = Vec::new();
    if let Some(dir) = std::env::var_os("VIRTUAL_ENV").filter(|dir| !dir.is_empty()) {
        places.push(("VIRTUAL_ENV".to_owned(), PathBuf::from(dir)));
    }
    places.push((".venv".to_owned(), PathBuf::from(".venv")));
    if let Some(environment) = project_environment() {
        places.push(("the project's .venv".to_owned(), environment));
    }
    if let Some(folder) = user_data_folder() {
        places.push(("`tfbert setup`".to_owned(), folder.join("venv")));
    }
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        for dir in std::env::split_paths(&path).filter(|dir| !dir.as_os_str().is_empty()) {
            places.push(("LD_LIBRARY_PATH".to_owned(), dir));
        }
    }
    places.push(("the system's libraries".to_owned(), PathBuf::from("/usr/local/lib")));
    places
}

/// The environment of the project that the binary was built in, if it lies in one.
pub fn project_environment() -> Option<PathBuf> {
    // `target/release/tfbert` lies three levels below the project.
    let binary = std::env::current_exe().ok()?;
    binary.ancestors().nth(3).map(|project| project.join(".venv"))
}

/// The library in a folder: itself, its `lib`, a package, or a virtual environment.
fn in_folder(dir: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 4] = [
        "libtensorflow.so",
        "libtensorflow.so.2",
        "libtensorflow_cc.so.2",
        "libtensorflow_cc.2.dylib",
    ];
    let mut folders = vec![dir.to_owned(), dir.join("lib"), dir.join("tensorflow")];
    if let Ok(entries) = fs::read_dir(dir.join("lib")) {
        let mut pythons: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"))
            })
            .collect();
        pythons.sort();
        folders.extend(pythons.into_iter().map(|path| path.join("site-packages/tensorflow")));
    }
    folders
        .iter()
        .flat_map(|folder| NAMES.iter().map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// The CUDA version that a wheel's library is built for: major and minor number. `None` where it is
/// built for CPUs, or is no wheel's.
pub(super) fn cuda_version(library: &Path) -> Option<(i32, i32)> {
    let info = library.parent()?.join("python/platform/build_info.py");
    parse_cuda_version(&fs::read_to_string(info).ok()?)
}

/// Reads `('cuda_version', '12.5.1')` of a wheel's `build_info.py`.
fn parse_cuda_version(info: &str) -> Option<(i32, i32)> {
    let (_, rest) = info.split_once("'cuda_version'")?;
    let version = rest.split('\'').nth(1)?;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// The folder of the package that `python3` would import, without importing it.
fn python_package() -> Option<PathBuf> {
    const SCRIPT: &str = "import importlib.util as u; s = u.find_spec('tensorflow'); \
                          print(s.submodule_search_locations[0] if s else '')";
    let output = Command::new("python3").args(["-c", SCRIPT]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = path.trim();
    (output.status.success() && !path.is_empty()).then(|| PathBuf::from(path))
}

/// A folder with the library under the name that the crate looks for.
pub(super) fn linked(library: &Path) -> Result<PathBuf> {
    let library = library.canonicalize().map_err(|error| Error::io("resolve", library, &error))?;
    let folder = library.parent().unwrap_or(Path::new("/")).to_owned();
    if folder.join("libtensorflow.so").is_file() {
        return Ok(folder);
    }
    let digest = Sha256::digest(library.as_os_str().as_encoded_bytes());
    let name = format!("tensorflow-{}", hex(&digest[..8]));
    let mut last = None;
    // A process without a home folder still has one for temporary files.
    for cache in user_cache_folder().into_iter().chain([std::env::temp_dir().join("tfbert")]) {
        let dir = cache.join(&name);
        match link_into(&dir, &library, &folder) {
            Ok(()) => return Ok(dir),
            Err(error) => last = Some(Error::io("write links to TensorFlow into", &dir, &error)),
        }
    }
    Err(last
        .unwrap_or_else(|| Error::new("there is no folder for links to TensorFlow"))
        .hint("name a folder that can be written in the variable `XDG_CACHE_HOME`"))
}

fn link_into(dir: &Path, library: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut links = vec![("libtensorflow.so".to_owned(), library.to_owned())];
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("libtensorflow_framework") {
            links.push((name.clone(), folder.join(name)));
        }
    }
    links.iter().try_for_each(|(name, target)| replace_link(&dir.join(name), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_environment_is_searched_for_the_wheel() {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("lib/python3.11/site-packages/tensorflow");
        fs::create_dir_all(&package).unwrap();
        assert_eq!(in_folder(dir.path()), None);
        let library = package.join("libtensorflow_cc.so.2");
        fs::write(&library, "").unwrap();
        assert_eq!(in_folder(dir.path()), Some(library));
    }

    #[test]
    fn a_wheels_cuda_version_is_read_and_a_wheel_for_cpus_has_none() {
        let gpu = "build_info = collections.OrderedDict([('cpu_compiler', '/usr/lib/llvm-18/bin/clang'), \
                   ('cuda_compute_capabilities', ['sm_60']), ('cuda_version', '12.5.1'), \
                   ('is_cuda_build', True)])";
        assert_eq!(parse_cuda_version(gpu), Some((12, 5)));
        let cpu = "build_info = collections.OrderedDict([('is_cuda_build', False)])";
        assert_eq!(parse_cuda_version(cpu), None);
    }

    #[test]
    fn a_named_folder_without_the_library_is_an_error_and_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(Some(dir.path())).unwrap_err();
        assert!(error.what().contains("--tensorflow"), "{error}");
        assert!(error.hint_text().unwrap().contains("pip install"), "{error}");
    }
}
