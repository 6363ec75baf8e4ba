//! The promises of the store: what survives a crash, what is left behind, and the rules of multipart uploads.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::digests::{Checksum, ChecksumKind};
use crate::model::Attributes;
use crate::multipart::{NamedPart, UploadQuery};
use crate::{
    BucketAccess, CopyAttributes, Creation, HeldObjects, HoldError, ListQuery, ObjectStore, OpenError,
    StoreError, WriteCondition,
};

const BUCKET: &str = "bucket";

async fn open(dir: &Path) -> ObjectStore {
    let store = ObjectStore::open(dir).await.expect("open");
    store.create_bucket(BUCKET, BucketAccess::ReadWrite).await.expect("bucket");
    store
}

async fn put(store: &ObjectStore, key: &str, body: &[u8]) -> crate::ObjectInfo {
    let body = Bytes::copy_from_slice(body);
    store.put_bytes(BUCKET, key, body, Attributes::default()).await.expect("put")
}

async fn read(store: &ObjectStore, key: &str) -> Bytes {
    store.get(BUCKET, key, None).await.expect("get").bytes().await.expect("bytes")
}

fn blob_files(dir: &Path) -> usize {
    let shards = std::fs::read_dir(dir.join("blobs")).expect("shards");
    shards.map(|shard| std::fs::read_dir(shard.expect("shard").path()).expect("files").count()).sum()
}

/// Waits until so many blob files are left; removal happens behind the answer.
async fn wait_for_blob_files(dir: &Path, count: usize) {
    let settled = async {
        while blob_files(dir) != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.expect("blob files settle");
}

async fn upload_part(store: &ObjectStore, id: &str, number: u16, body: Vec<u8>) -> NamedPart {
    let body = stream::iter([Ok(Bytes::from(body))]);
    let received = store.receive(body, Some(ChecksumKind::Crc32)).await.expect("received");
    let part = store.commit_part(BUCKET, "k", id, number, received).await.expect("part");
    NamedPart { number, etag: part.etag, checksum: part.checksum }
}

async fn begin(store: &ObjectStore) -> String {
    let kind = Some(ChecksumKind::Crc32);
    store.begin_upload(BUCKET, "k", Attributes::default(), kind).await.expect("upload")
}

const PART: usize = 5 << 20;

#[tokio::test]
async fn an_upload_nobody_completes_expires_with_its_parts() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    put(&store, "k", b"an object stays").await;
    let id = begin(&store).await;
    upload_part(&store, &id, 1, vec![1; 100]).await;
    let begun = store.upload(BUCKET, "k", &id).await.expect("upload").initiated;
    assert_eq!(store.expire_uploads(begun).await.expect("expired"), 0);
    store.upload(BUCKET, "k", &id).await.expect("it is not too old");
    assert_eq!(store.expire_uploads(begun + Duration::from_millis(1)).await.expect("expired"), 1);
    assert!(matches!(store.upload(BUCKET, "k", &id).await, Err(StoreError::NoSuchUpload)));
    wait_for_blob_files(dir.path(), 1).await;
    assert_eq!(read(&store, "k").await, "an object stays");
}

#[tokio::test]
async fn an_object_is_what_was_put_after_reopening() {
    let dir = tempfile::tempdir().expect("dir");
    let keys = ["a/../b", "plus+%2B", "//", "ünï/ \u{10ffff}", "dir/", ".", "x\0y"];
    let store = open(dir.path()).await;
    for key in keys {
        put(&store, key, key.as_bytes()).await;
    }
    drop(store);
    let store = reopened(dir.path()).await;
    for key in keys {
        assert_eq!(read(&store, key).await, key.as_bytes(), "{key:?}");
    }
    let page = store.list(BUCKET, &ListQuery { limit: 100, ..ListQuery::default() }).await;
    let mut sorted: Vec<_> = keys.map(str::to_owned).into();
    sorted.sort();
    let listed: Vec<_> = page.expect("page").objects.into_iter().map(|info| info.key).collect();
    assert_eq!(listed, sorted);
}

