//! Times as signatures write them: `20261122T205951Z`.

use hearth_types::Timestamp;
use time::format_description::{BorrowedFormatItem, well_known::Rfc2822};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const STAMP: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Writes a time, to the second.
pub(super) fn write(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(STAMP)
        .expect("a date and time has every component of a stamp")
}

/// Reads a stamp.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    PrimitiveDateTime::parse(text, STAMP).ok().map(|at| from(at.assume_utc()))
}

/// Reads a `Date` header, in HTTP's form.
pub(super) fn read_http_date(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc2822).ok().map(from)
}

fn from(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_millis(at.unix_timestamp() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_second() {
        let at = read("20261122T205951Z").expect("stamp");
        assert_eq!(write(at), "20261122T205951Z");
        assert_eq!(read_http_date("Sun, 22 Nov 2026 20:59:51 GMT"), Some(at));
        assert_eq!(read("2026-11-22T20:59:51Z"), None);
        assert_eq!(read("20261322T205951Z"), None);
    }
}
