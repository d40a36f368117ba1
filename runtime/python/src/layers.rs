//! Hashing files and collecting a layer's entries.

use std::collections::BTreeMap;

use casemate_index as core;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping};

use crate::refuse;

/// Runs `work` on the bytes of `data` without the interpreter lock. `bytes` objects are used where they lie, others
/// copied first, because their owner could change them meanwhile.
pub(crate) fn with_bytes<T: Send>(
    data: &Bound<'_, PyAny>,
    work: impl FnOnce(&[u8]) -> T + Send,
) -> PyResult<T> {
    let py = data.py();
    if let Ok(bytes) = data.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return Ok(py.detach(|| work(bytes)));
    }
    let bytes = PyBuffer::<u8>::get(data)?.to_vec(py)?;
    Ok(py.detach(|| work(&bytes)))
}

#[pyfunction]
#[pyo3(signature = (data, /))]
pub(crate) fn verity_digest<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let digest = with_bytes(data, core::verity_digest)?;
    Ok(PyBytes::new(data.py(), &digest))
}

#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct FileSummary(core::FileSummary);

#[pymethods]
impl FileSummary {
    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.digest())
    }

    #[getter]
    fn site_count(&self) -> usize {
        self.0.sites().len()
    }

    #[getter]
    fn patchable_site_count(&self) -> usize {
        self.0.patchable_sites()
    }
}

#[pyclass(module = "casemate._core")]
pub(crate) struct FileHasher(Option<core::FileHasher>);

#[pymethods]
impl FileHasher {
    #[new]
    fn new(size: u64) -> Self {
        Self(Some(core::FileHasher::new(size)))
    }

    #[pyo3(signature = (data, /))]
    fn update(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let hasher = self.0.as_mut().ok_or_else(finished)?;
        with_bytes(data, |bytes| hasher.update(bytes))?.map_err(refuse)
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<FileSummary> {
        let hasher = self.0.take().ok_or_else(finished)?;
        py.detach(|| hasher.finish()).map(FileSummary).map_err(refuse)
    }
}

fn finished() -> PyErr {
    PyRuntimeError::new_err("this FileHasher is finished; make another for the next file")
}

#[pyclass(module = "casemate._core")]
pub(crate) struct LayerTable(pub(crate) core::LayerTable);

#[pymethods]
impl LayerTable {
    #[new]
    #[pyo3(signature = (label = String::new()))]
    fn new(label: String) -> Self {
        Self(core::LayerTable::new(label))
    }

    #[getter]
    fn label(&self) -> &str {
        self.0.label()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[pyo3(signature = (path, *, mode, uid, gid, mtime, mtime_ns = 0, xattrs = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_directory(
        &mut self,
        path: &[u8],
        mode: u16,
        uid: u32,
        gid: u32,
        mtime: i64,
        mtime_ns: u32,
        xattrs: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<()> {
        let attributes = attributes(mode, uid, gid, (mtime, mtime_ns), xattrs)?;
        self.0.add_directory(path, attributes).map_err(refuse)
    }

    #[pyo3(signature = (path, summary, *, mode, uid, gid, mtime, mtime_ns = 0, xattrs = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_file(
        &mut self,
        path: &[u8],
        summary: &FileSummary,
        mode: u16,
        uid: u32,
        gid: u32,
        mtime: i64,
        mtime_ns: u32,
        xattrs: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<()> {
        let attributes = attributes(mode, uid, gid, (mtime, mtime_ns), xattrs)?;
        self.0.add_file(path, summary.0.clone(), attributes).map_err(refuse)
    }

    #[pyo3(signature = (path, target, *, uid, gid, mtime, mtime_ns = 0, xattrs = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        uid: u32,
        gid: u32,
        mtime: i64,
        mtime_ns: u32,
        xattrs: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<()> {
        let attributes = attributes(0o777, uid, gid, (mtime, mtime_ns), xattrs)?;
        self.0.add_symlink(path, target, attributes).map_err(refuse)
    }

    #[pyo3(signature = (path, kind, *, mode, uid, gid, mtime, mtime_ns = 0, major = 0, minor = 0, xattrs = None))]
    #[allow(clippy::too_many_arguments)]
    fn add_device(
        &mut self,
        path: &[u8],
        kind: &str,
        mode: u16,
        uid: u32,
        gid: u32,
        mtime: i64,
        mtime_ns: u32,
        major: u32,
        minor: u32,
        xattrs: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<()> {
        let kind = match kind {
            "char" => core::SpecialKind::CharDevice,
            "block" => core::SpecialKind::BlockDevice,
            "fifo" => core::SpecialKind::Fifo,
            "socket" => core::SpecialKind::Socket,
            other => {
                return Err(PyValueError::new_err(format!(
                    "kind must be 'char', 'block', 'fifo' or 'socket', not '{other}'"
                )));
            }
        };
        let attributes = attributes(mode, uid, gid, (mtime, mtime_ns), xattrs)?;
        self.0.add_special(path, kind, core::Device { major, minor }, attributes).map_err(refuse)
    }

    fn add_hardlink(&mut self, path: &[u8], target: &[u8]) -> PyResult<()> {
        self.0.add_hard_link(path, target).map_err(refuse)
    }

    fn add_whiteout(&mut self, path: &[u8]) -> PyResult<()> {
        self.0.add_whiteout(path).map_err(refuse)
    }

    fn add_opaque(&mut self, path: &[u8]) -> PyResult<()> {
        self.0.add_opaque(path).map_err(refuse)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.0.to_bytes());
        PyBytes::new(py, &bytes)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        with_bytes(data, core::LayerTable::from_bytes)?.map(Self).map_err(refuse)
    }
}

fn attributes(
    permissions: u16,
    uid: u32,
    gid: u32,
    (seconds, nanoseconds): (i64, u32),
    xattrs: Option<&Bound<'_, PyMapping>>,
) -> PyResult<core::Attributes> {
    let mut map = BTreeMap::new();
    if let Some(xattrs) = xattrs {
        for item in xattrs.items()? {
            let (name, value): (Vec<u8>, Vec<u8>) = item.extract()?;
            map.insert(name, value);
        }
    }
    let mtime = core::Timestamp { seconds, nanoseconds };
    Ok(core::Attributes { permissions, uid, gid, mtime, xattrs: map })
}
