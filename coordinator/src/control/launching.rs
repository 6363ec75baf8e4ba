//! From a `StartJobRun` request to what will be launched.

use super::applications::core_configurations;
use super::monitoring;
use hearth_api::emr::wire;
use hearth_coordinator_core::configuration::{self, Configuration};
use hearth_coordinator_core::job_run::{ProcessSpec, RunSpec};
use hearth_coordinator_core::preflight::{self, Input};
use hearth_coordinator_core::rules::job_terms::{Asked, Mode};
use hearth_coordinator_core::spark_submit::{DriverLaunch, Faults, LaunchRequest, launch};
use hearth_types::{JobRunId, ReleaseLabel};
use std::collections::BTreeMap;

/// Name of the file that configures a process's logging.
const LOG4J2: &str = "log4j2.properties";

/// What Spark binds its UI to. The driver's other listeners have their address in settings, which count more.
const UI_ADDRESS: &str = "SPARK_LOCAL_IP";

/// Where the services are is another address on each host, but Spark hands the driver's settings to executors on all of
/// them. Hadoop looks such a name up in its own process's environment each time it reads the setting.
const SERVICE_OF_THIS_HOST: &str = "${env.HEARTH_SERVICE}";

/// The way to files that Spark takes for streaming checkpoints, under the schemes that Hadoop's own does not know.
const FILES: &str = "org.apache.spark.hearth.ObjectFiles";

