//! Where a page ended, as text that a client carries to the next request.

use hearth_api::emr::control_plane::{ControlError, Page};
use hearth_store::Cursor;
use hearth_types::Timestamp;

/// Reads where the page before ended.
pub(super) fn cursor(page: &Page) -> Result<Option<Cursor>, ControlError> {
    let Some(text) = &page.after else { return Ok(None) };
    text.split_once('|')
        .and_then(|(at, id)| {
            Some(Cursor { created_at: Timestamp::from_millis(at.parse().ok()?), id: id.to_owned() })
        })
        .map(Some)
        .ok_or_else(|| ControlError::Validation {
            message: "nextToken is not one that was given out".to_owned(),
        })
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
