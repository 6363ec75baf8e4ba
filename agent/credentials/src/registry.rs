//! Which worker may have which credentials, and keeping them fresh.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hearth_types::WorkerId;
use tokio::sync::Semaphore;

use crate::credentials::Credentials;
use crate::token::WorkerToken;

/// How long a worker's request waits for new credentials; below the SDKs' own patience for this endpoint.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches new credentials for a worker, from the coordinator.
#[async_trait]
pub trait Refresh: Send + Sync + 'static {
    /// Answers credentials with their full lifetime. Called at most once at a time per worker; may be cancelled.
    async fn refresh(&self, worker: &WorkerId) -> Result<Credentials, RefreshError>;
}

/// New credentials could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("fetching new credentials")]
pub struct RefreshError(#[source] pub Box<dyn Error + Send + Sync>);

/// Why a request gets no credentials.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// No worker has this token, or it was removed.
    #[error("no worker has this token")]
    UnknownToken,
    /// The token is right, but another user's process presented it.
    #[error("token of worker {worker} presented by uid {actual}, which is not its uid {expected}")]
    WrongOwner {
        /// Whose token it is.
        worker: WorkerId,
        /// The worker's uid.
        expected: u32,
        /// The uid that owns the connecting socket.
        actual: u32,
    },
    /// The worker is entitled, but there are no credentials with enough time left.
    #[error("no fresh credentials for worker {worker}")]
    NotFresh {
        /// Who asked.
        worker: WorkerId,
        /// Why they could not be fetched.
        #[source]
        source: RefreshError,
    },
}

struct Entry {
    token: WorkerToken,
    uid: u32,
    held: Option<Held>,
    /// One permit: whoever holds it fetches, the others wait for what it brings.
    refreshing: Arc<Semaphore>,
}

struct Held {
    credentials: Credentials,
    received_at: SystemTime,
}

impl Held {
    fn half_life(&self) -> SystemTime {
        let life = self.credentials.expires_at.duration_since(self.received_at).unwrap_or_default();
        self.received_at + life / 2
    }
}

/// The credentials of all workers of this host, in memory alone. Clones share them.
#[derive(Clone)]
pub struct Registry {
    entries: Arc<Mutex<BTreeMap<WorkerId, Entry>>>,
    refresh: Arc<dyn Refresh>,
}

impl Registry {
    /// Makes an empty registry that fetches through `refresh` what is missing or too old.
    pub fn new(refresh: Arc<dyn Refresh>) -> Self {
        Self { entries: Arc::default(), refresh }
    }

    /// Entitles the processes of `uid` that present `token` to the credentials of `worker`.
    ///
    /// Without `credentials` (a worker just adopted) they are fetched on first use, and are due at once. Replaces
    /// what was known of the worker. `now` is the wall clock when `credentials` were received.
    pub fn insert(
        &self,
        worker: WorkerId,
        token: WorkerToken,
        uid: u32,
        credentials: Option<Credentials>,
        now: SystemTime,
    ) {
        let held = credentials.map(|credentials| Held { credentials, received_at: now });
        let entry = Entry { token, uid, held, refreshing: Arc::new(Semaphore::new(1)) };
        self.lock().insert(worker, entry);
    }

    /// Replaces a worker's credentials; false, and nothing kept, if the worker is not or no longer known.
    pub fn update(&self, worker: &WorkerId, credentials: Credentials, now: SystemTime) -> bool {
        match self.lock().get_mut(worker) {
            Some(entry) => {
                entry.held = Some(Held { credentials, received_at: now });
                true
            }
            None => false,
        }
    }

    /// Revokes a worker's token and wipes its credentials; requests being answered get nothing either.
    pub fn remove(&self, worker: &WorkerId) {
        self.lock().remove(worker);
    }

    /// The uid of a worker's processes.
    pub fn owner(&self, worker: &WorkerId) -> Option<u32> {
        self.lock().get(worker).map(|entry| entry.uid)
    }

    /// The workers whose credentials are past half their life or missing, in order of id.
    pub fn due_for_refresh(&self, now: SystemTime) -> Vec<WorkerId> {
        let is_due = |entry: &Entry| entry.held.as_ref().is_none_or(|held| held.half_life() <= now);
        self.lock().iter().filter(|(_, entry)| is_due(entry)).map(|(worker, _)| worker.clone()).collect()
    }

