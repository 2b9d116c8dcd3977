//! A folder in TensorFlow's file system in memory, which it knows as `ram://`.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::api::{Api, Outcome, Status};
use super::{REGISTERED, Registered};
use crate::error::{Error, Result};

/// A folder that only TensorFlow sees, and only in this process. It is removed with this object.
pub(in crate::runtime) struct RamFolder {
    path: PathBuf,
}

impl RamFolder {
    /// A folder with one file. The operations are registered before.
    ///
    /// # Errors
    ///
    /// TensorFlow cannot write it.
    pub(in crate::runtime) fn with_file(name: &str, bytes: &[u8]) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Self { path: PathBuf::from(format!("ram://tfbert-{number}")) };
        let api = api().ok_or_else(|| Error::new("the operations are not registered"))?;
        write(api, &folder.path, name, bytes).map_err(|failure| {
            Error::new(format!(
                "the training graph could not be written to TensorFlow's file system in memory: \
                 {failure}"
            ))
            .at(&folder.path.join(name))
            .hint("see that memory is free, or run again with `-v` to see TensorFlow's own log")
        })?;
        Ok(folder)
    }

    /// Its path, for TensorFlow.
    pub(in crate::runtime) fn path(&self) -> &Path {
        &self.path
    }
}

fn api() -> Option<&'static Api> {
    REGISTERED.get().and_then(Option::as_ref).map(|Registered { api, .. }| api)
}

fn write(api: &Api, folder: &Path, name: &str, bytes: &[u8]) -> Outcome<()> {
    let (folder, file) = (c_path(folder), c_path(&folder.join(name)));
    let status = Status::new(api);
    let mut handle = std::ptr::null_mut();
    // SAFETY: texts and bytes outlive the calls; closing frees the handle, whether or not it succeeds.
    #[allow(unsafe_code)]
    unsafe {
        (api.TF_CreateDir)(folder.as_ptr(), status.raw());
        status.ok()?;
        (api.TF_NewWritableFile)(file.as_ptr(), &mut handle, status.raw());
        status.ok()?;
        (api.TF_AppendWritableFile)(handle, bytes.as_ptr().cast(), bytes.len(), status.raw());
        let appended = status.ok();
        (api.TF_CloseWritableFile)(handle, status.raw());
        appended?;
    }
    status.ok()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

impl Drop for RamFolder {
    fn drop(&mut self) {
        let Some(api) = api() else { return };
        let (path, status) = (c_path(&self.path), Status::new(api));
        let [mut files, mut folders] = [0, 0];
        // SAFETY: the text and the numbers outlive the call.
        #[allow(unsafe_code)]
        unsafe {
            (api.TF_DeleteRecursively)(path.as_ptr(), &mut files, &mut folders, status.raw());
        }
        if let Err(failure) = status.ok() {
            log::debug!("{}: {failure}", self.path.display());
        }
    }
}
