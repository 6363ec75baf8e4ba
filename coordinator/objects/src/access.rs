//! Which permissions each operation needs: the one place that maps S3's operations to IAM actions and resources.
//!
//! An operation that is not in the table is refused before anything of it is read. `DeleteObjects` alone asks later,
//! for each key it names.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::CopySource;
use s3s::path::S3Path;
use s3s::{S3Error, S3Result, s3_error};

use crate::admission::Admitted;
use crate::conversion::store_error;
use crate::gatekeeper::{DenialBasis, Denied, Gatekeeper, ObjectCall};
use crate::gateway::Peer;
use crate::model::BucketAccess;
use crate::store::ObjectStore;

/// Verifies signatures and permissions through the gatekeeper.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) store: ObjectStore,
    pub(crate) gatekeeper: Arc<dyn Gatekeeper>,
}

/// Whoever signed the request, kept in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    access_key_id: String,
    session_token: Option<String>,
    peer: Peer,
}

/// What an operation does to the bucket it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

/// What an action is checked on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// All buckets.
    Everything,
    /// The bucket of the path.
    Bucket,
    /// The object of the path.
    Object,
    /// The object of the path; and `s3:GetObject` on the source of the copy.
    CopyTarget,
    /// Each key of the body, by the operation itself.
    EachKey,
}

/// The permission an operation needs, or `None` if the store does not have the operation.
fn permission(operation: &str) -> Option<(&'static str, On, Effect)> {
    Some(match operation {
        "ListBuckets" => ("s3:ListAllMyBuckets", On::Everything, Effect::Reads),
        "CreateBucket" => ("s3:CreateBucket", On::Bucket, Effect::Reads),
        "DeleteBucket" => ("s3:DeleteBucket", On::Bucket, Effect::Writes),
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => ("s3:ListBucket", On::Bucket, Effect::Reads),
        "GetBucketLocation" => ("s3:GetBucketLocation", On::Bucket, Effect::Reads),
        "ListMultipartUploads" => ("s3:ListBucketMultipartUploads", On::Bucket, Effect::Reads),
        "GetObject" | "HeadObject" => ("s3:GetObject", On::Object, Effect::Reads),
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            ("s3:PutObject", On::Object, Effect::Writes)
        }
        "CopyObject" | "UploadPartCopy" => ("s3:PutObject", On::CopyTarget, Effect::Writes),
        "DeleteObject" => ("s3:DeleteObject", On::Object, Effect::Writes),
        "DeleteObjects" => ("s3:DeleteObject", On::EachKey, Effect::Writes),
        "AbortMultipartUpload" => ("s3:AbortMultipartUpload", On::Object, Effect::Writes),
        "ListParts" => ("s3:ListMultipartUploadParts", On::Object, Effect::Reads),
        _ => return None,
    })
}

fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

/// The conditions of a listing.
#[derive(Clone, Copy, Default)]
struct Listing<'a> {
    prefix: Option<&'a str>,
    delimiter: Option<&'a str>,
}

impl Access {
    /// Asks whether the caller may do an action on a key.
    pub(crate) async fn check_object(
        &self,
        caller: &Caller,
        action: &str,
        bucket: &str,
        key: &str,
    ) -> S3Result<()> {
        self.check_arn(caller, action, &object_arn(bucket, key), Listing::default()).await
    }

    /// Asks whether the caller may do an action on a bucket.
    pub(crate) async fn check_bucket(&self, caller: &Caller, action: &str, bucket: &str) -> S3Result<()> {
        self.check_arn(caller, action, &bucket_arn(bucket), Listing::default()).await
    }

    async fn check_arn(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
        listing: Listing<'_>,
    ) -> S3Result<()> {
        let call = ObjectCall {
            access_key_id: &caller.access_key_id,
            session_token: caller.session_token.as_deref(),
            action,
            resource,
            prefix: listing.prefix,
            delimiter: listing.delimiter,
            source_ip: caller.peer.address,
            is_tls: caller.peer.is_tls,
        };
        self.gatekeeper.authorize(&call).await.map_err(|denied| refusal(denied, action, resource))
    }