    /// The worker's present credentials if they have enough time left, for the agent's own use on its behalf.
    pub fn current(&self, worker: &WorkerId, now: SystemTime) -> Option<Credentials> {
        let entries = self.lock();
        let held = entries.get(worker)?.held.as_ref()?;
        held.credentials.are_servable(now).then(|| held.credentials.clone())
    }

    /// Fetches and keeps new credentials of `worker`, unless `is_fresh` holds for what another caller just brought.
    ///
    /// Cancel safe.
    async fn refreshed(
        &self,
        worker: &WorkerId,
        is_fresh: impl Fn(&Self) -> bool,
    ) -> Result<(), RefreshError> {
        let Some(gate) = self.lock().get(worker).map(|entry| entry.refreshing.clone()) else {
            return Ok(());
        };
        let fetch = async {
            let _turn = gate.acquire().await.expect("the semaphore is never closed");
            if is_fresh(self) {
                return Ok(());
            }
            let credentials = self.refresh.refresh(worker).await?;
            self.update(worker, credentials, SystemTime::now());
            Ok(())
        };
        match tokio::time::timeout(REFRESH_TIMEOUT, fetch).await {
            Ok(done) => done,
            Err(elapsed) => Err(RefreshError(Box::new(elapsed))),
        }
    }

    /// Renews the credentials of `worker` in the background if they are due; cancel safe.
    pub async fn renew(&self, worker: &WorkerId) -> Result<(), RefreshError> {
        let is_fresh = |registry: &Self| {
            let entries = registry.lock();
            let held = entries.get(worker).and_then(|entry| entry.held.as_ref());
            held.is_some_and(|held| held.half_life() > SystemTime::now())
        };
        self.refreshed(worker, is_fresh).await
    }

    /// Who has this token; every token is compared, each in constant time.
    pub(crate) fn identify(&self, presented: &[u8]) -> Result<Claim, Denied> {
        let entries = self.lock();
        let mut found = None;
        for (worker, entry) in entries.iter() {
            if entry.token.matches(presented) {
                found = Some(Claim { worker: worker.clone(), uid: entry.uid });
            }
        }
        found.ok_or(Denied::UnknownToken)
    }

