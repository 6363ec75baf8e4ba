//! Whole launches: which layer of configuration wins, and what the driver's SparkSubmit is given.

use hearth_coordinator_core::configuration::Configuration;
use hearth_coordinator_core::spark_submit::{DriverLaunch, EntryKind, Faults, LaunchRequest, launch};
use std::collections::BTreeMap;

type Settings = BTreeMap<String, String>;

/// The inputs of one launch, owned.
struct Job {
    release: &'static str,
    entry_point: &'static str,
    parameters: Option<&'static str>,
    application: Vec<Configuration>,
    job: Vec<Configuration>,
    site: Settings,
    provided: Settings,
}

impl Job {
    fn new(entry_point: &'static str) -> Self {
        Self {
            release: "emr-7.6.0",
            entry_point,
            parameters: None,
            application: Vec::new(),
            job: Vec::new(),
            site: Settings::new(),
            provided: Settings::new(),
        }
    }

    fn with(entry_point: &'static str, parameters: &'static str) -> Self {
        Self { parameters: Some(parameters), ..Self::new(entry_point) }
    }

    fn launch(&self) -> Result<DriverLaunch, Faults> {
        launch(&LaunchRequest {
            release_label: self.release,
            name: Some("nightly"),
            entry_point: self.entry_point,
            entry_point_arguments: &["--first".to_owned(), "second word".to_owned()],
            spark_submit_parameters: self.parameters,
            application_configuration: &self.application,
            job_configuration: &self.job,
            site_defaults: &self.site,
            provided: &self.provided,
        })
    }

    fn launched(&self) -> DriverLaunch {
        self.launch().unwrap_or_else(|faults| panic!("{faults}"))
    }
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn spark_defaults(pairs: &[(&str, &str)]) -> Vec<Configuration> {
    vec![Configuration {
        classification: "spark-defaults".to_owned(),
        properties: settings(pairs),
        ..Configuration::default()
    }]
}

/// The value that follows the option `name`.
fn option<'a>(launch: &'a DriverLaunch, name: &str) -> Option<&'a str> {
    let at = launch.args.iter().position(|argument| argument == name)?;
    launch.args.get(at + 1).map(String::as_str)
}

#[test]
fn each_layer_wins_over_those_below() {
    let key = "spark.authenticate";
    let mut job = Job::new("s3://b/job.py");
    assert_eq!(job.launched().spark_conf[key], "true", "the release's default");
    job.site = settings(&[(key, "site")]);
    assert_eq!(job.launched().spark_conf[key], "site");
    job.application = spark_defaults(&[(key, "application")]);
    assert_eq!(job.launched().spark_conf[key], "application");
    job.job = spark_defaults(&[(key, "job")]);
    assert_eq!(job.launched().spark_conf[key], "job");
    job.parameters = Some("--conf spark.authenticate=parameters");
    assert_eq!(job.launched().spark_conf[key], "parameters");
    job.provided = settings(&[(key, "provided")]);
    let launched = job.launched();
    assert_eq!(launched.spark_conf[key], "provided");
    let written = format!("{key}=provided");
    assert_eq!(
        launched.args.iter().filter(|argument| argument.starts_with(key)).collect::<Vec<_>>(),
        [&written]
    );
}

#[test]
fn the_argument_list_is_complete_and_in_sparks_order() {
    let job = Job::with(
        "/usr/lib/spark/examples/jars/spark-examples.jar",
        "--class org.apache.spark.examples.SparkPi --num-executors 2 --jars s3://b/a.jar --py-files s3://b/p.zip \
         --archives s3://b/env.tar.gz#environment,s3://b/x.zip --proxy-user ann -v",
    );
    let launched = job.launched();
    assert_eq!(launched.args[..2], ["--master", "spark-hearth://local"]);
    for (name, value) in [
        ("--class", "org.apache.spark.examples.SparkPi"),
        ("--name", "nightly"),
        ("--jars", "s3://b/a.jar"),
        ("--py-files", "s3://b/p.zip"),
        ("--archives", "s3://b/env.tar.gz#environment,s3://b/x.zip"),
        ("--proxy-user", "ann"),
    ] {
        assert_eq!(option(&launched, name), Some(value), "{name}");
    }
    assert!(launched.args.contains(&"spark.executor.instances=2".to_owned()));
    assert!(
        !launched.args.iter().any(|argument| argument == "--num-executors"),
        "hearth's branch would ignore it"
    );
    let end = launched.args.len();
    assert_eq!(
        launched.args[end - 4..],
        ["--verbose", "/usr/lib/spark/examples/jars/spark-examples.jar", "--first", "second word"]
    );
    assert_eq!(launched.unpack, ["s3://b/env.tar.gz#environment", "s3://b/x.zip"]);
    assert_eq!(launched.entry.kind, EntryKind::Jar);
}

#[test]
fn a_sql_script_runs_in_sparks_own_command_line() {
    let launched = Job::new("s3://b/report.sql").launched();
    assert_eq!(
        option(&launched, "--class"),
        Some("org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver")
    );
    let end = launched.args.len();
    assert_eq!(
        launched.args[end - 5..],
        ["spark-internal", "-f", "s3://b/report.sql", "--first", "second word"]
    );
    assert_eq!(option(&Job::new("local:///opt/x.sql").launched(), "-f"), Some("/opt/x.sql"));
    assert!(Job::with("s3://b/report.sql", "--class a.B").launch().is_err());
}