/// Settings of this cluster, ranked with the release's defaults.
fn site_defaults(region: &str) -> BTreeMap<String, String> {
    let s3a = "org.apache.hadoop.fs.s3a.S3AFileSystem";
    [
        ("spark.hadoop.fs.s3.impl", s3a),
        ("spark.hadoop.fs.s3n.impl", s3a),
        ("spark.hadoop.fs.s3a.impl", s3a),
        ("spark.hadoop.fs.AbstractFileSystem.s3.impl", FILES),
        ("spark.hadoop.fs.AbstractFileSystem.s3n.impl", FILES),
        ("spark.hadoop.fs.s3a.endpoint", SERVICE_OF_THIS_HOST),
        ("spark.hadoop.fs.s3a.endpoint.region", region),
        ("spark.hadoop.fs.s3a.path.style.access", "true"),
        ("spark.hadoop.fs.s3a.connection.ssl.enabled", "false"),
        // An agent may be started again at any moment; Amazon's own provider would not wait for it.
        ("spark.hadoop.fs.s3a.aws.credentials.provider", "org.apache.spark.hearth.PatientCredentials"),
        ("spark.hadoop.fs.s3a.retry.limit", "12"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Settings that nobody can override: without them the job would not run here, or its history would be lost. Braced names
/// are filled in by the driver's agent.
fn provided(id: &JobRunId) -> BTreeMap<String, String> {
    [
        ("spark.eventLog.enabled", "true"),
        ("spark.eventLog.dir", "file:{hearth:logs}/sparklogs"),
        ("spark.driver.host", "{hearth:host}"),
        ("spark.driver.bindAddress", "{hearth:host}"),
        ("spark.ui.port", "0"),
        // It is read through the coordinator, at the root of an origin of its own, and nobody logs in to change anything.
        ("spark.ui.killEnabled", "false"),
        ("spark.ui.reverseProxy", "false"),
        ("spark.ssl.ui.enabled", "false"),
        // Workers of one host do not see each other's disks.
        ("spark.shuffle.readHostLocalDisk", "false"),
        ("spark.shuffle.service.enabled", "false"),
        ("spark.hearth.appId", id.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// What a job run is decided from beside its request.
pub(super) struct Basis<'a> {
    pub(super) application: &'a wire::Application,
    pub(super) release: ReleaseLabel,
    pub(super) region: &'a str,
}

/// What a job run comes to.
pub(super) struct Launching {
    /// What will be launched.
    pub(super) spec: RunSpec,
    /// The files that it begins with.
    pub(super) inputs: Vec<Input>,
}

/// Where a job run's own monitoring stands in its request.
const MONITORING: &str = "configurationOverrides.monitoringConfiguration";

/// Decides what to launch, or says everything that is wrong with the request.
pub(super) fn launching(
    id: &JobRunId,
    request: &wire::StartJobRunRequest,
    basis: &Basis<'_>,
) -> Result<Launching, Vec<String>> {
    let mut faults = Vec::new();
    let overrides = request.configuration_overrides.clone().unwrap_or_default();
    let terms = asked(request, basis.release.as_str()).settle();
    let terms = terms.map_err(|found| faults.extend(found.iter().map(ToString::to_string))).ok();
    if let Some(monitoring) = &overrides.monitoring_configuration {
        faults.extend(monitoring::faults(MONITORING, monitoring));
        let checked = monitoring::check_release(MONITORING, monitoring, basis.release.as_str());
        faults.extend(checked.err().map(|fault| fault.to_string()));
    }
    let job = core_configurations(overrides.application_configuration.as_deref().unwrap_or_default());
    if let Err(found) = configuration::check(&job) {
        faults.extend(found.iter().map(ToString::to_string));
    }
    let launch = match &request.job_driver {
        Some(wire::JobDriver::SparkSubmit(spark)) => spark_launch(id, request, spark, &job, basis)
            .map_err(|found| faults.extend(found.0.iter().map(ToString::to_string)))
            .ok(),
        Some(wire::JobDriver::Hive(_)) => {
            faults.push(
                "jobDriver.hive needs an application of type HIVE; this one is of type SPARK.".to_owned(),
            );
            None
        }
        None => {
            faults.push("jobDriver must be given.".to_owned());
            None
        }
    };
    let (Some(terms), Some(launch), true) = (terms, launch, faults.is_empty()) else {
        return Err(faults);
    };
    if !launch.ignored.is_empty() {
        tracing::warn!(job_run_id = %id, names = ?launch.ignored, "settings of a job run have no effect");
    }
    let monitoring = monitoring::merged(
        basis.application.monitoring_configuration.as_ref(),
        overrides.monitoring_configuration.as_ref(),
    );
    let (driver, executor) = processes(&launch);
    let spec = RunSpec {
        role_arn: request.execution_role_arn.clone(),
        session_policies: request
            .execution_iam_policy
            .iter()
            .filter_map(|policy| policy.policy.clone())
            .collect(),
        session_policy_arns: request
            .execution_iam_policy
            .as_ref()
            .and_then(|policy| policy.policy_arns.clone())
            .unwrap_or_default(),
        release: basis.release.clone(),
        architecture: basis.application.architecture.unwrap_or_default(),
        executor_disk_gib: launch.executor.worker.disk_gib,
        initial_executors: initial_executors(&launch.spark_conf),
        executor_cores: u32::try_from(launch.executor.cores).unwrap_or(u32::MAX),
        driver,
        executor,
        log_uri: monitoring
            .s3_monitoring_configuration
            .and_then(|s3| s3.log_uri)
            .map(|uri| uri.trim_end_matches('/').to_owned()),
        managed_logs: monitoring
            .managed_persistence_monitoring_configuration
            .and_then(|managed| managed.enabled)
            .unwrap_or(true),
        timeout: terms.timeout,
        retries: terms.retries,
        doubts: Vec::new(),
    };
    Ok(Launching { spec, inputs: preflight::inputs(&launch) })
}

/// What a request says about how its job run is to be run.
fn asked<'a>(request: &wire::StartJobRunRequest, release: &'a str) -> Asked<'a> {
    let policy = request.retry_policy.as_ref();
    Asked {
        release,
        mode: core_mode(request.mode),
        timeout_minutes: request.execution_timeout_minutes,
        max_attempts: policy.and_then(|policy| policy.max_attempts),
        max_failed_attempts_per_hour: policy.and_then(|policy| policy.max_failed_attempts_per_hour),
    }
}

/// The API's mode as the core's.
pub(super) fn core_mode(mode: Option<wire::JobRunMode>) -> Mode {
    match mode.unwrap_or_default() {
        wire::JobRunMode::Batch => Mode::Batch,
        wire::JobRunMode::Streaming => Mode::Streaming,
    }
}

fn spark_launch(
    id: &JobRunId,
    request: &wire::StartJobRunRequest,
    spark: &wire::SparkSubmit,
    job: &[Configuration],
    basis: &Basis<'_>,
) -> Result<DriverLaunch, Faults> {
    let application =
        core_configurations(basis.application.runtime_configuration.as_deref().unwrap_or_default());
    launch(&LaunchRequest {
        release_label: basis.release.as_str(),
        name: request.name.as_deref(),
        entry_point: &spark.entry_point,
        entry_point_arguments: spark.entry_point_arguments.as_deref().unwrap_or_default(),
        spark_submit_parameters: spark.spark_submit_parameters.as_deref(),
        application_configuration: &application,
        job_configuration: job,
        site_defaults: &site_defaults(basis.region),
        provided: &provided(id),
    })
}

/// Executors prepared beside the driver, at the most: more would only take the driver's processors while it starts.
const MOST_PREPARED: u32 = 4;

/// How many executors Spark asks for as soon as it is up. None are prepared where their JVM's options, or
/// variables that Spark itself reads, are the job's own.
fn initial_executors(conf: &BTreeMap<String, String>) -> u32 {
    let options = [
        "spark.executor.extraJavaOptions",
        "spark.executor.defaultJavaOptions",
        "spark.executor.extraClassPath",
        "spark.executor.extraLibraryPath",
    ];
    // Spark and Hadoop read these variables once, and a JVM that waits has done so before it learns the job's.
    let fixes = |key: &String| {
        key.strip_prefix("spark.executorEnv.")
            .is_some_and(|name| name.starts_with("SPARK_") || name.starts_with("HADOOP_"))
    };
    if options.iter().any(|key| conf.get(*key).is_some_and(|value| !value.is_empty()))
        || conf.keys().any(fixes)
    {
        return 0;
    }
    let count = |key: &str| conf.get(key).and_then(|value| value.parse::<u32>().ok());
    let dynamic =
        conf.get("spark.dynamicAllocation.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let instances = count("spark.executor.instances").unwrap_or(0);
    let wanted = if dynamic {
        let least = count("spark.dynamicAllocation.minExecutors").unwrap_or(0);
        let initial = count("spark.dynamicAllocation.initialExecutors").unwrap_or(0);
        instances
            .max(least)
            .max(initial)
            .min(count("spark.dynamicAllocation.maxExecutors").unwrap_or(u32::MAX))
    } else {
        instances
    };
    wanted.min(MOST_PREPARED)
}

fn processes(launch: &DriverLaunch) -> (ProcessSpec, ProcessSpec) {
    let mut driver = ProcessSpec {
        size: launch.driver.worker,
        heap_mib: launch.jvm.heap_mib,
        java_options: launch.jvm.java_options.clone(),
        class_path: launch.jvm.class_path.clone(),
        args: launch.args.clone(),
        environment: launch.driver_env.clone(),
        ..ProcessSpec::default()
    };
    let mut executor = ProcessSpec {
        size: launch.executor.worker,
        heap_mib: launch.executor.heap_mib,
        ..ProcessSpec::default()
    };
    // Its UI asks nobody who they are: only the agent on its host is to reach it.
    driver.environment.entry(UI_ADDRESS.to_owned()).or_insert_with(|| "127.0.0.1".to_owned());
    configure_logging(&mut driver, launch.driver_log4j2.as_ref());
    configure_logging(&mut executor, launch.executor_log4j2.as_ref());
    (driver, executor)
}

/// Gives a process its own `log4j2.properties`. A file named among the job's own options, which come later, wins.
fn configure_logging(process: &mut ProcessSpec, text: Option<&String>) {
    let Some(text) = text else { return };
    process.files.insert(LOG4J2.to_owned(), text.clone());
    process.java_options.insert(0, format!("-Dlog4j2.configurationFile={{hearth:conf}}/{LOG4J2}"));
}
