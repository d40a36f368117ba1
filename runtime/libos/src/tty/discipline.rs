//! [`Discipline`]: what happens to bytes between a terminal's keyboard and the program (N_TTY): lines and their editing, echo,
//! signals, the treatment of output. It knows nothing of files and sleeping.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use linux_raw_sys::general as raw;

use super::termios::Termios;
use crate::signal::Signal;

/// Longest line in canonical mode, with its end (N_TTY_BUF_SIZE).
const LINE_LIMIT: usize = 4096;
/// Bytes that wait to be read by either side before writers have to wait.
pub const QUEUE_LIMIT: usize = 65_536;

/// What a byte of input is in canonical mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// The last of its line.
    Last,
    /// No byte at all: the line ends here (EOF).
    End,
}

/// The line discipline of one terminal.
#[derive(Default)]
pub struct Discipline {
    termios: Termios,
    input: VecDeque<(u8, Kind)>,
    /// How many at the end of the input are of a line that is not complete.
    unfinished: usize,
    /// For the other side: the program's output, and echo.
    output: VecDeque<u8>,
    /// Where the cursor is, and where it was when the line began.
    column: usize,
    line_column: usize,
    /// The next byte is taken as it is (LNEXT).
    literal: bool,
    /// Output is stopped (STOP).
    stopped: bool,
}

impl Discipline {
    /// The settings.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. What was typed so far stays readable.
    pub fn set_termios(&mut self, new: Termios) {
        let was_canonical = self.termios.has(raw::ICANON);
        self.termios = new;
        if new.has(raw::ICANON) != was_canonical {
            if was_canonical {
                self.input.retain(|&(_, kind)| kind != Kind::End);
            } else if let Some(last) = self.input.back_mut() {
                // What is there makes a line of its own.
                last.1 = Kind::Last;
            }
            self.unfinished = 0;
        }
        if new.input & raw::IXON == 0 {
            self.stopped = false;
        }
    }

    /// Whether the program's output waits for START.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// TCOOFF and TCOON.
    pub fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// A byte for the other side, whatever c_oflag says (TCIOFF and TCION).
    pub fn send_raw(&mut self, byte: u8) {
        if byte != 0 {
            self.output.push_back(byte);
        }
    }

    /// Whether the program may write.
    pub fn has_room(&self) -> bool {
        self.output.len() < QUEUE_LIMIT
    }

    /// Bytes that the other side can read.
    pub fn waiting_output(&self) -> usize {
        self.output.len()
    }

