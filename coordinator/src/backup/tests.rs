//! What a backup holds comes back; what is no whole backup does not.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

use super::*;
use hearth_objects::{Attributes, BucketAccess, ObjectStore};
use hearth_store::{Document, Store};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

struct Lab {
    dir: tempfile::TempDir,
    store: Store,
    objects: ObjectStore,
}

impl Lab {
    /// What a coordinator of `hearth up` keeps, in use.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let coordinator = dir.path().join("data/coordinator");
        crate::daemon::private_dir(&coordinator.join("ca")).unwrap();
        hearth_mtls::install_provider();
        hearth_mtls::Authority::open_or_create(&coordinator.join("ca"), "hearth", SystemTime::now()).unwrap();
        std::fs::write(coordinator.join("master.key"), "00".repeat(32)).unwrap();
        std::fs::write(coordinator.join("ports.json"), r#"{"agents":1,"enrolment":2}"#).unwrap();
        let store = Store::open(&coordinator.join(STATE)).await.unwrap();
        let objects = ObjectStore::open(&coordinator.join(OBJECTS)).await.unwrap();
        objects.create_bucket("bucket", BucketAccess::ReadWrite).await.unwrap();
        let lab = Self { dir, store, objects };
        lab.put("k", b"bytes").await;
        lab.write("ada").await;
        lab
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("backup.tar.zst")
    }

    async fn put(&self, key: &str, bytes: &'static [u8]) {
        self.objects.put_bytes("bucket", key, bytes.into(), Attributes::default()).await.unwrap();
    }

    async fn write(&self, id: &str) {
        let body = serde_json::json!({});
        let document = Document { kind: "user".to_owned(), id: id.to_owned(), revision: 0, body };
        self.store.put_document(document).await.unwrap().unwrap();
    }
}

/// What is left in the directory apart from what is named.
fn others(dir: &Path, named: &[&str]) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !named.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn a_backup_of_a_coordinator_in_use_comes_back_as_it_was() {
    let lab = Lab::new().await;
    let made = back_up(&lab.data(), &lab.file(), Objects::Included).await.unwrap();
    assert!(made.parts.contains_key("objects/objects.db") && made.parts.contains_key("master.key"));
    assert_eq!(std::fs::metadata(lab.file()).unwrap().permissions().mode() & 0o777, 0o600);
    lab.put("later", b"later").await;
    lab.write("grace").await;

    let to = lab.dir.path().join("new/host");
    let restored = restore(&lab.file(), &to).await.unwrap();
    assert_eq!(restored.manifest, made);
    assert_eq!(restored.dir, to.join("coordinator"));
    assert_eq!(others(lab.dir.path(), &["data", "backup.tar.zst", "new"]), [""; 0]);
    assert_eq!(others(&lab.dir.path().join("new"), &["host"]), [""; 0]);
    assert_eq!(std::fs::metadata(&restored.dir).unwrap().permissions().mode() & 0o777, 0o700);
    for kept in ["master.key", "ports.json"] {
        let before = std::fs::read(lab.data().join("coordinator").join(kept)).unwrap();
        assert!(std::fs::read(restored.dir.join(kept)).unwrap() == before, "{kept}");
    }
    hearth_mtls::Authority::open(&restored.dir.join("ca")).unwrap();
    let store = Store::open(&restored.dir.join(STATE)).await.unwrap();
    let users: Vec<String> = store.documents("user").await.unwrap().into_iter().map(|user| user.id).collect();
    assert_eq!(users, ["ada"]);
    assert!(store.next_epoch().await.unwrap() > lab.store.next_epoch().await.unwrap());
    let objects = ObjectStore::open(&restored.dir.join(OBJECTS)).await.unwrap();
    let bytes = objects.get("bucket", "k", None).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, b"bytes"[..]);
    assert!(!objects.exists("bucket", "later").await.unwrap());
}

#[tokio::test]
async fn every_object_of_a_backup_made_under_load_is_whole() {
    let lab = Lab::new().await;
    let objects = lab.objects.clone();
    let loading = tokio::spawn(async move {
        for round in 0_u32.. {
            let key = format!("k-{}", round % 7);
            let bytes = vec![b'x'; 10_000].into();
            objects.put_bytes("bucket", &key, bytes, Attributes::default()).await.unwrap();
        }
    });
    for round in 0..3 {
        let file = lab.dir.path().join(format!("{round}.tar.zst"));
        back_up(&lab.data(), &file, Objects::Included).await.unwrap();
        let restored = restore(&file, &lab.dir.path().join(format!("new-{round}"))).await.unwrap();
        let objects = ObjectStore::open(&restored.dir.join(OBJECTS)).await.unwrap();
        for key in (0..7).map(|n| format!("k-{n}")) {
            if objects.exists("bucket", &key).await.unwrap() {
                let bytes = objects.get("bucket", &key, None).await.unwrap().bytes().await.unwrap();
                assert_eq!(bytes.len(), 10_000, "{key}");
            }
        }
    }
    assert!(!loading.is_finished());
    loading.abort();
}

