//! What an account may ask for and hold, and where a page of a listing goes on, through the endpoint.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, room_for};
use hearth_coordinator::config::ApiLimit;
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more_and_who_was_queued_is_told_for_how_long() {
    let cluster = Cluster::configured(|config| {
        config.quota_queued_job_runs = 1;
        config.quota_vcpus = Some(2);
    })
    .await;
    let host = Host::enrol(&cluster, room_for(4)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let application = cluster.application(json!({"schedulerConfiguration": {"maxConcurrentRuns": 1}})).await;
    let first = cluster.submit_to(&application, &Submission::of_executors(0)).await;
    let driver = stream.driver(&first).await;
    stream.say(driver.runs()).await;
    let waits = cluster.submit_to(&application, &Submission::of_executors(0)).await;
    cluster.until_run(&waits, "the queue", |run| (run.state().as_str() == "QUEUED").then_some(())).await;
    let refused = cluster.try_submit(&application, &Submission::of_executors(0)).await;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert!(refused.body.contains("at most 1 job runs may be queued"), "{refused:?}");

    // Outside of the queue: one more fits into the quota of vCPUs, and the next waits for it.
    let free = cluster.application(json!({})).await;
    let second = cluster.submit_to(&free, &Submission::of_executors(0)).await;
    stream.driver(&second).await;
    let third = cluster.submit_to(&free, &Submission::of_executors(0)).await;
    let quota = "the account's quota is 2 vCPU";
    cluster.until_run(&third, quota, |run| run.details.contains(quota).then_some(())).await;

    stream.say(driver.exits(0)).await;
    stream.driver(&waits).await;
    let shown = cluster.shown(&waits).await;
    assert!(shown["queuedDurationMilliseconds"].as_i64() > Some(0), "{shown}");
    assert_eq!(cluster.shown(&first).await["queuedDurationMilliseconds"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_throttled_and_counted() {
    let cluster = Cluster::configured(|config| {
        config.api_limits.insert("ListApplications".to_owned(), ApiLimit { per_second: 1, burst: 1 });
    })
    .await;
    let client = cluster.administrator();
    let mut refused = None;
    // Sooner or later two come within a second, however slow this machine is.
    for _ in 0..100 {
        let answer = client.emr(Method::GET, "/applications", None).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("one comes too soon");
    assert_eq!((refused.status, refused.body.as_str()), (429, r#"{"message":"Rate exceeded"}"#));
    let metrics = client.emr(Method::GET, "/metrics", None).await.body;
    let counted = r#"hearth_coordinator_requests_throttled_total{operation="ListApplications"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_leads_on_after_a_restart() {
    let mut cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(cluster.submit_to(&application, &Submission::of_executors(0)).await.run.to_string());
    }
    let listing = format!("/applications/{application}/jobruns?states=SUBMITTED&states=PENDING&mode=BATCH");
    let first =
        cluster.administrator().emr(Method::GET, &format!("{listing}&maxResults=2"), None).await.json();
    let token = first["nextToken"].as_str().expect("one more follows");
    cluster.restart().await;
    let rest = format!("{listing}&nextToken={token}");
    let rest = cluster.administrator().emr(Method::GET, &rest, None).await.json();
    let ids = |page: &Value| -> Vec<String> {
        let runs = page["jobRuns"].as_array().expect("a list").iter();
        runs.map(|run| run["id"].as_str().expect("an id").to_owned()).collect()
    };
    let mut listed = [ids(&first), ids(&rest)].concat();
    assert_eq!((listed.len(), &rest["nextToken"]), (3, &Value::Null));
    listed.sort();
    jobs.sort();
    assert_eq!(listed, jobs);
}
