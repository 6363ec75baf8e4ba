//! Tests of hearth as a whole; see `tests/README.md`. What Rust tests share lives here, of which there is nothing yet.
