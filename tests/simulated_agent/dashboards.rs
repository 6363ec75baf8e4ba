//! `GetDashboardForJobRun`: a link to the event log of what has ended, or to its driver's log, good once.

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

fn link_in(answer: &Answer) -> String {
    answer.json()["url"].as_str().expect("a URL").to_owned()
}

/// Without signature, and without another client's connection or a proxy.
async fn fetched(url: &str) -> reqwest::Response {
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    plain.get(url).send().await.expect("an answer")
}

/// How the file behind a link is to be saved, and what is in it.
async fn file_behind(url: &str) -> (String, String) {
    let got = fetched(url).await;
    assert_eq!(got.status(), 200);
    let disposition = got.headers()["content-disposition"].to_str().expect("text").to_owned();
    (disposition, got.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_link_gets_the_event_log_of_an_ended_job_run_once() {
    let cluster = Cluster::start().await;
    let Running { stream, job, driver, host: _host } = Running::on(&cluster).await;
    refused(&cluster, &job, "", 400, "RUNNING").await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    refused(&cluster, &job, "", 400, "neither an event log").await;
    refused(&cluster, &job, "?attempt=2", 404, "Attempt 2").await;

    let log = format!("hearth-managed/applications/{}/jobs/{}/sparklogs/app-1", job.application, job.run);
    let put = cluster.administrator().put_object(&log, "{\"Event\":\"SparkListenerApplicationEnd\"}\n").await;
    assert_eq!(put.status, 200, "{put:?}");
    let url = link_in(&asked(&cluster, &job, "?attempt=1").await);
    let (disposition, body) = file_behind(&url).await;
    assert_eq!(disposition, "attachment; filename=\"app-1\"");
    assert_eq!(body, "{\"Event\":\"SparkListenerApplicationEnd\"}\n");
    for link in [url.as_str(), &url[..url.len() - 1]] {
        assert_eq!(fetched(link).await.status(), 404);
    }

    let second = log.replace("app-1", "app-2");
    assert_eq!(cluster.administrator().put_object(&second, "x").await.status, 200);
    refused(&cluster, &job, "", 400, "several files").await;
    let other = Job { application: cluster.application(json!({})).await, run: job.run.clone() };
    refused(&cluster, &other, "", 404, "does not exist").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_spark_never_started_the_link_leads_to_what_the_driver_wrote() {
    let cluster = Cluster::start().await;
    let Running { stream, job, driver, host: _host } = Running::on(&cluster).await;
    stream.say(driver.exits(1)).await;
    assert_eq!(cluster.end_of(&job).await.0, "FAILED");
    let place = format!("hearth-managed/applications/{}/jobs/{}", job.application, job.run);
    let log = format!("{place}/SPARK_DRIVER/stderr.gz");
    assert_eq!(cluster.administrator().put_object(&log, "no such class").await.status, 200);
    let (disposition, body) = file_behind(&link_in(&asked(&cluster, &job, "").await)).await;
    assert_eq!(
        (disposition.as_str(), body.as_str()),
        ("attachment; filename=\"stderr.gz\"", "no such class")
    );
    // Clients put a log's path in place of the link's, as in the service.
    let asked_for = cluster.administrator().put_object(&log.replace("stderr", "stdout"), "said").await;
    assert_eq!(asked_for.status, 200);
    let link = link_in(&asked(&cluster, &job, "").await);
    let link = link.replace("/hearth/v1/dashboards", "/logs/SPARK_DRIVER/stdout.gz");
    assert_eq!(file_behind(&link).await.1, "said");
    assert_eq!(fetched(&link).await.status(), 404, "a second time");
    let events = format!("{place}/sparklogs/app-1");
    assert_eq!(cluster.administrator().put_object(&events, "{}").await.status, 200);
    let (disposition, _) = file_behind(&link_in(&asked(&cluster, &job, "").await)).await;
    assert_eq!(disposition, "attachment; filename=\"app-1\"");
}
