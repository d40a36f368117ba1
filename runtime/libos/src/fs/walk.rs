//! Walking a path: components, `..`, symbolic links, permission to search, and the limits of openat2(2).

use alloc::vec::Vec;

use bitflags::bitflags;
use linux_raw_sys::general as raw;

use super::access;
use super::inode::LinkTarget;
use super::node::Location;
use crate::errno::{Errno, Result};
use crate::process::Credentials;
use crate::stat::FileType;

/// Longest name, NAME_MAX.
pub const NAME_LIMIT: usize = 255;
/// Most symbolic links followed in one look-up.
const LINK_LIMIT: u32 = 40;
/// Most names that one descent through the caches takes: each holds a lock and a frame of a small stack.
pub(super) const DESCENT_LIMIT: usize = 16;

bitflags! {
    /// RESOLVE_* of openat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[allow(missing_docs)]
    pub struct Resolve: u64 {
        const NO_XDEV = raw::RESOLVE_NO_XDEV as u64;
        const NO_MAGIC_LINKS = raw::RESOLVE_NO_MAGICLINKS as u64;
        const NO_SYMLINKS = raw::RESOLVE_NO_SYMLINKS as u64;
        const BENEATH = raw::RESOLVE_BENEATH as u64;
        const IN_ROOT = raw::RESOLVE_IN_ROOT as u64;
        const CACHED = raw::RESOLVE_CACHED as u64;
    }
}

/// A walk under way.
pub struct Walk<'a> {
    root: &'a Location,
    credentials: &'a Credentials,
    resolve: Resolve,
    links: u32,
    /// All steps were in directories that cache names.
    lasting: bool,
}

/// The last component of a path, not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name(Vec<u8>),
    /// `.`, or a path of slashes only.
    Dot,
    /// `..`.
    DotDot,
}

/// Where a path ends: the directory of its last component, and that component.
pub struct End {
    /// The directory.
    pub directory: Location,
    /// The last component.
    pub last: Last,
    /// Whether slashes follow it.
    pub trailing_slash: bool,
}

impl End {
    /// The last component where it must be a name; `error` otherwise.
    pub fn name(&self, error: Errno) -> Result<&[u8]> {
        match &self.last {
            Last::Name(name) => Ok(name),
            _ => Err(error),
        }
    }
}

/// Splits the first component off; slashes before it are dropped. Both empty at the end.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    let path = &path[start..];
    let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
    path.split_at(end)
}

