//! What the account may have at once (guide:9060-9073).

use crate::queueing::QUEUED_JOB_RUNS;

/// Limits over all applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Job runs in QUEUED.
    pub queued_job_runs: usize,
    /// vCPUs that live workers may hold; as many as there are if absent.
    pub vcpus: Option<u32>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { queued_job_runs: QUEUED_JOB_RUNS, vcpus: None }
    }
}

impl Quotas {
    /// Whether workers may hold so many thousandths of vCPUs.
    pub fn allow(&self, cpu_millis: u64) -> bool {
        self.vcpus.is_none_or(|limit| cpu_millis <= u64::from(limit) * 1000)
    }
}
