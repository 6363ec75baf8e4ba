//! Which service a request is for: the one its signature names (design §6.2).

use crate::sigv4::{Presented, SignatureError};
use http::request::Parts;

/// A service behind the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// EMR Serverless, REST with JSON.
    EmrServerless,
    /// The object gateway. It verifies signatures by itself.
    S3,
    /// Users, roles and policies, query protocol.
    Iam,
    /// Sessions, query protocol.
    Sts,
    /// A service we do not serve.
    Other(String),
}

impl Service {
    /// From a signing name.
    pub fn from_signing_name(name: &str) -> Self {
        match name {
            "emr-serverless" => Self::EmrServerless,
            "s3" => Self::S3,
            "iam" => Self::Iam,
            "sts" => Self::Sts,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the service its signature names; the signature is not verified yet.
    To(Service),
    /// Nowhere, with this reason, told in the protocol of the service it most likely meant.
    Refused {
        /// Whose protocol to answer in.
        likely: Service,
        /// Why.
        error: SignatureError,
    },
}

/// Routes by the signature's scope; version 2 signatures, in header or query, are S3's alone.
pub fn route(parts: &Parts) -> Route {
    if is_version_2(parts) {
        return Route::To(Service::S3);
    }
    match Presented::read(parts) {
        Ok(presented) => Route::To(Service::from_signing_name(&presented.scope.service)),
        Err(error) => Route::Refused { likely: likely_service(parts), error },
    }
}

fn is_version_2(parts: &Parts) -> bool {
    let header = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.is_some_and(|text| text.starts_with("AWS "))
        || (header.is_none()
            && crate::sigv4::query_value(parts, "AWSAccessKeyId").is_some()
            && crate::sigv4::query_value(parts, "Signature").is_some())
}

fn likely_service(parts: &Parts) -> Service {
    let path = parts.uri.path();
    let is_form = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if path == "/applications" || path.starts_with("/applications/") || path.starts_with("/tags/") {
        Service::EmrServerless
    } else if path == "/" && is_form {
        Service::Iam
    } else {
        Service::S3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("request").into_parts().0
    }

    #[test]
    fn the_scope_names_the_service() {
        for (name, service) in [
            ("emr-serverless", Service::EmrServerless),
            ("s3", Service::S3),
            ("iam", Service::Iam),
            ("sts", Service::Sts),
            ("ec2", Service::Other("ec2".to_owned())),
        ] {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/{name}/aws4_request, SignedHeaders=host, Signature=00"
            );
            let signed =
                parts("/x", &[("authorization", &authorization), ("x-amz-date", "20260101T000000Z")]);
            assert_eq!(route(&signed), Route::To(service.clone()), "{name}");
            let presigned = parts(
                &format!(
                    "/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2F{name}%2Faws4_request\
                     &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
                ),
                &[],
            );
            assert_eq!(route(&presigned), Route::To(service), "{name}");
        }
    }

    #[test]
    fn version_2_is_s3() {
        assert_eq!(route(&parts("/b/k", &[("authorization", "AWS AKIA:c2ln")])), Route::To(Service::S3));
        assert_eq!(
            route(&parts("/b/k?AWSAccessKeyId=AKIA&Expires=1&Signature=x", &[])),
            Route::To(Service::S3)
        );
    }

    #[test]
    fn an_unsigned_request_is_refused_in_its_likely_protocol() {
        for (target, likely) in [
            ("/applications", Service::EmrServerless),
            ("/applications/00f/jobruns", Service::EmrServerless),
            ("/applications.csv", Service::S3),
            ("/bucket/key", Service::S3),
        ] {
            let expected = Route::Refused { likely, error: SignatureError::Missing };
            assert_eq!(route(&parts(target, &[])), expected, "{target}");
        }
    }
}
