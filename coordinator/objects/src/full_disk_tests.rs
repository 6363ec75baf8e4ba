//! The disk of the object store is full: what was acknowledged stays whole, and nothing is left of what was not.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;

use crate::small_disk::SmallDisk;
use crate::{Attributes, BucketAccess, ObjectStore, StoreError, WriteCondition};

const BUCKET: &str = "bucket";
const DISK: u64 = 12 << 20;

async fn put(store: &ObjectStore, key: &str, bytes: usize) -> Result<(), StoreError> {
    // As from a network: in pieces.
    let pieces = (0..bytes / (64 << 10)).map(|_| Ok(Bytes::from(vec![7; 64 << 10])));
    let condition = WriteCondition::Always;
    store.put(BUCKET, key, stream::iter(pieces), Attributes::default(), condition).await.map(drop)
}

fn blob_files(dir: &Path) -> usize {
    let count = |dir: &Path| std::fs::read_dir(dir).expect("a directory").count();
    let shards = std::fs::read_dir(dir.join("blobs")).expect("shards");
    shards.map(|shard| count(&shard.expect("shard").path())).sum::<usize>() + count(&dir.join("incoming"))
}

async fn wait_for_blob_files(dir: &Path, expected: usize) {
    let settled = async {
        while blob_files(dir) != expected {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), settled).await;
    waited.unwrap_or_else(|_| panic!("{} blob files, not {expected}", blob_files(dir)));
}

#[tokio::test]
async fn an_object_too_large_for_the_disk_is_refused_and_leaves_room_for_the_index() {
    let Some(disk) = SmallDisk::mount(DISK) else { return };
    let store = ObjectStore::open(disk.path()).await.expect("open");
    store.create_bucket(BUCKET, BucketAccess::ReadWrite).await.expect("bucket");
    put(&store, "kept", 1 << 20).await.expect("there is room");
    let refused = put(&store, "large", 16 << 20).await;
    let Err(StoreError::Blob(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(error.to_string().contains("left to the databases"), "the reserve came too late: {error}");
    wait_for_blob_files(disk.path(), 1).await;
    let kept = store.get(BUCKET, "kept", None).await.expect("get").bytes().await.expect("bytes");
    assert!(kept == vec![7; 1 << 20]);
    assert!(!store.exists(BUCKET, "large").await.expect("index"));
    put(&store, "next", 1 << 20).await.expect("what the refused one took is free again");
}

#[tokio::test]
async fn an_object_whose_commit_finds_the_disk_full_leaves_nothing() {
    let Some(disk) = SmallDisk::mount(DISK) else { return };
    let store = ObjectStore::open(disk.path()).await.expect("open");
    store.create_bucket(BUCKET, BucketAccess::ReadWrite).await.expect("bucket");
    put(&store, "kept", 64 << 10).await.expect("there is room");
    let body = || stream::iter([Ok(Bytes::from_static(b"received while there was room"))]);
    let mut received = Vec::new();
    for _ in 0..100 {
        received.push(store.receive(body(), None).await.expect("received"));
    }
    disk.fill();
    let mut refused = 0;
    let mut kept = 1;
    for (n, body) in received.into_iter().enumerate() {
        let (key, condition) = (format!("k-{n}"), WriteCondition::Always);
        match store.commit_object(BUCKET, &key, body, Attributes::default(), condition).await {
            Ok(_) => kept += 1,
            Err(error) => {
                refused += 1;
                assert!(!store.exists(BUCKET, &key).await.expect("index"), "{key} after {error}");
            }
        }
    }
    assert!(refused > 0, "the disk was not full");
    assert!(put(&store, "another", 64 << 10).await.is_err());
    disk.free();
    // Without a restart: the disk may be full of just these.
    wait_for_blob_files(disk.path(), kept).await;
    put(&store, "after", 64 << 10).await.expect("there is room again");
    let bytes = store.get(BUCKET, "kept", None).await.expect("get").bytes().await.expect("bytes");
    assert_eq!(bytes.len(), 64 << 10);
}
