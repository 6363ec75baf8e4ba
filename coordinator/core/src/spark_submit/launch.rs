//! Puts a job's layers of configuration together and writes the argument list of its driver's SparkSubmit.

use super::entry_point::{EntryKind, EntryPoint};
use super::layers::Layers;
use super::sizing::{self, ProcessSize, Role};
use super::tokens::split;
use super::{Fault, Faults, SubmitOptions, defaults, log4j2};
use crate::configuration::Configuration;
use crate::rules::Feature;
use crate::worker_size::DiskType;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The master every driver gets. SparkSubmit lets it pass because it starts with `spark`, and hearth's cluster manager
/// answers to it.
pub const MASTER: &str = "spark-hearth://local";
/// Runs SQL scripts.
const SQL_CLASS: &str = "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver";
/// What SparkSubmit takes for a program that is part of Spark.
const INTERNAL: &str = "spark-internal";
/// Prefix of settings that become the driver's environment (guide:2914).
const DRIVER_ENVIRONMENT: &str = "spark.emr-serverless.driverEnv.";

/// Settings that are written as options of their own, so that SparkSubmit resolves their URIs when it reads them.
const AS_OPTIONS: [(&str, &str); 5] = [
    ("spark.app.name", "--name"),
    ("spark.jars", "--jars"),
    ("spark.files", "--files"),
    ("spark.archives", "--archives"),
    ("spark.submit.pyFiles", "--py-files"),
];

/// Everything a driver's launch is decided from.
#[derive(Clone, Copy)]
pub struct LaunchRequest<'a> {
    /// The application's release label, such as `emr-7.6.0`.
    pub release_label: &'a str,
    /// The job run's name; Spark's name for it unless the job sets its own.
    pub name: Option<&'a str>,
    /// `entryPoint`.
    pub entry_point: &'a str,
    /// `entryPointArguments`.
    pub entry_point_arguments: &'a [String],
    /// `sparkSubmitParameters`.
    pub spark_submit_parameters: Option<&'a str>,
    /// The application's `runtimeConfiguration`.
    pub application_configuration: &'a [Configuration],
    /// The job's `configurationOverrides.applicationConfiguration`.
    pub job_configuration: &'a [Configuration],
    /// Settings of this cluster (endpoints, credential providers) that rank with the release's defaults, above them.
    pub site_defaults: &'a BTreeMap<String, String>,
    /// Settings that nobody can override.
    pub provided: &'a BTreeMap<String, String>,
}

/// What the driver's Java process must be started with: SparkSubmit runs inside it and cannot change it any more.
#[derive(Clone, PartialEq, Eq)]
pub struct DriverJvm {
    /// `-Xmx` in MiB.
    pub heap_mib: u64,
    /// Java options, one word each: `spark.driver.defaultJavaOptions`, then `spark.driver.extraJavaOptions`.
    pub java_options: Vec<String>,
    /// Entries to put before Spark's own class path (`spark.driver.extraClassPath`).
    pub class_path: Vec<String>,
}

/// How to start a job's driver. `Debug` is terse: arguments and environment may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct DriverLaunch {
    /// SparkSubmit's argument list.
    pub args: Vec<String>,
    /// The settings in effect, all layers merged. The master is not among them.
    pub spark_conf: BTreeMap<String, String>,
    /// The driver's environment as far as the job chooses it.
    pub driver_env: BTreeMap<String, String>,
    /// The program.
    pub entry: EntryPoint,
    /// The driver's worker.
    pub driver: ProcessSize,
    /// An executor's worker in the default resource profile.
    pub executor: ProcessSize,
    /// The driver's Java process.
    pub jvm: DriverJvm,
    /// Archives to unpack into the driver's working directory, each `URI` or `URI#directory`: in client mode Spark
    /// unpacks them for executors only.
    pub unpack: Vec<String>,
    /// Text of the driver's `log4j2.properties`; `None` leaves Spark its own.
    pub driver_log4j2: Option<String>,
    /// Text of executors' `log4j2.properties`; `None` leaves Spark its own.
    pub executor_log4j2: Option<String>,
    /// Names of settings that have no effect, for a warning.
    pub ignored: BTreeSet<String>,
}

