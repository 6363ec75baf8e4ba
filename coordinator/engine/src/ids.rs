//! Fresh identifiers, in the shapes that clients of the service know: 16 characters that begin with `00`.

use hearth_types::{AgentId, ApplicationId, JobRunId, WorkerId};
use rand::RngExt;

/// Lower-case letters and digits without those that are easily confused.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstuvwxy";

fn fresh(prefix: &str, length: usize) -> String {
    let mut random = rand::rng();
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    id.extend((0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])));
    id
}

/// An identifier for a new application.
pub fn fresh_application_id() -> ApplicationId {
    ApplicationId::new(fresh("00f", 13)).expect("letters and digits")
}

/// An identifier for a new job run.
pub fn fresh_job_run_id() -> JobRunId {
    JobRunId::new(fresh("00f", 13)).expect("letters and digits")
}

/// An identifier for a new worker.
pub fn fresh_worker_id() -> WorkerId {
    WorkerId::new(fresh("w-", 14)).expect("letters and digits")
}

/// An identifier for a new agent.
pub fn fresh_agent_id() -> AgentId {
    AgentId::new(fresh("a-", 14)).expect("letters and digits")
}
