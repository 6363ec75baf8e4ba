//! The states users see, named to the letter as the API names them.

/// The text names no state of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state {0:?}")]
pub struct UnknownState(pub(crate) String);

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// All of them, states in the order in which a resource usually passes through them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name outside.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownState;
            fn from_str(text: &str) -> Result<Self, $crate::UnknownState> {
                match text { $($text => Ok(Self::$variant),)+ other => Err($crate::UnknownState(other.to_owned())) }
            }
        }
    };
}

pub(crate) use states;

states!(
    /// State of an application (guide:1185-1215).
    ApplicationState {
        /// Being made.
        Creating = "CREATING",
        /// Made, holds no capacity.
        Created = "CREATED",
        /// Getting ready, pre-initialized capacity included.
        Starting = "STARTING",
        /// Accepts job runs.
        Started = "STARTED",
        /// Releasing what it holds.
        Stopping = "STOPPING",
        /// Holds nothing; may be started, changed or deleted.
        Stopped = "STOPPED",
        /// Deleted; remembered for a while.
        Terminated = "TERMINATED",
    }
);

states!(
    /// State of a job run (guide:2272-2300).
    JobRunState {
        /// Accepted and durable.
        Submitted = "SUBMITTED",
        /// Concurrency is fully used; waits its turn.
        Queued = "QUEUED",
        /// Waits for capacity.
        Pending = "PENDING",
        /// Has a place; its driver is being prepared.
        Scheduled = "SCHEDULED",
        /// The driver runs.
        Running = "RUNNING",
        /// Being ended on request or by a limit.
        Cancelling = "CANCELLING",
        /// Ended well.
        Success = "SUCCESS",
        /// Ended badly; `stateDetails` says why.
        Failed = "FAILED",
        /// Ended on request; nothing of it is left.
        Cancelled = "CANCELLED",
    }
);

impl JobRunState {
    /// Whether the state never changes again (promise P4).
    pub const fn is_final(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::Cancelled => true,
            Self::Submitted
            | Self::Queued
            | Self::Pending
            | Self::Scheduled
            | Self::Running
            | Self::Cancelling => false,
        }
    }
}

states!(
    /// What a worker does; the names are the log directories' (guide:4821).
    WorkerKind {
        /// Runs a Spark driver.
        SparkDriver = "SPARK_DRIVER",
        /// Runs a Spark executor.
        SparkExecutor = "SPARK_EXECUTOR",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for state in JobRunState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!("success".parse::<JobRunState>().is_err());
    }
}
