//! `hearth`: what a person types.
fn main() {}
