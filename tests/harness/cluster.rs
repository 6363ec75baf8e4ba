//! The coordinator itself: started, waited for, killed and started again.

use super::client::{Client, Keys};
use hearth_coordinator::backup::{Objects, back_up, restore};
use hearth_coordinator::config::CoordinatorConfig;
use hearth_coordinator::daemon::Coordinator;
use hearth_coordinator_core::command::Command;
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::world::World;
use hearth_engine::Engine;
use hearth_mtls::Authority;
use hearth_types::ReleaseLabel;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A condition that has not come true by then never will.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The release of the catalog.
pub(crate) const RELEASE: &str = "emr-7.6.0";
/// What stands for its bundle: nobody unpacks it here.
pub(crate) const BUNDLE: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Name of a backup in its directory.
const BACKUP: &str = "backup.tar.zst";

/// A running coordinator, whose release is ready without having been built.
pub(crate) struct Cluster {
    coordinator: Option<Coordinator>,
    data: TempDir,
    timing: Timing,
    configure: Configure,
}

/// What a test changes of the configuration.
type Configure = fn(&mut CoordinatorConfig);

/// How long leases and what belongs to them are, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) lease: u32,
    pub(crate) skew: u32,
    pub(crate) lost_after: u32,
    pub(crate) heartbeat: u32,
    pub(crate) extension: u32,
}

impl Default for Timing {
    fn default() -> Self {
        let config = CoordinatorConfig::default();
        Self {
            lease: config.lease_ms,
            skew: config.lease_skew_ms,
            lost_after: config.lost_after_ms,
            heartbeat: config.heartbeat_ms,
            extension: config.lease_extension_ms,
        }
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::timed(Timing::default()).await
    }

    pub(crate) async fn timed(timing: Timing) -> Self {
        Self::made(timing, |_| ()).await
    }

    pub(crate) async fn configured(configure: Configure) -> Self {
        Self::made(Timing::default(), configure).await
    }

    async fn made(timing: Timing, configure: Configure) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let coordinator = Some(started(data.path(), timing, configure).await);
        let cluster = Self { coordinator, data, timing, configure };
        let state = ReleaseState::Ready {
            sha256: BUNDLE.to_owned(),
            java_major: 17,
            java_module_options: vec!["--add-opens=java.base/java.lang=ALL-UNNAMED".to_owned()],
        };
        let label = ReleaseLabel::new(RELEASE).expect("a label");
        let ready = Command::ReleaseIs(Release { label, state });
        cluster.engine().ask(ready).await.expect("the release is recorded");
        cluster
    }

    pub(crate) fn coordinator(&self) -> &Coordinator {
        self.coordinator.as_ref().expect("the coordinator runs between restarts")
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.coordinator().engine
    }

    /// The world as of the last commit.
    pub(crate) fn world(&self) -> Arc<World> {
        self.engine().snapshot()
    }

    /// Address of the agents' service.
    pub(crate) fn agents(&self) -> String {
        self.coordinator().agents.to_string()
    }

    /// The cluster's certificate authority.
    pub(crate) fn authority(&self) -> Authority {
        Authority::open(&self.data.path().join("ca")).expect("the authority is kept")
    }

    /// A client with the given keys.
    pub(crate) fn client(&self, keys: Keys) -> Client {
        Client::new(self.coordinator().endpoint, keys)
    }

    /// A client who may do everything.
    pub(crate) fn administrator(&self) -> Client {
        let key = &self.coordinator().administrator;
        self.client(Keys {
            access_key_id: key.key.id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: None,
        })
    }

    /// Waits until `found` finds what it looks for in the world.
    pub(crate) async fn until<T>(&self, what: &str, mut found: impl FnMut(&World) -> Option<T>) -> T {
        let mut changes = self.engine().changes();
        let waiting = async {
            loop {
                let world = changes.borrow_and_update().clone();
                if let Some(result) = found(&world) {
                    return result;
                }
                changes.changed().await.expect("the engine runs");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(result) => result,
            Err(_) => panic!("not within {PATIENCE:?}: {what}; the world is {:#?}", self.world()),
        }
    }

    /// Stops the coordinator in good order and starts it again on what it kept.
    pub(crate) async fn restart(&mut self) {
        self.stop(Coordinator::stop).await;
        self.coordinator = Some(started(self.data.path(), self.timing, self.configure).await);
    }

    /// Stops the coordinator as the separate daemon is stopped by its host.
    pub(crate) async fn leave(&mut self) {
        self.stop(Coordinator::leave).await;
    }

    /// Starts a coordinator that was stopped.
    pub(crate) async fn come_back(&mut self) {
        self.coordinator = Some(started(self.data.path(), self.timing, self.configure).await);
    }

    /// What the store of a stopped coordinator holds.
    pub(crate) async fn kept(&self) -> World {
        let file = hearth_coordinator::daemon::database(self.data.path());
        let store = hearth_store::Store::open(&file).await.expect("the store opens");
        store.load_world(LeaseTerms::default()).await.expect("the world is readable")
    }

    /// Goes on with what the disk holds at this moment, as after `kill -9`: nothing that the coordinator does on its
    /// way down is in it.
    pub(crate) async fn crash(&mut self) {
        let copy = tempfile::tempdir().expect("a temporary directory");
        copy_dir(self.data.path(), copy.path());
        self.stop(Coordinator::stop).await;
        self.data = copy;
        self.coordinator = Some(started(self.data.path(), self.timing, self.configure).await);
    }

    /// Makes a backup of the running coordinator.
    pub(crate) async fn back_up(&self) -> TempDir {
        let to = tempfile::tempdir().expect("a temporary directory");
        let file = to.path().join(BACKUP);
        back_up(self.data.path(), &file, Objects::Included).await.expect("a backup");
        to
    }

    /// Goes on with a backup, as on a new host.
    pub(crate) async fn restore(&mut self, backup: &TempDir) {
        self.stop(Coordinator::stop).await;
        self.data = tempfile::tempdir().expect("a temporary directory");
        restore(&backup.path().join(BACKUP), self.data.path()).await.expect("restored");
        self.come_back().await;
    }

    async fn stop<F: Future<Output = ()>>(&mut self, stop: impl FnOnce(Coordinator) -> F) {
        let coordinator = self.coordinator.take().expect("it runs");
        let mut changes = coordinator.engine.changes();
        let stopped = async {
            stop(coordinator).await;
            // The engine ends when nothing can ask it any more.
            while changes.changed().await.is_ok() {}
        };
        tokio::time::timeout(PATIENCE, stopped).await.expect("the coordinator and its engine end");
    }
}

async fn started(data_dir: &Path, timing: Timing, configure: Configure) -> Coordinator {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = CoordinatorConfig {
        data_dir: data_dir.to_owned(),
        listen: any_port,
        agents_listen: any_port,
        enrolment_listen: any_port,
        ui_listen: any_port,
        lease_ms: timing.lease,
        lease_skew_ms: timing.skew,
        lost_after_ms: timing.lost_after,
        heartbeat_ms: timing.heartbeat,
        lease_extension_ms: timing.extension,
        share_dir: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")),
        ..CoordinatorConfig::default()
    };
    configure(&mut config);
    Coordinator::start(&config).await.expect("the coordinator starts")
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a readable directory") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            std::fs::create_dir(&target).expect("a new directory");
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copied file");
        }
    }
}
