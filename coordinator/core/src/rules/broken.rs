//! One rule that a request breaks.

/// A member of a request, the rule that it breaks, and its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} {rule}, got {value}")]
pub struct Broken {
    /// The member's path, such as `retryPolicy.maxAttempts`.
    pub member: String,
    /// What it must be, as in `must be between 1 and 10`.
    pub rule: &'static str,
    /// What it is; texts are quoted.
    pub value: String,
}

impl Broken {
    /// With a number for a value.
    pub fn number(member: &str, rule: &'static str, value: u64) -> Self {
        Self { member: member.to_owned(), rule, value: value.to_string() }
    }

    /// With a text for a value.
    pub fn text(member: &str, rule: &'static str, value: &str) -> Self {
        Self { member: member.to_owned(), rule, value: format!("{value:?}") }
    }
}
