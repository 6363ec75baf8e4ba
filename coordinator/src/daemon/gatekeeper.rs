//! Answers the object gateway's question who may do what, from identities and policies.

use async_trait::async_trait;
use hearth_engine::now;
use hearth_identity::{Context, CredentialError, Identity, Principal};
use hearth_objects::{DenialBasis, Denied, Gatekeeper, ObjectCall};
use std::sync::Arc;

/// Identity as the gateway sees it.
pub(super) struct IdentityGate(pub(super) Arc<Identity>);

/// What delivering logs takes.
const LOG_ACTIONS: [&str; 4] =
    ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];

impl IdentityGate {
    /// A superseded worker that delivers what it wrote before its end.
    fn log_writer(&self, call: &ObjectCall<'_>) -> Option<Principal> {
        let token = call.session_token.filter(|_| LOG_ACTIONS.contains(&call.action))?;
        self.0.log_writer(token, call.access_key_id, call.resource, now())
    }
}

#[async_trait]
impl Gatekeeper for IdentityGate {
    async fn secret_key(&self, access_key_id: &str) -> Option<String> {
        self.0.secret_of_key(access_key_id)
    }

    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied> {
        let principal = match self.0.secret_for(call.access_key_id, call.session_token, now()) {
            Ok(caller) => caller.principal,
            Err(CredentialError::Unknown) => return Err(Denied::InvalidToken),
            Err(CredentialError::Expired) => return Err(Denied::ExpiredToken),
            Err(CredentialError::Superseded) => self.log_writer(call).ok_or(Denied::ExpiredToken)?,
        };
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
        self.0.authorize(&principal, call.action, call.resource, &context).map_err(|denied| {
            let explicit = denied.reason.contains("explicit deny");
            Denied::NotAuthorized {
                principal: denied.arn,
                basis: if explicit { DenialBasis::ExplicitDeny } else { DenialBasis::NoAllow },
            }
        })
    }
}
