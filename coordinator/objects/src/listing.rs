//! Listing a bucket: keys in byte order, those that share a prefix up to the delimiter rolled up into one entry.
//!
//! A page holds the entries greater than `after` (keys and common prefixes alike), so the last entry of a page is
//! where the next one goes on. A rolled-up prefix is skipped with one seek, however many keys it holds.

use crate::error::StoreError;
use crate::model::{ObjectInfo, from_ms};
use crate::objects::attributes_from_index;
use crate::store::ObjectStore;

/// The most entries of a page.
pub const MAX_PAGE: usize = 1000;

/// Rows fetched at once under a delimiter, where most of them may be skipped.
const ROLLED_BATCH: usize = 64;

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Rolls up keys that contain it after the prefix.
    pub delimiter: Option<String>,
    /// Only entries greater than this, in byte order.
    pub after: Option<String>,
    /// At most this many entries; more than [`MAX_PAGE`] counts as that.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Objects, by key.
    pub objects: Vec<ObjectInfo>,
    /// Common prefixes, in order.
    pub prefixes: Vec<String>,
    /// Where the next page starts (`after`), if there is more.
    pub next: Option<String>,
}

/// Where a key stands in a listing.
enum Place<'a> {
    Own,
    RolledUp(&'a str),
}

impl ListQuery {
    fn place<'a>(&self, key: &'a str) -> Place<'a> {
        let Some(delimiter) = self.delimiter.as_deref().filter(|d| !d.is_empty()) else {
            return Place::Own;
        };
        let rest = key.get(self.prefix.len()..).unwrap_or_default();
        match rest.find(delimiter) {
            Some(at) => Place::RolledUp(key.get(..self.prefix.len() + at + delimiter.len()).unwrap_or(key)),
            None => Place::Own,
        }
    }

    /// The smallest key that may still be shown.
    fn start(&self) -> Vec<u8> {
        let Some(after) = self.after.as_deref().filter(|after| *after >= self.prefix.as_str()) else {
            return self.prefix.clone().into_bytes();
        };
        match self.place(after) {
            // `after` lies within a common prefix, which is not greater than it.
            Place::RolledUp(prefix) if after.starts_with(&self.prefix) => successor(prefix),
            _ => next_key(after),
        }
    }
}

/// The smallest byte string greater than every key with this prefix.
fn successor(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    match bytes.last_mut() {
        // UTF-8 has no byte 0xff.
        Some(last) => *last += 1,
        None => bytes.push(0xff),
    }
    bytes
}

/// The smallest byte string greater than this key.
fn next_key(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

type Row = (Vec<u8>, i64, String, i64, String);

impl ObjectStore {
    /// Lists a page of a bucket. Pages see the bucket as it is when they are read, not one moment of it.
    pub async fn list(&self, bucket: &str, query: &ListQuery) -> Result<ListPage, StoreError> {
        self.bucket(bucket).await?;
        let limit = query.limit.min(MAX_PAGE);
        let batch = if query.delimiter.is_some() { ROLLED_BATCH } else { limit + 1 };
        let end = successor(&query.prefix);
        let mut from = query.start();
        let mut page = ListPage::default();
        let mut last = None;
        if limit == 0 {
            return Ok(page);
        }
        'seek: loop {
            let rows = self.rows(bucket, &from, &end, batch).await?;
            let is_last = rows.len() < batch;
            for row in rows {
                let key = text(row.0.clone())?;
                if page.objects.len() + page.prefixes.len() == limit {
                    page.next = last;
                    return Ok(page);
                }
                if let Place::RolledUp(prefix) = query.place(&key) {
                    from = successor(prefix);
                    page.prefixes.push(prefix.to_owned());
                    last = Some(prefix.to_owned());
                    continue 'seek;
                }
                from = next_key(&key);
                last = Some(key.clone());
                page.objects.push(object(key, row)?);
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    async fn rows(
        &self,
        bucket: &str,
        from: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = "SELECT key, size, etag, modified_ms, attributes FROM objects
                   WHERE bucket = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4";
        sqlx::query_as(sql)
            .bind(bucket)
            .bind(from)
            .bind(end)
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::Index)
    }
}

/// The text of a key in the index.
pub(crate) fn text(key: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(key).map_err(|error| StoreError::Index(sqlx::Error::Decode(Box::new(error))))
}

fn object(key: String, row: Row) -> Result<ObjectInfo, StoreError> {
    let (_, size, etag, modified_ms, attributes) = row;
    Ok(ObjectInfo {
        key,
        size: size as u64,
        etag,
        modified: from_ms(modified_ms),
        attributes: attributes_from_index(&attributes)?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Attributes, BucketAccess};

    /// Every entry of a listing by the definition: keys and common prefixes greater than `after`.
    fn model(keys: &BTreeSet<String>, query: &ListQuery) -> BTreeMap<String, bool> {
        let mut entries = BTreeMap::new();
        for key in keys.iter().filter(|key| key.starts_with(&query.prefix)) {
            let (entry, is_prefix) = match query.delimiter.as_deref() {
                Some(delimiter) => match key[query.prefix.len()..].find(delimiter) {
                    Some(at) => (key[..query.prefix.len() + at + delimiter.len()].to_owned(), true),
                    None => (key.clone(), false),
                },
                None => (key.clone(), false),
            };
            if query.after.as_ref().is_none_or(|after| entry > *after) {
                entries.insert(entry, is_prefix);
            }
        }
        entries
    }

    fn key() -> impl Strategy<Value = String> {
        // Few letters, so that keys share prefixes; `0` follows `/` and `.` precedes it in byte order.
        "[ab./0+ü\u{10ffff}]{1,6}"
    }

    async fn pages(
        store: &ObjectStore,
        bucket: &str,
        mut query: ListQuery,
    ) -> Result<BTreeMap<String, bool>, TestCaseError> {
        let mut entries = BTreeMap::new();
        loop {
            let page = store.list(bucket, &query).await.expect("page");
            prop_assert!(page.objects.len() + page.prefixes.len() <= query.limit);
            for (entry, is_prefix) in (page.objects.into_iter().map(|info| (info.key, false)))
                .chain(page.prefixes.into_iter().map(|prefix| (prefix, true)))
            {
                prop_assert!(entries.insert(entry.clone(), is_prefix).is_none(), "{entry:?} twice");
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(entries),
            }
        }
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_model() {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let dir = tempfile::tempdir().expect("dir");
        let store = runtime.block_on(ObjectStore::open(dir.path())).expect("open");
        let count = std::cell::Cell::new(0);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
        let histories = (
            proptest::collection::btree_set(key(), 0..20),
            proptest::collection::vec(
                ("[ab/]{0,2}", proptest::option::of("[/.]|a/"), proptest::option::of(key()), 1_usize..6),
                8,
            ),
        );
        let result = runner.run(&histories, |(keys, queries)| {
            count.set(count.get() + 1);
            let bucket = format!("bucket-{}", count.get());
            runtime.block_on(async {
                store.create_bucket(&bucket, BucketAccess::ReadWrite).await.expect("bucket");
                let puts =
                    keys.iter().map(|key| store.put_bytes(&bucket, key, Bytes::new(), Attributes::default()));
                futures::future::try_join_all(puts).await.expect("put");
                for (prefix, delimiter, after, limit) in queries {
                    let query = ListQuery { prefix, delimiter, after, limit };
                    let expected = model(&keys, &query);
                    let found = pages(&store, &bucket, query.clone()).await?;
                    prop_assert_eq!(found, expected, "{:?}", query);
                }
                Ok(())
            })
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}
