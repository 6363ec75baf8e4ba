//! Placeholder.

pub mod log_rotation;
