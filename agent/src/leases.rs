//! Leases of this host's workers: what contact there is with the coordinator, and for each worker that has a lease a task
//! that keeps the file current by which its keeper holds it.

use crate::spec::Spec;
use hearth_keeper::system::boottime;
use hearth_lease::{Contact, Deadlines, Lease};
use hearth_processes::{KeeperHandle, LeaseFile, LeaseFileError, WorkerDir};
use hearth_telemetry::error_chain;
use hearth_types::WorkerId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

/// The contact with the coordinator, as far as leases are concerned: the session sets it, workers follow. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contacts(Arc<watch::Sender<Option<Contact>>>);

impl Contacts {
    /// A stream was welcomed, whose greeting was sent at `greeted`. Until it is settled, nothing is moved on.
    pub(crate) fn welcomed(&self, greeted: Duration) {
        self.0.send_replace(Some(Contact::new(greeted)));
    }

    /// What this agent reported has been judged. Outdated drivers must have lost their [`Standing`] before.
    pub(crate) fn settled(&self) {
        self.change(Contact::settle);
    }

    /// The heartbeat sent at `sent` was answered.
    pub(crate) fn answered(&self, sent: Duration) {
        // One from the future was never sent.
        if sent <= boottime() {
            self.change(|contact| contact.answer(sent));
        }
    }

    /// The coordinator will be away: all leases are good for so long.
    pub(crate) fn extended(&self, length: Duration) {
        self.change(|contact| contact.extend(length));
    }

    fn change(&self, change: impl FnOnce(&mut Contact)) {
        self.0.send_if_modified(|contact| {
            let before = *contact;
            if let Some(contact) = contact {
                change(contact);
            }
            *contact != before
        });
    }

    /// The deadlines that a worker has if it starts now; `None` before any contact.
    pub(crate) fn deadlines(&self, lease: Lease) -> Option<Deadlines> {
        self.0.borrow().map(|contact| contact.deadlines(lease, None))
    }

    /// Waits until a worker with this lease may start: the coordinator has judged what this agent holds, the worker is
    /// not outdated, and the lease holds. Cancel safe.
    pub(crate) async fn may_start(&self, lease: Lease, standing: &Standing) {
        let may_start = |contact: &Option<Contact>| {
            contact.is_some_and(|contact| {
                contact.is_settled()
                    && standing.is_good()
                    && boottime() < contact.deadlines(lease, None).first()
            })
        };
        // The sender is held here.
        let _ = self.0.subscribe().wait_for(may_start).await;
    }
}

/// Whether a worker's lease may be renewed: not once it is known to be outdated, or a frozen one would be thawed before
/// it is killed. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    is_lost: Arc<AtomicBool>,
}

impl Standing {
    /// Ends it for good.
    pub(crate) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
    }

    fn is_good(&self) -> bool {
        !self.is_lost.load(Ordering::SeqCst)
    }
}

/// One worker's lease.
#[derive(Debug, Clone)]
pub(crate) struct Tenancy {
    worker: WorkerId,
    lease: Lease,
    file: LeaseFile,
    standing: Standing,
    contacts: Contacts,
}

impl Tenancy {
    /// A worker's lease, if it has one.
    pub(crate) fn of(contacts: &Contacts, spec: &Spec, dir: &WorkerDir, standing: &Standing) -> Option<Self> {
        Some(Self {
            worker: spec.worker_id.clone(),
            lease: spec.lease()?,
            file: dir.lease(),
            standing: standing.clone(),
            contacts: contacts.clone(),
        })
    }

    /// Writes the first deadlines, before the keeper is started. Blocks.
    ///
    /// # Errors
    /// The file's.
    pub(crate) fn begin(&self) -> Result<(), LeaseFileError> {
        // A worker that waited for contact has had some.
        let deadlines = self.contacts.deadlines(self.lease).unwrap_or(self.lease.deadlines(Duration::ZERO));
        self.file.create(deadlines)
    }

