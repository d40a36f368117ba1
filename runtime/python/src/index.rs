//! Merging layers, and reading an index.

use std::sync::Arc;

use casemate_index as core;
use casemate_index::{FileKind, Follow, InodeNumber};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::layers::{LayerTable, with_bytes};
use crate::refuse;

#[pyfunction]
#[pyo3(signature = (layers, /))]
pub(crate) fn merge_layers(py: Python<'_>, layers: Vec<PyRef<'_, LayerTable>>) -> PyResult<Index> {
    let tables: Vec<&core::LayerTable> = layers.iter().map(|layer| &layer.0).collect();
    let merged = py.detach(|| core::merge(tables)).map_err(refuse)?;
    Index::open(merged.bytes, merged.root_digest)
}

#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct InodeInfo {
    inode: core::Inode,
    target: Option<Vec<u8>>,
    xattrs: Vec<core::Xattr>,
    #[pyo3(get)]
    site_count: u32,
}

#[pymethods]
impl InodeInfo {
    #[getter]
    fn inode(&self) -> u32 {
        self.inode.number.0
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.inode.kind {
            FileKind::Regular => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symlink",
            FileKind::CharDevice => "char",
            FileKind::BlockDevice => "block",
            FileKind::Fifo => "fifo",
            FileKind::Socket => "socket",
        }
    }

    #[getter]
    fn mode(&self) -> u16 {
        self.inode.permissions
    }

    #[getter]
    fn uid(&self) -> u32 {
        self.inode.uid
    }

    #[getter]
    fn gid(&self) -> u32 {
        self.inode.gid
    }

    #[getter]
    fn mtime(&self) -> i64 {
        self.inode.mtime.seconds
    }

    #[getter]
    fn mtime_ns(&self) -> u32 {
        self.inode.mtime.nanoseconds
    }

    #[getter]
    fn nlink(&self) -> u32 {
        self.inode.nlink
    }

    #[getter]
    fn size(&self) -> u64 {
        self.inode.size
    }

    #[getter]
    fn major(&self) -> u32 {
        self.inode.device.major
    }

    #[getter]
    fn minor(&self) -> u32 {
        self.inode.device.minor
    }

    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        (self.inode.kind == FileKind::Regular).then(|| PyBytes::new(py, &self.inode.digest))
    }

    #[getter]
    fn target<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.target.as_ref().map(|target| PyBytes::new(py, target))
    }

    #[getter]
    fn xattrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in &self.xattrs {
            dict.set_item(PyBytes::new(py, name), PyBytes::new(py, value))?;
        }
        Ok(dict)
    }
}

#[pyclass(frozen, module = "casemate._core")]
pub(crate) struct Index {
    bytes: Arc<Vec<u8>>,
    root_digest: core::Digest,
    reader: Arc<core::Index>,
}

impl Index {
    fn open(bytes: Vec<u8>, root_digest: core::Digest) -> PyResult<Self> {
        let bytes = Arc::new(bytes);
        let reader = core::Index::open(Arc::clone(&bytes), &root_digest).map_err(refuse)?;
        Ok(Self { bytes, root_digest, reader: Arc::new(reader) })
    }
}

#[pymethods]
impl Index {
    #[staticmethod]
    #[pyo3(signature = (data, /, root_digest))]
    fn from_bytes(data: &Bound<'_, PyAny>, root_digest: &[u8]) -> PyResult<Self> {
        let root_digest = root_digest.try_into().map_err(|_| {
            PyValueError::new_err(format!("root_digest has {} bytes, not 32", root_digest.len()))
        })?;
        Self::open(with_bytes(data, <[u8]>::to_vec)?, root_digest)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    #[getter]
    fn root_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.root_digest)
    }

    fn __len__(&self) -> usize {
        self.reader.inode_count() as usize
    }

    #[pyo3(signature = (path, follow = true))]
    fn lookup(&self, path: &[u8], follow: bool) -> PyResult<Option<InodeInfo>> {
        let follow = if follow { Follow::Last } else { Follow::NotLast };
        let found = self.reader.resolve(path, follow).map_err(refuse)?;
        found.map(|number| info(&self.reader, number).map_err(refuse)).transpose()
    }

    fn walk(&self) -> Walk {
        Walk { reader: Arc::clone(&self.reader), levels: Vec::new(), path: Vec::new(), started: false }
    }
}

fn info(reader: &core::Index, number: InodeNumber) -> Result<InodeInfo, core::Error> {
    let inode = reader.inode(number)?;
    let target = match inode.kind {
        FileKind::Symlink => Some(reader.symlink_target(number)?),
        _ => None,
    };
    let site_count = match inode.kind {
        FileKind::Regular => reader.syscall_sites(number)?.len(),
        _ => 0,
    };
    Ok(InodeInfo { inode, target, xattrs: reader.xattrs(number)?, site_count })
}

/// Iterator of `Index.walk`.
#[pyclass(module = "casemate._core")]
pub(crate) struct Walk {
    reader: Arc<core::Index>,
    /// The directories that lead to the place reached: number, next position, length of the path up to it.
    levels: Vec<(InodeNumber, u32, usize)>,
    path: Vec<u8>,
    started: bool,
}

impl Walk {
    /// The next inode; `path` is then its path.
    fn advance(&mut self) -> Result<Option<InodeNumber>, core::Error> {
        if !self.started {
            self.started = true;
            let root = self.reader.root();
            self.levels.push((root, 0, 0));
            self.path.push(b'/');
            return Ok(Some(root));
        }
        while let Some((directory, position, length)) = self.levels.last_mut() {
            let Some(entry) = self.reader.read_dir(*directory, *position)? else {
                self.levels.pop();
                continue;
            };
            *position += 1;
            self.path.truncate(*length);
            self.path.push(b'/');
            self.path.extend_from_slice(entry.name);
            if entry.kind == FileKind::Directory {
                // A directory has one parent; more would let a malformed index unfold without end.
                if self.reader.parent(entry.inode)? != *directory {
                    return Err(core::Error::Malformed("a directory has two parents"));
                }
                let length = self.path.len();
                self.levels.push((entry.inode, 0, length));
            }
            return Ok(Some(entry.inode));
        }
        Ok(None)
    }
}

#[pymethods]
impl Walk {
    fn __iter__(walk: PyRef<'_, Self>) -> PyRef<'_, Self> {
        walk
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyBytes>, InodeInfo)>> {
        match self.advance().map_err(refuse)? {
            None => Ok(None),
            Some(number) => {
                let info = info(&self.reader, number).map_err(refuse)?;
                Ok(Some((PyBytes::new(py, &self.path), info)))
            }
        }
    }
}