impl fmt::Debug for DriverLaunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverLaunch")
            .field("entry", &self.entry)
            .field("driver", &self.driver)
            .field("executor", &self.executor)
            .finish_non_exhaustive()
    }
}

/// Decides how to start the driver, or says everything that is wrong with the request.
///
/// Priority, from the highest (guide:2854-2865): `provided`, `sparkSubmitParameters`, the job's overrides, the
/// application's configuration, `site_defaults`, the release's defaults, Spark's own.
pub fn launch(request: &LaunchRequest<'_>) -> Result<DriverLaunch, Faults> {
    let mut faults = Vec::new();
    let entry = EntryPoint::parse(request.entry_point).map_err(|fault| faults.push(fault)).ok();
    let (options, found) = SubmitOptions::read(request.spark_submit_parameters.unwrap_or_default());
    faults.extend(found);
    let (layers, found) =
        Layers::flatten(request.release_label, request.application_configuration, request.job_configuration);
    faults.extend(found);
    assemble(request, entry, options, layers, faults)
}

/// Puts together what was read; all that is wrong besides is told after `faults`.
fn assemble(
    request: &LaunchRequest<'_>,
    entry: Option<EntryPoint>,
    options: SubmitOptions,
    layers: Layers,
    mut faults: Vec<Fault>,
) -> Result<DriverLaunch, Faults> {
    let mut chosen = layers.settings;
    chosen.extend(options.settings.clone());
    chosen.extend(request.provided.clone());
    let mut spark_conf = defaults::for_release(request.release_label, &chosen, layers.optimize_allocation);
    spark_conf.extend(request.site_defaults.clone());
    spark_conf.extend(chosen);
    if let Some(name) = request.name {
        spark_conf.entry("spark.app.name".to_owned()).or_insert_with(|| name.to_owned());
    }
    for key in ["spark.driver.memory", "spark.executor.memory"] {
        state_unit(&mut spark_conf, key);
    }

    // The program's kind adds to the sizes at the most: without one they are still checked.
    let kind = entry.as_ref().map_or(EntryKind::Jar, |entry| entry.kind);
    if kind == EntryKind::Sql && options.class.is_some() {
        let uri = request.entry_point.to_owned();
        faults.push(Fault::EntryPoint { uri, rule: "a SQL script takes no --class" });
    }
    check_counts(&spark_conf, &mut faults);
    let java_options = java_options(&spark_conf, &mut faults);
    let mut sized = |role| {
        let size = sizing::size(role, &spark_conf, kind).map_err(|found| faults.extend(found)).ok()?;
        if size.disk_type == DiskType::ShuffleOptimized {
            let wanted = format!("spark.emr-serverless.{}.disk.type={}", role.as_str(), size.disk_type);
            let checked = Feature::ShuffleOptimizedDisks.check(&wanted, request.release_label);
            faults.extend(checked.err().map(Fault::from));
        }
        Some(size)
    };
    let (driver, executor) = (sized(Role::Driver), sized(Role::Executor));
    let (Some(entry), Some(driver), Some(executor), true) = (entry, driver, executor, faults.is_empty())
    else {
        return Err(Faults(faults));
    };

    let mut ignored = layers.ignored;
    ignored.extend(options.ignored.iter().cloned());
    Ok(DriverLaunch {
        args: arguments(&spark_conf, &options, &entry, request.entry_point_arguments),
        driver_env: driver_environment(&spark_conf),
        jvm: DriverJvm {
            heap_mib: driver.heap_mib,
            java_options,
            class_path: list(spark_conf.get("spark.driver.extraClassPath"), ':'),
        },
        unpack: list(spark_conf.get("spark.archives"), ','),
        entry,
        driver,
        executor,
        driver_log4j2: log4j2::file(&layers.driver_log4j2),
        executor_log4j2: log4j2::file(&layers.executor_log4j2),
        ignored,
        spark_conf,
    })
}

