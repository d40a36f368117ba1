//! The kernel's signal frame on x86-64 (arch/x86/include/uapi/asm/sigcontext.h, ucontext.h; asm-generic/siginfo.h).

use core::mem::offset_of;

use casemate_abi::ExceptionFrame;

/// Head of `siginfo_t`, and what SIGSYS adds.
#[repr(C)]
pub struct SignalInfo {
    /// Signal number.
    pub signal: i32,
    /// An errno; seccomp's data for SIGSYS.
    pub errno: i32,
    /// SI_* or the signal's own codes: positive from the kernel, else sent by a process.
    pub code: i32,
}

/// `struct ucontext` with `struct sigcontext` inside.
#[repr(C)]
#[allow(missing_docs)]
pub struct Context {
    pub flags: u64,
    pub link: u64,
    pub stack: [u64; 3],
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub rflags: u64,
    pub selectors: u64,
    pub error_code: u64,
    pub trap_number: u64,
    pub old_mask: u64,
    pub fault_address: u64,
    pub extended: u64,
}

/// Where in the legacy region the kernel notes how large the whole state is (`struct _fpx_sw_bytes`), and its magic number.
const SIZE_NOTE: usize = 464;
const SIZE_MAGIC: u32 = 0x4650_5853;
/// Bytes of the state without any note: FXSAVE.
const LEGACY_SIZE: usize = 512;

/// Code and stack selector of 64-bit programs (__USER_CS, __USER_DS in arch/x86/include/asm/segment.h).
const CODE: u64 = 0x33;
const STACK: u64 = 0x2b;

impl Context {
    /// Whether the processor was in 32-bit code, into which a program can jump, but an enclave cannot.
    pub fn is_foreign(&self) -> bool {
        self.selectors & 0xffff != CODE
    }

    /// Makes it go on in 64-bit code; the selector that it had, as in an error code. Linux's order: cs, gs, fs, ss.
    pub fn use_own_selectors(&mut self) -> u64 {
        let before = self.selectors & 0xfffc;
        self.selectors = self.selectors & 0x0000_ffff_ffff_0000 | CODE | STACK << 48;
        before
    }

    /// The extended state as XSAVE wrote it.
    ///
    /// # Safety
    /// The frame is the kernel's, of a signal under way.
    pub unsafe fn extended_state(&mut self) -> &'static mut [u8] {
        let start = self.extended as *mut u8;
        if start.is_null() {
            return &mut [];
        }
        // SAFETY: the caller vouches for the frame, in which the kernel notes the size.
        unsafe {
            let note = start.add(SIZE_NOTE).cast::<u32>();
            let noted = note.read_unaligned() == SIZE_MAGIC;
            // magic1, extended_size, xfeatures (u64), xstate_size.
            let size = if noted { note.add(4).read_unaligned() as usize } else { LEGACY_SIZE };
            core::slice::from_raw_parts_mut(start, size)
        }
    }
}

const _: () = assert!(offset_of!(Context, r8) == 40);
const _: () = assert!(offset_of!(Context, rip) == 40 + 16 * 8);
const _: () = assert!(offset_of!(Context, fault_address) == 40 + 22 * 8);

macro_rules! registers {
    ($($name:ident)*) => {
        impl Context {
            /// The registers as the enclave gets them; vector, error, address and signal are 0.
            pub fn to_frame(&self) -> ExceptionFrame {
                ExceptionFrame { $($name: self.$name,)* ..ExceptionFrame::default() }
            }

            /// Takes the edited registers over.
            pub fn take_from(&mut self, frame: &ExceptionFrame) {
                $(self.$name = frame.$name;)*
            }
        }
    };
}

registers!(rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags);

/// What a signal means for the interrupted thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The processor could not go on.
    Fault,
    /// A system call outside the loader's code.
    TrappedCall,
    /// A system call that the container's seccomp profile refuses by a trap.
    RefusedCall,
    /// Another thread wants this one's attention.
    Kick,
    /// Sent from outside.
    Asynchronous,
}

/// Signal by which threads of this process wake each other. SIGSTKFLT has had no other use since Linux 2.4. Not a real-time
/// signal: those queue up, and sending one fails when the user's queue is full.
pub const KICK: i32 = linux_raw_sys::general::SIGSTKFLT as i32;

const SYS_SECCOMP: i32 = 1;
const SYS_USER_DISPATCH: i32 = linux_raw_sys::general::SYS_USER_DISPATCH as i32;

/// Signals that the processor raises.
pub const FAULTS: [i32; 5] = {
    use linux_raw_sys::general::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    [SIGILL as i32, SIGTRAP as i32, SIGBUS as i32, SIGFPE as i32, SIGSEGV as i32]
};