/// Opens a store again once its last handle has let go of the lock.
async fn reopened(dir: &Path) -> ObjectStore {
    let opened = async {
        loop {
            match ObjectStore::open(dir).await {
                Ok(store) => return store,
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), opened).await.expect("reopened")
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().expect("dir");
    let _store = open(dir.path()).await;
    let second = ObjectStore::open(dir.path()).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn files_the_index_does_not_name_go_at_start() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    put(&store, "k", b"kept").await;
    // A crash after the rename and before the commit leaves this; one before the rename leaves the other.
    let received = store.receive(stream::iter([Ok(Bytes::from_static(b"lost"))]), None).await;
    received.expect("received").blob.expect("blob").keep();
    std::fs::write(dir.path().join("incoming/00ff"), b"half").expect("write");
    assert_eq!(blob_files(dir.path()), 2);
    drop(store);
    let store = reopened(dir.path()).await;
    assert_eq!(blob_files(dir.path()), 1);
    assert_eq!(std::fs::read_dir(dir.path().join("incoming")).expect("incoming").count(), 0);
    assert_eq!(read(&store, "k").await, &b"kept"[..]);
}

#[tokio::test]
async fn replaced_and_deleted_bytes_leave_the_disk() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    put(&store, "k", b"one").await;
    put(&store, "k", b"two").await;
    wait_for_blob_files(dir.path(), 1).await;
    let copied =
        store.copy((BUCKET, "k"), None, (BUCKET, "copy"), CopyAttributes::Keep).await.expect("copied");
    assert_eq!(copied.etag, store.head(BUCKET, "k").await.expect("head").etag);
    store.delete(BUCKET, &["k".to_owned(), "absent".to_owned()]).await.expect("deleted");
    assert_eq!(read(&store, "copy").await, &b"two"[..]);
    store.delete(BUCKET, &["copy".to_owned()]).await.expect("deleted");
    wait_for_blob_files(dir.path(), 0).await;
}

#[tokio::test]
async fn a_reader_finishes_what_is_deleted_under_it() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let id = begin(&store).await;
    let parts = vec![
        upload_part(&store, &id, 1, vec![1; PART]).await,
        upload_part(&store, &id, 2, vec![2; 10]).await,
    ];
    store.complete_upload(BUCKET, "k", &id, parts, WriteCondition::Always).await.expect("completed");
    let mut reader = store.get(BUCKET, "k", None).await.expect("get");
    let first = reader.next().await.expect("a chunk").expect("bytes").len();
    store.delete(BUCKET, &["k".to_owned()]).await.expect("deleted");
    assert!(!store.exists(BUCKET, "k").await.expect("exists"));
    let rest: Vec<Bytes> = reader.by_ref().try_collect().await.expect("the rest");
    assert_eq!(first + rest.iter().map(Bytes::len).sum::<usize>(), PART + 10);
    drop(reader);
    wait_for_blob_files(dir.path(), 0).await;
}

#[tokio::test]
async fn conditions_are_weighed_in_the_write() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let attempt = async |condition| {
        let body = stream::iter([Ok(Bytes::from_static(b"v"))]);
        store.put(BUCKET, "k", body, Attributes::default(), condition).await
    };
    let etag = |text: &str| WriteCondition::IfEtag(text.to_owned());
    assert!(matches!(attempt(etag("x")).await, Err(StoreError::NoSuchKey)));
    let first = attempt(WriteCondition::IfAbsent).await.expect("created");
    assert!(matches!(attempt(WriteCondition::IfAbsent).await, Err(StoreError::PreconditionFailed)));
    assert!(matches!(attempt(etag("x")).await, Err(StoreError::PreconditionFailed)));
    attempt(etag(&first.etag)).await.expect("replaced");
    attempt(WriteCondition::IfPresent).await.expect("replaced");
    wait_for_blob_files(dir.path(), 1).await;
}

#[tokio::test]
async fn of_many_writers_exactly_one_creates() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let attempts = (0..50).map(|number: u8| {
        let body = stream::iter([Ok(Bytes::from(vec![number; 100]))]);
        store.put(BUCKET, "k", body, Attributes::default(), WriteCondition::IfAbsent)
    });
    let results = futures::future::join_all(attempts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    wait_for_blob_files(dir.path(), 1).await;
}

