//! A job's credentials: who gets them, what they open, and when that ends.

use crate::harness::{Client, Cluster, Job, Keys, Submission};
use crate::host::{Host, room_for};
use crate::worker::Worker;
use hearth_proto::v1;
use serde_json::json;
use tonic::Code;

impl From<&v1::Credentials> for Keys {
    fn from(credentials: &v1::Credentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            session_token: Some(credentials.session_token.clone()),
        }
    }
}

/// What the driver of an attempt can do.
async fn driver_client(
    cluster: &Cluster,
    stream: &crate::stream::Stream,
    job: &Job,
    attempt: usize,
) -> Client {
    let orders = stream.starts(job, v1::WorkerKind::SparkDriver, attempt).await;
    cluster.client(Keys::from(orders[attempt - 1].credentials.as_ref().expect("credentials")))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_the_credentials_of_its_own_workers_alone() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    let other = Host::enrol(&cluster, room_for(1)).await;
    let _attached = other.attach(&cluster, vec![]).await;
    let worker = || v1::WorkerCredentialsRequest { worker_id: driver.id.clone() };
    let managed = || v1::ManagedCredentialsRequest { job_run_id: job.run.to_string() };

    let mut mine = host.client(&cluster).await;
    let given = mine.worker_credentials(worker()).await.expect("its own worker").into_inner();
    assert_eq!(given.role_arn, "arn:aws:iam::000000000000:role/hearth-job");
    assert_eq!(cluster.client(Keys::from(&given)).put_object("hearth/x", "x").await.status, 200);
    let given = mine.managed_credentials(managed()).await.expect("its own job run").into_inner();
    let logs = cluster.client(Keys::from(&given));
    let prefix = format!("hearth-managed/applications/{}/jobs", job.application);
    assert_eq!(
        logs.put_object(&format!("{prefix}/{}/SPARK_DRIVER/stdout.gz", job.run), "x").await.status,
        200
    );
    assert_eq!(logs.put_object(&format!("{prefix}/another/SPARK_DRIVER/stdout.gz"), "x").await.status, 403);

    let mut others = other.client(&cluster).await;
    let refused = others.worker_credentials(worker()).await.expect_err("a foreign worker");
    assert_eq!(refused.code(), Code::NotFound);
    let refused = others.managed_credentials(managed()).await.expect_err("a foreign job run");
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_an_attempt_end_with_it() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    let first = driver_client(&cluster, &stream, &job, 1).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    assert_eq!(first.put_object("hearth/out", "first").await.status, 200);
    stream.say(driver.exits(1)).await;

    let second = driver_client(&cluster, &stream, &job, 2).await;
    let refused = first.put_object("hearth/out", "late").await;
    assert!(refused.status >= 400 && refused.body.contains("ExpiredToken"), "{refused:?}");
    let parameters = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    assert!(first.query("sts", &parameters).await.status >= 400);
    assert_eq!(second.put_object("hearth/out", "second").await.status, 200);
    let driver = stream.driver(&job).await;
    assert_eq!(driver.launch.attempt, 2);
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    for late in [&first, &second] {
        assert!(late.put_object("hearth/out", "late").await.status >= 400, "nothing of the job run is left");
    }
    let kept = cluster.administrator().get_object("hearth/out").await;
    assert_eq!(kept.body, "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_of_a_superseded_attempt_delivers_its_logs_and_does_nothing_else() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let submission = Submission::of_executors(1).attempts(2).logs_to("s3://hearth/logs");
    let job = cluster.submit(&submission).await;
    let driver = stream.driver(&job).await;
    let order = stream.starts(&job, v1::WorkerKind::SparkExecutor, 1).await.remove(0);
    let executor = crate::worker::Worker::of(&order);
    let late = cluster.client(Keys::from(order.credentials.as_ref().expect("credentials")));
    for word in [driver.runs(), executor.runs()] {
        stream.say(word).await;
    }
    assert_eq!(late.put_object("hearth/out", "in time").await.status, 200);
    stream.say(driver.exits(1)).await;
    stream.stopped(&executor, 1).await;

    let logs = format!("hearth/logs/applications/{}/jobs/{}/attempts/1", job.application, job.run);
    assert_eq!(
        late.put_object(&format!("{logs}/SPARK_EXECUTOR/1/stdout.gz"), "last words").await.status,
        200
    );
    for path in [
        "hearth/out",
        &format!("{logs}/SPARK_DRIVER/stdout.gz"),
        &format!("{logs}/SPARK_EXECUTOR/10/stdout.gz"),
        &format!("{}/SPARK_EXECUTOR/1/stdout.gz", logs.replace("attempts/1", "attempts/2")),
    ] {
        let refused = late.put_object(path, "late").await;
        assert!(refused.status >= 400 && refused.body.contains("ExpiredToken"), "{path}: {refused:?}");
    }
    assert!(late.get_object("hearth/out").await.status >= 400);
    // Made anew meanwhile, as an agent does for long deliveries, they are good for no more.
    let mut client = host.client(&cluster).await;
    let request = v1::WorkerCredentialsRequest { worker_id: executor.id.clone() };
    let again = client.worker_credentials(request).await.expect("its own worker").into_inner();
    let again = cluster.client(Keys::from(&again));
    assert_eq!(again.put_object(&format!("{logs}/SPARK_EXECUTOR/1/stderr.gz"), "more").await.status, 200);
    assert!(again.put_object("hearth/out", "late").await.status >= 400);

    stream.say(executor.is_stopped()).await;
    stream.forgotten(&executor.id, 1).await;
    let path = format!("{logs}/SPARK_EXECUTOR/1/stdout.gz");
    assert!(late.put_object(&path, "from the grave").await.status >= 400, "the worker is gone");
    assert_eq!(cluster.administrator().get_object(&path).await.body, "last words");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_do_what_its_role_allows_and_nothing_else() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "emr-serverless.amazonaws.com"},
    }]});
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::hearth/*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::hearth/allowed/*"},
    ]});
    let administrator = cluster.administrator();
    let iam = |action: &'static str, name: &'static str, text: String| {
        let administrator = administrator.clone();
        async move {
            let mut parameters = vec![("Action", action), ("Version", "2010-05-08"), ("RoleName", "narrow")];
            parameters.push((name, &text));
            if action == "PutRolePolicy" {
                parameters.push(("PolicyName", "narrow"));
            }
            let answer = administrator.query("iam", &parameters).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    iam("CreateRole", "AssumeRolePolicyDocument", trust.to_string()).await;
    iam("PutRolePolicy", "PolicyDocument", policy.to_string()).await;
    let submission = Submission::of_executors(0).role("arn:aws:iam::000000000000:role/narrow");
    let job = cluster.submit(&submission).await;
    let narrow = driver_client(&cluster, &stream, &job, 1).await;
    assert_eq!(narrow.put_object("hearth/allowed/x", "fine").await.status, 200);
    let refused = narrow.put_object("hearth/elsewhere/x", "not fine").await;
    assert!(refused.status == 403 && refused.body.contains("<Code>AccessDenied</Code>"), "{refused:?}");
    assert_eq!(narrow.get_object("hearth/allowed/x").await.body, "fine");
    assert_eq!(administrator.get_object("hearth/elsewhere/x").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_whose_role_is_gone_fails_and_its_host_stays_in_contact() {
    let cluster = Cluster::start().await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let administrator = cluster.administrator();
    for action in
        [&[("Action", "DeleteRolePolicy"), ("PolicyName", "default")][..], &[("Action", "DeleteRole")]]
    {
        let common = [("Version", "2010-05-08"), ("RoleName", "hearth-job")];
        let done = administrator.query("iam", &[action, &common].concat()).await;
        assert_eq!(done.status, 200, "{done:?}");
    }
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    // An earlier order may have reached the agent, for all the coordinator knows: only its word releases the booking.
    let stop = stream.any_stop().await;
    assert!(cluster.world().booked(&host.id).cpu_millis > 0);
    stream.say(Worker::of_stop(&stop).is_not_here()).await;
    let (state, details) = cluster.end_of(&job).await;
    assert_eq!(state, "FAILED");
    let reason = "The role arn:aws:iam::000000000000:role/hearth-job cannot be found";
    assert!(details.contains("credentials cannot be made") && details.contains(reason), "{details}");
    stream.settled().await;
    assert_eq!(cluster.world().booked(&host.id).cpu_millis, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_policies_narrow_the_role_or_are_refused_at_once() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::hearth/allowed/*"},
    ]});
    let policy = policy.to_string();
    let created = [
        ("Action", "CreatePolicy"),
        ("Version", "2010-05-08"),
        ("PolicyName", "narrow"),
        ("PolicyDocument", policy.as_str()),
    ];
    let created = cluster.administrator().query("iam", &created).await;
    assert_eq!(created.status, 200, "{created:?}");
    let arn = "arn:aws:iam::000000000000:policy/narrow";
    for policies in [json!({"policy": policy}), json!({"policyArns": [arn]})] {
        let job = cluster.submit(&Submission::of_executors(0).session_policies(policies)).await;
        let narrow = driver_client(&cluster, &stream, &job, 1).await;
        assert_eq!(narrow.put_object("hearth/allowed/x", "fine").await.status, 200);
        assert_eq!(narrow.put_object("hearth/elsewhere/x", "not fine").await.status, 403);
        let driver = stream.driver(&job).await;
        stream.say(driver.exits(0)).await;
        cluster.end_of(&job).await;
    }
    let application = cluster.application(json!({})).await;
    let long = format!("{policy}{}", " ".repeat(2049 - policy.len()));
    for (policies, named) in [
        (json!({"policy": "{\"Statement\": 7}"}), "executionIamPolicy.policy cannot be read"),
        (json!({"policy": long}), "1 validation error detected"),
        (json!({"policyArns": ["arn:aws:iam::aws:policy/Nowhere"]}), "arn:aws:iam::aws:policy/Nowhere"),
        (json!({"policyArns": vec![arn; 11]}), "length less than or equal to 10"),
    ] {
        let refused =
            cluster.try_submit(&application, &Submission::of_executors(0).session_policies(policies)).await;
        assert!(refused.status == 400 && refused.body.contains(named), "{refused:?}");
    }
}
