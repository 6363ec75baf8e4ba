//! The EMR Serverless API: REST with JSON, as the service model of 2021-07-13 states it.

pub mod control_plane;
pub mod wire;
