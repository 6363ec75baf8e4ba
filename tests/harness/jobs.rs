//! Applications and job runs, through the endpoint.

use super::client::Answer;
use super::cluster::{Cluster, RELEASE};
use hearth_coordinator_core::job_run::JobRun;
use hearth_coordinator_core::worker::Worker;
use hearth_types::{ApplicationId, JobRunId};
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// The default runtime role.
const ROLE: &str = "arn:aws:iam::000000000000:role/hearth-job";

static TOKENS: AtomicU64 = AtomicU64::new(0);

fn token() -> String {
    format!("token-{}", TOKENS.fetch_add(1, Ordering::Relaxed))
}

/// A job run to be submitted: a driver of one core and executors of one core.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    executors: u32,
    attempts: u32,
    role: String,
    log_uri: Option<String>,
    session_policies: Option<Value>,
    more: Value,
}

impl Submission {
    /// With so many executors surely wanted at first; its script's arguments are `executors` and their number.
    pub(crate) fn of_executors(executors: u32) -> Self {
        Self {
            executors,
            attempts: 1,
            role: ROLE.to_owned(),
            log_uri: None,
            session_policies: None,
            more: json!({}),
        }
    }

    pub(crate) fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    pub(crate) fn role(self, arn: &str) -> Self {
        Self { role: arn.to_owned(), ..self }
    }

    pub(crate) fn logs_to(self, uri: &str) -> Self {
        Self { log_uri: Some(uri.to_owned()), ..self }
    }

    /// With this `executionIamPolicy`.
    pub(crate) fn session_policies(self, policies: Value) -> Self {
        Self { session_policies: Some(policies), ..self }
    }

    /// With these members of the request instead of its own.
    pub(crate) fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }

    /// The request.
    pub(crate) fn body(&self) -> Value {
        // Spark itself refuses a fixed number of none.
        let number = match self.executors {
            0 => "--conf spark.dynamicAllocation.initialExecutors=0 --conf spark.executor.instances=0"
                .to_owned(),
            number => format!(
                "--conf spark.dynamicAllocation.enabled=false --conf spark.executor.instances={number}"
            ),
        };
        let parameters = format!(
            "--conf spark.driver.cores=1 --conf spark.driver.memory=1g --conf spark.executor.cores=1 \
             --conf spark.executor.memory=1g {number}"
        );
        let mut body = json!({
            "name": "simulated",
            "clientToken": token(),
            "executionRoleArn": self.role,
            "jobDriver": {"sparkSubmit": {
                "entryPoint": "s3://hearth/job.py",
                "entryPointArguments": ["executors", self.executors.to_string()],
                "sparkSubmitParameters": parameters,
            }},
            "retryPolicy": {"maxAttempts": self.attempts},
        });
        if let Some(policies) = &self.session_policies {
            body["executionIamPolicy"] = policies.clone();
        }
        if let Some(uri) = &self.log_uri {
            body["configurationOverrides"] =
                json!({"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": uri}}});
        }
        let members = body.as_object_mut().expect("an object");
        members.extend(self.more.as_object().expect("an object").clone());
        body
    }
}

/// A submitted job run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) application: ApplicationId,
    pub(crate) run: JobRunId,
}

impl Job {
    fn path(&self) -> String {
        format!("/applications/{}/jobruns/{}", self.application, self.run)
    }
}

impl Cluster {
    /// A new application; `more` are further members of the request.
    pub(crate) async fn application(&self, more: Value) -> ApplicationId {
        let mut body =
            json!({"name": "tests", "releaseLabel": RELEASE, "type": "SPARK", "clientToken": token()});
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        let made = self.administrator().emr(Method::POST, "/applications", Some(&body)).await.json();
        made["applicationId"].as_str().and_then(|id| id.parse().ok()).expect("an application id")
    }

    /// A job run of an application of its own.
    pub(crate) async fn submit(&self, submission: &Submission) -> Job {
        let application = self.application(json!({})).await;
        self.submit_to(&application, submission).await
    }

    /// A job run.
    pub(crate) async fn submit_to(&self, application: &ApplicationId, submission: &Submission) -> Job {
        let made = self.try_submit(application, submission).await.json();
        let run = made["jobRunId"].as_str().and_then(|id| id.parse().ok()).expect("a job run id");
        Job { application: application.clone(), run }
    }

    /// `StartJobRun`, whatever is answered.
    pub(crate) async fn try_submit(&self, application: &ApplicationId, submission: &Submission) -> Answer {
        let path = format!("/applications/{application}/jobruns");
        self.administrator().emr(Method::POST, &path, Some(&submission.body())).await
    }

    /// `GetJobRun`.
    pub(crate) async fn shown(&self, job: &Job) -> Value {
        self.administrator().emr(Method::GET, &job.path(), None).await.json()["jobRun"].take()
    }

    /// `GetJobRun` of one attempt, whatever is answered.
    pub(crate) async fn attempt(&self, job: &Job, attempt: u32) -> Answer {
        let path = format!("{}?attempt={attempt}", job.path());
        self.administrator().emr(Method::GET, &path, None).await
    }

    /// A page of `ListJobRunAttempts`; `query` begins with `?` or is empty.
    pub(crate) async fn attempts(&self, job: &Job, query: &str) -> Value {
        let path = format!("{}/attempts{query}", job.path());
        self.administrator().emr(Method::GET, &path, None).await.json()
    }

    /// `CancelJobRun`.
    pub(crate) async fn cancel(&self, job: &Job) {
        self.administrator().emr(Method::DELETE, &job.path(), None).await.json();
    }

    /// `CancelJobRun`, where the job run may have ended already.
    pub(crate) async fn try_cancel(&self, job: &Job) {
        let answer = self.administrator().emr(Method::DELETE, &job.path(), None).await;
        assert!([200, 400].contains(&answer.status), "{answer:?}");
    }

    /// Waits until a job run has ended; its state and details as `GetJobRun` shows them.
    pub(crate) async fn end_of(&self, job: &Job) -> (String, String) {
        self.until("the job run ends", |world| world.run(&job.run).is_none().then_some(())).await;
        let shown = self.shown(job).await;
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        (text("state"), text("stateDetails"))
    }

    /// Waits until `found` finds what it looks for in a job run that has not ended.
    pub(crate) async fn until_run<T>(
        &self,
        job: &Job,
        what: &str,
        mut found: impl FnMut(&JobRun) -> Option<T>,
    ) -> T {
        self.until(what, |world| world.run(&job.run).and_then(&mut found)).await
    }

    /// Live workers of a job run.
    pub(crate) fn workers_of(&self, job: &Job) -> Vec<Worker> {
        self.world().workers_of(&job.run).cloned().collect()
    }
}
