//! [`Content`]: the bytes of a regular file. Pages that were written are in memory; the others come from the image file
//! below, as far as it reaches, or are zero.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::sync::{RwLock, RwLockWriteGuard};

use crate::errno::{Errno, Result};
use crate::fs::image::ImageFile;
use crate::fs::page::{PAGE_SIZE, Page, Promise};
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::mm::{self, Coherence};

const PAGE: u64 = PAGE_SIZE as u64;
/// Largest file size.
pub const SIZE_LIMIT: u64 = i64::MAX as u64;

/// The bytes of a regular file.
pub struct Content {
    image: Option<Arc<ImageFile>>,
    /// Whether the state may be other than it was at first.
    changed: AtomicBool,
    state: RwLock<State>,
    /// Writers and truncations come one at a time, so that a write is seen whole by other writers.
    writers: Turn,
    /// Changes of a mapped file are made in its turn.
    coherence: Coherence,
}

struct State {
    size: u64,
    /// How far the image's data still shows; shrinks when the file is cut.
    image_size: u64,
    written: BTreeMap<u64, Arc<Page>>,
    /// Room for pages that are written to in shared mappings and have yet to come here.
    promised: BTreeMap<u64, Promise>,
    /// Seals of a memfd (F_SEAL_*).
    seals: u32,
}

enum Piece {
    Page(Arc<Page>),
    Image,
    Zero,
}

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAt {
    /// At this offset.
    Offset(u64),
    /// At the end (O_APPEND).
    End,
}

/// Bits of F_ADD_SEALS.
pub mod seal {
    /// No more seals.
    pub const SEAL: u32 = 1;
    /// The file must not shrink.
    pub const SHRINK: u32 = 2;
    /// The file must not grow.
    pub const GROW: u32 = 4;
    /// The file must not be written.
    pub const WRITE: u32 = 8;
    /// As WRITE, but existing shared mappings stay.
    pub const FUTURE_WRITE: u32 = 16;
    /// The file's execute bits must not change.
    pub const EXEC: u32 = 32;
}

impl Content {
    /// Contents of an image file, or an empty file.
    pub fn new(image: Option<Arc<ImageFile>>) -> Content {
        let size = image.as_ref().map_or(0, |image| image.size());
        let state = State {
            size,
            image_size: size,
            written: BTreeMap::new(),
            promised: BTreeMap::new(),
            seals: seal::SEAL,
        };
        Content {
            image,
            changed: AtomicBool::new(false),
            state: RwLock::new(state),
            writers: Turn::new(),
            coherence: Coherence::new(),
        }
    }

    /// Zeros.
    pub fn sized(size: u64) -> Content {
        let content = Content::new(None);
        content.change().size = size;
        content
    }

    /// What keeps the mappings of it together.
    pub fn coherence(&self) -> &Coherence {
        &self.coherence
    }

    /// A mapping of it is made.
    pub fn add_mapping(&self, identity: (u64, u64), shared: bool) {
        self.coherence.add(identity, shared);
        // Whoever did not see that yet has made his change: others look under the lock.
        drop(self.state.write());
    }

