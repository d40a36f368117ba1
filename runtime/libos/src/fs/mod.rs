//! The file tree.

/// A place in the file tree.
#[derive(Clone)]
pub struct Location {}

/// A process's view of the tree: root, working directory, umask.
pub struct FsView {}

impl FsView {
    /// For a new process.
    pub fn duplicate(&self) -> FsView {
        FsView {}
    }
}
