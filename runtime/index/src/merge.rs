//! Laying layers over one another, by the rules of the OCI image specification (`layer.md`).
//!
//! A layer's whiteouts and opaque directories act on the layers below it only, wherever they stand in its archive; so
//! they come first, then its entries in order.

use std::collections::BTreeMap;

use crate::hasher::FileSummary;
use crate::inode::{Device, FileKind, Timestamp};
use crate::layer::{Attributes, Entry, LayerError, LayerTable, show};
use crate::write::{IndexBytes, write_index};

/// Place of a node in [`Tree::nodes`].
pub(crate) type NodeId = usize;
/// The root directory.
pub(crate) const ROOT: NodeId = 0;

/// What directories get that no layer describes, only passes through.
const IMPLICIT: Attributes = Attributes {
    permissions: 0o755,
    uid: 0,
    gid: 0,
    mtime: Timestamp { seconds: 0, nanoseconds: 0 },
    xattrs: BTreeMap::new(),
};

/// The merged tree; names and contents stay in the layer tables. Nodes that were replaced stay in the list, unreachable.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    pub nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub attributes: &'a Attributes,
    pub content: NodeContent<'a>,
}

#[derive(Debug)]
pub(crate) enum NodeContent<'a> {
    Directory(BTreeMap<&'a [u8], NodeId>),
    File(&'a FileSummary),
    Symlink(&'a [u8]),
    Special(FileKind, Device),
}

impl NodeContent<'_> {
    pub fn kind(&self) -> FileKind {
        match self {
            Self::Directory(_) => FileKind::Directory,
            Self::File(_) => FileKind::Regular,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Special(kind, _) => *kind,
        }
    }
}

/// Merges layers, lowest first, and writes the index of the result. The same layers give the same bytes.
pub fn merge<'a>(layers: impl IntoIterator<Item = &'a LayerTable>) -> Result<IndexBytes, LayerError> {
    static ROOT_ATTRIBUTES: Attributes = IMPLICIT;
    let root = Node { attributes: &ROOT_ATTRIBUTES, content: NodeContent::Directory(BTreeMap::new()) };
    let mut tree = Tree { nodes: vec![root] };
    for (number, layer) in layers.into_iter().enumerate() {
        for (path, entry) in &layer.entries {
            tree.hide(path, entry);
        }
        for (path, entry) in &layer.entries {
            tree.add(path, entry).map_err(|problem| {
                let label =
                    if layer.label.is_empty() { String::new() } else { format!(" ({})", layer.label) };
                LayerError(format!("layer {}{label}: entry '{}' {problem}", number + 1, show(path)))
            })?;
        }
    }
    write_index(&tree)
}

impl<'a> Tree<'a> {
    fn children(&mut self, node: NodeId) -> Option<&mut BTreeMap<&'a [u8], NodeId>> {
        match &mut self.nodes[node].content {
            NodeContent::Directory(children) => Some(children),
            _ => None,
        }
    }

    /// Applies a whiteout or opaque mark; what it names may well not exist.
    fn hide(&mut self, path: &[u8], entry: &Entry) {
        match entry {
            Entry::Whiteout => {
                let (parent, name) = split_last(path);
                if let Some(children) = self.find(parent).and_then(|node| self.children(node)) {
                    children.remove(name);
                }
            }
            Entry::Opaque => {
                if let Some(children) = self.find(path).and_then(|node| self.children(node)) {
                    children.clear();
                }
            }
            _ => {}
        }
    }

    /// Adds an entry, or says what is wrong with it.
    fn add(&mut self, path: &'a [u8], entry: &'a Entry) -> Result<(), String> {
        let (attributes, content) = match entry {
            Entry::Directory(attributes) => (attributes, NodeContent::Directory(BTreeMap::new())),
            Entry::File(summary, attributes) => (attributes, NodeContent::File(summary)),
            Entry::Symlink(target, attributes) => (attributes, NodeContent::Symlink(target)),
            Entry::Special(kind, device, attributes) => {
                (attributes, NodeContent::Special((*kind).into(), *device))
            }
            Entry::HardLink(target) => return self.link(path, target),
            Entry::Whiteout | Entry::Opaque => return Ok(()),
        };
        if let NodeContent::Directory(_) = content
            && let Some(existing) = self.find(path)
            && self.children(existing).is_some()
        {
            self.nodes[existing].attributes = attributes;
            return Ok(());
        }
        let node = self.nodes.len();
        self.nodes.push(Node { attributes, content });
        self.insert(path, node)
    }

    fn link(&mut self, path: &'a [u8], target: &[u8]) -> Result<(), String> {
        match self.find(target) {
            None => {
                Err(format!("is a hard link to '{}', which does not exist; rebuild the image", show(target)))
            }
            Some(node) if self.children(node).is_some() => {
                Err(format!("is a hard link to '{}', which is a directory; rebuild the image", show(target)))
            }
            Some(node) => self.insert(path, node),
        }
    }

    /// Puts `node` at `path`, in place of what was there; makes missing parents.
    fn insert(&mut self, path: &'a [u8], node: NodeId) -> Result<(), String> {
        static PARENT_ATTRIBUTES: Attributes = IMPLICIT;
        let (parent, name) = split_last(path);
        let mut directory = ROOT;
        let mut passed = 0;
        for component in components(parent) {
            passed += component.len() + 1;
            let next = self.nodes.len();
            let Some(children) = self.children(directory) else { break };
            let child = *children.entry(component).or_insert(next);
            if child == next {
                let content = NodeContent::Directory(BTreeMap::new());
                self.nodes.push(Node { attributes: &PARENT_ATTRIBUTES, content });
            }
            let kind = self.nodes[child].content.kind();
            if kind != FileKind::Directory {
                let kind = if kind == FileKind::Symlink { "a symbolic link" } else { "no directory" };
                let above = show(&path[..passed - 1]);
                return Err(format!("lies below '{above}', which is {kind}; refuse the image or rebuild it"));
            }
            directory = child;
        }
        if let Some(children) = self.children(directory) {
            children.insert(name, node);
        }
        Ok(())
    }

    fn find(&self, path: &[u8]) -> Option<NodeId> {
        components(path).try_fold(ROOT, |node, name| match &self.nodes[node].content {
            NodeContent::Directory(children) => children.get(name).copied(),
            _ => None,
        })
    }
}

/// Components of a path in normal form.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
}

/// Parent and last component of a path in normal form.
fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
