//! Ways to break hearth on purpose, so that the checker is seen to notice.

use crate::plan::FaultKind;

/// What is done wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mutation {
    /// Nothing.
    #[default]
    None,
    /// Clients are answered before the commit.
    AnswerBeforeCommit,
    /// Effects are performed before the commit.
    PerformBeforeCommit,
    /// A booking is released when the stop is sent, not when the end is confirmed.
    ReleaseBookingAtStop,
    /// An agent carries out every order to start a worker, whatever its fence says.
    SkipFence,
    /// A restarted agent launches again what it was about to launch, without looking whether it runs.
    LaunchAgain,
    /// A restarted agent takes up no workers and removes nothing.
    ForgetWorkers,
    /// An agent reports a worker's end when it sends the kill, not when its process is gone.
    ReportEndAtKill,
    /// A worker whose order cannot be made is taken for one that its agent was never told of.
    EndWhatWasToldToStart,
    /// An agent says nothing of a worker that it is told to end and does not hold.
    IgnoreStopOfUnknown,
    /// An agent greets while orders of the former stream still wait.
    GreetWhileOrdersWait,
    /// A greeting counts although its agent has dialled anew since.
    HeedAbandonedGreetings,
    /// A keeper does nothing at the end of a lease.
    NeverFreeze,
    /// An agent back in contact lets outdated drivers go on.
    ThawOutdated,
    /// Leases are extended also where that is not recorded.
    ExtendUnrecorded,
    /// An extension of leases is counted from its hearing, however late that is.
    ExtendFromHearing,
    /// A worker is started before its lease holds.
    StartWithoutContact,
    /// A worker's program is executed though its lease has ended meanwhile.
    ExecuteTooLate,
    /// A store that failed is believed to have kept the changes.
    KeepWorldAfterFailure,
    /// What a restarted coordinator owes is not performed, and agents that attach are owed nothing.
    OweNothing,
}

impl Mutation {
    /// Every way.
    pub const ALL: [Self; 19] = [
        Self::AnswerBeforeCommit,
        Self::PerformBeforeCommit,
        Self::ReleaseBookingAtStop,
        Self::SkipFence,
        Self::LaunchAgain,
        Self::ForgetWorkers,
        Self::ReportEndAtKill,
        Self::EndWhatWasToldToStart,
        Self::IgnoreStopOfUnknown,
        Self::GreetWhileOrdersWait,
        Self::HeedAbandonedGreetings,
        Self::NeverFreeze,
        Self::ThawOutdated,
        Self::ExtendUnrecorded,
        Self::ExtendFromHearing,
        Self::StartWithoutContact,
        Self::ExecuteTooLate,
        Self::KeepWorldAfterFailure,
        Self::OweNothing,
    ];

    /// The kinds of faults by which it shows; none in particular when empty. A seed then draws from these alone, so that
    /// a few hundred seeds are enough to notice.
    pub(crate) const fn shows_by(self) -> &'static [FaultKind] {
        use FaultKind as K;
        match self {
            Self::None
            | Self::AnswerBeforeCommit
            | Self::PerformBeforeCommit
            | Self::ReleaseBookingAtStop
            | Self::ForgetWorkers
            | Self::ReportEndAtKill => &[],
            Self::SkipFence => &[K::Repetition],
            Self::LaunchAgain => &[K::AgentCrash],
            Self::EndWhatWasToldToStart => &[K::StoreTrouble, K::SupplyTrouble],
            Self::GreetWhileOrdersWait => &[K::DiskFull, K::CutStream, K::CoordinatorCrash],
            Self::HeedAbandonedGreetings => &[K::AgentCrash, K::CoordinatorCrash],
            Self::IgnoreStopOfUnknown => &[K::SupplyTrouble],
            Self::NeverFreeze | Self::ThawOutdated => &[K::LinkDown, K::AgentPause],
            Self::ExtendUnrecorded => &[K::CoordinatorLeaves, K::CoordinatorCrash, K::LinkDown],
            Self::ExtendFromHearing => &[K::CoordinatorLeaves, K::AgentPause],
            Self::StartWithoutContact | Self::ExecuteTooLate => &[K::AgentPause, K::DiskFull],
            Self::KeepWorldAfterFailure => &[K::StoreTrouble],
            Self::OweNothing => &[K::CutStream, K::CoordinatorCrash],
        }
    }
}
