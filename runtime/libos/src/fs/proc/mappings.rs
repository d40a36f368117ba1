//! /proc/PID/maps and statm.

use alloc::format;
use alloc::vec::Vec;

use super::task::Task;
use crate::errno::Result;
use crate::fs::mount::split_device;
use crate::mm::MapEntry;
use crate::room;

/// What a line, and what it is made from, may take for a moment.
const ROOM_PER_LINE: usize = 512;
/// Column at which names begin.
const NAME_COLUMN: usize = 73;

/// /proc/PID/maps.
pub(super) fn maps(task: Task) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let space = task.process()?.address_space();
    room::check_for(space.mapping_count() * ROOM_PER_LINE)?;
    for entry in space.describe() {
        add_line(&mut text, &entry);
    }
    Ok(text)
}

fn add_line(text: &mut Vec<u8>, entry: &MapEntry) {
    let bit = |set, letter| if set { letter } else { '-' };
    let (major, minor) = split_device(entry.device);
    let line = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {major:02x}:{minor:02x} {} ",
        entry.span.start,
        entry.span.end,
        bit(entry.protection.read, 'r'),
        bit(entry.protection.write, 'w'),
        bit(entry.protection.execute, 'x'),
        if entry.shared { 's' } else { 'p' },
        entry.offset,
        entry.inode,
    );
    text.extend_from_slice(line.as_bytes());
    if !entry.name.is_empty() {
        text.resize(text.len() + NAME_COLUMN.saturating_sub(line.len()), b' ');
        for &byte in &entry.name {
            match byte {
                b'\n' => text.extend_from_slice(b"\\012"),
                byte => text.push(byte),
            }
        }
    }
    text.push(b'\n');
}

/// /proc/PID/statm: pages mapped, present, shared, of text, 0, of data and stack, 0.
pub(super) fn statm(task: Task) -> Result<Vec<u8>> {
    let totals = task.process()?.address_space().totals();
    let pages = |bytes: u64| bytes / 4096;
    let text = format!(
        "{} {} {} {} 0 {} 0\n",
        pages(totals.mapped),
        pages(totals.present),
        pages(totals.present - totals.present_anonymous),
        pages(totals.text),
        pages(totals.data + totals.stack),
    );
    Ok(text.into_bytes())
}
