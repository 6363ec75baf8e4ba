//! Where a page ended, as text that a client carries to the next request.

use hearth_api::emr::control_plane::{ControlError, Page};
use hearth_store::Cursor;
use hearth_types::Timestamp;
use std::ops::RangeInclusive;

/// Reads where the page before ended.
pub(super) fn cursor(page: &Page) -> Result<Option<Cursor>, ControlError> {
    let Some(text) = &page.after else { return Ok(None) };
    text.split_once('|')
        .and_then(|(at, id)| {
            Some(Cursor { created_at: Timestamp::from_millis(at.parse().ok()?), id: id.to_owned() })
        })
        .map(Some)
        .ok_or_else(unreadable)
}

fn unreadable() -> ControlError {
    ControlError::Validation { message: "nextToken is not one that was given out".to_owned() }
}

/// Those of these attempts on one page, the latest first; the page before ended with the attempt that its token names.
pub(super) fn attempts(
    known: RangeInclusive<u32>,
    page: &Page,
) -> Result<(Vec<u32>, Option<String>), ControlError> {
    let (first, latest) = known.into_inner();
    let from = match &page.after {
        None => latest,
        Some(text) => text.parse::<u32>().map_err(|_| unreadable())?.saturating_sub(1).min(latest),
    };
    let shown: Vec<u32> = (first..=from).rev().take(page.limit).collect();
    let next = shown.last().filter(|last| **last > first).map(ToString::to_string);
    Ok((shown, next))
}

/// Cuts a listing that was read with one item too many to tell whether more follow; `key` says where an item stands.
pub(super) fn cut<T>(
    mut items: Vec<T>,
    limit: usize,
    key: impl Fn(&T) -> (Timestamp, String),
) -> (Vec<T>, Option<String>) {
    if items.len() <= limit {
        return (items, None);
    }
    items.truncate(limit);
    let next = items.last().map(key).map(|(at, id)| format!("{}|{id}", at.as_millis()));
    (items, next)
}

/// How many items to read for a page of `limit`.
pub(super) fn one_more(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_paged_from_the_latest_to_the_first() {
        let page = |limit, after: Option<&str>| Page { limit, after: after.map(str::to_owned) };
        let shown_of = |known, limit, after| attempts(known, &page(limit, after)).expect("a page");
        let shown = |latest, limit, after| shown_of(1..=latest, limit, after);
        assert_eq!(shown(3, 50, None), (vec![3, 2, 1], None));
        assert_eq!(shown(3, 2, None), (vec![3, 2], Some("2".to_owned())));
        assert_eq!(shown(4, 2, Some("2")), (vec![1], None), "another attempt began meanwhile");
        assert_eq!(shown(2, 1, Some("1")), (vec![], None));
        assert_eq!(shown(1, 1, None), (vec![1], None));
        assert_eq!(shown_of(7..=9, 2, None), (vec![9, 8], Some("8".to_owned())));
        assert_eq!(shown_of(7..=9, 2, Some("8")), (vec![7], None), "older ones are not remembered");
        assert_eq!(
            shown_of(7..=9, 2, Some("5")),
            (vec![], None),
            "they were when the page before was turned"
        );
        assert!(attempts(1..=3, &page(1, Some("1|x"))).is_err());
    }
}
