//! Protected files that are files of this machine.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use casemate_protected_files as core;
use casemate_protected_files::{Error, FileKey, NODE_SIZE, Node, Storage};
use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(
    casemate._core,
    ProtectedFileError,
    PyValueError,
    "A file is no protected file, was changed, or does not belong to this key or path; the message says which."
);

/// The longest read, in bytes, so that no size that a file claims makes anybody allocate much.
const MAX_READ: usize = 16 << 20;

struct HostFile(File);

impl Storage for HostFile {
    type Error = io::Error;

    fn read(&mut self, number: u64, node: &mut Node) -> io::Result<()> {
        self.0.read_exact_at(node, number * NODE_SIZE as u64)
    }

    fn write(&mut self, number: u64, node: &Node) -> io::Result<()> {
        self.0.write_all_at(node, number * NODE_SIZE as u64)
    }

    fn cut(&mut self, nodes: u64) -> io::Result<()> {
        self.0.set_len(nodes * NODE_SIZE as u64)
    }

    fn random(&mut self, to: &mut [u8]) -> io::Result<()> {
        Ok(getrandom::fill(to)?)
    }
}

fn raise(error: Error<io::Error>) -> PyErr {
    match error {
        Error::Storage(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ProtectedFileError::new_err("it is shorter than it says")
        }
        Error::Storage(error) => PyOSError::new_err((error.raw_os_error().unwrap_or(5), error.to_string())),
        error => ProtectedFileError::new_err(error.to_string()),
    }
}

/// An open protected file.
#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct ProtectedFile(Mutex<core::ProtectedFile<HostFile>>);

impl ProtectedFile {
    fn locked(&self) -> PyResult<std::sync::MutexGuard<'_, core::ProtectedFile<HostFile>>> {
        self.0.lock().map_err(|_| PyValueError::new_err("an earlier call failed"))
    }
}

#[pymethods]
impl ProtectedFile {
    #[staticmethod]
    #[pyo3(signature = (fd, key, path, /))]
    fn create(fd: RawFd, key: [u8; 16], path: &[u8]) -> PyResult<Self> {
        let file = core::ProtectedFile::create(host_file(fd)?, FileKey(key), path).map_err(raise)?;
        Ok(Self(Mutex::new(file)))
    }

    #[staticmethod]
    #[pyo3(signature = (fd, key, path, /))]
    fn open(fd: RawFd, key: [u8; 16], path: Option<&[u8]>) -> PyResult<Self> {
        let file = core::ProtectedFile::open(host_file(fd)?, FileKey(key), path).map_err(raise)?;
        Ok(Self(Mutex::new(file)))
    }

    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(self.locked()?.size())
    }

    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.locked()?.path()))
    }

    #[pyo3(signature = (offset, count, /))]
    fn read<'py>(&self, py: Python<'py>, offset: u64, count: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut file = self.locked()?;
        let left = file.size().saturating_sub(offset);
        let mut bytes = vec![0; count.min(MAX_READ).min(usize::try_from(left).unwrap_or(MAX_READ))];
        file.read(offset, &mut bytes).map_err(raise)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[pyo3(signature = (offset, data, /))]
    fn write(&self, offset: u64, data: &[u8]) -> PyResult<()> {
        self.locked()?.write(offset, data).map_err(raise)
    }

    fn flush(&self) -> PyResult<()> {
        self.locked()?.flush().map_err(raise)
    }
}

/// A descriptor of our own for the same file.
fn host_file(fd: RawFd) -> PyResult<HostFile> {
    if fd < 0 {
        return Err(PyValueError::new_err("a file descriptor is not negative"));
    }
    // SAFETY: it is borrowed for this call; if it is not open, cloning it fails with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(HostFile(File::from(borrowed.try_clone_to_owned()?)))
}
