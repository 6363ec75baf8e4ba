//! Answers the object gateway's question who may do what, from identities and policies.

use async_trait::async_trait;
use hearth_engine::now;
use hearth_identity::{Context, CredentialError, Identity};
use hearth_objects::{DenialBasis, Denied, Gatekeeper, ObjectCall};
use std::sync::Arc;

/// Identity as the gateway sees it.
pub(super) struct IdentityGate(pub(super) Arc<Identity>);

#[async_trait]
impl Gatekeeper for IdentityGate {
    async fn secret_key(&self, access_key_id: &str) -> Option<String> {
        self.0.secret_of_key(access_key_id)
    }

    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied> {
        let caller =
            self.0.secret_for(call.access_key_id, call.session_token, now()).map_err(
                |error| match error {
                    CredentialError::Unknown => Denied::InvalidToken,
                    CredentialError::Expired | CredentialError::Superseded => Denied::ExpiredToken,
                },
            )?;
        let mut context = Context::new();
        context.set("aws:SecureTransport", call.is_tls.to_string());
        if let Some(address) = call.source_ip {
            context.set("aws:SourceIp", address.to_string());
        }
        if let Some(prefix) = call.prefix {
            context.set("s3:prefix", prefix);
        }
        if let Some(delimiter) = call.delimiter {
            context.set("s3:delimiter", delimiter);
        }
        self.0.authorize(&caller.principal, call.action, call.resource, &context).map_err(|denied| {
            let explicit = denied.reason.contains("explicit deny");
            Denied::NotAuthorized {
                principal: denied.arn,
                basis: if explicit { DenialBasis::ExplicitDeny } else { DenialBasis::NoAllow },
            }
        })
    }
}
