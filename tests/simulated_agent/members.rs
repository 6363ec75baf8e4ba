//! What the service model has, the coordinator has: every operation answers in its shapes, and every member that is
//! given is kept and shown.

use crate::harness::{Answer, Cluster};
use crate::model::{Model, target};
use hearth_types::{ApplicationId, JobRunId};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROLE: &str = "arn:aws:iam::000000000000:role/hearth-job";
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

/// A client that knows the model, and what it asked for.
struct Teller<'a> {
    model: Model,
    cluster: &'a Cluster,
    asked: BTreeSet<String>,
}

impl Teller<'_> {
    /// Sends a request with these members, and holds the answer against the model.
    async fn ask(&mut self, operation: &str, request: &Value) -> Answer {
        self.asked.insert(operation.to_owned());
        let (method, path, body) = self.model.placed(operation, request);
        let method: Method = method.parse().expect("a method");
        let body = Some(&body).filter(|body| **body != json!({}));
        let answer = self.cluster.administrator().emr(method, &path, body).await;
        let shape = match answer.status {
            200 => target(&self.model.operations()[operation]["output"]),
            _ => "ValidationException",
        };
        let value = serde_json::from_str(&answer.body).expect("JSON");
        let differences = self.model.differences(shape, &value, "");
        assert!(differences.is_empty(), "{operation}: {differences:?} in {answer:?}");
        answer
    }

    async fn answered(&mut self, operation: &str, request: &Value) -> Value {
        self.ask(operation, request).await.json()
    }

    async fn refused(&mut self, operation: &str, request: &Value, status: u16, named: &str) {
        let answer = self.ask(operation, request).await;
        assert!(answer.status == status && answer.body.contains(named), "{operation}: {answer:?}");
    }

    /// A request of an operation with every member that the model gives it. Left out is what hearth refuses: see
    /// docs/api.md.
    fn full(&self, operation: &str, token: &str) -> Value {
        let known = |shape: &str| {
            Some(match shape {
                "ImageConfigurationInput"
                | "WorkerTypeSpecificationInputMap"
                | "IdentityCenterConfigurationInput" => None,
                "ReleaseLabel" => Some(json!("emr-7.6.0")),
                "EngineType" => Some(json!("SPARK")),
                "Architecture" => Some(json!("X86_64")),
                "ClientToken" => Some(json!(token)),
                "WorkerTypeString" => Some(json!("DRIVER")),
                "CpuSize" => Some(json!("1 vCPU")),
                "MemorySize" => Some(json!("4 GB")),
                "DiskSize" => Some(json!("20 GB")),
                "SubnetString" => Some(json!("subnet-0123abcd")),
                "SecurityGroupString" => Some(json!("sg-0123abcd")),
                "UriString" => Some(json!("s3://bucket/logs")),
                "LogTypeMap" => Some(json!({"SPARK_DRIVER": ["STDOUT", "STDERR"]})),
                "ConfigurationList" => {
                    Some(json!([{"classification": "spark-defaults", "properties": {"spark.a": "b"}}]))
                }
                // Of the scheduler: a number that is good as minutes and as job runs.
                "Integer" => Some(json!(20)),
                "IAMRoleArn" => Some(json!(ROLE)),
                "PolicyDocument" => Some(json!(POLICY)),
                "Arn" => Some(json!("arn:aws:iam::aws:policy/AdministratorAccess")),
                "EntryPointPath" => Some(json!("s3://hearth/job.py")),
                "SparkSubmitParameters" => {
                    Some(json!("--conf spark.driver.cores=1 --conf spark.driver.memory=1g"))
                }
                "RetryPolicy" => Some(json!({"maxAttempts": 2})),
                _ => return None,
            })
        };
        let input = target(&self.model.operations()[operation]["input"]);
        self.model.full(input, &known).expect("a request")
    }
}

/// Fails unless what was given is shown as it was, but for what is no property of what was made.
fn check_shown(given: &Value, shown: &Value) {
    for (member, value) in given.as_object().expect("an object") {
        match member.as_str() {
            "clientToken" | "applicationId" => {}
            "type" => assert_eq!(shown["type"], "Spark"),
            "executionRoleArn" => assert_eq!(shown["executionRole"], *value),
            member => assert_eq!(shown[member], *value, "{member} in {shown}"),
        }
    }
}