    async fn check_writable(&self, bucket: &str) -> S3Result<()> {
        let bucket = self.store.bucket(bucket).await.map_err(store_error)?;
        match bucket.access {
            BucketAccess::ReadWrite => Ok(()),
            BucketAccess::ReadOnly => Err(s3_error!(AccessDenied, "The bucket {} is read-only", bucket.name)),
        }
    }
}

fn refusal(denied: Denied, action: &str, resource: &str) -> S3Error {
    match denied {
        Denied::NotAuthorized { principal, basis } => {
            let reason = match basis {
                DenialBasis::NoAllow => {
                    format!("because no identity-based policy allows the {action} action")
                }
                DenialBasis::ExplicitDeny => "with an explicit deny in an identity-based policy".to_owned(),
            };
            s3_error!(
                AccessDenied,
                "User: {principal} is not authorized to perform: {action} on resource: \"{resource}\" {reason}"
            )
        }
        Denied::InvalidToken => {
            s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")
        }
        Denied::ExpiredToken => s3_error!(ExpiredToken, "The provided token has expired."),
    }
}

/// The caller of a request that passed the access check.
pub(crate) fn caller(extensions: &http::Extensions) -> S3Result<&Caller> {
    extensions.get::<Caller>().ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
}

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.gatekeeper.secret_key(access_key).await {
            Some(secret) => Ok(SecretKey::from(secret)),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let admitted = cx.extensions_mut().get::<Admitted>().cloned();
        let peer = cx.extensions_mut().get::<Peer>().copied().unwrap_or_default();
        let (Some(admitted), Some(credentials)) = (admitted, cx.credentials()) else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        let caller = Caller {
            access_key_id: credentials.access_key.clone(),
            session_token: admitted.session_token,
            peer,
        };
        let Some((action, on, effect)) = permission(cx.s3_op().name()) else {
            return Err(s3_error!(
                NotImplemented,
                "The operation {} is not available in this store",
                cx.s3_op().name()
            ));
        };
        let bucket = cx.s3_path().get_bucket_name().unwrap_or_default();
        match on {
            On::Everything => {
                self.check_arn(&caller, action, "arn:aws:s3:::*", Listing::default()).await?;
            }
            On::Bucket => {
                let query = cx.uri().query().unwrap_or_default();
                let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
                let one = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| &*pair.1);
                let listing = Listing { prefix: one("prefix"), delimiter: one("delimiter") };
                self.check_arn(&caller, action, &bucket_arn(bucket), listing).await?;
            }
            On::Object | On::CopyTarget => {
                let S3Path::Object { bucket, key } = cx.s3_path() else {
                    return Err(s3_error!(MethodNotAllowed));
                };
                if on == On::CopyTarget {
                    let (source, source_key) = copy_source(cx.headers())?;
                    self.check_object(&caller, "s3:GetObject", &source, &source_key).await?;
                }
                self.check_object(&caller, action, bucket, key).await?;
            }
            On::EachKey => {}
        }
        if effect == Effect::Writes {
            self.check_writable(bucket).await?;
        }
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

/// The bucket and key a copy reads from.
fn copy_source(headers: &http::HeaderMap) -> S3Result<(Box<str>, Box<str>)> {
    let value = headers.get("x-amz-copy-source").and_then(|value| value.to_str().ok());
    let source = value.and_then(|value| CopySource::parse(value).ok());
    match source {
        Some(CopySource::Bucket { bucket, key, .. }) => Ok((bucket, key)),
        _ => Err(s3_error!(InvalidArgument, "The copy source must name a bucket and a key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_without_a_permission_does_not_exist() {
        for operation in ["PutBucketPolicy", "PutObjectAcl", "GetObjectAttributes", "PostObject", ""] {
            assert!(permission(operation).is_none(), "{operation}");
        }
    }

    #[test]
    fn a_refusal_reads_like_the_real_one() {
        let denied = Denied::NotAuthorized {
            principal: "arn:aws:iam::000000000000:user/ann".to_owned(),
            basis: DenialBasis::NoAllow,
        };
        let error = refusal(denied, "s3:PutObject", "arn:aws:s3:::b/k");
        assert_eq!(
            error.message(),
            Some(
                "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: s3:PutObject on resource: \
                 \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action"
            )
        );
    }
}