#[tokio::test]
async fn a_completion_is_checked_and_may_be_repeated() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let id = begin(&store).await;
    let one = upload_part(&store, &id, 1, vec![1; PART]).await;
    let small = upload_part(&store, &id, 2, vec![2; 10]).await;
    let last = upload_part(&store, &id, 9, vec![3; 7]).await;
    let complete = async |parts: Vec<NamedPart>| {
        store.complete_upload(BUCKET, "k", &id, parts, WriteCondition::Always).await
    };
    let wrong_etag = NamedPart { etag: last.etag.clone(), ..one.clone() };
    let other_sum = Checksum { kind: ChecksumKind::Crc32, value: "AAAAAA==".to_owned() };
    let wrong_sum = NamedPart { checksum: Some(other_sum), ..one.clone() };
    let missing = NamedPart { number: 5, ..last.clone() };
    assert!(matches!(complete(vec![]).await, Err(StoreError::NoParts)));
    let order = complete(vec![last.clone(), one.clone()]).await;
    assert!(matches!(order, Err(StoreError::InvalidPartOrder)));
    let twice = complete(vec![one.clone(), one.clone()]).await;
    assert!(matches!(twice, Err(StoreError::InvalidPartOrder)));
    let too_small = complete(vec![one.clone(), small, last.clone()]).await;
    assert!(matches!(too_small, Err(StoreError::PartTooSmall { number: 2 })));
    for parts in [vec![wrong_etag], vec![wrong_sum], vec![one.clone(), missing]] {
        assert!(matches!(complete(parts).await, Err(StoreError::InvalidPart { .. })));
    }
    let done = complete(vec![one.clone(), last.clone()]).await.expect("completed");
    assert_eq!(done.size, PART as u64 + 7);
    assert!(done.etag.ends_with("-2"), "{}", done.etag);
    assert!(done.attributes.checksum.as_ref().is_some_and(|sum| sum.value.ends_with("-2")));
    assert_eq!(complete(vec![one.clone(), last.clone()]).await.expect("again"), done);
    // The part that was not named is gone, and so is the upload.
    wait_for_blob_files(dir.path(), 2).await;
    let uploads = store.uploads(BUCKET, &UploadQuery { limit: 10, ..Default::default() }).await;
    assert!(uploads.expect("uploads").uploads.is_empty());
    put(&store, "k", b"another").await;
    assert!(matches!(complete(vec![one, last]).await, Err(StoreError::NoSuchUpload)));
}

#[tokio::test]
async fn a_range_crosses_parts() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let id = begin(&store).await;
    let parts = vec![
        upload_part(&store, &id, 1, vec![1; PART]).await,
        upload_part(&store, &id, 2, vec![2; 10]).await,
    ];
    let done = store.complete_upload(BUCKET, "k", &id, parts, WriteCondition::Always).await;
    let size = done.expect("completed").size;
    let range = PART as u64 - 2..PART as u64 + 2;
    let bytes = store.get(BUCKET, "k", Some(range)).await.expect("get").bytes().await;
    assert_eq!(bytes.expect("bytes"), &[1, 1, 2, 2][..]);
    let beyond = store.get(BUCKET, "k", Some(0..size + 1)).await;
    assert!(matches!(beyond, Err(StoreError::RangeNotSatisfiable { .. })));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let id = begin(&store).await;
    upload_part(&store, &id, 1, vec![1; 10]).await;
    upload_part(&store, &id, 1, vec![2; 10]).await;
    wait_for_blob_files(dir.path(), 1).await;
    store.abort_upload(BUCKET, "k", &id).await.expect("aborted");
    wait_for_blob_files(dir.path(), 0).await;
    assert!(matches!(store.abort_upload(BUCKET, "k", &id).await, Err(StoreError::NoSuchUpload)));
    let received = store.receive(stream::iter([Ok(Bytes::from_static(b"late"))]), None).await;
    let late = store.commit_part(BUCKET, "k", &id, 1, received.expect("received")).await;
    assert!(matches!(late, Err(StoreError::NoSuchUpload)));
    wait_for_blob_files(dir.path(), 0).await;
}

