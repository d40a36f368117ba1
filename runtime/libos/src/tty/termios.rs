//! [`Termios`]: how a terminal behaves, as struct termios says it (termios(3); asm-generic/termbits.h).

use linux_raw_sys::general as raw;

/// Special characters (c_cc).
const CHARACTERS: usize = 19;
/// sizeof(struct termios) and struct termios2 as the kernel's calls have them.
pub const SIZE: usize = 36;
/// With the two speeds.
pub const SIZE_WITH_SPEEDS: usize = 44;

/// A terminal's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    /// c_iflag.
    pub input: u32,
    /// c_oflag.
    pub output: u32,
    /// c_cflag.
    pub control: u32,
    /// c_lflag.
    pub local: u32,
    line: u8,
    characters: [u8; CHARACTERS],
    speeds: [u32; 2],
}

impl Default for Termios {
    /// tty_std_termios (drivers/tty/tty_io.c).
    fn default() -> Termios {
        let mut characters = [0; CHARACTERS];
        for (index, value) in [
            (raw::VINTR, 0o003),
            (raw::VQUIT, 0o034),
            (raw::VERASE, 0o177),
            (raw::VKILL, 0o025),
            (raw::VEOF, 0o004),
            (raw::VMIN, 1),
            (raw::VSTART, 0o021),
            (raw::VSTOP, 0o023),
            (raw::VSUSP, 0o032),
            (raw::VREPRINT, 0o022),
            (raw::VDISCARD, 0o017),
            (raw::VWERASE, 0o027),
            (raw::VLNEXT, 0o026),
        ] {
            characters[index as usize] = value;
        }
        Termios {
            input: raw::ICRNL | raw::IXON,
            output: raw::OPOST | raw::ONLCR,
            control: raw::B38400 | raw::CS8 | raw::CREAD,
            local: raw::ISIG
                | raw::ICANON
                | raw::ECHO
                | raw::ECHOE
                | raw::ECHOK
                | raw::ECHOCTL
                | raw::ECHOKE
                | raw::IEXTEN,
            line: 0,
            characters,
            speeds: [38_400; 2],
        }
    }
}

impl Termios {
    /// Whether a flag of c_lflag is set.
    pub fn has(&self, local: u32) -> bool {
        self.local & local != 0
    }

    /// Whether `byte` is this special character; 0 stands for none.
    pub fn is(&self, character: u32, byte: u8) -> bool {
        byte != 0 && self.character(character) == byte
    }

    /// A special character.
    pub fn character(&self, character: u32) -> u8 {
        self.characters[character as usize % CHARACTERS]
    }

    /// As struct termios2, of which struct termios is the beginning.
    pub fn to_bytes(self) -> [u8; SIZE_WITH_SPEEDS] {
        let mut bytes = [0; SIZE_WITH_SPEEDS];
        for (index, word) in [self.input, self.output, self.control, self.local].iter().enumerate() {
            bytes[index * 4..index * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16] = self.line;
        bytes[17..SIZE].copy_from_slice(&self.characters);
        for (index, speed) in self.speeds.iter().enumerate() {
            bytes[SIZE + index * 4..SIZE + index * 4 + 4].copy_from_slice(&speed.to_le_bytes());
        }
        bytes
    }

    /// Takes over what a program sets. A pseudo-terminal has eight bits, receives, and no parity, whatever is asked
    /// (drivers/tty/pty.c, pty_set_termios).
    pub fn update(&mut self, bytes: &[u8; SIZE_WITH_SPEEDS], with_speeds: bool) {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        self.input = word(0);
        self.output = word(4);
        self.control = word(8) & !(raw::CSIZE | raw::PARENB) | raw::CS8 | raw::CREAD;
        self.local = word(12);
        self.line = bytes[16];
        self.characters.copy_from_slice(&bytes[17..SIZE]);
        if with_speeds {
            self.speeds = [word(SIZE), word(SIZE + 4)];
        }
    }
}