/// Fails unless these are all members of the shape that are not shown.
fn check_lacks(model: &Model, shape: &str, shown: &Value, lacking: &[&str]) {
    let members = model.members(model.shape(shape)).map(|(member, _)| member);
    let found: Vec<&str> = members.filter(|member| shown.get(member).is_none()).collect();
    assert_eq!(found, lacking, "{shape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_in_the_models_shapes_and_shows_every_member_it_was_given() {
    let cluster = Cluster::start().await;
    let mut teller = Teller { model: Model::read(), cluster: &cluster, asked: BTreeSet::new() };

    let full = teller.full("CreateApplication", "one");
    assert_eq!(full.as_object().map(|members| members.len()), Some(17), "of 20 members 3 are refused");
    let made = teller.answered("CreateApplication", &full).await;
    let id: ApplicationId = made["applicationId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let of = json!({"applicationId": id});
    let shown = teller.answered("GetApplication", &of).await["application"].take();
    check_shown(&full, &shown);
    let refused = ["imageConfiguration", "workerTypeSpecifications", "identityCenterConfiguration"];
    check_lacks(&teller.model, "Application", &shown, &refused);
    let mut update = teller.full("UpdateApplication", "two");
    update["applicationId"] = json!(id);
    update["autoStopConfiguration"]["idleTimeoutMinutes"] = json!(30);
    update["runtimeConfiguration"][0]["properties"] = json!({"spark.c": "d"});
    let updated = teller.answered("UpdateApplication", &update).await["application"].take();
    check_shown(&update, &updated);
    assert_eq!(teller.answered("GetApplication", &of).await["application"], updated);
    teller.answered("StartApplication", &of).await;
    let listed = teller.answered("ListApplications", &json!({"states": ["STARTED"]})).await;
    assert_eq!(listed["applications"][0]["id"], json!(id));

    let mut batch = teller.full("StartJobRun", "three");
    batch["applicationId"] = json!(id);
    assert_eq!(batch.as_object().map(|members| members.len()), Some(12), "it has all members");
    let mut streaming = batch.clone();
    for (member, value) in [
        ("clientToken", json!("four")),
        ("mode", json!("STREAMING")),
        ("retryPolicy", json!({"maxFailedAttemptsPerHour": 2})),
        ("executionTimeoutMinutes", json!(0)),
    ] {
        streaming[member] = value;
    }
    let mut runs = Vec::new();
    for request in [&batch, &streaming] {
        let made = teller.answered("StartJobRun", request).await;
        let run: JobRunId = made["jobRunId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let it = json!({"applicationId": id, "jobRunId": run});
        let shown = teller.answered("GetJobRun", &it).await["jobRun"].take();
        check_shown(request, &shown);
        assert_eq!(shown["networkConfiguration"], full["networkConfiguration"]);
        runs.push(it);
    }
    let listed = teller.answered("ListJobRuns", &json!({"applicationId": id, "mode": "STREAMING"})).await;
    assert_eq!(listed["jobRuns"][0]["id"], runs[1]["jobRunId"]);
    teller.answered("ListJobRunAttempts", &runs[0]).await;
    teller.refused("GetDashboardForJobRun", &runs[0], 400, "no driver of it shows a UI").await;
    teller.refused("StopApplication", &of, 400, "active job runs").await;
    for run in &runs {
        teller.answered("CancelJobRun", run).await;
    }
    let ended = teller.answered("GetJobRun", &runs[0]).await["jobRun"].take();
    assert_eq!(ended["state"], "CANCELLED", "it had no workers");
    let lacking = [
        // It never ran, and never was in QUEUED.
        "totalExecutionDurationSeconds",
        "startedAt",
        "queuedDurationMilliseconds",
        // Refused of its application.
        "imageConfiguration",
        "workerTypeSpecifications",
    ];
    check_lacks(&teller.model, "JobRun", &ended, &lacking);
    let run = runs[0]["jobRunId"].as_str().expect("an id");
    let log = format!("hearth-managed/applications/{id}/jobs/{run}/attempts/1/sparklogs/app-1");
    assert_eq!(cluster.administrator().put_object(&log, "{}").await.status, 200);
    teller.answered("GetDashboardForJobRun", &runs[0]).await;

    let arn = json!({"resourceArn": ended["arn"]});
    teller.answered("TagResource", &json!({"resourceArn": ended["arn"], "tags": {"a": "b"}})).await;
    teller.answered("UntagResource", &json!({"resourceArn": ended["arn"], "tagKeys": ["aaa"]})).await;
    assert_eq!(teller.answered("ListTagsForResource", &arn).await, json!({"tags": {"a": "b"}}));

    let mut session = teller.full("StartSession", "five");
    session["applicationId"] = json!(id);
    teller.refused("StartSession", &session, 400, "no interactive engine").await;
    assert_eq!(teller.answered("ListSessions", &of).await, json!({"sessions": []}));
    let it =
        json!({"applicationId": id, "sessionId": "00s1", "resourceId": "00s1", "resourceType": "SESSION"});
    for operation in ["GetSession", "TerminateSession", "GetSessionEndpoint", "GetResourceDashboard"] {
        teller.refused(operation, &it, 404, "Session 00s1 does not exist").await;
    }
    teller.answered("StopApplication", &of).await;
    teller.answered("DeleteApplication", &of).await;
    let model = Model::read();
    assert!(teller.asked.iter().eq(model.operations().keys()), "{:?}", teller.asked);
}
