//! When a worker is stopped for want of contact, and the file that says so.

use std::time::Duration;

/// A moment that never comes: the largest that three languages agree on.
pub const NEVER: Duration = Duration::from_nanos(LARGEST);

/// Bytes of [`Deadlines::to_text`].
pub const TEXT_LENGTH: usize = 3 * (DIGITS + 1);

const LARGEST: u64 = i64::MAX as u64;
const DIGITS: usize = 19;

/// Longest time that a worker is given to come to rest (design §9).
const FREEZING: Duration = Duration::from_secs(5);

/// How long a worker may run without contact, and what becomes of it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Counted from the sending of the last heartbeat that was answered. At its end somebody else may act.
    pub length: Duration,
    /// What happens shortly before the end.
    pub at_end: AtEnd,
}

/// What happens to a worker shortly before the end of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// It is frozen, to be thawed if it is still wanted when there is contact again: a driver.
    Freeze,
    /// It is killed: an executor, which its driver replaces anyway.
    Kill,
}

/// When the keeper acts, unless the moments are moved on before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Freezing begins; [`NEVER`] for a worker that is killed instead.
    pub freeze_at: Duration,
    /// What is not frozen is killed.
    pub kill_at: Duration,
}

impl Lease {
    /// The deadlines of a lease counted from `from`: freezing at two thirds, killing 5 s later, or at five sixths of a
    /// lease too short for that. So the last sixth is there for a host that is slow to do either.
    pub fn deadlines(&self, from: Duration) -> Deadlines {
        let freeze_at = moment(from + self.length * 2 / 3);
        let kill_at = moment(freeze_at + FREEZING.min(self.length / 6));
        match self.at_end {
            AtEnd::Freeze => Deadlines { freeze_at, kill_at },
            AtEnd::Kill => Deadlines { freeze_at: NEVER, kill_at },
        }
    }
}

impl Deadlines {
    /// When the keeper has to do something for the first time.
    pub fn first(&self) -> Duration {
        self.freeze_at.min(self.kill_at)
    }

    /// Whichever moments come first.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self { freeze_at: self.freeze_at.min(other.freeze_at), kill_at: self.kill_at.min(other.kill_at) }
    }

    /// Whichever moments come last.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self { freeze_at: self.freeze_at.max(other.freeze_at), kill_at: self.kill_at.max(other.kill_at) }
    }

    /// The content of a lease file: `freeze_at` and `kill_at` in nanoseconds and the two combined by exclusive or, each
    /// of 19 digits. Always of the same length, so that it is overwritten in place, which a full disk does not prevent;
    /// the third number tells a reader that it read in the middle of that.
    pub fn to_text(&self) -> String {
        let (freeze_at, kill_at) = (nanoseconds(self.freeze_at), nanoseconds(self.kill_at));
        format!("{freeze_at:0DIGITS$} {kill_at:0DIGITS$} {:0DIGITS$}\n", freeze_at ^ kill_at)
    }

    /// Reads the content of a lease file; `None` for what [`Deadlines::to_text`] did not write, or not to the end.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_suffix('\n')?.split(' ').map(|word| {
            let is_number = word.len() == DIGITS && word.bytes().all(|byte| byte.is_ascii_digit());
            word.parse().ok().filter(|&number: &u64| is_number && number <= LARGEST)
        });
        let (freeze_at, kill_at, check) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let is_whole = freeze_at ^ kill_at == check && numbers.next().is_none();
        is_whole.then_some(Self {
            freeze_at: Duration::from_nanos(freeze_at),
            kill_at: Duration::from_nanos(kill_at),
        })
    }
}

/// Nothing is later than [`NEVER`].
fn moment(time: Duration) -> Duration {
    time.min(NEVER)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(LARGEST, |nanoseconds| nanoseconds.min(LARGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_driver_is_frozen_at_two_thirds_and_killed_five_seconds_later() {
        for (length, freeze_after, kill_after) in [(30, 20, 25), (600, 400, 405), (6, 4, 5)] {
            let lease = Lease { length: SECOND * length, at_end: AtEnd::Freeze };
            let expected =
                Deadlines { freeze_at: SECOND * (100 + freeze_after), kill_at: SECOND * (100 + kill_after) };
            assert_eq!(lease.deadlines(SECOND * 100), expected);
            let killed = Lease { at_end: AtEnd::Kill, ..lease };
            assert_eq!(killed.deadlines(SECOND * 100), Deadlines { freeze_at: NEVER, ..expected });
        }
    }

    #[test]
    fn a_lease_longer_than_time_never_ends() {
        let lease = Lease { length: Duration::from_secs(1 << 40), at_end: AtEnd::Freeze };
        assert_eq!(lease.deadlines(SECOND), Deadlines { freeze_at: NEVER, kill_at: NEVER });
    }

    #[test]
    fn a_file_that_was_not_written_to_the_end_is_not_believed() {
        let first = Deadlines { freeze_at: SECOND, kill_at: SECOND * 2 };
        let second = Deadlines { freeze_at: SECOND * 31, kill_at: SECOND * 42 };
        let (first, second) = (first.to_text(), second.to_text());
        for cut in 1..TEXT_LENGTH {
            let torn = format!("{}{}", &second[..cut], &first[cut..]);
            let is_either = torn == first || torn == second;
            assert_eq!(Deadlines::parse(&torn).is_some(), is_either, "{torn}");
            assert_eq!(Deadlines::parse(&first[..cut]), None);
        }
        for bad in ["", "\n", "0 0 0\n", &format!("{}x", first), &format!("+{}", &first[1..])] {
            assert_eq!(Deadlines::parse(bad), None, "{bad}");
        }
    }
}
