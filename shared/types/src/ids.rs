//! Identifiers as newtypes, so that one kind can never be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-', got {value:?}")]
pub struct IdError {
    kind: &'static str,
    value: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the alphabet and the length; such a text is safe as a file name and in a URL path.
            pub fn new(value: impl Into<String>) -> Result<Self, IdError> {
                let value = value.into();
                let fits = (1..=64).contains(&value.len())
                    && !value.starts_with('.')
                    && value.bytes().all(|b| {
                        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
                    });
                if fits { Ok(Self(value)) } else { Err(IdError { kind: $kind, value }) }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(/// An application: what `CreateApplication` makes.
    ApplicationId, "application id");
id!(/// One accepted `StartJobRun`.
    JobRunId, "job run id");
id!(/// One driver, executor or Tez process with its limits and disk.
    WorkerId, "worker id");
id!(/// One `hearth-agent`, which is one host.
    AgentId, "agent id");
id!(/// A release such as `emr-7.6.0`.
    ReleaseLabel, "release label");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_as_a_file_name() {
        for good in ["00f1abc", "emr-7.6.0", "w-1"] {
            assert!(WorkerId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "..", ".x", "a/b", "A", "a b", "ä", &"x".repeat(65)] {
            assert!(WorkerId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_read_from_json_is_checked_too() {
        assert!(serde_json::from_str::<JobRunId>("\"../etc\"").is_err());
        assert_eq!(serde_json::to_string(&JobRunId::new("j1").expect("valid")).expect("json"), "\"j1\"");
    }
}
