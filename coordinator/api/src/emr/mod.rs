//! The EMR Serverless API: REST with JSON, as the service model of 2021-07-13 states it.
//!
//! A request passes through [`operation`] (which one, and its members), `shape` and `model` (the model's constraints),
//! `service` (may the caller; carry it out), and becomes an answer or an [`exception`].

mod bucket;
pub mod control_plane;
mod exception;
mod model;
mod operation;
mod page_token;
mod service;
mod sessions;
mod shape;
mod throttle;
pub mod wire;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

pub use bucket::Rate;
pub use page_token::PageTokens;
pub(crate) use service::{Call, refuse, refuse_service, refuse_too_large, serve};
pub use throttle::{Throttle, UnknownOperation};

fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(body).expect("wire structures are JSON");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
