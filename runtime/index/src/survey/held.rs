//! Parts of a file held in memory, read as if the whole file were there.

use object::ReadRef;

/// The parts, in order, none overlapping another.
pub(crate) struct HeldBytes {
    file_size: u64,
    parts: Vec<Part>,
}

struct Part {
    offset: u64,
    length: u64,
    bytes: Vec<u8>,
}

impl HeldBytes {
    /// Will hold these parts, given as offset and length, sorted and disjoint.
    pub fn new(file_size: u64, parts: &[(u64, u64)]) -> Self {
        let parts = parts
            .iter()
            .map(|&(offset, length)| Part { offset, length, bytes: Vec::with_capacity(length as usize) })
            .collect();
        Self { file_size, parts }
    }

    /// Whether the whole file is held.
    pub fn is_whole(&self) -> bool {
        self.parts.first().is_some_and(|part| part.offset == 0 && part.length == self.file_size)
    }

    /// Keeps what is wanted of the file's bytes at `offset`. Calls come in the order of the file.
    pub fn take(&mut self, offset: u64, data: &[u8]) {
        for part in &mut self.parts {
            let start = (part.offset + part.bytes.len() as u64).max(offset) - offset;
            let end = (part.offset + part.length).saturating_sub(offset).min(data.len() as u64);
            if start < end {
                part.bytes.extend_from_slice(&data[start as usize..end as usize]);
            }
        }
    }
}

impl<'a> ReadRef<'a> for &'a HeldBytes {
    fn len(self) -> Result<u64, ()> {
        Ok(self.file_size)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let part = self.parts.iter().rev().find(|part| part.offset <= offset).ok_or(())?;
        let start = usize::try_from(offset - part.offset).map_err(|_| ())?;
        let end = start.checked_add(usize::try_from(size).map_err(|_| ())?).ok_or(())?;
        part.bytes.get(start..end).ok_or(())
    }

    fn read_bytes_at_until(self, range: std::ops::Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let size = range.end.checked_sub(range.start).ok_or(())?;
        let bytes = self.read_bytes_at(range.start, size)?;
        let end = bytes.iter().position(|&byte| byte == delimiter).ok_or(())?;
        Ok(&bytes[..end])
    }
}
