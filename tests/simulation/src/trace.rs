//! What happened: a hash of every event and, on demand, the events themselves as text.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hash::Hasher;

/// FNV-1a over 64-bit words: cheap, and the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceHash(u64);

impl Default for TraceHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl TraceHash {
    /// The hash as it is now.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Takes in one word.
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

impl Hasher for TraceHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.word(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.word(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.word(number as u64);
    }
}

/// The trace of one seed.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) hash: TraceHash,
    pub(crate) events: u64,
    /// The last lines; none are kept unless wanted.
    lines: VecDeque<String>,
    keep: usize,
}

impl Trace {
    /// A trace that keeps its last `keep` lines of text.
    pub(crate) fn keeping(keep: usize) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Whether text is wanted at all.
    pub(crate) const fn is_kept(&self) -> bool {
        self.keep > 0
    }

    /// Notes a line of text at a time in microseconds.
    pub(crate) fn line(&mut self, now: u64, text: impl FnOnce() -> String) {
        if self.keep == 0 {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        let mut line = format!("{:>12.6} ", now as f64 / 1e6);
        let _ = write!(line, "{}", text());
        self.lines.push_back(line);
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
