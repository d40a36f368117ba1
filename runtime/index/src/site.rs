//! A system-call site and the code that replaces it, made without a decoder.
//!
//! The survey at build time chose, for each `syscall` instruction, a run of whole instructions that a `jmp rel32` may
//! overwrite. What is overwritten runs in a *stub* within ±2 GiB instead:
//!
//! ```text
//! Intact:  the run ends just before the syscall, which stays as it is (a jump straight to it still works, by trap)
//!     stub:  [the run]  lea rcx, [after the syscall]  jmp gs:[8]
//! Covered: the run contains the syscall
//!     stub:  [before]   lea rcx, [next]  jmp gs:[8]   next: [after]  jmp back
//! ```
//!
//! The stub changes nothing but rcx, which the kernel would overwrite as well, and touches no stack (red zone).
//! At `gs:[8]` lies the library OS's entry; it finds the return address in rcx, as after a `syscall` instruction.

use core::fmt;

/// Offset from the gs base of the library OS's entry point, an 8-byte address.
pub const SYSCALL_ENTRY_GS_OFFSET: u32 = 8;
/// Room that every stub fits in, in bytes.
pub const MAX_STUB: usize = 64;
/// Longest [`Site::code_length`], in bytes.
pub const MAX_CODE: usize = 24;

const JMP_LENGTH: usize = 5;
const LEA_LENGTH: usize = 7;
const ENTRY_JMP_LENGTH: usize = 8;
const SYSCALL: [u8; 2] = [0x0f, 0x05];
const INT3: u8 = 0xcc;

/// What can be done about a `syscall` instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SiteKind {
    /// Nothing: it must trap.
    Trap = 0,
    /// What stands before it is overwritten; it stays intact.
    Intact = 1,
    /// It is overwritten, with its neighbours.
    Covered = 2,
}

/// One `syscall` instruction and the bytes that its patch overwrites. Checked: the lengths always make sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    offset: u32,
    kind: SiteKind,
    before: u8,
    length: u8,
}

/// Why no patch or stub was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The site is of kind [`SiteKind::Trap`].
    NotPatchable,
    /// The bytes given are fewer than [`Site::code_length`], or have no `syscall` where the site says.
    WrongCode,
    /// Stub and patch are more than 2 GiB apart, or an address wraps around.
    TooFar,
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPatchable => "the site cannot be patched",
            Self::WrongCode => "the code is not what the site describes",
            Self::TooFar => "stub and patch are more than 2 GiB apart",
        })
    }
}

impl core::error::Error for PatchError {}

impl Site {
    /// An unpatchable `syscall` at `offset`.
    #[cfg(feature = "std")]
    pub(crate) const fn trap(offset: u32) -> Self {
        Self { offset, kind: SiteKind::Trap, before: 0, length: 0 }
    }

    /// A run of `before` bytes at `offset`, at whose end an intact `syscall` stands.
    pub(crate) fn intact(offset: u32, before: u8) -> Option<Self> {
        Self { offset, kind: SiteKind::Intact, before, length: before }.checked()
    }

    /// A run of `length` bytes at `offset` with the `syscall` `before` bytes into it.
    pub(crate) fn covered(offset: u32, before: u8, length: u8) -> Option<Self> {
        Self { offset, kind: SiteKind::Covered, before, length }.checked()
    }

    /// The same site, `distance` bytes further on.
    #[cfg(feature = "std")]
    pub(crate) fn moved(self, distance: u32) -> Option<Self> {
        Self { offset: self.offset.checked_add(distance)?, ..self }.checked()
    }

    fn checked(self) -> Option<Self> {
        let (before, length) = (usize::from(self.before), usize::from(self.length));
        let sensible = match self.kind {
            SiteKind::Trap => before == 0 && length == 0,
            SiteKind::Intact => length >= JMP_LENGTH && length == before,
            SiteKind::Covered => length >= JMP_LENGTH && before + SYSCALL.len() <= length,
        };
        let in_file = self.offset.checked_add(MAX_CODE as u32).is_some();
        (sensible && in_file && self.code_length() <= MAX_CODE).then_some(self)
    }

    /// From its 8 bytes in the index.
    pub(crate) fn decode(record: &[u8; 8]) -> Option<Self> {
        let [o0, o1, o2, o3, kind, before, length, reserved] = *record;
        let kind = match kind {
            0 => SiteKind::Trap,
            1 => SiteKind::Intact,
            2 => SiteKind::Covered,
            _ => return None,
        };
        let site = Self { offset: u32::from_le_bytes([o0, o1, o2, o3]), kind, before, length };
        if reserved == 0 { site.checked() } else { None }
    }

    /// Its 8 bytes in the index.
    #[cfg(feature = "std")]
    pub(crate) fn encode(&self) -> [u8; 8] {
        let [o0, o1, o2, o3] = self.offset.to_le_bytes();
        [o0, o1, o2, o3, self.kind as u8, self.before, self.length, 0]
    }

    /// File offset of the first byte that the patch overwrites; of the `syscall` itself for [`SiteKind::Trap`].
    /// (For sites found at run time: offset from the start of the code searched.)
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// What can be done about it.
    pub fn kind(&self) -> SiteKind {
        self.kind
    }

    /// Where the `syscall` instruction begins, counted as [`Site::offset`] is.
    pub fn syscall_offset(&self) -> u32 {
        self.offset + u32::from(self.before)
    }

    /// Number of bytes that the patch overwrites.
    pub fn patch_length(&self) -> usize {
        self.length.into()
    }

