//! `hearth-coordinator`: the cluster's daemon.
fn main() {}
