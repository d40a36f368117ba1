//! Names of UNIX sockets: in the file tree, or abstract.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_platform::sync::Mutex;

use super::Endpoint;
use crate::errno::{Errno, Result};
use crate::fs::access;
use crate::fs::inode::{NewInode, NewKind};
use crate::fs::walk::Walk;
use crate::net::UNIX;
use crate::process::current_process;
use crate::stat::FileType;

/// sizeof(struct sockaddr_un), and of the family in front.
const ADDRESS_SIZE: usize = 110;
const FAMILY_SIZE: usize = 2;

/// A name taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// A path.
    Path(&'a [u8]),
    /// In the abstract name space: the bytes after the first NUL.
    Abstract(&'a [u8]),
    /// Any free abstract name (bind(2) only).
    Automatic,
}

/// Takes an address apart; `EINVAL`.
pub fn parse(address: &[u8]) -> Result<Name<'_>> {
    if address.len() > ADDRESS_SIZE || crate::net::family(address)? != UNIX {
        return Err(Errno::EINVAL);
    }
    Ok(match &address[FAMILY_SIZE..] {
        [] => Name::Automatic,
        [0, name @ ..] => Name::Abstract(name),
        path => Name::Path(path.split(|&byte| byte == 0).next().unwrap_or(path)),
    })
}

/// The address of a socket without a name.
pub fn unnamed() -> Vec<u8> {
    (UNIX as u16).to_le_bytes().to_vec()
}

fn path_address(path: &[u8]) -> Vec<u8> {
    [&unnamed()[..], path, &[0]].concat()
}

fn abstract_address(name: &[u8]) -> Vec<u8> {
    [&unnamed()[..], &[0], name].concat()
}

static ABSTRACT: Mutex<BTreeMap<Vec<u8>, Weak<Endpoint>>> = Mutex::new(BTreeMap::new());
static NEXT_AUTOMATIC: AtomicU32 = AtomicU32::new(1);

/// What hangs on a socket's inode.
struct Bound(Weak<Endpoint>);

/// Gives `endpoint` this name; the address that it has from now on. `EADDRINUSE`.
pub fn bind(endpoint: &Arc<Endpoint>, address: &[u8]) -> Result<Vec<u8>> {
    match parse(address)? {
        Name::Path(path) => bind_path(endpoint, path),
        Name::Abstract(name) => bind_abstract(endpoint, name),
        Name::Automatic => loop {
            let number = NEXT_AUTOMATIC.fetch_add(1, Relaxed) & 0xf_ffff;
            match bind_abstract(endpoint, format!("{number:05x}").as_bytes()) {
                Err(Errno::EADDRINUSE) => {}
                outcome => return outcome,
            }
        },
    }
}

fn bind_abstract(endpoint: &Arc<Endpoint>, name: &[u8]) -> Result<Vec<u8>> {
    let address = abstract_address(name);
    let mut names = ABSTRACT.lock();
    if names.get(&address).is_some_and(|held| held.strong_count() > 0) {
        return Err(Errno::EADDRINUSE);
    }
    names.insert(address.clone(), Arc::downgrade(endpoint));
    Ok(address)
}

fn bind_path(endpoint: &Arc<Endpoint>, path: &[u8]) -> Result<Vec<u8>> {
    let process = current_process();
    let view = process.fs.clone();
    let credentials = process.credentials.read().clone();
    let end = Walk::new(&view.root(), &credentials).find_end(&view.cwd(), path)?;
    let name = end.name(Errno::EADDRINUSE)?;
    access::check_change(&end.directory, &credentials)?;
    let new = NewInode {
        kind: NewKind::Socket,
        permissions: 0o777 & !view.umask(),
        uid: credentials.fsuid,
        gid: credentials.fsgid,
    };
    let made = end.directory.create(name, &new);
    let made = made.map_err(|error| if error == Errno::EEXIST { Errno::EADDRINUSE } else { error })?;
    let attachment = made.inode().attachment().ok_or(Errno::EPERM)?;
    attachment.set(Some(Arc::new(Bound(Arc::downgrade(endpoint)))));
    Ok(path_address(path))
}

/// The endpoint with this name; `ECONNREFUSED` when nobody has it.
pub fn find(address: &[u8]) -> Result<Arc<Endpoint>> {
    match parse(address)? {
        Name::Automatic => Err(Errno::EINVAL),
        Name::Abstract(name) => {
            let held = ABSTRACT.lock().get(&abstract_address(name)).cloned();
            held.and_then(|held| held.upgrade()).ok_or(Errno::ECONNREFUSED)
        }
        Name::Path(path) => {
            let process = current_process();
            let view = process.fs.clone();
            let credentials = process.credentials.read().clone();
            let found = Walk::new(&view.root(), &credentials).find(&view.cwd(), path, true)?;
            access::check(&found, &credentials, access::WRITE)?;
            if found.kind() != FileType::Socket {
                return Err(Errno::ECONNREFUSED);
            }
            let bound = found.inode().attachment().and_then(|attachment| attachment.get::<Bound>());
            bound.and_then(|bound| bound.0.upgrade()).ok_or(Errno::ECONNREFUSED)
        }
    }
}

/// The name of a closed socket is free again; a path stays, as on Linux.
pub fn release(address: &[u8]) {
    if address.get(FAMILY_SIZE) == Some(&0) {
        let gone = ABSTRACT.lock().remove(address);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(parse(&[1, 0]), Ok(Name::Automatic));
        assert_eq!(parse(b"\x01\x00\x00ab\x00"), Ok(Name::Abstract(b"ab\x00")));
        assert_eq!(parse(b"\x01\x00/a\x00rest"), Ok(Name::Path(b"/a")));
        assert_eq!(parse(b"\x01\x00/a"), Ok(Name::Path(b"/a")));
        assert_eq!(parse(&[2, 0, 1]), Err(Errno::EINVAL));
        assert_eq!(parse(&[1]), Err(Errno::EINVAL));
        assert_eq!(parse(&[1; 111]), Err(Errno::EINVAL));
    }

    #[test]
    fn an_abstract_name_belongs_to_one_socket_while_it_lives() {
        let first = Endpoint::new(crate::net::STREAM);
        let name = bind_abstract(&first, b"test").unwrap();
        assert_eq!(bind_abstract(&Endpoint::new(1), b"test"), Err(Errno::EADDRINUSE));
        drop(first);
        assert_eq!(bind_abstract(&Endpoint::new(1), b"test"), Ok(name));
    }
}
