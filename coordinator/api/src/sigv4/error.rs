//! Why a signature is refused, with the message that AWS's services give.

use super::presented::Scope;

/// Why a signature is refused. `Display` is the message for the client; it holds nothing the client did not send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request carries no signature.
    #[error("Missing Authentication Token")]
    Missing,
    /// The signature's parts cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// The signature's date and its scope's contradict each other.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '{}' != '{date}', from '{stamp}'.", scope.date
    )]
    ScopeDate {
        /// The scope.
        scope: Scope,
        /// The day of the request.
        date: String,
        /// The request's time.
        stamp: String,
    },
    /// The request was signed too long ago, or a presigned one has run out.
    #[error("Signature expired: {signed} is now earlier than {limit} ({now} - {minutes} min.)")]
    Expired {
        /// When it was signed.
        signed: String,
        /// The earliest time that would do.
        limit: String,
        /// Our time.
        now: String,
        /// How old a signature may be.
        minutes: i64,
    },
    /// A presigned request has run out.
    #[error("Signature expired: {now} is later than {until} ({signed} + {seconds} s).")]
    RanOut {
        /// When it was signed.
        signed: String,
        /// Until when it held.
        until: String,
        /// Our time.
        now: String,
        /// For how long it was made.
        seconds: i64,
    },
    /// The request was signed in our future.
    #[error("Signature not yet current: {signed} is still later than {limit} ({now} + {minutes} min.)")]
    NotYetCurrent {
        /// When it was signed.
        signed: String,
        /// The latest time that would do.
        limit: String,
        /// Our time.
        now: String,
        /// How far ahead a client's clock may be.
        minutes: i64,
    },
    /// The signature is not the one the secret makes.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String \
         for this request should have been\n'{canonical_request}'\n\nThe String-to-Sign should have \
         been\n'{string_to_sign}'\n"
    )]
    Mismatch {
        /// The canonical request as we read it.
        canonical_request: String,
        /// What should have been signed.
        string_to_sign: String,
    },
    /// The access key is unknown or inactive, or does not go with the session token.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The session token has run out, or was superseded.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
}

impl SignatureError {
    /// The exception's name in the JSON protocols.
    pub const fn json_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::ScopeDate { .. }
            | Self::Expired { .. }
            | Self::RanOut { .. }
            | Self::NotYetCurrent { .. }
            | Self::Mismatch { .. } => "InvalidSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
        }
    }

    /// The error's code in the query protocol.
    pub const fn query_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationToken",
            Self::Incomplete(_) => "IncompleteSignature",
            Self::ScopeDate { .. }
            | Self::Expired { .. }
            | Self::RanOut { .. }
            | Self::NotYetCurrent { .. }
            | Self::Mismatch { .. } => "SignatureDoesNotMatch",
            Self::UnknownKey => "InvalidClientTokenId",
            Self::ExpiredToken => "ExpiredToken",
        }
    }

    /// The HTTP status, the same in every protocol.
    pub const fn status(&self) -> http::StatusCode {
        match self {
            Self::Incomplete(_) => http::StatusCode::BAD_REQUEST,
            Self::Missing
            | Self::ScopeDate { .. }
            | Self::Expired { .. }
            | Self::RanOut { .. }
            | Self::NotYetCurrent { .. }
            | Self::Mismatch { .. }
            | Self::UnknownKey
            | Self::ExpiredToken => http::StatusCode::FORBIDDEN,
        }
    }
}