#[test]
fn workers_are_sized_from_what_is_in_effect() {
    let default = Job::new("s3://b/job.py").launched();
    assert_eq!((default.driver.worker.cpu_millis, default.driver.worker.memory_mib), (4000, 16 * 1024));
    assert_eq!((default.executor.worker.memory_mib, default.executor.worker.disk_gib), (16 * 1024, 20));

    let mut job = Job::with("s3://b/job.py", "--driver-cores 1 --driver-memory 1024 --executor-memory 20g");
    job.application =
        spark_defaults(&[("spark.driver.memory", "8g"), ("spark.emr-serverless.executor.disk", "50G")]);
    let launched = job.launched();
    assert_eq!((launched.driver.worker.memory_mib, launched.jvm.heap_mib), (2 * 1024, 1024));
    assert_eq!((launched.executor.worker.memory_mib, launched.executor.worker.disk_gib), (22 * 1024, 50));
    assert_eq!(launched.spark_conf["spark.driver.memory"], "1024m", "a bare number gets its unit");
}

#[test]
fn the_drivers_process_gets_what_spark_cannot_give_it_later() {
    let launched = Job::with(
        "s3://b/job.py",
        "--driver-java-options '-Da=\"b c\" -Dd=e' --driver-class-path /x/*:/y --driver-library-path /native \
         --conf spark.driver.defaultJavaOptions=-Dz=1 --conf spark.emr-serverless.driverEnv.PYSPARK_PYTHON=./e/bin/python \
         --conf spark.emr-serverless.driverEnv.LD_LIBRARY_PATH=/own",
    )
    .launched();
    assert_eq!(launched.jvm.java_options, ["-Dz=1", "-Da=b c", "-Dd=e"]);
    assert_eq!(launched.jvm.class_path, ["/x/*", "/y"]);
    assert_eq!(
        launched.driver_env,
        settings(&[("LD_LIBRARY_PATH", "/native:/own"), ("PYSPARK_PYTHON", "./e/bin/python")])
    );
    assert!(Job::with("s3://b/job.py", "--driver-java-options -Xmx9g").launch().is_err());
}

#[test]
fn a_job_with_a_committer_of_its_own_keeps_it() {
    let protocol = "spark.sql.sources.commitProtocolClass";
    let usual =
        Job::with("s3://b/job.py", "--conf spark.sql.sources.partitionOverwriteMode=dynamic").launched();
    assert_eq!(usual.spark_conf[protocol], "org.apache.spark.hearth.HearthCommitProtocol");
    let own = Job::with("s3://b/job.py", "--conf spark.hadoop.fs.s3a.committer.name=directory").launched();
    assert!(!own.spark_conf.contains_key(protocol));
}

#[test]
fn counts_are_checked_as_spark_checks_them() {
    assert!(Job::with("s3://b/job.py", "--num-executors 0").launch().is_ok());
    for parameters in [
        "--num-executors 0 --conf spark.dynamicAllocation.enabled=false",
        "--num-executors many",
        "--num-executors -1",
        "--total-executor-cores 0",
        "--executor-cores 3",
        "--driver-cores 0",
        "--driver-memory 1.5g",
        "--executor-memory 121g --executor-cores 16",
    ] {
        assert!(Job::with("s3://b/job.py", parameters).launch().is_err(), "{parameters}");
    }
}

#[test]
fn a_shuffle_optimized_disk_needs_a_release_that_has_them() {
    let parameters = "--conf spark.emr-serverless.executor.disk.type=shuffle_optimized \
                      --conf spark.emr-serverless.executor.disk=500G";
    for (release, has) in
        [("emr-7.0.0", false), ("emr-7.1.0", true), ("emr-7.6.0", true), ("spark-3.5.3", true)]
    {
        let launched = Job { release, ..Job::with("s3://b/job.py", parameters) }.launch();
        assert_eq!(launched.is_ok(), has, "{release}: {launched:?}");
        if let Err(faults) = launched {
            assert_eq!(
                faults.to_string(),
                "spark.emr-serverless.executor.disk.type=SHUFFLE_OPTIMIZED needs release emr-7.1.0 or later, \
                 the application has emr-7.0.0"
            );
        }
    }
}

#[test]
fn faults_of_every_part_are_told_together() {
    let mut job = Job::with(
        "s3://b/job.R",
        "--master yarn --executor-cores 3 --driver-memory lots --num-executors few",
    );
    job.application = spark_defaults(&[("spark.submit.deployMode", "cluster")]);
    let told = job.launch().expect_err("faulty").to_string();
    for part in ["job.R", "--master", "spark.submit.deployMode", "3 vCPU", "lots", "few"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn nothing_secret_is_in_the_debug_output() {
    let launched = Job::with("s3://b/job.py", "--conf spark.hadoop.password=hunter2").launched();
    assert!(!format!("{launched:?}").contains("hunter2"));
}
