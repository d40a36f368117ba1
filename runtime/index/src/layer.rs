//! One layer's entries, checked one by one as they are added.

use std::collections::BTreeMap;
use std::fmt;

use crate::hasher::FileSummary;
use crate::inode::{Device, FileKind, Timestamp};
use crate::layout::{MAX_NAME, MAX_TARGET, MAX_XATTR_VALUE, MAX_XATTRS};

/// Longest path of an entry, in bytes.
const MAX_PATH: usize = 65536;

/// Owner, permissions, times and extended attributes of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, at most `0o7777`.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub mtime: Timestamp,
    /// Extended attributes, by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Kinds of entries that have neither content nor target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// FIFO.
    Fifo,
    /// UNIX socket.
    Socket,
}

impl From<SpecialKind> for FileKind {
    fn from(kind: SpecialKind) -> Self {
        match kind {
            SpecialKind::CharDevice => Self::CharDevice,
            SpecialKind::BlockDevice => Self::BlockDevice,
            SpecialKind::Fifo => Self::Fifo,
            SpecialKind::Socket => Self::Socket,
        }
    }
}

/// An entry, layer table or layering that is not acceptable; displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerError(pub(crate) String);

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayerError {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Directory(Attributes),
    File(FileSummary, Attributes),
    Symlink(Vec<u8>, Attributes),
    Special(SpecialKind, Device, Attributes),
    /// Another name for the entry at this path.
    HardLink(Vec<u8>),
    /// The path disappears from the layers below.
    Whiteout,
    /// What lower layers have inside the directory disappears.
    Opaque,
}

/// One layer: its entries in the order of its archive. Paths are kept in normal form: components joined by single
/// slashes, the root being empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerTable {
    pub(crate) label: String,
    pub(crate) entries: Vec<(Vec<u8>, Entry)>,
}

impl LayerTable {
    /// An empty layer; messages call it `label` beside its number.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), entries: Vec::new() }
    }

    /// What messages call the layer.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a directory; one that exists below keeps what is in it.
    pub fn add_directory(&mut self, path: &[u8], attributes: Attributes) -> Result<(), LayerError> {
        self.add(path, Entry::Directory(attributes))
    }

    /// Adds a regular file.
    pub fn add_file(
        &mut self,
        path: &[u8],
        summary: FileSummary,
        attributes: Attributes,
    ) -> Result<(), LayerError> {
        self.add(path, Entry::File(summary, attributes))
    }

    /// Adds a symbolic link.
    pub fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        attributes: Attributes,
    ) -> Result<(), LayerError> {
        self.add(path, Entry::Symlink(target.to_vec(), attributes))
    }

    /// Adds a device, FIFO or socket; `device` counts for devices only.
    pub fn add_special(
        &mut self,
        path: &[u8],
        kind: SpecialKind,
        device: Device,
        attributes: Attributes,
    ) -> Result<(), LayerError> {
        let device = match kind {
            SpecialKind::CharDevice | SpecialKind::BlockDevice => device,
            _ => Device::default(),
        };
        self.add(path, Entry::Special(kind, device, attributes))
    }

    /// Adds another name for `target`.
    pub fn add_hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), LayerError> {
        let target = normalize(target).map_err(|problem| {
            LayerError(format!("hard link '{}': its target '{}' {problem}", show(path), show(target)))
        })?;
        self.add(path, Entry::HardLink(target))
    }

    /// Removes `path` from the layers below.
    pub fn add_whiteout(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.add(path, Entry::Whiteout)
    }

    /// Empties the directory `path` of what lower layers have in it.
    pub fn add_opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.add(path, Entry::Opaque)
    }

    pub(crate) fn add(&mut self, path: &[u8], entry: Entry) -> Result<(), LayerError> {
        let refuse = |problem: String| LayerError(format!("entry '{}' {problem}", show(path)));
        let normal = normalize(path).map_err(|problem| refuse(problem.into()))?;
        let root_is_wrong = !matches!(entry, Entry::Directory(_) | Entry::Opaque);
        if normal.is_empty() && root_is_wrong {
            return Err(refuse("is the root, which can only be a directory".into()));
        }
        check_entry(&entry).map_err(refuse)?;
        self.entries.push((normal, entry));
        Ok(())
    }
}

