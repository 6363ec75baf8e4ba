//! Path patterns: which placed files a manifest drops.

use std::fmt;

use serde::Deserialize;

/// A pattern over `/`-separated relative paths: `*` matches within one segment, `**` matches any number of segments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Makes a pattern from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Tells whether the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        segments_match(&pattern, &path)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn segments_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skipped| segments_match(rest, &path[skipped..])),
        ([first, rest @ ..], [segment, tail @ ..]) => {
            segment_matches(first.as_bytes(), segment.as_bytes()) && segments_match(rest, tail)
        }
        _ => false,
    }
}

fn segment_matches(pattern: &[u8], segment: &[u8]) -> bool {
    match (pattern, segment) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=segment.len()).any(|skipped| segment_matches(rest, &segment[skipped..]))
        }
        ([wanted, rest @ ..], [byte, tail @ ..]) => wanted == byte && segment_matches(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_segment_and_double_stars_cross() {
        for (pattern, path, expected) in [
            ("spark/bin/*.cmd", "spark/bin/pyspark.cmd", true),
            ("spark/bin/*.cmd", "spark/bin/pyspark", false),
            ("spark/bin/*.cmd", "spark/bin/x/pyspark.cmd", false),
            ("python/**/tests/**", "python/numpy/tests/a.py", true),
            ("python/**/tests/**", "python/numpy/core/tests/data/a.csv", true),
            ("python/**/tests/**", "python/tests/a.py", true),
            ("python/**/tests/**", "python/numpy/testing/a.py", false),
            ("**/*.pyi", "a.pyi", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(path), expected, "{pattern} on {path}");
        }
    }
}
