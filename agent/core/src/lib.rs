//! What an agent decides, without performing any of it: a worker's life, whose orders count, how a JVM is started.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod fence;
pub mod jvm;
pub mod level;
pub mod life;
pub mod log_rotation;
pub mod placeholders;
pub mod view;
