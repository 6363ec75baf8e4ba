//! What the gateway asks of whoever knows identities and policies.

use std::net::IpAddr;

/// Answers who may do what. Implemented where identities and policies live.
#[async_trait::async_trait]
pub trait Gatekeeper: Send + Sync + 'static {
    /// The secret key of an access key id; `None` if it is unknown.
    async fn secret_key(&self, access_key_id: &str) -> Option<String>;

    /// Whether the caller, whose signature is proven, may do one action on one resource. The session token has not
    /// been checked: whether it belongs to the access key is the gatekeeper's to say.
    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied>;
}

/// One action on one resource, by one caller.
#[derive(Debug, Clone, Copy)]
pub struct ObjectCall<'a> {
    /// The access key id of the signature.
    pub access_key_id: &'a str,
    /// The session token that came, signed, with the request.
    pub session_token: Option<&'a str>,
    /// The IAM action, such as `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN, such as `arn:aws:s3:::bucket/key`.
    pub resource: &'a str,
    /// For the actions that list a bucket: the prefix asked for (condition key `s3:prefix`).
    pub prefix: Option<&'a str>,
    /// For the actions that list a bucket: the delimiter asked for (condition key `s3:delimiter`).
    pub delimiter: Option<&'a str>,
    /// The caller's address, where known.
    pub source_ip: Option<IpAddr>,
    /// Whether the request came over TLS.
    pub is_tls: bool,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The policies do not allow it.
    NotAuthorized {
        /// The caller's ARN, as shown in the message.
        principal: String,
        /// What the refusal rests on.
        basis: DenialBasis,
    },
    /// The session token does not belong to the access key, or is missing.
    InvalidToken,
    /// The session token's time is over.
    ExpiredToken,
}

/// What a refusal rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialBasis {
    /// No policy allows the action.
    NoAllow,
    /// A policy denies it.
    ExplicitDeny,
}
