//! Policy documents that were read once: the user's own text beside its meaning.

use hearth_coordinator_core::policy::{MalformedPolicy, PolicyDocument, PolicyKind};
use serde::{Deserialize, Serialize};

macro_rules! policy_text {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            text: String,
            document: PolicyDocument,
        }

        impl $name {
            /// Reads a policy document, JSON text.
            pub fn parse(text: impl Into<String>) -> Result<Self, MalformedPolicy> {
                let text = text.into();
                let document = PolicyDocument::parse(&text, $kind)?;
                Ok(Self { text, document })
            }

            /// The text as it was given.
            pub fn text(&self) -> &str {
                &self.text
            }

            /// Its length as quotas count it: characters, blanks not counted.
            pub fn size(&self) -> usize {
                self.text.chars().filter(|c| !c.is_whitespace()).count()
            }

            /// Its meaning.
            pub fn document(&self) -> &PolicyDocument {
                &self.document
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedPolicy;
            fn try_from(text: String) -> Result<Self, MalformedPolicy> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(policy: $name) -> String {
                policy.text
            }
        }
    };
}

policy_text!(
    /// What a holder may do.
    IdentityPolicy,
    PolicyKind::Identity
);
policy_text!(
    /// Who may assume a role.
    TrustPolicy,
    PolicyKind::Trust
);