    /// Number of bytes from [`Site::offset`] on that [`encode_stub`] wants to see: the patch, and the `syscall`.
    pub fn code_length(&self) -> usize {
        match self.kind {
            SiteKind::Covered => self.length.into(),
            _ => usize::from(self.before) + SYSCALL.len(),
        }
    }

    /// Length of the stub, in bytes.
    pub fn stub_length(&self) -> usize {
        match self.kind {
            SiteKind::Trap => 0,
            SiteKind::Intact => self.next_in_stub(),
            SiteKind::Covered => {
                self.next_in_stub() + usize::from(self.length) - usize::from(self.before) - SYSCALL.len()
                    + JMP_LENGTH
            }
        }
    }

    /// Where in the stub execution goes on after the call (kind `Covered`).
    fn next_in_stub(&self) -> usize {
        usize::from(self.before) + LEA_LENGTH + ENTRY_JMP_LENGTH
    }

    /// Which byte of the original code (counted from [`Site::offset`]) a program counter `stub_offset` bytes into the
    /// stub stands for: what a signal frame has to show. `None` where no instruction of the stub begins.
    pub fn code_offset(&self, stub_offset: usize) -> Option<usize> {
        let (before, next) = (usize::from(self.before), self.next_in_stub());
        if self.kind == SiteKind::Trap || stub_offset >= self.stub_length() {
            None
        } else if stub_offset <= before {
            Some(stub_offset)
        } else if stub_offset == before + LEA_LENGTH {
            Some(before) // rcx is set already, but the call that is still to come sets it anyway
        } else if stub_offset >= next
            && stub_offset - next <= usize::from(self.length) - before - SYSCALL.len()
        {
            Some(stub_offset - next + before + SYSCALL.len())
        } else {
            None
        }
    }

    /// The reverse of [`Site::code_offset`]: where in the stub a program counter that points into the overwritten bytes
    /// (past the first, which holds the jump) has to go on. `None` where the code itself can run.
    pub fn stub_offset(&self, code_offset: usize) -> Option<usize> {
        let (before, after) = (usize::from(self.before), usize::from(self.before) + SYSCALL.len());
        if code_offset == 0 || code_offset >= self.length.into() {
            None
        } else if code_offset <= before {
            Some(code_offset)
        } else {
            (code_offset >= after).then(|| self.next_in_stub() + code_offset - after)
        }
    }
}

/// Writes the stub of `site` for a copy of the code at `patch_address`; returns its length. `code` is the original code
/// from [`Site::offset`] on, at least [`Site::code_length`] bytes.
pub fn encode_stub(
    site: &Site,
    code: &[u8],
    patch_address: u64,
    stub_address: u64,
    out: &mut [u8; MAX_STUB],
) -> Result<usize, PatchError> {
    if site.kind == SiteKind::Trap {
        return Err(PatchError::NotPatchable);
    }
    let before = usize::from(site.before);
    let code = code.get(..site.code_length()).ok_or(PatchError::WrongCode)?;
    let (head, rest) = code.split_at(before);
    let tail = rest.strip_prefix(&SYSCALL).ok_or(PatchError::WrongCode)?;

    let lea_end = before + LEA_LENGTH;
    let after_patch = add(patch_address, code.len())?;
    let return_address = match site.kind {
        SiteKind::Covered => add(stub_address, site.next_in_stub())?,
        _ => after_patch,
    };
    let mut writer = Writer { out, length: 0 };
    writer.put(head);
    writer.put(&[0x48, 0x8d, 0x0d]); // lea rcx, [rip + disp32]
    writer.put(&displacement(add(stub_address, lea_end)?, return_address)?);
    writer.put(&[0x65, 0xff, 0x24, 0x25]); // jmp qword ptr gs:[disp32]
    writer.put(&SYSCALL_ENTRY_GS_OFFSET.to_le_bytes());
    if site.kind == SiteKind::Covered {
        writer.put(tail);
        let end = add(stub_address, writer.length + JMP_LENGTH)?;
        writer.put(&[0xe9]); // jmp rel32
        writer.put(&displacement(end, after_patch)?);
    }
    Ok(writer.length)
}

/// Writes the bytes that replace the code at `patch_address`: a jump to the stub, then `int3` up to the end of the
/// overwritten instructions. Returns their number, [`Site::patch_length`].
pub fn encode_patch(
    site: &Site,
    patch_address: u64,
    stub_address: u64,
    out: &mut [u8; MAX_CODE],
) -> Result<usize, PatchError> {
    if site.kind == SiteKind::Trap {
        return Err(PatchError::NotPatchable);
    }
    let length = site.patch_length();
    out[0] = 0xe9; // jmp rel32
    out[1..JMP_LENGTH].copy_from_slice(&displacement(add(patch_address, JMP_LENGTH)?, stub_address)?);
    out[JMP_LENGTH..length].fill(INT3);
    Ok(length)
}

struct Writer<'a> {
    out: &'a mut [u8; MAX_STUB],
    length: usize,
}

impl Writer<'_> {
    /// Everything fits: the longest stub has MAX_CODE + 20 bytes (asserted below).
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

const _: () = assert!(MAX_CODE + LEA_LENGTH + ENTRY_JMP_LENGTH + JMP_LENGTH <= MAX_STUB);

fn add(address: u64, length: usize) -> Result<u64, PatchError> {
    address.checked_add(length as u64).ok_or(PatchError::TooFar)
}

/// The rel32 that leads from the end of an instruction to `target`.
fn displacement(end_of_instruction: u64, target: u64) -> Result<[u8; 4], PatchError> {
    let distance = i128::from(target) - i128::from(end_of_instruction);
    i32::try_from(distance).map(i32::to_le_bytes).map_err(|_| PatchError::TooFar)
}
