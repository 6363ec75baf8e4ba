//! `GetDashboardForJobRun`: a link to the event log of what has ended, good once.

use crate::harness::{Answer, Cluster, Job};
use crate::host::Running;
use http::Method;
use serde_json::json;

async fn asked(cluster: &Cluster, job: &Job, query: &str) -> Answer {
    let path = format!("/applications/{}/jobruns/{}/dashboard{query}", job.application, job.run);
    cluster.administrator().emr(Method::GET, &path, None).await
}

async fn refused(cluster: &Cluster, job: &Job, query: &str, status: u16, named: &str) {
    let answer = asked(cluster, job, query).await;
    assert!(answer.status == status && answer.body.contains(named), "{named}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_link_gets_the_event_log_of_an_ended_job_run_once() {
    let cluster = Cluster::start().await;
    let Running { stream, job, driver, host: _host } = Running::on(&cluster).await;
    refused(&cluster, &job, "", 400, "RUNNING").await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    refused(&cluster, &job, "", 400, "no event log").await;
    refused(&cluster, &job, "?attempt=2", 404, "Attempt 2").await;

    let log = format!("hearth-managed/applications/{}/jobs/{}/sparklogs/app-1", job.application, job.run);
    let put = cluster.administrator().put_object(&log, "{\"Event\":\"SparkListenerApplicationEnd\"}\n").await;
    assert_eq!(put.status, 200, "{put:?}");
    let url = asked(&cluster, &job, "?attempt=1").await.json()["url"].as_str().expect("a URL").to_owned();
    // No signature, and no other client's connection or proxy.
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    let got = plain.get(&url).send().await.expect("an answer");
    assert_eq!(got.status(), 200);
    assert_eq!(got.headers()["content-disposition"], "attachment; filename=\"app-1\"");
    assert_eq!(got.text().await.expect("a body"), "{\"Event\":\"SparkListenerApplicationEnd\"}\n");
    for link in [url.as_str(), &url[..url.len() - 1]] {
        assert_eq!(plain.get(link).send().await.expect("an answer").status(), 404);
    }

    let second = log.replace("app-1", "app-2");
    assert_eq!(cluster.administrator().put_object(&second, "x").await.status, 200);
    refused(&cluster, &job, "", 400, "several files").await;
    let other = Job { application: cluster.application(json!({})).await, run: job.run.clone() };
    refused(&cluster, &other, "", 404, "does not exist").await;
}
