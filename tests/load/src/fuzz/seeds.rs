//! Right requests for every operation, from which wrong ones are made.

use crate::requests::Endpoint;
use anyhow::Context;
use http::Method;
use serde_json::Value;

/// A right request.
pub(crate) struct Seed {
    /// The service that it is signed for.
    pub(crate) service: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Members of the query, or of a form.
    pub(crate) members: Vec<(String, String)>,
    /// Members of a JSON body.
    pub(crate) body: Option<Value>,
}

/// Bodies and paths; `APP`, `RUN`, `ROLE` and `ARN` are filled in.
const EMR: &[(&str, &str, &str, &str)] = &[
    (
        "POST",
        "/applications",
        "",
        r#"{"name": "fuzz", "releaseLabel": "emr-7.6.0", "type": "SPARK", "clientToken": "fuzz",
        "architecture": "X86_64", "tags": {"team": "fuzz", "a": ""},
        "initialCapacity": {"Driver": {"workerCount": 1, "workerConfiguration": {"cpu": "2 vCPU", "memory": "4 GB", "disk": "20 GB", "diskType": "STANDARD"}},
            "Executor": {"workerCount": 4, "workerConfiguration": {"cpu": "4vCPU", "memory": "16GB"}}},
        "maximumCapacity": {"cpu": "200 vCPU", "memory": "200 GB", "disk": "1000 GB"},
        "autoStartConfiguration": {"enabled": true}, "autoStopConfiguration": {"enabled": true, "idleTimeoutMinutes": 15},
        "networkConfiguration": {"subnetIds": ["subnet-0123456789abcdef0"], "securityGroupIds": ["sg-0123456789abcdef0"]},
        "runtimeConfiguration": [{"classification": "spark-defaults", "properties": {"spark.executor.cores": "2"},
            "configurations": [{"classification": "export", "properties": {"A": "b"}}]}],
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://logs/fuzz/"},
            "managedPersistenceMonitoringConfiguration": {"enabled": true}},
        "interactiveConfiguration": {"livyEndpointEnabled": false, "studioEnabled": false},
        "schedulerConfiguration": {"queueTimeoutMinutes": 360, "maxConcurrentRuns": 1}}"#,
    ),
    ("GET", "/applications", "maxResults=10&states=STARTED&states=CREATED&nextToken=t", ""),
    ("GET", "/applications/APP", "", ""),
    (
        "PATCH",
        "/applications/APP",
        "",
        r#"{"clientToken": "again", "autoStopConfiguration": {"enabled": false},
        "maximumCapacity": {"cpu": "20 vCPU", "memory": "20 GB"}, "releaseLabel": "emr-7.6.0"}"#,
    ),
    ("POST", "/applications/APP/start", "", ""),
    ("POST", "/applications/APP/stop", "", ""),
    ("DELETE", "/applications/none", "", ""),
    (
        "POST",
        "/applications/APP/jobruns",
        "",
        r#"{"clientToken": "run", "executionRoleArn": "ROLE", "name": "fuzz",
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://fuzz/job.py", "entryPointArguments": ["a", "--b", "c d"],
            "sparkSubmitParameters": "--conf spark.executor.cores=1 --conf spark.executor.memory=2g --class a.B --jars s3://b/c.jar,s3://b/d.jar --name 'a b'"}},
        "configurationOverrides": {"applicationConfiguration": [
                {"classification": "spark-defaults", "properties": {"spark.driver.memory": "2G", "spark.dynamicAllocation.enabled": "false"}},
                {"classification": "spark-driver-log4j2", "properties": {"rootLogger.level": "error"}}],
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://logs/fuzz/", "encryptionKeyArn": "arn:aws:kms:us-east-1:000000000000:key/0"},
                "cloudWatchLoggingConfiguration": {"enabled": false, "logGroupName": "/g", "logTypes": {"SPARK_DRIVER": ["STDOUT"]}}}},
        "executionIamPolicy": {"policy": "{\"Version\": \"2012-10-17\", \"Statement\": []}", "policyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
        "executionTimeoutMinutes": 15, "mode": "BATCH", "retryPolicy": {"maxAttempts": 3, "maxFailedAttemptsPerHour": 1}, "tags": {"a": "b"}}"#,
    ),
    (
        "POST",
        "/applications/APP/jobruns",
        "",
        r#"{"clientToken": "hive", "executionRoleArn": "ROLE",
        "jobDriver": {"hive": {"query": "s3://fuzz/q.sql", "initQueryFile": "s3://fuzz/i.sql", "parameters": "--hiveconf a=b"}}}"#,
    ),
    (
        "GET",
        "/applications/APP/jobruns",
        "maxResults=50&createdAtAfter=2026-01-01T00:00:00Z&createdAtBefore=1900000000&states=QUEUED&mode=BATCH&nextToken=x",
        "",
    ),
    ("GET", "/applications/APP/jobruns/RUN", "attempt=1", ""),
    ("GET", "/applications/APP/jobruns/RUN/attempts", "maxResults=5&nextToken=1", ""),
    ("GET", "/applications/APP/jobruns/RUN/dashboard", "attempt=1&accessSystemProfileLogs=true", ""),
    ("DELETE", "/applications/APP/jobruns/RUN", "shutdownGracePeriodInSeconds=15", ""),
    ("GET", "/applications/APP/dashboard", "resourceId=00f&resourceType=SESSION", ""),
    (
        "POST",
        "/applications/APP/sessions",
        "",
        r#"{"clientToken": "s", "executionRoleArn": "ROLE", "name": "s", "idleTimeoutMinutes": 5}"#,
    ),
    ("GET", "/applications/APP/sessions", "maxResults=5&states=IDLE", ""),
    ("GET", "/applications/APP/sessions/00f", "", ""),
    ("DELETE", "/applications/APP/sessions/00f", "", ""),
    ("GET", "/applications/APP/sessions/00f/endpoint", "", ""),
    ("GET", "/tags/ARN", "", ""),
    ("POST", "/tags/ARN", "", r#"{"tags": {"team": "fuzz", "b": "c"}}"#),
    ("DELETE", "/tags/ARN", "tagKeys=b&tagKeys=c", ""),
];

