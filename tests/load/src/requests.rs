//! Requests as an AWS client signs them, made before the clock starts.

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use hearth_api::sigv4::{Signer, sha256_hex};
use hearth_engine::now;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How far apart the pages of `list` begin in the time of submission.
const PAGES_APART_MS: i64 = 700 * 50;

/// What is asked of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// `StartJobRun`, each with a client token of its own.
    Start,
    /// `GetJobRun`, of one job run after another.
    Get,
    /// `ListJobRuns` with pages of 50, which begin all over the table.
    List,
}

/// Where requests go, and with whose keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct Endpoint {
    /// The endpoint
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    url: String,
    /// The access key
    #[arg(long, env = "AWS_ACCESS_KEY_ID")]
    access_key_id: String,
    /// Its secret
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret_access_key: String,
    /// The Region to sign for
    #[arg(long, env = "AWS_DEFAULT_REGION", default_value = "us-east-1")]
    region: String,
    /// The runtime role of job runs
    #[arg(long, env = "HEARTH_ROLE_ARN")]
    role: String,
    /// The application
    #[arg(long)]
    application: String,
    /// A file of job run ids, one a line, the latest first: for `get`
    #[arg(long)]
    ids: Option<PathBuf>,
}

/// Requests in the order in which they are sent.
pub(crate) struct Requests {
    pub(crate) signed: Vec<Request<Full<Bytes>>>,
    /// Whether they may be sent again when they run out.
    pub(crate) repeatable: bool,
}

impl Endpoint {
    /// Host and port.
    pub(crate) fn authority(&self) -> anyhow::Result<String> {
        let authority = self.url.strip_prefix("http://").context("the endpoint must be plain HTTP")?;
        Ok(authority.trim_end_matches('/').to_owned())
    }

    pub(crate) fn sign(&self, operation: Operation, count: usize) -> anyhow::Result<Requests> {
        let runs = format!("/applications/{}/jobruns", self.application);
        let signed = match operation {
            Operation::Start => (0..count)
                .map(|number| self.signed(Method::POST, &runs, self.submission(number)))
                .collect::<anyhow::Result<_>>()?,
            Operation::Get => {
                let ids = self.ids()?;
                // Not the order of the table: each is looked for anew.
                let every = ids.lines().count().div_ceil(count).max(1);
                ids.lines()
                    .step_by(every)
                    .map(|id| self.signed(Method::GET, &format!("{runs}/{id}"), String::new()))
                    .collect::<anyhow::Result<_>>()?
            }
            Operation::List => (0..count)
                .map(|number| self.signed(Method::GET, &page(&runs, number)?, String::new()))
                .collect::<anyhow::Result<_>>()?,
        };
        Ok(Requests { signed, repeatable: operation != Operation::Start })
    }

    fn submission(&self, number: usize) -> String {
        let parameters = "--conf spark.driver.cores=1 --conf spark.driver.memory=1g --conf spark.executor.cores=1 \
                          --conf spark.executor.memory=1g --conf spark.executor.instances=2 --name load";
        json!({
            "clientToken": format!("load-{}-{number}", now().as_millis()),
            "executionRoleArn": self.role,
            "name": format!("load {number}"),
            "tags": {"team": "load"},
            "jobDriver": {"sparkSubmit": {
                "entryPoint": "s3://load/job.py",
                "entryPointArguments": ["s3://load/input/", "s3://load/output/"],
                "sparkSubmitParameters": parameters,
            }},
            "configurationOverrides": {
                "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://load/logs/"}},
            },
        })
        .to_string()
    }

    fn signed(&self, method: Method, path: &str, body: String) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(())?;
        let (mut parts, ()) = request.into_parts();
        self.sign_parts(&mut parts, "emr-serverless", body.as_bytes())?;
        Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
    }

    /// Signs a request for a service; its target is the path alone, as of a client that keeps its connection.
    pub(crate) fn sign_parts(
        &self,
        parts: &mut Parts,
        service: &'static str,
        body: &[u8],
    ) -> anyhow::Result<()> {
        parts.headers.insert(HOST, self.authority()?.parse()?);
        let signer = Signer {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: None,
            region: &self.region,
            service,
        };
        Ok(signer.sign(parts, &sha256_hex(body), now())?)
    }

    /// The application that requests are about.
    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// The runtime role of job runs.
    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    /// The first of the job runs.
    pub(crate) fn first_id(&self) -> anyhow::Result<String> {
        let first = self.ids()?.lines().next().map(str::to_owned);
        first.context("there are no ids")
    }

    fn ids(&self) -> anyhow::Result<String> {
        let file = self.ids.as_ref().context("--ids is missing")?;
        std::fs::read_to_string(file).context("reading the ids")
    }
}

fn page(runs: &str, number: usize) -> anyhow::Result<String> {
    // The copies reach back for days; a page in two is the first.
    let back = if number.is_multiple_of(2) { 0 } else { i64::try_from(number % 1000)? * PAGES_APART_MS };
    let before = OffsetDateTime::from_unix_timestamp((now().as_millis() - back) / 1000 + 1)?;
    let before = before.format(&Rfc3339)?.replace(':', "%3A");
    Ok(format!("{runs}?maxResults=50&createdAtBefore={before}"))
}
