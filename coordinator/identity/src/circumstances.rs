//! How and when a request came: what conditions may ask of any request, whatever it is for.

use crate::Context;
use hearth_types::Timestamp;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The circumstances of one request.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it came (`aws:CurrentTime`, `aws:EpochTime`).
    pub at: Timestamp,
    /// The peer (`aws:SourceIp`), where it is known.
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS (`aws:SecureTransport`).
    pub is_tls: bool,
    /// The Region that answers (`aws:RequestedRegion`).
    pub region: &'a str,
}

impl Circumstances<'_> {
    /// The circumstances as condition keys.
    pub fn context(&self) -> Context {
        let mut context = Context::new()
            .with("aws:EpochTime", seconds(self.at).to_string())
            .with("aws:SecureTransport", self.is_tls.to_string())
            .with("aws:RequestedRegion", self.region)
            .with("aws:ViaAWSService", "false");
        if let Some(text) = iso8601(self.at) {
            context.set("aws:CurrentTime", text);
        }
        if let Some(ip) = self.source_ip {
            context.set("aws:SourceIp", ip.to_canonical().to_string());
        }
        context
    }
}

/// A time as IAM writes it, `2026-11-22T20:59:51Z`; `None` beyond the year 9999.
pub fn iso8601(at: Timestamp) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds(at)).ok()?.format(&Rfc3339).ok()
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}
