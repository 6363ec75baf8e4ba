//! The query protocol of `iam` and `sts`: form parameters in, XML out.

mod failure;
mod form;
mod xml;

pub(crate) use failure::Failure;
pub(crate) use form::Form;
pub(crate) use xml::Xml;

use crate::route::Service;
use crate::sigv4::SignatureError;
use crate::{iam, sts};
use axum::body::Body;
use hearth_identity::{Context, Identity, Principal};
use hearth_types::Timestamp;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

/// Everything known about one authenticated request.
pub(crate) struct Call<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) principal: &'a Principal,
    pub(crate) context: &'a Context,
    pub(crate) request_id: &'a str,
    pub(crate) now: Timestamp,
}

impl Call<'_> {
    /// Whether the caller may do this.
    pub(crate) fn authorize(&self, action: &str, resource: &str) -> Result<(), Failure> {
        self.authorize_knowing(action, resource, self.context)
    }

    /// [`Self::authorize`], where more is known than of any request.
    pub(crate) fn authorize_knowing(
        &self,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), Failure> {
        Ok(self.identity.authorize(self.principal, action, resource, context)?)
    }
}

/// Answers an authenticated request for [`Service::Iam`] or [`Service::Sts`].
pub(crate) async fn serve(call: Call<'_>, service: &Service, parts: &Parts, body: &[u8]) -> Response<Body> {
    let form = Form::read(parts, body);
    let action = form.text("Action").unwrap_or_default().to_owned();
    let (namespace, result) = match service {
        Service::Sts => ("https://sts.amazonaws.com/doc/2011-06-15/", sts::answer(&call, &action, &form)),
        _ => ("https://iam.amazonaws.com/doc/2010-05-08/", iam::answer(&call, &action, &form).await),
    };
    match result {
        Ok(result) => answer(namespace, &action, result, call.request_id),
        Err(failure) => failure.response(namespace, call.request_id),
    }
}

fn answer(namespace: &str, action: &str, result: Option<Xml>, request_id: &str) -> Response<Body> {
    let (response, wrapper) = (format!("{action}Response"), format!("{action}Result"));
    let metadata = Xml::members([("RequestId", Xml::text(request_id))]);
    let mut members = Vec::new();
    members.extend(result.map(|result| (wrapper, result)));
    members.push(("ResponseMetadata".to_owned(), metadata));
    xml(StatusCode::OK, Xml::Members(members).document(&response, namespace))
}

/// The answer to a request that is not authenticated.
pub(crate) fn refuse(error: &SignatureError, request_id: &str) -> Response<Body> {
    let failure = Failure::new(error.status(), error.query_code(), error.to_string());
    failure.response("https://iam.amazonaws.com/doc/2010-05-08/", request_id)
}

/// The answer to a body that is too large.
pub(crate) fn refuse_too_large(request_id: &str) -> Response<Body> {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    let failure = Failure::new(status, "RequestEntityTooLarge", "The request's body is larger than 1 MiB.");
    failure.response("https://iam.amazonaws.com/doc/2010-05-08/", request_id)
}

/// The answer to an unauthenticated request for the object gateway, in S3's form.
pub(crate) fn refuse_object_call(error: &SignatureError, request_id: &str) -> Response<Body> {
    let (code, message) = match error {
        SignatureError::Missing => ("AccessDenied", "Access Denied".to_owned()),
        other => ("AuthorizationHeaderMalformed", other.to_string()),
    };
    let error = Xml::members([
        ("Code", Xml::text(code)),
        ("Message", Xml::text(message)),
        ("RequestId", Xml::text(request_id)),
    ]);
    xml(error_status(code), error.document("Error", ""))
}

fn error_status(code: &str) -> StatusCode {
    if code == "AccessDenied" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST }
}

fn xml(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}