    /// Takes bytes for the other side.
    pub fn take_output(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.output.len());
        self.output.drain(..count).collect()
    }

    /// Forgets what was typed, what was written, or both.
    pub fn flush(&mut self, input: bool, output: bool) {
        if input {
            self.input.clear();
            self.unfinished = 0;
        }
        if output {
            self.output.clear();
        }
    }

    /// Whether more may be typed.
    pub fn takes_input(&self) -> bool {
        self.input.len() < QUEUE_LIMIT
    }

    /// Bytes that a read could take now.
    pub fn readable(&self) -> usize {
        let complete = self.input.iter().take(self.input.len() - self.unfinished);
        complete.filter(|(_, kind)| *kind != Kind::End).count()
    }

    /// Whether a read finds something, if only the end.
    pub fn has_line(&self) -> bool {
        self.input.len() > self.unfinished
    }

    /// Takes at most `most` bytes of what was typed: in canonical mode of one line. Check [`Self::has_line`] first.
    pub fn take_input(&mut self, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while self.has_line() {
            let Some(&(byte, kind)) = self.input.front() else { break };
            if kind == Kind::End {
                // An end right behind the last byte that there was room for belongs to that read.
                self.input.pop_front();
                break;
            }
            if taken.len() == most {
                break;
            }
            self.input.pop_front();
            taken.push(byte);
            if kind == Kind::Last && self.termios.has(raw::ICANON) {
                break;
            }
        }
        taken
    }

    /// The program writes; returns how many bytes were taken.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            if self.stopped || self.output.len() >= QUEUE_LIMIT {
                return index;
            }
            self.put(byte);
        }
        bytes.len()
    }

    /// A byte of output, treated as c_oflag says.
    fn put(&mut self, byte: u8) {
        let flags = self.termios.output;
        let on = |flag: u32| flags & flag != 0;
        if !on(raw::OPOST) {
            self.output.push_back(byte);
            return;
        }
        match byte {
            b'\n' => {
                if on(raw::ONLRET) {
                    self.column = 0;
                }
                if on(raw::ONLCR) {
                    self.column = 0;
                    self.output.push_back(b'\r');
                }
                self.line_column = self.column;
                self.output.push_back(b'\n');
            }
            b'\r' if on(raw::ONOCR) && self.column == 0 => {}
            b'\r' if on(raw::OCRNL) => {
                if on(raw::ONLRET) {
                    (self.column, self.line_column) = (0, 0);
                }
                self.output.push_back(b'\n');
            }
            b'\r' => {
                (self.column, self.line_column) = (0, 0);
                self.output.push_back(b'\r');
            }
            b'\t' => {
                let spaces = 8 - self.column % 8;
                self.column += spaces;
                if flags & raw::TABDLY == raw::XTABS {
                    self.output.extend(core::iter::repeat_n(b' ', spaces));
                } else {
                    self.output.push_back(b'\t');
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                self.output.push_back(byte);
            }
            _ => {
                let byte = if on(raw::OLCUC) { byte.to_ascii_uppercase() } else { byte };
                if !byte.is_ascii_control() && !self.is_continuation(byte) {
                    self.column += 1;
                }
                self.output.push_back(byte);
            }
        }
    }

    /// Whether it goes on a character that began before (UTF-8).
    fn is_continuation(&self, byte: u8) -> bool {
        self.termios.input & raw::IUTF8 != 0 && byte & 0xc0 == 0x80
    }

    /// Bytes are typed; signals that they raise are added to `signals`. Returns how many were taken.
    pub fn type_in(&mut self, bytes: &[u8], signals: &mut Vec<Signal>) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            if !self.takes_input() {
                return index;
            }
            self.type_byte(byte, signals);
        }
        bytes.len()
    }

    fn type_byte(&mut self, byte: u8, signals: &mut Vec<Signal>) {
        let flags = self.termios.input;
        let mut byte = if flags & raw::ISTRIP != 0 { byte & 0x7f } else { byte };
        if flags & raw::IUCLC != 0 && self.termios.has(raw::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            self.echo(byte);
            self.add(byte, Kind::Plain);
            return;
        }
        if self.controls_flow(byte) {
            return;
        }
        if let Some(signal) = self.signal_of(byte) {
            if !self.termios.has(raw::NOFLSH) {
                self.flush(true, true);
            }
            self.stopped = false;
            self.echo(byte);
            signals.push(signal);
            return;
        }
        if self.stopped && flags & raw::IXON != 0 && flags & raw::IXANY != 0 {
            self.stopped = false;
        }
        match byte {
            b'\r' if flags & raw::IGNCR != 0 => return,
            b'\r' if flags & raw::ICRNL != 0 => byte = b'\n',
            b'\n' if flags & raw::INLCR != 0 => byte = b'\r',
            _ => {}
        }
        if self.termios.has(raw::ICANON) {
            self.type_into_line(byte);
        } else {
            self.echo(byte);
            self.add(byte, Kind::Plain);
        }
    }

    fn controls_flow(&mut self, byte: u8) -> bool {
        if self.termios.input & raw::IXON == 0 {
            return false;
        }
        if self.termios.is(raw::VSTART, byte) {
            self.stopped = false;
            return true;
        }
        let stops = self.termios.is(raw::VSTOP, byte);
        self.stopped |= stops;
        stops
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        if !self.termios.has(raw::ISIG) {
            return None;
        }
        let of = [(raw::VINTR, Signal::INT), (raw::VQUIT, Signal::QUIT), (raw::VSUSP, Signal::TSTP)];
        of.into_iter().find(|(character, _)| self.termios.is(*character, byte)).map(|(_, signal)| signal)
    }

    fn type_into_line(&mut self, byte: u8) {
        let is = |character| self.termios.is(character, byte);
        let extended = self.termios.has(raw::IEXTEN);
        if is(raw::VERASE) || is(raw::VKILL) || is(raw::VWERASE) && extended {
            self.erase(byte);
        } else if is(raw::VLNEXT) && extended {
            self.literal = true;
            if self.termios.has(raw::ECHO) && self.termios.has(raw::ECHOCTL) {
                self.output.extend([b'^', 0x08]);
            }
        } else if is(raw::VREPRINT) && extended && self.termios.has(raw::ECHO) {
            self.reprint(byte);
        } else if byte == b'\n' {
            if self.termios.has(raw::ECHO) || self.termios.has(raw::ECHONL) {
                self.put(b'\n');
            }
            self.add(byte, Kind::Last);
        } else if is(raw::VEOF) {
            self.add(byte, Kind::End);
        } else if is(raw::VEOL) || is(raw::VEOL2) && extended {
            self.echo(byte);
            self.add(byte, Kind::Last);
        } else {
            self.echo(byte);
            self.add(byte, Kind::Plain);
        }
    }

    /// Adds to the input. A line that is too long loses its last byte to the new one.
    fn add(&mut self, byte: u8, kind: Kind) {
        if !self.termios.has(raw::ICANON) {
            self.input.push_back((byte, Kind::Plain));
            return;
        }
        if self.unfinished >= LINE_LIMIT {
            self.input.pop_back();
            self.unfinished -= 1;
        }
        self.input.push_back((byte, kind));
        self.unfinished = if kind == Kind::Plain { self.unfinished + 1 } else { 0 };
    }

    fn shows_as_control(&self, byte: u8) -> bool {
        self.termios.has(raw::ECHOCTL) && byte.is_ascii_control() && byte != b'\t'
    }

    fn echo(&mut self, byte: u8) {
        if self.termios.has(raw::ECHO) {
            self.show(byte);
        }
    }

    fn show(&mut self, byte: u8) {
        if self.unfinished == 0 {
            self.line_column = self.column;
        }
        if self.shows_as_control(byte) && byte != b'\n' {
            self.output.extend([b'^', byte ^ 0x40]);
            self.column += 2;
        } else {
            self.put(byte);
        }
    }

    /// ERASE, KILL and WERASE.
    fn erase(&mut self, by: u8) {
        let (kill, word) = (self.termios.is(raw::VKILL, by), self.termios.is(raw::VWERASE, by));
        if self.unfinished == 0 {
            return;
        }
        let shows = self.termios.has(raw::ECHO);
        if kill
            && !(self.termios.has(raw::ECHOK)
                && self.termios.has(raw::ECHOKE)
                && self.termios.has(raw::ECHOE))
        {
            self.input.truncate(self.input.len() - self.unfinished);
            self.unfinished = 0;
            if shows {
                self.show(by);
                if self.termios.has(raw::ECHOK) {
                    self.put(b'\n');
                }
            }
            return;
        }
        let mut seen_word = false;
        while self.unfinished > 0 {
            let (byte, _) = self.input[self.input.len() - 1];
            if word && !self.is_continuation(byte) {
                let in_word = byte.is_ascii_alphanumeric() || byte == b'_';
                if seen_word && !in_word {
                    break;
                }
                seen_word |= in_word;
            }
            self.erase_character(by, shows, kill || word);
            if !kill && !word {
                break;
            }
        }
    }

    /// Takes the last character back, and from the screen.
    fn erase_character(&mut self, by: u8, shows: bool, several: bool) {
        let mut gone = None;
        while self.unfinished > 0 {
            gone = self.input.pop_back().map(|(byte, _)| byte);
            self.unfinished -= 1;
            if !gone.is_some_and(|byte| self.is_continuation(byte)) {
                break;
            }
        }
        let Some(gone) = gone.filter(|_| shows) else { return };
        if !several && !self.termios.has(raw::ECHOE) {
            self.show(by);
        } else if gone == b'\t' {
            let mut at = self.line_column;
            for &(byte, _) in self.input.iter().skip(self.input.len() - self.unfinished) {
                at += match byte {
                    b'\t' => 8 - at % 8,
                    byte if self.shows_as_control(byte) => 2,
                    byte if byte.is_ascii_control() || self.is_continuation(byte) => 0,
                    _ => 1,
                };
            }
            let back = self.column.saturating_sub(at);
            self.output.extend(core::iter::repeat_n(0x08, back));
            self.column = at;
        } else {
            let width = match gone {
                byte if self.shows_as_control(byte) => 2,
                byte if byte.is_ascii_control() => 0,
                _ => 1,
            };
            for _ in 0..width {
                self.output.extend([0x08, b' ', 0x08]);
                self.column = self.column.saturating_sub(1);
            }
        }
    }

    fn reprint(&mut self, by: u8) {
        self.show(by);
        self.put(b'\n');
        let line: Vec<u8> =
            self.input.iter().skip(self.input.len() - self.unfinished).map(|&(byte, _)| byte).collect();
        for byte in line {
            self.show(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tty::termios::SIZE_WITH_SPEEDS;

    fn typed(discipline: &mut Discipline, text: &[u8]) -> Vec<Signal> {
        let mut signals = Vec::new();
        assert_eq!(discipline.type_in(text, &mut signals), text.len());
        signals
    }

    #[test]
    fn a_line_is_read_when_it_has_ended() {
        let mut discipline = Discipline::default();
        typed(&mut discipline, b"ab");
        assert!(!discipline.has_line());
        typed(&mut discipline, b"\x7fc\rnext");
        assert_eq!(discipline.take_input(100), b"ac\n");
        assert!(!discipline.has_line());
        assert_eq!(discipline.take_output(100), b"ab\x08 \x08c\r\nnext");
    }

    #[test]
    fn a_signal_takes_with_it_what_was_typed() {
        let mut discipline = Discipline::default();
        assert_eq!(typed(&mut discipline, b"lost\x03kept\n"), [Signal::INT]);
        assert_eq!(discipline.take_input(100), b"kept\n");
    }

    #[test]
    fn a_line_without_an_end_stays_bounded() {
        let mut discipline = Discipline::default();
        typed(&mut discipline, &[b'x'; 3 * LINE_LIMIT]);
        typed(&mut discipline, b"\n");
        let line = discipline.take_input(usize::MAX);
        assert_eq!((line.len(), line.last()), (LINE_LIMIT, Some(&b'\n')));
    }

    /// Whatever is typed under whatever settings: counts fit, reads end, no end of a file is lost in counting.
    #[test]
    fn any_settings_and_any_keys_keep_the_counts_right() {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let mut discipline = Discipline::default();
        for _ in 0..20_000 {
            match next() % 8 {
                0 => {
                    let mut bytes = Termios::default().to_bytes();
                    for byte in &mut bytes[..SIZE_WITH_SPEEDS.min(36)] {
                        if next() % 6 == 0 {
                            *byte = next() as u8;
                        }
                    }
                    let mut termios = *discipline.termios();
                    termios.update(&bytes, false);
                    discipline.set_termios(termios);
                }
                1 => drop(discipline.take_input(next() as usize % 50)),
                2 => drop(discipline.take_output(next() as usize % 500)),
                3 => drop(discipline.write(&next().to_le_bytes())),
                _ => drop(discipline.type_in(&next().to_le_bytes(), &mut Vec::new())),
            }
            assert!(discipline.unfinished <= discipline.input.len());
            assert!(discipline.readable() <= discipline.input.len() - discipline.unfinished);
        }
    }
}