    /// The state, to change it.
    fn change(&self) -> RwLockWriteGuard<'_, State> {
        let state = self.state.write();
        self.changed.store(true, Release);
        state
    }

    /// Size while nothing was changed yet: it is read without the lock.
    fn first_size(&self) -> Option<u64> {
        let changed = self.changed.load(Acquire);
        (!changed).then(|| self.image.as_ref().map_or(0, |image| image.size()))
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.first_size().unwrap_or_else(|| self.state.read().size)
    }

    /// Size in bytes, and allocated blocks of 512 bytes.
    pub fn extent(&self) -> (u64, u64) {
        if let Some(size) = self.first_size() {
            return (size, size.div_ceil(PAGE) * (PAGE / 512));
        }
        let state = self.state.read();
        let image_pages = state.image_size.div_ceil(PAGE);
        let beyond = match image_pages {
            _ if state.written.is_empty() => 0,
            0 => state.written.len(),
            _ => state.written.range(image_pages..).count(),
        } as u64;
        (state.size, (image_pages + beyond) * (PAGE / 512))
    }

    /// The image file below.
    pub fn image(&self) -> Option<&Arc<ImageFile>> {
        self.image.as_ref()
    }

    /// Whether the contents still are those of the image, all of them.
    pub fn is_unchanged(&self) -> bool {
        let state = self.state.read();
        self.image
            .as_ref()
            .is_some_and(|image| image.size() == state.size && image.size() == state.image_size)
            && state.written.is_empty()
    }

    fn piece(&self, offset: u64) -> (u64, Piece) {
        let state = self.state.read();
        let piece = match state.written.get(&(offset / PAGE)) {
            Some(page) => Piece::Page(page.clone()),
            None if offset / PAGE * PAGE < state.image_size => Piece::Image,
            None => Piece::Zero,
        };
        (state.size, piece)
    }

    fn image_page(&self, number: u64) -> Result<Arc<Page>> {
        self.image.as_ref().ok_or(Errno::EIO)?.page(number)
    }

    /// Reads from `offset`; 0 at the end.
    pub fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        let begin = sink.moved();
        let outcome = self.fill(sink, offset);
        let moved = sink.moved() - begin;
        if moved > 0 { Ok(moved) } else { outcome.map(|()| 0) }
    }

    fn fill(&self, sink: &mut Sink, mut offset: u64) -> Result<()> {
        while sink.remaining() > 0 {
            let (size, piece) = self.piece(offset);
            if offset >= size {
                break;
            }
            let within = (offset % PAGE) as usize;
            let length = (PAGE_SIZE - within).min((size - offset).min(PAGE) as usize).min(sink.remaining());
            let put = match piece {
                Piece::Page(page) => sink.put(&page.bytes()[within..within + length])?,
                Piece::Image => {
                    let page = self.image_page(offset / PAGE)?;
                    sink.put(&page.bytes()[within..within + length])?
                }
                Piece::Zero => sink.put_zeros(length)?,
            };
            offset += put as u64;
            if put < length {
                break;
            }
        }
        Ok(())
    }

    /// Copies contents to `buffer`, zeros beyond the end.
    pub fn copy_out(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if !offset.is_multiple_of(PAGE) {
            let mut sink = Sink::kernel(buffer);
            self.fill(&mut sink, offset)?;
            let done = sink.moved();
            buffer[done..].fill(0);
            return Ok(());
        }
        for (part, at) in buffer.chunks_mut(PAGE_SIZE).zip((offset..).step_by(PAGE_SIZE)) {
            self.copy_page_out(at, part)?;
        }
        Ok(())
    }

    /// Copies from the page at `offset` on, at most one.
    fn copy_page_out(&self, offset: u64, part: &mut [u8]) -> Result<()> {
        let (size, piece) = self.piece(offset);
        let length = part.len().min(size.saturating_sub(offset).min(PAGE) as usize);
        part[length..].fill(0);
        match piece {
            _ if length == 0 => {}
            Piece::Page(page) => part[..length].copy_from_slice(&page.bytes()[..length]),
            Piece::Zero => part[..length].fill(0),
            Piece::Image => {
                let image = self.image.as_ref().ok_or(Errno::EIO)?;
                match <&mut [u8; PAGE_SIZE]>::try_from(&mut *part) {
                    Ok(whole) => image.copy_page(offset / PAGE, whole)?,
                    Err(_) => part[..length].copy_from_slice(&image.page(offset / PAGE)?.bytes()[..length]),
                }
                // The file may have been cut within the page.
                part[length..].fill(0);
            }
        }
        Ok(())
    }

    /// Writes; returns the bytes written and the offset after them.
    pub fn write_at(&self, source: &mut Source, at: WriteAt) -> Result<(usize, u64)> {
        let _turn = self.writers.take()?;
        let begin = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => self.size(),
        };
        self.check_seals(begin, source.remaining() as u64)?;
        let room = SIZE_LIMIT.saturating_sub(begin);
        if source.remaining() == 0 {
            return Ok((0, begin));
        }
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        source.limit(room.min(usize::MAX as u64) as usize);
        let mut offset = begin;
        let outcome = self.take_pages(source, &mut offset);
        if offset > begin { Ok(((offset - begin) as usize, offset)) } else { outcome.map(|()| (0, begin)) }
    }

    fn take_pages(&self, source: &mut Source, offset: &mut u64) -> Result<()> {
        let mut buffer = [0; PAGE_SIZE];
        while source.remaining() > 0 {
            let within = (*offset % PAGE) as usize;
            let length = (PAGE_SIZE - within).min(source.remaining());
            let taken = source.take(&mut buffer[within..within + length])?;
            if taken == 0 {
                break;
            }
            self.store(*offset, &mut buffer, within, taken)?;
            *offset += taken as u64;
            if taken < length {
                break;
            }
        }
        Ok(())
    }

    /// Puts `buffer[within..within + length]` at `offset` and makes the file at least that long. The caller is the only writer.
    fn store(&self, offset: u64, buffer: &mut [u8; PAGE_SIZE], within: usize, length: usize) -> Result<()> {
        if self.coherence.mapped() == 0 && self.put(offset, buffer, within, length, false)? {
            return Ok(());
        }
        let turn = self.coherence.enter();
        self.revoke(&turn, offset, offset + length as u64)?;
        self.put(offset, buffer, within, length, true).map(drop)
    }

    /// The same without a look at mappings, which must be taken before, in the file's turn; false when that was not done and there are any.
    fn put(
        &self,
        offset: u64,
        buffer: &mut [u8; PAGE_SIZE],
        within: usize,
        length: usize,
        in_turn: bool,
    ) -> Result<bool> {
        let number = offset / PAGE;
        // What the rest of the page holds, where it is not in memory yet.
        let base = match self.piece(offset) {
            (_, Piece::Image) if length < PAGE_SIZE => Some(self.image_page(number)?),
            _ => None,
        };
        let mut state = self.change();
        if !in_turn && self.coherence.mapped() != 0 {
            return Ok(false);
        }
        let promise = state.promised.remove(&number);
        match state.written.get_mut(&number) {
            Some(page) => {
                Page::change(page, promise)?[within..within + length]
                    .copy_from_slice(&buffer[within..within + length]);
            }
            None => {
                let around = base.as_ref().map_or(&[0; PAGE_SIZE], |page| page.bytes());
                buffer[..within].copy_from_slice(&around[..within]);
                buffer[within + length..].copy_from_slice(&around[within + length..]);
                let page = match promise {
                    Some(promise) => promise.fulfil(buffer),
                    None => Page::written(buffer)?,
                };
                state.written.insert(number, page);
            }
        }
        state.size = state.size.max(offset + length as u64);
        Ok(true)
    }

    /// Makes sure that there will be room for the page at `offset` when it is written back; `ENOSPC`.
    pub fn promise(&self, offset: u64) -> Result<()> {
        let number = offset / PAGE;
        // What is written already changes in place, unless somebody reads it at that moment.
        if self.state.read().written.contains_key(&number) || self.state.read().promised.contains_key(&number)
        {
            return Ok(());
        }
        let promise = Promise::new()?;
        self.change().promised.insert(number, promise);
        Ok(())
    }

    /// Writes back bytes of a shared mapping; call in the file's turn. What lies beyond the end is dropped.
    pub fn write_back(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        let mut buffer = [0; PAGE_SIZE];
        while !bytes.is_empty() {
            let left = self.size().saturating_sub(offset);
            let within = (offset % PAGE) as usize;
            let length = (PAGE_SIZE - within).min(bytes.len()).min(left.min(PAGE) as usize);
            if length == 0 {
                break;
            }
            buffer[within..within + length].copy_from_slice(&bytes[..length]);
            self.put(offset, &mut buffer, within, length, true)?;
            bytes = &bytes[length..];
            offset += length as u64;
        }
        Ok(())
    }

    /// Cuts the file or extends it with zeros. Returns whether the size changed.
    pub fn set_size(&self, size: u64) -> Result<bool> {
        if size > SIZE_LIMIT {
            return Err(Errno::EFBIG);
        }
        let _turn = self.writers.take()?;
        let turn = self.coherence.enter();
        let old = self.size();
        let seals = self.seals();
        if size < old && seals & seal::SHRINK != 0 || size > old && seals & seal::GROW != 0 {
            return Err(Errno::EPERM);
        }
        if size < old {
            self.revoke(&turn, size, old)?;
            // Only what stays of the last page needs zeros: if the file grows again, they show.
            self.clear(size, old.min(size.next_multiple_of(PAGE)))?;
            let mut state = self.change();
            let gone = state.written.split_off(&size.div_ceil(PAGE));
            state.promised.split_off(&size.div_ceil(PAGE));
            state.image_size = state.image_size.min(size);
            state.size = size;
            drop(state);
            drop(gone);
            turn.cut(size)?;
        } else {
            self.change().size = size;
        }
        Ok(size != old)
    }

    fn revoke(&self, turn: &mm::Turn, start: u64, end: u64) -> Result<()> {
        turn.revoke(start, end, None, &|offset: u64, to: &mut [u8]| self.copy_out(offset, to))
    }

    /// Makes `[start, end)` read as zeros: whole pages lose what they hold, the ends are written over. Call in the file's turn;
    /// no mapping shows them.
    fn clear(&self, start: u64, end: u64) -> Result<()> {
        let end = end.min(self.size());
        if start >= end {
            return Ok(());
        }
        let (first, last) = (start.div_ceil(PAGE), end / PAGE);
        let mut zeros = [0; PAGE_SIZE];
        let edges = [(start, end.min(first * PAGE)), (start.max(last * PAGE), end)];
        for (from, to) in edges {
            // Both edges are the same when the range lies in one page; clearing twice is harmless.
            if from < to && !matches!(self.piece(from).1, Piece::Zero) {
                let size = self.size();
                zeros.fill(0);
                self.put(from, &mut zeros, (from % PAGE) as usize, (to - from) as usize, true)?;
                self.change().size = size;
            }
        }
        let mut state = self.change();
        let image_pages = state.image_size.div_ceil(PAGE);
        let mut gone = state.written.split_off(&first);
        let mut kept = gone.split_off(&last.max(first));
        state.written.append(&mut kept);
        // Pages of the image must be covered; one page of zeros does for all.
        let zero = Page::cached([0; PAGE_SIZE]);
        for number in first..last.min(image_pages) {
            state.written.insert(number, zero.clone());
        }
        drop(state);
        drop(gone);
        Ok(())
    }

    /// fallocate(2) with FALLOC_FL_PUNCH_HOLE or FALLOC_FL_ZERO_RANGE: zeros, and the size stays.
    pub fn punch(&self, start: u64, end: u64) -> Result<()> {
        let _turn = self.writers.take()?;
        let turn = self.coherence.enter();
        if self.seals() & (seal::WRITE | seal::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        self.revoke(&turn, start, end.min(self.size()))?;
        self.clear(start, end)
    }

    /// fallocate(2): makes the file at least `end` bytes long. Returns whether the size changed.
    pub fn extend(&self, end: u64) -> Result<bool> {
        if end > SIZE_LIMIT {
            return Err(Errno::EFBIG);
        }
        let _turn = self.writers.take()?;
        let old = self.size();
        if end > old {
            if self.seals() & seal::GROW != 0 {
                return Err(Errno::EPERM);
            }
            self.change().size = end;
        }
        Ok(end > old)
    }

    /// SEEK_DATA and SEEK_HOLE from `offset`; `ENXIO`.
    pub fn seek(&self, offset: u64, hole: bool) -> Result<u64> {
        let state = self.state.read();
        if offset >= state.size {
            return Err(Errno::ENXIO);
        }
        let is_data = |number: u64| state.written.contains_key(&number) || number * PAGE < state.image_size;
        let number = offset / PAGE;
        if is_data(number) != hole {
            return Ok(offset);
        }
        if !hole {
            let next = state.written.range(number..).next().map(|(&next, _)| next * PAGE);
            return next.filter(|&next| next < state.size).ok_or(Errno::ENXIO);
        }
        let mut next = number.max(state.image_size.div_ceil(PAGE));
        for &written in state.written.range(next..).map(|(written, _)| written) {
            if written != next {
                break;
            }
            next += 1;
        }
        Ok((next * PAGE).min(state.size))
    }

    /// F_GET_SEALS.
    pub fn seals(&self) -> u32 {
        self.state.read().seals
    }

    /// Makes the file one that can be sealed (MFD_ALLOW_SEALING).
    pub fn allow_sealing(&self) {
        self.change().seals = 0;
    }

    /// F_ADD_SEALS.
    pub fn add_seals(&self, seals: u32) -> Result<()> {
        if seals & !0x3f != 0 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.change();
        if state.seals & seal::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        state.seals |= seals;
        Ok(())
    }

    fn check_seals(&self, offset: u64, length: u64) -> Result<()> {
        let state = self.state.read();
        let grows = offset.saturating_add(length) > state.size;
        let refused =
            state.seals & (seal::WRITE | seal::FUTURE_WRITE) != 0 || grows && state.seals & seal::GROW != 0;
        if refused && length > 0 { Err(Errno::EPERM) } else { Ok(()) }
    }
}
