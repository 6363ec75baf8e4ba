//! The keeper's error: a step that failed, and the cause the system gave.

use std::fmt;
use std::io;

/// A step that failed. Displays as `what was being done: cause`, the text that ends up in `launch_error`.
#[derive(Debug)]
pub struct StepFailed {
    step: String,
    source: io::Error,
}

impl StepFailed {
    /// Says that `step` (a phrase such as `opening /x`) failed because of `source`.
    pub fn new(step: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { step: step.into(), source: source.into() }
    }
}

impl fmt::Display for StepFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.step, self.source)
    }
}

impl std::error::Error for StepFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Names the step a result belongs to.
pub trait DuringStep<T> {
    /// Turns an error into [`StepFailed`] with the phrase that `step` makes.
    ///
    /// # Errors
    /// The result's own error, named.
    fn during<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T, StepFailed>;
}

impl<T, E: Into<io::Error>> DuringStep<T> for Result<T, E> {
    fn during<S: Into<String>>(self, step: impl FnOnce() -> S) -> Result<T, StepFailed> {
        self.map_err(|source| StepFailed::new(step(), source))
    }
}
