//! What both daemons say about themselves: log lines, the names of their fields, and metrics.

pub mod field;
mod logging;
mod metrics;

pub use logging::{LogFormat, LoggingError, error_chain, start_logging, start_logging_to};
pub use metrics::{CONTENT_TYPE, Labels, Metrics};
pub use prometheus_client;