impl<'a> Walk<'a> {
    /// A walk under `root` with these rights.
    pub fn new(root: &'a Location, credentials: &'a Credentials) -> Walk<'a> {
        Walk { root, credentials, resolve: Resolve::empty(), links: 0, lasting: true }
    }

    /// A walk limited as openat2(2) says; `start` is where relative paths begin.
    pub fn limited(
        root: &'a Location,
        start: &'a Location,
        credentials: &'a Credentials,
        resolve: Resolve,
    ) -> Walk<'a> {
        let inside = resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT);
        Walk { root: if inside { start } else { root }, credentials, resolve, links: 0, lasting: true }
    }

    /// Whether what was found stays there until somebody says that something changed ([`super::recent`]).
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Whose rights count.
    pub fn credentials(&self) -> &'a Credentials {
        self.credentials
    }

    /// The place that `path` names, from `start` if it is relative. `follow`: a link at the end is followed. An empty path is `ENOENT`.
    pub fn find(&mut self, start: &Location, path: &[u8], follow: bool) -> Result<Location> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let start = self.begin(start, path)?;
        match self.descend(start, path)? {
            Some((reached, rest)) => self.find_from(reached, rest, follow),
            None => self.find_from(start.clone(), path, follow),
        }
    }

    /// The place that what is left of a path names from a place on the way, slashes before it or not.
    pub fn find_from(&mut self, mut at: Location, mut rest: &[u8], follow: bool) -> Result<Location> {
        loop {
            let (name, after) = split(rest);
            if name.is_empty() {
                // A slash at the end asks for a directory.
                let may_end = rest.is_empty() || at.kind() == FileType::Directory;
                return if may_end { Ok(at) } else { Err(Errno::ENOTDIR) };
            }
            self.check_search(&at)?;
            self.lasting &= at.caches_names();
            let next = self.step(&at, name)?;
            at = if next.kind() == FileType::Symlink && (follow || !after.is_empty()) {
                self.follow(&at, &next)?
            } else {
                next
            };
            rest = after;
            if let Some(further) = self.descend(&at, rest)? {
                (at, rest) = further;
            }
        }
    }

    /// The part of the way that cached names lead; see [`Location::descend`].
    fn descend<'p>(&self, at: &Location, path: &'p [u8]) -> Result<Option<(Location, &'p [u8])>> {
        // A limited walk looks at each step.
        if self.resolve.is_empty() { at.descend(path, self.credentials, DESCENT_LIMIT) } else { Ok(None) }
    }

    /// The directory that the last component of `path` lies in, and that component.
    pub fn find_end(&mut self, start: &Location, path: &[u8]) -> Result<End> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let trimmed = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let cut = path[..trimmed].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (parents, name) = path[..trimmed].split_at(cut);
        let trailing_slash = trimmed < path.len();
        let directory = if parents.is_empty() {
            self.begin(start, path)?.clone()
        } else {
            self.find(start, parents, true)?
        };
        if directory.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let last = match name {
            b"" | b"." => Last::Dot,
            b".." => Last::DotDot,
            name if name.len() > NAME_LIMIT => return Err(Errno::ENAMETOOLONG),
            name => Last::Name(name.to_vec()),
        };
        self.check_search(&directory)?;
        Ok(End { directory, last, trailing_slash })
    }

    fn begin<'s>(&self, start: &'s Location, path: &[u8]) -> Result<&'s Location>
    where
        'a: 's,
    {
        if path.first() != Some(&b'/') {
            return Ok(start);
        }
        if self.resolve.contains(Resolve::BENEATH) {
            return Err(Errno::EXDEV);
        }
        if self.resolve.contains(Resolve::NO_XDEV) && self.root.mount().id != start.mount().id {
            return Err(Errno::EXDEV);
        }
        Ok(self.root)
    }

    #[inline]
    fn check_search(&self, directory: &Location) -> Result<()> {
        if directory.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        access::check(directory, self.credentials, access::EXECUTE)
    }

    /// One component from a directory that may be searched; links are not followed.
    pub fn step(&self, at: &Location, name: &[u8]) -> Result<Location> {
        let next = match name {
            b"." => return Ok(at.clone()),
            b".." if at == self.root => {
                return if self.resolve.contains(Resolve::BENEATH) {
                    Err(Errno::EXDEV)
                } else {
                    Ok(at.clone())
                };
            }
            b".." => match at.parent() {
                Some(parent) => parent,
                None => return Ok(at.clone()),
            },
            name if name.len() > NAME_LIMIT => return Err(Errno::ENAMETOOLONG),
            name => at.child(name)?,
        };
        if self.resolve.contains(Resolve::NO_XDEV) && next.mount().id != at.mount().id {
            return Err(Errno::EXDEV);
        }
        Ok(next)
    }

    /// Where the link `link` in `directory` leads.
    pub fn follow(&mut self, directory: &Location, link: &Location) -> Result<Location> {
        self.links += 1;
        if self.links > LINK_LIMIT || self.resolve.contains(Resolve::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        match link.inode().follow()? {
            LinkTarget::Path(path) => self.find(directory, &path, true),
            LinkTarget::Place(place) => {
                self.lasting = false;
                self.admit_jump(link, place)
            }
        }
    }

    /// A link of /proc leads somewhere without a path.
    fn admit_jump(&self, link: &Location, place: Location) -> Result<Location> {
        if self.resolve.contains(Resolve::NO_MAGIC_LINKS) {
            Err(Errno::ELOOP)
        } else if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT)
            || self.resolve.contains(Resolve::NO_XDEV) && link.mount().id != place.mount().id
        {
            Err(Errno::EXDEV)
        } else {
            Ok(place)
        }
    }

    /// As [`Self::find_end`], but a link at the end is followed to the end of where it leads (for O_CREAT).
    pub fn find_creatable(&mut self, start: &Location, path: &[u8]) -> Result<(End, Option<Location>)> {
        let mut end = self.find_end(start, path)?;
        loop {
            let Last::Name(name) = &end.last else {
                let place = match end.last {
                    Last::DotDot => self.step(&end.directory, b"..")?,
                    _ => end.directory.clone(),
                };
                return Ok((end, Some(place)));
            };
            // What is to be made is no directory, whether or not there is something.
            if end.trailing_slash {
                return Err(Errno::EISDIR);
            }
            let found = match end.directory.child(name) {
                Ok(found) => found,
                Err(Errno::ENOENT) => return Ok((end, None)),
                Err(error) => return Err(error),
            };
            if self.resolve.contains(Resolve::NO_XDEV) && found.mount().id != end.directory.mount().id {
                return Err(Errno::EXDEV);
            }
            if found.kind() != FileType::Symlink {
                return Ok((end, Some(found)));
            }
            self.links += 1;
            if self.links > LINK_LIMIT || self.resolve.contains(Resolve::NO_SYMLINKS) {
                return Err(Errno::ELOOP);
            }
            match found.inode().follow()? {
                LinkTarget::Path(path) => {
                    let trailing_slash = end.trailing_slash;
                    end = self.find_end(&end.directory, &path)?;
                    end.trailing_slash |= trailing_slash;
                }
                LinkTarget::Place(place) => return self.admit_jump(&found, place).map(|p| (end, Some(p))),
            }
        }
    }
}
