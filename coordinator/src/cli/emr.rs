//! The operations of the public API that the verbs use, typed.

use super::connection::Connection;
use super::endpoint::{Endpoint, Request, segment};
use super::error::CliError;
use super::progress::Progress;
use super::timeline::Timeline;
use hearth_api::emr::wire::{Application, ApplicationSummary, JobRun, JobRunSummary, StartJobRunResponse};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const SERVICE: &str = "emr-serverless";

/// The EMR Serverless API of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Emr(Endpoint);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationPage {
    applications: Vec<ApplicationSummary>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobRunPage {
    job_runs: Vec<JobRunSummary>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneApplication {
    application: Application,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneJobRun {
    job_run: JobRun,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    application_id: String,
}

impl Emr {
    /// The API behind `endpoint`.
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    /// Where requests go, and as whom.
    pub(super) fn connection(&self) -> &Connection {
        self.0.connection()
    }

    /// Every application, all pages.
    pub(super) async fn list_applications(&self) -> Result<Vec<ApplicationSummary>, CliError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let mut request = self.request("ListApplications", Method::GET, "/applications".to_owned());
            if let Some(token) = token {
                request = request.query("nextToken", token);
            }
            let page: ApplicationPage = self.call(request).await?;
            found.extend(page.applications);
            match page.next_token {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// One application.
    pub(super) async fn get_application(&self, id: &str) -> Result<Application, CliError> {
        let request = self.request("GetApplication", Method::GET, format!("/applications/{}", segment(id)));
        Ok(self.call::<OneApplication>(request).await?.application)
    }

    /// Makes a Spark application and returns its id.
    pub(super) async fn create_application(
        &self,
        name: &str,
        release: &str,
        token: &str,
    ) -> Result<String, CliError> {
        let body = json!({"name": name, "releaseLabel": release, "type": "SPARK", "clientToken": token});
        let request = self.request("CreateApplication", Method::POST, "/applications".to_owned()).json(&body);
        Ok(self.call::<Created>(request).await?.application_id)
    }

    /// Job runs of an application in these states (all if none is given), newest first, at most `limit`.
    pub(super) async fn list_job_runs(
        &self,
        application: &str,
        states: &[String],
        limit: usize,
    ) -> Result<Vec<JobRunSummary>, CliError> {
        let mut found = Vec::new();
        let mut token = None;
        while found.len() < limit {
            let path = format!("/applications/{}/jobruns", segment(application));
            let mut request = self.request("ListJobRuns", Method::GET, path);
            for state in states {
                request = request.query("states", state);
            }
            if let Some(token) = token {
                request = request.query("nextToken", token);
            }
            let page: JobRunPage = self.call(request).await?;
            found.extend(page.job_runs);
            match page.next_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// One job run, or one attempt of it.
    pub(super) async fn get_job_run(
        &self,
        application: &str,
        job: &str,
        attempt: Option<u32>,
    ) -> Result<JobRun, CliError> {
        let mut request = self.request("GetJobRun", Method::GET, job_path(application, job));
        if let Some(attempt) = attempt {
            request = request.query("attempt", attempt.to_string());
        }
        Ok(self.call::<OneJobRun>(request).await?.job_run)
    }

    /// Starts a job run; `body` is the operation's own.
    pub(super) async fn start_job_run(
        &self,
        application: &str,
        body: &Value,
    ) -> Result<StartJobRunResponse, CliError> {
        let path = format!("/applications/{}/jobruns", segment(application));
        self.call(self.request("StartJobRun", Method::POST, path).json(body)).await
    }

    /// Asks for a job run's end.
    pub(super) async fn cancel_job_run(&self, application: &str, job: &str) -> Result<(), CliError> {
        let request = self.request("CancelJobRun", Method::DELETE, job_path(application, job));
        self.0.send(request).await?.accepted().await.map(drop)
    }

    /// What a job run's driver last said of its stages and tasks; `None` where nothing is known (or the endpoint is not
    /// hearth's).
    pub(super) async fn progress(&self, job: &str) -> Result<Option<Progress>, CliError> {
        self.page("GetProgress", format!("/hearth/v1/job-runs/{}/progress", segment(job))).await
    }

    /// What happened to a job run; `None` where nothing is known (or the endpoint is not hearth's).
    pub(super) async fn timeline(&self, job: &str) -> Result<Option<Timeline>, CliError> {
        self.page("GetTimeline", format!("/hearth/v1/job-runs/{}/timeline", segment(job))).await
    }

    /// One of hearth's own pages.
    async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: String,
    ) -> Result<Option<T>, CliError> {
        let answer = self.0.send(self.request(operation, Method::GET, path)).await?;
        if matches!(answer.status, 403 | 404) {
            return Ok(None);
        }
        answer.json().await.map(Some)
    }

    /// The job run with this id, in the application where it is, or else wherever it is.
    pub(super) async fn find_job_run(
        &self,
        application: Option<&str>,
        job: &str,
    ) -> Result<JobRun, CliError> {
        let candidates = match application {
            Some(application) => vec![application.to_owned()],
            None => self.list_applications().await?.into_iter().map(|one| one.id.to_string()).collect(),
        };
        for candidate in candidates {
            match self.get_job_run(&candidate, job, None).await {
                Err(CliError::Refused { status: 404, .. }) => {}
                found => return found,
            }
        }
        Err(CliError::NoSuchJobRun(job.to_owned()))
    }

    fn request(&self, operation: &'static str, method: Method, path: String) -> Request {
        Request::new(SERVICE, operation, method, path)
    }

    async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T, CliError> {
        self.0.send(request).await?.json().await
    }
}

fn job_path(application: &str, job: &str) -> String {
    format!("/applications/{}/jobruns/{}", segment(application), segment(job))
}