    /// The credentials for a claim presented by a process of `actual` uid, fetched if need be.
    pub(crate) async fn answer(&self, claim: Claim, actual: u32) -> Result<Credentials, Denied> {
        let Claim { worker, uid: expected } = claim;
        if actual != expected {
            return Err(Denied::WrongOwner { worker, expected, actual });
        }
        if let Some(credentials) = self.current(&worker, SystemTime::now()) {
            return Ok(credentials);
        }
        let is_fresh = |registry: &Self| registry.current(&worker, SystemTime::now()).is_some();
        if let Err(source) = self.refreshed(&worker, is_fresh).await {
            return Err(Denied::NotFresh { worker, source });
        }
        if !self.lock().contains_key(&worker) {
            return Err(Denied::UnknownToken); // Removed while we fetched.
        }
        self.current(&worker, SystemTime::now()).ok_or_else(|| {
            let source = RefreshError("the new credentials have less than 20 minutes left".into());
            Denied::NotFresh { worker, source }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Entry>> {
        // No code panics while it holds the lock half way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that a token belongs to, with the uid that may present it.
pub(crate) struct Claim {
    worker: WorkerId,
    uid: u32,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::credentials::Secret;

    const HOUR: Duration = Duration::from_secs(3600);

    pub(crate) fn credentials(name: &str, expires_at: SystemTime) -> Credentials {
        Credentials {
            access_key_id: format!("ASIA{name}"),
            secret_access_key: Secret::new("sesame"),
            session_token: Secret::new("session"),
            expires_at,
            role_arn: "arn:aws:iam::000000000000:role/hearth-job".into(),
        }
    }

    /// Answers credentials named after the count of calls, for `life`, or an error.
    pub(crate) struct Fetch {
        pub(crate) calls: AtomicUsize,
        pub(crate) life: Option<Duration>,
    }

    impl Fetch {
        pub(crate) fn lasting(life: Duration) -> Arc<Self> {
            Arc::new(Self { calls: AtomicUsize::new(0), life: Some(life) })
        }

        pub(crate) fn failing() -> Arc<Self> {
            Arc::new(Self { calls: AtomicUsize::new(0), life: None })
        }
    }

    #[async_trait]
    impl Refresh for Fetch {
        async fn refresh(&self, _worker: &WorkerId) -> Result<Credentials, RefreshError> {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            let life = self.life.ok_or_else(|| RefreshError("coordinator away".into()))?;
            Ok(credentials(&format!("FETCH{call}"), SystemTime::now() + life))
        }
    }

    pub(crate) fn worker(name: &str) -> WorkerId {
        WorkerId::new(name).unwrap()
    }

    async fn ask(registry: &Registry, token: &WorkerToken, uid: u32) -> Result<String, Denied> {
        let claim = registry.identify(token.expose().as_bytes())?;
        registry.answer(claim, uid).await.map(|credentials| credentials.access_key_id)
    }

    #[tokio::test]
    async fn each_worker_gets_its_own_and_only_under_its_uid() {
        let registry = Registry::new(Fetch::failing());
        let now = SystemTime::now();
        let (one, two) = (WorkerToken::random(), WorkerToken::random());
        registry.insert(worker("w1"), one.clone(), 101, Some(credentials("ONE", now + HOUR)), now);
        registry.insert(worker("w2"), two.clone(), 102, Some(credentials("TWO", now + HOUR)), now);
        assert_eq!(ask(&registry, &one, 101).await.unwrap(), "ASIAONE");
        assert_eq!(ask(&registry, &two, 102).await.unwrap(), "ASIATWO");
        assert!(matches!(
            ask(&registry, &one, 102).await,
            Err(Denied::WrongOwner { expected: 101, actual: 102, .. })
        ));
        assert!(matches!(ask(&registry, &WorkerToken::random(), 101).await, Err(Denied::UnknownToken)));
    }

    #[tokio::test]
    async fn removal_revokes_at_once_and_a_late_update_does_not_revive() {
        let registry = Registry::new(Fetch::lasting(HOUR));
        let now = SystemTime::now();
        let token = WorkerToken::random();
        registry.insert(worker("w1"), token.clone(), 1, Some(credentials("ONE", now + HOUR)), now);
        let claim = registry.identify(token.expose().as_bytes()).unwrap();
        registry.remove(&worker("w1"));
        assert!(matches!(ask(&registry, &token, 1).await, Err(Denied::UnknownToken)));
        assert!(matches!(registry.answer(claim, 1).await, Err(Denied::UnknownToken)));
        assert!(!registry.update(&worker("w1"), credentials("LATE", now + HOUR), now));
        assert!(registry.due_for_refresh(now + HOUR).is_empty());
    }

    #[tokio::test]
    async fn old_credentials_are_fetched_anew_once_for_all_who_ask() {
        let fetch = Fetch::lasting(HOUR);
        let registry = Registry::new(fetch.clone());
        let now = SystemTime::now();
        let token = WorkerToken::random();
        let nineteen_minutes = Duration::from_secs(19 * 60);
        let old = credentials("OLD", now + nineteen_minutes);
        registry.insert(worker("w1"), token.clone(), 1, Some(old), now);
        let (first, second) = tokio::join!(ask(&registry, &token, 1), ask(&registry, &token, 1));
        assert_eq!((first.unwrap(), second.unwrap()), ("ASIAFETCH1".into(), "ASIAFETCH1".into()));
        assert_eq!(fetch.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_refreshed_is_not_served() {
        let now = SystemTime::now();
        let token = WorkerToken::random();
        for fetch in [Fetch::failing(), Fetch::lasting(Duration::from_secs(60))] {
            let registry = Registry::new(fetch);
            registry.insert(worker("w1"), token.clone(), 1, None, now);
            assert!(matches!(ask(&registry, &token, 1).await, Err(Denied::NotFresh { .. })));
        }
    }

    #[tokio::test]
    async fn credentials_are_due_at_half_life() {
        let fetch = Fetch::lasting(HOUR);
        let registry = Registry::new(fetch.clone());
        let now = SystemTime::now();
        registry.insert(worker("w1"), WorkerToken::random(), 1, Some(credentials("ONE", now + HOUR)), now);
        assert!(registry.due_for_refresh(now + HOUR / 2 - Duration::from_secs(1)).is_empty());
        assert_eq!(registry.due_for_refresh(now + HOUR / 2), [worker("w1")]);
        registry.renew(&worker("w1")).await.unwrap();
        assert_eq!(fetch.calls.load(Ordering::SeqCst), 0, "not due yet");
        registry.insert(worker("w2"), WorkerToken::random(), 1, None, now);
        assert_eq!(registry.due_for_refresh(now), [worker("w2")]);
        registry.renew(&worker("w2")).await.unwrap();
        assert!(registry.current(&worker("w2"), SystemTime::now()).is_some());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", credentials("X", SystemTime::now()));
        assert!(!shown.contains("sesame") && !shown.contains("session\""), "{shown}");
    }
}
