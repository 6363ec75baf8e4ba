//! One job run from its orders to its end.

use crate::harness::{BUNDLE, Cluster, Keys, Submission};
use crate::host::{Host, room_for};
use crate::worker::Worker;
use hearth_proto::v1;

fn keys(order: &v1::StartWorker) -> Keys {
    Keys::from(order.credentials.as_ref().expect("an order brings credentials"))
}

fn is_pair(args: &[String], name: &str, value: &str) -> bool {
    args.windows(2).any(|pair| pair[0] == name && pair[1] == value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_and_two_executors_get_all_they_need_and_the_job_run_succeeds() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(3)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(2).logs_to("s3://hearth/logs/")).await;
    let path = format!("applications/{}/jobs/{}", job.application, job.run);

    let order = stream.starts(&job, v1::WorkerKind::SparkDriver, 1).await.remove(0);
    let driver = Worker::of(&order);
    assert_eq!(order.epoch, stream.welcome().await.epoch);
    assert_eq!(order.launch, Some(v1::Launch { attempt: 1, launch: 1 }));
    assert_eq!(order.application_id, job.application.as_str());
    assert_eq!(order.size, Some(v1::WorkerSize { cpu_millis: 1000, memory_mib: 2048, disk_gib: 20 }));
    assert_eq!((order.bundle_sha256.as_str(), order.java_major, order.heap_mib), (BUNDLE, 17, 1024));
    assert_eq!(order.java_module_options, ["--add-opens=java.base/java.lang=ALL-UNNAMED"]);
    assert!(!order.deferred, "a driver never waits");
    assert!(is_pair(&order.args, "--master", "spark-hearth://local"), "{:?}", order.args);
    assert!(is_pair(&order.args, "--name", "simulated"), "{:?}", order.args);
    assert!(order.args.ends_with(&["s3://hearth/job.py".into(), "executors".into(), "2".into()]));
    let logs = order.logs.clone().expect("a log plan");
    assert_eq!(logs.log_uri, format!("s3://hearth/logs/{path}/SPARK_DRIVER"));
    assert_eq!(logs.managed_uri, format!("s3://hearth-managed/{path}/SPARK_DRIVER"));
    let event_logs = ["s3://hearth/logs", "s3://hearth-managed"].map(|uri| format!("{uri}/{path}/sparklogs"));
    assert_eq!(logs.event_log_uris, event_logs);

    let runtime = cluster.client(keys(&order));
    let parameters = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    let identity = runtime.query("sts", &parameters).await;
    let arn = format!("arn:aws:sts::000000000000:assumed-role/hearth-job/{}", job.run);
    assert!(identity.status == 200 && identity.body.contains(&arn), "{identity:?}");
    assert_eq!(runtime.put_object("hearth/out/part-0", "made by the job").await.status, 200);
    assert_eq!(runtime.get_object("hearth/out/part-0").await.body, "made by the job");

    // Surely wanted, so prepared beside the driver.
    let executors = stream.starts(&job, v1::WorkerKind::SparkExecutor, 2).await;
    for (order, number) in executors.iter().zip(["1", "2"]) {
        assert_eq!((order.executor_id.as_str(), order.deferred, order.heap_mib), (number, true, 1024));
        let logs = order.logs.clone().expect("a log plan");
        assert_eq!(logs.log_uri, format!("s3://hearth/logs/{path}/SPARK_EXECUTOR/{number}"));
        assert_eq!(logs.event_log_uris, [""; 0]);
    }
    assert!(order.secret.len() >= 32 && executors.iter().all(|executor| executor.secret == order.secret));
    let executors: Vec<Worker> = executors.iter().map(Worker::of).collect();

    stream.say(driver.prepares("unpacking")).await;
    stream.settled().await;
    let shown = cluster.shown(&job).await;
    assert_eq!(shown["state"], "SCHEDULED");
    let details = shown["stateDetails"].as_str().unwrap_or_default();
    assert!(details.starts_with("Preparing the driver: unpacking; SCHEDULED since "), "{details}");
    stream.say(driver.runs()).await;
    for executor in &executors {
        stream.say(executor.runs()).await;
    }
    let news = stream.news(2).await;
    assert!(news.iter().all(|news| news.worker_id == driver.id && news.launch == Some(driver.launch)));
    let launched: Vec<_> = news.into_iter().filter_map(|news| news.news).collect();
    let of = |id: &str| {
        v1::executor_news::News::Launched(v1::ExecutorLaunched {
            executor_id: id.into(),
            host: "127.0.0.1".into(),
        })
    };
    assert_eq!(launched, [of("1"), of("2")]);
    assert_eq!(cluster.shown(&job).await["state"], "RUNNING");

    stream.say(driver.registers()).await;
    for executor in &executors {
        let run = stream.run_order(executor).await;
        let url = "spark://CoarseGrainedScheduler@127.0.0.1:7077";
        assert!(is_pair(&run.args, "--driver-url", url), "{:?}", run.args);
        assert!(is_pair(&run.args, "--executor-id", &executor.executor), "{:?}", run.args);
        assert!(is_pair(&run.args, "--app-id", &format!("spark-{}", driver.id)), "{:?}", run.args);
        assert!(is_pair(&run.args, "--cores", "1") && is_pair(&run.args, "--hostname", "{hearth:host}"));
        assert_eq!(
            (run.properties["spark.driver.port"].as_str(), run.environment["SPARK_USER"].as_str()),
            ("7077", "hadoop")
        );
        assert_eq!(run.launch, Some(executor.launch));
    }
    stream.say(driver.wants(2)).await;
    stream.settled().await;
    assert_eq!(stream.executors(&job, 2).await.len(), 2, "what is prepared counts");

    stream.say(driver.exits(0)).await;
    stream.forgotten(&driver.id, 1).await;
    for executor in &executors {
        assert_eq!(stream.stopped(executor, 1).await[0].grace_ms, 0);
        stream.say(executor.is_stopped()).await;
        stream.forgotten(&executor.id, 1).await;
    }
    assert_eq!(cluster.end_of(&job).await, ("SUCCESS".to_owned(), String::new()));
    assert_eq!(cluster.world().workers().count(), 0);
    assert_eq!(cluster.world().booked(&host.id).cpu_millis, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_asked_for_after_registration_are_told_everything_at_once() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2).logs_to("s3://hearth/logs")).await;
    let driver = stream.driver(&job).await;
    for word in [driver.runs(), driver.registers(), driver.wants(1)] {
        stream.say(word).await;
    }
    let order = stream.starts(&job, v1::WorkerKind::SparkExecutor, 1).await.remove(0);
    assert!(!order.deferred && is_pair(&order.args, "--executor-id", "1"), "{:?}", order.args);
    assert_eq!(order.java_options, ["-Dengine=says"]);
    assert_eq!(order.class_path, ["engine/says.jar"]);
    assert_eq!(
        (order.environment["SPARK_USER"].as_str(), order.properties["spark.driver.port"].as_str()),
        ("hadoop", "7077")
    );
    // With retries enabled the attempt is part of the path (guide:4708).
    let uri = format!(
        "s3://hearth/logs/applications/{}/jobs/{}/attempts/1/SPARK_EXECUTOR/1",
        job.application, job.run
    );
    assert_eq!(order.logs.map(|logs| logs.log_uri), Some(uri));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_whose_driver_fails_says_why() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let failed = v1::Ended {
        exit_code: Some(1),
        error_class: "org.apache.spark.sql.AnalysisException".to_owned(),
        error_message: "Table or view not found: sales".to_owned(),
        ..v1::Ended::default()
    };
    let not_started = v1::Ended {
        launch_error: "no space left on device".to_owned(),
        agent_cause: "no-launch".to_owned(),
        ..v1::Ended::default()
    };
    let lost = v1::Ended { exit_code: Some(0), agent_cause: "lost".to_owned(), ..v1::Ended::default() };
    let cases = [
        (lost, "Job failed because its driver was lost: the host lost its process."),
        (
            failed,
            "Job failed, the driver ended with exit code 1: AnalysisException: Table or view not found: sales",
        ),
        (
            not_started,
            "Job failed because its driver was lost: the host could not start it: no space left on device.",
        ),
    ];
    for (ended, details) in cases {
        let job = cluster.submit(&Submission::of_executors(0)).await;
        let driver = stream.driver(&job).await;
        stream.say(driver.runs()).await;
        stream.say(driver.ends(ended)).await;
        assert_eq!(cluster.end_of(&job).await, ("FAILED".to_owned(), details.to_owned()));
    }
}