/// Tells events apart by signal number and `si_code`.
pub fn classify(signal: i32, code: i32) -> Event {
    use linux_raw_sys::general::SIGSYS;
    match (signal, code) {
        (KICK, _) => Event::Kick,
        (signal, SYS_USER_DISPATCH) if signal == SIGSYS as i32 => Event::TrappedCall,
        (signal, SYS_SECCOMP) if signal == SIGSYS as i32 => Event::RefusedCall,
        (signal, 1..) if FAULTS.contains(&signal) => Event::Fault,
        _ => Event::Asynchronous,
    }
}

/// What the loader does with a signal from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The kernel's default: job control works as for any program.
    Default,
    /// Ignored.
    Ignore,
    /// The loader's handler, whatever was set before.
    Handle,
    /// The loader's handler, unless the parent had the signal ignored (nohup, background jobs).
    HandleUnlessIgnored,
}

/// The disposition of a signal, 1 to 64.
pub fn disposition(signal: i32) -> Disposition {
    use linux_raw_sys::general::*;
    match signal as u32 {
        SIGKILL | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGCONT => Disposition::Default,
        // SIGCHLD keeps its default, which ignores it but leaves nothing to reap automatically.
        SIGCHLD | SIGURG => Disposition::Default,
        SIGPIPE | SIGXFSZ => Disposition::Ignore,
        SIGSYS => Disposition::Handle,
        // The enclave takes neither from the host, and dropping them here would make a program deaf that they should end.
        SIGABRT | 32..=64 => Disposition::Default,
        _ if signal == KICK || FAULTS.contains(&signal) => Disposition::Handle,
        _ => Disposition::HandleUnlessIgnored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_from_the_same_signals_sent_by_a_process() {
        const SI_USER: i32 = 0;
        const SI_TKILL: i32 = -6;
        const SI_KERNEL: i32 = 0x80;
        for signal in FAULTS {
            assert_eq!(classify(signal, 1), Event::Fault);
            assert_eq!(classify(signal, SI_KERNEL), Event::Fault);
            assert_eq!(classify(signal, SI_USER), Event::Asynchronous);
            assert_eq!(classify(signal, SI_TKILL), Event::Asynchronous);
        }
        assert_eq!(classify(31, 2), Event::TrappedCall);
        assert_eq!(classify(31, 1), Event::RefusedCall);
        assert_eq!(classify(31, SI_USER), Event::Asynchronous);
        assert_eq!(classify(16, SI_TKILL), Event::Kick);
        assert_eq!(classify(15, SI_USER), Event::Asynchronous);
    }

    #[test]
    fn stop_signals_stay_the_kernels_and_every_other_signal_has_an_owner() {
        for signal in [6, 9, 17, 18, 19, 20, 21, 22, 23, 32, 34, 64] {
            assert_eq!(disposition(signal), Disposition::Default, "{signal}");
        }
        for signal in [13, 25] {
            assert_eq!(disposition(signal), Disposition::Ignore, "{signal}");
        }
        for signal in [4, 5, 7, 8, 11, 16, 31] {
            assert_eq!(disposition(signal), Disposition::Handle, "{signal}");
        }
        for signal in [1, 2, 3, 10, 12, 14, 15, 24, 26, 27, 28, 29, 30] {
            assert_eq!(disposition(signal), Disposition::HandleUnlessIgnored, "{signal}");
        }
    }

    #[test]
    fn code_of_another_kind_is_seen_and_left() {
        // SAFETY: the structure holds integers only.
        let mut context: Context = unsafe { core::mem::zeroed() };
        context.selectors = 0x002b_0001_0002_0033;
        assert!(!context.is_foreign());
        context.selectors = 0x007b_0001_0002_0023;
        assert!(context.is_foreign());
        assert_eq!(context.use_own_selectors(), 0x20);
        assert_eq!(context.selectors, 0x002b_0001_0002_0033);
    }

    #[test]
    fn registers_go_to_the_frame_and_back() {
        // SAFETY: the structure holds integers only.
        let mut context: Context = unsafe { core::mem::zeroed() };
        (context.rax, context.r15, context.rip, context.rflags) = (1, 2, 3, 0x246);
        let mut frame = context.to_frame();
        assert_eq!((frame.rax, frame.r15, frame.rip, frame.rflags, frame.vector), (1, 2, 3, 0x246, 0));
        (frame.rsp, frame.rip) = (7, 9);
        context.take_from(&frame);
        assert_eq!((context.rsp, context.rip, context.rax), (7, 9, 1));
    }
}