/// Forms of the query protocol.
const FORMS: &[(&str, &str)] = &[
    (
        "iam",
        "Action=CreateUser&UserName=fuzz&Path=/a/&Tags.member.1.Key=k&Tags.member.1.Value=v&Version=2010-05-08",
    ),
    (
        "iam",
        "Action=PutUserPolicy&UserName=fuzz&PolicyName=p&PolicyDocument={\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/${aws:username}/*\",\"Condition\":{\"StringLike\":{\"aws:userid\":[\"a*\"]},\"DateGreaterThan\":{\"aws:CurrentTime\":\"2026-01-01T00:00:00Z\"}}}]}",
    ),
    (
        "iam",
        "Action=CreateRole&RoleName=fuzz&AssumeRolePolicyDocument={\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"Service\":\"emr-serverless.amazonaws.com\"}}}&MaxSessionDuration=3600",
    ),
    ("iam", "Action=ListRoles&PathPrefix=/&MaxItems=10&Marker=m"),
    ("iam", "Action=GetRole&RoleName=hearth-job"),
    (
        "iam",
        "Action=CreatePolicy&PolicyName=fuzz&PolicyDocument={\"Version\":\"2012-10-17\",\"Statement\":[]}",
    ),
    ("iam", "Action=DeleteUser&UserName=fuzz"),
    ("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
    ("sts", "Action=AssumeRole&RoleArn=ROLE&RoleSessionName=fuzz&DurationSeconds=900&Policy={}"),
];

/// The service by whose objects the gateway is asked.
const OBJECTS: &[(&str, &str, &str)] = &[
    ("GET", "/", ""),
    ("PUT", "/fuzz", ""),
    ("GET", "/fuzz", "list-type=2&prefix=a&delimiter=/&max-keys=5&continuation-token=t&start-after=b"),
    ("PUT", "/fuzz/a/key", ""),
    ("GET", "/fuzz/a/key", "partNumber=1&versionId=v"),
    ("HEAD", "/fuzz/a/key", ""),
    ("POST", "/fuzz/a/key", "uploads"),
    ("PUT", "/fuzz/a/key", "partNumber=1&uploadId=u"),
    ("DELETE", "/fuzz/a/key", "uploadId=u"),
    ("POST", "/fuzz", "delete"),
];

/// One request and more for each operation.
pub(crate) fn seeds(endpoint: &Endpoint) -> anyhow::Result<Vec<Seed>> {
    let run = endpoint.first_id()?;
    let filled = |text: &str| {
        let (application, role) = (endpoint.application(), endpoint.role());
        let arn = format!(
            "arn%3Aaws%3Aemr-serverless%3Aus-east-1%3A000000000000%3A%2Fapplications%2F{application}"
        );
        text.replace("APP", application).replace("RUN", &run).replace("ROLE", role).replace("ARN", &arn)
    };
    let emr = EMR.iter().map(|(method, path, query, body)| {
        let body = match *body {
            "" => None,
            text => Some(serde_json::from_str(&filled(text)).context("a seed's body is JSON")?),
        };
        Ok(Seed {
            service: "emr-serverless",
            method: method.parse()?,
            path: filled(path),
            members: members(query),
            body,
        })
    });
    let forms = FORMS.iter().map(|(service, form)| {
        let members = members(&filled(form));
        Ok(Seed { service, method: Method::POST, path: "/".to_owned(), members, body: None })
    });
    let objects = OBJECTS.iter().map(|(method, path, query)| {
        let (path, members) = ((*path).to_owned(), members(query));
        Ok(Seed { service: "s3", method: method.parse()?, path, members, body: None })
    });
    emr.chain(forms).chain(objects).collect()
}

fn members(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let split = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.to_owned(), value.to_owned())
    };
    parts.map(split).collect()
}