/// SparkSubmit's argument list.
fn arguments(
    spark_conf: &BTreeMap<String, String>,
    options: &SubmitOptions,
    entry: &EntryPoint,
    entry_arguments: &[String],
) -> Vec<String> {
    let mut args = vec!["--master".to_owned(), MASTER.to_owned()];
    let mut option = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    let class = if entry.kind == EntryKind::Sql { Some(SQL_CLASS) } else { options.class.as_deref() };
    if let Some(class) = class {
        option("--class", class);
    }
    if let Some(user) = &options.proxy_user {
        option("--proxy-user", user);
    }
    for (key, name) in AS_OPTIONS {
        if let Some(value) = spark_conf.get(key).filter(|value| !value.is_empty()) {
            option(name, value);
        }
    }
    for (key, value) in spark_conf {
        if AS_OPTIONS.iter().all(|(other, _)| other != key) {
            option("--conf", &format!("{key}={value}"));
        }
    }
    if options.verbose {
        args.push("--verbose".to_owned());
    }
    match entry.kind {
        EntryKind::Python | EntryKind::Jar => args.push(entry.uri.clone()),
        EntryKind::Sql => {
            let script = entry.local_path().unwrap_or(&entry.uri);
            args.extend([INTERNAL, "-f", script].map(str::to_owned));
        }
    }
    args.extend_from_slice(entry_arguments);
    args
}

/// Writes the unit of a bare number: Spark reads this setting as MiB in one place and as bytes in another
/// (`EXECUTOR_MEMORY`, `Utils.memoryStringToMb`).
fn state_unit(spark_conf: &mut BTreeMap<String, String>, key: &str) {
    if let Some(value) = spark_conf.get_mut(key)
        && !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_digit())
    {
        value.push('m');
    }
}

/// Checks the counts that SparkSubmit checks (`validateSubmitArguments`).
fn check_counts(spark_conf: &BTreeMap<String, String>, faults: &mut Vec<Fault>) {
    let dynamic = spark_conf
        .get("spark.dynamicAllocation.enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let least_instances = i32::from(!dynamic);
    for (key, least) in [("spark.executor.instances", least_instances), ("spark.cores.max", 1)] {
        let Some(value) = spark_conf.get(key) else { continue };
        if !value.parse::<i32>().is_ok_and(|count| count >= least) {
            let rule =
                if least == 0 { "a whole number that is not negative" } else { "a positive whole number" };
            faults.push(Fault::Value { key: key.to_owned(), value: value.clone(), rule });
        }
    }
}

/// The words of the driver's Java options.
fn java_options(spark_conf: &BTreeMap<String, String>, faults: &mut Vec<Fault>) -> Vec<String> {
    let mut words = Vec::new();
    for key in ["spark.driver.defaultJavaOptions", "spark.driver.extraJavaOptions"] {
        let Some(value) = spark_conf.get(key) else { continue };
        match split(value) {
            Ok(found) => words.extend(found.into_iter().map(|word| (key, word))),
            Err(_) => faults.push(Fault::Value {
                key: key.to_owned(),
                value: value.clone(),
                rule: "Java options with every quote closed",
            }),
        }
    }
    let heap = words.iter().filter(|(_, word)| word.starts_with("-Xmx"));
    faults.extend(heap.map(|(key, word)| Fault::HeapOption { key, token: word.clone() }));
    words.into_iter().map(|(_, word)| word).collect()
}

/// The driver's environment: what the job sets, and the library path, which Spark's launcher script would have set.
fn driver_environment(spark_conf: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<_, _> = spark_conf
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(DRIVER_ENVIRONMENT)?.to_owned(), value.clone())))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    if let Some(path) = spark_conf.get("spark.driver.extraLibraryPath") {
        let name = "LD_LIBRARY_PATH".to_owned();
        let merged = match environment.get(&name) {
            Some(own) => format!("{path}:{own}"),
            None => path.clone(),
        };
        environment.insert(name, merged);
    }
    environment
}

/// The entries of a list.
fn list(value: Option<&String>, separator: char) -> Vec<String> {
    let entries = value.map(String::as_str).unwrap_or_default().split(separator).map(str::trim);
    entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}
