//! /proc/PID/mounts and mountinfo.

use alloc::format;
use alloc::vec::Vec;

use super::task::Task;
use crate::errno::Result;
use crate::fs::Location;
use crate::fs::mount::{self, split_device};

/// White space and backslashes as the kernel writes them there.
fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => escaped.push(byte),
        }
    }
    escaped
}

/// The mounts that lie under the process's root, with their paths there.
fn visible(task: Task) -> Result<Vec<(Location, Vec<u8>)>> {
    let root = task.process()?.fs.root();
    let path = |place: Location| place.path_from(&root).map(|path| (place, escape(&path)));
    Ok(mount::all().into_iter().filter_map(path).collect())
}

fn options(place: &Location) -> &'static [u8] {
    if place.mount().is_read_only() { b"ro,relatime" } else { b"rw,relatime" }
}

/// /proc/PID/mounts.
pub(super) fn mounts(task: Task) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for (place, path) in visible(task)? {
        let mount = place.mount();
        let fields = [&escape(&mount.source)[..], &path, mount.kind.as_bytes(), options(&place), b"0 0\n"];
        text.extend_from_slice(&fields.join(&b' '));
    }
    Ok(text)
}

/// /proc/PID/mountinfo.
pub(super) fn mountinfo(task: Task) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for (place, path) in visible(task)? {
        let mount = place.mount();
        let parent = place.parent().map_or(1, |parent| parent.mount().id);
        let (major, minor) = split_device(mount.device);
        text.extend_from_slice(format!("{} {parent} {major}:{minor} / ", mount.id).as_bytes());
        let (source, options) = (escape(&mount.source), options(&place));
        let fields = [&path[..], options, b"-", mount.kind.as_bytes(), &source, &options[..2]];
        text.extend_from_slice(&fields.join(&b' '));
        text.push(b'\n');
    }
    Ok(text)
}