#[tokio::test]
async fn without_objects_the_state_comes_back_alone() {
    let lab = Lab::new().await;
    back_up(&lab.data(), &lab.file(), Objects::LeftOut).await.unwrap();
    let restored = restore(&lab.file(), &lab.dir.path().join("new")).await.unwrap();
    assert!(!restored.manifest.has_objects && !restored.dir.join(OBJECTS).exists());
}

#[tokio::test]
async fn a_directory_in_use_or_not_empty_is_refused_with_the_next_step() {
    let lab = Lab::new().await;
    back_up(&lab.data(), &lab.file(), Objects::Included).await.unwrap();
    let again = back_up(&lab.data(), &lab.file(), Objects::Included).await.unwrap_err();
    assert!(again.to_string().contains("name another file"), "{again:#}");
    let in_use = restore(&lab.file(), &lab.data()).await.unwrap_err();
    assert!(in_use.to_string().contains("hearth down"), "{in_use:#}");
    let used = lab.dir.path().join("used");
    std::fs::create_dir_all(used.join("coordinator")).unwrap();
    std::fs::write(used.join("coordinator/hearth.db"), "mine").unwrap();
    let not_empty = restore(&lab.file(), &used).await.unwrap_err();
    assert!(not_empty.to_string().contains("Move it away"), "{not_empty:#}");
    let other = lab.dir.path().join("other");
    std::fs::create_dir_all(other.join("coordinator/of mine")).unwrap();
    let foreign = restore(&lab.file(), &other).await.unwrap_err();
    assert!(foreign.to_string().contains("be empty"), "{foreign:#}");
    assert_eq!(std::fs::read(used.join("coordinator/hearth.db")).unwrap(), b"mine");
    assert_eq!(others(lab.dir.path(), &["data", "backup.tar.zst", "used", "other"]), [""; 0]);
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_nothing_is_left_of_it() {
    let lab = Lab::new().await;
    back_up(&lab.data(), &lab.file(), Objects::Included).await.unwrap();
    let sound = std::fs::read(lab.file()).unwrap();
    let tar = zstd::decode_all(sound.as_slice()).unwrap();
    // The sealed form has a checksum of its own: changes below it test the manifest.
    let packed = |tar: Vec<u8>| zstd::encode_all(tar.as_slice(), 1).unwrap();
    let changed = |from: &[u8], to: &[u8]| {
        let at = tar.windows(from.len()).rposition(|window| window == from).expect("it is there");
        let mut tar = tar.clone();
        tar[at..at + to.len()].copy_from_slice(to);
        packed(tar)
    };
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    let manifest_at = tar.windows(13).position(|window| window == b"manifest.json").unwrap();
    let mut unfinished = tar[..manifest_at].to_vec();
    unfinished.extend([0; 1024]);
    let cases = [
        ("cut", sound[..sound.len() - 100].to_vec(), "cut short"),
        ("flipped", flipped, "was not restored"),
        ("text", b"no backup".to_vec(), "was not restored"),
        ("no manifest", packed(unfinished), "no manifest"),
        ("a changed part", changed(&b"00".repeat(32), b"11"), "master.key is missing or damaged"),
        ("a newer format", changed(b"1\n\0\0", b"2\n\0\0"), "was not restored"),
        ("another archive", packed(tar[1024..].to_vec()), "no backup made by"),
    ];
    for (what, bytes, essence) in cases {
        let file = lab.dir.path().join("bad");
        std::fs::write(&file, bytes).unwrap();
        let to = lab.dir.path().join("new");
        let error = restore(&file, &to).await.expect_err(what);
        assert!(format!("{error:#}").contains(essence), "{what}: {error:#}");
        assert!(!to.exists(), "{what} left something");
        assert_eq!(others(lab.dir.path(), &["data", "backup.tar.zst", "bad"]), [""; 0], "{what}");
    }
}

#[test]
fn no_name_leads_out_of_the_directory() {
    assert!(unpack::is_inside("objects/blobs/00/a"));
    for name in ["", "/etc/passwd", "../x", "a/../../x"] {
        assert!(!unpack::is_inside(name), "{name}");
    }
}