    /// Keeps the deadlines current until the handle is dropped; the keeper goes on by itself.
    pub(crate) fn keep(self, keeper: Arc<KeeperHandle>) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(self.follow(keeper)))
    }

    async fn follow(self, keeper: Arc<KeeperHandle>) {
        let mut contacts = self.contacts.0.subscribe();
        let mut is_known = false;
        let mut ends_at = None;
        loop {
            let contact = *contacts.borrow_and_update();
            // In this order: standing is lost before the contact is settled.
            if let Some(contact) = contact
                && self.standing.is_good()
            {
                match self.move_on(contact).await {
                    Ok(moved) => {
                        self.tell(moved, is_known, &keeper);
                        // An end that is past was told when it came.
                        (is_known, ends_at) = (true, Some(moved.to.first()).filter(|end| boottime() < *end));
                    }
                    Err(error) => {
                        let error = error_chain(&error);
                        tracing::error!(worker_id = %self.worker, error, "moving a lease on failed");
                    }
                }
            }
            tokio::select! {
                changed = contacts.changed() => if changed.is_err() { return },
                () = until(ends_at) => {
                    tracing::warn!(worker_id = %self.worker, "the coordinator is out of reach, a lease ends");
                    ends_at = None;
                }
            }
        }
    }

    async fn move_on(&self, contact: Contact) -> Result<Moved, LeaseFileError> {
        let (file, lease) = (self.file.clone(), self.lease);
        let moved = tokio::task::spawn_blocking(move || {
            let from = file.read().ok();
            let to = contact.deadlines(lease, from);
            if from != Some(to) {
                file.overwrite(to)?;
            }
            Ok(Moved { from, to })
        });
        match moved.await.map_err(JoinError::try_into_panic) {
            Ok(moved) => moved,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => std::future::pending().await, // The agent is stopping, and so are we.
        }
    }

    /// Tells the keeper what it would not see by itself at the next deadline it knows of.
    fn tell(&self, moved: Moved, is_known: bool, keeper: &KeeperHandle) {
        let now = boottime();
        let was_over = moved.from.is_none_or(|from| from.first() <= now);
        let is_shorter = moved.from.is_some_and(|from| moved.to != moved.to.later(from));
        if was_over && now < moved.to.first() {
            tracing::info!(worker_id = %self.worker, "contact is back, a worker goes on");
        }
        // What an agent that crashed meant to tell is told by the next.
        if (was_over || is_shorter || !is_known)
            && let Err(error) = keeper.nudge()
        {
            tracing::error!(worker_id = %self.worker, %error, "a keeper could not be nudged");
        }
    }
}

/// How the deadlines of a worker have changed; none before if they could not be read.
#[derive(Debug, Clone, Copy)]
struct Moved {
    from: Option<Deadlines>,
    to: Deadlines,
}

async fn until(moment: Option<Duration>) {
    match moment {
        Some(moment) => sleep(moment.saturating_sub(boottime())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_lease::AtEnd;

    const LEASE: Lease = Lease { length: Duration::from_secs(600), at_end: AtEnd::Freeze };

    fn contacts() -> Contacts {
        let contacts = Contacts::default();
        contacts.welcomed(boottime());
        contacts
    }

    async fn may_start(contacts: &Contacts, lease: Lease, standing: &Standing) -> bool {
        tokio::select! {
            biased;
            () = contacts.may_start(lease, standing) => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn a_worker_starts_only_when_the_coordinator_has_judged_and_the_lease_holds() {
        let (contacts, standing) = (contacts(), Standing::default());
        assert!(!may_start(&Contacts::default(), LEASE, &standing).await, "no contact yet");
        assert!(!may_start(&contacts, LEASE, &standing).await, "not judged yet");
        contacts.settled();
        assert!(may_start(&contacts, LEASE, &standing).await);
        let over = Lease { length: Duration::ZERO, ..LEASE };
        assert!(!may_start(&contacts, over, &standing).await, "its lease is over");
        standing.lose();
        assert!(!may_start(&contacts, LEASE, &standing).await, "it is outdated");
    }

    #[test]
    fn an_answer_from_the_future_is_not_believed() {
        let contacts = contacts();
        contacts.settled();
        let before = contacts.deadlines(LEASE);
        contacts.answered(boottime() + Duration::from_secs(1000));
        assert_eq!(contacts.deadlines(LEASE), before);
        contacts.answered(boottime());
        assert!(contacts.deadlines(LEASE).unwrap().kill_at > before.unwrap().kill_at);
    }
}