#[tokio::test]
async fn a_bucket_goes_only_when_empty_and_takes_its_uploads() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    let again = store.create_bucket(BUCKET, BucketAccess::ReadOnly).await.expect("again");
    assert_eq!(again, Creation::Existed);
    assert_eq!(store.bucket(BUCKET).await.expect("bucket").access, BucketAccess::ReadWrite);
    put(&store, "k", b"v").await;
    assert!(matches!(store.delete_bucket(BUCKET).await, Err(StoreError::BucketNotEmpty)));
    store.delete(BUCKET, &["k".to_owned()]).await.expect("deleted");
    let id = begin(&store).await;
    upload_part(&store, &id, 1, vec![1; 10]).await;
    store.delete_bucket(BUCKET).await.expect("deleted");
    wait_for_blob_files(dir.path(), 0).await;
    assert!(matches!(store.head(BUCKET, "k").await, Err(StoreError::NoSuchBucket)));
    let bad = store.create_bucket("Bad_Name", BucketAccess::ReadWrite).await;
    assert!(matches!(bad, Err(StoreError::InvalidBucketName)));
}

#[tokio::test]
async fn pages_of_uploads_add_up() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    for key in ["a/1", "a/1", "a/2", "b", "c/1"] {
        store.begin_upload(BUCKET, key, Attributes::default(), None).await.expect("upload");
    }
    let list = async |delimiter: Option<&str>| {
        let mut query =
            UploadQuery { delimiter: delimiter.map(str::to_owned), limit: 1, ..UploadQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = store.uploads(BUCKET, &query).await.expect("page");
            found.extend(page.uploads.into_iter().map(|upload| upload.key));
            found.extend(page.prefixes);
            match page.next {
                Some((key, id)) => (query.after_key, query.after_id) = (Some(key), id),
                None => return found,
            }
        }
    };
    assert_eq!(list(None).await, ["a/1", "a/1", "a/2", "b", "c/1"]);
    assert_eq!(list(Some("/")).await, ["a/", "b", "c/"]);
}

#[tokio::test]
async fn a_damaged_index_is_refused_and_left_with_its_blobs() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    for n in 0..400 {
        put(&store, &format!("key-{n}"), b"").await;
    }
    put(&store, "k", b"kept").await;
    drop(store);
    let index = dir.path().join("objects.db");
    drop(reopened(dir.path()).await);
    empty_log(&index).await;
    let sound = std::fs::read(&index).expect("index");
    let cut = sound[..sound.len() / 2].to_vec();
    for (bytes, essence) in [(cut, "objects.db is damaged"), (Vec::new(), "it is empty")] {
        std::fs::write(&index, &bytes).expect("damage");
        let error = ObjectStore::open(dir.path()).await.expect_err("damaged");
        assert!(matches!(error, OpenError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains(essence), "{error}");
        assert!(std::fs::read(&index).expect("index") == bytes, "the index was touched");
        assert_eq!(blob_files(dir.path()), 1, "blobs of a damaged index stay");
    }
    std::fs::write(&index, &sound).expect("mended");
    assert_eq!(read(&reopened(dir.path()).await, "k").await, b"kept"[..]);
}

/// Moves all that is in the log into the file.
async fn empty_log(index: &Path) {
    use sqlx::Connection as _;
    let options = hearth_sqlite::options(index);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("connected");
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.expect("emptied");
    connection.close().await.expect("closed");
    let left = std::fs::metadata(index.with_extension("db-wal")).map_or(0, |log| log.len());
    assert_eq!(left, 0, "bytes in the log");
}

#[tokio::test]
async fn while_a_backup_is_made_no_blob_that_its_index_names_goes() {
    let dir = tempfile::tempdir().expect("dir");
    let store = open(dir.path()).await;
    for key in ["deleted", "replaced", "kept"] {
        put(&store, key, key.as_bytes()).await;
    }
    let held = HeldObjects::hold(dir.path()).expect("held");
    assert!(matches!(HeldObjects::hold(dir.path()), Err(HoldError::Taken(_))));
    let named = held.copy_index(&dir.path().join("copy.db")).await.expect("copied");
    assert_eq!(named.len(), 3);
    store.delete(BUCKET, &["deleted".to_owned()]).await.expect("deleted");
    put(&store, "replaced", b"anew").await;
    drop(store);
    // The sweep at a start must leave them as well.
    let store = reopened(dir.path()).await;
    for blob in &named {
        assert!(dir.path().join(blob).is_file(), "{} has gone", blob.display());
    }
    drop(held);
    put(&store, "kept", b"anew").await;
    drop(store);
    let _store = reopened(dir.path()).await;
    wait_for_blob_files(dir.path(), 2).await;
}
