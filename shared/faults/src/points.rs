//! The table of all points. Each has one place in the code and a case in `tests/endurance/fault_points.py` (a rule of
//! `tests/tidy.rs`).

macro_rules! points {
    ($($(#[doc = $text:literal])+ $point:ident = $name:literal,)+) => {
        /// A boundary between what is persisted and what is performed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $text])+ $point,)+
        }

        impl Point {
            /// Every point, in the order of a job run's way.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// Its name: the part of hearth, and what has just been done or is about to be.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A turn is decided, nothing of it is on disk.
    EngineDecided = "engine.decided",
    /// A turn is committed, nobody was answered.
    EngineCommitted = "engine.committed",
    /// All askers of a turn are answered, no effect is performed.
    EngineAnswered = "engine.answered",
    /// An effect was handed over, the next one was not.
    EngineEffectHandedOver = "engine.effect-handed-over",
    /// The writer executed a group of jobs, their transaction is open.
    StoreExecuted = "store.executed",
    /// The writer committed a group of jobs, none of them is answered.
    StoreCommitted = "store.committed",
    /// A body is on disk as a blob, no row names it.
    ObjectsReceived = "objects.received",
    /// Changes of the index are executed, their transaction is open.
    ObjectsExecuted = "objects.executed",
    /// Changes of the index are durable; blobs are not kept or removed yet, nobody is answered.
    ObjectsCommitted = "objects.committed",
    /// A multipart upload was completed, the answer was not sent.
    ObjectsUploadCompleted = "objects.upload-completed",
    /// An agent's greeting was heard, not recorded.
    AgentsGreeted = "agents.greeted",
    /// An agent's attaching is durable; what it is owed was not sent.
    AgentsAttached = "agents.attached",
    /// An order to start a worker is made, with its credentials, and not sent.
    AgentsStartOrdered = "agents.start-ordered",
    /// An order to start a worker was handed to the stream.
    AgentsStartSent = "agents.start-sent",
    /// A report of a worker was heard, not recorded.
    AgentsReportHeard = "agents.report-heard",
    /// A report of a worker is durable, the next message was not looked at.
    AgentsReportRecorded = "agents.report-recorded",
    /// An order to forget a worker, whose end is durable, was handed to the stream.
    AgentsForgetSent = "agents.forget-sent",
    /// A worker's credentials were asked for and made, the answer was not sent.
    AgentsCredentialsMade = "agents.credentials-made",

    /// The newest fence is on disk, the order that moved it was not carried out.
    AgentFenceRecorded = "agent.fence-recorded",
    /// A worker's order is on disk, its state is not: it was not accepted.
    AgentSpecRecorded = "agent.spec-recorded",
    /// A worker is accepted, its task has not begun.
    AgentWorkerRecorded = "agent.worker-recorded",
    /// A worker's state is on disk, its next deed has not begun.
    AgentStateRecorded = "agent.state-recorded",
    /// A user id was taken, which only this agent's memory knows.
    AgentUidTaken = "agent.uid-taken",
    /// A worker's directories are made, which its state does not say.
    AgentDirectoriesMade = "agent.directories-made",
    /// A worker's control group is made, which its state does not say.
    AgentCgroupMade = "agent.cgroup-made",
    /// A worker's lease file is written, its keeper was not started.
    AgentLeaseWritten = "agent.lease-written",
    /// The plan of a launch is on disk, the keeper was not started.
    AgentLaunchWritten = "agent.launch-written",
    /// The keeper's process was started, nothing was heard of it.
    AgentKeeperSpawned = "agent.keeper-spawned",
    /// The keeper said that its worker runs, which the worker's state does not say.
    AgentLaunched = "agent.launched",
    /// What a waiting JVM is to run is on disk, the JVM was not told.
    AgentRunRecorded = "agent.run-recorded",
    /// A waiting JVM was told what to run.
    AgentRunTold = "agent.run-told",
    /// The keeper's record of the end was read, the worker's state does not say so.
    AgentExitSeen = "agent.exit-seen",
    /// An object with log bytes was uploaded, the cursor does not say so.
    AgentLogUploaded = "agent.log-uploaded",
    /// The cursor of shipped logs is on disk.
    AgentLogRecorded = "agent.log-recorded",
    /// All logs of a worker are shipped, its state does not say so.
    AgentLogsFlushed = "agent.logs-flushed",
    /// A message to the coordinator was handed to the stream.
    AgentMessageSent = "agent.message-sent",
    /// The order to forget a worker was heard, nothing was done about it.
    AgentForgetHeard = "agent.forget-heard",
    /// The fence remembers a worker that is about to be removed.
    AgentRemovalFenced = "agent.removal-fenced",
    /// A worker's control group is removed, its directory is not.
    AgentCgroupRemoved = "agent.cgroup-removed",
    /// A worker's directory lost its name, and is still there.
    AgentDirectoryRenamed = "agent.directory-renamed",
    /// Nothing of a worker is left on the host, which its agent has yet to notice.
    AgentWorkerRemoved = "agent.worker-removed",
    /// A bundle's archive is complete, nothing of it is unpacked.
    AgentBundleDownloaded = "agent.bundle-downloaded",
    /// A bundle is unpacked, not under its name.
    AgentBundleUnpacked = "agent.bundle-unpacked",
    /// A bundle is under its name, who asked for it was not told.
    AgentBundlePublished = "agent.bundle-published",

    /// The keeper holds the launch file, nothing is started.
    KeeperLaunchRead = "keeper.launch-read",
    /// The worker's process runs, `keeper.json` is not written.
    KeeperWorkerStarted = "keeper.worker-started",
    /// `keeper.json` is on disk, the agent was not told.
    KeeperRecorded = "keeper.recorded",
    /// The worker's first process ended, its descendants were not killed.
    KeeperWorkerEnded = "keeper.worker-ended",
    /// `exit.json` is on disk, the agent was not told.
    KeeperExitRecorded = "keeper.exit-recorded",

    /// A join token was consumed and the agent has an id, the answer was not sent.
    EnrolmentRecorded = "enrolment.recorded",
    /// The agent's identity is on disk, nobody was told.
    AgentJoined = "agent.joined",
    /// `hearth up` enrolled its agent, and did not start it.
    UpEnrolled = "up.enrolled",
    /// `hearth up` started its agent, which nobody else knows.
    UpAgentStarted = "up.agent-started",
    /// A renewed certificate is signed, the answer was not sent.
    AgentsCertificateSigned = "agents.certificate-signed",
    /// A renewed certificate is on disk, connections use the former one.
    AgentCertificateSaved = "agent.certificate-saved",
    /// A release's bundle is built, not in the object store.
    ReleaseBuilt = "release.built",
    /// A release's bundle is in the object store, which is not recorded.
    ReleaseKept = "release.kept",
}
