//! Answers the object gateway's question who may do what, from identities and policies.

use async_trait::async_trait;
use hearth_engine::now;
use hearth_identity::{Circumstances, CredentialError, Identity, Principal};
use hearth_objects::{DenialBasis, Denied, Gatekeeper, ObjectCall};
use std::sync::Arc;

/// Identity as the gateway sees it.
pub(super) struct IdentityGate {
    pub(super) identity: Arc<Identity>,
    /// The Region that the gateway is in.
    pub(super) region: String,
}

/// What delivering logs takes.
const LOG_ACTIONS: [&str; 4] =
    ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];

impl IdentityGate {
    /// A superseded worker that delivers what it wrote before its end.
    fn log_writer(&self, call: &ObjectCall<'_>) -> Option<Principal> {
        let token = call.session_token.filter(|_| LOG_ACTIONS.contains(&call.action))?;
        self.identity.log_writer(token, call.access_key_id, call.resource, now())
    }
}

#[async_trait]
impl Gatekeeper for IdentityGate {
    async fn secret_key(&self, access_key_id: &str) -> Option<String> {
        self.identity.secret_of_key(access_key_id)
    }

    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied> {
        let at = now();
        let principal = match self.identity.secret_for(call.access_key_id, call.session_token, at) {
            Ok(caller) => caller.principal,
            Err(CredentialError::Unknown) => return Err(Denied::InvalidToken),
            Err(CredentialError::Expired) => return Err(Denied::ExpiredToken),
            Err(CredentialError::Superseded) => self.log_writer(call).ok_or(Denied::ExpiredToken)?,
        };
        self.identity.note_use(&principal, "s3", &self.region, at);
        let ObjectCall { source_ip, is_tls, .. } = *call;
        let mut context = Circumstances { at, source_ip, is_tls, region: &self.region }.context();
        if let Some(prefix) = call.prefix {
            context.set("s3:prefix", prefix);
        }
        if let Some(delimiter) = call.delimiter {
            context.set("s3:delimiter", delimiter);
        }
        self.identity.authorize(&principal, call.action, call.resource, &context).map_err(|denied| {
            let explicit = denied.reason.contains("explicit deny");
            Denied::NotAuthorized {
                principal: denied.arn,
                basis: if explicit { DenialBasis::ExplicitDeny } else { DenialBasis::NoAllow },
            }
        })
    }
}