fn check_entry(entry: &Entry) -> Result<(), String> {
    let attributes = match entry {
        Entry::Directory(attributes)
        | Entry::File(_, attributes)
        | Entry::Symlink(_, attributes)
        | Entry::Special(_, _, attributes) => attributes,
        Entry::HardLink(_) | Entry::Whiteout | Entry::Opaque => return Ok(()),
    };
    if let Entry::Symlink(target, _) = entry
        && (target.is_empty() || target.len() > MAX_TARGET || target.contains(&0))
    {
        return Err(format!(
            "is a symbolic link whose target is empty, holds a NUL, or has over {MAX_TARGET} bytes"
        ));
    }
    if attributes.permissions > 0o7777 {
        return Err(format!("has permissions {:o}; at most 7777 are possible", attributes.permissions));
    }
    if attributes.mtime.nanoseconds >= 1_000_000_000 {
        return Err("has a time with more than 999,999,999 nanoseconds".into());
    }
    for (name, value) in &attributes.xattrs {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(&0) || value.len() > MAX_XATTR_VALUE {
            return Err(format!(
                "has an extended attribute '{}' whose name or value no Linux file system takes",
                show(name)
            ));
        }
    }
    let total: usize = attributes.xattrs.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
    if total > MAX_XATTRS {
        return Err(format!("has {total} bytes of extended attributes; at most {MAX_XATTRS} are possible"));
    }
    Ok(())
}

/// A path in normal form, or what is wrong with it.
fn normalize(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    if path.is_empty() {
        return Err("has no name");
    }
    if path[0] == b'/' {
        return Err("is absolute; names in a layer are relative to the image's root");
    }
    if path.len() > MAX_PATH {
        return Err("has a path of over 65536 bytes");
    }
    if path.contains(&0) {
        return Err("has a NUL byte in its name");
    }
    let mut normal = Vec::with_capacity(path.len());
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err("escapes the root; refuse the image or rebuild it"),
            _ if component.len() > MAX_NAME => return Err("has a name of over 255 bytes"),
            _ => {}
        }
        if !normal.is_empty() {
            normal.push(b'/');
        }
        normal.extend_from_slice(component);
    }
    Ok(normal)
}

/// A path or name for a message: its text, cut to a readable length, with what cannot be printed escaped.
pub(crate) fn show(path: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(&path[..path.len().min(LONGEST)]);
    let mut shown: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if path.len() > LONGEST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_into_one_form() {
        for path in ["a/b", "./a/b", "a//b/", "a/./b/."] {
            assert_eq!(normalize(path.as_bytes()), Ok(b"a/b".to_vec()), "{path}");
        }
        assert_eq!(normalize(b"./"), Ok(vec![]));
        assert_eq!(normalize(b"..a/.b"), Ok(b"..a/.b".to_vec()));
    }

    #[test]
    fn entries_that_leave_the_root_are_refused_by_name() {
        let mut layer = LayerTable::new("");
        for path in ["../etc/passwd", "a/../../b", "a/..", "/etc/passwd", ""] {
            let error = layer.add_directory(path.as_bytes(), Attributes::default()).unwrap_err();
            assert!(error.to_string().contains(&format!("entry '{path}'")), "{error}");
        }
        let error = layer.add_hard_link(b"a", b"../b").unwrap_err().to_string();
        assert_eq!(
            error,
            "hard link 'a': its target '../b' escapes the root; refuse the image or rebuild it"
        );
        assert!(layer.add_whiteout(b".").is_err());
        assert!(layer.is_empty());
    }

    #[test]
    fn unprintable_names_are_escaped_in_messages() {
        assert_eq!(show(b"a\x1b[2Jb\xff"), "a\\u{1b}[2Jb\u{fffd}");
    }
}
