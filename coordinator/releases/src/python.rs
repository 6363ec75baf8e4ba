//! Python versions and the range of them that a release supports.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Python minor version, such as `3.11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    /// The major number.
    pub major: u16,
    /// The minor number.
    pub minor: u16,
}

/// A range of Python versions, written as comma-separated `>=X.Y` and `<X.Y` bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonRequirement {
    at_least: Option<PythonVersion>,
    below: Option<PythonVersion>,
}

/// A text is not a Python version or requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form {1}")]
pub struct ParseError(String, &'static str);

impl FromStr for PythonVersion {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError(text.to_owned(), "X.Y");
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self { major: major.parse().map_err(|_| wrong())?, minor: minor.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl PythonRequirement {
    /// Tells whether `version` is in the range.
    #[must_use]
    pub fn admits(&self, version: PythonVersion) -> bool {
        self.at_least.is_none_or(|bound| version >= bound) && self.below.is_none_or(|bound| version < bound)
    }
}

impl FromStr for PythonRequirement {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut range = Self { at_least: None, below: None };
        for bound in text.split(',').map(str::trim) {
            if let Some(version) = bound.strip_prefix(">=") {
                range.at_least = Some(version.trim().parse()?);
            } else if let Some(version) = bound.strip_prefix('<').filter(|rest| !rest.starts_with('=')) {
                range.below = Some(version.trim().parse()?);
            } else {
                return Err(ParseError(text.to_owned(), ">=X.Y,<X.Y"));
            }
        }
        Ok(range)
    }
}

impl fmt::Display for PythonRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at_least, self.below) {
            (Some(low), Some(high)) => write!(f, ">={low},<{high}"),
            (Some(low), None) => write!(f, ">={low}"),
            (None, Some(high)) => write!(f, "<{high}"),
            (None, None) => f.write_str("any"),
        }
    }
}

macro_rules! serde_as_text {
    ($($kind:ty),*) => { $(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}
serde_as_text!(PythonVersion, PythonRequirement);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_admits_its_lower_bound_and_not_its_upper() {
        let range: PythonRequirement = ">=3.9,<3.13".parse().unwrap();
        for (version, admitted) in
            [("3.8", false), ("3.9", true), ("3.11", true), ("3.12", true), ("3.13", false), ("4.0", false)]
        {
            assert_eq!(range.admits(version.parse().unwrap()), admitted, "{version}");
        }
        assert_eq!(range.to_string(), ">=3.9,<3.13");
    }

    #[test]
    fn other_operators_are_refused() {
        for text in ["==3.9", "<=3.9", "3.9", "", ">=3"] {
            assert!(text.parse::<PythonRequirement>().is_err(), "{text}");
        }
    }
}
